"""Annotations of an EDF+ file beside a signal, as sleep scorings are published (Kemp & Olivan 2003)."""

import re
from collections.abc import Iterator
from pathlib import Path

from corpus.recording.edf_header import identity_of_damaged
from corpus.recording.identity import scrubber
from corpus.recording.types import Annotation, RecordingError

_TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")  # onset, duration, texts
_FIXED, _CHANNEL = 256, 256  # bytes of the header, and more for each channel
_N_SAMPLES_AT = 216  # bytes of a channel's header before its samples a record


def read_edf_annotations(path: Path) -> tuple[Annotation, ...]:
    """Annotations in seconds from the start of the file, by time; words of the patient and dates are replaced.

    Signals are passed over, and a duration of 0 for the data records, which EDF+ allows without signals, is no matter.

    Raises:
        RecordingError: the file is missing, damaged, or has no channel for annotations.
    """
    if not path.is_file():
        raise RecordingError(f"got no file {path.name}, expected the published annotations; copy it beside the signal")
    scrub = scrubber(identity_of_damaged(path))
    try:
        found = [tal for text in _texts(path.read_bytes()) for tal in _TAL.findall(text)]
    except ValueError:
        found = []
    if not found:
        raise RecordingError(
            f"{scrub(path.name)}: got a file without annotations, expected EDF+ with a channel 'EDF Annotations'; copy "
            "it again"
        )
    first_s = 0.0 if found[0][2].split(b"\x14")[0] else float(found[0][0])  # a record begins with its own time, no text
    remarks = [
        Annotation(float(onset) - first_s, float(duration or 0), scrub(words.decode("utf-8", "replace").split("@@")[0]))
        for onset, duration, texts in found
        for words in texts.split(b"\x14")
        if words
    ]
    return tuple(sorted(remarks, key=lambda remark: remark.start_s))


def _texts(blob: bytes) -> Iterator[bytes]:
    """What each record holds in its annotation channels; ValueError where the header has no numbers."""
    n_chans = int(blob[252:256])
    counts = _FIXED + _N_SAMPLES_AT * n_chans
    n_samples = [int(blob[start : start + 8]) for start in range(counts, counts + 8 * n_chans, 8)]
    labels = [blob[start : start + 16].strip() for start in range(_FIXED, _FIXED + 16 * n_chans, 16)]
    width = 2 * sum(n_samples)
    if width <= 0 or min(n_samples) < 0:
        raise ValueError
    for record in range(_FIXED + _CHANNEL * n_chans, len(blob) - width + 1, width):
        start = record
        for label, count in zip(labels, n_samples, strict=True):
            if label == b"EDF Annotations":
                yield blob[start : start + 2 * count]
            start += 2 * count


def edf_clock_s(path: Path) -> int | None:
    """When the first sample was taken, seconds after midnight, as an EDF header says; None where it cannot be read."""
    with path.open("rb") as stream:
        parts = stream.read(184)[176:].decode("latin-1").split(".")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        return None
    hours, minutes, seconds = (int(part) for part in parts)
    return 3600 * hours + 60 * minutes + seconds
