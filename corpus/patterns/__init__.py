"""Periodic discharges, rhythmic delta and seizures of ten-second segments, by rules on what is measured.

for found in find_complete(segment_recording(recording)):
    print(found.of("acns_pattern"))      # LPD, GPD, LRDA, GRDA, SZ, or "none", with electrodes and frequency
"""

from corpus.patterns.find import EPILEPTIFORM_PATTERNS, PATTERN_WORDS, find_patterns
from corpus.patterns.measure import Measures, measure_patterns
from corpus.patterns.read import Pattern, read_pattern

__all__ = [
    "EPILEPTIFORM_PATTERNS",
    "PATTERN_WORDS",
    "Measures",
    "Pattern",
    "find_patterns",
    "measure_patterns",
    "read_pattern",
]
