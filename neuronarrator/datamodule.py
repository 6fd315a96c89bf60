"""Recordings to batches for the tasks: random crops for training, segments in order for validation."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from corpus.dataset import Augmentation, Batch, CropDataset, Mixture, NarrationDataset, segment_batches
from corpus.datasets import Entry
from corpus.findings import find_recording
from corpus.preprocess import preprocess
from corpus.recording import Recording, RecordingError
from corpus.simulate import random_preset, simulate
from corpus.store import CorpusReader
from neuronarrator.epoch_datamodule import EpochDataModule
from neuronarrator.persons import codes_of
from neuronarrator.source import Source
from neuronarrator.stream import lengthen_history


class BatchList(Dataset[Batch]):
    """Batches in memory."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = list(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, item: int) -> Batch:
        return self.batches[item]


class CropDataModule(EpochDataModule):
    """Random ten-second crops of the training recordings and of simulated ones; validation segments in order.

    Args:
        sources: datasets, each with its training and validation files; the patterns must split by subject.
        simulated: how many recordings of a minute to simulate for training.
        batch_size: B.
        batches_per_epoch: training batches an epoch.
        history_k: K.
        augmentation: of the training crops.
        seed: of crops and simulation.
        num_workers: of the training loader.
    """

    narrate: bool | Mixture = False  # crops come with their narratives; alignment and pretraining need none

    def __init__(
        self,
        sources: list[Source],
        simulated: int = 0,
        batch_size: int = 32,
        batches_per_epoch: int = 200,
        history_k: int = 2,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["sources", "augmentation"])
        self.sources, self.augmentation = sources, augmentation

    def setup(self, stage: str | None = None) -> None:
        """Read and preprocess every recording once; they stay in memory."""
        if hasattr(self, "train_batches"):
            return
        train = [(source, entry) for source in self.sources for entry in source.entries("train")]
        val = [(source, entry) for source in self.sources for entry in source.entries("val")]
        if shared := {entry.path for _, entry in train} & {entry.path for _, entry in val}:
            raise ValueError(f"got {len(shared)} files in training and validation, expected none: split by subject")
        if not train and not self.hparams["simulated"]:
            roots = [source.root for source in self.sources]
            raise FileNotFoundError(
                f"got no training recording below {roots}, expected some: correct root, dataset or patterns"
            )
        seed = self.hparams["seed"]
        loaded = list(_load(train, "training recordings"))
        simulated = self._simulate(seed, self.hparams["simulated"])
        self.train_batches = CropDataset(
            [*(recording for _, recording in loaded), *simulated],
            batch_size=self.hparams["batch_size"],
            n_batches=self.hparams["batches_per_epoch"],
            seed=seed,
            history_k=self.hparams["history_k"],
            narrate=self.narrate,
            augmentation=self.augmentation,
            weights=[*(source.weight for source, _ in loaded), *[1.0] * len(simulated)],
        )
        validation = (recording for _, recording in _load(val, "validation recordings"))
        self.val_batches = BatchList([batch for recording in validation for batch in self._in_order(recording)])

    def _in_order(self, recording: Recording) -> Iterator[Batch]:
        """The segments of a recording with K predecessors each, whatever their trends are measured with."""
        history_k = self.hparams["history_k"]
        findings = list(lengthen_history(find_recording(recording), history_k))
        return segment_batches(findings, self.hparams["batch_size"], history_k=history_k)

    @property
    def persons(self) -> list[str]:
        """Codes of who is in training."""
        return codes_of(name for source in self.sources for name in source.persons("train"))

    @staticmethod
    def _simulate(seed: int, count: int) -> list[Recording]:
        seeds = range(seed, seed + count)
        return [preprocess(simulate(random_preset(s), s).recording) for s in tqdm(seeds, desc="simulation")]


class NarrationDataModule(CropDataModule):
    """The same crops with their reference narratives, for what learns to write.

    Args:
        sources: see `CropDataModule`.
        simulated: see `CropDataModule`.
        batch_size: see `CropDataModule`.
        batches_per_epoch: see `CropDataModule`.
        history_k: see `CropDataModule`.
        augmentation: see `CropDataModule`.
        seed: see `CropDataModule`.
        num_workers: see `CropDataModule`.
        tasks: what the training crops are asked, each as often as the others (`corpus.dataset.Mixture`); None: always
            for the narrative. Validation asks for that.
    """

    narrate: bool | Mixture = True

    def __init__(
        self,
        sources: list[Source],
        simulated: int = 0,
        batch_size: int = 32,
        batches_per_epoch: int = 200,
        history_k: int = 2,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
        tasks: list[str] | None = None,
    ) -> None:
        super().__init__(sources, simulated, batch_size, batches_per_epoch, history_k, augmentation, seed, num_workers)
        if tasks is not None:
            self.narrate = Mixture(tasks)


def _load(chosen: Sequence[tuple[Source, Entry]], what: str) -> Iterator[tuple[Source, Recording]]:
    """The recordings with their sources; one that cannot be used is left out with a warning."""
    for source, entry in tqdm(chosen, desc=what, unit="file"):
        try:
            yield source, source.load(entry)
        except RecordingError as error:
            warnings.warn(f"left out of {what}: {error}", stacklevel=2)


class CorpusDataModule(EpochDataModule):
    """The segments of a corpus on disk, with its own sides (`neuronarrator corpus build`).

    Args:
        corpus: its folder.
        batch_size: B.
        history_k: K, at most that of the corpus.
        num_workers: of each loader.
        group_by_length: train on batches of narratives of like length, drawn anew each epoch. Less padding is computed,
            but segments are read out of order, and neighbours no longer share a batch; off, a batch holds neighbours.
        seed: of these batches and their order, and of the tasks.
        tasks: what the training segments are asked, as in `NarrationDataModule`.
    """

    def __init__(
        self,
        corpus: str,
        batch_size: int = 32,
        history_k: int = 2,
        num_workers: int = 0,
        group_by_length: bool = False,
        seed: int = 0,
        tasks: list[str] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()

    def _train(self, **grouping: Any) -> NarrationDataset:
        tasks, seed = self.hparams["tasks"], self.hparams["seed"]
        return self._side("train", seed=seed, mixture=None if tasks is None else Mixture(tasks), **grouping)

    def _side(self, side: str, **grouping: Any) -> NarrationDataset:
        wanted = {key: self.hparams[key] for key in ("corpus", "batch_size", "history_k")}
        return NarrationDataset(**wanted, split=side, **grouping)

    @property
    def persons(self) -> list[str]:
        """Codes of who is in training."""
        return codes_of(CorpusReader(self.hparams["corpus"], split="train").column("subject"))

    def train_dataloader(self) -> DataLoader:
        """Batches of the training side, in another order each epoch."""
        if not self.hparams["group_by_length"]:
            return DataLoader(self._train(), None, shuffle=True, num_workers=self.hparams["num_workers"])
        self.train_batches = self._train(group_by_length=True)
        return super().train_dataloader()

    def val_dataloader(self) -> DataLoader:
        """Batches of the validation side, in order."""
        return self.each_once(self._side("val"), self.hparams["num_workers"])

    def test_dataloader(self) -> DataLoader:
        """Batches of the test side, in order."""
        return self.each_once(self._side("test"), self.hparams["num_workers"])
