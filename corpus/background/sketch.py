"""What the rules of the background measure with: arrays over segments and channels, from spectra computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from corpus.areas import area_rows, region_rows
from corpus.bands import BandSet
from corpus.features import MIN_POWER_UV2

SLOW_HZ, FAST_HZ = (1.0, 8.0), (8.0, 30.0)  # 1 Hz keeps drifts out of the slow power; half-open


@dataclass(frozen=True, eq=False)
class Sketch:
    """S segments of one layout, C channels, W half-overlapping windows of 2 s, N whole seconds, B bands.

    Attributes:
        ch_names: C electrode names.
        signal_uv: (S, C, T) microvolts.
        sfreq: Hz.
        bands: the band set.
        freqs: (F,) Hz.
        density: (S, C, F) Welch density, µV²/Hz.
        frame_power: (S, C, W, B) power in each band and window, µV².
        frame_slow, frame_fast: (S, C, W) power at `SLOW_HZ` and `FAST_HZ`, µV².
        extent_uv: (S, C, N) peak-to-peak amplitude in each second, µV.
        good: (S, C) channels that hold EEG; the others count nowhere.
    """

    ch_names: tuple[str, ...]
    signal_uv: np.ndarray
    sfreq: float
    bands: BandSet
    freqs: np.ndarray
    density: np.ndarray
    frame_power: np.ndarray
    frame_slow: np.ndarray
    frame_fast: np.ndarray
    extent_uv: np.ndarray
    good: np.ndarray

    @property
    def step_hz(self) -> float:
        """Width of a frequency bin."""
        return float(self.freqs[1] - self.freqs[0])

    @cached_property
    def band_power(self) -> np.ndarray:
        """(S, C, B) median over the windows of the power in each band, µV²: a blink or two do not move it."""
        return np.median(self.frame_power, axis=2)

    @cached_property
    def slow_power(self) -> np.ndarray:
        """(S, C) median over the windows of the slow power, µV²."""
        return np.median(self.frame_slow, axis=2)

    @cached_property
    def slow_ratio(self) -> np.ndarray:
        """(S, C) natural logarithm of slow over fast power, medians over the windows."""
        fast = np.median(self.frame_fast, axis=2)
        return np.log((self.slow_power + MIN_POWER_UV2) / (fast + MIN_POWER_UV2))

    def names(self, segment: int, rows: np.ndarray | None = None) -> tuple[str, ...]:
        """The good channels of a segment, of `rows` only where given."""
        good = self.good[segment]
        if rows is None and good.all():
            return self.ch_names
        return tuple(self.ch_names[i] for i in (range(len(good)) if rows is None else rows) if good[i])

    def mean(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Mean of (S, C, ...) over the good channels, of `rows` only where given: (S, ...); nan without any."""
        good = self.good if rows is None else self.good[:, rows]
        chosen = values if rows is None else values[:, rows]
        weights = good / np.where(good.any(1), good.sum(1), np.nan)[:, None]
        return np.einsum("sc,sc...->s...", weights, chosen)

    @property
    def regions(self) -> dict[str, np.ndarray]:
        """Rows of each recorded region."""
        return region_rows(self.ch_names)

    @property
    def areas(self) -> dict[tuple[str, str], np.ndarray]:
        """Rows of each recorded (side, region)."""
        return area_rows(self.ch_names)


def sketch(
    signal_uv: np.ndarray,
    sfreq: float,
    ch_names: tuple[str, ...],
    spectra: tuple[np.ndarray, np.ndarray, np.ndarray],
    bands: BandSet,
    good: np.ndarray,
) -> Sketch:
    """Measure segments of one layout.

    Args:
        signal_uv: (S, C, T) microvolts.
        sfreq: Hz.
        ch_names: C electrode names.
        spectra: frequencies (F,), densities of the windows (S, C, W, F) and their mean (S, C, F).
        bands: the band set to speak of.
        good: (S, C) channels that hold EEG.
    """
    freqs, frames, density = spectra
    masks = bands.masks(freqs)
    ranges = [(freqs >= low) & (freqs < high) for low, high in (SLOW_HZ, FAST_HZ)]
    weights = np.column_stack([masks, *ranges]) * (freqs[1] - freqs[0])
    power = (frames.reshape(-1, len(freqs)) @ weights).reshape(*frames.shape[:-1], -1)
    size = round(sfreq)
    count = signal_uv.shape[-1] // size
    seconds = signal_uv[..., : count * size].reshape(*signal_uv.shape[:-1], count, size)
    return Sketch(
        ch_names=ch_names,
        signal_uv=signal_uv,
        sfreq=sfreq,
        bands=bands,
        freqs=freqs,
        density=density,
        frame_power=power[..., :-2],
        frame_slow=power[..., -2],
        frame_fast=power[..., -1],
        extent_uv=seconds.max(-1) - seconds.min(-1),
        good=good,
    )
