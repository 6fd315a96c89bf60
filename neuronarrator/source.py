"""Recordings of one dataset with their sides, for training and for evaluation."""

from dataclasses import dataclass, replace
from pathlib import Path

from corpus.datasets import EegDataset, Entry, get_dataset
from corpus.datasets.base import Split
from corpus.preprocess import NEURONARRATOR, PreprocessPreset, pick_channels, preprocess
from corpus.recording import Recording, read_recording
from corpus.splits import plan_splits, subject_key


@dataclass
class Source:
    """Recordings of one dataset.

    Attributes:
        root: its folder.
        dataset: name of its adapter in `corpus.datasets`, which gives each person the side that `corpus build` gives
            by default; None: any files that MNE reads, chosen by the patterns.
        train: patterns of the training files below the folder.
        val: patterns of the validation files; no file may match both.
        weight: how often its training recordings are drawn, relative to their length; the simulated ones have 1.
    """

    root: str
    dataset: str | None = None
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.dataset is not None and (self.train or self.val):
            raise ValueError(f"got patterns and dataset {self.dataset!r}, expected one of them: the adapter has sides")

    def entries(self, side: Split) -> list[Entry]:
        """The recordings of one side, sorted."""
        if self.dataset is None:
            patterns = self.train if side == "train" else self.val
            paths = {path for pattern in patterns for path in Path(self.root).glob(pattern)}
            return [Entry(str(path), str(path), path) for path in sorted(paths)]
        dataset = get_dataset(self.dataset)
        entries = list(dataset.entries(Path(self.root)))
        sides = plan_splits([(dataset.card, entries)]).sides
        return [entry for entry in entries if sides[dataset.card.name, entry.id] == side]

    def persons(self, side: Split) -> set[str]:
        """Who is on a side, named as evaluation names them."""
        entries = self.entries(side)
        if self.dataset is not None:
            return {subject_key(get_dataset(self.dataset).card, entry) for entry in entries}
        root = Path(self.root)
        found = dataset_called(root)
        known = people_of(found, root) if found is not None else {}
        plain = [entry.path.relative_to(root).with_suffix("").as_posix() for entry in entries]
        return {known.get(entry.path.resolve(), name) for entry, name in zip(entries, plain, strict=True)}

    def pick(self, entry: Entry) -> tuple[Recording, PreprocessPreset]:
        """Read one recording and choose its channels, for `preprocess`; RecordingError where it cannot be used."""
        if self.dataset is None:
            return pick_channels(read_recording(entry.path), NEURONARRATOR)
        dataset = get_dataset(self.dataset)
        preset = replace(NEURONARRATOR, notch=dataset.card.mains_hz or "auto")
        return pick_channels(dataset.load(entry).recording, preset)

    def load(self, entry: Entry) -> Recording:
        """Read and preprocess one recording; RecordingError where it cannot be used."""
        return preprocess(*self.pick(entry))


def dataset_called(folder: Path) -> EegDataset | None:
    """The dataset that a folder is called as."""
    try:
        return get_dataset(folder.resolve().name)
    except ValueError:
        return None


def people_of(dataset: EegDataset, folder: Path) -> dict[Path, str]:
    """The person of each file that the adapter knows; none where the folder is not as published."""
    try:
        return {entry.path.resolve(): subject_key(dataset.card, entry) for entry in dataset.entries(folder)}
    except ValueError:
        return {}
