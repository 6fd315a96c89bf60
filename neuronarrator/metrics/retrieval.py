"""Cross-modal retrieval: ranks, recall@K, galleries of a fixed size, intervals over subjects (NeuroNarrator, Sec. 5.1).

Shapes: N pairs, D width, M scores, R resamples.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from neuronarrator.metrics.bootstrap import LEVEL as LEVEL
from neuronarrator.metrics.bootstrap import bootstrap_means as bootstrap_means
from neuronarrator.metrics.bootstrap import percentiles

DIRECTIONS = ("signal_to_topomap", "topomap_to_signal")
RECALL_AT = (1, 5, 10)
MEANS = (*(f"recall_at_{k}" for k in RECALL_AT), "mean_rank")
"""Scores that are means over queries."""

TIE = 1e-6
"""Similarities closer than this are equal: float32 products of equal vectors differ by less."""

_BLOCK_VALUES = 2**25  # similarities at a time


def retrieval_ranks(queries: Tensor, gallery: Tensor) -> Tensor:
    """Rank of the matching gallery item of each query, 1 is best.

    Args:
        queries: (N, D) unit norm; the match of row i is row i of the gallery.
        gallery: (N, D) unit norm.

    Returns:
        (N,) ranks; a tie (within `TIE`) counts against the query (pessimistic), and so does what is not a number:
        constant embeddings score last, not first.
    """
    count = len(queries)
    rows = max(_BLOCK_VALUES // max(count, 1), 1)
    ranks = torch.empty(count, dtype=torch.long, device=queries.device)
    for start in range(0, count, rows):
        similarity = queries[start : start + rows] @ gallery.T
        match = similarity.diagonal(start)[:, None]
        ranks[start : start + rows] = (~(similarity < match - TIE)).sum(dim=1)
    return ranks


def recall_at_k(ranks: Tensor, k: int) -> Tensor:
    """Share of queries whose match is among the first k."""
    return (ranks <= k).float().mean()


def summarise_ranks(ranks: Tensor) -> dict[str, float]:
    """`recall_at_1`, `recall_at_5`, `recall_at_10`, `mean_rank` and `median_rank` (the mean of both middle ones)."""
    means = zip(MEANS, query_scores(ranks).mean(axis=0).tolist(), strict=True)
    return {**dict(means), "median_rank": float(np.median(ranks.cpu().numpy()))}


def query_scores(ranks: Tensor) -> np.ndarray:
    """What each query adds to `MEANS`, (N, M): whether its match is among the first K, and its rank."""
    array = ranks.cpu().numpy()
    return np.stack([*(array <= k for k in RECALL_AT), array], axis=1).astype(np.float64)


def chance_scores(count: int) -> dict[str, float]:
    """`MEANS` of a random order of a gallery of `count`."""
    return {**{f"recall_at_{k}": min(k / count, 1.0) for k in RECALL_AT}, "mean_rank": (count + 1) / 2}


def fixed_gallery_scores(
    queries: Tensor, gallery: Tensor, size: int, repeats: int, seed: int
) -> dict[str, dict[str, float]] | None:
    """Scores in random galleries of one size, which make datasets of different sizes comparable.

    Args:
        queries: (N, D) unit norm.
        gallery: (N, D) unit norm, row by row the matches.
        size: pairs a gallery; each of its pairs is also a query.
        repeats: galleries, drawn without replacement each.
        seed: of the draws: the same seed draws the same galleries for both directions.

    Returns:
        For each score its mean and standard deviation over galleries; None where N < size.
    """
    if len(queries) < size:
        return None
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        rows = torch.from_numpy(rng.choice(len(queries), size, replace=False)).to(queries.device)
        found.append(summarise_ranks(retrieval_ranks(queries[rows], gallery[rows])))
    columns = {name: np.array([scores[name] for scores in found]) for name in found[0]}
    return {name: {"mean": float(column.mean()), "sd": float(column.std())} for name, column in columns.items()}


def interval(resampled: np.ndarray) -> dict[str, list[float]]:
    """Percentile interval of `LEVEL` of each of `MEANS`, from resampled means (R, M)."""
    return dict(zip(MEANS, percentiles(resampled), strict=True))


class RetrievalRecall(Metric):
    """Recall@1/5/10, mean and median rank in both directions over one gallery: all pairs since the last reset."""

    full_state_update = False
    z_signal: list[Tensor]
    z_topomap: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("z_signal", default=[], dist_reduce_fx="cat")
        self.add_state("z_topomap", default=[], dist_reduce_fx="cat")

    def update(self, z_signal: Tensor, z_topomap: Tensor) -> None:
        """Add matching pairs, (B, D) each; they are normalised here."""
        self.z_signal.append(normalize(z_signal.detach().float(), dim=-1))
        self.z_topomap.append(normalize(z_topomap.detach().float(), dim=-1))

    def compute(self) -> dict[str, Tensor]:
        """`recall_at_K_DIRECTION`, `mean_rank_DIRECTION` and `median_rank_DIRECTION`."""
        z = [dim_zero_cat(self.z_signal), dim_zero_cat(self.z_topomap)]
        return {
            f"{name}_{direction}": torch.tensor(value)
            for direction, pair in zip(DIRECTIONS, (z, z[::-1]), strict=True)
            for name, value in summarise_ranks(retrieval_ranks(*pair)).items()
        }
