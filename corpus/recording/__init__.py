"""Files to `Recording`: the only place that meets volts, vendor formats and patient identity."""

from corpus.recording.read import read_recording, recording_from_array
from corpus.recording.types import (
    Annotation,
    Defect,
    Provenance,
    Recording,
    RecordingError,
    SetAside,
    SignalReader,
    Subject,
)
