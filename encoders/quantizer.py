"""Vector quantiser of the neural tokenizer: unit-norm codes that follow the vectors they stand for.

As in LaBraM (arXiv:2405.18765, Sec. 2.2), which takes it from BEiT v2 (arXiv:2208.06366): nearest code by angle,
commitment loss, straight-through gradient, exponential moving average of the codes, spherical k-means as a start.
Names of the tensors follow the published `vqnsp.pth`.

Shapes: M vectors, K codes, E values of a code.
"""

from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

KMEANS_ITERATIONS = 10


class Quantized(NamedTuple):
    """Vectors replaced by their codes.

    Attributes:
        codes: (..., E), unit norm; the gradient passes straight through to the normalised vectors.
        indices: (...) long, rows of the codebook.
        commitment_loss: Mean squared difference of the normalised vectors and their codes; moves the vectors only.
    """

    codes: Tensor
    indices: Tensor
    commitment_loss: Tensor


class Codebook(nn.Module):
    """K unit-norm codes, without gradient, and what the published file keeps beside them.

    Attributes:
        weight: (K, E) the codes.
        cluster_size: (K) vectors of each code in the k-means at the start.
        embed_avg: (K, E) unused zeros, there because the published file holds them.
        initted: (1) whether the codes have their start: 1 after k-means or loading.
    """

    weight: Tensor
    cluster_size: Tensor
    initted: Tensor

    def __init__(self, n_codes: int, code_dim: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(n_codes, code_dim))
        self.register_buffer("cluster_size", torch.zeros(n_codes))
        self.register_buffer("embed_avg", torch.zeros(n_codes, code_dim))
        self.register_buffer("initted", torch.zeros(1))

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> None:
        """Set the codes to spherical k-means of unit-norm vectors (M, E); all processes get those of the first."""
        codes, counts = spherical_kmeans(vectors, len(self.weight), KMEANS_ITERATIONS)
        self.weight.copy_(codes)
        self.cluster_size.copy_(counts)
        self.initted.fill_(1.0)
        if _is_distributed():
            distributed.broadcast(self.weight, 0)
            distributed.broadcast(self.cluster_size, 0)


class Quantizer(nn.Module):
    """Nearest code of each vector; in training the codes follow their vectors.

    A code that no vector of a step chooses stays where it is (published); none is revived, so codes that k-means
    leaves far from all vectors remain unused.

    Deviations from the published code: `cluster_size` counts training steps only; with several processes all start
    from the codebook of the first, where each published process runs a k-means of its own.

    Args:
        n_codes: K, 8192 as published.
        code_dim: E, 64 as published.
        decay: Of the moving average.

    Attributes:
        embedding: The codebook.
        cluster_size: (K) moving average of how many vectors of a training step chose each code.
    """

    cluster_size: Tensor

    def __init__(self, n_codes: int, code_dim: int, decay: float = 0.99) -> None:
        super().__init__()
        self.decay = decay
        self.embedding = Codebook(n_codes, code_dim)
        self.register_buffer("cluster_size", torch.zeros(n_codes))

    def forward(self, vectors: Tensor) -> Quantized:
        """Quantise vectors (..., E) of any norm; in training, move the codes after the look-up.

        Float32 under autocast too.

        Raises:
            ValueError: If the codebook was neither trained nor loaded and this is no training step.
        """
        with torch.autocast(vectors.device.type, enabled=False):
            return self._quantize(F.normalize(vectors.float(), dim=-1))

    def _quantize(self, unit: Tensor) -> Quantized:
        flat = unit.flatten(0, -2)
        if not self.embedding.initted:
            self._start(flat)
        with torch.no_grad():
            indices = nearest_code(flat, self.embedding.weight)
            codes = F.embedding(indices, self.embedding.weight).view_as(unit)
            if self.training:
                self._follow(flat, indices)
        loss = F.mse_loss(unit, codes)
        return Quantized(unit + (codes - unit).detach(), indices.view(unit.shape[:-1]), loss)

    def _start(self, unit: Tensor) -> None:
        if not self.training:
            raise ValueError("got an empty codebook, expected codes: load a trained tokenizer, or train this one first")
        self.embedding.start_from(unit.detach())

    def _follow(self, unit: Tensor, indices: Tensor) -> None:
        """Move each chosen code towards the mean direction of its vectors (M, E), and back to unit norm."""
        weight = self.embedding.weight
        counts = torch.bincount(indices, minlength=len(weight)).to(weight)
        sums = torch.zeros_like(weight).index_add_(0, indices, unit.detach())
        if _is_distributed():
            distributed.all_reduce(counts)
            distributed.all_reduce(sums)
        self.cluster_size.lerp_(counts, 1.0 - self.decay)
        target = torch.where(counts[:, None] > 0, F.normalize(sums, dim=-1), weight)
        weight.copy_(F.normalize(weight.lerp(target, 1.0 - self.decay), dim=-1))


def nearest_code(unit: Tensor, codes: Tensor) -> Tensor:
    """Index of the nearest of unit-norm codes (K, E) for each unit-norm vector (M, E): the largest cosine, (M)."""
    return (unit @ codes.T).argmax(dim=1)


def spherical_kmeans(vectors: Tensor, n_clusters: int, iterations: int) -> tuple[Tensor, Tensor]:
    """K-means of unit-norm vectors by angle.

    Starts from random vectors, drawn with repetition where there are fewer than clusters; of equal centres only the
    first is chosen. A cluster that loses all vectors keeps its centre.

    Args:
        vectors: (M, E), unit norm.
        n_clusters: K.
        iterations: Rounds of assignment and averaging.

    Returns:
        Unit-norm centres (K, E), and how many vectors each had in the last assignment (K).
    """
    count = len(vectors)
    if count >= n_clusters:
        chosen = torch.randperm(count, device=vectors.device)[:n_clusters]
    else:
        chosen = torch.randint(count, (n_clusters,), device=vectors.device)
    centres = vectors[chosen]
    sizes = centres.new_zeros(n_clusters)
    for _ in range(iterations):
        indices = nearest_code(vectors, centres)
        sizes = torch.bincount(indices, minlength=n_clusters).to(centres)
        means = F.normalize(torch.zeros_like(centres).index_add_(0, indices, vectors), dim=-1)
        centres = torch.where(sizes[:, None] > 0, means, centres)
    return centres, sizes


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized()
