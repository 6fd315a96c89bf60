"""Crops that carry items of an instruction mixture in place of their narratives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from corpus.background import find_complete
from corpus.dataset import CropDataset, Mixture
from corpus.dataset.mixture import NARRATE, mixed_targets
from corpus.findings import find_recording
from corpus.instruct.check import statements_of
from corpus.noise_audit import check_against_findings
from corpus.recording import Recording
from corpus.simulate import SimulationPreset, simulate


@pytest.fixture(scope="module")
def recording() -> Recording:
    return simulate(SimulationPreset(duration_s=60.0, alpha_uv=50.0), 3).recording


def test_the_plain_path_stays_as_it_is(recording: Recording) -> None:
    plain, mixed = (CropDataset([recording], 4, 2, seed=5, narrate=n)[0] for n in (True, Mixture(("narrative",))))
    assert plain.chats == []
    assert mixed.chats == [(NARRATE, narrative) for narrative in plain.narratives]
    assert mixed.narratives == plain.narratives
    np.testing.assert_array_equal(mixed.signal_uv, plain.signal_uv)


def test_tasks_come_equally_often_and_answers_hold(recording: Recording) -> None:
    found = find_recording(recording) * 5
    tasks = Mixture(("description", "choice", "conversation"))
    chats = mixed_targets(found, [""] * len(found), tasks, np.random.default_rng(0))
    choices = [chat for chat in chats if "\nA) " in chat[0]]
    assert 0.1 < len(choices) / len(chats) < 0.6  # a third, of 30
    assert all(answer[:3] in {"A) ", "B) ", "C) ", "D) "} for _, answer in choices)
    rounds = {len(chat) // 2 for chat in chats}
    assert max(rounds) in {3, 4}  # conversations come whole
    for one, chat in zip(found, chats, strict=True):
        alone = find_complete([replace(one.segment, history=())])[0]
        for answer in chat[1::2]:
            checked = check_against_findings(statements_of(answer), replace(one, details=alone.details))
            assert {c.verdict for c in checked} == {"supported"}, answer


def test_the_default_is_the_mixture_of_the_paper(recording: Recording) -> None:
    """Per 31,000: 3.2 questions by rules, 1.6 captions, one each of descriptions, compound choices, conversations."""
    found = find_recording(recording) * 60
    chats = mixed_targets(found, ["narrative"] * len(found), Mixture(), np.random.default_rng(0))
    count = len(chats) / 8
    yes_no = sum(chat[1].startswith(("Yes. ", "No. ")) for chat in chats)
    choices = sum("\nA) " in chat[0] for chat in chats)
    narratives = chats.count((NARRATE, "narrative"))
    conversations = sum(len(chat) > 2 for chat in chats)
    shares = [yes_no / count, choices / count, narratives / count, conversations / count]
    np.testing.assert_allclose(shares, [2, 2, 1, 1], atol=0.5)


@pytest.mark.parametrize("recipe", ["base_2", "tiny_mixed_2"])
def test_recipes_of_the_image_path_ask_that_mixture(recipe: str) -> None:
    text = (Path(__file__).parents[2] / "experiments" / "vlm" / f"{recipe}.yaml").read_text("utf-8")
    assert tuple(yaml.safe_load(text)["data"]["init_args"]["tasks"]) == Mixture().tasks


def test_the_same_item_is_the_same_batch(recording: Recording) -> None:
    first, second = (CropDataset([recording], 4, 2, seed=1, narrate=Mixture())[1] for _ in range(2))
    assert first.chats == second.chats
    assert len(first.chats) == len(first.narratives) == 4


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(ValueError, match="got tasks poem, expected some of choice"):
        Mixture(("poem",))
