"""An auxiliary loss of stage 2 (not in the paper): the signal token must tell the band powers of its segment.

Shapes: B batch, C channels, M tokens of a segment, R = 5 regions, F = 6 bands, D width.
"""

import torch
from torch import Tensor, nn

from corpus.dataset import Batch
from corpus.features import BANDS, REGIONS
from neuronarrator.spectrum_names import spectrum_layout


def region_log_power(batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean log band powers of the current segments in each region, and which regions have a channel.

    Returns:
        (B, R, F) natural logarithm of µV², zero where there is no channel; and (R,) true where there is one.

    Raises:
        ValueError: the batch was not measured.
    """
    if not batch.log_power.shape[-1]:
        raise ValueError(
            "got a batch without log powers, expected them for band_power_weight; use data of "
            "NarrationDataModule or CorpusDataModule"
        )
    regions = spectrum_layout(batch.ch_names, batch.log_power.device).regions.to(batch.log_power.dtype)  # (R, C)
    counts = regions.sum(dim=1)
    power = batch.log_power[:, -1, :, : len(BANDS)]  # (B, C, F)
    return torch.einsum("rc,bcf->brf", regions, power) / counts.clamp_min(1)[:, None], counts > 0


class BandPowerHead(nn.Module):
    """Linear regression of the log band powers of each region from the mean of the tokens of a segment.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)  # tokens are as small as token embeddings
        self.linear = nn.Linear(width, len(REGIONS) * len(BANDS))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, M, D) to natural logarithms of µV², (B, R, F)."""
        return self.linear(self.norm(tokens.mean(dim=1))).unflatten(1, (len(REGIONS), len(BANDS)))

    def loss(self, tokens: Tensor, batch: Batch) -> Tensor:
        """Mean squared error over the regions that have a channel; `tokens` and ValueError as above."""
        target, known = region_log_power(batch)
        with torch.autocast(tokens.device.type, enabled=False):
            return (self(tokens.to(self.linear.weight.dtype)) - target)[:, known].square().mean()
