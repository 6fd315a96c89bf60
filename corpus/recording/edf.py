"""EDF, EDF+ and BDF, decoded after the published format.

Kemp et al. 1992, doi:10.1016/0013-4694(92)90009-7; Kemp & Olivan 2003, doi:10.1016/S1388-2457(03)00123-8. MNE 1.13
joins the records of a discontinuous file (EDF+D) without a word; for contiguous files both readers agree to rounding.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from corpus.recording.edf_header import (
    EdfHeader,
    decode_text,
    header_identity,
    header_subject,
    read_header,
    uv_per_unit,
)
from corpus.recording.identity import ELECTRODE_LIKE
from corpus.recording.types import (
    Annotation,
    Contents,
    RecordingError,
    SetAside,
    SignalReader,
    Timeline,
    timeline_of,
)

MAX_LOADED_BYTES = 2**28  # of the decoded signal; a longer one (half an hour, 37 channels at 500 Hz) is read in pieces
BLOCK_BYTES = 2**24  # read at a time to find annotations


@dataclass(frozen=True)
class _Records:
    """The data records of a file, read when they are asked for; those of a small file once for all."""

    path: Path
    header: EdfHeader
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


def _find_records(path: Path, header: EdfHeader) -> tuple[_Records, list[str]]:
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
                    words, _, channel_name = decode_text(remark).partition("@@")
                    words = words if channel_name in header.labels else decode_text(remark)
                    key = (onset, duration, words) if channel_name else (record, i, j, k)
                    found.setdefault(key, Annotation(float(onset), float(duration or 0), words))
    start_s = onsets[0] if onsets else 0.0
    remarks = [replace(a, start_s=a.start_s - start_s) for a in found.values()]
    return (np.array(onsets) - start_s if len(onsets) == len(data) else None), remarks


def _edf_timeline(onsets: np.ndarray | None, header: EdfHeader, n_records: int) -> tuple[Timeline, list[str]]:
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


def read_edf(path: Path) -> Contents:
    """One EDF, EDF+ or BDF file; RecordingError where it is damaged."""
    header = read_header(path)
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
        subject=header_subject(header),
        identity=header_identity(header.patient, header.recording),
        warnings=told + gaps_told + rates_told,
        timeline=timeline,
    )


def _edf_signal(data: _Records) -> tuple[np.ndarray | SignalReader, list[int], list[SetAside], list[str]]:
    """Voltage channels in microvolts at the rate of the EEG, (C, T); their indices, what was set aside, warnings.

    Of a long recording whose electrodes share one rate, other channels of another rate are set aside: to resample them
    all of it would have to be in memory.
    """
    kept: list[int] = []
    header = data.header
    set_aside = []
    for i in np.flatnonzero(~header.is_text).tolist():
        if uv_per_unit(header.units[i]) is None:
            set_aside.append(SetAside(header.labels[i], "not a voltage"))
        elif header.gain[i] == 0 or not np.isfinite(header.gain[i] + header.offset[i]) or header.n_samples[i] == 0:
            set_aside.append(SetAside(header.labels[i], "the header gives it no range or no samples"))
        else:
            kept.append(i)
    if not kept:
        return np.empty((0, 0)), kept, set_aside, []
    eeg = [i for i in kept if ELECTRODE_LIKE.search(header.labels[i])]
    target = int(header.n_samples[eeg or kept].max())
    long = 8 * len(kept) * len(data) * target > MAX_LOADED_BYTES
    if long and eeg and (header.n_samples[eeg] == target).all():
        rate = target / header.record_s
        others = [i for i in kept if header.n_samples[i] != target]
        kept = [i for i in kept if i not in others]
        for i in others:
            why = (
                f"recorded at {header.n_samples[i] / header.record_s:g} Hz, the EEG of a long recording at {rate:g} Hz"
            )
            set_aside.append(SetAside(header.labels[i], why))
    shape = (len(kept), len(data) * target)
    signal_uv: np.ndarray | SignalReader
    if long and (header.n_samples[kept] == target).all():

        def read(start: int, stop: int) -> np.ndarray:
            first = start // target
            block = _decode_block(data.read(first, -(-stop // target)), header, kept, target)
            return block[:, start - first * target : stop - first * target]

        signal_uv = SignalReader(read, shape)
    else:
        signal_uv = _decode_block(data.read(0, len(data)), header, kept, target)
    return signal_uv, kept, set_aside, _rate_warnings(header, kept, eeg, target)


def _decode_block(records: np.ndarray, header: EdfHeader, kept: list[int], target: int) -> np.ndarray:
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
        scale = uv_per_unit(header.units[i])
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


def _rate_warnings(header: EdfHeader, kept: list[int], eeg: list[int], target: int) -> list[str]:
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
