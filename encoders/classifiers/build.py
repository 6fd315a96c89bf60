"""The baselines of NeuroNarrator's Table 5 by name, all called alike: microvolts in, logits out.

EEGNet, EEGConformer, SPaRCNet, ContraWR and BIOT are braindecode's (extra `baselines`); LaBraM is `SignalEncoder`,
which gives what the published code and braindecode's give; the others are in `encoders.classifiers.networks`.

Each sees the unit it is used to: LaBraM 0.1 mV; the others channels divided by the 95th percentile of their absolute
values in the window, as BIOT's comparison did with all of its baselines (Yang et al., arXiv:2305.10351).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from encoders.braindecode import BiotEncoder, braindecode_models, quantile
from encoders.classifiers.networks import CnnTransformer, Ffcl, StTransformer
from encoders.labram import SFREQ, SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.weights import load_labram

Size = Literal["tiny", "base"]

_EEGNET = {"final_layer_with_constraint": True}  # as published
CLASSIFIERS: dict[str, dict[Size, dict[str, Any]]] = {
    "eegnet": {"tiny": _EEGNET, "base": _EEGNET},
    "eegconformer": {"tiny": {"num_layers": 2, "num_heads": 5, "n_filters_time": 10}, "base": {}},
    "sparcnet": {"tiny": {"growth_rate": 8, "bottleneck_size": 8}, "base": {}},
    "contrawr": {"tiny": {"emb_size": 64, "res_channels": [8, 16, 32]}, "base": {}},
    "cnn-transformer": {"tiny": {"width": 64, "depth": 2}, "base": {}},
    "ffcl": {"tiny": {"width": 64, "n_phases": 5}, "base": {}},
    "st-transformer": {"tiny": {"width": 64, "depth": 2}, "base": {}},
    "biot": {"tiny": {"embed_dim": 64, "num_layers": 2}, "base": {}},
    "labram": {"tiny": {"preset": "tiny"}, "base": {"preset": "base"}},
}
"""Names, and by size what differs from the published sizes: "base" is the published one, "tiny" trains on a CPU."""

_BRAINDECODE = {"eegnet": "EEGNet", "eegconformer": "EEGConformer", "sparcnet": "SPARCNet", "contrawr": "ContraWR"}
_OWN: dict[str, Callable[..., nn.Module]] = {"ffcl": Ffcl, "st-transformer": StTransformer}
_WITH_WEIGHTS = ("biot", "labram")


class Classifier(nn.Module):
    """A network for one channel layout.

    Args:
        network: from windows, scaled or not, to logits.
        ch_names: names of the C channels.
        n_times: T.
        scaled: divide each channel by the 95th percentile of its absolute values first.
    """

    def __init__(self, network: nn.Module, ch_names: Sequence[str], n_times: int, scaled: bool) -> None:
        super().__init__()
        self.network, self.ch_names, self.n_times, self.scaled = network, tuple(ch_names), n_times, scaled

    def forward(self, signal_uv: Tensor) -> Tensor:
        """Classify windows.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz.

        Returns:
            Logits (B, K).

        Raises:
            ValueError: another shape.
        """
        if signal_uv.ndim != 3 or signal_uv.shape[1:] != (len(self.ch_names), self.n_times):
            raise ValueError(
                f"got a signal of shape {tuple(signal_uv.shape)}, expected (B, {len(self.ch_names)}, {self.n_times}): "
                f"the channels {', '.join(self.ch_names)} in this order"
            )
        return self.network(scale_channels(signal_uv) if self.scaled else signal_uv)


class EncoderHead(nn.Module):
    """A linear classifier on an encoder that is called like `SignalEncoder`.

    Args:
        encoder: with `embed_dim`; (B, C, T) in microvolts and names in, (B, D) out.
        ch_names: names of the C channels.
        head: from D to K.
    """

    def __init__(self, encoder: nn.Module, ch_names: Sequence[str], head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.ch_names, self.head = encoder, tuple(ch_names), head

    def forward(self, signal_uv: Tensor) -> Tensor:
        """(B, C, T) in microvolts -> logits (B, K)."""
        return self.head(self.encoder(signal_uv, self.ch_names))


def scale_channels(signal: Tensor) -> Tensor:
    """Divide each channel of windows (B, C, T) by the 95th percentile of its absolute values."""
    return signal / (quantile(signal.abs(), 0.95) + 1e-8)


def build_classifier(
    name: str,
    n_classes: int,
    ch_names: Sequence[str],
    n_times: int = 10 * SFREQ,
    size: Size = "base",
    weights: str | None = None,
) -> Classifier:
    """Build one of `CLASSIFIERS`.

    Args:
        name: of the architecture.
        n_classes: K.
        ch_names: names of the C channels; BIOT needs the electrodes of the double banana, LaBraM names it knows.
        n_times: T, samples of a window at 200 Hz.
        size: "base" as published, or "tiny".
        weights: file of a pretrained encoder of that size on disk, of "labram" and "biot".

    Raises:
        ValueError: an unknown name or size, weights for an architecture that has none, fewer than two classes.
        ImportError: braindecode is needed and not installed.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"got classifier {name!r}, expected one of {', '.join(CLASSIFIERS)}; correct it")
    if size not in CLASSIFIERS[name]:
        raise ValueError(f"got size {size!r}, expected one of {', '.join(CLASSIFIERS[name])}; correct it")
    if n_classes < 2:
        raise ValueError(f"got {n_classes} classes, expected two or more: name the labels to tell apart")
    if weights is not None and name not in _WITH_WEIGHTS:
        raise ValueError(f"got weights for {name!r}, expected none: it is trained from scratch; leave them out")
    options = CLASSIFIERS[name][size]
    network: nn.Module
    if name in _WITH_WEIGHTS:
        network = _pretrainable(name, n_classes, ch_names, options, weights)
    elif name in _BRAINDECODE:
        shape = {"n_chans": len(ch_names), "n_outputs": n_classes, "n_times": n_times, "sfreq": SFREQ}
        network = getattr(braindecode_models(), _BRAINDECODE[name])(**shape, **options)
    elif name in _OWN:
        network = _OWN[name](len(ch_names), n_classes, n_times, **options)
    else:
        network = CnnTransformer(len(ch_names), n_classes, **options)
    return Classifier(network, ch_names, n_times, scaled=name not in _WITH_WEIGHTS)  # these two scale for themselves


def _pretrainable(
    name: str, n_classes: int, ch_names: Sequence[str], options: dict[str, Any], weights: str | None
) -> EncoderHead:
    if name == "biot":
        biot = BiotEncoder(weights, n_channels=16, options=options)
        return EncoderHead(biot, ch_names, nn.Sequential(nn.ELU(), nn.Linear(biot.embed_dim, n_classes)))
    labram = SignalEncoder(SIGNAL_ENCODER_PRESETS[options["preset"]])
    if weights is not None:
        load_labram(labram, weights)
    return EncoderHead(labram, ch_names, nn.Linear(labram.embed_dim, n_classes))
