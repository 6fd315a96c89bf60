"""Files to `Recording`: the only place that meets volts, vendor formats and patient identity.

EDF, EDF+ and BDF are decoded here, after the published format (Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7;
Kemp & Olivan 2003, doi:10.1016/S1388-2457(03)00123-8). MNE 1.13 joins the records of a discontinuous file (EDF+D)
without a word and copies the patient fields into its own objects; for contiguous files both readers agree to rounding
(tests/corpus/test_recording.py). Every other format is read by `mne.io.read_raw`.
"""

import hashlib
import logging
import math
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MIN_DURATION_S = 10.0  # one segment
MIN_SFREQ = 100.0  # below it the gamma band (30-50 Hz) is beyond Nyquist
MAX_AGE_YEARS = 90  # older ages identify a person (HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C))
MAX_UV = 1e9  # 1 kV: no amplifier gives it, so the sample is damaged
REMOVED = "[removed]"

# fmt: off
_FORMATS = {
    ".edf": "EDF", ".bdf": "BDF", ".fif": "FIF", ".fif.gz": "FIF", ".set": "EEGLAB", ".vhdr": "BrainVision",
    ".ahdr": "BrainVision", ".cnt": "CNT", ".gdf": "GDF", ".mff": "EGI", ".nxe": "Eximia", ".lay": "Persyst",
    ".eeg": "Nihon Kohden", ".cdt": "Curry", ".dap": "Curry", ".dat": "Curry or BCI2000", ".data": "Nicolet",
    ".nedf": "NEDF", ".mefd": "MEF", ".ds": "CTF",
}
# fmt: on
_FOLDER_FORMATS = {".mff", ".mefd", ".ds"}
_HEADER_FILES = {".fdt": ".set", ".eeg": ".vhdr", ".vmrk": ".vhdr"}  # companion file -> the file to open instead
_UV_PER_UNIT = {"uv": 1.0, "µv": 1.0, "μv": 1.0, "microv": 1.0, "": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}
_BREAKS = ("boundary", "bad boundary", "edge boundary", "bad_acq_skip", "new segment")
_READER_WARNINGS = {
    r"samples set to zero": "part of the signal could not be read and is zero",
    r"Inferring number of\s+samples": "the header gives no length: it is taken from the file size",
    r"onset that is NaN": "events without a time were dropped",
    r"MarkerFile .* not found": "the marker file is missing: no annotations were read",
}


class RecordingError(ValueError):
    """A recording that cannot be used. One line: got X, expected Y, do Z. Never quotes a header or a full path."""


@dataclass(frozen=True)
class SetAside:
    """A channel of the file that is not used, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Annotation:
    """A remark in the file, on the time axis of the signal (seconds from its first sample)."""

    start_s: float
    duration_s: float
    description: str


@dataclass(frozen=True)
class Defect:
    """A stretch of one channel whose samples are not measurements, e.g. "missing samples"."""

    ch_name: str
    start_s: float
    duration_s: float
    why: str


@dataclass(frozen=True)
class Subject:
    """All that may leave about a person: whole years at the recording (capped at 90) and sex ("F" or "M")."""

    age_years: int | None = None
    sex: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a recording comes from (base name only, SHA-256 of that file, its sampling rate) and what was done."""

    file: str
    format: str
    sha256: str
    sfreq: float
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Recording:
    """A continuous signal with its facts, free of identity.

    Attributes:
        signal_uv: (C, T), microvolts; NaN where a sample is missing or no number.
        sfreq: samples per second.
        ch_names: C unique names.
        breaks_s: times on the signal's own axis where it is not continuous.
        warnings: stated degradations, one sentence each, to be shown in the report.

    Raises:
        RecordingError: if the array is not (C, T) with one unique name per row.
    """

    signal_uv: np.ndarray = field(repr=False)
    sfreq: float
    ch_names: tuple[str, ...]
    annotations: tuple[Annotation, ...] = ()
    breaks_s: tuple[float, ...] = ()
    defects: tuple[Defect, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    subject: Subject = Subject()
    provenance: Provenance | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape, names = np.shape(self.signal_uv), self.ch_names
        if len(shape) != 2 or shape[0] != len(names) or len(set(names)) != len(names):
            raise RecordingError(
                f"got a signal of shape {shape} with {len(names)} names ({len(set(names))} different), "
                "expected (channels, samples) and one unique name per channel; correct ch_names or transpose"
            )

    @property
    def duration_s(self) -> float:
        """Length of the signal, seconds."""
        return self.signal_uv.shape[1] / self.sfreq

    @property
    def n_chans(self) -> int:
        """Number of channels."""
        return self.signal_uv.shape[0]

    def with_step(self, text: str, **changes: Any) -> "Recording":
        """A new recording with `changes` applied and `text` added to what was done (`provenance.steps`)."""
        origin = self.provenance or Provenance(file="", format="array", sha256="", sfreq=self.sfreq)
        return replace(self, provenance=replace(origin, steps=(*origin.steps, text)), **changes)


@dataclass
class _Contents:
    """What a reader hands over: microvolts on one time axis, and identity still inside."""

    format: str
    signal_uv: np.ndarray
    sfreq: float
    ch_names: list[str]
    annotations: list[Annotation]
    breaks_s: list[float]
    set_aside: list[SetAside]
    subject: Subject
    identity: tuple[str, ...]  # header texts that name a person, a patient number, a hospital
    warnings: list[str]


def read_recording(path: str | Path) -> Recording:
    """Read a file: all voltage channels in microvolts, breaks, annotations, age and sex. Identity stays behind.

    Words of the patient and recording fields of the header, and dates, are replaced by "[removed]" wherever they occur
    in annotations, channel names and the base name of the file.

    Raises:
        RecordingError: missing, locked, damaged or unknown file, less than 10 s, below 100 Hz, or no voltage channel.
    """
    path = Path(path)
    contents, digest, problem = None, "", ""
    try:
        suffix = _checked_suffix(path)
        digest = _sha256(path)
        contents = _read_edf(path) if suffix in (".edf", ".bdf") else _read_with_mne(path, _FORMATS[suffix])
    except RecordingError as error:
        problem = str(error)
    except PermissionError:
        problem = "got a file that may not be opened, expected a readable one; close what holds it or ask for access"
    except FileNotFoundError:
        problem = "got a recording without one of its companion files (such as .fdt, .eeg or .vmrk); put it beside"
    except ImportError as error:
        problem = f"got a format that needs the package {error.name}, which is missing; install it"
    except Exception as error:  # a reader met what its format does not allow; its own text may quote the header
        problem = (
            f"got content that cannot be decoded ({type(error).__name__}), expected an intact, continuous recording; "
            "export it again, for example as EDF+"
        )
    if contents is None:  # raised here, so that no reader's exception hangs on it
        raise RecordingError(f"{_scrubber(_identity_of_damaged(path))(path.name)}: {problem}")
    return _deliver(contents, path.name, digest)


def _deliver(contents: _Contents, file: str, digest: str) -> Recording:
    """Check the contents and strip identity."""
    scrub = _scrubber(contents.identity)
    file = scrub(file)
    if not contents.ch_names:
        raise RecordingError(f"{file}: got no voltage channel, expected EEG in V, mV or uV; correct the header's units")
    duration_s = contents.signal_uv.shape[1] / contents.sfreq
    if contents.sfreq < MIN_SFREQ:
        raise RecordingError(
            f"{file}: got {contents.sfreq:g} Hz, expected at least {MIN_SFREQ:g} Hz because gamma (30-50 Hz) cannot be "
            "measured below; use the recording at its original sampling rate"
        )
    if duration_s < MIN_DURATION_S:
        raise RecordingError(
            f"{file}: got {duration_s:.1f} s of signal, expected at least {MIN_DURATION_S:g} s; use a longer recording"
        )
    signal_uv = contents.signal_uv
    signal_uv[~(np.abs(signal_uv) < MAX_UV)] = np.nan
    inside = [
        replace(a, duration_s=min(a.duration_s, duration_s - a.start_s), description=scrub(a.description))
        for a in contents.annotations
        if 0 <= a.start_s <= duration_s
    ]
    if lost := len(contents.annotations) - len(inside):
        contents.warnings.append(f"{lost} annotations lie outside of the signal and were dropped")
    return Recording(
        signal_uv=signal_uv,
        sfreq=contents.sfreq,
        ch_names=tuple(_unique([scrub(name) for name in contents.ch_names])),
        annotations=tuple(inside),
        breaks_s=tuple(contents.breaks_s),
        set_aside=tuple(replace(s, name=scrub(s.name)) for s in contents.set_aside),
        subject=contents.subject,
        provenance=Provenance(file, contents.format, digest, contents.sfreq),
        warnings=tuple(scrub(w) for w in contents.warnings),
    )


def _checked_suffix(path: Path) -> str:
    """The known suffix of a path that exists and is not empty."""
    if not path.exists():
        raise RecordingError("got a path that does not exist, expected an EEG file; check the path")
    suffix = "".join(path.suffixes[-2:]).lower()
    suffix = suffix if suffix in _FORMATS else path.suffix.lower()
    header = _HEADER_FILES.get(suffix)
    if header and path.with_suffix(header).exists():
        raise RecordingError(f"got the data file of a recording, expected its header; open the {header} file beside it")
    if path.is_dir() and suffix not in _FOLDER_FORMATS:
        raise RecordingError("got a folder, expected an EEG file; give the path of one file")
    if suffix not in _FORMATS:
        raise RecordingError(
            f"got an unknown extension, expected one of {', '.join(_FORMATS)}; give the file its real extension or "
            "export it as EDF+"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise RecordingError("got an empty file of 0 bytes, expected an EEG recording; copy it again")
    return suffix


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _unique(names: list[str]) -> list[str]:
    """Number repeated names: Fp1, Fp1 -> Fp1-0, Fp1-1 (as MNE does)."""
    counts, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        numbered.append(f"{name}-{seen[name]}" if counts[name] > 1 else name)
        seen[name] += 1
    return numbered


# ---------------------------------------------------------------- identity

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?:{'|'.join(_MONTHS)})[a-z]*"
_DATE = (
    rf"(?<!\d)\d{{1,2}}[-. /]{_MONTH}[-. /,]*\d{{2,4}}|{_MONTH}[. ]+\d{{1,2}}(?:st|nd|rd|th)?,?[ ]+\d{{4}}"
    r"|(?<!\d)\d{1,2}[-./]\d{1,2}[-./]\d{2,4}(?!\d)|(?<!\d)(?:19|20)\d\d[-./]\d{1,2}[-./]\d{1,2}(?!\d)"
    r"|(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)"
)
_AGE = r"\bage\W{0,2}(\d{1,3})\b"
_ORDINARY = re.compile(
    "startdate|anonym.*|patient|subject|unknown|unnamed|none|male|female|age|the|and|for|eeg|ecg|ekg|eog|emg|ref|avg|pol"
    "|resp|edf|bdf|eyes|open|closed|rest|event|hospital|clinic|department|doctor|dr|mr|mrs",
    re.IGNORECASE,
)
_ELECTRODE = re.compile(r"(?<![a-z])(?:fp|afp?|f|f[ct]|t|tp|c|cp|p|po|o|i|a|m)(?:z|\d{1,2})(?![a-z\d])", re.IGNORECASE)


def _scrubber(identity: Iterable[str]) -> Any:
    """A function that replaces dates, and the words of the `identity` texts, by "[removed]".

    Words of four letters or more are found inside longer words too ("JaneDoe"); shorter ones only whole. Ordinary words
    ("patient"), single characters, numbers below 100 and electrode names are not identity.
    """
    words: set[str] = set()
    for text in identity:
        plain = re.sub(f"{_DATE}|{_AGE}", " ", text, flags=re.IGNORECASE)
        parts = [part for part in re.split(r"[\W_]+", plain) if len(part) > 1 or _is_ideograph(part)]
        parts = [p for p in parts if not _ORDINARY.fullmatch(p) and not _ELECTRODE.fullmatch(p)]
        words.update(part for part in parts if len(part) > 2 or not part.isdigit())
        words.update(a + b for pair in pairwise(parts) for a, b in (pair, pair[::-1]))
    words |= {"".join(c for c in unicodedata.normalize("NFKD", w) if not unicodedata.combining(c)) for w in words}
    patterns = [_DATE]
    for word in sorted(words, key=len, reverse=True):
        whole = len(word) < 4 and not _is_ideograph(word)
        left = r"(?<!\d)" if word[0].isdigit() else r"(?<![^\W_])" if whole else ""
        right = r"(?!\d)" if word[-1].isdigit() else r"(?![^\W_])" if whole else ""
        patterns.append(left + re.escape(word) + right)
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    return lambda text: pattern.sub(REMOVED, text)


def _is_ideograph(word: str) -> bool:
    """A script without letter case, where one sign can be a name and words are not separated."""
    return bool(word) and unicodedata.category(word[0]) == "Lo"


def _date(text: str) -> date | None:
    """The first dd-MMM-yyyy in a header field (English months, whatever the locale)."""
    found = re.search(rf"(?<!\d)(\d{{1,2}})-({'|'.join(_MONTHS)})-(\d{{4}})", text, re.IGNORECASE)
    try:
        return found and date(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    except ValueError:
        return None


def _age_years(birth: date | None, recorded: date | None) -> int | None:
    """Whole years, capped at 90; None where a date is missing or the result is not an age."""
    if birth is None or recorded is None:
        return None
    years = recorded.year - birth.year - ((recorded.month, recorded.day) < (birth.month, birth.day))
    return min(years, MAX_AGE_YEARS) if 0 <= years <= 120 else None


# ---------------------------------------------------------------- time with gaps


@dataclass(frozen=True)
class _Timeline:
    """Pieces of continuous signal: when each began (file time) and where it lies (signal time), seconds."""

    file_s: np.ndarray
    signal_s: np.ndarray
    length_s: np.ndarray

    @property
    def breaks_s(self) -> list[float]:
        return [float(t) for t in self.signal_s[1:]]

    def to_signal(self, time_s: float) -> float:
        """A file time on the signal's axis; a time inside a gap falls on its break."""
        piece = max(int(np.searchsorted(self.file_s, time_s + 1e-6, side="right")) - 1, 0)
        within = time_s - self.file_s[piece]
        if piece < len(self.file_s) - 1:
            within = min(within, self.length_s[piece])
        return float(self.signal_s[piece] + within)

    def place(self, annotation: Annotation) -> Annotation:
        start_s = self.to_signal(annotation.start_s)
        duration_s = self.to_signal(annotation.start_s + annotation.duration_s) - start_s
        return replace(annotation, start_s=start_s, duration_s=duration_s)


def _timeline(starts: np.ndarray, stops: np.ndarray) -> _Timeline:
    """Pieces [start, stop) in file time, in order, laid end to end."""
    lengths = stops - starts
    return _Timeline(starts, np.concatenate([[0.0], np.cumsum(lengths)[:-1]]), lengths)


# ---------------------------------------------------------------- EDF, EDF+, BDF

_EDF_MAGIC = (b"0       ", b"\xffBIOSEMI")  # first 8 bytes


@dataclass(frozen=True)
class _EdfHeader:
    bdf: bool
    patient: str
    recording: str
    startdate: str
    format: str
    n_records: int
    record_s: float
    labels: list[str]
    units: list[str]
    gain: np.ndarray  # physical units per digital step; 0 where the header gives no range
    offset: np.ndarray
    n_samples: np.ndarray  # per record, each channel

    @property
    def n_bytes(self) -> int:
        return 256 * (len(self.labels) + 1)

    @property
    def is_text(self) -> np.ndarray:
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


def _read_edf_header(path: Path) -> _EdfHeader:
    with path.open("rb") as stream:
        fixed = stream.read(256)
        if fixed[:8] not in _EDF_MAGIC:
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
    return _EdfHeader(
        bdf=bdf,
        patient=fields[1],
        recording=fields[2],
        startdate=fields[3],
        format=fields[6][:5] if fields[6][:4] in ("EDF+", "BDF+") else "BDF" if bdf else "EDF",
        n_records=int(n_records),
        record_s=float(record_s),
        labels=[_decode(label.encode("latin-1")) for label in column[0]],
        units=column[2],
        gain=gain,
        offset=physical[0] - digital[0] * gain,
        n_samples=_numbers(column[8], "number of samples").astype(int),
    )


def _read_records(path: Path, header: _EdfHeader) -> tuple[np.ndarray, list[str]]:
    """Data records as (n_records, values per record), int16 or (…, 3) bytes of BDF, and what to warn about."""
    per_record = int(header.n_samples.sum())
    if header.record_s <= 0 or per_record <= 0 or header.n_samples.min() < 0:
        raise RecordingError("got data records without duration or samples, expected signals; use a file with EEG")
    width = 3 if header.bdf else 2
    n_bytes = path.stat().st_size - header.n_bytes
    n_records = n_bytes // (width * per_record)
    if n_records == 0:
        raise RecordingError("got a header without a complete data record, expected a signal; copy the file again")
    dtype, shape = ("u1", (n_records, per_record, 3)) if header.bdf else ("<i2", (n_records, per_record))
    data = np.fromfile(path, dtype, count=int(np.prod(shape)), offset=header.n_bytes).reshape(shape)
    if header.n_records == n_records:
        return data, []
    if header.n_records < 0:
        return data, ["the recording was not closed properly: its length is taken from the file size"]
    seconds = abs(header.n_records - n_records) * header.record_s
    if n_records < header.n_records:
        text = (
            f"the file is truncated: {n_records} of {header.n_records} data records, the last {seconds:g} s are missing"
        )
    else:
        text = f"the file holds {seconds:g} s more than its header says ({n_records} data records): all were read"
    return data, [text]


def _texts(data: np.ndarray, header: _EdfHeader) -> tuple[np.ndarray | None, list[Annotation]]:
    """Onset of each record (None if not every record has one) and the annotations, both in file time."""
    edges = np.concatenate([[0], np.cumsum(header.n_samples)])
    channels = [data[:, edges[i] : edges[i + 1]] for i in np.flatnonzero(header.is_text)]
    tal = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")
    onsets: list[float] = []
    found: dict[tuple, Annotation] = {}
    for record in range(len(data) if channels else 0):
        for i, channel in enumerate(channels):
            for j, (onset, duration, text) in enumerate(tal.findall(channel[record].tobytes())):
                if i == j == 0 and text.split(b"\x14")[0] == b"":
                    onsets.append(float(onset))
                for k, remark in enumerate(filter(None, text.split(b"\x14"))):
                    words, _, channel_name = _decode(remark).partition("@@")
                    words = words if channel_name in header.labels else _decode(remark)
                    key = (onset, duration, words) if channel_name else (record, i, j, k)
                    found.setdefault(key, Annotation(float(onset), float(duration or 0), words))
    start_s = onsets[0] if onsets else 0.0
    remarks = [replace(a, start_s=a.start_s - start_s) for a in found.values()]
    return (np.array(onsets) - start_s if len(onsets) == len(data) else None), remarks


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _edf_timeline(onsets: np.ndarray | None, header: _EdfHeader, n_records: int) -> tuple[_Timeline, list[str]]:
    """Where records do not follow each other, by more than two samples and 10 ms."""
    length_s = header.record_s
    tolerance_s = max(2 * length_s / header.n_samples.max(), 0.01)
    continuous = _timeline(np.zeros(1), np.full(1, n_records * length_s))
    if onsets is None:
        lost = header.format.endswith("+D")
        return continuous, ["the times of the data records are missing: gaps cannot be located"] if lost else []
    gaps_s = np.diff(onsets) - length_s
    jumps = np.flatnonzero(np.abs(gaps_s) > tolerance_s)
    if len(jumps) == 0:
        return continuous, []
    if (gaps_s < -tolerance_s).any():
        return continuous, ["the times of the data records run backwards: read as one continuous recording"]
    starts = onsets[np.concatenate([[0], jumps + 1])]
    counts = np.diff(np.concatenate([[0], jumps + 1, [n_records]]))
    told = f"the recording is interrupted {len(jumps)} times, {gaps_s[jumps].sum():.1f} s are missing in total"
    return _timeline(starts, starts + counts * length_s), [told]


def _edf_identity(patient: str, recording: str) -> tuple[str, ...]:
    """The texts that name somebody, in both encodings met in headers. EDF+: the fifth word is the equipment."""
    words = recording.split()
    texts = (patient, " ".join(words[1:4] + words[5:] if words[:1] == ["Startdate"] else words))
    return (*texts, *(_decode(text.encode("latin-1")) for text in texts))


def _identity_of_damaged(path: Path) -> tuple[str, ...]:
    """What an EDF/BDF header says about the person, whatever else is wrong with the file; nothing for other files."""
    try:
        with path.open("rb") as stream:
            fixed = stream.read(168)
    except OSError:
        return ()
    return _edf_identity(*_cut(fixed[8:], (80, 80))) if fixed[:8] in _EDF_MAGIC else ()


def _edf_subject(header: _EdfHeader) -> Subject:
    """Age from the two dates, or as stated by TUH ("Age:53"); sex from the second word of the patient field."""
    age_years = _age_years(_date(header.patient), _date(header.recording) or _header_date(header.startdate))
    stated = re.search(_AGE, header.patient, re.IGNORECASE)
    if age_years is None and stated and int(stated[1]) <= 120:
        age_years = min(int(stated[1]), MAX_AGE_YEARS)
    sex = [*header.patient.upper().split(), "", ""][1]
    return Subject(age_years, sex if sex in ("F", "M") else None)


def _read_edf(path: Path) -> _Contents:
    header = _read_edf_header(path)
    data, told = _read_records(path, header)
    onsets, remarks = _texts(data, header)
    timeline, gaps_told = _edf_timeline(onsets, header, len(data))
    signal_uv, kept, set_aside, rates_told = _edf_signal(data, header)
    return _Contents(
        format=header.format,
        signal_uv=signal_uv,
        sfreq=signal_uv.shape[1] / (len(data) * header.record_s),
        ch_names=[header.labels[i] for i in kept],
        annotations=[timeline.place(a) for a in remarks],
        breaks_s=timeline.breaks_s,
        set_aside=set_aside,
        subject=_edf_subject(header),
        identity=_edf_identity(header.patient, header.recording),
        warnings=told + gaps_told + rates_told,
    )


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


def _uv_per_unit(unit: str) -> float | None:
    """Microvolts per physical unit; None if the dimension is not a voltage. A blank dimension counts as microvolts."""
    return _UV_PER_UNIT.get(_decode(unit.encode("latin-1")).replace("\x83\xca", "µ").lower())


def _edf_signal(data: np.ndarray, header: _EdfHeader) -> tuple[np.ndarray, list[int], list[SetAside], list[str]]:
    """Voltage channels in microvolts at the rate of the EEG, (C, T); their indices, what was set aside, warnings."""
    kept: list[int] = []
    set_aside = []
    for i in np.flatnonzero(~header.is_text).tolist():
        if _uv_per_unit(header.units[i]) is None:
            set_aside.append(SetAside(header.labels[i], "not a voltage"))
        elif header.gain[i] == 0 or not np.isfinite(header.gain[i] + header.offset[i]) or header.n_samples[i] == 0:
            set_aside.append(SetAside(header.labels[i], "the header gives it no range or no samples"))
        else:
            kept.append(i)
    if not kept:
        return np.empty((0, 0)), kept, set_aside, []
    eeg = [i for i in kept if _ELECTRODE.search(header.labels[i])]
    target = int(header.n_samples[eeg or kept].max())
    edges = np.concatenate([[0], np.cumsum(header.n_samples)])
    signal_uv = np.empty((len(kept), len(data) * target))
    for row, i in enumerate(kept):
        block = data[:, edges[i] : edges[i + 1]]
        if header.bdf:
            block = (
                block[..., 0]
                | block[..., 1].astype(np.int32) << 8
                | block[..., 2].astype(np.int8).astype(np.int32) << 16
            )
        physical = block.ravel() * header.gain[i] + header.offset[i]
        signal_uv[row] = _at_rate(physical, target, header.n_samples[i]) * _uv_per_unit(header.units[i])
    return signal_uv, kept, set_aside, _rate_warnings(header, kept, eeg, target)


def _at_rate(signal: np.ndarray, up: int, down: int) -> np.ndarray:
    """Resample by up/down with a zero-phase FIR five times as steep as SciPy's own (images stay out of high-gamma)."""
    from scipy.signal import firwin, resample_poly

    if up == down:
        return signal
    top = max(up, down) // math.gcd(up, down)
    return resample_poly(
        signal, up, down, window=firwin(100 * top + 1, 1 / top, window=("kaiser", 5.0)), padtype="line"
    )


def _rate_warnings(header: _EdfHeader, kept: list[int], eeg: list[int], target: int) -> list[str]:
    """What resampling and blank dimensions mean for the reader of the report."""
    told = []
    rate = target / header.record_s
    slow = [i for i in eeg if header.n_samples[i] < target]
    if slow:
        slowest = header.n_samples[slow].min() / header.record_s
        names = ", ".join(header.labels[i] for i in slow[:8])
        told.append(
            f"channels recorded at a lower rate were brought to {rate:g} Hz, nothing above {slowest / 2:g} Hz is in: "
            + names
        )
    fastest = header.n_samples[kept].max() / header.record_s
    if eeg and fastest > rate:
        told.append(
            f"the EEG was recorded at {rate:g} Hz, other channels at up to {fastest:g} Hz: all are used at {rate:g} Hz"
        )
    if blank := [header.labels[i] for i in eeg if not header.units[i]]:
        told.append(f"the header gives no unit, microvolts assumed, for {len(blank)} channels: {', '.join(blank[:8])}")
    return told


# ---------------------------------------------------------------- every other format


@contextmanager
def _silent_mne() -> Iterator[list[warnings.WarningMessage]]:
    """Keep MNE from printing or logging, file handlers included: its messages may quote the header."""
    import mne

    logger = logging.getLogger("mne")
    with warnings.catch_warnings(record=True) as caught, mne.utils.use_log_level("WARNING"):
        warnings.simplefilter("always")
        disabled, logger.disabled = logger.disabled, True
        try:
            yield caught
        finally:
            logger.disabled = disabled


def _read_with_mne(path: Path, format_name: str) -> _Contents:
    import mne

    with _silent_mne() as caught:
        raw = mne.io.read_raw(path, preload=False)
        data = raw.get_data()
    told = [text for key, text in _READER_WARNINGS.items() if any(re.search(key, str(w.message)) for w in caught)]
    remarks = [
        Annotation(float(onset), float(duration), str(text))
        for onset, duration, text in zip(
            raw.annotations.onset - raw.first_time, raw.annotations.duration, raw.annotations.description, strict=True
        )
    ]
    keep, timeline = _stretches(remarks, raw.n_times, raw.info["sfreq"])
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    why = {
        name: f"{kind} channel, not an EEG voltage"
        for name, kind in kinds.items()
        if kind not in ("eeg", "eog", "ecg", "emg")
    }
    why |= dict.fromkeys(raw.info["bads"], "marked bad in the file")
    rows = [i for i, name in enumerate(raw.ch_names) if name not in why]
    data = data[rows] if keep.all() else data[rows][:, keep]
    data *= 1e6  # V to uV
    subject, identity = _subject_of(raw.info)
    return _Contents(
        format=format_name,
        signal_uv=data,
        sfreq=float(raw.info["sfreq"]),
        ch_names=[raw.ch_names[i] for i in rows],
        annotations=[timeline.place(a) for a in remarks if not _is_break(a)],
        breaks_s=timeline.breaks_s,
        set_aside=[SetAside(name, text) for name, text in why.items()],
        subject=subject,
        identity=identity,
        warnings=told,
    )


def _is_break(remark: Annotation) -> bool:
    return remark.description.lower().startswith(_BREAKS)


def _stretches(remarks: list[Annotation], n_times: int, sfreq: float) -> tuple[np.ndarray, _Timeline]:
    """Samples to keep, (T,) bool, and the timeline: acquisition skips (stored as zeros) are cut out."""
    keep = np.ones(n_times, bool)
    cuts = {0, n_times}
    for remark in filter(_is_break, remarks):
        start, stop = (round(t * sfreq) for t in (remark.start_s, remark.start_s + remark.duration_s))
        if remark.description.lower().startswith("bad_acq_skip"):
            keep[max(start, 0) : max(stop, 0)] = False
            cuts |= {stop}
        cuts |= {start}
    edges = sorted(c for c in cuts if 0 <= c <= n_times)
    pieces = [(a, b) for a, b in pairwise(edges) if keep[a:b].any()]
    return keep, _timeline(np.array([a for a, _ in pieces]) / sfreq, np.array([b for _, b in pieces]) / sfreq)


def _subject_of(info: Any) -> tuple[Subject, tuple[str, ...]]:
    """Age and sex, and the header texts that name somebody."""
    facts = info["subject_info"] or {}
    birth, recorded = facts.get("birthday"), info["meas_date"]
    birth = date(*birth) if isinstance(birth, tuple) else birth
    sex = {1: "M", 2: "F"}.get(facts.get("sex", 0))
    site = (info["device_info"] or {}).get("site")
    texts = [facts.get(key) for key in ("his_id", "id", "last_name", "first_name", "middle_name")]
    texts += [info["experimenter"], site]
    return Subject(_age_years(birth, recorded and recorded.date()), sex), tuple(str(text) for text in texts if text)
