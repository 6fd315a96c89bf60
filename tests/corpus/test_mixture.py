"""Crops that carry items of an instruction mixture in place of their narratives."""

from dataclasses import replace

import numpy as np
import pytest

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
    assert plain.instructions == []
    assert mixed.instructions == [NARRATE] * 4
    assert mixed.narratives == plain.narratives
    np.testing.assert_array_equal(mixed.signal_uv, plain.signal_uv)


def test_tasks_come_equally_often_and_answers_hold(recording: Recording) -> None:
    found = find_recording(recording) * 5
    questions, answers = mixed_targets(found, [""] * len(found), Mixture(), np.random.default_rng(0))
    chosen = sum("\nA) " in question for question in questions) / len(questions)
    assert 0.1 < chosen < 0.6  # a third, of 30
    assert all(a[:3] in {"A) ", "B) ", "C) ", "D) "} for q, a in zip(questions, answers, strict=True) if "\nA) " in q)
    for one, answer in zip(found, answers, strict=True):
        alone = find_complete([replace(one.segment, history=())])[0]
        checked = check_against_findings(statements_of(answer), replace(one, details=alone.details))
        assert {c.verdict for c in checked} == {"supported"}, answer


def test_the_same_item_is_the_same_batch(recording: Recording) -> None:
    first, second = (CropDataset([recording], 4, 2, seed=1, narrate=Mixture())[1] for _ in range(2))
    assert first.instructions == second.instructions
    assert first.narratives == second.narratives
    assert len(first.instructions) == len(first.narratives) == 4


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(ValueError, match="got tasks poem, expected some of choice"):
        Mixture(("poem",))
