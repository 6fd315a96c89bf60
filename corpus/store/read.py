"""A corpus on disk: any segment with its history, by number or by id, without loading a shard."""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.splits import Candidate
from corpus.store.arrow import schema
from corpus.store.assemble import DATA, MANIFEST, file_sha256
from corpus.store.group import DecodedGroup
from corpus.store.schema import SCHEMA_VERSION, Row, segment_id
from corpus.store.write import read_columns

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

OPEN_SHARDS = 16
CACHED_GROUPS = 8


@dataclass(frozen=True, eq=False)
class Record:
    """A segment and the predecessors that its row names, oldest first.

    A segment that is only kept as history of others (`row.target` is false) comes with those of its own that are kept.
    """

    row: Row
    history: tuple[Row, ...]

    @property
    def signal_uv(self) -> np.ndarray:
        """(C, T) float32 microvolts of the segment."""
        return self.row.signal_uv

    @property
    def history_uv(self) -> np.ndarray:
        """(at most K, C, T) float32 microvolts of the predecessors."""
        return np.stack([row.signal_uv for row in self.history]) if self.history else self.signal_uv[None][:0]


def read_manifest(out: str | Path) -> dict[str, Any]:
    """The manifest of a corpus.

    Raises:
        ValueError: no manifest, or one of another schema.
    """
    path = Path(out) / MANIFEST
    if not path.is_file():
        raise ValueError(f"got a folder without {MANIFEST}, expected a complete corpus; run the build to its end")
    manifest = json.loads(path.read_text("utf-8"))
    if manifest.get("schema") != SCHEMA_VERSION:
        raise ValueError(f"got schema {manifest.get('schema')!r}, expected {SCHEMA_VERSION}; build the corpus again")
    return manifest


def verify(out: str | Path) -> list[str]:
    """What of a corpus is not as its manifest says, one sentence each: files missing, changed, or not listed."""
    out = Path(out)
    listed = {entry["path"]: entry for entry in read_manifest(out)["files"]}
    problems = []
    for name, entry in listed.items():
        if not (out / name).is_file():
            problems.append(f"{name} is missing")
        elif file_sha256(out / name) != entry["sha256"]:
            problems.append(f"{name} has changed: its checksum is not the one in the manifest")
    found = {f"{DATA}/{path.name}" for path in (out / DATA).glob("*")}
    return problems + [f"{name} is not in the manifest" for name in sorted(found - set(listed))]


class CorpusReader:
    """The segments of a corpus as a sequence of `Record`.

    Files are opened when first needed, and anew in every process, so that a reader may be handed to the workers of a
    DataLoader. Neighbours are cheap: the last row groups stay decoded.

    Args:
        path: folder of the corpus.
        dataset: only of this dataset.
        split: only of this side.
        targets: leave out segments that are only kept as the history of others.

    Raises:
        ValueError: no complete corpus there, or no such dataset.
    """

    def __init__(
        self, path: str | Path, dataset: str | None = None, split: str | None = None, targets: bool = True
    ) -> None:
        self.path, self.dataset, self.split, self.targets = Path(path), dataset, split, targets
        self.manifest = read_manifest(path)
        if dataset is not None and dataset not in self.manifest["counts"]:
            raise ValueError(f"got dataset {dataset!r}, expected one of {', '.join(self.manifest['counts'])}")
        self._files: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], DecodedGroup] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_index"}
        return state | {"_files": OrderedDict(), "_groups": OrderedDict()}

    def __len__(self) -> int:
        return len(self._index.selected)

    def __getitem__(self, item: int) -> Record:
        return self._record(int(self._index.selected[item]))

    def segment(self, name: str) -> Record:
        """A segment by its id "dataset/recording/index", selected or not.

        Raises:
            KeyError: there is none.
        """
        recording, _, number = name.rpartition("/")
        if not number.isdecimal():
            raise KeyError(f"got segment id {name!r}, expected dataset/recording/index")
        return self._record(self._find(recording, int(number)))

    @property
    def ids(self) -> list[str]:
        """The ids of the selected segments, in order."""
        index = self._index
        return [f"{index.names[index.recording[i]]}/{index.segment[i]}" for i in index.selected]

    def layouts(self) -> Iterator[tuple[str, ...]]:
        """Channel names of the selected segments, in order."""
        yield from map(tuple, self.column("ch_names"))

    def column(self, name: str) -> Iterator[Any]:
        """The values of a column of `corpus.store.schema.COLUMNS` of the selected segments, in order."""
        import pyarrow.parquet as pq

        paths = [self.path / entry["path"] for entry in self.manifest["files"]]
        values = [value for path in paths for value in pq.read_table(path, columns=[name])[name].to_pylist()]
        yield from (values[row] for row in self._index.selected)

    @cached_property
    def _index(self) -> "_RowIndex":
        tables = [self._file(i).read(_INDEX_COLUMNS, use_threads=False) for i in range(len(self.manifest["files"]))]
        return _RowIndex.of(tables, self.dataset, self.split, self.targets)

    def _find(self, recording: str, segment: int) -> int:
        """The row of a segment; rows of a recording are neighbours, sorted by segment."""
        index = self._index
        start, stop = index.extent.get(recording, (0, 0))
        row = start + int(np.searchsorted(index.segment[start:stop], segment))
        if row >= stop or index.segment[row] != segment:
            raise KeyError(f"got segment id {recording}/{segment}, expected one of this corpus")
        return row

    def _record(self, row: int) -> Record:
        index, current = self._index, self._row(row)
        recording = index.names[index.recording[row]]
        history = []
        for past in current.history:
            try:
                history.append(self._row(self._find(recording, past)))
            except KeyError:
                if current.target:
                    raise
        return Record(current, tuple(history))

    def _row(self, row: int) -> Row:
        shard = int(np.searchsorted(self._index.first_row, row, side="right")) - 1
        group, number = divmod(row - int(self._index.first_row[shard]), self.manifest["row_group_rows"])
        return self._group(shard, group).row(number)

    def _file(self, shard: int) -> "pq.ParquetFile":
        import pyarrow.parquet as pq

        if shard not in self._files:
            self._files[shard] = pq.ParquetFile(self.path / self.manifest["files"][shard]["path"], memory_map=True)
            if len(self._files) > OPEN_SHARDS:
                self._files.popitem(last=False)
        self._files.move_to_end(shard)
        return self._files[shard]

    def _group(self, shard: int, group: int) -> "DecodedGroup":
        key = shard, group
        if key not in self._groups:
            self._groups[key] = DecodedGroup(self._file(shard).read_row_group(group, use_threads=False))
            if len(self._groups) > CACHED_GROUPS:
                self._groups.popitem(last=False)
        self._groups.move_to_end(key)
        return self._groups[key]


_INDEX_COLUMNS = ["dataset", "recording_id", "segment_index", "split", "target"]


@dataclass(frozen=True, eq=False)
class _RowIndex:
    """Where every segment of a corpus is; arrays of one value a row, shards one after another."""

    names: list[str]  # dataset/recording
    recording: np.ndarray  # index into names
    segment: np.ndarray
    first_row: np.ndarray  # of each shard
    extent: dict[str, tuple[int, int]]  # rows of each recording
    selected: np.ndarray  # rows

    @classmethod
    def of(cls, tables: list["pa.Table"], dataset: str | None, split: str | None, targets: bool) -> "_RowIndex":
        import pyarrow as pa

        table = pa.concat_tables([schema().empty_table().select(_INDEX_COLUMNS), *tables])
        pairs = zip(table["dataset"].to_pylist(), table["recording_id"].to_pylist(), strict=True)
        all_names = np.array([f"{name}/{recording}" for name, recording in pairs], dtype=object)
        edges = np.flatnonzero(all_names[1:] != all_names[:-1]) + 1
        starts = [0, *edges.tolist()] if len(all_names) else []
        stops = [*starts[1:], len(all_names)]
        names = [all_names[start] for start in starts]
        wanted = np.ones(len(all_names), bool)
        for column, value in (("dataset", dataset), ("split", split), ("target", targets or None)):
            if value is not None:
                wanted &= np.array(table[column].to_pylist(), dtype=object) == value
        return cls(
            names,
            np.repeat(np.arange(len(names)), np.subtract(stops, starts) if starts else 0),
            table["segment_index"].to_numpy(),
            np.cumsum([0, *(len(part) for part in tables)])[:-1],
            dict(zip(names, zip(starts, stops, strict=False), strict=True)),
            np.flatnonzero(wanted),
        )


def read_candidates(parts: Iterable[Path]) -> Iterator[Candidate]:
    """The segments of parts, as the cap wants to know them."""
    columns = ["dataset", "recording_id", "segment_index", "subject", "split", "history", "labels"]
    for path in parts:
        for row in read_columns(path, columns).to_pylist():
            where = row["dataset"], row["recording_id"]
            yield Candidate(
                segment_id=segment_id(*where, row["segment_index"]),
                dataset=row["dataset"],
                subject=row["subject"],
                split=row["split"],
                values=tuple(dict.fromkeys(label["value"] for label in row["labels"])),
                history=tuple(segment_id(*where, past) for past in row["history"]),
            )
