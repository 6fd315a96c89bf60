"""The tasks through the command line, on simulated recordings only: every stage trains, saves and feeds the next."""

from functools import partial
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from corpus.dataset import Augmentation, Batch
from corpus.simulate import random_preset, simulate, write_edf
from neuronarrator.cli import run_trainer
from neuronarrator.datamodule import (
    CropDataModule,
    NarrationDataModule,
    Source,
)
from neuronarrator.narration import Recipe
from neuronarrator.narrator import Narrator
from neuronarrator.optim import OptimizerOptions, cosine_with_warmup

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
QUICK_DATA = {"sources": [], "simulated": 2, "batch_size": 8, "batches_per_epoch": 2, "num_workers": 0}


def write_quick(stage: str, folder: Path, **init_args: object) -> Path:
    """A committed tiny configuration, cut down to two steps on two simulated recordings."""
    config = yaml.safe_load((EXPERIMENTS / stage / "tiny.yaml").read_text())
    config["data"]["init_args"] |= QUICK_DATA
    config["model"]["init_args"] |= init_args
    config["trainer"] |= {"max_epochs": 1, "logger": False, "callbacks": [], "enable_progress_bar": False}
    config["trainer"] |= {"enable_model_summary": False, "default_root_dir": str(folder)}
    path = folder / f"{stage}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_three_stages_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tower = tmp_path / "tower.safetensors"
    run_trainer(["fit", "--config", str(write_quick("topomap", tmp_path, save_to=str(tower)))])
    cli = run_trainer(["fit", "--config", str(write_quick("align", tmp_path, weights={"topomap": str(tower)}))])
    cli.trainer.save_checkpoint(tmp_path / "align.ckpt")
    aligned = cli.model.dual.state_dict()
    model = str(tmp_path / "model")
    path = write_quick("narrate", tmp_path, alignment_checkpoint=str(tmp_path / "align.ckpt"), save_to=model)
    run_trainer(["fit", "--config", str(path)])
    narrator = Narrator.from_pretrained(tmp_path / "model")
    for name, value in narrator.dual.state_dict().items():
        torch.testing.assert_close(value, aligned[name], atol=1e-3, rtol=1e-3)  # stage 2 left it as it was


def test_options_reach_the_task_from_files_that_are_merged(tmp_path: Path) -> None:
    """A second file and the command line change single values of nested options; the others keep theirs."""
    first = write_quick("narrate", tmp_path, alignment_checkpoint=None)
    second = tmp_path / "second.yaml"
    change = {"optimizer": {"warmup_steps": 7, "factors": {"llm": 0.5}}, "narrator": {"history_k": 1}}
    second.write_text(yaml.safe_dump({"model": {"init_args": change}}))
    words = ["--config", str(first), "--config", str(second), "--model.recipe.train_dual", "true"]
    task = run_trainer(["fit", *words, "--trainer.max_epochs", "0"]).model
    assert task.options == OptimizerOptions(1.5e-3, 0.01, 7, {"llm": 0.5})
    assert task.recipe == Recipe(train_dual=True, spectrum_steps=1250, vocab_size=700)
    assert (task.narrator.config.history_k, task.narrator.llm.config.hidden_size) == (1, 192)
    assert task.hparams["optimizer"] == task.options.plain()


def test_schedule_warms_up_and_falls_to_zero() -> None:
    factor = cosine_with_warmup(10, 110)
    assert [factor(0), factor(9), factor(10)] == pytest.approx([0.1, 1.0, 1.0])
    assert factor(60) == pytest.approx(0.5)
    assert factor(110) == pytest.approx(0.0)


def test_narrator_overfits_a_batch(narrator: Narrator, batch: Batch) -> None:
    narrator.train()
    optimizer = torch.optim.AdamW([p for p in narrator.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(60):
        loss = narrator(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_lightning_moves_on_to_new_crops_each_epoch(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Watch(L.LightningModule):
        def training_step(self, batch: Batch, batch_idx: int) -> None:
            seen.append(batch.narratives)

        def configure_optimizers(self) -> None:
            return None

    data = NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=2)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=tmp_path, **quiet).fit(Watch(), data)
    assert len(seen) == 4
    assert seen[:2] != seen[2:]


def test_crops_are_the_same_with_and_without_narratives() -> None:
    batches = []
    asking = partial(NarrationDataModule, tasks=["choice", "narrative"])
    for kind in (CropDataModule, NarrationDataModule, asking):
        data = kind([], simulated=1, batch_size=2, batches_per_epoch=1)
        data.setup()
        batches.append(data.train_batches[0])
    assert torch.equal(batches[0].signal_uv, batches[1].signal_uv)
    assert all(torch.equal(batches[0].signal_uv, batch.signal_uv) for batch in batches)
    assert [len(batch.narratives) for batch in batches] == [0, 2, 2]
    assert [len(batch.chats) for batch in batches] == [0, 0, 2]


@pytest.mark.parametrize("history_k", [0, 1, 4])
def test_validation_knows_as_many_predecessors_as_training(history_k: int, tmp_path: Path) -> None:
    for seed in range(2):
        write_edf(simulate(random_preset(seed, duration_s=60.0), seed).recording, tmp_path / f"{seed}.edf")
    source = Source(str(tmp_path), train=("0.edf",), val=("1.edf",))
    data = NarrationDataModule([source], batch_size=8, batches_per_epoch=1, history_k=history_k)
    data.setup()
    (batch,) = data.val_dataloader()
    (crops,) = data.train_dataloader()
    assert batch.history_mask.shape[1] == crops.history_mask.shape[1] == history_k
    assert batch.history_mask.sum(1).tolist() == [min(i, history_k) for i in range(6)]


def test_a_file_on_both_sides_is_refused(tmp_path: Path) -> None:
    (tmp_path / "S001.edf").touch()
    module = NarrationDataModule([Source(str(tmp_path), train=("*.edf",), val=("S001*",))])
    with pytest.raises(ValueError, match="1 files in training and validation"):
        module.setup()


def test_no_training_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no training recording"):
        NarrationDataModule([Source(str(tmp_path), train=("*.edf",))], augmentation=Augmentation()).setup()
