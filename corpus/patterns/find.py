"""The pattern of each segment as a finding."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from corpus.findings import Finding
from corpus.montage import side_of
from corpus.patterns.measure import measure_patterns
from corpus.patterns.read import Pattern, read_pattern
from corpus.segment import Segment

MIN_ELECTRODES = 8
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
_RULES = {"PD": "autocorrelation of the envelope of sharp activity", "DA": "autocorrelation of the leading rhythm"}
_ICTAL = "evolution or speed of the leading rhythm"


def find_patterns(segments: Sequence[Segment], good: Iterable[NDArray[np.bool_]]) -> list[list[Finding]]:
    """The "acns_pattern" of each segment: a key of `PATTERN_WORDS`, or "none"; nothing where it cannot be told.

    `measured` is how often a pattern repeats, and of "none" the highest autocorrelation; `subject` is the side ("left",
    "right") of one that is lateralised, a seizure among them, and `ch_names` are the electrodes of that side. Told are
    segments of at least `MIN_ELECTRODES` with EEG, three pairs of neighbours on each side.

    Args:
        segments: of any recordings.
        good: (C,) of each segment: electrodes with EEG.
    """
    return [_find(segment, own) for segment, own in zip(segments, good, strict=True)]


def _find(segment: Segment, good: NDArray[np.bool_]) -> list[Finding]:
    if len(segment.ch_names) < MIN_ELECTRODES or good.sum() < MIN_ELECTRODES:
        return []
    measures = measure_patterns(segment.signal_uv, segment.ch_names, segment.sfreq, good)
    if measures is None:
        return []
    pattern = read_pattern(measures)
    if pattern is None:
        most = max(max(course.wave, course.sharp) for course in (measures.left, measures.right, measures.both))
        rule = "repetition and evolution of the leading rhythm"
        return [Finding("acns_pattern", "none", "", segment.ch_names, measured=most, unit="correlation", source=rule)]
    names = tuple(name for name, own in zip(segment.ch_names, good, strict=True) if own and _takes_part(name, pattern))
    rule = _RULES.get(pattern.kind[-2:], _ICTAL)
    return [Finding("acns_pattern", pattern.kind, pattern.side, names, measured=pattern.hertz, unit="Hz", source=rule)]


def _takes_part(name: str, pattern: Pattern) -> bool:
    return not pattern.side or side_of(name) == pattern.side
