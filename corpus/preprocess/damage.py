"""Samples that are no measurements, and how they are told from EEG.

Missing samples, excursions that no brain makes, and signals stuck at a value (dropouts to zero, saturation). The rules
look at deviations from a slow baseline, so that offsets and drifts of DC amplifiers do not count, and at means over
0.1 s, whole periods of 50 and of 60 Hz: mains of many millivolts is left to the notch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

EXTREME_UV = 3000.0  # a mean over SMOOTH_S further from the baseline is no EEG; scalp EEG and blinks stay below 2 mV
GLITCH_RATIO = 4.0  # nor is one sample beyond it and this many upper quartiles of deviations (a sine has 1.1)
RETURN_UV = 500.0  # an excursion lasts until its mean is back within this ...
JOIN_S = 0.5  # ... and two that are closer are one
STUCK_S = 0.1  # as many equal samples beyond RETURN_UV are a dropout or saturation
SMOOTH_S = 0.1
BLOCK_S = 10.0  # the baseline is the running median, over BASELINE_BLOCKS, of the medians of blocks
BASELINE_BLOCKS = 7
PIECE_VALUES = 1 << 18  # channels x samples measured at once, or one block
_MEDIAN_OF = 64  # samples of a block that its median is taken of ...
_SPREAD = np.arange(_MEDIAN_OF) * 0.6180339887 % 1  # ... not evenly spaced: mains would look constant

MISSING = "missing samples"
EXTREME = "extreme amplitude"
STUCK = "stuck at one value (dropout or saturation)"
_GRAVITY = ("", MISSING, STUCK, EXTREME)

Run = tuple[int, int, str]  # samples [start, stop), and what is wrong with them


class Source(Protocol):
    """(C, T) microvolts: an array, or anything that slices like one; NaN and infinity are missing samples."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, T)."""

    def __getitem__(self, key: Any, /) -> Any:
        """Samples of [channels, start:stop]."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """One continuous stretch, measured in blocks.

    Attributes:
        start: first sample.
        stop: one after the last.
        blocks: [start, stop) of every block, samples.
        offset_uv: (C,) median of every channel.
        peak_uv: (C, blocks) largest deviation from it; NaN where a sample is missing.
    """

    start: int
    stop: int
    blocks: tuple[tuple[int, int], ...]
    offset_uv: np.ndarray
    peak_uv: np.ndarray


def find_damage(
    source: Source, sfreq: float, stretches: Sequence[tuple[int, int]]
) -> tuple[list[Stretch], list[list[Run]]]:
    """Measure a signal and find what is damaged. It is read once, and once more where something is suspicious.

    Args:
        source: the signal.
        sfreq: Hz.
        stretches: [start, stop) of every continuous stretch, samples, in order.

    Returns:
        The stretches, and for each channel its damaged runs: in order, each within one stretch.
    """
    found: list[list[Run]] = [[] for _ in range(source.shape[0])]
    measured = []
    for stretch in stretches:
        blocks = _blocks(stretch, sfreq)
        median, spread, low, high = _measure(source, blocks)
        baseline = _running_median(median)
        suspicious = _suspicious(source, sfreq, blocks, baseline, np.maximum(high - baseline, baseline - low))
        for i in np.flatnonzero(suspicious.any(axis=0)):
            rows = np.flatnonzero(suspicious[:, i])
            quiet = np.fmin(spread[rows, i], _median(_filled(spread[rows])))
            single = np.maximum(EXTREME_UV, GLITCH_RATIO * np.nan_to_num(quiet))
            levels = np.stack([baseline[rows, i], single])
            for row, runs in zip(rows, _examine(source, sfreq, rows, levels, blocks[i], stretch), strict=True):
                found[row] += runs
        offset = _median(_filled(median))
        peak = np.abs(np.stack([low, high]) - offset[:, None]).max(axis=0)
        measured.append(Stretch(*stretch, tuple(blocks), offset, peak))
    edges = np.array(stretches).reshape(-1, 2)
    for channel, some in enumerate(found):
        missing = joined([run for run in some if run[2] == MISSING], edges)
        found[channel] = sorted(missing + _excursions([run for run in some if run[2] != MISSING], sfreq, edges))
    return measured, found


def _blocks(stretch: tuple[int, int], sfreq: float) -> list[tuple[int, int]]:
    """Pieces of about `BLOCK_S` of a stretch; the last is longer rather than shorter."""
    start, stop = stretch
    length = round(BLOCK_S * sfreq)
    return list(pairwise([*range(start, max(stop - length, start) + 1, length), stop]))


def _measure(source: Source, blocks: list[tuple[int, int]]) -> np.ndarray:
    """Median, upper quartile of deviations from it, minimum and maximum, (4, C, blocks); NaN for what is missing.

    Minimum and maximum are NaN where a single sample is missing, all four where every one is.
    """
    n_chans = source.shape[0]
    measured = np.empty((4, n_chans, len(blocks)))
    length = blocks[0][1] - blocks[0][0]
    at_once = max(PIECE_VALUES // (n_chans * length), 1)
    first = 0
    while first < len(blocks):  # some blocks of one length; the last is longer
        last = min(first + at_once, len(blocks) - 1) if first < len(blocks) - 1 else len(blocks)
        start, stop = blocks[first][0], blocks[last - 1][1]
        x = source[:, start:stop].reshape(n_chans, last - first, -1)
        measured[..., first:last] = _statistics(x)
        first = last
    return measured


def _statistics(x: np.ndarray) -> np.ndarray:
    """What `_measure` gives, (4, C, blocks), of (C, blocks, samples)."""
    length = x.shape[-1]
    few = x[..., (_SPREAD * length).astype(int)] if length > _MEDIAN_OF else x
    with np.errstate(invalid="ignore"):  # blocks that lack a sample are measured again
        median, spread = _median_and_spread(few)
    low, high = x.min(axis=-1), x.max(axis=-1)
    measured = np.stack([median, spread, low, high]).astype(np.float64)
    for row, block in np.argwhere(~(np.isfinite(low) & np.isfinite(high))).tolist():
        values = x[row, block][np.isfinite(x[row, block])]
        measured[:2, row, block] = _median_and_spread(values) if values.size else np.nan
        measured[2:, row, block] = np.nan
    return measured


def _median_and_spread(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median along the last axis, and upper quartile of deviations from it.

    Half of the samples of mains may lie at its zeros, so that a median of deviations would not see it.
    """
    n = x.shape[-1]
    ordered = np.sort(x, axis=-1)
    median = ordered[..., (n - 1) // 2] / 2 + ordered[..., n // 2] / 2
    return median, np.sort(np.abs(x - median[..., None]), axis=-1)[..., 3 * n // 4]


def _median(x: np.ndarray) -> np.ndarray:
    """Median of every row of what is not missing, of which there is something; numpy's is quicker where it all is."""
    return np.nanmedian(x, axis=1) if np.isnan(x).any() else np.median(x, axis=1)


def _filled(median: np.ndarray) -> np.ndarray:
    """Channels without a single sample get zero, so that a median over NaN alone is never asked for."""
    return np.where(np.isnan(median).all(axis=1, keepdims=True), 0.0, median)


def _running_median(median: np.ndarray) -> np.ndarray:
    """Baseline of every block, (C, blocks): median over the blocks around it; zero where all of them are missing."""
    n_chans, n_blocks = median.shape
    width = min(BASELINE_BLOCKS, n_blocks)
    first = np.clip(np.arange(n_blocks) - width // 2, 0, n_blocks - width)
    around = median[:, first[:, None] + np.arange(width)].reshape(n_chans * n_blocks, width)
    return _median(_filled(around)).reshape(n_chans, n_blocks)


def _suspicious(
    source: Source,
    sfreq: float,
    blocks: list[tuple[int, int]],
    baseline: np.ndarray,
    deviation: np.ndarray,
) -> np.ndarray:
    """Blocks to examine, (C, blocks) bool: those with damage, and those beside them into which it may reach."""
    beyond = ~(deviation < RETURN_UV)
    grave = ~(deviation < EXTREME_UV)
    length = _n_stuck(sfreq)
    for i in np.flatnonzero((beyond & ~grave).any(axis=0)):
        rows = np.flatnonzero(beyond[:, i] & ~grave[:, i])
        start, stop = blocks[i]
        x = np.asarray(source[:, start : stop + length])[rows]
        far = np.abs(x - baseline[rows, i, None]) > RETURN_UV
        sparse = slice(None, None, length // 2 or 1)  # a long run of equal samples holds two of these
        equal = (x[:, sparse][:, 1:] == x[:, sparse][:, :-1]) & far[:, sparse][:, 1:]
        for row in np.flatnonzero(equal.any(axis=1)):
            grave[rows[row], i] = (_stuck(x[row, None], length) & far[row]).any()
    wanted = np.zeros_like(beyond)
    for row in np.flatnonzero(grave.any(axis=1)):
        for a, b in _runs(beyond[row]):
            wanted[row, a:b] = grave[row, a:b].any()
    return wanted


def _n_stuck(sfreq: float) -> int:
    return max(round(STUCK_S * sfreq), 3)


def _examine(
    source: Source,
    sfreq: float,
    rows: np.ndarray,
    levels: np.ndarray,
    block: tuple[int, int],
    stretch: tuple[int, int],
) -> list[list[Run]]:
    """For each suspicious channel of a block its missing runs, and its runs beyond RETURN_UV with what they hold.

    `levels` are the baseline of each, and what a single sample may deviate from it, (2, channels) microvolts.
    """
    n_mean = max(round(SMOOTH_S * sfreq), 1)
    n_stuck = _n_stuck(sfreq)
    beside = max(n_mean, n_stuck)
    start, stop = max(block[0] - beside, stretch[0]), min(block[1] + beside, stretch[1])
    x = np.asarray(source[:, start:stop], dtype=np.float64)[rows]
    absent = ~np.isfinite(x)
    x = np.where(absent, 0.0, x - levels[0, :, None])
    size = np.abs(x)
    level = np.abs(_moving_mean(x, n_mean))
    extreme = (level > EXTREME_UV) | (size > levels[1, :, None])
    stuck = _stuck(x, n_stuck) & (size > RETURN_UV)
    beyond = (level > RETURN_UV) | extreme | stuck
    inner = slice(block[0] - start, block[1] - start)
    found = []
    for row in range(len(rows)):
        runs = [(block[0] + a, block[0] + b, MISSING) for a, b in _runs(absent[row, inner])]
        for a, b in _runs(beyond[row, inner]):
            piece = slice(inner.start + a, inner.start + b)
            why = EXTREME if extreme[row, piece].any() else STUCK if stuck[row, piece].any() else ""
            runs.append((block[0] + a, block[0] + b, why))
        found.append(runs)
    return found


def _moving_mean(x: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` samples around each sample; at the ends, over the first and the last `width`."""
    width = min(width, x.shape[1])
    total = np.cumsum(x, axis=1)
    mean = np.empty_like(x)
    inner = slice(width // 2, width // 2 + x.shape[1] - width + 1)
    mean[:, inner] = total[:, width - 1 :]
    mean[:, inner][:, 1:] -= total[:, :-width]
    mean[:, : inner.start] = mean[:, inner.start, None]
    mean[:, inner.stop :] = mean[:, inner.stop - 1, None]
    return mean / width


def _stuck(x: np.ndarray, length: int) -> np.ndarray:
    """Samples that belong to a run of at least `length` equal ones, (C, T) bool."""
    marked = np.zeros(x.shape, bool)
    for row, same in enumerate(x[:, 1:] == x[:, :-1]):
        for a, b in _runs(same, length - 1):
            marked[row, a : b + 1] = True
    return marked


def _runs(mask: np.ndarray, least: int = 1) -> list[tuple[int, int]]:
    """[start, stop) of every run of at least `least` times True."""
    if not mask.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)
    return [(int(a), int(b)) for a, b in edges[edges[:, 1] - edges[:, 0] >= least]]


def joined(runs: Sequence[Run], stretches: np.ndarray, gap: int = 0) -> list[Run]:
    """Runs of one stretch that are at most `gap` samples apart become one, of the graver reason.

    Args:
        runs: in any order.
        stretches: (n, 2) samples [start, stop), in order.
        gap: samples.
    """
    joined: list[Run] = []
    for start, stop, why in sorted(runs):
        if joined and start - joined[-1][1] <= gap:
            begin, end, before = joined[-1]
            if np.searchsorted(stretches[:, 0], begin, "right") == np.searchsorted(stretches[:, 0], start, "right"):
                joined[-1] = (begin, max(stop, end), max(before, why, key=_GRAVITY.index))
                continue
        joined.append((start, stop, why))
    return joined


def _excursions(runs: Sequence[Run], sfreq: float, stretches: np.ndarray) -> list[Run]:
    """Runs that hold something extreme or stuck, whole, widened by half a mean, and joined where they are close."""
    extent = round(SMOOTH_S * sfreq / 2)
    wide = []
    for start, stop, why in joined(runs, stretches):
        if why:
            begin, end = stretches[np.searchsorted(stretches[:, 0], start, "right") - 1]
            wide.append((max(start - extent, int(begin)), min(stop + extent, int(end)), why))
    return joined(wide, stretches, round(JOIN_S * sfreq))
