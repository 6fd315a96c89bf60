"""The header of an EDF, EDF+ or BDF file, and what it says about the person.

Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp & Olivan 2003, doi:10.1016/S1388-2457(03)00123-8.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from corpus.recording.identity import MAX_AGE_YEARS, STATED_AGE, age_years_at, find_date
from corpus.recording.types import RecordingError, Subject

_UV_PER_UNIT = {"uv": 1.0, "µv": 1.0, "μv": 1.0, "microv": 1.0, "": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}
_MAGIC = (b"0       ", b"\xffBIOSEMI")  # first 8 bytes


@dataclass(frozen=True)
class EdfHeader:
    """What stands before the records. Attributes not named here are those of the format; C channels.

    Attributes:
        bdf: samples of three bytes.
        format: "EDF", "BDF", or "EDF+" or "BDF+" with C or D for continuous and interrupted.
        record_s: seconds of a record.
        gain: physical units of a digital step, (C,); 0 where the header gives no range.
        offset: physical value of a digital 0, (C,).
        n_samples: of each channel in a record, (C,).
    """

    bdf: bool
    patient: str
    recording: str
    startdate: str
    format: str
    n_records: int
    record_s: float
    labels: list[str]
    units: list[str]
    gain: np.ndarray
    offset: np.ndarray
    n_samples: np.ndarray

    @property
    def n_bytes(self) -> int:
        """Where the records begin."""
        return 256 * (len(self.labels) + 1)

    @property
    def is_text(self) -> np.ndarray:
        """Which channels hold annotations, (C,)."""
        return np.array([label in ("EDF Annotations", "BDF Annotations") for label in self.labels])


def _cut(blob: bytes, widths: Iterable[int]) -> Iterator[str]:
    start = 0
    for width in widths:
        yield blob[start : start + width].decode("latin-1").split("\x00")[0].strip()
        start += width


def _numbers(texts: Iterable[str], what: str) -> np.ndarray:
    try:
        return np.array([float(text.replace(",", ".")) for text in texts])
    except ValueError:
        raise RecordingError(
            f"got a header whose {what} is not a number, expected an intact EDF/BDF header; export the recording again"
        ) from None


def read_header(path: Path) -> EdfHeader:
    """The header of a file; RecordingError where it is none, or damaged."""
    with path.open("rb") as stream:
        fixed = stream.read(256)
        if fixed[:8] not in _MAGIC:
            raise RecordingError(
                "got content that does not begin like EDF or BDF (is it a renamed text file?), expected an EDF/BDF "
                "header; give the file its real extension or export it again"
            )
        fields = list(_cut(fixed, (8, 80, 80, 8, 8, 8, 44, 8, 8, 4)))
        n_bytes, n_records, record_s, n_chans = _numbers((fields[5], *fields[7:]), "size, duration or channel count")
        blob, n_chans = stream.read(256 * max(int(n_chans), 0)), int(n_chans)
    if len(blob) < 256 * n_chans or n_bytes != 256 * (n_chans + 1) or n_chans < 1:
        raise RecordingError(
            f"got a damaged header ({n_chans} channels, {n_bytes:g} header bytes, {256 + len(blob)} found), expected "
            "256 bytes and 256 for each channel; copy or export the recording again"
        )
    columns = list(_cut(blob, (w for w in (16, 80, 8, 8, 8, 8, 8, 80, 8, 32) for _ in range(n_chans))))
    column = [columns[i : i + n_chans] for i in range(0, len(columns), n_chans)]
    physical = _numbers(column[3] + column[4], "physical range").reshape(2, n_chans)
    digital = _numbers(column[5] + column[6], "digital range").reshape(2, n_chans)
    span = digital[1] - digital[0]
    gain = np.divide(physical[1] - physical[0], span, out=np.zeros(n_chans), where=span != 0)
    bdf = fixed[0] == 0xFF
    return EdfHeader(
        bdf=bdf,
        patient=fields[1],
        recording=fields[2],
        startdate=fields[3],
        format=fields[6][:5] if fields[6][:4] in ("EDF+", "BDF+") else "BDF" if bdf else "EDF",
        n_records=int(n_records),
        record_s=float(record_s),
        labels=[decode_text(label.encode("latin-1")) for label in column[0]],
        units=column[2],
        gain=gain,
        offset=physical[0] - digital[0] * gain,
        n_samples=_numbers(column[8], "number of samples").astype(int),
    )


def uv_per_unit(unit: str) -> float | None:
    """Microvolts per physical unit; None if the dimension is not a voltage. A blank dimension counts as microvolts."""
    return _UV_PER_UNIT.get(decode_text(unit.encode("latin-1")).replace("\x83\xca", "µ").lower())


def decode_text(text: bytes) -> str:
    """UTF-8, as EDF+ wants it, or Latin-1."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def header_identity(patient: str, recording: str) -> tuple[str, ...]:
    """The texts that name somebody, in both encodings met in headers. EDF+: the fifth word is the equipment."""
    words = recording.split()
    texts = (patient, " ".join(words[1:4] + words[5:] if words[:1] == ["Startdate"] else words))
    return (*texts, *(decode_text(text.encode("latin-1")) for text in texts))


def identity_of_damaged(path: Path) -> tuple[str, ...]:
    """What an EDF/BDF header says about the person, whatever else is wrong with the file; nothing for other files."""
    try:
        with path.open("rb") as stream:
            fixed = stream.read(168)
    except OSError:
        return ()
    return header_identity(*_cut(fixed[8:], (80, 80))) if fixed[:8] in _MAGIC else ()


def header_subject(header: EdfHeader) -> Subject:
    """Age from the two dates, or as stated by TUH ("Age:53"); sex from the second word of the patient field."""
    age_years = age_years_at(find_date(header.patient), find_date(header.recording) or _header_date(header.startdate))
    stated = re.search(STATED_AGE, header.patient, re.IGNORECASE)
    if age_years is None and stated and int(stated[1]) <= 120:
        age_years = min(int(stated[1]), MAX_AGE_YEARS)
    sex = [*header.patient.upper().split(), "", ""][1]
    return Subject(age_years, sex if sex in ("F", "M") else None)


def _header_date(text: str) -> date | None:
    """dd.mm.yy; 1 January 1985 is the placeholder of anonymised files."""
    found = re.fullmatch(r"(\d\d)\.(\d\d)\.(\d\d)", text)
    if not found or text == "01.01.85":
        return None
    day, month, year = (int(part) for part in found.groups())
    try:
        return date(year + (1900 if year >= 85 else 2000), month, day)
    except ValueError:
        return None
