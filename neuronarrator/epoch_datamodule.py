"""What the data modules share whose training batches are others in each epoch."""

from typing import Any

import lightning as L
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, Dataset

from corpus.dataset import EpochSampler


class EpochDataModule(L.LightningDataModule):
    """Training batches that are others in each epoch, validation batches in order.

    A run that stopped goes on with the batches of its next epoch. A subclass sets both attributes, and has the
    hyperparameter `num_workers`, of the training loader.

    Attributes:
        train_batches: item i is a whole batch of epoch i // len; there is no last one.
        val_batches: whole batches.
    """

    train_batches: Dataset
    val_batches: Dataset

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def train_dataloader(self) -> DataLoader:
        """Batches of training, new ones each epoch."""
        sampler = EpochSampler(len(self.train_batches))  # type: ignore[arg-type]
        sampler.set_epoch(self._epoch)
        workers = self.hparams["num_workers"]
        return DataLoader(
            self.train_batches, None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0
        )

    def state_dict(self) -> dict[str, int]:
        """The epoch that comes next: Lightning tells the sampler of a resumed run too late."""
        trainer: Any = self.trainer
        return {"epoch": trainer.fit_loop.epoch_progress.current.processed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on with the batches of that epoch."""
        self._epoch = state["epoch"]

    def val_dataloader(self) -> DataLoader:
        """Batches of validation, in order."""
        return self.each_once(self.val_batches)

    def each_once(self, batches: Dataset, num_workers: int = 0) -> DataLoader:
        """Batches in order; of several processes each has its share of them, and none comes twice.

        Lightning's own sampler repeats batches until all processes have as many; metrics would count these twice.
        Processes that meet in each forward pass (FSDP2, ZeRO) need as many, and get them.

        Raises:
            ValueError: fewer batches than processes.
        """
        sampler, count = None, len(batches)  # type: ignore[arg-type]
        if self.trainer is not None and type(self.trainer.strategy) is DDPStrategy:
            world_size, rank = self.trainer.world_size, self.trainer.global_rank
            if 0 < count < world_size:
                raise ValueError(
                    f"got {count} batches of validation for {world_size} processes, expected none, or one each: use a "
                    "smaller batch_size, more data of validation, or fewer devices"
                )
            sampler = UnrepeatedDistributedSampler(batches, world_size, rank, shuffle=False)
        return DataLoader(batches, None, sampler=sampler, num_workers=num_workers)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Batches know how to move themselves."""
        return batch.to(device)
