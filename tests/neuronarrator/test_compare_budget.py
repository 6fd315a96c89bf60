"""What each system was given: counts against formulas worked by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from corpus.findings import Findings, find_recording
from corpus.recording import Recording
from neuronarrator.compare.budget import Example, budget_cells, budget_notes, budget_of, example_of, short
from neuronarrator.language.chat import chat_ids
from neuronarrator.language.prompts import TASK_INSTRUCTION
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.text_narrator import TextConfig, TextNarrator

STAGE = {"steps": 10, "crops": 80, "tokens": 9_000, "frozen": []}


@pytest.fixture(scope="module")
def findings(simulated: Recording) -> list[Findings]:
    return find_recording(simulated)


@pytest.fixture(scope="module")
def example(findings: list[Findings]) -> Example:
    return example_of(findings)


@pytest.fixture(scope="module")
def nothing(tokenizer: PreTrainedTokenizerBase, small_llm: dict[str, Any]) -> TextNarrator:
    torch.manual_seed(0)
    return TextNarrator(TextConfig("nothing", small_llm, max_new_tokens=1), tokenizer).eval()


def end_of(narrator: TextNarrator, text: str) -> list[int]:
    """Token ids of an answer, with its end."""
    return [*narrator.tokenizer(text, add_special_tokens=False)["input_ids"], narrator.tokenizer.eos_token_id]


def passes(narrator: TextNarrator, tokens: int, logits: int) -> int:
    """FLOPs of a forward pass over one row: two for each weight of a linear layer and token, and the attention."""
    config = narrator.llm.config
    embeddings: Any = narrator.llm.get_input_embeddings()
    linear = sum(p.numel() for p in narrator.llm.parameters() if p.ndim == 2) - embeddings.weight.numel()
    attended = config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return 2 * (tokens * linear + logits * embeddings.weight.numel() + 2 * tokens**2 * attended)


def test_flops_are_two_for_each_weight_and_token_and_the_attention(nothing: TextNarrator, example: Example) -> None:
    found = budget_of(nothing, [STAGE], [example])
    prompt = len(chat_ids(nothing.tokenizer, [TASK_INSTRUCTION]))
    answer = end_of(nothing, example.batch(0).narratives[0])
    assert found["segment"]["prompt_tokens"] == prompt
    assert found["segment"]["answer_tokens"] == 1
    assert found["segment"]["flops"] == passes(nothing, prompt, 1)
    tokens = prompt + len(answer)
    step = found["training"]["flops"] / 80
    assert step / passes(nothing, tokens, tokens) == pytest.approx(3, rel=0.02)  # backward: twice forward
    assert found["parameters"] == found["llm_parameters"] == sum(p.numel() for p in nothing.llm.parameters())


def test_stages_are_added_and_what_was_frozen_costs_less(nothing: TextNarrator, example: Example) -> None:
    whole = budget_of(nothing, [STAGE], [example])["training"]
    frozen = {**STAGE, "frozen": ["llm.model.layers.0", "llm.model.embed_tokens"]}
    before = {"learns": "maps and signals", "steps": 100, "crops": 6_400}
    both = budget_of(nothing, [before, STAGE, frozen], [example])["training"]
    assert (both["crops"], both["tokens"], both["tokens_estimated"]) == (160, 18_000, False)
    assert 1.4 * whole["flops"] < both["flops"] < 1.8 * whole["flops"]
    assert all(p.requires_grad and p.grad is None for p in nothing.parameters())
    unknown = {"steps": 10, "crops": 80}
    estimated = budget_of(nothing, [unknown], [example, example])
    assert estimated["training"]["tokens_estimated"]
    batch = example.batch(0)
    answer = end_of(nothing, batch.narratives[0])
    prompt = chat_ids(nothing.tokenizer, [TASK_INSTRUCTION])
    assert estimated["training"]["tokens"] == 80 * (len(prompt) + len(answer))
    assert budget_notes({"ours": {"training": both}, "theirs": None}) == [
        "ours: before that, maps and signals, 6,400 crops."
    ]


def test_encoders_cost_something_too(
    tokenizer: PreTrainedTokenizerBase, small_llm: dict[str, Any], nothing: TextNarrator, example: Example
) -> None:
    torch.manual_seed(0)
    narrator = Narrator(NarratorConfig(llm=small_llm, max_new_tokens=1), tokenizer).eval()
    found, plain = budget_of(narrator, [], [example]), budget_of(nothing, [], [example])
    assert found["training"] is None
    assert found["llm_parameters"] == plain["llm_parameters"]
    assert found["parameters"] == sum(p.numel() for p in narrator.parameters())
    assert found["segment"]["prompt_tokens"] == narrator.embed_prompt(example.batch(2)).shape[1]
    assert found["segment"]["flops"] > 5 * plain["segment"]["flops"]


def test_an_example_has_the_longest_history(findings: list[Findings], example: Example) -> None:
    batch = example.batch(2)
    assert len(batch) == 1
    assert batch.history_mask.all()
    assert torch.equal(batch.signal_uv[0], torch.as_tensor(findings[2].segment.signal_uv, dtype=torch.float32))


def test_cells_say_what_is_counted_estimated_and_unknown() -> None:
    segment = {"prompt_tokens": 52.0, "answer_tokens": 99.6, "flops": 4.5e8}
    budget = {"parameters": 3_412_345, "llm_parameters": 1_999_600, "segment": segment, "training": None}
    assert budget_cells(budget) == ["3.41 M", "2.00 M", "–", "–", "–", "52 + 100", "450 M"]
    training = {"crops": 24_000, "tokens": 3_600_000, "tokens_estimated": True, "flops": 2.34e13}
    assert budget_cells({**budget, "training": training})[2:5] == ["24,000", "≈ 3.60 M", "≈ 23.4 T"]
    counted = {**training, "tokens_estimated": False}
    assert budget_cells({**budget, "training": counted})[3] == "3.60 M"
    assert budget_cells(None) == ["–"] * 7


def test_numbers_are_short() -> None:
    told = [short(v) for v in (0, 999, 1000, 9_994, 12_345, 999_600, 1.5e9, 2e15)]
    assert told == ["0", "999", "1.00 k", "9.99 k", "12.3 k", "1.00 M", "1.50 G", "2.00 P"]


def test_notes_name_weights_of_whose_training_nobody_knows(tmp_path: Path) -> None:
    stage = {**STAGE, "start": ["align-tiny/last.ckpt"]}
    told = budget_notes({"ours": {"training": {"stages": [stage, stage]}}})
    assert told == ["ours: began with align-tiny/last.ckpt, whose training is not counted here."]
