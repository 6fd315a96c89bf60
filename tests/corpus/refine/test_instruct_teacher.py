"""Items of a teacher: good ones are taken, bad ones replaced by rules, and the prompt holds the sources in order."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.background import find_complete
from corpus.findings import Findings, Labels
from corpus.instruct import Material, check_item, find_contrasts, teach_items
from corpus.instruct.prompts import build_messages, measured_text
from corpus.instruct.teacher import read_answer
from corpus.noise_audit import split_sentences
from corpus.refine import Teacher
from corpus.segment import segment_recording
from corpus.simulate import random_preset, simulate

Serve = Callable[..., Any]  # the fixture of conftest


@pytest.fixture(scope="module")
def materials() -> list[Material]:
    found = find_complete(segment_recording(simulate(random_preset(0, duration_s=60.0), 0).recording), waveforms=[])
    return [Material(one, "simulated", "p", "r") for one in found]


def ideal(task: str, material: Material) -> str:
    sentences = split_sentences(measured_text(material.findings, 3))
    if task == "description":
        return " ".join(sentences[:6])
    if task == "conversation":
        rounds = [{"question": "And?", "answer": sentence} for sentence in sentences[:3]]
        return f"```json\n{json.dumps(rounds)}\n```"
    one = next(c for c in find_contrasts(material.findings) if c.topic == "dominant_band")
    return json.dumps({"question": "Which?", "options": [one.wrong[0], one.right, *one.wrong[1:3]], "answer": 1})


def task_of(body: dict[str, Any]) -> str:
    system = body["messages"][0]["content"]
    return "choice" if "four options" in system else "conversation" if "rounds" in system else "description"


def completion(text: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"choices": [{"message": {"content": text}}]}).encode()


def test_good_answers_become_items(serve: Serve, materials: list[Material], tmp_path: Path) -> None:
    by_prompt = {
        build_messages(task, m)[1]["content"]: m  # type: ignore[arg-type]
        for m in materials
        for task in ("description",)
    }

    def reply(server: Any, n: int, body: dict[str, Any]) -> Any:
        return completion(ideal(task_of(body), by_prompt[body["messages"][1]["content"]]))

    server = serve([], reply)
    result = teach_items(materials, Teacher(server.url, "teacher-1"), tmp_path)
    assert (result.accepted, result.repaired, result.rejected) == (len(materials), 0, 0), result.reasons
    assert [item.task for item in result.items[:3]] == ["description", "choice", "conversation"]
    for item, material in zip(result.items, materials, strict=True):
        assert {c.verdict for c in check_item(item, material.findings)} == {"supported"}
        assert (item.source, item.model, item.prompt_version) == ("teacher", "teacher-1", "instruct-1")
    asked = len(server.bodies)
    assert teach_items(materials, Teacher(server.url, "teacher-1"), tmp_path).items == result.items
    assert len(server.bodies) == asked  # from the cache


def test_bad_answers_are_replaced_by_rules(serve: Serve, materials: list[Material], tmp_path: Path) -> None:
    server = serve([], lambda *_: completion("Seizures everywhere. The patient has epilepsy."))
    result = teach_items(materials[:3], Teacher(server.url, "teacher-1"), tmp_path)
    assert (result.accepted, result.rejected) == (0, 3)
    assert [item.task for item in result.items] == ["description", "choice", "conversation"]
    assert {item.source for item in result.items} == {"rules"}
    assert result.reasons == {"not the form asked for": 2, "too few supported sentences": 1}


def test_unsupported_sentences_of_a_description_are_dropped(materials: list[Material]) -> None:
    material = materials[1]
    good = ideal("description", material)
    item, why = read_answer("description", f"{good} This suggests encephalopathy.", material, "m", 3)
    assert item is not None
    assert (item.source, why, item.answers) == ("repaired", "unsupported sentence", (good,))


@pytest.mark.parametrize(
    "extra",
    [
        "Spikes are seen at T3.",
        "The spectrum is dominated by activity of epileptic origin.",
        "Data quality is good in a patient with dementia.",
        "The measured sentences say so.",
    ],
)
def test_conversations_with_one_wrong_sentence_are_rejected(materials: list[Material], extra: str) -> None:
    material = materials[1]
    rounds = json.loads(ideal("conversation", material).strip("`json\n"))
    assert read_answer("conversation", json.dumps(rounds), material, "m", 3)[0] is not None
    rounds[1]["answer"] += f" {extra}"
    assert read_answer("conversation", json.dumps(rounds), material, "m", 3)[0] is None


def test_choices_that_are_ambiguous_or_wrong_are_rejected(materials: list[Material]) -> None:
    material = materials[1]
    content = json.loads(ideal("choice", material))
    amplitude = next(c for c in find_contrasts(material.findings) if c.topic == "amplitude").right
    wrong = [
        content | {"answer": 0},
        content | {"answer": 7},
        content | {"options": [amplitude, *content["options"][1:]]},
        content | {"options": content["options"][:3]},
        [content],
    ]
    assert read_answer("choice", json.dumps(content), material, "m", 3)[1] == ""
    for changed in wrong:
        assert read_answer("choice", json.dumps(changed), material, "m", 3)[0] is None


def test_the_expert_is_believed_and_nobody_else(materials: list[Material]) -> None:
    remark = "Left temporal sharp transients of uncertain significance."
    plain, told = materials[1], replace(materials[1], description=remark)
    text = f"{remark} {ideal('description', plain)}"
    first, second = (read_answer("description", text, own, "m", 3)[0] for own in (plain, told))
    assert first is not None
    assert remark not in first.answers[0]
    assert second is not None
    assert second.answers[0].startswith(remark)


def test_prompts_hold_the_sources_in_order_and_no_labels(materials: list[Material]) -> None:
    findings: Findings = replace(materials[0].findings, labels=Labels(63, "F", "dementia"))
    material = Material(findings, description="A remark.", state="N2")
    system, user = (message["content"] for message in build_messages("choice", material))
    names = ("EXPERT", "STAGE", "MEASURED", "MARKS")
    assert sorted(names, key=user.index) == list(names)
    assert sorted(names, key=system.index) == list(names)
    assert "63" not in user
    assert "dementia" not in user
    assert "EXPERT" not in build_messages("choice", materials[0])[1]["content"]
