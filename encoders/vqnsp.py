"""Neural tokenizer of LaBraM: one code per one-second patch, learned by predicting the patch's spectrum (VQ-NSP).

Jiang et al., arXiv:2405.18765, Sec. 2.2: an encoder like LaBraM's, a vector quantiser, and a decoder whose two heads
predict Fourier amplitude and phase of every patch. Module and parameter names follow the published `vqnsp.pth`.

Shapes: B batch, C channels, T samples, A seconds, L = 200 samples per patch, N = C * A tokens in channel-major order,
D width, E values of a code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.channels import CHANNEL_ROWS, channel_rows
from encoders.labram import MAX_PATCHES, PATCH_SAMPLES, check_signal, to_labram_unit
from encoders.presets import BASE, TINY, SignalEncoderPreset
from encoders.quantizer import Quantizer
from encoders.transformer import NORM_EPS, Mlp, PatchEmbed
from encoders.weights import MatchReport, WeightsError, check_match, read_tensors, sha256_of

LEFT_OVER: Mapping[str, str] = {
    "loss*": "of the training loss, not of the tokenizer",
    "teacher*": "of a teacher network that VQ-NSP does not have",
    "scaling*": "input scaling of a teacher network that VQ-NSP does not have",
}
"""Keys (as patterns) that LaBraM's own loader removes before it loads a tokenizer, and why."""


@dataclass(frozen=True)
class VqNspPreset:
    """Size of a `VqNsp`.

    Attributes:
        encoder: Of the encoder; the decoder has the same width and heads.
        decoder_depth: Blocks of the decoder.
        n_codes: Rows of the codebook.
        code_dim: E. LaBraM's code defaults to 32, but its paper and its published file have 64.
    """

    encoder: SignalEncoderPreset
    decoder_depth: int
    n_codes: int
    code_dim: int


VQNSP_PRESETS = {
    # with the positions of `TINY`, made for pooling, the codes would tell patches apart by place before content
    "tiny": VqNspPreset(replace(TINY, position_std=0.02), decoder_depth=2, n_codes=512, code_dim=32),
    "base": VqNspPreset(BASE, decoder_depth=3, n_codes=8192, code_dim=64),
}
"""`base` fits the published `vqnsp.pth`; `tiny` is made for training on a CPU."""


class PlainAttention(nn.Module):
    """Multi-head self-attention with a bias for queries and values and none for keys."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the tokens x (B, N, D) -> (B, N, D)."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias)
        q, k, v = rearrange(qkv, "b n (s h d) -> s b h n d", s=3, h=self.num_heads)
        return self.proj(rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)"))


class PlainBlock(nn.Module):
    """Pre-norm transformer block without layer scale."""

    def __init__(self, preset: SignalEncoderPreset) -> None:
        super().__init__()
        dim = preset.embed_dim
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = PlainAttention(dim, preset.num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, preset.mlp_ratio * dim)

    def forward(self, x: Tensor) -> Tensor:
        """Update the tokens x (B, N, D) -> (B, N, D)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CodeEmbed(nn.Module):
    """Linear map of each code to the width of the decoder; published as a convolution of one sample."""

    def __init__(self, code_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(code_dim, embed_dim, 1)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes (B, N, E) -> (B, N, D)."""
        return F.linear(codes, self.proj.weight.flatten(1), self.proj.bias)


class PlainTransformer(nn.Module):
    """Transformer over patches, of the encoder or of the decoder, with LaBraM's tables of channels and seconds.

    Against `SignalEncoder`: `PlainBlock`s, and `fc_norm` on every token instead of their mean.
    """

    def __init__(self, preset: SignalEncoderPreset, patch_embed: nn.Module) -> None:
        super().__init__()
        dim = preset.embed_dim
        self.patch_embed = patch_embed
        self.cls_token = nn.Parameter(torch.empty(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + CHANNEL_ROWS, dim))  # row 0 belongs to the CLS token
        self.time_embed = nn.Parameter(torch.empty(1, MAX_PATCHES, dim))
        blocks = [PlainBlock(preset) for _ in range(preset.depth)]
        self.blocks = nn.ModuleList(blocks)
        self.fc_norm = nn.LayerNorm(dim, eps=NORM_EPS)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=preset.position_std)
        nn.init.trunc_normal_(self.time_embed, std=preset.position_std)
        _init_linear(self.blocks)
        with torch.no_grad():
            for number, block in enumerate(blocks, 1):  # residual outputs, as in LaBraM
                block.attn.proj.weight.div_((2.0 * number) ** 0.5)
                block.mlp.fc2.weight.div_((2.0 * number) ** 0.5)

    def forward(self, x: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Embed patches or codes x (B, C * A, L or E), tell them their channel and second, let them attend.

        Returns:
            (B, C * A, D).
        """
        tokens = self.patch_embed(x)
        rows = 1 + torch.tensor(channel_rows(ch_names), device=tokens.device)
        time = self.time_embed[0, : tokens.shape[1] // len(ch_names)]  # (A, D)
        position = (self.pos_embed[0, rows].unsqueeze(1) + time).flatten(0, 1)  # (C * A, D)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([cls, tokens + position], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.fc_norm(tokens[:, 1:])


class VqNspOutput(NamedTuple):
    """Losses of a batch, each a scalar, and its codes.

    Attributes:
        amplitude_loss: Mean squared error of the predicted amplitudes.
        phase_loss: Mean squared error of the predicted phases.
        commitment_loss: See `encoders.quantizer.Quantized`.
        indices: (B, N) chosen codes.
    """

    amplitude_loss: Tensor
    phase_loss: Tensor
    commitment_loss: Tensor
    indices: Tensor


class VqNsp(nn.Module):
    """VQ-NSP tokenizer: encoder, quantiser, decoder, and a head each for amplitude and phase."""

    def __init__(self, preset: VqNspPreset) -> None:
        super().__init__()
        self.preset = preset
        dim, code_dim = preset.encoder.embed_dim, preset.code_dim
        self.encoder = PlainTransformer(preset.encoder, PatchEmbed(preset.encoder.out_chans))
        self.quantize = Quantizer(preset.n_codes, code_dim)
        self.decoder = PlainTransformer(replace(preset.encoder, depth=preset.decoder_depth), CodeEmbed(code_dim, dim))
        self.encode_task_layer = _head(dim, code_dim)
        self.decode_task_layer = _head(dim, PATCH_SAMPLES)
        self.decode_task_layer_angle = _head(dim, PATCH_SAMPLES)

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Vectors before quantisation, (B, N, E), not normalised; arguments and errors as in `forward`.

        The last layers stay in float32 under autocast, as published: small differences decide between codes.
        """
        check_signal(signal_uv, ch_names, 0)
        tokens = self.encoder(_to_patches(signal_uv), ch_names)
        with torch.autocast(tokens.device.type, enabled=False):
            return self.encode_task_layer(tokens.float())

    @torch.no_grad()
    def code_indices(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """The code of each patch, (B, N) long; arguments and errors as in `forward`. In training, the codes move."""
        return self.quantize(self.encode(signal_uv, ch_names)).indices

    def decode(self, codes: Tensor, ch_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Predict the spectrum from codes (B, N, E): amplitude and phase, (B, N, L) each, as `spectrum_targets`."""
        tokens = self.decoder(codes, ch_names)
        return self.decode_task_layer(tokens), self.decode_task_layer_angle(tokens)

    def forward(self, signal_uv: Tensor, ch_names: Sequence[str]) -> VqNspOutput:
        """Encode, quantise and decode windows, and compare with their spectrum.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz; T a multiple of 200, at most 3200 (16 s).
            ch_names: The C channel names, the same for the whole batch, in any case.

        Returns:
            Three losses, which training adds up (each of weight 1 as published), and the codes.

        Raises:
            ValueError: If the shape, the length or a channel name does not fit, or the codebook is still empty.
        """
        quantized = self.quantize(self.encode(signal_uv, ch_names))
        amplitude_loss, phase_loss = self.spectrum_losses(quantized.codes, signal_uv, ch_names)
        return VqNspOutput(amplitude_loss, phase_loss, quantized.commitment_loss, quantized.indices)

    def spectrum_losses(self, codes: Tensor, signal_uv: Tensor, ch_names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Mean squared errors of the amplitudes and phases that codes (B, N, E) of windows are decoded to."""
        amplitude, phase = self.decode(codes, ch_names)
        amplitude_target, phase_target = spectrum_targets(signal_uv)
        return F.mse_loss(amplitude.float(), amplitude_target), F.mse_loss(phase.float(), phase_target)


def spectrum_targets(signal_uv: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase of the Fourier transform of each patch, each standardised over its window.

    All 200 bins are kept, the mirrored ones too, and mean and standard deviation are those over all patches and bins
    of a window (published); a window without any variation gives zeros.

    Args:
        signal_uv: (B, C, T) in microvolts at 200 Hz.

    Returns:
        Two tensors (B, N, L) float32.
    """
    spectrum = torch.fft.fft(_to_patches(signal_uv.float()), dim=-1)
    return _standardise(spectrum.abs()), _standardise(spectrum.angle())


def load_vqnsp(tokenizer: VqNsp, path: str | Path) -> MatchReport:
    """Load a file in the layout of `vqnsp.pth` into the tokenizer, in place, completely or not at all.

    Args:
        tokenizer: Tokenizer of the same size (`VQNSP_PRESETS["base"]` for `vqnsp.pth`).
        path: `.safetensors` file, or a torch file with the weights under "model" or "module".

    Returns:
        Names of what was loaded and dropped, with the checksum of the file.

    Raises:
        WeightsError: If the file is unreadable, a key is missing, unexpected or misshaped (one error names them all),
            or the codebook was saved before it had codes.
    """
    path = Path(path)
    tensors = read_tensors(path)
    dropped = {key: why for key in tensors for pattern, why in LEFT_OVER.items() if fnmatchcase(key, pattern)}
    kept = {key: tensor for key, tensor in tensors.items() if key not in dropped}
    own = tokenizer.state_dict()
    check_match(path.name, own, kept, ())
    if not kept["quantize.embedding.initted"]:
        raise WeightsError(f"got {path.name} with an empty codebook, expected codes: use a file saved after training")
    tokenizer.load_state_dict(kept)
    return MatchReport(path.name, sha256_of(path), tuple(own), (), dropped)


def _to_patches(signal_uv: Tensor) -> Tensor:
    """Windows (B, C, T) in microvolts -> patches (B, C * A, L) in units of 0.1 mV."""
    return rearrange(to_labram_unit(signal_uv), "b c (a l) -> b (c a) l", l=PATCH_SAMPLES)


def _standardise(x: Tensor) -> Tensor:
    """Subtract the mean of each window of x (B, N, L) and divide by its standard deviation."""
    std, mean = torch.std_mean(x, dim=(1, 2), keepdim=True)
    return (x - mean) / std.clamp_min(1e-12)


def _head(dim: int, out_dim: int) -> nn.Sequential:
    head = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, out_dim))
    _init_linear(head)
    return head


def _init_linear(module: nn.Module) -> None:
    """Truncated normal of 0.02 for matrices and zero for biases, as published."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
