"""The layers of LaBraM: patch embedding, attention, transformer block. Names follow the published checkpoint.

Shapes: B batch, N tokens, D token width, H heads, L samples of a patch, O filters, S time steps of a filtered patch.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.presets import NORM_GROUPS, SignalEncoderPreset

NORM_EPS = 1e-6


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Stochastic depth: drop the residual branch x (B, ...) of whole samples, keeping its expectation."""
    if rate == 0.0 or not training:
        return x
    keep = torch.empty(x.shape[0], *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device).bernoulli_(1.0 - rate)
    return x * (keep / (1.0 - rate))


def masked_group_norm(x: Tensor, norm: nn.GroupNorm, valid: Tensor | None) -> Tensor:
    """GroupNorm of x (B, O, N, S) whose statistics see only the N where valid (B, N) is true; all of them if None."""
    if valid is None:
        return norm(x)
    grouped = x.unflatten(1, (norm.num_groups, -1))  # (B, G, O/G, N, S)
    grouped = grouped.to(torch.promote_types(x.dtype, torch.float32))
    weight = valid[:, None, None, :, None].to(grouped.dtype)
    count = weight.sum(3, keepdim=True) * (grouped.shape[2] * grouped.shape[4])
    mean = (grouped * weight).sum((2, 3, 4), keepdim=True) / count
    centred = (grouped - mean) * weight
    variance = centred.square().sum((2, 3, 4), keepdim=True) / count
    x = (centred * torch.rsqrt(variance + norm.eps)).flatten(1, 2)
    return torch.addcmul(norm.bias[:, None, None], x, norm.weight[:, None, None]).to(norm.weight.dtype)


class PatchEmbed(nn.Module):
    """Three convolutions along the samples of a patch, each with GroupNorm and GELU (the temporal encoder of LaBraM).

    GroupNorm takes its statistics over all patches and channels of a sample, so a global change of amplitude (all
    channels louder by one factor) is removed almost entirely, while ratios between channels and between seconds
    remain. This is the published design and is kept: a model that must know absolute amplitude has to be told it by
    another way. With `out_chans` 4 (the tiny preset) each group is one filter, the removal is complete and the biases
    of the convolutions have no effect.
    """

    def __init__(self, out_chans: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, out_chans, (1, 15), stride=(1, 8), padding=(0, 7))
        self.norm1 = nn.GroupNorm(NORM_GROUPS, out_chans)
        self.conv2 = nn.Conv2d(out_chans, out_chans, (1, 3), padding=(0, 1))
        self.norm2 = nn.GroupNorm(NORM_GROUPS, out_chans)
        self.conv3 = nn.Conv2d(out_chans, out_chans, (1, 3), padding=(0, 1))
        self.norm3 = nn.GroupNorm(NORM_GROUPS, out_chans)

    def forward(self, patches: Tensor, valid: Tensor | None = None) -> Tensor:
        """Embed patches (B, N, L) in units of 0.1 mV -> (B, N, D), features of one time step side by side.

        Where valid (B, N) is false there is padding, which the normalisation does not see.
        """
        x = patches.unsqueeze(1)  # (B, 1, N, L)
        x = F.gelu(masked_group_norm(self.conv1(x), self.norm1, valid))  # (B, out_chans, N, 25)
        x = F.gelu(masked_group_norm(self.conv2(x), self.norm2, valid))
        x = F.gelu(masked_group_norm(self.conv3(x), self.norm3, valid))
        return rearrange(x, "b o n t -> b n (t o)")


def scaled_linear(linear: nn.Linear, x: Tensor, gain: Tensor | None) -> Tensor:
    """`gain * linear(x)`, with the gain put on the weights: they are fewer than the numbers that come out."""
    if gain is None:
        return linear(x)
    return F.linear(x, gain.unsqueeze(1) * linear.weight, gain * linear.bias)


class Attention(nn.Module):
    """Multi-head self-attention with LayerNorm on queries and keys and no bias in their projection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_norm = nn.LayerNorm(dim // num_heads, eps=NORM_EPS)
        self.k_norm = nn.LayerNorm(dim // num_heads, eps=NORM_EPS)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, gain: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend among the tokens x (B, N, D) -> (B, N, D), times gain (D,); mask (B, 1, 1, N) is true for keys."""
        q, k, v = (F.linear(x, weight) for weight in self.qkv.weight.chunk(3))  # contiguous, as the norms need them
        q, k = self._normalise(q, k)
        q, k, v = (rearrange(part, "b n (h d) -> b h n d", h=self.num_heads) for part in (q, k, v))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # scaled by (D/H)**-0.5, after the LayerNorm
        return scaled_linear(self.proj, rearrange(x, "b h n d -> b n (h d)"), gain)

    def _normalise(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """LayerNorm each head of q and k (B, N, D); what both norms scale and shift is applied to q alone.

        Scores are sums of products, so the weights of the keys may stand on the side of the queries. The bias of the
        keys adds one number to all scores of a query, which softmax removes: it has no effect, and gets no gradient
        but the zero that distributed training asks for.
        """
        heads = self.num_heads
        shape = self.q_norm.normalized_shape
        q, k = (F.layer_norm(x.unflatten(-1, (heads, -1)), shape, eps=NORM_EPS).flatten(-2) for x in (q, k))
        weight = self.q_norm.weight * self.k_norm.weight
        bias = self.q_norm.bias * self.k_norm.weight + 0.0 * self.k_norm.bias
        return torch.addcmul(bias.repeat(heads), q, weight.repeat(heads)), k


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """Transform each token of x (B, N, D) -> (B, N, D), times gain (D,)."""
        return scaled_linear(self.fc2, F.gelu(self.fc1(x)), gain)


class Block(nn.Module):
    """Pre-norm transformer block with layer scale (`gamma_1`, `gamma_2`, 0.1 at the start)."""

    def __init__(self, preset: SignalEncoderPreset, drop_path_rate: float) -> None:
        super().__init__()
        dim = preset.embed_dim
        self.drop_path_rate = drop_path_rate
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, preset.num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, preset.mlp_ratio * dim)
        self.gamma_1 = nn.Parameter(torch.full((dim,), 0.1))
        self.gamma_2 = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Update the tokens x (B, N, D) -> (B, N, D), which attend where mask (B, 1, 1, N) is true."""
        x = x + drop_path(self.attn(self.norm1(x), self.gamma_1, mask), self.drop_path_rate, self.training)
        return x + drop_path(self.mlp(self.norm2(x), self.gamma_2), self.drop_path_rate, self.training)
