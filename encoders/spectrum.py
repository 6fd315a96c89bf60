"""The optional fourth modality: exact log band powers of the current segment and its history as tokens.

Not in the paper. A pooled encoder vector loses the small power ratios that trends are made of; these tokens keep
them. Each band gives one token that holds its power over the history, each electrode one that holds its powers now.
Electrodes come in the order of their power, the strongest first: which one leads is then a matter of place, and not of
a comparison that a small language model would have to learn.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from encoders.labram import channel_rows

N_BANDS = 6
N_FEATURES = N_BANDS + 1  # six bands and the broadband power
SHARPNESS = (1.0, 4.0, 16.0)  # powers of the share of the strongest electrode: near ties need the last


class SpectrumEncoder(nn.Module):
    """Log powers to 6 band tokens and C channel tokens.

    Args:
        width: D, the width of a token.
        history_k: K, how many preceding segments a band token holds.
        n_rows: rows of the channel table (LaBraM's vocabulary, so that T3 and T7 are separate).
    """

    def __init__(self, width: int, history_k: int, n_rows: int = 128) -> None:
        super().__init__()
        self.width = width
        self.bands = nn.Sequential(nn.Linear(2 * history_k + 2, width), nn.GELU(), nn.Linear(width, width))
        self.channels = nn.Sequential(
            nn.Linear(2 * N_FEATURES + len(SHARPNESS), width), nn.GELU(), nn.Linear(width, width)
        )
        self.band_table = nn.Embedding(N_BANDS, width)
        self.channel_table = nn.Embedding(n_rows, width)

    @staticmethod
    def count_tokens(n_chans: int) -> int:
        """Tokens of a segment with `n_chans` electrodes."""
        return N_BANDS + n_chans

    def forward(self, log_power: Tensor, history_mask: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Encode the powers of a batch.

        Args:
            log_power: (B, K + 1, C, 7) natural logarithm of µV², oldest segment first, the current one last; the
                last axis holds the six bands and the variance of the channel.
            history_mask: (B, K) true where that preceding segment exists.
            ch_names: C electrode names.

        Returns:
            (B, 6 + C, D): band tokens, then channel tokens, those of the strongest electrode first.
        """
        band_tokens = self.bands(self._band_features(log_power, history_mask)) + self.band_table.weight
        rows = torch.as_tensor(channel_rows(ch_names), device=log_power.device)
        order = log_power[:, -1, :, -1].argsort(dim=1, descending=True, stable=True)  # (B, C) by variance
        ranked = log_power[:, -1].gather(1, order[..., None].expand(-1, -1, N_FEATURES))
        channel_tokens = self.channels(self._channel_features(ranked)) + self.channel_table(rows[order])
        return torch.cat([band_tokens, channel_tokens], dim=1)

    @staticmethod
    def _band_features(log_power: Tensor, history_mask: Tensor) -> Tensor:
        """Per band (B, 6, 2K + 2): log ratio to each predecessor (0 where none), its mask, log mean power, lead."""
        n_chans = log_power.shape[2]
        mean = (torch.logsumexp(log_power[..., :N_BANDS], dim=2) - math.log(n_chans)).transpose(1, 2)  # (B, 6, K + 1)
        mask = history_mask[:, None, :].to(mean.dtype).expand(-1, N_BANDS, -1)
        now = mean[..., -1:]
        ratio = (now - mean[..., :-1]) * mask
        lead = (now - now.amax(dim=1, keepdim=True)).clamp_min(-1.0)  # 0 for the dominant band
        return torch.cat([4.0 * ratio, mask, now / 4.0, 4.0 * lead], dim=-1)

    @staticmethod
    def _channel_features(log_power: Tensor) -> Tensor:
        """Per channel (B, C, 17): each log power, the same relative to the strongest channel, and sharpened shares."""
        relative = log_power - log_power.amax(dim=1, keepdim=True)
        shares = torch.cat([(sharpness * relative[..., -1:]).exp() for sharpness in SHARPNESS], dim=-1)
        return torch.cat([log_power / 4.0, relative, shares], dim=-1)
