import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from corpus.background import complete_alone
from corpus.build import build_corpus
from corpus.dataset import Mixture, NarrationDataset, segment_batches
from corpus.dataset.stored import POOL_BATCHES, group_by_length
from corpus.findings import find_recording
from corpus.instruct.check import statements_of
from corpus.noise_audit import check_against_findings
from corpus.preprocess import load_recording
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.splits import SIDES


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    for i, names in enumerate((("Fz", "Cz", "Pz", "Oz", "F3", "F4"), ("C3", "C4", "P3", "P4", "O1"))):
        file = root / "in" / f"person{i}.edf"
        file.parent.mkdir(exist_ok=True)
        write_edf(simulate(SimulationPreset(duration_s=52.0, ch_names=names), seed=i).recording, file)
    build_corpus([("folder", root / "in")], root / "corpus")
    return root


def test_batches_of_a_stored_corpus_are_those_of_its_recordings(corpus: Path) -> None:
    stored = {b.ch_names: b for b in (NarrationDataset(corpus / "corpus", batch_size=8)[i] for i in range(2))}
    for file in sorted((corpus / "in").iterdir()):
        (fresh,) = segment_batches(find_recording(load_recording(file)), 8)
        batch = stored[fresh.ch_names]
        np.testing.assert_allclose(batch.signal_uv, fresh.signal_uv, atol=0.05)
        np.testing.assert_allclose(batch.history_uv, fresh.history_uv, atol=0.05)
        assert torch.equal(batch.history_mask, fresh.history_mask)
        np.testing.assert_allclose(batch.log_power, fresh.log_power, rtol=1e-3, atol=1e-4)
        assert batch.facts == fresh.facts


def test_batches_hold_one_layout_and_one_side_and_cross_processes(corpus: Path) -> None:
    found = [
        batch
        for side in SIDES
        for batch in DataLoader(NarrationDataset(corpus / "corpus", split=side, batch_size=2), None, num_workers=1)
    ]
    assert sorted(len(batch) for batch in found) == [1, 1, 2, 2, 2, 2]
    assert {batch.ch_names for batch in found} == {("Fz", "Cz", "Pz", "Oz", "F3", "F4"), ("C3", "C4", "P3", "P4", "O1")}


def test_less_history_may_be_asked_for(corpus: Path) -> None:
    batch = NarrationDataset(corpus / "corpus", batch_size=8, history_k=1)[0]
    assert batch.history_mask.shape == (5, 1)
    assert batch.history_mask[:, 0].tolist() == [False, True, True, True, True]


def test_batches_grouped_by_length_are_drawn_in_pools_and_sorted_in_each() -> None:
    lengths = np.random.default_rng(1).integers(100, 900, size=2 * POOL_BATCHES * 4 + 5)
    groups = group_by_length(lengths, 4, np.random.default_rng(0))
    assert [len(group) for group in groups] == [4] * 2 * POOL_BATCHES + [4, 1]
    assert sorted(np.concatenate(groups)) == list(range(len(lengths)))
    for start in range(0, len(groups), POOL_BATCHES):
        pool = np.concatenate(groups[start : start + POOL_BATCHES])
        assert (np.diff(lengths[pool]) >= 0).all()
        assert len(pool) < 8 or sorted(pool) != list(range(pool.min(), pool.max() + 1))  # drawn, not neighbours
    again = group_by_length(lengths, 4, np.random.default_rng(0))
    assert all(np.array_equal(one, other) for one, other in zip(groups, again, strict=True))


def test_grouped_epochs_hold_every_segment_once_in_another_order(corpus: Path) -> None:
    def epoch(number: int, **words: int) -> list[list[tuple[str, ...]]]:
        dataset = NarrationDataset(corpus / "corpus", batch_size=2, group_by_length=True, **words)
        batches = [dataset[number * len(dataset) + i] for i in range(len(dataset))]
        assert {len(batch.ch_names) for batch in batches} == {5, 6}
        return [[(*batch.ch_names, text) for text in batch.narratives] for batch in batches]

    def count(text: str) -> int:
        return len(re.sub(r"([^\w\s])", r" \1 ", text).split())

    stored = NarrationDataset(corpus / "corpus", batch_size=10)
    expected = sorted((*batch.ch_names, text) for batch in (stored[0], stored[1]) for text in batch.narratives)
    assert len(expected) == 10
    assert all(sorted(row for batch in epoch(number) for row in batch) == expected for number in range(3))
    assert epoch(1) == epoch(1)
    assert epoch(0) != epoch(1) != epoch(1, seed=1)
    for names in (5, 6):  # no batch reaches into the lengths of another one
        spans = sorted([count(row[-1]) for row in batch] for batch in epoch(2) if len(batch[0]) == names + 1)
        flat = [length for span in spans for length in span]
        assert flat == sorted(flat)


def test_stored_segments_are_asked_the_tasks_of_a_mixture_and_their_answers_hold(corpus: Path) -> None:
    mixed, plain = (NarrationDataset(corpus / "corpus", batch_size=8, mixture=m) for m in (Mixture(("yes_no",)), None))
    for i in range(2):
        batch = mixed[i]
        assert plain[i].chats == []
        assert batch.narratives == plain[i].narratives
        assert batch.chats == mixed[i].chats
        file = next(f for f in (corpus / "in").iterdir() if load_recording(f).ch_names == batch.ch_names)
        findings = find_recording(load_recording(file))
        for found, (_, answer) in zip(findings, batch.chats, strict=True):
            complete = replace(found, details=complete_alone(found).details)
            said = statements_of(answer.partition(". ")[2])  # behind yes or no stands what is so
            assert {c.verdict for c in check_against_findings(said, complete)} == {"supported"}, answer
