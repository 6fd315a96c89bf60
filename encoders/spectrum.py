"""The optional fourth modality: exact log band powers of the current segment and its history as tokens.

Not in the paper. A pooled encoder vector loses the small power ratios that trends are made of; these tokens keep
them. Each band gives one token that holds its power over the history, each region and each electrode one that holds its
power now, the pair of hemispheres one that holds its balance. Regions and electrodes come in the order of their power,
the strongest first: which one leads is then a matter of place, and not of a comparison that a small language model
would have to learn. Each channel token also tells its energy tier. The tokens do not say what they are of: the
`Ranking` tells, and the narrator adds the names in the words of its language model.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

N_BANDS = 6
N_REGIONS = 5
N_FEATURES = N_BANDS + 1  # six bands and the broadband power
N_TIERS = 3
SHARPNESS = (1.0, 4.0, 16.0)  # powers of the share of the strongest: near ties need the last


@dataclass(frozen=True)
class Layout:
    """Where the C channels lie.

    Attributes:
        regions: (N_REGIONS, C) true where the channel lies in the region.
        pairs: (P, 2) indices of homologous channels, left and right.
    """

    regions: Tensor
    pairs: Tensor


@dataclass(frozen=True)
class Ranking:
    """Which of its regions (B, N_REGIONS) and channels (B, C) come first, second, ... in the tokens of a segment."""

    regions: Tensor
    channels: Tensor


class SpectrumEncoder(nn.Module):
    """Log powers to 6 band tokens, 5 region tokens, one of the hemispheres, and C channel tokens.

    Args:
        width: D, the width of a token.
        history_k: K, how many preceding segments a band token holds.
    """

    def __init__(self, width: int, history_k: int) -> None:
        super().__init__()
        self.bands = _mlp(2 * history_k + 2 + _N_STANDING, width)
        self.regions = _mlp(2 + _N_STANDING, width)
        self.hemispheres = _mlp(2, width)
        self.channels = _mlp(2 * N_FEATURES + _N_STANDING + N_TIERS, width)

    @staticmethod
    def count_tokens(n_chans: int) -> int:
        """Tokens of a segment with `n_chans` channels."""
        return N_BANDS + N_REGIONS + 1 + n_chans

    def forward(self, log_power: Tensor, history_mask: Tensor, layout: Layout) -> tuple[Tensor, Ranking]:
        """Encode the powers of a batch.

        Args:
            log_power: (B, K + 1, C, 7) natural logarithm of µV², oldest segment first, the current one last; the
                last axis holds the six bands and the variance of the channel.
            history_mask: (B, K) true where that preceding segment exists.
            layout: of the C channels.

        Returns:
            Tokens (B, 12 + C, D), of bands, regions, hemispheres and channels, regions and channels in the order of
            their power; and that order. Regions without a channel come last.
        """
        now = log_power[:, -1]
        region_power = _log_mean(now[:, None, :, -1], layout.regions)  # (B, 5), -inf where no channel
        region_order = region_power.argsort(dim=1, descending=True, stable=True)
        channel_order = now[..., -1].argsort(dim=1, descending=True, stable=True)
        ranked = now.gather(1, channel_order[..., None].expand(-1, -1, N_FEATURES))
        tokens = [
            _read(self.bands, _band_features(log_power, history_mask)),
            _read(self.regions, _region_features(region_power.gather(1, region_order))),
            _read(self.hemispheres, _hemisphere_features(now[..., -1], layout.pairs))[:, None],
            _read(self.channels, _channel_features(ranked)),
        ]
        return torch.cat(tokens, dim=1), Ranking(region_order, channel_order)


def _mlp(features: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, width))


def _read(mlp: nn.Sequential, features: Tensor) -> Tensor:
    """Features, measured in the dtype of the powers, through an MLP of `_mlp` in its own."""
    return mlp(features.to(next(mlp.parameters()).dtype))


def _log_mean(log_power: Tensor, mask: Tensor) -> Tensor:
    """Logarithm of the mean power over the last axis where the mask is true; -inf where it is nowhere."""
    return torch.logsumexp(log_power.masked_fill(~mask, -math.inf), -1) - mask.sum(-1).clamp(min=1).log()


_N_STANDING = 2 + len(SHARPNESS)


def _standing(log_power: Tensor) -> Tensor:
    """Each of the last axis against its maximum, (..., N, _N_STANDING): leads or not, log ratio, sharpened ratios."""
    relative = log_power - log_power.amax(-1, keepdim=True)
    shares = [(sharpness * relative).exp() for sharpness in SHARPNESS]
    return torch.stack([(relative == 0).to(relative.dtype), relative.clamp_min(-8.0) / 4.0, *shares], dim=-1)


def _band_features(log_power: Tensor, history_mask: Tensor) -> Tensor:
    """Per band (B, 6, 2K + 7): log ratio to each predecessor and to their mean, mask, log mean power, standing."""
    n_chans = log_power.shape[2]
    mean = (torch.logsumexp(log_power[..., :N_BANDS], dim=2) - math.log(n_chans)).transpose(1, 2)  # (B, 6, K + 1)
    mask = history_mask[:, None, :].expand(-1, N_BANDS, -1)
    past, now = mean[..., :-1], mean[..., -1:]
    ratio = torch.where(mask, now - past, 0.0)
    known = mask.any(-1, keepdim=True)
    against_mean = torch.where(known, now - torch.where(known, _log_mean(past, mask)[..., None], 0.0), 0.0)
    return torch.cat([4.0 * ratio, mask.to(mean.dtype), 4.0 * against_mean, now / 4.0, _standing(now[..., 0])], dim=-1)


def _region_features(log_power: Tensor) -> Tensor:
    """Per region (B, 5, 7): whether it has channels, log mean power, standing; of ranked regions."""
    present = log_power.isfinite()
    level = torch.where(present, log_power, 0.0)
    return torch.cat([torch.stack([present.to(level.dtype), level / 4.0], dim=-1), _standing(log_power)], dim=-1)


def _hemisphere_features(log_power: Tensor, pairs: Tensor) -> Tensor:
    """(B, 2): mean log ratio of right to left power over the pairs, and whether there is a pair."""
    if not len(pairs):
        return log_power.new_zeros(len(log_power), 2)
    index = (log_power[:, pairs[:, 1]] - log_power[:, pairs[:, 0]]).mean(1)
    return torch.stack([2.0 * index, torch.ones_like(index)], dim=-1)


def _channel_features(log_power: Tensor) -> Tensor:
    """Per channel (B, C, 22): each log power, the same relative to the strongest, standing, tier; ranked channels."""
    relative = log_power - log_power.amax(dim=1, keepdim=True)
    level = log_power[..., -1]
    tier = functional.one_hot(ranked_tiers(level), N_TIERS).to(log_power.dtype)
    return torch.cat([log_power / 4.0, relative, _standing(level), tier], dim=-1)


def ranked_tiers(log_power: Tensor) -> Tensor:
    """Exact one-dimensional 3-means of channel powers, strongest channel first (NeuroNarrator, Sec. 3.2.3).

    In one dimension the clusters are intervals; the two cuts are tried in all places at once, with prefix sums.

    Args:
        log_power: (B, C) natural logarithm of the powers, descending.

    Returns:
        (B, C) 0 for the high, 1 for the medium, 2 for the low tier. With two channels there is no medium tier, with one
        only the high tier.
    """
    count = log_power.shape[1]
    if count < N_TIERS:
        return 2 * (log_power < log_power[:, :1]).long()
    power = (log_power - log_power[:, :1]).double().exp()
    sums = functional.pad(power.cumsum(1), (1, 0))  # (B, C + 1)
    first, second = (1 + torch.combinations(torch.arange(count - 1, device=power.device))).T
    edges = torch.stack([torch.zeros_like(first), first, second, torch.full_like(first, count)])  # (4, cuts)
    between = (sums[:, edges].diff(dim=1) ** 2 / edges.diff(dim=0)).sum(1)  # what the clusters explain, (B, cuts)
    best = between.argmax(1)
    place = torch.arange(count, device=power.device)
    return (place >= first[best, None]).long() + (place >= second[best, None]).long()
