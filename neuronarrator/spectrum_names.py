"""Words for the spectrum tokens: what each token is of, in the language model's own embeddings."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from corpus.describe import BAND_NAMES
from corpus.features import REGIONS, homologous_pairs
from corpus.montage import region_of
from encoders.spectrum import Layout, Ranking
from neuronarrator.language.chat import pad


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is made in validation is kept and used in training
def spectrum_layout(ch_names: tuple[str, ...], device: torch.device) -> Layout:
    """Regions and homologous pairs of a channel layout."""
    regions = [[region_of(name) == region for name in ch_names] for region in REGIONS]
    pairs = torch.tensor(homologous_pairs(ch_names), dtype=torch.long).reshape(-1, 2)
    return Layout(torch.tensor(regions, device=device), pairs.to(device))


class SpectrumNames:
    """Mean token embeddings of the names of bands, regions and electrodes.

    Args:
        tokenizer: of the language model.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self._words: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}

    def __call__(self, embedding: nn.Module, ranking: Ranking, ch_names: Sequence[str]) -> Tensor:
        """What each spectrum token is of, (B, 12 + C, D).

        The strongest electrode stands first under its own name, so naming it is copying.

        Args:
            embedding: of the language model, ids to D.
            ranking: order of the regions and electrodes of each row.
            ch_names: C electrodes.
        """
        names = [*BAND_NAMES.values(), *REGIONS, "hemispheres", *ch_names]
        ids, mask = (part.to(ranking.channels.device) for part in self._tokenize(tuple(names)))
        embeds = embedding(ids) * mask[..., None]
        embeds = embeds.sum(1) / mask.sum(1, keepdim=True)
        bands, regions, hemispheres, electrodes = embeds.split([len(BAND_NAMES), len(REGIONS), 1, len(ch_names)])
        rows = len(ranking.channels)
        return torch.cat(
            [
                bands.expand(rows, -1, -1),
                regions[ranking.regions],
                hemispheres.expand(rows, -1, -1),
                electrodes[ranking.channels],
            ],
            dim=1,
        )

    @torch.inference_mode(False)
    def _tokenize(self, words: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Ids and mask (N, L) of each word as it stands in running text."""
        if words not in self._words:
            ids = self.tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
            self._words[words] = pad(ids, self.tokenizer.pad_token_id)
        return self._words[words]
