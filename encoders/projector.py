"""From an encoder's width to the width of the language model."""

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
