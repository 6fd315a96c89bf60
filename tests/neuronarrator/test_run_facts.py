"""What training saw, counted by hand: crops, tokens without padding, parts that stay as they are."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch
from neuronarrator import hub
from neuronarrator.datamodule import BatchList
from neuronarrator.narrator import Narrator
from neuronarrator.run_facts import TrainingCount, frozen_parts, watch_tokens
from neuronarrator.text_narrator import TextConfig, TextNarrator
from neuronarrator.writing import TextTask

QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}  # fmt: skip


@pytest.fixture
def few(batch: Batch) -> Batch:
    """Two segments whose answers differ in length: one row is padded."""
    short = replace(batch, narratives=[batch.narratives[0], "Alpha rhythm."], templates=batch.templates[:2])
    return replace(short, signal_uv=batch.signal_uv[:2], facts=batch.facts[:2])


@pytest.fixture
def folder(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Path:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def text_task(folder: Path, small_llm: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return TextTask(TextConfig("template", small_llm, max_new_tokens=4), str(folder / "tokenizer"), str(folder / "out"))


def tokens_of(narrator: TextNarrator, batch: Batch) -> int:
    answers = narrator.tokenizer(batch.narratives, add_special_tokens=False)["input_ids"]
    return sum(map(len, narrator._prompts(batch))) + sum(len(ids) + 1 for ids in answers)  # each with its end token


def test_crops_and_tokens_of_training_are_counted_and_saved(
    folder: Path, small_llm: dict[str, Any], few: Batch
) -> None:
    task = text_task(folder, small_llm)
    loader = DataLoader(BatchList([few] * 4), batch_size=None)
    trainer = L.Trainer(
        max_epochs=2, accumulate_grad_batches=2, callbacks=[TrainingCount()], enable_checkpointing=False, **QUIET
    )
    trainer.fit(task, loader, DataLoader(BatchList([few]), batch_size=None))  # validation counts for nothing
    (stage,) = hub.read_stages(folder / "out")
    assert stage == {
        "learns": "narratives",
        "steps": 4,
        "crops": 16,
        "tokens": 8 * tokens_of(task.narrator, few),
        "frozen": [],
        "start": [],
    }
    assert f"- tokens seen: {stage['tokens']}" in (folder / "out" / "README.md").read_text()
    assert not task.narrator.llm._forward_pre_hooks


def test_a_resumed_run_counts_on(folder: Path, small_llm: dict[str, Any], few: Batch) -> None:
    def fit(epochs: int, ckpt_path: Path | None = None) -> dict[str, Any]:
        keep = L.pytorch.callbacks.ModelCheckpoint(folder, filename="last", enable_version_counter=False)
        task = text_task(folder, small_llm)
        trainer = L.Trainer(max_epochs=epochs, callbacks=[TrainingCount(), keep], **QUIET)
        trainer.fit(task, DataLoader(BatchList([few] * 3), batch_size=None), ckpt_path=ckpt_path)
        return hub.read_stages(folder / "out")[0]

    half = fit(1)
    whole = fit(2, folder / "last.ckpt")
    assert (half["crops"], whole["crops"], whole["steps"]) == (6, 12, 6)
    assert whole["tokens"] == 2 * half["tokens"]


def test_stages_of_an_earlier_narrator_come_first(
    folder: Path, small_llm: dict[str, Any], few: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = [{"learns": "narratives", "steps": 5, "crops": 40}]
    text_task(folder, small_llm).narrator.save_pretrained(folder / "known")
    hub.write_stages(folder / "known", earlier)
    for start, first, told in (("known", earlier, []), ("out", None, [f"{folder.name}/out"])):
        task = text_task(folder, small_llm)
        task.narrator.llm.model.layers[0].requires_grad_(False)
        if start == "out":
            hub.write_stages(folder / "out", [])
        count = TrainingCount(str(folder / start), ["runs/align/last.ckpt", None])
        monkeypatch.setattr(task, "configure_callbacks", lambda count=count: [count])
        trainer = L.Trainer(max_epochs=1, enable_checkpointing=False, **QUIET)
        trainer.fit(task, DataLoader(BatchList([few]), batch_size=None))
        *before, stage = hub.read_stages(folder / "out")
        assert before == (first or [])
        assert stage["start"] == [*told, "align/last.ckpt"]
        assert stage["frozen"] == ["llm.model.layers.0"]


def test_the_tokens_of_a_narrator_are_those_of_its_prompt_and_answers(narrator: Narrator, batch: Batch) -> None:
    seen: list[int] = []
    hook = watch_tokens(narrator, lambda tokens: seen.append(int(tokens)))
    narrator(batch)
    hook.remove()
    narrator(batch)
    answers = narrator.tokenizer(batch.narratives, add_special_tokens=False)["input_ids"]
    assert seen == [len(batch) * narrator.embed_prompt(batch).shape[1] + sum(len(ids) + 1 for ids in answers)]


def test_frozen_parts_are_the_largest_ones() -> None:
    parts = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module = nn.ModuleDict({"a": parts, "b": nn.Linear(2, 2), "c": nn.ReLU()})
    assert frozen_parts(module) == []
    parts.requires_grad_(False)
    assert frozen_parts(module) == ["a"]
    parts[1].requires_grad_(True)
    assert frozen_parts(module) == ["a.0"]


def test_stages_travel_with_a_narrator_and_leave_with_its_weights(narrator: Narrator, tmp_path: Path) -> None:
    narrator.save_pretrained(tmp_path)
    assert not (tmp_path / hub.STAGES_FILE).exists()
    hub.write_stages(tmp_path, [{"steps": 1, "crops": 8}])
    Narrator.from_pretrained(tmp_path).save_pretrained(tmp_path / "copy")
    assert hub.read_stages(tmp_path / "copy") == [{"steps": 1, "crops": 8}]
    narrator.save_pretrained(tmp_path / "copy")  # other weights, of which nobody knows
    assert hub.read_stages(tmp_path / "copy") == []


@pytest.mark.parametrize("content", ["[]", "{}", "no json", '{"stages": [{"steps": 3}]}', '{"stages": 3}'])
def test_a_file_of_another_form_is_one_error(content: str, tmp_path: Path) -> None:
    (tmp_path / hub.STAGES_FILE).write_text(content)
    with pytest.raises(ValueError, match=r"got training\.json of .* expected stages"):
        hub.read_stages(tmp_path)
    (tmp_path / hub.STAGES_FILE).write_text(json.dumps({"stages": []}))
    assert hub.read_stages(tmp_path) == []
