"""The pattern of each segment as a finding."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from corpus.findings import Finding
from corpus.montage import side_of
from corpus.patterns.measure import Trace, trace_segment
from corpus.patterns.numbers import numbers_of
from corpus.patterns.read import Pattern, probabilities, read_pattern
from corpus.segment import Segment

MIN_ELECTRODES = 8
AROUND = 2  # neighbours on either side that are asked: patterns go on, and seizures evolve, for longer than a segment
PATTERN_WORDS = {
    "LPD": "lateralized periodic discharges",
    "GPD": "generalized periodic discharges",
    "LRDA": "lateralized rhythmic delta activity",
    "GRDA": "generalized rhythmic delta activity",
    "SZ": "an electrographic seizure",
}
"""What a pattern is called in a text (ACNS 2021)."""
EPILEPTIFORM_PATTERNS = ("LPD", "GPD", "SZ")
"""Those that are made of discharges, so that a text cannot deny these."""


def trace_segments(segments: Sequence[Segment], good: Iterable[NDArray[np.bool_]]) -> list[Trace | None]:
    """Measure each segment for `find_patterns`; None where fewer than `MIN_ELECTRODES` have EEG.

    Args:
        segments: of any recordings.
        good: (C,) of each segment: electrodes with EEG.
    """
    return [
        trace_segment(segment.signal_uv, segment.ch_names, segment.sfreq, own) if own.sum() >= MIN_ELECTRODES else None
        for segment, own in zip(segments, good, strict=True)
    ]


def find_patterns(segments: Sequence[Segment], good: Sequence[NDArray[np.bool_]]) -> list[list[Finding]]:
    """The "acns_pattern" of each segment: a key of `PATTERN_WORDS`, or "none"; nothing where it cannot be told.

    A segment is read together with up to `AROUND` neighbours on either side, never across a break; alone where it has
    none. `measured` is how often a pattern repeats, and of "none" the probability of the likeliest pattern; `subject`
    is the side ("left", "right") of one that is lateralised, a seizure among them, and `ch_names` are the electrodes of
    that side. Told are segments of at least `MIN_ELECTRODES` with EEG, three pairs of neighbours on each side.

    Args:
        segments: of any recordings; `Segment.history` indexes into them, backwards, and says what is continuous.
        good: (C,) of each segment: electrodes with EEG.
    """
    traces = trace_segments(segments, good)
    found = []
    for i, (segment, own) in enumerate(zip(segments, good, strict=True)):
        trace = traces[i]
        around = [one for j in neighbours(segments, i) if (one := traces[j]) is not None]
        found.append([] if trace is None else [_finding(segment, own, trace, around)])
    return found


def neighbours(segments: Sequence[Segment], number: int) -> list[int]:
    """Indices of the up to `AROUND` segments before and after one that no break separates from it."""
    before, after = [], []
    for i in range(number, max(number - AROUND, 0), -1):
        if segments[i].history[-1:] != (i - 1,):
            break
        before.append(i - 1)
    for i in range(number + 1, min(number + AROUND + 1, len(segments))):
        if segments[i].history[-1:] != (i - 1,):
            break
        after.append(i)
    return before[::-1] + after


def _finding(segment: Segment, good: NDArray[np.bool_], trace: Trace, around: Sequence[Trace]) -> Finding:
    numbers = numbers_of(trace, around)
    pattern = read_pattern(numbers, trace)
    seen = f"repetition, evolution and shape of the leading rhythm, with {len(around)} neighbouring segments"
    where = (segment.start_s, segment.duration_s)
    if pattern is None:
        most = max(chance for kind, chance in probabilities(numbers).items() if kind != "none")
        return Finding("acns_pattern", "none", "", segment.ch_names, *where, most, "probability", seen)
    names = tuple(name for name, own in zip(segment.ch_names, good, strict=True) if own and _takes_part(name, pattern))
    return Finding("acns_pattern", pattern.kind, pattern.side, names, *where, pattern.hertz, "Hz", seen)


def _takes_part(name: str, pattern: Pattern) -> bool:
    return not pattern.side or side_of(name) == pattern.side
