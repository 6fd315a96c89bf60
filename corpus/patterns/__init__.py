"""Periodic discharges, rhythmic delta and seizures of ten-second segments, each read among its neighbours.

for found in find_complete(segment_recording(recording)):
    print(found.of("acns_pattern"))      # LPD, GPD, LRDA, GRDA, SZ, or "none", with electrodes and frequency
"""

from corpus.patterns.find import EPILEPTIFORM_PATTERNS, PATTERN_WORDS, find_patterns, neighbours, trace_segments
from corpus.patterns.measure import Trace, trace_segment
from corpus.patterns.numbers import NUMBERS, numbers_of
from corpus.patterns.read import Pattern, read_pattern

__all__ = [
    "EPILEPTIFORM_PATTERNS",
    "NUMBERS",
    "PATTERN_WORDS",
    "Pattern",
    "Trace",
    "find_patterns",
    "neighbours",
    "numbers_of",
    "read_pattern",
    "trace_segment",
    "trace_segments",
]
