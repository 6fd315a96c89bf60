"""Many tokens to a few: learned queries that read the patch tokens of a segment.

Shapes: B batch, N tokens read, M tokens made, D width. The design is that of the Perceiver (arXiv:2103.03206) as
Flamingo uses it in front of a language model (arXiv:2204.14198, Sec. 3.1.1), without attention among the queries.
"""

import torch
from torch import Tensor, nn

MLP_RATIO = 4
DEPTH = 2


class ResamplerLayer(nn.Module):
    """Queries read tokens by attention, then pass an MLP; both add to what they were.

    Args:
        width: D.
        num_heads: of the attention; divides D.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm_queries = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, MLP_RATIO * width), nn.GELU(), nn.Linear(MLP_RATIO * width, width))

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Queries (B, M, D) that have read tokens (B, N, D)."""
        read, _ = self.attention(self.norm_queries(queries), tokens, tokens, need_weights=False)
        queries = queries + read
        return queries + self.mlp(self.norm_mlp(queries))


class Resampler(nn.Module):
    """A fixed number of tokens from any number of them, whose order does not matter: they carry their places.

    Args:
        width: D.
        n_tokens: M.
        num_heads: of the attention; divides D.

    Raises:
        ValueError: less than one token, or heads that do not divide D.
    """

    def __init__(self, width: int, n_tokens: int, num_heads: int) -> None:
        super().__init__()
        if n_tokens < 1 or num_heads < 1 or width % num_heads:
            raise ValueError(
                f"got n_tokens={n_tokens} and num_heads={num_heads} for width={width}, expected at least one token and "
                "heads that divide the width; correct them"
            )
        self.queries = nn.Parameter(torch.empty(n_tokens, width))
        nn.init.trunc_normal_(self.queries, std=1.0)  # far apart, or all of them would read the same
        self.norm_tokens = nn.LayerNorm(width)
        self.layers = nn.ModuleList(ResamplerLayer(width, num_heads) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Read tokens (B, N, D) -> (B, M, D)."""
        tokens = self.norm_tokens(tokens)
        queries = self.queries.expand(len(tokens), -1, -1)
        for layer in self.layers:
            queries = layer(queries, tokens)
        return self.norm(queries)
