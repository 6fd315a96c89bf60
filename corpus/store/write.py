"""Rows to files: deterministic to the byte, and on disk completely or not at all.

A part is an Arrow file: arrays as they lie in memory, several times as quick to write as Parquet, and read back without
decoding. Parts last as long as the build; `corpus.store.assemble` encodes each row once, in its shard.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from corpus.datasets.base import Label
from corpus.features import BANDS
from corpus.recording import RecordingError
from corpus.store.codec import encode
from corpus.store.schema import COLUMNS, SCHEMA_VERSION, Row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TEMPORARY = ".tmp"
ROW_GROUP_ROWS = 16  # what a reader decodes to get at one segment: 3 ms for 19 channels
COMPRESSION = "snappy"  # zstd takes a sixth longer to write and to read and saves 3 %: the codes are packed already
_RENAMED = {"method": "source"}  # field of a stored finding: attribute of `Finding`
_STATISTICS = ["dataset", "recording_id", "subject", "segment_index", "split", "target"]


@lru_cache(maxsize=1)
def schema() -> "pa.Schema":
    """Names and types of the columns; `COLUMNS` says what they hold."""
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float32(), pa.int32()
    vote = pa.struct([("value", text), ("count", whole)])
    label = [("kind", text), ("value", text), ("granularity", text), ("source", text), ("start_s", pa.float64())]
    label += [("duration_s", pa.float64()), ("ch_names", pa.list_(text)), ("votes", pa.list_(vote))]
    finding = [("kind", text), ("value", text), ("subject", text), ("ch_names", pa.list_(text))]
    finding += [("start_s", pa.float64()), ("duration_s", pa.float64()), ("measured", pa.float64())]
    finding += [("unit", text), ("method", text)]
    types = dict.fromkeys(COLUMNS, text) | {
        "segment_index": whole,
        "target": pa.bool_(),
        "start_s": pa.float64(),
        "duration_s": pa.float64(),
        "sfreq": pa.float64(),
        "ch_names": pa.list_(text),
        "n_times": whole,
        "signal": pa.list_(pa.field("element", pa.int16(), nullable=False)),
        "history": pa.list_(whole),
        "labels": pa.list_(pa.struct(label)),
        "age_years": pa.int16(),
        "diagnosis": pa.list_(text),
        "band_power_uv2": pa.list_(real),
        "channel_band_power_uv2": pa.list_(pa.list_(real)),
        "channel_power_uv2": pa.list_(real),
        "tiers": pa.list_(pa.int8()),
        "history_band_power_uv2": pa.list_(real),
        "trend": pa.list_(text),
        "trend_ratio": pa.list_(real),
        "dominant_hz": real,
        "amplitude_uv": real,
        "asymmetry_index": real,
        "facts": pa.list_(pa.struct([("kind", text), ("subject", text), ("value", text)])),
        "findings": pa.list_(pa.struct(finding)),
        "steps": pa.list_(text),
        "mains_hz": real,
        "topomap": pa.binary(),
    }
    return pa.schema([pa.field(name, types[name], nullable=name != "signal") for name in COLUMNS])


def batch_of(rows: Sequence[Row]) -> "pa.RecordBatch":
    """Rows as an Arrow batch of `schema`.

    Raises:
        RecordingError: a signal that cannot be encoded; the message begins with the segment.
    """
    import pyarrow as pa

    columns = zip(*(_values(row) for row in rows), strict=True) if rows else [()] * len(COLUMNS)
    own = {"signal": _signals, "findings": _findings}
    arrays = [
        own[field.name](rows, field.type) if field.name in own else pa.array(column, field.type)
        for column, field in zip(columns, schema(), strict=True)
    ]
    return pa.record_batch(arrays, schema=schema())


def _signals(rows: Sequence[Row], kind: "pa.DataType") -> "pa.Array":
    """The signals of rows as codes, one list each."""
    import pyarrow as pa

    codes = [_codes(row) for row in rows]
    return pa.ListArray.from_arrays(_offsets(codes), np.concatenate([np.empty(0, np.int16), *codes]), type=kind)


def _findings(rows: Sequence[Row], kind: "pa.DataType") -> "pa.Array":
    """The findings of rows, one list of records each; field by field, which is three times as quick as one by one."""
    import pyarrow as pa

    found = [finding for row in rows for finding in row.findings]
    fields = []
    for part in kind.value_type:
        name = _RENAMED.get(part.name, part.name)
        values = [getattr(finding, name) for finding in found]
        if name == "ch_names":  # few different lists, of many names each
            number = {names: i for i, names in enumerate(dict.fromkeys(values))}
            different = pa.array(list(number), part.type)
            fields.append(different.take(pa.array([number[names] for names in values], pa.int32())))
        else:
            fields.append(pa.array(values, part.type))
    records = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(_offsets([row.findings for row in rows]), records, type=kind)


def _offsets(lists: Sequence[Sized]) -> "pa.Array":
    """Where each of some lists begins, and where the last one ends."""
    import pyarrow as pa

    return pa.array(np.cumsum([0, *map(len, lists)]), pa.int32())


def _values(row: Row) -> tuple[Any, ...]:
    """The values of a row, in the order of `COLUMNS`; `signal` and `findings` are made for all rows at once."""
    features, text = row.features, row.text
    trend, ratio, history = features.trend, features.trend_ratio, features.history_band_power_uv2
    return (
        row.segment_id,
        row.dataset,
        row.recording_id,
        row.subject,
        row.segment_index,
        row.split,
        row.target,
        row.start_s,
        row.duration_s,
        row.sfreq,
        row.ch_names,
        row.signal_uv.shape[1],
        None,  # signal
        row.history,
        [_label(label) for label in row.labels],
        row.age_years,
        row.sex,
        row.diagnosis,
        _real(features.band_power_uv2),
        list(_real(features.channel_band_power_uv2)),
        _real(features.channel_power_uv2),
        np.asarray(features.tiers, np.int8),
        None if history is None else _real(history),
        None if trend is None else [trend[band] for band in BANDS],
        None if ratio is None else _real(ratio),
        features.dominant_band,
        features.dominant_hz,
        features.top_channel,
        features.amplitude_uv,
        features.amplitude,
        None if np.isnan(features.asymmetry_index) else features.asymmetry_index,
        features.asymmetry,
        row.facts,
        None,  # findings
        text.template,
        text.narrative,
        text.caption,
        text.source,
        row.reference,
        row.steps,
        row.source_file,
        row.source_sha256,
        row.source_part,
        row.mains_hz,
        row.topomap,
    )


def _codes(row: Row) -> np.ndarray:
    shape = np.shape(row.signal_uv)
    if len(shape) != 2 or shape[0] != len(row.ch_names):
        raise RecordingError(
            f"{row.segment_id}: got a signal of shape {shape}, expected ({len(row.ch_names)}, samples)"
        )
    try:
        return encode(row.signal_uv).ravel()
    except ValueError as error:
        raise RecordingError(f"{row.segment_id}: {error}") from None


def _real(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)


def _label(label: Label) -> tuple[Any, ...]:
    times = (label.start_s, label.duration_s)
    return (label.kind, label.value, label.granularity, label.source, *times, label.ch_names, label.votes)


def write_part(rows: Iterable[Row], path: Path) -> int:
    """Write the rows of one recording, at once or not at all; the same rows give the same bytes.

    Args:
        rows: in the order of their segments; they are taken one by one, so a generator keeps memory small.
        path: of the part, an Arrow file; an existing one is replaced.

    Returns:
        Number of rows. A recording without segments gives an empty part.

    Raises:
        RecordingError: a signal that cannot be encoded; no part is left behind.
    """
    import pyarrow as pa

    rows, count = iter(rows), 0
    with atomic(path, durable=False) as stream, pa.ipc.new_file(stream, schema()) as writer:
        while group := list(islice(rows, ROW_GROUP_ROWS)):
            writer.write_batch(batch_of(group))
            count += len(group)
    return count


@contextmanager
def open_part(path: Path, columns: Sequence[str] | None = None) -> Iterator["pa.ipc.RecordBatchFileReader"]:
    """A part: batches of `ROW_GROUP_ROWS` rows, the last one shorter.

    Args:
        path: of the part.
        columns: all of them, or a few.

    Raises:
        ValueError: something else, or a part of another schema.
    """
    import pyarrow as pa

    chosen = None if columns is None else [schema().get_field_index(name) for name in columns]
    wanted = schema() if chosen is None else pa.schema([schema().field(i) for i in sorted(chosen)])
    with pa.memory_map(str(path)) as source:
        reader, options = None, pa.ipc.IpcReadOptions(use_threads=False, included_fields=chosen)
        with suppress(pa.ArrowInvalid):
            reader = pa.ipc.open_file(source, options=options)
        if reader is None or not reader.schema.equals(wanted):
            raise ValueError(
                f"{path.name}: got no part of {SCHEMA_VERSION}, expected a file of write_part; build it again"
            )
        yield reader


def read_columns(path: Path, columns: Sequence[str]) -> "pa.Table":
    """A few columns of a part; a batch holds on to all that was read with it, so each is copied out of its own."""
    import pyarrow as pa

    with open_part(path, columns) as reader:
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        copies = [batch.take(pa.array(np.arange(len(batch)))) for batch in batches]
        return pa.Table.from_batches(copies, reader.schema).select(list(columns))


def table_writer(stream: BinaryIO) -> "pq.ParquetWriter":
    """A Parquet writer of `schema` with the settings of the corpus; feed it multiples of `ROW_GROUP_ROWS` rows."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        stream,
        schema(),
        version="2.6",
        data_page_version="1.0",
        compression=COMPRESSION,
        use_dictionary=False,  # of 16 rows it saves less than a percent
        write_statistics=_STATISTICS,
        column_encoding={"signal.list.element": "DELTA_BINARY_PACKED"},
    )


@contextmanager
def atomic(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends without error, and else never.

    Args:
        path: of the file; its folder is made.
        durable: flush it to the disk, so that it outlasts a loss of power; a killed process loses it neither way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can open folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
