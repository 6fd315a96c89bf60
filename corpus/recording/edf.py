"""EDF, EDF+ and BDF, decoded after the published format.

Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp & Olivan 2003, doi:10.1016/S1388-2457(03)00123-8. MNE 1.13
joins the records of a discontinuous file (EDF+D) without a word; for contiguous files both readers agree to rounding.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np

from corpus.recording.identity import ELECTRODE_LIKE, MAX_AGE_YEARS, STATED_AGE, age_years_at, find_date
from corpus.recording.types import (
    Annotation,
    Contents,
    RecordingError,
    SetAside,
    SignalReader,
    Subject,
    Timeline,
    timeline_of,
)

MAX_LOADED_BYTES = 2**28  # of the decoded signal; a longer one (half an hour, 37 channels at 500 Hz) is read in pieces
BLOCK_BYTES = 2**24  # read at a time to find annotations

_UV_PER_UNIT = {"uv": 1.0, "µv": 1.0, "μv": 1.0, "microv": 1.0, "": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}
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


@dataclass(frozen=True)
class _Records:
    """The data records of a file, read when they are asked for; those of a small file once for all."""

    path: Path
    header: _EdfHeader
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, first: int, last: int) -> np.ndarray:
        """Records [first, last) as (n, values per record), int16 or (…, 3) bytes of BDF."""
        return self._read(first, last) if self._all is None else self._all[first:last]

    @cached_property
    def _all(self) -> np.ndarray | None:
        small = 3 * self.count * int(self.header.n_samples.sum()) <= BLOCK_BYTES
        return self._read(0, self.count) if small else None

    def _read(self, first: int, last: int) -> np.ndarray:
        per_record, header = int(self.header.n_samples.sum()), self.header
        dtype, tail, width = ("u1", (3,), 3) if header.bdf else ("<i2", (), 2)
        offset = header.n_bytes + first * per_record * width
        shape = (last - first, per_record, *tail)
        return np.fromfile(self.path, dtype, count=math.prod(shape), offset=offset).reshape(shape)

    def blocks(self) -> Iterator[np.ndarray]:
        """All of them, in blocks of about `BLOCK_BYTES`."""
        step = max(BLOCK_BYTES // (3 * int(self.header.n_samples.sum())), 1)
        for first in range(0, self.count, step):
            yield self.read(first, min(first + step, self.count))


def _find_records(path: Path, header: _EdfHeader) -> tuple[_Records, list[str]]:
    """The complete data records, and what to warn about."""
    per_record = int(header.n_samples.sum())
    if header.record_s <= 0 or per_record <= 0 or header.n_samples.min() < 0:
        raise RecordingError("got data records without duration or samples, expected signals; use a file with EEG")
    width = 3 if header.bdf else 2
    n_bytes = path.stat().st_size - header.n_bytes
    n_records = n_bytes // (width * per_record)
    if n_records == 0:
        raise RecordingError("got a header without a complete data record, expected a signal; copy the file again")
    data, declared = _Records(path, header, n_records), header.n_records
    if declared == n_records:
        return data, []
    if declared < 0:
        return data, ["the recording was not closed properly: its length is taken from the file size"]
    seconds = abs(declared - n_records) * header.record_s
    if n_records < declared:
        text = f"the file is truncated: {n_records} of {declared} data records, the last {seconds:g} s are missing"
    else:
        text = f"the file holds {seconds:g} s more than its header says ({n_records} data records): all were read"
    return data, [text]


def _text_blocks(data: _Records) -> Iterator[list[bytes]]:
    """The bytes of every annotation channel, record by record."""
    edges = np.concatenate([[0], np.cumsum(data.header.n_samples)])
    columns = [slice(edges[i], edges[i + 1]) for i in np.flatnonzero(data.header.is_text)]
    if columns:
        for block in data.blocks():
            yield from ([record[column].tobytes() for column in columns] for record in block)


def _texts(data: _Records) -> tuple[np.ndarray | None, list[Annotation]]:
    """Onset of each record (None if not every record has one) and the annotations, both in file time."""
    header = data.header
    tal = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14([^\x00]*)\x14\x00")
    onsets: list[float] = []
    found: dict[tuple, Annotation] = {}
    for record, channels in enumerate(_text_blocks(data)):
        for i, channel in enumerate(channels):
            for j, (onset, duration, text) in enumerate(tal.findall(channel)):
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


def _edf_timeline(onsets: np.ndarray | None, header: _EdfHeader, n_records: int) -> tuple[Timeline, list[str]]:
    """Where records do not follow each other, by more than two samples and 10 ms."""
    length_s = header.record_s
    tolerance_s = max(2 * length_s / header.n_samples.max(), 0.01)
    continuous = timeline_of(np.zeros(1), np.full(1, n_records * length_s))
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
    return timeline_of(starts, starts + counts * length_s), [told]


def _edf_identity(patient: str, recording: str) -> tuple[str, ...]:
    """The texts that name somebody, in both encodings met in headers. EDF+: the fifth word is the equipment."""
    words = recording.split()
    texts = (patient, " ".join(words[1:4] + words[5:] if words[:1] == ["Startdate"] else words))
    return (*texts, *(_decode(text.encode("latin-1")) for text in texts))


def identity_of_damaged(path: Path) -> tuple[str, ...]:
    """What an EDF/BDF header says about the person, whatever else is wrong with the file; nothing for other files."""
    try:
        with path.open("rb") as stream:
            fixed = stream.read(168)
    except OSError:
        return ()
    return _edf_identity(*_cut(fixed[8:], (80, 80))) if fixed[:8] in _EDF_MAGIC else ()


def _edf_subject(header: _EdfHeader) -> Subject:
    """Age from the two dates, or as stated by TUH ("Age:53"); sex from the second word of the patient field."""
    age_years = age_years_at(find_date(header.patient), find_date(header.recording) or _header_date(header.startdate))
    stated = re.search(STATED_AGE, header.patient, re.IGNORECASE)
    if age_years is None and stated and int(stated[1]) <= 120:
        age_years = min(int(stated[1]), MAX_AGE_YEARS)
    sex = [*header.patient.upper().split(), "", ""][1]
    return Subject(age_years, sex if sex in ("F", "M") else None)


def read_edf(path: Path) -> Contents:
    """One EDF, EDF+ or BDF file; RecordingError where it is damaged."""
    header = _read_edf_header(path)
    data, told = _find_records(path, header)
    onsets, remarks = _texts(data)
    timeline, gaps_told = _edf_timeline(onsets, header, len(data))
    signal_uv, kept, set_aside, rates_told = _edf_signal(data)
    return Contents(
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


def _edf_signal(data: _Records) -> tuple[np.ndarray | SignalReader, list[int], list[SetAside], list[str]]:
    """Voltage channels in microvolts at the rate of the EEG, (C, T); their indices, what was set aside, warnings."""
    kept: list[int] = []
    header = data.header
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
    eeg = [i for i in kept if ELECTRODE_LIKE.search(header.labels[i])]
    target = int(header.n_samples[eeg or kept].max())
    shape = (len(kept), len(data) * target)
    one_rate = (header.n_samples[kept] == target).all()
    signal_uv: np.ndarray | SignalReader
    if one_rate and 8 * math.prod(shape) > MAX_LOADED_BYTES:

        def read(start: int, stop: int) -> np.ndarray:
            first = start // target
            block = _decode_block(data.read(first, -(-stop // target)), header, kept, target)
            return block[:, start - first * target : stop - first * target]

        signal_uv = SignalReader(read, shape)
    else:
        signal_uv = _decode_block(data.read(0, len(data)), header, kept, target)
    return signal_uv, kept, set_aside, _rate_warnings(header, kept, eeg, target)


def _decode_block(records: np.ndarray, header: _EdfHeader, kept: list[int], target: int) -> np.ndarray:
    """Some records as microvolts of the kept channels, (C, records * target)."""
    edges = np.concatenate([[0], np.cumsum(header.n_samples)])
    signal_uv = np.empty((len(kept), len(records) * target))
    for row, i in enumerate(kept):
        block = records[:, edges[i] : edges[i + 1]]
        if header.bdf:
            block = (
                block[..., 0]
                | block[..., 1].astype(np.int32) << 8
                | block[..., 2].astype(np.int8).astype(np.int32) << 16
            )
        scale = _uv_per_unit(header.units[i])
        into = signal_uv[row] if target == header.n_samples[i] else np.empty(block.size)
        np.multiply(block, header.gain[i], out=into.reshape(block.shape))
        into += header.offset[i]
        if target != header.n_samples[i]:
            signal_uv[row] = _at_rate(into, target, header.n_samples[i])
        if scale != 1.0:
            signal_uv[row] *= scale
    return signal_uv


def _at_rate(signal: np.ndarray, up: int, down: int) -> np.ndarray:
    """Resample by up/down with a zero-phase FIR five times as steep as SciPy's own (images stay out of high-gamma)."""
    from scipy.signal import firwin, resample_poly

    top = max(up, down) // math.gcd(up, down)
    return resample_poly(
        signal, up, down, window=firwin(100 * top + 1, 1 / top, window=("kaiser", 5.0)), padtype="line"
    )


def _rate_warnings(header: _EdfHeader, kept: list[int], eeg: list[int], target: int) -> list[str]:
    """What resampling and blank dimensions mean for the reader of the report."""
    told = []
    rate = target / header.record_s
    if slow := [i for i in eeg if header.n_samples[i] < target]:
        nyquist = header.n_samples[slow].min() / header.record_s / 2
        names = ", ".join(header.labels[i] for i in slow[:8])
        told.append(
            f"channels of a lower rate were brought to {rate:g} Hz, nothing above {nyquist:g} Hz is in: {names}"
        )
    fastest = header.n_samples[kept].max() / header.record_s
    if eeg and fastest > rate:
        told.append(
            f"the EEG was recorded at {rate:g} Hz, other channels at up to {fastest:g} Hz: all are used at {rate:g} Hz"
        )
    if blank := [header.labels[i] for i in eeg if not header.units[i]]:
        told.append(f"the header gives no unit, microvolts assumed, for {len(blank)} channels: {', '.join(blank[:8])}")
    return told
