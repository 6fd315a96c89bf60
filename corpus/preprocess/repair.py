"""A signal without its offsets, its damage interpolated: what the filters read.

A filter of tens of seconds would smear an artifact of 45 mV, a dropout or a gap over its neighbourhood. Each is
replaced by a line between its neighbours, before any filter, and listed as a defect. What counts: `damage`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from corpus.preprocess.damage import Run, Source, Stretch, find_damage, joined
from corpus.recording import Defect

FLOAT32_UV = 2000.0  # channels that deviate less are filtered in float32, with an error below 1e-3 µV

Rows = slice | np.ndarray  # channels


@dataclass(frozen=True, eq=False)
class CleanSignal:
    """A signal without its offsets and with its damage interpolated, computed where it is read.

    Attributes:
        source: (C, T) microvolts, an array or anything that slices like one.
        stretches: every continuous stretch, in order, without gaps.
        offset_uv: (stretches, C) median of each channel; without effect on the result, but it saves digits.
        peak_uv: (stretches, C) largest deviation from it after repair.
        damage: for each channel (n, 2) samples [start, stop) to interpolate, in order, apart, within one stretch each.
        defects: for each channel what was found: (start, stop, why).
    """

    source: Source
    stretches: tuple[Stretch, ...]
    offset_uv: np.ndarray
    peak_uv: np.ndarray
    damage: tuple[np.ndarray, ...]
    defects: tuple[tuple[Run, ...], ...]

    def read(self, start: int, stop: int, rows: Rows) -> np.ndarray:
        """Samples [start, stop) of some channels, (C', stop - start) float32 or float64, an array of its own."""
        raw = self.source[rows, start:stop]
        inside = range(self._stretch_of(start), self._stretch_of(stop - 1) + 1)
        small = self.peak_uv[inside.start : inside.stop, rows].max() < FLOAT32_UV
        x = np.empty(raw.shape, np.float32 if small else np.float64)
        for i in inside:
            part = slice(max(self.stretches[i].start - start, 0), self.stretches[i].stop - start)
            np.subtract(raw[:, part], self.offset_uv[i, rows][:, None], out=x[:, part], casting="same_kind")
        for values, channel in zip(x, np.arange(len(self.damage))[rows].tolist(), strict=True):
            runs = self.damage[channel]
            if len(runs):
                near = slice(np.searchsorted(runs[:, 1], start, "right"), np.searchsorted(runs[:, 0], stop))
                for first, last in runs[near].tolist():
                    self._interpolate(values, channel, start, (first, last))
        return x

    def _stretch_of(self, sample: int) -> int:
        return bisect_right(self.stretches, sample, key=lambda stretch: stretch.start) - 1

    def _interpolate(self, values: np.ndarray, channel: int, start: int, run: tuple[int, int]) -> None:
        """Draw the line over one run into `values`, which begin at sample `start`."""
        first, last = run
        stretch = self._stretch_of(first)
        begin, end = self.stretches[stretch].start, self.stretches[stretch].stop

        def value_at(sample: int) -> float:
            if start <= sample < start + len(values):
                return float(values[sample - start])
            beyond = self.source[channel : channel + 1, sample : sample + 1]
            return float(beyond[0, 0] - self.offset_uv[stretch, channel])

        left = value_at(first - 1) if first > begin else None
        right = value_at(last) if last < end else None
        ends = [v for v in (left, right) if v is not None] or [0.0]
        at = np.arange(max(first, start), min(last, start + len(values)))
        values[at - start] = np.interp(at, [first - 1, last], [ends[0], ends[-1]])


def inspect_signal(source: Source, sfreq: float, stretches: Sequence[tuple[int, int]]) -> CleanSignal:
    """Find what has to be repaired, and get ready to read the signal without it.

    Args:
        source: (C, T) microvolts; NaN and infinity are missing samples.
        sfreq: Hz.
        stretches: [start, stop) of every continuous stretch, samples, in order, without gaps.
    """
    measured, found = find_damage(source, sfreq, stretches)
    edges = np.array(stretches).reshape(-1, 2)
    damage = tuple(np.array([run[:2] for run in joined(runs, edges)], dtype=np.int64).reshape(-1, 2) for runs in found)
    offset_uv = np.array([stretch.offset_uv for stretch in measured])
    defects = tuple(tuple(runs) for runs in found)
    clean = CleanSignal(source, tuple(measured), offset_uv, np.full(offset_uv.shape, np.inf), damage, defects)
    return replace(clean, peak_uv=np.array([_peak_after(clean, stretch) for stretch in measured]))


def _peak_after(clean: CleanSignal, stretch: Stretch) -> np.ndarray:
    """Largest deviation of each channel in a stretch, (C,), its damage interpolated."""
    peak_uv = stretch.peak_uv.copy()
    hit = np.zeros(peak_uv.shape, bool)
    starts = [start for start, _ in stretch.blocks]
    for channel, runs in enumerate(clean.damage):
        for start, stop in runs[(runs[:, 0] >= stretch.start) & (runs[:, 0] < stretch.stop)].tolist():
            hit[channel, bisect_right(starts, start) - 1 : bisect_right(starts, stop - 1)] = True
    for i in np.flatnonzero(hit.any(axis=0)).tolist():
        rows = np.flatnonzero(hit[:, i])
        peak_uv[rows, i] = np.abs(clean.read(*stretch.blocks[i], rows)).max(axis=1)
    return peak_uv.max(axis=1)


def defects_of(clean: CleanSignal, channel: int, ch_name: str, sfreq: float) -> list[Defect]:
    """What was found in one channel, in seconds."""
    return [Defect(ch_name, start / sfreq, (stop - start) / sfreq, why) for start, stop, why in clean.defects[channel]]
