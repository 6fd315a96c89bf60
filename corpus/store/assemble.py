"""Parts to a corpus: sorted shards with a manifest, the same bytes whatever the order in which parts were written."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.datasets.base import DatasetCard
from corpus.store.arrow import schema
from corpus.store.codec import describe_code
from corpus.store.schema import BAND_EDGES_HZ, COLUMNS, SCHEMA_VERSION, recording_order, segment_id
from corpus.store.write import ROW_GROUP_ROWS, TEMPORARY, atomic, open_part, read_columns, table_writer

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
DATA = "data"
SHARD_ROWS = 1024
COPY_ROWS = 256  # looked up in the parts at a time
_LIGHT = ["dataset", "recording_id", "subject", "segment_index", "split", "target", "duration_s", "history"]


@dataclass(frozen=True)
class BuildInfo:
    """What a manifest says beside its files.

    Attributes:
        config: of the build, as plain values; without paths of a machine, which would change the bytes.
        cards: of the datasets.
        seeds: by what they were used for.
        splits: `SplitPlan.summary()`.
        version: of the package.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    cards: Sequence[DatasetCard] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, eq=False)
class _Index:
    """The rows of all parts in the order of the corpus; arrays of one value a row."""

    recordings: list[tuple[str, str]]  # (dataset, recording id), in order
    recording: np.ndarray  # which of them
    segment: np.ndarray  # segment_index
    part: np.ndarray
    row: np.ndarray  # in the part
    target: np.ndarray
    light: "pa.Table"

    def take(self, rows: np.ndarray) -> "_Index":
        arrays = (self.recording, self.segment, self.part, self.row, self.target)
        recording, segment, part, row, target = (array[rows] for array in arrays)
        return _Index(self.recordings, recording, segment, part, row, target, self.light.take(rows))

    def name(self, number: int) -> str:
        """Id of a segment."""
        dataset, recording_id = self.recordings[self.recording[number]]
        return segment_id(dataset, recording_id, int(self.segment[number]))


def assemble(
    parts: Iterable[Path],
    out: Path,
    info: BuildInfo,
    chosen: Mapping[str, bool] | None = None,
    shard_rows: int = SHARD_ROWS,
    workers: int = 1,
) -> dict[str, Any]:
    """Write the corpus: `data/<dataset>-00000.parquet`, ... and `manifest.json`, which comes last.

    Segments are sorted by dataset, by recording in natural order, and by index. The folder holds a corpus only while
    the manifest is there; shards of an earlier corpus are removed.

    Args:
        parts: files of `write_part`, in any order; a recording may be spread over several.
        out: folder of the corpus.
        info: for the manifest.
        chosen: of `cap_segments`: ids to keep, false for those kept only as history; None keeps all as they are.
        shard_rows: segments a shard; a multiple of `ROW_GROUP_ROWS`.
        workers: shards that are written at a time.

    Returns:
        The manifest.

    Raises:
        ValueError: two segments of one id, a history that is not in the parts, a file that is no part or of another
            schema, a name of a dataset that cannot be part of a file name.
    """
    if shard_rows < 1 or shard_rows % ROW_GROUP_ROWS:
        raise ValueError(f"got {shard_rows} rows a shard, expected a multiple of {ROW_GROUP_ROWS}")
    paths = list(parts)
    index = _read_index(paths)
    if chosen is not None:
        index = _choose(index, chosen)
    _check_history(index)
    (out / MANIFEST).unlink(missing_ok=True)
    shards = _plan(index, shard_rows)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        files = list(pool.map(lambda shard: _write_shard(out, shard[0], index.take(shard[1]), paths), shards))
    for stale in set((out / DATA).glob("*")) - {out / DATA / name for name, _ in shards}:
        if stale.suffix in (".parquet", TEMPORARY):
            stale.unlink()
    manifest = _manifest(info, files, index)
    with atomic(out / MANIFEST) as stream:
        stream.write(json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return manifest


def _read_index(paths: Sequence[Path]) -> _Index:
    import pyarrow as pa

    tables, part, row = [schema().empty_table().select(_LIGHT)], [], []
    for number, path in enumerate(paths):
        tables.append(read_columns(path, _LIGHT))
        part.append(np.full(len(tables[-1]), number))
        row.append(np.arange(len(tables[-1])))
    light = pa.concat_tables(tables)
    names = list(zip(light["dataset"].to_pylist(), light["recording_id"].to_pylist(), strict=True))
    recordings = sorted(set(names), key=lambda name: recording_order(*name))
    rank = {name: number for number, name in enumerate(recordings)}
    recording = np.array([rank[name] for name in names], np.int64)
    segment = light["segment_index"].to_numpy()
    index = _Index(
        recordings,
        recording,
        segment,
        np.concatenate([np.zeros(0, np.int64), *part]),
        np.concatenate([np.zeros(0, np.int64), *row]),
        light["target"].to_numpy(),
        light,
    )
    index = index.take(np.lexsort((segment, recording)))
    twice = np.flatnonzero((np.diff(index.recording) == 0) & (np.diff(index.segment) == 0))
    if len(twice):
        raise ValueError(
            f"got segment {index.name(twice[0])} twice, expected every segment once; remove one of its parts"
        )
    return index


def _choose(index: _Index, chosen: Mapping[str, bool]) -> _Index:
    ids = [index.name(number) for number in range(len(index.part))]
    rows = np.array([i for i, name in enumerate(ids) if name in chosen], np.int64)
    return replace(index.take(rows), target=np.array([chosen[ids[i]] for i in rows], bool))


def _check_history(index: _Index) -> None:
    """Every predecessor of an example is there; what is only history needs none."""
    import pyarrow.compute as pc

    examples = np.flatnonzero(index.target)
    history = index.light["history"].take(examples)
    past = pc.list_flatten(history).to_numpy().astype(np.int64)
    owner = index.recording[examples[pc.list_parent_indices(history).to_numpy()]]
    lost = np.flatnonzero(~np.isin(owner << 32 | past, index.recording << 32 | index.segment))
    if len(lost):
        name = "/".join((*index.recordings[owner[lost[0]]], str(past[lost[0]])))
        raise ValueError(f"got no segment {name}, expected it as the history of another; keep it as well")


def _plan(index: _Index, shard_rows: int) -> list[tuple[str, np.ndarray]]:
    """File name and rows of every shard; no shard holds two datasets."""
    datasets = np.array([dataset for dataset, _ in index.recordings] or [""])[index.recording]
    shards = []
    for dataset in sorted(set(datasets.tolist())):
        if not re.fullmatch(r"[\w.-]+", dataset):
            raise ValueError(f"got dataset name {dataset!r}, expected letters, digits and ._- for a file name")
        rows = np.flatnonzero(datasets == dataset)
        pieces = np.split(rows, range(shard_rows, len(rows), shard_rows))
        shards += [(f"{dataset}-{number:05d}.parquet", piece) for number, piece in enumerate(pieces)]
    return shards


def _write_shard(out: Path, name: str, index: _Index, parts: Sequence[Path]) -> dict[str, Any]:
    """Copy the rows of one shard out of their parts, some at a time; returns its entry of the manifest."""
    path, count = out / DATA / name, len(index.part)
    with atomic(path) as stream, table_writer(stream) as writer:
        for start in range(0, count, COPY_ROWS):
            rows = index.take(np.arange(start, min(start + COPY_ROWS, count)))
            table = _gather(rows, parts)
            for first in range(0, len(table), ROW_GROUP_ROWS):  # only these are copied, and stay in the cache of a core
                group = table.slice(first, ROW_GROUP_ROWS).combine_chunks()
                writer.write_table(group, row_group_size=ROW_GROUP_ROWS)
    entry = {"path": f"{DATA}/{name}", "rows": count, "first": index.name(0), "last": index.name(count - 1)}
    return entry | {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _gather(index: _Index, parts: Sequence[Path]) -> "pa.Table":
    """Rows from their parts as one table, with their new `target`; what is not cut out is not copied."""
    import pyarrow as pa

    runs = np.split(np.arange(len(index.part)), np.flatnonzero(np.diff(index.part)) + 1)
    batches = [batch for run in runs for batch in _rows_of(parts[index.part[run[0]]], index.row[run])]
    table = pa.Table.from_batches(batches)
    return table.set_column(table.column_names.index("target"), "target", pa.array(index.target))


def _rows_of(path: Path, rows: np.ndarray) -> list["pa.RecordBatch"]:
    """Some rows of a part, as they lie in the file."""
    import pyarrow as pa

    batches = []
    with open_part(path) as reader:
        for own in np.split(rows, np.flatnonzero(np.diff(rows // ROW_GROUP_ROWS)) + 1):
            batch = reader.get_batch(own[0] // ROW_GROUP_ROWS)
            inside = own % ROW_GROUP_ROWS
            together = own[-1] - own[0] == len(own) - 1 and (np.diff(own) == 1).all()
            batches.append(batch.slice(inside[0], len(own)) if together else batch.take(pa.array(inside)))
    return batches


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _manifest(info: BuildInfo, files: Sequence[Mapping[str, Any]], index: _Index) -> dict[str, Any]:
    config = plain(info.config)
    return {
        "schema": SCHEMA_VERSION,
        "version": info.version,
        "config": config,
        "config_sha256": hashlib.sha256(_canonical(config)).hexdigest(),
        "content_sha256": hashlib.sha256(_canonical([file["sha256"] for file in files])).hexdigest(),
        "seeds": plain(info.seeds),
        "splits": plain(info.splits),
        "columns": COLUMNS,
        "bands": BAND_EDGES_HZ,
        "signal": describe_code(),
        "row_group_rows": ROW_GROUP_ROWS,
        "cards": {card.name: plain(card) for card in sorted(info.cards, key=lambda card: card.name)},
        "counts": _counts(index),
        "files": list(files),
    }


def _counts(index: _Index) -> dict[str, dict[str, dict[str, Any]]]:
    """dataset → split → numbers of examples, segments kept as history, recordings and subjects, and hours."""
    counts: dict[str, dict[str, dict[str, Any]]] = {}
    dataset = np.array([name for name, _ in index.recordings] or [""])[index.recording]
    split = np.array(index.light["split"].to_pylist())
    subject = np.array(index.light["subject"].to_pylist())
    duration = index.light["duration_s"].to_numpy()
    for name in sorted(set(dataset.tolist())):
        for side in sorted(set(split[dataset == name].tolist())):
            rows = (dataset == name) & (split == side)
            examples = rows & index.target
            counts.setdefault(name, {})[side] = {
                "segments": int(examples.sum()),
                "history_only": int(rows.sum() - examples.sum()),
                "recordings": len(set(index.recording[rows].tolist())),
                "subjects": len(set(subject[rows].tolist())),
                "hours": round(float(duration[examples].sum()) / 3600, 4),
            }
    return counts


def plain(value: Any) -> Any:
    """Records, mappings and sequences as what JSON knows."""
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return str(value) if isinstance(value, Path) else value


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
