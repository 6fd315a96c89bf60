"""Annotations of an EDF+ file that holds no signal, as sleep scorings are published."""

from dataclasses import replace
from pathlib import Path

from corpus.recording import edf
from corpus.recording.identity import scrubber
from corpus.recording.types import Annotation, RecordingError


def read_edf_annotations(path: Path) -> tuple[Annotation, ...]:
    """Annotations in seconds from the start of the file, by time; words of the patient and dates are replaced.

    A duration of 0 for the data records is let through: EDF+ allows it where there is no signal.

    Raises:
        RecordingError: the file is missing, damaged, or has no channel for annotations.
    """
    if not path.is_file():
        raise RecordingError(f"got no file {path.name}, expected the published annotations; copy it beside the signal")
    try:
        header = edf._read_edf_header(path)
        if not header.is_text.any():
            raise RecordingError("got EDF without annotations, expected an EDF+ file with them; copy it again")
        data, _ = edf._read_records(path, replace(header, record_s=header.record_s or 1.0))
    except RecordingError as error:
        problem = f"{scrubber(edf.identity_of_damaged(path))(path.name)}: {error}"
    else:
        scrub = scrubber(edf._edf_identity(header.patient, header.recording))
        _, remarks = edf._texts(data, header)
        found = [replace(remark, description=scrub(remark.description)) for remark in remarks]
        return tuple(sorted(found, key=lambda remark: remark.start_s))
    raise RecordingError(problem)


def edf_clock_s(path: Path) -> int | None:
    """When the first sample was taken, seconds after midnight, as an EDF header says; None where it cannot be read."""
    with path.open("rb") as stream:
        parts = stream.read(184)[176:].decode("latin-1").split(".")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        return None
    hours, minutes, seconds = (int(part) for part in parts)
    return 3600 * hours + 60 * minutes + seconds
