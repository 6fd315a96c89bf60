"""Files to `Recording`: the only place that meets volts, vendor formats and patient identity."""

from corpus.recording.read import read_recording
from corpus.recording.types import (
    Annotation,
    Defect,
    Provenance,
    Recording,
    RecordingError,
    SetAside,
    Subject,
)
