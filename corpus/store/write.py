"""Rows to files: deterministic to the byte, and on disk completely or not at all.

A part is an Arrow file: arrays as they lie in memory, several times as quick to write as Parquet, and read back without
decoding. Parts last as long as the build; `corpus.store.assemble` encodes each row once, in its shard.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from corpus.store.arrow import batch_of, schema
from corpus.store.schema import SCHEMA_VERSION, Row

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

TEMPORARY = ".tmp"
ROW_GROUP_ROWS = 16  # what a reader decodes to get at one segment: 3 ms for 19 channels
COMPRESSION = "snappy"  # zstd takes a sixth longer to write and to read and saves 3 %: the codes are packed already
_STATISTICS = ["dataset", "recording_id", "subject", "segment_index", "split", "target"]


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
