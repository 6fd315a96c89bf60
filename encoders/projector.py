"""From the vectors of an encoder to those of the language model."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Projector(nn.Module):
    """Two-layer MLP with GELU, one per modality (NeuroNarrator, Sec. 3.3.1).

    The paper does not print the hidden width; it defaults to the output width.
    """

    def __init__(self, in_dim: int, out_dim: int, hidden_dim: int | None = None) -> None:
        super().__init__()
        hidden_dim = out_dim if hidden_dim is None else hidden_dim
        self.fc1 = nn.Linear(in_dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, out_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Project features (..., in_dim) -> (..., out_dim)."""
        return self.fc2(self.act(self.fc1(features)))


class Whitening(nn.Module):
    """Decorrelates the vectors of a frozen encoder; the identity until it is fitted.

    A frozen tower spends most of the variance of its vectors on a few directions, and a projector behind it learns
    the others only slowly. Not in the paper.

    It blows up weak directions, whose values are lost in fewer digits than those of float32. So it keeps float32 and
    computes in it, whatever the module around it is cast to, and under autocast.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width, dtype=torch.float32))
        self.register_buffer("matrix", torch.eye(width, dtype=torch.float32))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Whitening":
        """Follow the module around it to another device, not to another dtype."""

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(move, recurse)

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` was called, also before the weights were saved."""
        return not torch.equal(self.matrix.cpu(), torch.eye(len(self.mean)))

    @torch.no_grad()
    def fit(self, features: Tensor, floor: float = 0.001) -> None:
        """Estimate from features (N, D); directions below `floor` of the largest deviation are not blown up to one.

        Raises:
            ValueError: fewer vectors than dimensions.
        """
        if len(features) < len(self.mean):
            raise ValueError(f"got {len(features)} vectors, expected at least D = {len(self.mean)}: pass more")
        centred = (features - features.mean(0)).double()
        _, singular, directions = torch.linalg.svd(centred, full_matrices=False)
        deviation = singular / len(features) ** 0.5
        self.mean.copy_(features.mean(0))
        self.matrix.copy_(directions.T / (deviation + floor * deviation[0]))

    def forward(self, features: Tensor) -> Tensor:
        """Whiten features (..., D), in float32."""
        with torch.autocast(features.device.type, enabled=False):
            return (features.float() - self.mean) @ self.matrix
