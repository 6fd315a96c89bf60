"""Signal encoder: LaBraM, a transformer over one-second patches of single channels.

Jiang et al., "Large Brain Model for learning generic representations with tremendous EEG data in BCI",
ICLR 2024, arXiv:2405.18765. Module and parameter names follow the published checkpoint, so that it loads
without renaming (`encoders.weights.load_labram`).

Shapes: B batch, C channels, T samples, A patches per channel (seconds), L = 200 samples per patch,
N = C * A tokens in channel-major order, D token width, H heads.
"""

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.channels import CHANNEL_NAMES as CHANNEL_NAMES  # others find these names here
from encoders.channels import CHANNEL_ROWS, RENAMED, ChannelNames, Naming, batch_rows, is_one_layout
from encoders.channels import channel_rows as channel_rows
from encoders.presets import SignalEncoderPreset
from encoders.transformer import NORM_EPS, Block, PatchEmbed
from encoders.transformer import Mlp as Mlp

SFREQ = 200
"""Sampling rate of the input, Hz."""

PATCH_SAMPLES = 200
"""Samples of one patch: one second of one channel."""

MAX_PATCHES = 16
"""Rows of the time table: the longest input is 16 s."""

CPU_LANES = 16
"""Floats of a vector register: attention on a CPU is a fifth faster over 192 keys than over 191 (19 channels, 10 s)."""

MAX_FILLER = 0.01
"""Tokens that may be added on a CPU to fill the registers, as a part of the others: more would cost what they gain."""


def to_labram_unit(signal_uv: Tensor) -> Tensor:
    """Convert microvolts to LaBraM's unit, 0.1 mV: the only place where this unit is made."""
    return signal_uv / 100.0


class SignalEncoder(nn.Module):
    """LaBraM with absolute channel and time embeddings; one vector per window, or one per patch.

    The input is in microvolts at 200 Hz, preprocessed as LaBraM's was (0.1 to 75 Hz, notch), and is not normalised
    per window. Windows last at most 16 s: the time table has no more rows.

    Rows of one batch may have different channels: `ch_names` then holds one sequence of names for each row, and the
    rows are padded with zeros behind their channels. Each row comes out as if it had been encoded alone: padding is
    seen neither by the normalisation of the patch embedding, nor by attention, nor by the mean.

    Args:
        preset: Sizes.
        pool: "mean" of the patch tokens, as LaBraM is fine-tuned, or "cls", the CLS token. Pretraining gave the CLS
            token the row of the first channel instead of its own, so that with published weights "cls" has to learn.
        names: Which rows old and new electrode names take, see `encoders.channels.channel_rows`.

    Raises:
        ValueError: If `pool` or `names` is none of these.
    """

    def __init__(
        self, preset: SignalEncoderPreset, pool: Literal["mean", "cls"] = "mean", names: Naming = "as_given"
    ) -> None:
        super().__init__()
        if pool not in ("mean", "cls"):
            raise ValueError(f"got pool={pool!r}, expected 'mean' or 'cls'")
        if names not in RENAMED:
            raise ValueError(f"got names={names!r}, expected one of {list(RENAMED)}")
        self.preset, self.pool, self.names = preset, pool, names
        dim = preset.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + CHANNEL_ROWS, dim))  # row 0 belongs to the CLS token
        self.time_embed = nn.Parameter(torch.zeros(1, MAX_PATCHES, dim))
        self.patch_embed = PatchEmbed(preset.out_chans)
        steps = max(preset.depth - 1, 1)
        self.blocks = nn.ModuleList(Block(preset, preset.drop_path * i / steps) for i in range(preset.depth))
        self.fc_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        self._init_weights()

    @property
    def embed_dim(self) -> int:
        """Width D of the output."""
        return self.preset.embed_dim

    def forward(self, signal_uv: Tensor, ch_names: ChannelNames, first_patch: int = 0) -> Tensor:
        """Encode windows into one vector each: pooled as `pool` says, then `fc_norm`.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz; T a multiple of 200, at most 3200 (16 s).
            ch_names: The C channel names, the same for the whole batch, in any case; or B sequences of up to C names.
            first_patch: Row of the time table for the first second, where the window is a cut from a longer one.

        Returns:
            (B, D).

        Raises:
            ValueError: If the shape, the length or a channel name does not fit.
        """
        tokens, valid = self._encode(signal_uv, ch_names, first_patch)
        if self.pool == "cls":
            return self.fc_norm(tokens[:, 0])
        if valid is None:
            return self.fc_norm(tokens[:, 1:].mean(dim=1))
        return self.fc_norm(tokens[:, 1:].sum(dim=1) / valid.sum(dim=1, keepdim=True))

    def forward_tokens(self, signal_uv: Tensor, ch_names: ChannelNames, first_patch: int = 0) -> Tensor:
        """Encode windows into one token per patch, before `fc_norm`; arguments and errors as in `forward`.

        Returns:
            (B, C * A, D), channel-major: all seconds of the first channel, then of the second. Zero where padded.
        """
        return self._encode(signal_uv, ch_names, first_patch)[0][:, 1:]

    def embed_patches(self, signal_uv: Tensor, valid: Tensor | None = None) -> Tensor:
        """Convolve each patch of windows (B, C, T) in microvolts on its own -> (B, C * A, D), channel-major.

        Where valid (B, C * A) is false there is padding.
        """
        patches = rearrange(to_labram_unit(signal_uv), "b c (a l) -> b (c a) l", l=PATCH_SAMPLES)
        return self.patch_embed(patches.to(self.cls_token.dtype), valid)

    def transform(self, tokens: Tensor, ch_names: ChannelNames, first_patch: int = 0) -> Tensor:
        """Tell tokens (B, C * A, D) of `embed_patches` their channel and second, and let them attend; same shape."""
        rows, present = batch_rows(ch_names, self.names, tokens.device)
        n_patches = tokens.shape[1] // rows.shape[-1]
        return self._transform(tokens, rows, _valid_tokens(present, n_patches), first_patch)[:, 1:]

    def _encode(self, signal_uv: Tensor, ch_names: ChannelNames, first_patch: int) -> tuple[Tensor, Tensor | None]:
        """All tokens (B, 1 + C * A, D), that of CLS first, and which of the others are no padding (B, C * A)."""
        check_signal(signal_uv, ch_names, first_patch)
        rows, present = batch_rows(ch_names, self.names, signal_uv.device)
        valid = _valid_tokens(present, signal_uv.shape[2] // PATCH_SAMPLES)
        return self._transform(self.embed_patches(signal_uv, valid), rows, valid, first_patch), valid

    def _transform(self, tokens: Tensor, rows: Tensor, valid: Tensor | None, first_patch: int) -> Tensor:
        n_patches = tokens.shape[1] // rows.shape[-1]
        time = self.time_embed[0, first_patch : first_patch + n_patches]  # (A, D)
        position = self.pos_embed[0][1 + rows].unsqueeze(-2) + time  # ([B,] C, A, D); padding reads the row of CLS
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        x = torch.cat([cls, tokens + position.flatten(-3, -2)], dim=1)  # (B, 1 + N, D)
        keys = None if valid is None else F.pad(valid, (1, 0), value=True)
        x = self._attend(x, keys)
        return x if keys is None else x.masked_fill(~keys.unsqueeze(-1), 0.0)

    def _attend(self, x: Tensor, keys: Tensor | None) -> Tensor:
        """Run the blocks over x (B, N, D), attending to the keys (B, N) that are true, or to all if None."""
        length = x.shape[1]
        filler = -length % CPU_LANES if x.device.type == "cpu" else 0
        if 0 < filler <= MAX_FILLER * length:
            keys = x.new_ones(x.shape[:2], dtype=torch.bool) if keys is None else keys
            x, keys = F.pad(x, (0, 0, 0, filler)), F.pad(keys, (0, filler))
        mask = None if keys is None else keys[:, None, None]
        for block in self.blocks:
            x = block(x, mask)
        return x[:, :length]

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


def _valid_tokens(present: Tensor | None, n_patches: int) -> Tensor | None:
    """Which tokens (B, C * A) belong to a channel that is present (B, C)."""
    return None if present is None else present.repeat_interleave(n_patches, dim=1)


def check_signal(signal_uv: Tensor, ch_names: ChannelNames, first_patch: int) -> None:
    """ValueError where a signal is not (B, C, T) of whole seconds, at most 16, with its names."""
    shape = tuple(signal_uv.shape)
    if signal_uv.ndim != 3:
        raise ValueError(f"got a signal of shape {shape}, expected (B, C, T): add a batch axis to a single window")
    if is_one_layout(ch_names):
        if len(ch_names) == 0 or len(ch_names) != shape[1]:
            raise ValueError(
                f"got {len(ch_names)} channel names for a signal of shape {shape}: give one name per channel"
            )
    else:
        counts = [len(layout) for layout in ch_names]
        if len(counts) != shape[0] or min(counts) == 0 or max(counts) != shape[1]:
            raise ValueError(
                f"got rows of {counts} channel names for a signal of shape {shape}: give each of the B rows its names, "
                "at least one, and pad the signal to the row that has the most"
            )
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
