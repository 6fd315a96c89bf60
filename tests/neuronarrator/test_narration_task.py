"""Stage 2 as a task: it overfits, resumes bit for bit, trains what it is told to, and writes the card of its run."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch, segment_batches
from corpus.findings import find_recording
from corpus.preprocess import preprocess
from corpus.simulate import SimulationPreset, simulate
from neuronarrator.datamodule import NarrationDataModule, Source
from neuronarrator.language.llm import Tuning
from neuronarrator.narration import NarrationTask, Recipe
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.optim import OptimizerOptions
from neuronarrator.run_facts import data_facts

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


@pytest.fixture(scope="module")
def tokenizer_dir(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def task_args(narrator: Narrator, tokenizer_dir: str) -> dict[str, object]:
    config = NarratorConfig(llm=narrator.config.llm, max_new_tokens=8, modalities=("history", "signal", "topomap"))
    return {"narrator": config, "tokenizer": tokenizer_dir, "optimizer": OptimizerOptions(1e-2, warmup_steps=2)}


def build_task(task_args: dict[str, object], **more: object) -> NarrationTask:
    torch.manual_seed(0)
    return NarrationTask(**task_args, **more)


def crops(steps: int) -> NarrationDataModule:
    return NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=steps, seed=3)


@pytest.mark.slow
def test_eight_segments_are_learnt_by_heart(narrator: Narrator) -> None:
    recording = preprocess(simulate(SimulationPreset(duration_s=90.0), seed=0).recording)
    batch = next(segment_batches(find_recording(recording), batch_size=8))
    assert len(batch) == 8
    narrator.train()
    narrator.config.max_new_tokens = 160
    optimizer = torch.optim.AdamW([p for p in narrator.parameters() if p.requires_grad], lr=4e-3, weight_decay=0.0)
    losses = []
    for _ in range(110):
        loss = narrator(batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(narrator.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    narrator.eval()
    assert [generation.text for generation in narrator.generate(batch)] == batch.narratives


@pytest.mark.parametrize("beyond", [False, True], ids=["paper", "options"])
def test_resumed_training_equals_uninterrupted_training_bit_for_bit(
    task_args: dict[str, object], tmp_path: Path, beyond: bool
) -> None:
    if beyond:
        task_args["narrator"] = replace(task_args["narrator"], tokens_per_segment=2, match_norms=True)
        task_args["optimizer"] = OptimizerOptions(1e-2, warmup_steps=2, factors={"encoders": 0.5, "llm": 2.0})
        task_args["recipe"] = Recipe(band_power_weight=0.1)

    class Watch(L.Callback):
        def __init__(self) -> None:
            self.seen: list[list[str]] = []

        def on_train_batch_start(self, trainer: L.Trainer, task: L.LightningModule, batch: Batch, index: int) -> None:
            self.seen.append(batch.narratives)

    def fit(callbacks: list[L.Callback], ckpt_path: str | None = None) -> dict[str, Tensor]:
        task = build_task(task_args)
        L.Trainer(max_epochs=2, callbacks=callbacks, default_root_dir=tmp_path, **QUIET).fit(
            task, crops(2), ckpt_path=ckpt_path
        )
        return task.state_dict()

    keep = L.pytorch.callbacks.ModelCheckpoint(tmp_path, filename="{epoch}", save_top_k=-1, every_n_epochs=1)
    whole, rest = Watch(), Watch()
    expected = fit([whole, keep])
    torch.manual_seed(1234)  # what was drawn before must not matter
    resumed = fit([rest], str(tmp_path / "epoch=0.ckpt"))
    assert rest.seen == whole.seen[2:]
    assert whole.seen[:2] != whole.seen[2:]
    assert all(torch.equal(resumed[name], value) for name, value in expected.items())
    learnt = "narrator.llm.model.embed_tokens.weight"
    assert not torch.equal(build_task(task_args).state_dict()[learnt], expected[learnt])


def test_parts_learn_at_the_pace_of_their_group(task_args: dict[str, object], tmp_path: Path) -> None:
    task_args["optimizer"] = OptimizerOptions(1e-2, warmup_steps=0, factors={"llm": 0.0, "encoders": 0.0})
    task = build_task(task_args)
    before = {name: p.clone() for name, p in task.narrator.named_parameters()}
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(task, crops(1))
    moved = {name for name, p in task.narrator.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[0] for name in moved} == {"dual", "norms"}  # no crop of these lacks its history
    assert {name.split(".")[1] for name in moved if name.startswith("dual")} == {"projectors"}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    ("variant", "learns", "stays"),
    [
        ("full", ("llm.model", "dual.encoders.signal", "dual.projectors.topomap"), ("dual.encoders.topomap",)),
        ("lora", ("dual.encoders.signal", "llm.model.layers.0.self_attn.q_proj.lora_B"), ("llm.model.norm",)),
        ("projectors", ("dual.projectors.signal", "missing_history", "norms"), ("llm", "dual.encoders")),
    ],
)
def test_variants_train_what_they_say(
    task_args: dict[str, object],
    batch: Batch,
    variant: str,
    learns: tuple[str, ...],
    stays: tuple[str, ...],
    checkpointing: bool,
) -> None:
    if variant == "lora":
        pytest.importorskip("peft")
    task = build_task(task_args, tuning=Tuning(variant, lora_rank=2, gradient_checkpointing=checkpointing)).train()
    task.narrator(batch).loss.backward()
    learnt = {name for name, p in task.narrator.named_parameters() if p.grad is not None}
    assert learnt == {name for name, p in task.narrator.named_parameters() if p.requires_grad}
    for prefix in learns:
        assert any(name.startswith(prefix) for name in learnt), prefix
    for prefix in stays:
        assert not any(name.startswith(prefix) for name in learnt), prefix


@pytest.mark.parametrize("some", ["spectrum_steps", "time_tokens", None])
def test_steps_without_some_parts_are_refused_where_processes_wait_for_them(
    task_args: dict[str, object], some: str | None
) -> None:
    if some == "time_tokens":
        task_args["narrator"] = replace(task_args["narrator"], time_tokens=True)
    elif some is not None:
        task_args["narrator"] = replace(task_args["narrator"], modalities=("signal", "spectrum"))
    task = build_task(task_args, recipe=Recipe(spectrum_steps=3 if some == "spectrum_steps" else 0))
    task.trainer = L.Trainer(**QUIET, strategy="ddp", devices=1)
    if some is None:
        return task.setup("fit")
    with pytest.raises(ValueError, match=r"use --trainer\.strategy ddp_find_unused_parameters_true"):
        task.setup("fit")
    task.trainer = L.Trainer(**QUIET, strategy="ddp_find_unused_parameters_true", devices=1)
    task.setup("fit")


def test_checkpointing_changes_no_gradient(task_args: dict[str, object], batch: Batch) -> None:
    gradients = []
    for checkpointing in (False, True):
        task = build_task(task_args, tuning=Tuning(gradient_checkpointing=checkpointing)).train()
        task.narrator(batch).loss.backward()
        gradients.append(task.narrator.llm.get_input_embeddings().weight.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("variant", ["full", "lora"])
def test_a_run_saves_plain_names_and_the_card_of_its_facts(
    task_args: dict[str, object], batch: Batch, tmp_path: Path, variant: str
) -> None:
    if variant == "lora":
        pytest.importorskip("peft")
    task = build_task(task_args, save_to=str(tmp_path / "model"), tuning=Tuning(variant, lora_rank=2))
    before = task.narrator.llm.model.layers[0].self_attn.q_proj.weight.clone()
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(task, crops(3))
    saved = Narrator.from_pretrained(tmp_path / "model")
    assert not torch.equal(saved.llm.model.layers[0].self_attn.q_proj.weight, before)
    task.narrator.eval()
    assert torch.equal(saved(batch).loss, task.narrator(batch).loss)
    card = (tmp_path / "model" / "README.md").read_text()
    facts = ("optimiser steps: 3", "simulated: 1", "seed: 3", f"variant: {variant}", f"torch: {version('torch')}")
    assert [fact for fact in facts if f"- {fact}\n" not in card] == []
    assert str(tmp_path) not in card


def test_sources_are_told_without_their_folders() -> None:
    sources = [
        Source("/data/of/a/person/eegmat", train=("S0*.edf", "S1*.edf"), val=("S2*.edf",)),
        Source("x", "eegmat"),
    ]
    facts = data_facts(NarrationDataModule(sources, seed=7))
    assert facts["source eegmat"] == "training S0*.edf, S1*.edf; validation S2*.edf"
    assert facts["source x"] == "eegmat"
    assert facts["seed"] == 7
    assert "person" not in str(facts)
