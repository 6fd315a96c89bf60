"""Files with a gap, whose tables count the time that is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpus.recording import Recording, read_recording
from corpus.recording.types import timeline_of


@pytest.fixture
def read_interrupted() -> Callable[[Path], Recording]:
    """Reads a file as if 5 s were missing after its first 10 s."""

    def read(path: Path) -> Recording:
        recording = read_recording(path)
        stops = np.array([10.0, recording.duration_s + 5])
        return replace(recording, breaks_s=(10.0,), timeline=timeline_of(np.array([0.0, 15.0]), stops))

    return read
