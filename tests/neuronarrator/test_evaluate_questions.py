"""Questions to a narrator: what counts as a right answer, and that every segment is asked."""

from dataclasses import replace
from pathlib import Path

import pytest

from corpus.background import complete_alone
from corpus.findings import Findings, find_recording
from corpus.instruct import Material, make_items
from corpus.instruct.contrasts import find_contrasts
from corpus.instruct.record import Task
from corpus.preprocess import load_recording
from corpus.recording import Recording
from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.evaluate.questions import (
    KINDS,
    Answered,
    evaluate_questions,
    format_questions,
    is_right,
    score_answers,
)
from neuronarrator.narrator import Narrator


@pytest.fixture(scope="module")
def found() -> list[Findings]:
    recording = simulate(SimulationPreset(duration_s=60.0, alpha_uv=50.0), 3).recording
    return [complete_alone(one) for one in find_recording(recording)]


def answered(found: list[Findings], kind: Task) -> list[Answered]:
    items = [item for seed in range(4) for item in make_items([Material(one) for one in found], seed, (kind,))]
    return [Answered(item, str(item.segment % 2), found[item.segment], "") for item in items]


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answer_is_right_and_other_words_are_none(found: list[Findings], kind: Task) -> None:
    for one in answered(found, kind):
        assert is_right(one, one.item.answers[0]) is True
        assert is_right(one, "The weather is fine.") is None
        assert is_right(one, "") is None


def test_wrong_answers_are_wrong(found: list[Findings]) -> None:
    for one in answered(found, "yes_no"):
        assert is_right(one, "No." if one.item.answer == "yes" else "Yes, it is.") is False
    for one in answered(found, "choice"):
        assert is_right(one, "B)" if one.item.answer == "A" else "A)") is False
    top = next(one for one in answered(found, "question") if one.item.topic == "top_channel")
    best = top.findings.of("top_channel")[0].value
    assert is_right(top, f"{best} is the highest-energy channel.") is True
    assert is_right(top, f"{'Cz' if best != 'Cz' else 'Fz'} is the highest-energy channel.") is False


def test_a_true_answer_to_another_question_is_none(found: list[Findings]) -> None:
    rows = answered(found, "question")
    top = next(one for one in rows if one.item.topic == "top_channel")
    band = next(one for one in rows if one.item.topic == "dominant_band")
    assert is_right(top, band.item.answers[0]) is None


def test_scores_count_right_and_invalid_answers(found: list[Findings]) -> None:
    rows = answered(found, "yes_no")[:6]
    said = [*("Yes." if one.item.answer == "yes" else "No." for one in rows[:3]), "Maybe.", "Maybe.", "Maybe."]
    scores = score_answers([replace(one, text=text) for one, text in zip(rows, said, strict=True)], seed=0)
    assert scores["accuracy"] == 0.5
    assert scores["invalid_rate"] == 0.5
    assert scores["chance"] == 0.5
    assert sum(topic["n"] for topic in scores["topics"].values()) == scores["n"] == 6


def test_chance_of_questions_in_words_is_what_others_were_told(found: list[Findings]) -> None:
    rows = [replace(one, text=one.item.answers[0]) for one in answered(found, "question")]
    scores = score_answers(rows, seed=0)
    assert scores["accuracy"] == 1.0
    assert 0.0 < scores["chance"] < 1.0


def test_one_person_has_no_chance_of_questions_in_words(found: list[Findings]) -> None:
    rows = [replace(one, subject="0") for one in answered(found, "question")]
    scores = score_answers(rows, seed=0)
    assert scores["chance"] is None
    assert f"0.000    {'-':<14}  -        1.000" in format_questions({"kinds": {"question": scores}})


def test_every_segment_of_a_recording_is_asked(narrator: Narrator, simulated: Recording, tmp_path: Path) -> None:
    write_edf(simulated, tmp_path / "rec.edf")
    with pytest.raises(ValueError, match="has learnt the instructions narrate only"):
        evaluate_questions(narrator, tmp_path / "rec.edf")
    asked = Narrator(replace(narrator.config, instructions=("narrate", "ask"), max_new_tokens=4), narrator.tokenizer)
    scores = evaluate_questions(asked.eval(), tmp_path / "rec.edf")
    n_segments = len(find_recording(load_recording(tmp_path / "rec.edf")))
    assert {kind: own["n"] for kind, own in scores["kinds"].items()} == dict.fromkeys(KINDS, n_segments)
    assert all(kind in format_questions(scores) for kind in KINDS)


def test_a_narrator_of_certain_questions_gets_those_in_words_alone(simulated: Recording, tmp_path: Path) -> None:
    write_edf(simulated, tmp_path / "rec.edf")
    shipped = Narrator.from_pretrained("tiny")
    scores = evaluate_questions(shipped, tmp_path / "rec.edf")
    assert list(scores["kinds"]) == ["question"]
    assert scores["kinds"]["question"]["invalid_rate"] < 0.5


def test_the_shipped_model_answers_every_question_that_segments_allow(found: list[Findings]) -> None:
    config = Narrator.from_pretrained("tiny").config
    stems = {c.stem for one in found for seed in range(20) for c in find_contrasts(one, seed)}
    assert len(stems) > 20
    assert {stem for stem in stems if not config.answers(stem)} == set()
    assert not config.answers("Does the patient have epilepsy?")
