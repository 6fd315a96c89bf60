"""Seconds as a vector: when a segment begins, or how long before another one."""

import math

import torch
from torch import Tensor, nn

SHORTEST_S = 20.0
N_PERIODS = 13  # each twice the one before: the longest is 22.8 h


class TimeEncoder(nn.Module):
    """Sines and cosines of seconds, of periods from 20 s to a day, and their logarithm, through an MLP.

    Args:
        width: D.
    """

    periods_s: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("periods_s", SHORTEST_S * 2.0 ** torch.arange(N_PERIODS), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(2 * N_PERIODS + 1, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, seconds: Tensor) -> Tensor:
        """Seconds (...) of 0 or more to (..., D)."""
        phase = 2 * math.pi * (seconds.float()[..., None] / self.periods_s)
        size = torch.log1p(seconds.float() / SHORTEST_S)[..., None]
        return self.mlp(torch.cat([phase.sin(), phase.cos(), size], dim=-1).to(next(self.mlp.parameters()).dtype))
