"""The two encoders and their projectors into one space (NeuroNarrator, Sec. 3.3.1)."""

from collections.abc import Sequence

from torch import Tensor, nn

from corpus.topomap import TopomapRenderer, median_potential
from encoders.labram import SignalEncoder
from encoders.projector import Projector, Whitening
from encoders.topomap import TopomapEncoder


class DualEncoder(nn.Module):
    """Signal encoder, frozen topomap encoder, and one projector each to the width of the LLM.

    The vectors of the topomap encoder may be whitened (not in the paper; the identity unless stage 1 fits it).

    Args:
        signal: (B, C, T) µV and electrode names to (B, D_signal).
        topomap: (B, H, W, 3) uint8 to (B, D_topomap), frozen.
        width: D, of the shared space, which is the LLM's.
    """

    def __init__(self, signal: SignalEncoder, topomap: TopomapEncoder, width: int) -> None:
        super().__init__()
        self.whitening = Whitening(topomap.width)
        self.encoders = nn.ModuleDict({"signal": signal, "topomap": topomap})
        self.projectors = nn.ModuleDict(
            {"signal": Projector(signal.embed_dim, width), "topomap": Projector(topomap.width, width)}
        )

    def encode_signal(self, signal_uv: Tensor, ch_names: Sequence[str], first_patch: int = 0) -> Tensor:
        """Segments (B, C, T) in µV, or cuts of them from second `first_patch` on, to (B, D), not normalised."""
        return self.projectors["signal"](self.encoders["signal"](signal_uv, ch_names, first_patch))

    def encode_topomap(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Segments (B, C, T) in µV to (B, D) through the map of each at its temporal median sample."""
        features = self.topomap_features(median_potential(signal_uv), ch_names)
        return self.projectors["topomap"](self.whitening(features))

    def topomap_features(self, potential_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Vectors (B, D_topomap) of the frozen encoder for potentials (B, C) in µV."""
        return self.encoders["topomap"](TopomapRenderer(ch_names)(potential_uv))
