"""A recording to EDF+, without anything about a person."""

import math
from pathlib import Path

import numpy as np

from corpus.recording import Recording, RecordingError


def write_edf(recording: Recording, path: str | Path) -> None:
    """Write signal and annotations as EDF+C in microvolts; patient, date and equipment fields stay anonymous.

    Each channel's physical range is that of its data, so the error is at most half of (largest - smallest) / 65535.
    EDF holds whole data records (of 1 s where sfreq is whole): the last one is filled by repeating the last sample.

    Raises:
        RecordingError: If a sample is not finite or no data record holds whole samples, which EDF cannot express.
    """
    import edfio

    signal = np.asarray(recording.signal_uv, dtype=np.float64)
    broken = [name for name, row in zip(recording.ch_names, signal, strict=True) if not np.isfinite(row).all()]
    if broken:
        raise RecordingError(
            f"got missing or infinite samples in {', '.join(broken)}, expected finite microvolts: "
            "interpolate or drop these channels before writing EDF"
        )
    record_s = _record_duration(recording.sfreq)
    missing = -signal.shape[1] % round(recording.sfreq * record_s)
    signal = np.pad(signal, ((0, 0), (0, missing)), mode="edge")
    edf = edfio.Edf(
        [
            edfio.EdfSignal(row, recording.sfreq, label=name, physical_dimension="uV")
            for name, row in zip(recording.ch_names, signal, strict=True)
        ],
        annotations=[edfio.EdfAnnotation(a.start_s, a.duration_s, a.description) for a in recording.annotations],
        data_record_duration=record_s,
    )
    edf.write(str(path))


def _record_duration(sfreq: float) -> int:
    """The shortest whole number of seconds that holds a whole number of samples."""
    for seconds in range(1, 101):
        if math.isclose(sfreq * seconds, round(sfreq * seconds), abs_tol=1e-6):
            return seconds
    raise RecordingError(f"got sfreq {sfreq}, expected whole samples in at most 100 s: resample before writing EDF")
