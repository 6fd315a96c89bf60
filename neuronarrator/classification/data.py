"""Segments of one dataset with the labels that its publisher gives, for the classifiers: in memory, sides by person."""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from corpus.datasets import DatasetCard, Label, get_dataset
from corpus.labels import LABEL_TASKS, labels_of_segment
from corpus.preprocess import NEURONARRATOR, pick_channels, preprocess
from corpus.recording import RecordingError
from corpus.segment import segment_recording
from corpus.splits import SplitPolicy, plan_splits, subject_key
from corpus.store import CorpusReader
from corpus.store.assemble import MANIFEST


@dataclass(frozen=True, eq=False)
class LabelledSegments:
    """N segments of one channel layout.

    Attributes:
        signal_uv: (N, C, T) float32, microvolts at 200 Hz.
        votes: (N, K) float32, the part of the votes that each class has; rows sum to 1. Without raters,
            each class that a label states has one vote.
        subjects: N codes of persons.
        sides: N, the side of each segment's recording.
        ch_names: C electrode names.
        classes: K label values.
    """

    signal_uv: np.ndarray
    votes: np.ndarray
    subjects: np.ndarray
    sides: np.ndarray
    ch_names: tuple[str, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.signal_uv)

    def __getitem__(self, chosen: np.ndarray) -> "LabelledSegments":
        """The segments of a mask or of indices (N,)."""
        parts = {name: getattr(self, name)[chosen] for name in ("signal_uv", "votes", "subjects", "sides")}
        return replace(self, **parts)


@dataclass(frozen=True, eq=False)
class _Segment:
    signal_uv: np.ndarray
    ch_names: tuple[str, ...]
    labels: tuple[Label, ...]
    subject: str
    side: str


def read_segments(root: str | Path, dataset: str, classes: Sequence[str] | None = None) -> LabelledSegments:
    """Every segment of a dataset that carries one of the labels.

    Segments have the channels of the most frequent layout; those that lack one of them are left out with a warning.

    Args:
        root: folder of the dataset as published, or of a corpus that holds it (`neuronarrator corpus build`).
        dataset: name or alias in `corpus.datasets`.
        classes: label values to tell apart, K; None: those of `corpus.labels.LABEL_TASKS`.

    Returns:
        The segments, in the order of recordings and time, with the sides of the corpus, or for a published folder those
        of the publisher; where there are none, those that `corpus build` gives.

    Raises:
        FileNotFoundError: no folder there.
        ValueError: an unknown dataset or label, fewer than two labels, or one without a segment.
    """
    card = get_dataset(dataset).card
    classes = _checked_classes(card, classes)
    if not Path(root).is_dir():
        raise FileNotFoundError(f"got no folder {Path(root).name!r}, expected {card.name} or a corpus: correct root")
    stored = (Path(root) / MANIFEST).is_file()
    seen: Counter[str] = Counter()
    kept: list[tuple[_Segment, np.ndarray]] = []
    for segment in (_of_corpus if stored else _of_dataset)(Path(root), card.name):
        seen.update(label.value for label in segment.labels)
        votes = _votes(segment.labels, classes)
        if votes.any():
            kept.append((segment, votes))
    present = np.sum([votes for _, votes in kept], axis=0) if kept else np.zeros(len(classes))
    if missing := [value for value, count in zip(classes, present, strict=True) if not count]:
        told = ", ".join(f"{value} ({count})" for value, count in sorted(seen.items())) or "none"
        raise ValueError(f"got no segment of {card.name} labelled {missing}, expected some; labels found: {told}")
    return _one_layout(kept, classes)


def _checked_classes(card: DatasetCard, classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        if card.name not in LABEL_TASKS:
            raise ValueError(f"got no classes for {card.name}, expected some of its labels: {', '.join(card.labels)}")
        classes = LABEL_TASKS[card.name].classes
    if len(classes) < 2 or len(set(classes)) < len(classes):
        raise ValueError(f"got classes {list(classes)}, expected two or more different labels of {card.name}")
    if unknown := [value for value in classes if value not in card.labels]:
        raise ValueError(f"got labels {unknown}, expected labels of {card.name}: {', '.join(card.labels)}")
    return tuple(classes)


def _of_dataset(root: Path, name: str) -> Iterator[_Segment]:
    dataset = get_dataset(name)
    entries = list(dataset.entries(root))
    sides = plan_splits([(dataset.card, entries)], SplitPolicy(published=True)).sides
    preset = replace(NEURONARRATOR, notch=dataset.card.mains_hz or "auto")
    for entry in tqdm(entries, desc=name, unit="file"):
        try:
            loaded = dataset.load(entry)
            recording = preprocess(*pick_channels(loaded.recording, preset))
        except RecordingError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        for segment in segment_recording(recording):
            labels = labels_of_segment(loaded.labels, segment.start_s, segment.duration_s)
            subject, side = subject_key(dataset.card, entry), sides[name, entry.id]
            yield _Segment(segment.signal_uv, segment.ch_names, labels, subject, side)


def _of_corpus(path: Path, name: str) -> Iterator[_Segment]:
    reader = CorpusReader(path, name)
    for record in tqdm((reader[i] for i in range(len(reader))), total=len(reader), desc=name, unit="segment"):
        row = record.row
        yield _Segment(row.signal_uv, row.ch_names, row.labels, row.subject, row.split)


def _votes(labels: Sequence[Label], classes: Sequence[str]) -> np.ndarray:
    """Votes for each of the classes (K,); without raters, one for each class that a label states."""
    counts = Counter({label.value for label in labels if not label.votes})
    for label in labels:
        counts.update(dict(label.votes))
    return np.array([counts[value] for value in classes], np.float32)


def _one_layout(kept: Sequence[tuple[_Segment, np.ndarray]], classes: tuple[str, ...]) -> LabelledSegments:
    ch_names = Counter(segment.ch_names for segment, _ in kept).most_common(1)[0][0]
    fitting = [(segment, votes) for segment, votes in kept if set(ch_names) <= set(segment.ch_names)]
    if len(fitting) < len(kept):
        warnings.warn(
            f"left out: {len(kept) - len(fitting)} of {len(kept)} segments without all of {', '.join(ch_names)}",
            stacklevel=3,
        )
    votes = np.stack([votes for _, votes in fitting])
    return LabelledSegments(
        signal_uv=np.stack([_arranged(segment, ch_names) for segment, _ in fitting]),
        votes=votes / votes.sum(axis=1, keepdims=True),
        subjects=np.array([segment.subject for segment, _ in fitting]),
        sides=np.array([segment.side for segment, _ in fitting]),
        ch_names=ch_names,
        classes=classes,
    )


def _arranged(segment: _Segment, ch_names: tuple[str, ...]) -> np.ndarray:
    rows = [segment.ch_names.index(name) for name in ch_names]
    return np.asarray(segment.signal_uv, np.float32)[rows]


def majority(votes: np.ndarray) -> np.ndarray:
    """The class of most votes (N,) from votes (N, K); -1 where several have the most."""
    most = votes == votes.max(axis=1, keepdims=True)
    return np.where(most.sum(axis=1) == 1, most.argmax(axis=1), -1)


def subject_folds(segments: LabelledSegments, n_folds: int, seed: int = 0) -> np.ndarray:
    """The fold of each segment (N,): persons are dealt out, those who show the same classes evenly.

    Raises:
        ValueError: fewer than two folds, or more folds than persons.
    """
    persons: Mapping[str, tuple[int, ...]] = {
        person: tuple(np.flatnonzero(segments.votes[segments.subjects == person].any(axis=0)))
        for person in np.unique(segments.subjects).tolist()
    }
    if not 2 <= n_folds <= len(persons):
        raise ValueError(f"got {n_folds} folds for {len(persons)} persons, expected 2 to as many as persons")
    drawn = np.random.default_rng(seed).permutation(sorted(persons)).tolist()
    dealt = {person: i % n_folds for i, person in enumerate(sorted(drawn, key=lambda p: persons[p]))}
    return np.array([dealt[person] for person in segments.subjects.tolist()])


def check_disjoint(train: Sequence[str], held_out: Sequence[str]) -> None:
    """Nobody is trained on and scored on.

    Raises:
        ValueError: persons of both sides, by the first of their codes.
    """
    if shared := sorted(set(train) & set(held_out)):
        raise ValueError(
            f"got {len(shared)} persons on both sides ({', '.join(shared[:3])}), expected none: split by subject, or "
            "set folds"
        )


class ClassificationDataModule(L.LightningDataModule):
    """Ten-second segments of one dataset in memory, to train on one part of the persons and score on another.

    A batch is a pair: signals (B, C, T) in microvolts, and votes (B, K) whose rows sum to 1. Once divided, `held_out`
    (N,) tells which segments are held out.

    Args:
        root: folder of the dataset as published, or of a corpus that holds it.
        dataset: name in `corpus.datasets`.
        classes: label values to tell apart; None: those of `corpus.labels.LABEL_TASKS`.
        folds: deal the persons to so many folds and hold out one of them; 0: the sides of `read_segments`.
        fold: which one is held out.
        evaluate_on: the side that is held out where there are no folds.
        batch_size: B.
        seed: of the folds.
    """

    def __init__(
        self,
        root: str,
        dataset: str,
        classes: list[str] | None = None,
        folds: int = 0,
        fold: int = 0,
        evaluate_on: Literal["val", "test"] = "val",
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if folds and not 0 <= fold < folds:
            raise ValueError(f"got fold {fold} of {folds}, expected 0 to {folds - 1}")
        self.save_hyperparameters()

    def setup(self, stage: str | None = None) -> None:
        """Read the dataset once and divide it."""
        if not hasattr(self, "train_segments"):
            wanted = self.hparams
            self.divide(read_segments(wanted["root"], wanted["dataset"], wanted["classes"]))

    def divide(self, segments: LabelledSegments) -> None:
        """Divide segments by person; for several runs on the same ones, which `setup` then does not read again.

        Raises:
            ValueError: a side without segments, a class without training segments, or a person on both sides.
        """
        wanted = self.hparams
        if wanted["folds"]:
            held_out = subject_folds(segments, wanted["folds"], wanted["seed"]) == wanted["fold"]
            train = ~held_out
        else:
            train, held_out = segments.sides == "train", segments.sides == wanted["evaluate_on"]
        for name, side in {"training": train, "held-out": held_out}.items():
            if not side.any():
                raise ValueError(f"got no {name} segment, expected some: more of the dataset, or set folds")
        present = segments.votes[train].any(axis=0)
        if missing := [value for value, there in zip(segments.classes, present, strict=True) if not there]:
            raise ValueError(f"got no training segment labelled {missing}, expected some: set folds, or other classes")
        check_disjoint(segments.subjects[train].tolist(), segments.subjects[held_out].tolist())
        self.held_out = held_out
        self.train_segments, self.held_out_segments = segments[train], segments[held_out]

    def train_dataloader(self) -> DataLoader:
        """Training segments in another order each epoch; a last batch of one is left out, as norms need two."""
        single = len(self.train_segments) % self.hparams["batch_size"] == 1
        return self._loader(self.train_segments, shuffle=True, drop_last=single)

    def val_dataloader(self) -> DataLoader:
        """Segments of the persons held out, in order."""
        return self._loader(self.held_out_segments, shuffle=False, drop_last=False)

    def _loader(self, segments: LabelledSegments, shuffle: bool, drop_last: bool) -> DataLoader:
        pairs = TensorDataset(torch.from_numpy(segments.signal_uv), torch.from_numpy(segments.votes))
        return DataLoader(pairs, self.hparams["batch_size"], shuffle=shuffle, drop_last=drop_last)
