"""The baselines without encoders, and loading a narrator of any kind."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch
from neuronarrator.datamodule import BatchList
from neuronarrator.language.generation import GenerationOptions
from neuronarrator.models import load_narrator
from neuronarrator.narration import NarrationTask
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.optim import OptimizerOptions
from neuronarrator.run_facts import TEXT
from neuronarrator.text_narrator import TextConfig, TextNarrator
from neuronarrator.writing import TextTask

SHORT = GenerationOptions(max_new_tokens=6)
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip


Make = Callable[[Any], TextNarrator]


@pytest.fixture
def text_narrator(tokenizer: PreTrainedTokenizerBase, small_llm: dict[str, Any]) -> Make:
    def make(reads: Any) -> TextNarrator:
        torch.manual_seed(0)
        return TextNarrator(TextConfig(reads, small_llm, max_new_tokens=8), tokenizer).eval()

    return make


def alone(batch: Batch, i: int) -> Batch:
    return replace(
        batch,
        signal_uv=batch.signal_uv[i : i + 1],
        narratives=batch.narratives[i : i + 1],
        templates=batch.templates[i : i + 1],
    )


def test_batches_bring_the_template_of_each_segment(batch: Batch) -> None:
    assert len(batch.templates) == len(batch)
    assert all(text.startswith("Event & clinical labels:") for text in batch.templates)
    assert len(set(batch.templates)) == len(batch)


def test_what_is_read_is_the_template_or_nothing(
    text_narrator: Make, tokenizer: PreTrainedTokenizerBase, batch: Batch
) -> None:
    told = [str(tokenizer.decode(ids)) for ids in text_narrator("template")._prompts(batch)]
    spaceless = ["".join(str(tokenizer.decode(tokenizer(text)["input_ids"])).split()) for text in batch.templates]
    assert all(text in "".join(prompt.split()) for text, prompt in zip(spaceless, told, strict=True))
    assert len({tuple(ids) for ids in text_narrator("nothing")._prompts(batch)}) == 1


def test_loss_is_the_mean_over_answer_tokens_of_single_rows(
    text_narrator: Make, tokenizer: PreTrainedTokenizerBase, batch: Batch
) -> None:
    narrator = text_narrator("template")
    losses, counts = [], []
    for i, prompt in enumerate(narrator._prompts(batch)):
        answer = [*tokenizer(batch.narratives[i], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        logits = narrator.llm(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1]
        losses.append(cross_entropy(logits, torch.tensor(answer), reduction="sum"))
        counts.append(len(answer))
    torch.testing.assert_close(narrator(batch).loss, sum(losses) / sum(counts))


def test_a_row_is_written_as_it_would_be_alone(
    text_narrator: Make, tokenizer: PreTrainedTokenizerBase, batch: Batch
) -> None:
    narrator = text_narrator("template")
    together = narrator.generate(batch, SHORT)
    for i in range(len(batch)):
        one = narrator.generate(alone(batch, i), SHORT)[0]
        assert one.tokens == together[i].tokens
        assert one.log_probs == pytest.approx(together[i].log_probs, abs=1e-4)


def test_without_anything_to_read_all_segments_are_alike(
    text_narrator: Make, tokenizer: PreTrainedTokenizerBase, batch: Batch
) -> None:
    assert len({g.tokens for g in text_narrator("nothing").generate(batch, SHORT)}) == 1


def test_the_task_trains_and_saves_what_any_loader_finds(
    tokenizer: PreTrainedTokenizerBase, small_llm: dict[str, Any], batch: Batch, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    config = TextConfig("template", small_llm, max_new_tokens=8, name="words")
    options = OptimizerOptions(learning_rate=3e-3, warmup_steps=2)
    task = TextTask(config, str(tmp_path / "tokenizer"), str(tmp_path / "out"), options)
    before = float(task.narrator(batch).loss.detach())
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **quiet)
    trainer.fit(task, DataLoader(BatchList([batch] * 12), batch_size=None))
    loaded = load_narrator(tmp_path / "out")
    assert isinstance(loaded, TextNarrator)
    assert float(loaded(batch).loss.detach()) < 0.9 * before
    assert loaded.config.name == "words"
    assert [g.tokens for g in loaded.generate(batch, SHORT)] == [
        g.tokens for g in task.narrator.eval().generate(batch, SHORT)
    ]


def test_a_name_finds_the_kind(narrator: Narrator, tmp_path: Path) -> None:
    assert isinstance(load_narrator("tiny"), Narrator)
    with pytest.raises(ValueError, match="which reads signals, expected one that reads text"):
        TextNarrator.from_pretrained("tiny")
    narrator.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"kind": "vlm"}))
    with pytest.raises(ValueError, match="which reads pages, expected one that reads text"):
        TextNarrator.from_pretrained(tmp_path)
    config.write_text(json.dumps({"kind": "dance"}))
    with pytest.raises(ValueError, match="got a model of kind 'dance'"):
        load_narrator(tmp_path)


def test_wrong_uses_say_what_to_do(text_narrator: Make, tokenizer: PreTrainedTokenizerBase, batch: Batch) -> None:
    with pytest.raises(ValueError, match="expected one of template, nothing"):
        TextConfig("numbers")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 0 templates for 6 segments"):
        text_narrator("template")(replace(batch, templates=[]))
    with pytest.raises(ValueError, match="got part 'vision'"):
        text_narrator("nothing").part("vision")


def test_its_llm_is_what_other_narrators_begin_with(text_narrator: Make, batch: Batch, tmp_path: Path) -> None:
    text = text_narrator("template")
    text.stages = [{"learns": "narratives", "steps": 3, "crops": 24, "tokens": 900}]
    text.save_pretrained(tmp_path / "text")
    begun = [
        NarrationTask(NarratorConfig(llm=str(tmp_path / "text"))),
        TextTask(TextConfig("nothing", str(tmp_path / "text"))),
    ]
    for task in begun:
        own, given = task.narrator.llm.state_dict(), text.llm.state_dict()
        assert own.keys() == given.keys()
        assert all(torch.equal(own[name], value) for name, value in given.items())
        assert task.narrator.tokenizer.get_vocab() == text.tokenizer.get_vocab()
        trainer = L.Trainer(max_steps=1, **QUIET)
        trainer.fit(task, DataLoader(BatchList([batch.rows([0, 1])]), batch_size=None))
        before, stage = task.narrator.stages
        assert before == {"learns": TEXT, "steps": 3, "crops": 24, "tokens": 900}
        assert (stage["learns"], stage["steps"], stage["start"]) == ("narratives", 1, [])
    task.narrator.save_pretrained(tmp_path / "after")
    assert load_narrator(tmp_path / "after").config.llm["hidden_size"] == text.llm.config.hidden_size


def test_a_text_narrator_that_lacks_weights_is_refused(text_narrator: Make, tmp_path: Path) -> None:
    text = text_narrator("nothing")
    text.save_pretrained(tmp_path, {name: v for name, v in text.state_dict().items() if "layers.0" not in name})
    with pytest.raises(ValueError, match=r"got weights that miss .*model\.layers\.0"):
        TextNarrator(TextConfig("nothing", str(tmp_path)), text.tokenizer)
