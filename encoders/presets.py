"""Sizes of the encoders, as data."""

from dataclasses import dataclass

STEPS_PER_PATCH = 25
"""Time steps that the patch convolution leaves of the 200 samples of a patch."""

NORM_GROUPS = 4
"""Groups of the GroupNorm layers in the patch embedding."""


@dataclass(frozen=True)
class SignalEncoderPreset:
    """Size of a `SignalEncoder` (LaBraM, arXiv:2405.18765).

    Attributes:
        embed_dim: Width D of a token, a multiple of 100 (25 time steps x 4 normalisation groups).
        depth: Number of transformer blocks.
        num_heads: Attention heads; divides `embed_dim`.
        mlp_ratio: Hidden width of the block MLP, in units of `embed_dim`.
        position_std: Standard deviation of the channel and time embeddings at the start. The published 0.02 suits
            weights that are loaded; trained from scratch, tokens of different channels start out too alike, and the
            mean over tokens takes long to learn which channel did what.
        drop_path: Stochastic depth of the last block, rising linearly from 0 in the first; training only.

    Raises:
        ValueError: If the fields do not fit together.
    """

    embed_dim: int
    depth: int
    num_heads: int
    mlp_ratio: int = 4
    position_std: float = 0.02
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        unit = STEPS_PER_PATCH * NORM_GROUPS
        if self.embed_dim < unit or self.embed_dim % unit:
            raise ValueError(f"got embed_dim={self.embed_dim}, expected a multiple of {unit}: use 100, 200, 400, ...")
        if self.num_heads < 1 or self.embed_dim % self.num_heads:
            raise ValueError(
                f"got num_heads={self.num_heads} for embed_dim={self.embed_dim}, expected a divisor: "
                f"use {self.embed_dim // 20} (20 per head, as published)"
            )
        if not 0.0 <= self.drop_path < 1.0:
            raise ValueError(f"got drop_path={self.drop_path}, expected a probability below 1: use 0.0 to 0.3")

    @property
    def out_chans(self) -> int:
        """Filters of each patch convolution; 25 steps x `out_chans` make one token."""
        return self.embed_dim // STEPS_PER_PATCH


TINY = SignalEncoderPreset(embed_dim=100, depth=4, num_heads=5, position_std=0.3)
"""Half a million parameters, made for training from scratch on a CPU."""

BASE = SignalEncoderPreset(embed_dim=200, depth=12, num_heads=10)
"""LaBraM-Base, 5.8 million parameters; fits the published `labram-base.pth`."""

LARGE = SignalEncoderPreset(embed_dim=400, depth=24, num_heads=16)
"""LaBraM-Large, 46 million parameters; only Base has published weights."""

HUGE = SignalEncoderPreset(embed_dim=800, depth=48, num_heads=16)
"""LaBraM-Huge, 369 million parameters; only Base has published weights."""

SIGNAL_ENCODER_PRESETS = {"tiny": TINY, "base": BASE, "large": LARGE, "huge": HUGE}
