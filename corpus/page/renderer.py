"""A page of EEG as a picture, or a batch of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.page.layout import PAPER_MM_S, draw_background, lay_out
from corpus.page.montage import TOLD, Montage, derive
from corpus.page.raster import TraceRaster

GAINS_UV_MM = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 100.0, 150.0, 200.0)
TYPICAL_LANES = 0.15  # of a lane: the largest median absolute deflection that a gain of the page's own leaves ...
HIGH_SHARE, HIGH_LANES = 0.96, 0.9  # ... and the largest that this share of all deflections stays below
SAMPLES_FOR_GAIN = 256
REACH, LEAST_REACH_MM = 1.6, 10.0  # lanes, or millimetres, that a trace may leave its baseline; beyond it is left out
LINE_PX = 1.0


@dataclass(frozen=True)
class PageStyle:
    """How a page is drawn.

    Attributes:
        montage: "average", "bipolar" (longitudinal), "ears" or "recorded"; see `corpus.page.montage.Montage`.
        width: pixels; with `height` a multiple of 28 for Qwen2.5-VL, see `fit_size`.
        height: pixels.
        gain_uv_mm: microvolts of a millimetre of deflection, where a second is 30 mm wide; None: each page has the
            usual gain that suits it, stated on the page.
        negative_up: whether negative potentials deflect upwards, as readers of EEG expect.

    Raises:
        ValueError: for a gain that is not positive.
    """

    montage: Montage = "average"
    width: int = 1204
    height: int = 896
    gain_uv_mm: float | None = 7.0
    negative_up: bool = True

    def __post_init__(self) -> None:
        if self.gain_uv_mm is not None and not self.gain_uv_mm > 0:
            raise ValueError(f"got a gain of {self.gain_uv_mm} uV/mm, expected a positive one; correct it")


class PageRenderer:
    """Draws pages of one layout of channels: only the traces are drawn for each page.

    The page holds one trace a channel of the montage with its label, a line a second, a calibration bar, and in words
    the montage, the gain and which way is up. Nothing is filtered: give signals without offset. Where a sample is
    missing (NaN or infinite) there is no trace, and a deflection beyond 1.6 lanes (10 mm, where that is more) is left
    out, so that neighbours stay readable. The same signal always gives the same bytes.

    Args:
        ch_names: C channels.
        sfreq: Hz.
        duration_s: seconds of a page.
        style: how.

    Raises:
        RecordingError: if the channels do not allow the montage.
        ValueError: if the page is too small for them.
    """

    def __init__(
        self, ch_names: Sequence[str], sfreq: float, duration_s: float = 10.0, style: PageStyle | None = None
    ) -> None:
        self.style = style or PageStyle()
        self.derivations = derive(ch_names, self.style.montage)
        self.n_chans, self.n_times = len(ch_names), round(duration_s * sfreq)
        names, groups = self.derivations.names, self.derivations.groups
        self.layout = lay_out(names, groups, self.style.width, self.style.height, duration_s)
        self._empty: dict[float, np.ndarray] = {}  # by gain
        place = self.layout
        baselines = np.array(place.baselines) - place.top
        shape = (place.bottom - place.top, place.right - place.left)
        reach = max(REACH * place.pitch, LEAST_REACH_MM * place.px_per_mm)
        self._raster = TraceRaster(self.n_times, shape, baselines, reach, LINE_PX)

    def __call__(self, signal_uv: np.ndarray) -> np.ndarray:
        """Draw a page, or a batch of pages.

        Args:
            signal_uv: (C, T) or (B, C, T) microvolts.

        Returns:
            (H, W, 3) or (B, H, W, 3) uint8, RGB.

        Raises:
            ValueError: if the signal has another shape.
        """
        signal = np.asarray(signal_uv)
        if signal.ndim not in (2, 3) or signal.shape[-2:] != (self.n_chans, self.n_times):
            raise ValueError(
                f"got a signal of shape {signal.shape}, expected ({self.n_chans}, {self.n_times}) or a batch of them; "
                "build another renderer for another layout"
            )
        batch = signal.reshape(-1, self.n_chans, self.n_times)
        pages = np.empty((len(batch), self.style.height, self.style.width, 3), dtype=np.uint8)
        for one, page in zip(batch, pages, strict=True):
            self._draw(one, page)
        return pages.reshape(*signal.shape[:-2], *pages.shape[1:])

    def gain_of(self, signal_uv: np.ndarray) -> float:
        """The gain of the page of a signal (C, T), microvolts a millimetre."""
        return self._gain(self.derivations.apply(signal_uv))

    def _gain(self, traces_uv: np.ndarray) -> float:
        if self.style.gain_uv_mm is not None:
            return self.style.gain_uv_mm
        some = np.abs(traces_uv[:, :: max(self.n_times // SAMPLES_FOR_GAIN, 1)])
        known = some[np.isfinite(some)]
        typical_uv, high_uv = np.quantile(known, (0.5, HIGH_SHARE)) if known.size else (0.0, 0.0)
        least = max(typical_uv / TYPICAL_LANES, high_uv / HIGH_LANES) / self.layout.lane_mm
        return next((gain for gain in GAINS_UV_MM if gain >= least), GAINS_UV_MM[-1])

    def _draw(self, signal_uv: np.ndarray, page: np.ndarray) -> None:
        """Draw a signal (C, T) into a page (H, W, 3)."""
        traces_uv = self.derivations.apply(signal_uv)
        gain, place = self._gain(traces_uv), self.layout
        downwards = 1.0 if self.style.negative_up else -1.0
        grey = self._empty_page(gain).copy()
        plot = grey[place.top : place.bottom, place.left : place.right]
        for rows, ink in self._raster.ink(traces_uv * np.float32(downwards * place.px_per_mm / gain)):
            under = plot[rows]
            np.minimum(under, np.subtract(255, ink, out=ink), out=under)
        _to_rgb(grey, page)

    def _empty_page(self, gain: float) -> np.ndarray:
        """The grey values of the page without traces, (H, W)."""
        if gain not in self._empty:
            up = "negative up" if self.style.negative_up else "positive up"
            told = "   ".join((TOLD[self.style.montage], f"{gain:g} µV/mm", f"{PAPER_MM_S:g} mm/s", up))
            self._empty[gain] = draw_background(self.layout, self.derivations.names, told, gain)
        return self._empty[gain]


def _to_rgb(grey: np.ndarray, page: np.ndarray) -> None:
    """Write (H, W) as three equal colours into (H, W, 3), both contiguous, two pixels at a time.

    Pixels a and b become the bytes aa, ab and bb: half as many writes as byte by byte, which took a third of a page.
    """
    size = grey.size // 2 * 2
    pixels = grey.reshape(-1)[:size].view("<u2")
    words = page.reshape(-1)[: 3 * size].view("<u2").reshape(-1, 3)
    words[:, 0] = (pixels & 255) * np.uint16(257)
    words[:, 1] = pixels
    words[:, 2] = (pixels >> 8) * np.uint16(257)
    page[-1, -1] = grey[-1, -1]  # of an odd number
