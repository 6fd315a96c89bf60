import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from corpus.dataset import Batch
from corpus.findings import find_recording
from corpus.recording import Recording
from neuronarrator.language import generation
from neuronarrator.language.generation import GREEDY, GenerationOptions, decode, score
from neuronarrator.narrator import Narrator, NarratorConfig


@pytest.fixture
def narrator(lively: Callable[[int], Narrator]) -> Narrator:
    return lively(24)


def plain_generate(narrator: Narrator, batch: Batch, **options: object) -> Tensor:
    """The library's own decoding of the same prompts."""
    prompt = narrator.embed_prompt(batch)
    return narrator.llm.generate(
        inputs_embeds=prompt,
        attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long),
        max_new_tokens=narrator.config.max_new_tokens,
        do_sample=False,
        eos_token_id=narrator.tokenizer.eos_token_id,
        pad_token_id=narrator.tokenizer.pad_token_id,
        **options,
    )


def prefer_the_end(narrator: Narrator, batch: Batch) -> None:
    """Let the end token take the place of one that greedy decoding writes in the middle of the first row."""
    first = narrator.generate(batch)[0].tokens
    other, end = first[len(first) // 2], narrator.tokenizer.eos_token_id
    weight = narrator.llm.get_output_embeddings().weight.data
    weight[[other, end]] = weight[[end, other]]


def test_greedy_is_the_librarys_and_its_log_probs_those_of_a_teacher_forced_pass(
    narrator: Narrator, batch: Batch
) -> None:
    expected = plain_generate(narrator, batch)
    prompt = narrator.embed_prompt(batch)
    for row, told in enumerate(narrator.generate(batch)):
        tokens = expected[row, : len(told.tokens)].tolist()
        assert list(told.tokens) == tokens
        assert told.text == narrator.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        slow = score(narrator.llm, prompt[row], told.tokens)
        assert told.log_probs == pytest.approx(slow, abs=1e-4)
        assert told.confidence == pytest.approx(math.exp(sum(slow) / len(slow)), rel=1e-4)


def test_a_cache_that_grows_often_changes_nothing(
    narrator: Narrator, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = narrator.generate(batch)
    monkeypatch.setattr(generation, "ROOM", 3)
    assert narrator.generate(batch) == once


def test_a_row_ends_with_its_end_token_and_its_padding_does_not_count(narrator: Narrator, batch: Batch) -> None:
    prefer_the_end(narrator, batch)
    end = narrator.tokenizer.eos_token_id
    generations = narrator.generate(batch)
    assert min(len(g.tokens) for g in generations) < narrator.config.max_new_tokens
    for row, told in enumerate(generations):
        assert end not in told.tokens[:-1]
        assert told.tokens[-1] == end or len(told.tokens) == narrator.config.max_new_tokens
        slow = score(narrator.llm, narrator.embed_prompt(batch)[row], told.tokens)
        assert told.log_probs == pytest.approx(slow, abs=1e-4)


def test_beams_are_the_librarys_and_at_least_as_probable_as_greedy(narrator: Narrator, batch: Batch) -> None:
    expected = plain_generate(narrator, batch, num_beams=3)
    greedy = narrator.generate(batch)
    beams = narrator.generate(batch, GenerationOptions(num_beams=3))
    for row, told in enumerate(beams):
        assert list(told.tokens) == expected[row, : len(told.tokens)].tolist()
        assert len(told.log_probs) == len(told.tokens)
        assert told.confidence >= greedy[row].confidence - 1e-4


def test_sampling_follows_the_seed_and_notes_untempered_probabilities(narrator: Narrator, batch: Batch) -> None:
    options = GenerationOptions(temperature=2.0, max_new_tokens=8)
    torch.manual_seed(1)
    first = narrator.generate(batch, options)
    torch.manual_seed(1)
    assert narrator.generate(batch, options) == first
    torch.manual_seed(2)
    assert narrator.generate(batch, options) != first
    assert all(len(told.tokens) <= 8 for told in first)
    slow = score(narrator.llm, narrator.embed_prompt(batch)[2], first[2].tokens)
    assert first[2].log_probs == pytest.approx(slow, abs=1e-4)


def test_sampling_from_the_most_probable_tokens_alone_is_greedy(narrator: Narrator, batch: Batch) -> None:
    sampled = narrator.generate(batch, GenerationOptions(temperature=1.0, top_p=1e-6))
    assert [g.text for g in sampled] == [g.text for g in narrator.generate(batch)]


@pytest.mark.parametrize("num_beams", [1, 2])
def test_a_stop_string_ends_the_row_and_is_left_out(narrator: Narrator, batch: Batch, num_beams: int) -> None:
    whole = narrator.generate(batch, GenerationOptions(num_beams))
    text = whole[0].text
    stop = text[len(text) // 2 : len(text) // 2 + 4]
    stopped = narrator.generate(batch, GenerationOptions(num_beams, stop=(stop,)))
    assert stopped[0].text == text[: text.index(stop)].strip()
    assert len(stopped[0].tokens) < len(whole[0].tokens)
    assert len(stopped[0].log_probs) == len(stopped[0].tokens)
    assert not any(stop in told.text for told in stopped)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_beams": 0}, "got num_beams=0"),
        ({"temperature": -1.0}, "expected at least 1 beam, a temperature of 0 or more"),
        ({"top_p": 0.0}, "top_p above 0"),
        ({"stop": ("",)}, "not empty"),
        ({"num_beams": 2, "temperature": 1.0}, "expected one of them"),
        ({"top_p": 0.5}, "without sampling"),
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GenerationOptions(**wrong)


@pytest.fixture
def talker(narrator: Narrator) -> Narrator:
    config = replace(narrator.config, max_new_tokens=6, instructions=("narrate", "ask"))
    asked = Narrator(config, narrator.tokenizer).eval()
    asked.load_state_dict(narrator.state_dict())
    return asked


def test_a_question_stands_where_the_instruction_stood(talker: Narrator, batch: Batch) -> None:
    turns = [("Is it symmetric?", "It is.")]
    prompt = talker.embed_prompt(batch, task="Is there a rhythm?", turns=turns)
    inputs = {"inputs_embeds": prompt, "attention_mask": prompt.new_ones(prompt.shape[:2])}
    assert talker.ask(batch, "Is there a rhythm?", turns) == decode(talker.llm, talker.tokenizer, inputs, GREEDY, 6)
    assert prompt.shape[1] > talker.embed_prompt(batch, task="Is there a rhythm?").shape[1]


def test_each_segment_can_have_a_question_of_its_own(talker: Narrator, batch: Batch) -> None:
    questions = ["Is it?", "How has the power of delta activity changed against the preceding segments?"] * len(batch)
    together = talker.ask(batch, questions[: len(batch)])
    for row, question in enumerate(questions[: len(batch)]):
        alone = talker.ask(batch, question)[row]
        assert together[row].tokens == alone.tokens
        assert together[row].log_probs == pytest.approx(alone.log_probs, abs=1e-4)
    with pytest.raises(ValueError, match="got 1 questions, 0 of them empty, for"):
        talker.ask(batch, ["Is it?"])


def test_a_segment_is_asked_about_without_history(talker: Narrator, simulated: Recording, batch: Batch) -> None:
    found = find_recording(simulated)
    (first,) = talker.ask(found[0].segment, "Is there a rhythm?")
    assert first.tokens == talker.ask(batch, "Is there a rhythm?")[0].tokens  # the first segment has no history
    (third,) = talker.ask(found[2].segment, "Is there a rhythm?")
    assert len(third.tokens) > 0


def test_a_model_of_narratives_alone_refuses_questions(narrator: Narrator, batch: Batch) -> None:
    with pytest.raises(ValueError, match="has learnt the instructions narrate only, expected ask among them"):
        narrator.ask(batch, "Is there a posterior dominant rhythm?")


def test_a_question_that_was_not_learnt_is_refused(talker: Narrator, batch: Batch) -> None:
    talker.config.questions = ("Is there a rhythm?",)
    assert len(talker.ask(batch, "is there  a rhythm")) == len(batch)
    with pytest.raises(ValueError, match=r"got the question 'Is she ill' .* one of the 1 that it has learnt: Is there"):
        talker.ask(batch, "Is she ill")


def test_an_empty_question_is_refused(talker: Narrator, batch: Batch) -> None:
    with pytest.raises(ValueError, match="of them empty"):
        talker.ask(batch, " ")


def test_instructions_must_be_known() -> None:
    with pytest.raises(ValueError, match="got instructions"):
        NarratorConfig(instructions=("ask",))


def test_every_token_knows_its_place_and_its_rivals(narrator: Narrator, batch: Batch) -> None:
    prompt = narrator.embed_prompt(batch)
    for row, told in enumerate(narrator.generate(batch)[:2]):
        decode_ids = narrator.tokenizer.decode
        before = [decode_ids(told.tokens[:i], skip_special_tokens=True).lstrip() for i in range(len(told.tokens) + 1)]
        assert told.spans == tuple((len(a), len(b)) for a, b in pairwise(before))
        ids = torch.tensor([told.tokens])
        embeds = torch.cat([prompt[row : row + 1], narrator.llm.get_input_embeddings()(ids)], dim=1)
        logits = narrator.llm(inputs_embeds=embeds).logits[0, prompt.shape[1] - 1 : -1]
        best = logits.log_softmax(-1).topk(generation.ALTERNATIVES)
        for step, values in zip(told.alternatives, best.values.tolist(), strict=True):
            assert [log for _, log in step] == pytest.approx(values, abs=1e-4)
        assert [step[0][0] for step in told.alternatives] == list(told.tokens)  # greedy
    assert narrator.generate(batch, GenerationOptions(num_beams=2))[0].alternatives == ()
