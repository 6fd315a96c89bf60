from math import comb

import numpy as np
import pytest
import torch
from open_clip.loss import SigLipLoss
from rouge_score.rouge_scorer import RougeScorer
from torch.nn.functional import normalize
from torchmetrics.functional.text import rouge_score

from neuronarrator.metrics import FactF1, RetrievalRecall, fact_score, recall_at_k, retrieval, retrieval_ranks
from neuronarrator.metrics.retrieval import (
    bootstrap_means,
    chance_scores,
    fixed_gallery_scores,
    interval,
    query_scores,
    summarise_ranks,
)


def test_ranks_of_a_hand_worked_gallery() -> None:
    gallery = torch.eye(3)
    queries = normalize(torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.1, 0.2, 0.3]]), dim=-1)
    ranks = retrieval_ranks(queries, gallery)
    assert ranks.tolist() == [1, 2, 1]
    assert recall_at_k(ranks, 1) == pytest.approx(2 / 3)
    assert recall_at_k(ranks, 5) == 1.0


def test_constant_embeddings_rank_last_not_first() -> None:
    constant = normalize(torch.ones(5, 4), dim=-1)
    assert retrieval_ranks(constant, constant).tolist() == [5] * 5


def test_a_tie_of_one_rounding_counts_and_what_is_no_number_comes_last() -> None:
    gallery = normalize(torch.tensor([[1.0, 0.0], [1.0, 1e-8], [0.0, 1.0]], dtype=torch.float64), dim=-1)
    assert retrieval_ranks(gallery, gallery).tolist() == [2, 2, 1]
    broken = gallery.clone()
    broken[0] = torch.nan
    assert retrieval_ranks(broken, gallery).tolist() == [3, 2, 1]
    assert retrieval_ranks(gallery, broken).tolist() == [3, 2, 2]


def test_ranks_do_not_depend_on_how_many_are_compared_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    z, v = (normalize(torch.randn(23, 6, generator=torch.Generator().manual_seed(s)), dim=-1) for s in range(2))
    at_once = retrieval_ranks(z, v)
    assert at_once.tolist() == (z @ v.T).argsort(1, descending=True).argsort(1).diagonal().add(1).tolist()
    monkeypatch.setattr(retrieval, "_BLOCK_VALUES", 23 * 5)
    assert torch.equal(retrieval_ranks(z, v), at_once)


def test_summary_of_hand_worked_ranks() -> None:
    scores = summarise_ranks(torch.tensor([1, 1, 3, 6, 10, 11]))
    assert scores == pytest.approx(
        {
            "recall_at_1": 2 / 6,
            "recall_at_5": 3 / 6,
            "recall_at_10": 5 / 6,
            "mean_rank": 32 / 6,
            "median_rank": 4.5,  # between 3 and 6
        }
    )
    assert summarise_ranks(torch.tensor([1, 2, 90]))["median_rank"] == 2


def test_chance_is_the_mean_over_all_ranks() -> None:
    everywhere = query_scores(torch.arange(1, 21)).mean(axis=0)
    assert list(chance_scores(20).values()) == pytest.approx(everywhere.tolist())
    assert chance_scores(4)["recall_at_5"] == 1.0


def test_galleries_of_a_fixed_size_have_the_recall_that_counting_gives() -> None:
    """A query of rank r among N stays first in a random gallery of n if its n - 1 others come from the N - r behind."""
    z, v = (normalize(torch.randn(40, 4, generator=torch.Generator().manual_seed(s)), dim=-1) for s in range(2))
    v = normalize(v + 2.0 * z, dim=-1)
    ranks = retrieval_ranks(z, v).tolist()
    expected = np.mean([comb(40 - rank, 9) / comb(39, 9) for rank in ranks])
    found = fixed_gallery_scores(z, v, size=10, repeats=400, seed=1)
    assert found is not None
    standard_error = found["recall_at_1"]["sd"] / 400**0.5
    assert abs(found["recall_at_1"]["mean"] - expected) < 4 * standard_error < 0.05
    assert found == fixed_gallery_scores(z, v, size=10, repeats=400, seed=1)


def test_a_gallery_as_large_as_all_pairs_is_all_pairs() -> None:
    z, v = (normalize(torch.randn(12, 3, generator=torch.Generator().manual_seed(s)), dim=-1) for s in range(2))
    found = fixed_gallery_scores(z, v, size=12, repeats=3, seed=0)
    assert found is not None
    for name, value in summarise_ranks(retrieval_ranks(z, v)).items():
        assert found[name] == {"mean": pytest.approx(value), "sd": pytest.approx(0.0)}
    assert fixed_gallery_scores(z, v, size=13, repeats=3, seed=0) is None


def test_subjects_that_are_all_equal_leave_no_uncertainty() -> None:
    scores = query_scores(torch.tensor([1, 7] * 6))
    subjects = [f"s{i // 2}" for i in range(12)]  # each has one hit and one miss
    assert interval(bootstrap_means(scores, subjects, 200, seed=0)) == {
        "recall_at_1": [0.5, 0.5],
        "recall_at_5": [0.5, 0.5],
        "recall_at_10": [1.0, 1.0],
        "mean_rank": [4.0, 4.0],
    }


def test_resampling_draws_subjects_with_all_their_queries() -> None:
    """Of one subject with one hit and one with three misses, each draw is all of either or all of both."""
    means = bootstrap_means(query_scores(torch.tensor([1, 2, 2, 2])), ["a", "b", "b", "b"], 2000, seed=3)
    values, counts = np.unique(means[:, 0], return_counts=True)
    assert values.tolist() == [0.0, 0.25, 1.0]
    assert counts / 2000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)
    assert interval(means)["recall_at_1"] == [0.0, 1.0]


def test_recall_of_both_directions_is_over_one_gallery() -> None:
    z = normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    metric = RetrievalRecall()
    metric.update(z[:10], z[:10])
    metric.update(z[10:], z[10:].roll(1, 0))
    scores = metric.compute()
    assert scores["recall_at_1_signal_to_topomap"] == pytest.approx(0.5)
    assert scores["recall_at_1_topomap_to_signal"] == pytest.approx(0.5)
    assert scores["median_rank_signal_to_topomap"] >= 1


def test_siglip_loss_is_the_papers_formula() -> None:
    """Sum of binary cross-entropies over all pairs, divided by B (NeuroNarrator, Eq. 4 and 5; arXiv:2303.15343)."""
    generator = torch.Generator().manual_seed(0)
    z, v = (normalize(torch.randn(6, 5, generator=generator), dim=-1) for _ in range(2))
    t, b = torch.tensor(10.0), torch.tensor(-1.6)
    total = torch.tensor(0.0)
    for i in range(6):
        for j in range(6):
            p = torch.sigmoid(t * (z[i] @ v[j]) + b)
            total = total - torch.log(p if i == j else 1 - p)
    assert SigLipLoss()(z, v, t, b).item() == pytest.approx((total / 6).item(), rel=1e-5)


def test_fact_f1_of_hand_worked_cases() -> None:
    a, b, c, d = (("trend", band, "stable") for band in ("delta", "theta", "alpha", "beta"))
    assert fact_score({a, b}, {a, b}).f1 == 1.0
    score = fact_score({a, b, d}, {a, b, c})
    assert score.f1 == pytest.approx(2 / 3)
    assert (score.hallucinated, score.omitted) == (1, 1)
    assert (score.hallucinations, score.omissions) == ({d}, {c})
    assert fact_score({a}, {a, b, c, d}).f1 == pytest.approx(2 * 1 * 0.25 / 1.25)
    assert fact_score(set(), set()).f1 == 1.0
    assert fact_score({a}, set()).f1 == 0.0


def test_fact_f1_metric_reads_texts() -> None:
    metric = FactF1()
    reference = {("trend", "delta", "stable"), ("trend", "theta", "marked increase")}
    metric.update(["Delta is stable; theta rises markedly."], [reference])
    metric.update(["Delta is stable; theta falls markedly."], [reference])
    assert metric.compute() == pytest.approx(0.75)


def test_rouge_l_equals_rouge_score_and_a_hand_worked_case() -> None:
    prediction, reference = "delta is stable and theta rises", "delta rises and theta is stable"
    ours = float(rouge_score(prediction, reference, rouge_keys="rougeL")["rougeL_fmeasure"])
    theirs = RougeScorer(["rougeL"], use_stemmer=False).score(reference, prediction)["rougeL"].fmeasure
    assert ours == pytest.approx(theirs)
    assert ours == pytest.approx(3 / 6)  # delta, and, theta: three of six words in order
