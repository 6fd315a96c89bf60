"""The background of the EEG, beyond what a narrative states: rhythms, slowing, symmetry, voltage, variation.

for found in find_complete(segment_recording(recording), recording.defects):
    print(*found.details, sep="\\n")      # every finding with electrodes, seconds, number, unit and method
"""

from corpus.background.complete import complete_alone, find_complete
from corpus.background.sketch import Sketch, sketch

__all__ = ["Sketch", "complete_alone", "find_complete", "sketch"]
