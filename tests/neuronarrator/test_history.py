"""A segment is encoded once: the cache gives the soft prompts that encoding its history anew gives."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from corpus.dataset import segment_batches
from corpus.findings import Findings, find_recording
from corpus.recording import Recording
from neuronarrator.history import HistoryCache, history_cache
from neuronarrator.narrate import generate_batches
from neuronarrator.narrator import Narrator, NarratorConfig

PAPER = ("history", "signal", "topomap")


def build(narrator: Narrator, **fields: Any) -> Narrator:
    torch.manual_seed(0)
    config = NarratorConfig(**{"llm": narrator.config.llm, "modalities": PAPER, "max_new_tokens": 8, **fields})
    built = Narrator(config, narrator.tokenizer).eval()
    torch.nn.init.normal_(built.missing_history)
    return built


@pytest.fixture
def findings(simulated: Recording) -> list[Findings]:
    return find_recording(simulated)


class Counter:
    """Counts the segments that a narrator encodes."""

    def __init__(self, narrator: Narrator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, encode = 0, narrator.encode_segments

        def counted(signal_uv: Tensor, ch_names: Any) -> Tensor:
            self.rows += len(signal_uv)
            return encode(signal_uv, ch_names)

        monkeypatch.setattr(narrator, "encode_segments", counted)


def histories(findings: list[Findings], numbers: range) -> list[tuple[int, ...]]:
    return [findings[i].segment.history for i in numbers]


def parts(findings: list[Findings], size: int) -> Iterator[tuple[range, Any]]:
    for i, batch in enumerate(segment_batches(findings, size)):
        yield range(i * size, i * size + len(batch)), batch


@pytest.mark.parametrize(
    "fields",
    [{}, {"history_k": 1}, {"tokens_per_segment": 3}, {"time_tokens": True, "tokens_per_segment": 2}],
    ids=["paper", "k1", "tokens", "times"],
)
@pytest.mark.parametrize("size", [1, 4, 6])
def test_soft_prompts_are_those_of_a_history_that_is_encoded_anew(
    fields: dict[str, Any], size: int, narrator: Narrator, findings: list[Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(narrator, **fields)
    cache, counter = HistoryCache(built), Counter(built, monkeypatch)
    for numbers, batch in parts(findings, size):
        counter.rows = 0
        with torch.inference_mode():
            tokens = cache(batch, numbers, histories(findings, numbers))
            soft = built.soft_prompts(batch, tokens=tokens)
            assert counter.rows == len(batch)  # none of the history
            torch.testing.assert_close(soft, built.soft_prompts(batch), atol=1e-5, rtol=1e-4)


def test_a_batch_that_was_passed_over_is_encoded_where_it_is_history(
    narrator: Narrator, findings: list[Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(narrator)
    cache, counter = HistoryCache(built), Counter(built, monkeypatch)
    (_, _), (numbers, batch), _ = parts(findings, 2)
    with torch.inference_mode():
        tokens = cache(batch, numbers, histories(findings, numbers))
        assert counter.rows == 2 + 2
        torch.testing.assert_close(
            built.soft_prompts(batch, tokens=tokens), built.soft_prompts(batch), atol=1e-5, rtol=1e-4
        )


def test_segments_after_a_break_have_no_history(narrator: Narrator, simulated: Recording) -> None:
    findings = find_recording(replace(simulated, breaks_s=(20.0,)))
    assert findings[2].segment.history == ()
    built = build(narrator)
    cache = HistoryCache(built)
    with torch.inference_mode():
        for numbers, batch in parts(findings, 3):
            tokens = cache(batch, numbers, histories(findings, numbers))
            torch.testing.assert_close(
                built.soft_prompts(batch, tokens=tokens), built.soft_prompts(batch), atol=1e-5, rtol=1e-4
            )


def test_each_segment_of_a_recording_is_encoded_once(
    narrator: Narrator, findings: list[Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(narrator)
    counter = Counter(built, monkeypatch)
    told = [one for _, _, part in generate_batches(built, iter(findings), 4) for one in part]
    assert counter.rows == len(findings) == 6
    again = [one for batch in segment_batches(findings, 4) for one in built.generate(batch)]
    assert counter.rows == 6 + 6 + (1 + 2 * 4)  # the current ones, and their histories
    assert [one.tokens for one in told] == [one.tokens for one in again]


def test_narrators_without_an_encoded_history_have_no_cache(narrator: Narrator) -> None:
    assert history_cache(build(narrator, modalities=("signal", "topomap"))) is None
    assert history_cache(build(narrator, history_k=0)) is None
    assert history_cache(object()) is None
    assert isinstance(history_cache(build(narrator)), HistoryCache)
