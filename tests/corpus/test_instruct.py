"""Instruction items by rules: right answers, wrong options, balance, order, records."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.background import find_complete
from corpus.claims import parse_claims
from corpus.findings import Labels, find_recording
from corpus.instruct import Item, Material, Turn, check_item, find_contrasts, make_items, read_items, write_items
from corpus.noise_audit import check_against_findings
from corpus.preprocess import load_recording
from corpus.segment import segment_recording
from corpus.simulate import detector_preset, simulate
from corpus.waveforms import WAVEFORM_KINDS, Waveform


@pytest.fixture(scope="module")
def materials() -> list[Material]:
    listed: list[Material] = []
    for seed in range(4):
        simulation = simulate(detector_preset(seed, duration_s=40.0), seed)
        marks = [
            Waveform(box.kind, (box.ch_name,), box.start_s, box.duration_s)
            for box in simulation.boxes
            if box.kind in WAVEFORM_KINDS
        ]
        found = find_complete(segment_recording(simulation.recording), waveforms=marks)
        listed += [Material(one, "simulated", f"s{seed}", f"r{seed}") for one in found]
    return listed


def material_of(item: Item, materials: list[Material]) -> Material:
    return next(m for m in materials if (m.recording, m.findings.segment.index) == (item.recording, item.segment))


def test_every_answer_is_supported_and_every_wrong_option_contradicted(materials: list[Material]) -> None:
    for seed in range(3):
        for item in make_items(materials, seed):
            wrong = [c for c in check_item(item, material_of(item, materials).findings) if c.verdict != "supported"]
            assert not wrong, (item.turns, wrong)


def test_claims_of_answers_without_details_are_facts() -> None:
    """The narrator's findings: here `corpus.claims` reads every sentence itself."""
    found = find_recording(simulate(detector_preset(5, duration_s=40.0), 5).recording)
    items = list(make_items([Material(one) for one in found], 2))
    assert {item.task for item in items} == {"description", "choice", "conversation", "yes_no"}
    for item in items:
        facts = found[item.segment].facts
        for claim in (claim for answer in item.answers for claim in parse_claims(answer.removeprefix("No. "))):
            assert ((claim.kind, claim.subject, claim.value) in facts) != claim.negated, (item.turns, claim)


def test_real_segments(shared_data: Path) -> None:
    for folder, pattern in (("eegmat", "*_2.edf"), ("eegmmidb", "**/*R02.edf")):
        recording = load_recording(sorted((shared_data / folder).glob(pattern))[1])
        found = find_complete(segment_recording(recording)[:6], recording.defects)
        listed = [Material(one, folder, "p", "r") for one in found]
        checked = [c for item in make_items(listed) for c in check_item(item, found[item.segment])]
        assert len(checked) > 60
        assert {c.verdict for c in checked} == {"supported"}


def test_the_mix_and_the_balance(materials: list[Material]) -> None:
    items = [item for seed in range(5) for item in make_items(materials, seed)]
    tasks = Counter(item.task for item in items)
    assert tasks["description"] == tasks["choice"] == tasks["conversation"] == tasks["yes_no"] == 5 * len(materials)
    letters = Counter(item.answer for item in items if item.task == "choice")
    assert min(letters[letter] for letter in "ABCD") > 0.15 * tasks["choice"]
    one = [item for item in make_items(materials, 0) if item.task == "yes_no"]
    for topic in {item.topic.split()[0] for item in one}:
        given = Counter(item.answer for item in one if item.topic.split()[0] == topic)
        assert abs(given["yes"] - given["no"]) <= 1


def test_choices_have_four_different_options_and_the_letter_is_the_right_one(materials: list[Material]) -> None:
    choices = [item for item in make_items(materials, 1) if item.task == "choice"]
    assert {" + " in item.topic for item in choices} == {True, False}
    for item in choices:
        findings = material_of(item, materials).findings
        assert len(set(item.options)) == 4
        right = item.options["ABCD".index(item.answer)]
        assert item.answers == (f"{item.answer}) {right}",)
        assert {c.verdict for c in check_against_findings(right, findings)} == {"supported"}
        assert all(
            f"\n{letter}) {text}" in item.turns[0].text for letter, text in zip("ABCD", item.options, strict=True)
        )


def test_answers_of_yes_and_no_fit_the_question(materials: list[Material]) -> None:
    items = [item for item in make_items(materials, 4) if item.task == "yes_no"]
    assert {item.answer for item in items} == {"yes", "no"}
    for item in items:
        right = item.answers[0].split(". ", 1)[1]
        assert item.answers[0].startswith(item.answer.capitalize())
        assert (right in item.turns[0].text) == (item.answer == "yes")


def test_a_question_is_a_choice_without_its_options(materials: list[Material]) -> None:
    items = [item for seed in range(5) for item in make_items(materials, seed, ["question"])]
    assert len(items) == 5 * len(materials)
    assert len({item.topic.split()[0] for item in items}) > 4
    for item in items:
        (right,) = item.answers
        findings = material_of(item, materials).findings
        assert item.turns[0].text.endswith("?")
        assert {c.verdict for c in check_against_findings(right, findings)} == {"supported"}


def test_conversations_have_two_to_four_rounds(materials: list[Material]) -> None:
    rounds = Counter(len(i.answers) for seed in range(3) for i in make_items(materials, seed, ["conversation"]))
    assert set(rounds) == {2, 3, 4}
    for item in make_items(materials, 0, ["conversation"]):
        assert [turn.role for turn in item.turns] == ["user", "assistant"] * len(item.answers)
        assert len(set(item.answers)) == len(item.answers)


def test_the_same_seed_gives_the_same_items(materials: list[Material]) -> None:
    first, again, other = (list(make_items(materials, seed)) for seed in (3, 3, 4))
    assert first == again
    assert {item.item_id for item in first}.isdisjoint(item.item_id for item in other)


def test_contrasts_cover_waveforms_places_and_the_background(materials: list[Material]) -> None:
    topics = {c.topic.split()[0] for m in materials for c in find_contrasts(m.findings)}
    assert topics >= {
        *("artifact", "quality", "waveform", "epileptiform", "place", "pdr"),
        *("dominant_band", "amplitude", "top_channel", "region", "asymmetry", "trend"),
    }


@pytest.mark.parametrize(("label", "right"), [("N2", "The stage is N2."), ("GPD", "generalized periodic discharges")])
def test_labels_of_the_dataset_are_asked_for_and_told_nowhere_else(
    materials: list[Material], label: str, right: str
) -> None:
    labelled = [replace(m, findings=replace(m.findings, labels=Labels(63, "F", label))) for m in materials]
    items = [item for seed in range(4) for item in make_items(labelled, seed)]
    topics = [i for i in items if set(i.topic.split()) & {"stage", "pattern"}]
    assert topics
    assert all(right in item.answers[0] for item in topics)
    for item in items:
        wrong = [c for c in check_item(item, material_of(item, labelled).findings) if c.verdict != "supported"]
        assert not wrong, (item.turns, wrong)
        told = " ".join(item.answers)
        assert "year-old" not in told
        assert item in topics or right not in told


def test_records_come_back_and_changes_are_noticed(materials: list[Material], tmp_path: Path) -> None:
    items = list(make_items(materials[:4], 6))
    path = tmp_path / "items.jsonl"
    assert write_items(items, path) == len(items)
    assert list(read_items(path)) == items
    record = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert record["messages"][0]["role"] == "user"
    assert record["subject"] == "s0"
    record["messages"][1]["content"] += " It is normal."
    with pytest.raises(ValueError, match="id"):
        Item.from_json(record)
    with pytest.raises(ValueError, match="version 0"):
        Item.from_json(record | {"version": 0})


def test_unknown_answers_are_not_called_right(materials: list[Material]) -> None:
    findings = materials[0].findings
    top = findings.features.top_channel
    other = next(name for name in findings.segment.ch_names if name != top)
    turns = (Turn("user", "?"), Turn("assistant", f"A) {other} is the highest-energy channel."))
    options = (f"{other} is the highest-energy channel.", f"{top} is the highest-energy channel.", "Who knows.", "x")
    verdicts = [c.why for c in check_item(Item("choice", turns, options, "A"), findings)]
    assert verdicts == ["top_channel", "option not wrong", "option not wrong", "option not wrong"]
