"""The two encoders and their projectors into one space (NeuroNarrator, Sec. 3.3.1)."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from corpus.topomap import TopomapRenderer, map_potential
from encoders.projector import Projector, Whitening
from encoders.topomap import TopomapEncoder
from neuronarrator.map_cache import MapFeatureCache


class DualEncoder(nn.Module):
    """Signal encoder, frozen topomap encoder, and one projector each to the width of the LLM.

    The vectors of the topomap encoder may be whitened (not in the paper; the identity unless stage 1 fits it).

    Args:
        signal: (B, C, T) µV and electrode names to (B, D_signal); its `embed_dim` is D_signal.
        topomap: (B, H, W, 3) uint8 to (B, D_topomap), frozen.
        width: D, of the shared space, which is the LLM's.
        potential: what a map shows, one of `corpus.topomap.POTENTIALS`; the paper's is the median sample.
        limit_uv: of the colour scale of all maps; None: each its own, as in the paper.

    Attributes:
        map_cache: where `encode_topomap` finds vectors of maps that the tower has seen before; None: nowhere.
    """

    def __init__(
        self,
        signal: nn.Module,
        topomap: TopomapEncoder,
        width: int,
        potential: str = "median",
        limit_uv: float | None = None,
    ) -> None:
        super().__init__()
        self.potential, self.limit_uv = potential, limit_uv
        self.map_cache: MapFeatureCache | None = None
        self.whitening = Whitening(topomap.width)
        self.encoders = nn.ModuleDict({"signal": signal, "topomap": topomap})
        signal_width: Any = signal.embed_dim
        self.projectors = nn.ModuleDict(
            {"signal": Projector(signal_width, width), "topomap": Projector(topomap.width, width)}
        )

    @property
    def encoding(self) -> dict[str, Any]:
        """Choices behind the vectors that no weight tells of, as plain values."""
        signal, topomap = self.encoders["signal"], self.encoders["topomap"]
        return {
            "potential": self.potential,
            "limit_uv": self.limit_uv,
            "after_ln_post": topomap.after_ln_post,
            "pool": getattr(signal, "pool", None),  # `SignalEncoder` alone has them
            "names": getattr(signal, "names", None),
        }

    def encode_signal(self, signal_uv: Tensor, ch_names: Sequence[str], first_patch: int = 0) -> Tensor:
        """Segments (B, C, T) in µV, or cuts of them from second `first_patch` on, to (B, D), not normalised."""
        place = (first_patch,) if first_patch else ()  # only `SignalEncoder` knows of it
        return self.projectors["signal"](self.encoders["signal"](signal_uv, ch_names, *place))

    def encode_topomap(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Segments (B, C, T) in µV to (B, D) through the map of each, by default at its temporal median sample."""
        potential = map_potential(signal_uv, self.potential)
        if self.map_cache is None:
            features = self.topomap_features(potential, ch_names)
        else:
            features = self.map_cache(potential, ch_names, lambda maps: self.topomap_features(maps, ch_names))
        projector: Any = self.projectors["topomap"]
        return projector(self.whitening(features).to(projector.fc1.weight.dtype))

    def topomap_features(self, potential_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Vectors (B, D_topomap) of the frozen encoder for potentials (B, C) in µV.

        Where they are whitened autocast is off: what the whitening blows up is lost in bfloat16.
        """
        maps = TopomapRenderer(ch_names, limit_uv=self.limit_uv)(potential_uv)
        with torch.autocast(maps.device.type, enabled=False) if self.whitening.is_fitted else nullcontext():
            return self.encoders["topomap"](maps)
