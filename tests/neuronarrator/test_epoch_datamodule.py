"""Training batches of each epoch: new ones, the same again after a break, and little padding where it is asked for."""

from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from corpus.build import BuildConfig, build_corpus
from corpus.dataset import Batch
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.splits import SplitPolicy
from neuronarrator.datamodule import CorpusDataModule
from neuronarrator.epoch_datamodule import EpochDataModule
from neuronarrator.hub import PRETRAINED

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


class Watch(L.LightningModule):
    """Remembers what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[object] = []

    def training_step(self, batch: Tensor | Batch, batch_idx: int) -> Tensor:
        self.seen.append(batch.narratives if isinstance(batch, Batch) else batch.item())
        return self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        assert batch.item() == -1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Items(Dataset[Tensor]):
    """Item i is i."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, item: int) -> Tensor:
        return torch.tensor(item)


class Counted(EpochDataModule):
    def __init__(self, num_workers: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()

    def setup(self, stage: str | None = None) -> None:
        self.train_batches, self.val_batches = Items(), [torch.tensor(-1)] * 2  # type: ignore[assignment]


def fit(data: L.LightningDataModule, epochs: int, folder: Path, resume: Path | None = None) -> list[object]:
    """What is trained on up to the end of the last epoch; the checkpoint of the run is `folder / "last.ckpt"`."""
    task, trainer = Watch(), L.Trainer(max_epochs=epochs, enable_checkpointing=False, default_root_dir=folder, **QUIET)
    trainer.fit(task, data, ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return task.seen


def test_items_go_on_over_epochs_and_over_a_break(tmp_path: Path) -> None:
    assert fit(Counted(), 2, tmp_path) == [0, 1, 2, 3, 4, 5]
    assert fit(Counted(), 4, tmp_path, tmp_path / "last.ckpt") == [6, 7, 8, 9, 10, 11]


def test_workers_see_new_epochs() -> None:
    data = Counted(num_workers=1)
    data.setup()
    loader = data.train_dataloader()
    loader.sampler.set_epoch(1)
    assert [int(item) for item in loader] == [3, 4, 5]
    loader.sampler.set_epoch(2)
    assert [int(item) for item in loader] == [6, 7, 8]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four simulated persons of two minutes, all of them for training."""
    root = tmp_path_factory.mktemp("dataset")
    (root / "in").mkdir()
    for i in range(4):
        preset = SimulationPreset(duration_s=122.0, ch_names=("Fz", "Cz", "Pz", "Oz", "F3", "F4"))
        write_edf(simulate(preset, seed=i).recording, root / "in" / f"person{i}.edf")
    config = BuildConfig(split=SplitPolicy(fractions=(1.0, 0.0, 0.0)))
    build_corpus([("folder", root / "in")], root / "corpus", config)
    return root / "corpus"


def test_a_resumed_run_on_grouped_batches_goes_on_with_their_order(corpus: Path, tmp_path: Path) -> None:
    def data() -> CorpusDataModule:
        return CorpusDataModule(str(corpus), batch_size=8, group_by_length=True, seed=3)

    whole = fit(data(), 3, tmp_path)
    assert fit(data(), 2, tmp_path) == whole[:12]
    assert fit(data(), 3, tmp_path, tmp_path / "last.ckpt") == whole[12:]
    assert len({str(whole[start : start + 6]) for start in (0, 6, 12)}) == 3


def padding_share(data: CorpusDataModule) -> float:
    """The part of the answers' tokens that is padding, by the tokenizer that ships."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(PRETRAINED / "tiny", local_files_only=True)
    lengths = [[len(ids) for ids in tokenizer(batch.narratives)["input_ids"]] for batch in data.train_dataloader()]
    assert sum(map(len, lengths)) == 48
    return 1 - sum(map(sum, lengths)) / sum(len(batch) * max(batch) for batch in lengths)


def test_little_is_padded_where_batches_are_grouped_by_length(corpus: Path) -> None:
    shares = [padding_share(CorpusDataModule(str(corpus), 8, group_by_length=grouped)) for grouped in (False, True)]
    assert shares[1] < 0.5 * shares[0]
