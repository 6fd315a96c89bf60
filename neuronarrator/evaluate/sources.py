"""What to evaluate on: recordings in a folder, a dataset in its published layout, or a corpus; one recording a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from corpus.datasets import Entry, get_dataset
from corpus.datasets.base import Label
from corpus.recording import RecordingError
from corpus.splits import SIDES, subject_key
from corpus.store import CorpusReader
from corpus.store.assemble import MANIFEST
from neuronarrator.evaluate.material import Material, Recorded, Stored
from neuronarrator.narrate import for_model, load_for_model
from neuronarrator.source import Source, dataset_called, people_of
from neuronarrator.stream import preprocess_any_length

SUFFIXES = (".edf", ".bdf", ".fif", ".set", ".vhdr", ".gdf", ".cnt", ".lay")
UNNAMED = "recordings"
"""The dataset of files in a folder that is not called as one."""


@dataclass(frozen=True)
class Item:
    """One recording, before it is read.

    Attributes:
        dataset: short name.
        name: the path of its file below the folder, or its id in the dataset.
        load: reads it; RecordingError where it cannot be used.
    """

    dataset: str
    name: str
    load: Callable[[], Material]


@dataclass(frozen=True)
class Data:
    """The recordings to evaluate on, and in words how it is known which of them are of one person."""

    items: Sequence[Item]
    subjects: str


def usable(items: Iterable[Item], skipped: dict[str, str]) -> Iterator[tuple[Item, Material]]:
    """Recordings one by one, under a progress bar; those that cannot be used go to `skipped` with the reason."""
    for item in tqdm(list(items), unit="file", desc="evaluate"):
        try:
            yield item, item.load()
        except RecordingError as error:
            skipped[item.name] = str(error)


def none_usable(skipped: dict[str, str]) -> RecordingError:
    """What to raise where every recording was skipped."""
    first = next(iter(skipped.values()))
    return RecordingError(
        f"got {len(skipped)} recordings, none of them usable, expected at least one; the first: {first}"
    )


def open_data(data: str | Path, dataset: str | None = None, split: str | None = None) -> Data:
    """Find out what a path holds, without reading a signal.

    Args:
        data: folder of a corpus; with `dataset`, folder of that dataset as published; else a folder of recordings in
            any format of `SUFFIXES`, or one file.
        dataset: name or alias in `corpus.datasets`; of a corpus, the only dataset to take.
        split: "train", "val" or "test": the side that the corpus states, or that `corpus build` gives by default;
            None: all sides.

    Raises:
        FileNotFoundError: no recording there.
        ValueError: a side of plain files, an unknown dataset, or nothing on the side asked for.
    """
    data = Path(data)
    if (data / MANIFEST).is_file():
        return _of_corpus(data, dataset, split)
    if dataset is not None:
        return _of_dataset(data, dataset, split)
    if split is not None:
        raise ValueError(
            f"got split {split!r} for plain recordings, which have no sides, expected a corpus or a dataset; name it "
            "by --dataset, or leave --split out"
        )
    return _of_files(data)


def list_recordings(data: str | Path) -> list[Path]:
    """The recordings below a folder, sorted, or the one file itself.

    Raises:
        FileNotFoundError: there is none.
    """
    data = Path(data)
    files = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(
            f"got {data.name!r} without a recording, expected files that end in {', '.join(SUFFIXES)}: correct --data, "
            "or name the dataset by --dataset where it has a format of its own"
        )
    return files


def _of_files(data: Path) -> Data:
    """Files of a folder, or of folders in it, that is called as a dataset belong to that dataset."""
    files, root = list_recordings(data), data if data.is_dir() else data.parent
    names = [file.relative_to(root) for file in files]
    folders = {folder: dataset_called(folder) for folder in (root, *(root / name.parts[0] for name in names))}
    people: dict[Path, str] = {}
    for folder, found in folders.items():
        if found is not None and folder.is_dir():
            people |= people_of(found, folder)
    items = []
    for file, name in zip(files, names, strict=True):
        known = folders[root] or folders[root / name.parts[0]]
        subject = people.get(file.resolve(), name.with_suffix("").as_posix())
        load = partial(_load_file, file, subject)
        items.append(Item(known.card.name if known else UNNAMED, name.as_posix(), load))
    told = "each file counts as one"
    return Data(items, f"as the dataset publishes them; of files that it does not know {told}" if people else told)


def _load_file(path: Path, subject: str) -> Recorded:
    return Recorded(subject, load_for_model(path))


def _of_dataset(root: Path, name: str, split: str | None) -> Data:
    source, card = Source(str(root), dataset=name), get_dataset(name).card
    sides: Any = SIDES if split is None else (split,)
    entries = [entry for side in sides for entry in source.entries(side)]
    if not entries:
        raise ValueError(
            f"got no recording of {card.name} on side {split}, expected some; take another --split, or more of the "
            "dataset"
        )

    def load(entry: Entry) -> Recorded:
        read_labels = partial(_labels_of, name, entry)
        return Recorded(subject_key(card, entry), for_model(preprocess_any_length(*source.pick(entry))), read_labels)

    return Data([Item(card.name, entry.id, partial(load, entry)) for entry in entries], "as the dataset publishes them")


def _labels_of(dataset: str, entry: Entry) -> Sequence[Label]:
    """The labels of a recording with those that are found while it is read, on its time axis."""
    return get_dataset(dataset).load(entry).labels


def _of_corpus(path: Path, dataset: str | None, split: str | None) -> Data:
    reader = CorpusReader(path, None if dataset is None else get_dataset(dataset).card.name, split)
    recordings: dict[str, list[int]] = {}
    for number, name in enumerate(reader.ids):
        recordings.setdefault(name.rpartition("/")[0], []).append(number)
    if not recordings:
        raise ValueError(f"got a corpus without segments on side {split}, expected some; take another --split")
    items = [
        Item(name.partition("/")[0], name, partial(Stored, reader, numbers)) for name, numbers in recordings.items()
    ]
    return Data(items, "as the corpus states them")
