"""Signal encoder: LaBraM, a transformer over one-second patches of single channels.

Jiang et al., "Large Brain Model for learning generic representations with tremendous EEG data in BCI",
ICLR 2024, arXiv:2405.18765. Module and parameter names follow the published checkpoint, so that it loads
without renaming (`encoders.weights.load_labram`).

Shapes: B batch, C channels, T samples, A patches per channel (seconds), L = 200 samples per patch,
N = C * A tokens in channel-major order, D token width, H heads.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.presets import NORM_GROUPS, SignalEncoderPreset

SFREQ = 200
"""Sampling rate of the input, Hz."""

PATCH_SAMPLES = 200
"""Samples of one patch: one second of one channel."""

MAX_PATCHES = 16
"""Rows of the time table: the longest input is 16 s."""

NORM_EPS = 1e-6

_VOCABULARY = """
    FP1 FPZ FP2 AF9 AF7 AF5 AF3 AF1 AFZ AF2 AF4 AF6 AF8 AF10
    F9 F7 F5 F3 F1 FZ F2 F4 F6 F8 F10 FT9 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 FT10
    T9 T7 C5 C3 C1 CZ C2 C4 C6 T8 T10 TP9 TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 TP10
    P9 P7 P5 P3 P1 PZ P2 P4 P6 P8 P10 PO9 PO7 PO5 PO3 PO1 POZ PO2 PO4 PO6 PO8 PO10
    O1 OZ O2 O9 CB1 CB2 IZ O10 T3 T5 T4 T6 M1 M2 A1 A2
    CFC1 CFC2 CFC3 CFC4 CFC5 CFC6 CFC7 CFC8 CCP1 CCP2 CCP3 CCP4 CCP5 CCP6 CCP7 CCP8
    T1 T2 FTT9h TTP7h TPP9h FTT10h TPP8h TPP10h
    FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2 FP1-F3 F3-C3 C3-P3 P3-O1 FP2-F4 F4-C4 C4-P4 P4-O2
"""

CHANNEL_NAMES: tuple[str, ...] = tuple(_VOCABULARY.split())
"""The published vocabulary, in order: 136 names, of which the first `CHANNEL_ROWS` have a row in the table."""

CHANNEL_ROWS = 128
"""Rows of the channel table, without the row of the CLS token."""

_ROW_OF = {name.upper(): row for row, name in enumerate(CHANNEL_NAMES)}


def to_labram_unit(signal_uv: Tensor) -> Tensor:
    """Convert microvolts to LaBraM's unit, 0.1 mV: the only place where this unit is made."""
    return signal_uv / 100.0


def channel_rows(ch_names: Sequence[str]) -> tuple[int, ...]:
    """Rows of the channel table for these names, in order, compared case-insensitively.

    Old and new names of one electrode (T3 and T7) have separate rows: the row of the name given is used.

    Raises:
        ValueError: If a name is not in the vocabulary, or has no row (the last eight bipolar names).
    """
    return _channel_rows(tuple(ch_names))


@lru_cache(maxsize=256)
def _channel_rows(ch_names: tuple[str, ...]) -> tuple[int, ...]:
    unknown = [name for name in ch_names if name.upper() not in _ROW_OF]
    if unknown:
        raise ValueError(
            f"got channel names {unknown}, expected names of LaBraM's vocabulary (encoders.labram.CHANNEL_NAMES): "
            "rename them to the 10-20 or 10-10 electrode ('EEG Fp1-REF' -> 'Fp1') or leave these channels out"
        )
    rows = tuple(_ROW_OF[name.upper()] for name in ch_names)
    past = [name for name, row in zip(ch_names, rows, strict=True) if row >= CHANNEL_ROWS]
    if past:
        raise ValueError(
            f"got channel names {past}, expected one of the first {CHANNEL_ROWS} names: LaBraM lists these derivations "
            "but its channel table has no row for them; use the electrodes against one reference instead"
        )
    return rows


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Stochastic depth: drop the residual branch x (B, ...) of whole samples, keeping its expectation."""
    if rate == 0.0 or not training:
        return x
    keep = torch.empty(x.shape[0], *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device).bernoulli_(1.0 - rate)
    return x * (keep / (1.0 - rate))


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

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches (B, N, L) in units of 0.1 mV -> (B, N, D), features of one time step side by side."""
        x = patches.unsqueeze(1)  # (B, 1, N, L)
        x = F.gelu(self.norm1(self.conv1(x)))  # (B, out_chans, N, 25)
        x = F.gelu(self.norm2(self.conv2(x)))
        x = F.gelu(self.norm3(self.conv3(x)))
        return rearrange(x, "b o n t -> b n (t o)")


class Attention(nn.Module):
    """Multi-head self-attention with LayerNorm on queries and keys and no bias in their projection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_norm = nn.LayerNorm(dim // num_heads, eps=NORM_EPS)
        self.k_norm = nn.LayerNorm(dim // num_heads, eps=NORM_EPS)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the tokens x (B, N, D) -> (B, N, D)."""
        heads = rearrange(self.qkv(x), "b n (s d) -> b n s d", s=3 * self.num_heads)  # q heads, k heads, v heads
        qk, v = heads.split([2 * self.num_heads, self.num_heads], dim=2)
        q, k = self._normalise(qk)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # (B, H, N, D/H)
        x = F.scaled_dot_product_attention(q, k, v)  # scaled by (D/H)**-0.5, after the LayerNorm
        return self.proj(rearrange(x, "b h n d -> b n (h d)"))

    def _normalise(self, qk: Tensor) -> Sequence[Tensor]:
        """LayerNorm the heads qk (B, N, 2H, D/H) of queries and keys together: one pass over short rows, not two."""
        qk = F.layer_norm(qk, qk.shape[-1:], eps=NORM_EPS)
        weight = torch.cat([norm.weight.repeat(self.num_heads) for norm in (self.q_norm, self.k_norm)])
        bias = torch.cat([norm.bias.repeat(self.num_heads) for norm in (self.q_norm, self.k_norm)])
        return torch.addcmul(bias, qk.flatten(2), weight).view_as(qk).split(self.num_heads, dim=2)


class Mlp(nn.Module):
    """Linear, GELU, Linear."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token of x (B, N, D) -> (B, N, D)."""
        return self.fc2(F.gelu(self.fc1(x)))


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

    def forward(self, x: Tensor) -> Tensor:
        """Update the tokens x (B, N, D) -> (B, N, D)."""
        x = torch.addcmul(x, self.gamma_1, drop_path(self.attn(self.norm1(x)), self.drop_path_rate, self.training))
        return torch.addcmul(x, self.gamma_2, drop_path(self.mlp(self.norm2(x)), self.drop_path_rate, self.training))


class SignalEncoder(nn.Module):
    """LaBraM with absolute channel and time embeddings; one vector per window, or one per patch.

    The input is in microvolts at 200 Hz, preprocessed as LaBraM's was (0.1 to 75 Hz, notch), and is not normalised
    per window. `fc_norm` comes after the mean over patch tokens; the CLS token takes part in attention only.
    """

    def __init__(self, preset: SignalEncoderPreset) -> None:
        super().__init__()
        self.preset = preset
        dim = preset.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + CHANNEL_ROWS, dim))  # row 0 belongs to the CLS token
        self.time_embed = nn.Parameter(torch.zeros(1, MAX_PATCHES, dim))
        self.patch_embed = PatchEmbed(preset.out_chans)
        rates = torch.linspace(0.0, preset.drop_path, preset.depth).tolist()
        self.blocks = nn.ModuleList(Block(preset, rate) for rate in rates)
        self.fc_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self._init_weights()

    @property
    def embed_dim(self) -> int:
        """Width D of the output."""
        return self.preset.embed_dim

    def forward(self, signal_uv: Tensor, ch_names: Sequence[str], first_patch: int = 0) -> Tensor:
        """Encode windows into one vector each: the mean over patch tokens, then `fc_norm`.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz; T a multiple of 200, at most 3200 (16 s).
            ch_names: The C channel names, the same for the whole batch, in any case.
            first_patch: Row of the time table for the first second, where the window is a cut from a longer one.

        Returns:
            (B, D).

        Raises:
            ValueError: If the shape, the length or a channel name does not fit.
        """
        return self.fc_norm(self.forward_tokens(signal_uv, ch_names, first_patch).mean(dim=1))

    def forward_tokens(self, signal_uv: Tensor, ch_names: Sequence[str], first_patch: int = 0) -> Tensor:
        """Encode windows into one token per patch, before `fc_norm`; arguments and errors as in `forward`.

        Returns:
            (B, C * A, D), channel-major: all seconds of the first channel, then of the second.
        """
        _check_signal(signal_uv, ch_names, first_patch)
        return self.transform(self.embed_patches(signal_uv), ch_names, first_patch)

    def embed_patches(self, signal_uv: Tensor) -> Tensor:
        """Convolve each patch of windows (B, C, T) in microvolts on its own -> (B, C * A, D), channel-major."""
        patches = rearrange(to_labram_unit(signal_uv), "b c (a l) -> b (c a) l", l=PATCH_SAMPLES)
        return self.patch_embed(patches.to(self.cls_token.dtype))

    def transform(self, tokens: Tensor, ch_names: Sequence[str], first_patch: int = 0) -> Tensor:
        """Tell tokens (B, C * A, D) of `embed_patches` their channel and second, and let them attend; same shape."""
        rows = torch.tensor(channel_rows(ch_names), device=tokens.device)
        n_patches = tokens.shape[1] // len(ch_names)
        time = self.time_embed[0, first_patch : first_patch + n_patches]  # (A, D)
        position = self.pos_embed[0][1 + rows].unsqueeze(1) + time  # (C, A, D)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        x = torch.cat([cls, tokens + position.flatten(0, 1)], dim=1)  # (B, 1 + N, D)
        for block in self.blocks:
            x = block(x)
        return x[:, 1:]

    def _init_weights(self) -> None:
        """Initialise as published: truncated normal of 0.02, residual outputs divided by sqrt(2 * block number)."""
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=self.preset.position_std)
        nn.init.trunc_normal_(self.time_embed, std=self.preset.position_std)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for name, parameter in self.blocks.named_parameters():
                if name.endswith(("attn.proj.weight", "mlp.fc2.weight")):
                    number = 1 + int(name.split(".")[0])
                    parameter.div_((2.0 * number) ** 0.5)


def _check_signal(signal_uv: Tensor, ch_names: Sequence[str], first_patch: int) -> None:
    shape = tuple(signal_uv.shape)
    if signal_uv.ndim != 3:
        raise ValueError(f"got a signal of shape {shape}, expected (B, C, T): add a batch axis to a single window")
    if len(ch_names) == 0 or len(ch_names) != shape[1]:
        raise ValueError(f"got {len(ch_names)} channel names for a signal of shape {shape}: give one name per channel")
    if shape[2] == 0 or shape[2] % PATCH_SAMPLES:
        raise ValueError(
            f"got {shape[2]} samples, expected a multiple of {PATCH_SAMPLES} (whole seconds at {SFREQ} Hz): "
            f"resample to {SFREQ} Hz and cut the window to whole seconds"
        )
    if first_patch < 0 or first_patch * PATCH_SAMPLES + shape[2] > MAX_PATCHES * PATCH_SAMPLES:
        raise ValueError(
            f"got {shape[2]} samples ({shape[2] // SFREQ} s) from second {first_patch} on, expected at most "
            f"{MAX_PATCHES * PATCH_SAMPLES} ({MAX_PATCHES} s, the rows of the time table): split into shorter windows"
        )
