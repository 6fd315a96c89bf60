"""Masked pretraining of the signal encoder: predict the neural code of every patch that it does not see.

Jiang et al., arXiv:2405.18765, Sec. 2.3. Each window is encoded twice, once with a random half of its patches hidden
and once with the other half (symmetric masking), so that every patch is predicted once.

Shapes: B batch, C channels, T samples, A seconds, N = C * A tokens in channel-major order, D width, K codes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from encoders.labram import SignalEncoder, check_signal
from encoders.presets import SignalEncoderPreset
from encoders.transformer import NORM_EPS
from encoders.weights import STUDENT_PREFIX


class MaskedSignalEncoder(nn.Module):
    """A `SignalEncoder` with what only its pretraining needs: mask token, token norm and a head over the codes.

    Deviation from the published code: its CLS token takes the position of the first channel, ours has its own row, as
    it has in fine-tuning.
    """

    def __init__(self, preset: SignalEncoderPreset, n_codes: int) -> None:
        super().__init__()
        self.student = SignalEncoder(preset)
        self.student.fc_norm.requires_grad_(False)  # of the pooled vector, which pretraining has not
        self.mask_token = nn.Parameter(torch.empty(1, 1, preset.embed_dim))
        self.norm = nn.LayerNorm(preset.embed_dim, eps=NORM_EPS)
        self.lm_head = nn.Linear(preset.embed_dim, n_codes)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        nn.init.trunc_normal_(self.lm_head.weight, std=0.02)
        nn.init.zeros_(self.lm_head.bias)

    def forward(self, signal_uv: Tensor, ch_names: Sequence[str], masked: Tensor) -> Tensor:
        """Predict the code of each patch from the pass in which it was hidden.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz; T a multiple of 200, at most 3200 (16 s).
            ch_names: The C channel names, the same for the whole batch.
            masked: (B, N) bool, the patches hidden in the first pass; the second hides all others.

        Returns:
            Logits (B, N, K).

        Raises:
            ValueError: If the shape, the length or a channel name does not fit.
        """
        check_signal(signal_uv, ch_names, 0)
        patches = self.student.embed_patches(signal_uv)  # the same in both passes
        hidden = torch.cat([masked, ~masked]).unsqueeze(-1)  # (2 B, N, 1)
        tokens = torch.where(hidden, self.mask_token.to(patches.dtype), patches.repeat(2, 1, 1))
        first, second = self.student.transform(tokens, ch_names).chunk(2)
        return self.lm_head(self.norm(torch.where(masked.unsqueeze(-1), first, second)))

    def published_state(self) -> dict[str, Tensor]:
        """The weights under the names of `labram-base.pth`, which `encoders.weights.load_labram` reads.

        Without the two heads that the published file holds untrained (`student.lm_head`, `projection_head`).
        """
        encoder = {name: value for name, value in self.student.state_dict().items() if not name.startswith("fc_norm.")}
        encoder["mask_token"] = self.mask_token.detach()
        encoder |= {f"norm.{name}": value for name, value in self.norm.state_dict().items()}
        head = {f"lm_head.{name}": value for name, value in self.lm_head.state_dict().items()}
        return {f"{STUDENT_PREFIX}{name}": value for name, value in encoder.items()} | head


def random_mask(batch_size: int, n_tokens: int, ratio: float, generator: torch.Generator | None = None) -> Tensor:
    """Choose the same number of tokens in each row, at random: the ratio, rounded up.

    Args:
        batch_size: B.
        n_tokens: N.
        ratio: Part of the tokens to hide; 0.5 as published.
        generator: Of the CPU; None takes torch's own.

    Returns:
        (B, N) bool on the CPU, true where hidden.
    """
    hidden = n_tokens - int(n_tokens * (1.0 - ratio))
    return torch.rand(batch_size, n_tokens, generator=generator).argsort(dim=1) < hidden
