"""Cross-modal retrieval: ranks and recall@K (NeuroNarrator, Sec. 5.1)."""

from typing import Any

from torch import Tensor
from torch.nn.functional import normalize
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

DIRECTIONS = ("signal_to_topomap", "topomap_to_signal")
RECALL_AT = (1, 5, 10)


def retrieval_ranks(queries: Tensor, gallery: Tensor) -> Tensor:
    """Rank of the matching gallery item of each query, 1 is best.

    Args:
        queries: (N, D) unit norm; the match of row i is row i of the gallery.
        gallery: (N, D) unit norm.

    Returns:
        (N,) ranks; a tie counts against the query (pessimistic), so constant embeddings score last, not first.
    """
    similarity = queries @ gallery.T
    match = similarity.diagonal()[:, None]
    return (similarity >= match).sum(dim=1)


def recall_at_k(ranks: Tensor, k: int) -> Tensor:
    """Share of queries whose match is among the first k."""
    return (ranks <= k).float().mean()


class RetrievalRecall(Metric):
    """Recall@1/5/10 and mean rank in both directions over one gallery: all pairs seen since the last reset."""

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
        """`recall_at_K_DIRECTION` and `mean_rank_DIRECTION`."""
        z = [dim_zero_cat(self.z_signal), dim_zero_cat(self.z_topomap)]
        scores: dict[str, Tensor] = {}
        for direction, (queries, gallery) in zip(DIRECTIONS, (z, z[::-1]), strict=True):
            ranks = retrieval_ranks(queries, gallery)
            scores |= {f"recall_at_{k}_{direction}": recall_at_k(ranks, k) for k in RECALL_AT}
            scores[f"mean_rank_{direction}"] = ranks.float().mean()
        return scores
