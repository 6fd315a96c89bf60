"""Rows to Parquet: deterministic to the byte, and on disk completely or not at all."""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from corpus.datasets.base import Label
from corpus.features import BANDS
from corpus.findings import Finding
from corpus.recording import RecordingError
from corpus.store.codec import encode
from corpus.store.schema import COLUMNS, Row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TEMPORARY = ".tmp"
ROW_GROUP_ROWS = 16  # what a reader decodes to get at one segment: 3 ms for 19 channels
COMPRESSION_LEVEL = 1  # of zstd; level 3 takes a fifth longer and saves nothing on delta-packed codes
_PROSE = {"segment_id", "template", "narrative", "caption"}  # texts that seldom repeat: no dictionary
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
    }
    return pa.schema([pa.field(name, types[name], nullable=name != "signal") for name in COLUMNS])


def table_of(rows: Sequence[Row]) -> "pa.Table":
    """Rows as an Arrow table of `schema`.

    Raises:
        RecordingError: a signal that cannot be encoded; the message begins with the segment.
    """
    import pyarrow as pa

    columns = zip(*(_values(row) for row in rows), strict=True) if rows else [()] * len(COLUMNS)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema(), strict=True)]
    return pa.table(arrays, schema=schema())


def _values(row: Row) -> tuple[Any, ...]:
    """The values of a row, in the order of `COLUMNS`."""
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
        _codes(row),
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
        [_finding(finding) for finding in row.findings],
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


def _finding(finding: Finding) -> tuple[Any, ...]:
    evidence = (finding.ch_names, finding.start_s, finding.duration_s, finding.measured, finding.unit, finding.source)
    return (finding.kind, finding.value, finding.subject, *evidence)


def write_part(rows: Iterable[Row], path: Path) -> int:
    """Write the rows of one recording, at once or not at all; the same rows give the same bytes.

    Args:
        rows: in the order of their segments; they are taken one by one, so a generator keeps memory small.
        path: of the part, ".parquet"; an existing one is replaced.

    Returns:
        Number of rows. A recording without segments gives an empty part.

    Raises:
        RecordingError: a signal that cannot be encoded; no part is left behind.
    """
    rows, count = iter(rows), 0
    with atomic(path) as stream, table_writer(stream) as writer:
        while group := list(islice(rows, ROW_GROUP_ROWS)):
            writer.write_table(table_of(group), row_group_size=ROW_GROUP_ROWS)
            count += len(group)
    return count


def table_writer(stream: BinaryIO) -> "pq.ParquetWriter":
    """A Parquet writer of `schema` with the settings of the corpus; feed it multiples of `ROW_GROUP_ROWS` rows."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        stream,
        schema(),
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=[path for field in schema() for path in _words(field.name, field.type)],
        write_statistics=_STATISTICS,
        column_encoding={"signal.list.element": "DELTA_BINARY_PACKED"},
    )


def _words(path: str, kind: "pa.DataType") -> Iterator[str]:
    """Parquet paths of the texts below a column that repeat."""
    import pyarrow as pa

    if pa.types.is_list(kind):
        yield from _words(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _words(f"{path}.{field.name}", field.type)
    elif pa.types.is_string(kind) and path not in _PROSE:
        yield path


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when the block ends without error, flushed to the disk, and else never."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where the system can open folders."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
