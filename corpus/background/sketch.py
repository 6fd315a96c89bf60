"""What the rules of the background measure with: arrays over segments and channels, from spectra computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from corpus.areas import area_rows, region_rows
from corpus.bands import BandSet
from corpus.features import MIN_POWER_UV2
from corpus.spectra import median

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
        frames: (S, C, W, B + 2) power of each window in each band, at `SLOW_HZ` and at `FAST_HZ`, µV².
        extent_uv: (S, C, N) peak-to-peak amplitude in each second, µV.
        good: (S, C) channels that hold EEG; the others count nowhere.
    """

    ch_names: tuple[str, ...]
    signal_uv: np.ndarray
    sfreq: float
    bands: BandSet
    freqs: np.ndarray
    density: np.ndarray
    frames: np.ndarray
    extent_uv: np.ndarray
    good: np.ndarray

    @property
    def step_hz(self) -> float:
        """Width of a frequency bin."""
        return float(self.freqs[1] - self.freqs[0])

    @property
    def frame_power(self) -> np.ndarray:
        """(S, C, W, B) power in each band and window, µV²."""
        return self.frames[..., :-2]

    @property
    def frame_slow(self) -> np.ndarray:
        """(S, C, W) power at `SLOW_HZ` in each window, µV²."""
        return self.frames[..., -2]

    @property
    def frame_fast(self) -> np.ndarray:
        """(S, C, W) power at `FAST_HZ` in each window, µV²."""
        return self.frames[..., -1]

    @cached_property
    def band_power(self) -> np.ndarray:
        """(S, C, B) median over the windows of the power in each band, µV²: a blink or two do not move it."""
        return self._medians[..., :-2]

    @cached_property
    def slow_power(self) -> np.ndarray:
        """(S, C) median over the windows of the slow power, µV²."""
        return self._medians[..., -2]

    @cached_property
    def slow_ratio(self) -> np.ndarray:
        """(S, C) natural logarithm of slow over fast power, medians over the windows."""
        return np.log((self.slow_power + MIN_POWER_UV2) / (self._medians[..., -1] + MIN_POWER_UV2))

    @cached_property
    def _medians(self) -> np.ndarray:
        """(S, C, B + 2) over the windows, as the rows of `frames`."""
        return median(np.moveaxis(self.frames, 2, -1))

    def names(self, segment: int, rows: np.ndarray | None = None) -> tuple[str, ...]:
        """The good channels of a segment, of `rows` only where given."""
        good = self.good[segment]
        if rows is None and good.all():
            return self.ch_names
        return tuple(self.ch_names[i] for i in (range(len(good)) if rows is None else rows) if good[i])

    def mean(self, values: np.ndarray, rows: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """Mean over the good channels: nan without any.

        Args:
            values: (S, C, ...).
            rows: groups of channels; None: all of them as one.

        Returns:
            (S, ...), or (S, groups, ...).
        """
        groups = [np.arange(self.good.shape[1])] if rows is None else rows
        member = np.zeros((len(groups), self.good.shape[1]), values.dtype)
        for group, own in zip(member, groups, strict=True):
            group[own] = 1
        weights = self.good[:, None] * member
        count = weights.sum(-1, keepdims=True)
        weights /= np.where(count > 0, count, np.nan)
        flat = values.reshape(*values.shape[:2], -1)
        found = weights @ flat
        if np.isnan(found).any():  # zero times nan: what is missing in one group is none of the others'
            for i, own in enumerate(groups):
                found[:, i : i + 1] = weights[:, i : i + 1, own] @ flat[:, own]
        shape = (len(values), *values.shape[2:]) if rows is None else (*found.shape[:2], *values.shape[2:])
        return found.reshape(shape)

    @cached_property
    def region_density(self) -> dict[str, np.ndarray]:
        """(S, F) mean density of the head, named "", and of each recorded region."""
        groups = {"": np.arange(len(self.ch_names)), **self.regions}
        found = self.mean(self.density, list(groups.values()))
        return {name: found[:, i] for i, name in enumerate(groups)}

    @property
    def regions(self) -> dict[str, np.ndarray]:
        """Rows of each recorded region."""
        return region_rows(self.ch_names)

    @property
    def areas(self) -> dict[tuple[str, str], np.ndarray]:
        """Rows of each recorded (side, region)."""
        return area_rows(self.ch_names)


def quantile(values: np.ndarray, counts: np.ndarray, share: float) -> np.ndarray:
    """Quantile over some of the last axis, linear between values, as NumPy's: nan where none counts, or a nan does.

    Args:
        values: (S, n).
        counts: (S, n) booleans.
        share: 0 to 1; 0.5 is the median.
    """
    ordered = np.sort(np.where(counts, values, np.nan), axis=-1)  # NaN is sorted to the end
    last = counts.sum(-1) - 1
    at = np.maximum(last, 0) * share
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, np.maximum(last, 0))
    every = np.arange(len(values))
    low, high = ordered[every, below], ordered[every, above]
    unknown = np.isnan(ordered[every, last])
    return np.where(unknown, np.nan, low + (high - low) * (at - below))


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
    power = frames.reshape(-1, len(freqs)) @ weights.astype(frames.dtype)
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
        frames=power.reshape(*frames.shape[:-1], -1),
        extent_uv=seconds.max(-1) - seconds.min(-1),
        good=good,
    )
