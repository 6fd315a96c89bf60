"""The layers of the waveform detector: convolutions along time, inception modules, attention between electrodes.

Features of every electrode are one row: (N, W, 1, L) with N electrodes of a batch that were recorded, W channels and L
cells. Two-dimensional convolutions of height one are what CPUs run fastest.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BRANCHES = ((3, 1), (7, 1), (3, 4), (3, 8))
"""Kernel size and dilation of the parallel branches of an inception module."""


class ConvNorm(nn.Sequential):
    """Convolution along time, batch normalisation, and ReLU unless told otherwise: (N, W, 1, L)."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, relu: bool = True) -> None:
        conv = nn.Conv2d(n_in, n_out, (1, kernel), (1, stride), (0, kernel // 2), bias=False)
        super().__init__(conv, nn.BatchNorm2d(n_out), *([nn.ReLU(inplace=True)] if relu else []))


class Inception(nn.Module):
    """Parallel convolutions of several sizes and dilations, each of a part of the channels, mixed by a pointwise one.

    The result is added to the input. What each branch of the paper sees is not stated; a part keeps it affordable.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        part = width // len(BRANCHES)
        self.branches = nn.ModuleList(
            nn.Conv2d(part, part, (1, k), padding=(0, k // 2 * d), dilation=(1, d), bias=False) for k, d in BRANCHES
        )
        self.norm = nn.BatchNorm2d(width)
        self.leave = ConvNorm(width, width, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, W, 1, L) -> the same shape."""
        parts = x.chunk(len(BRANCHES), dim=1)
        mixed = torch.cat([branch(part) for branch, part in zip(self.branches, parts, strict=True)], dim=1)
        return F.relu(x + self.leave(F.relu(self.norm(mixed))))


class ChannelAttention(nn.Module):
    """Self-attention over the electrodes of a recording, in each cell of time by itself.

    The learned embedding of an electrode's position goes with it, so the order of electrodes has no effect, and those
    that were not recorded are no keys.

    Args:
        width: W.
        heads: attention heads.
        n_electrodes: rows of the position embedding.
    """

    def __init__(self, width: int, heads: int, n_electrodes: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.randn(n_electrodes, width) * 0.1)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)  # an untrained layer passes its input on
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Features (N, W, 1, L) of the electrodes that are true in present (B, C), in that order -> the same shape."""
        electrode = present.nonzero()[:, 1]
        tokens = x.squeeze(2).transpose(1, 2)  # (N, L, W)
        qkv = self.qkv(self.norm(tokens) + self.position[electrode, None])
        padded = qkv.new_zeros(*present.shape, *qkv.shape[1:])  # (B, C, L, 3W)
        padded[present] = qkv
        q, k, v = padded.transpose(1, 2).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)  # (B, L, H, C, d)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=present[:, None, None, None])
        mixed = mixed.transpose(2, 3).flatten(3).transpose(1, 2)[present]  # (N, L, W)
        return x + self.out(mixed).transpose(1, 2).unsqueeze(2)
