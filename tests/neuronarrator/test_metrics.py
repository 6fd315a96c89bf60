import pytest
import torch
from open_clip.loss import SigLipLoss
from rouge_score.rouge_scorer import RougeScorer
from torch.nn.functional import normalize
from torchmetrics.functional.text import rouge_score

from neuronarrator.metrics import FactF1, RetrievalRecall, fact_score, recall_at_k, retrieval_ranks


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


def test_recall_of_both_directions_is_over_one_gallery() -> None:
    z = normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    metric = RetrievalRecall()
    metric.update(z[:10], z[:10])
    metric.update(z[10:], z[10:].roll(1, 0))
    scores = metric.compute()
    assert scores["recall_at_1_signal_to_topomap"] == pytest.approx(0.5)
    assert scores["recall_at_1_topomap_to_signal"] == pytest.approx(0.5)


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
