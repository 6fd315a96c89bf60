"""Strategies for large models: their files are what Lightning takes, and a sharded narrator is the same narrator."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from lightning.pytorch.cli import LightningCLI
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh

from corpus.dataset import Batch
from neuronarrator.narration import NarrationTask, Recipe
from neuronarrator.narrator import Narrator
from neuronarrator.sharding import shard_narrator

NARRATE = Path(__file__).parents[2] / "experiments" / "narrate"


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Any]:
    """One process that talks to itself."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,), mesh_dim_names=("data_parallel",))["data_parallel"]
    distributed.destroy_process_group()


def steps(narrator: Narrator, batch: Batch) -> list[float]:
    """Losses of three steps, with narratives generated after the first."""
    optimizer = torch.optim.SGD([p for p in narrator.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for step in range(3):
        loss = narrator(batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step == 0:
            narrator.generate(batch)
    return losses


def test_a_sharded_narrator_learns_and_writes_what_a_whole_one_does(
    narrator: Narrator, batch: Batch, mesh: Any, tmp_path: Path
) -> None:
    narrator.config.max_new_tokens = 6
    narrator.save_pretrained(tmp_path / "start")
    expected = steps(narrator, batch)
    sharded = Narrator.from_pretrained(tmp_path / "start")
    shard_narrator(sharded, mesh, dtype=None)
    assert all(type(p).__name__ == "DTensor" for p in sharded.parameters())
    assert steps(sharded, batch) == pytest.approx(expected, rel=1e-5)
    assert [g.tokens for g in sharded.generate(batch)] == [g.tokens for g in narrator.generate(batch)]
    state = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    for name, value in narrator.state_dict().items():
        torch.testing.assert_close(state[name], value, msg=name)
    sharded.save_pretrained(tmp_path / "saved", state)  # as `NarrationTask` does when training ends
    assert Narrator.from_pretrained(tmp_path / "saved")(batch).loss.isfinite()


def test_layers_may_compute_in_bfloat16(narrator: Narrator, batch: Batch, mesh: Any) -> None:
    exact = narrator(batch).loss.item()
    shard_narrator(narrator, mesh)
    loss = narrator(batch).loss
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact, rel=0.02)
    assert loss.item() != exact
    assert {p.grad.dtype for p in narrator.parameters() if p.grad is not None} == {torch.float32}


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # a step without a trainer
def test_all_that_learns_is_sharded(narrator: Narrator, batch: Batch, mesh: Any, tmp_path: Path) -> None:
    narrator.tokenizer.save_pretrained(tmp_path)
    task = NarrationTask(narrator.config, tokenizer=str(tmp_path), recipe=Recipe(band_power_weight=0.1))
    exact = task.training_step(batch, 0).item()
    task._device_mesh = {"data_parallel": mesh}
    task.configure_model()
    loss = task.training_step(batch, 0)
    loss.backward()
    assert loss.item() == pytest.approx(exact, rel=0.02)
    assert all(type(p).__name__ == "DTensor" for p in task.parameters())
    assert torch.nn.utils.clip_grad_norm_(task.parameters(), 1.0).isfinite()


@pytest.mark.parametrize("name", ["fsdp2", "deepspeed"])
def test_the_strategies_are_built_from_their_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "deepspeed" and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("deepspeed is not installed: expected it for experiments/narrate/deepspeed.yaml")
    monkeypatch.setattr(LightningCLI, "instantiate_classes", lambda self: None)
    files = [NARRATE / "base.yaml", NARRATE / f"{name}.yaml"]
    words = [word for file in files for word in ("--config", str(file))]
    cli = LightningCLI(args=words, run=False, save_config_callback=None)
    trainer = yaml.safe_load((NARRATE / "base.yaml").read_text())["trainer"]
    assert (cli.config.trainer.max_epochs, cli.config.trainer.devices) == (trainer["max_epochs"], trainer["devices"])
    assert cli.config.model.init_args.tuning.gradient_checkpointing
    strategy = cli.config.trainer.strategy
    class_path = strategy.class_path.rpartition(".")[2]
    assert class_path == {"fsdp2": "ModelParallelStrategy", "deepspeed": "DeepSpeedStrategy"}[name]
    made = getattr(L.pytorch.strategies, class_path)(**strategy.init_args)
    L.Trainer(strategy=made, accelerator="cpu", devices=1, logger=False, precision="32-true")
