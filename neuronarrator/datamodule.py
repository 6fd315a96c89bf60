"""Recordings to batches for the tasks: random crops for training, segments in order for validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning as L
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from corpus.dataset import Augmentation, Batch, CropDataset, EpochSampler, NarrationDataset, segment_batches
from corpus.findings import find_recording
from corpus.preprocess import load_recording, preprocess
from corpus.recording import Recording
from corpus.simulate import random_preset, simulate


@dataclass
class Source:
    """Recordings of one dataset.

    Attributes:
        root: its folder.
        train: patterns of the training files below it.
        val: patterns of the validation files; no file may match both.
        weight: how often its training recordings are drawn, relative to their length; the simulated ones have 1.
    """

    root: str
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    weight: float = 1.0

    def files(self, patterns: Sequence[str]) -> list[Path]:
        """The files that match any of the patterns, sorted."""
        return sorted({path for pattern in patterns for path in Path(self.root).glob(pattern)})


class BatchList(Dataset[Batch]):
    """Batches in memory."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = list(batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, item: int) -> Batch:
        return self.batches[item]


class NarrationDataModule(L.LightningDataModule):
    """Random ten-second crops of the training recordings and of simulated ones; validation segments in order.

    Args:
        sources: datasets, each with its training and validation files; the patterns must split by subject.
        simulated: how many recordings of a minute to simulate for training.
        batch_size: B.
        batches_per_epoch: training batches an epoch.
        history_k: K.
        narrate: make reference narratives (not needed for alignment).
        augmentation: of the training crops.
        seed: of crops and simulation.
        num_workers: of the training loader.
    """

    def __init__(
        self,
        sources: list[Source],
        simulated: int = 0,
        batch_size: int = 32,
        batches_per_epoch: int = 200,
        history_k: int = 2,
        narrate: bool = True,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["sources", "augmentation"])
        self.sources, self.augmentation = sources, augmentation

    def setup(self, stage: str | None = None) -> None:
        """Read and preprocess every recording once; they stay in memory."""
        if hasattr(self, "train_crops"):
            return
        weights = {path: source.weight for source in self.sources for path in source.files(source.train)}
        train = list(weights)
        val = [path for source in self.sources for path in source.files(source.val)]
        if shared := set(train) & set(val):
            raise ValueError(f"got {len(shared)} files in training and validation, expected none: split by subject")
        if not train and not self.hparams["simulated"]:
            roots = [source.root for source in self.sources]
            raise FileNotFoundError(
                f"got no training file below {roots}, expected recordings: correct root or patterns"
            )
        seed = self.hparams["seed"]
        recordings = [load_recording(path) for path in tqdm(train, desc="training recordings", unit="file")]
        recordings += self._simulate(seed, self.hparams["simulated"])
        self.train_crops = CropDataset(
            recordings,
            batch_size=self.hparams["batch_size"],
            n_batches=self.hparams["batches_per_epoch"],
            seed=seed,
            history_k=self.hparams["history_k"],
            narrate=self.hparams["narrate"],
            augmentation=self.augmentation,
            weights=[*weights.values(), *[1.0] * self.hparams["simulated"]],
        )
        self.val_batches = BatchList(
            [
                batch
                for path in tqdm(val, desc="validation recordings", unit="file")
                for batch in segment_batches(find_recording(load_recording(path)), self.hparams["batch_size"])
            ]
        )

    @staticmethod
    def _simulate(seed: int, count: int) -> list[Recording]:
        seeds = range(seed, seed + count)
        return [preprocess(simulate(random_preset(s), s).recording) for s in tqdm(seeds, desc="simulation")]

    def train_dataloader(self) -> DataLoader:
        """Random crops, new ones each epoch."""
        sampler = EpochSampler(len(self.train_crops))
        return DataLoader(self.train_crops, None, sampler=sampler, num_workers=self.hparams["num_workers"])

    def val_dataloader(self) -> DataLoader:
        """Segments in order."""
        return DataLoader(self.val_batches, batch_size=None)

    def transfer_batch_to_device(self, batch: Batch, device: object, dataloader_idx: int) -> Batch:
        """Batches know how to move themselves."""
        return batch.to(device)  # type: ignore[arg-type]


class CorpusDataModule(L.LightningDataModule):
    """The segments of a corpus on disk, with its own sides (`neuronarrator corpus build`).

    Args:
        corpus: its folder.
        batch_size: B.
        history_k: K, at most that of the corpus.
        num_workers: of each loader.
    """

    def __init__(self, corpus: str, batch_size: int = 32, history_k: int = 2, num_workers: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def _loader(self, side: str, shuffle: bool) -> DataLoader:
        wanted = {key: self.hparams[key] for key in ("corpus", "batch_size", "history_k")}
        dataset = NarrationDataset(**wanted, split=side)
        return DataLoader(dataset, None, shuffle=shuffle, num_workers=self.hparams["num_workers"])

    def train_dataloader(self) -> DataLoader:
        """Batches of the training side, in another order each epoch."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Batches of the validation side, in order."""
        return self._loader("val", shuffle=False)

    def test_dataloader(self) -> DataLoader:
        """Batches of the test side, in order."""
        return self._loader("test", shuffle=False)

    def transfer_batch_to_device(self, batch: Batch, device: object, dataloader_idx: int) -> Batch:
        """Batches know how to move themselves."""
        return batch.to(device)  # type: ignore[arg-type]
