"""Other encoders of the signal, with the networks of braindecode: CBraMod, BIOT, EEGPT, REVE.

All are called like `encoders.labram.SignalEncoder`, (B, C, T) in microvolts at 200 Hz and names in, (B, D) out, so
that an experiment may name one of them instead. Each brings the signal into the form that its weights were trained on.
They need the extra `baselines`. Nothing is downloaded: `weights` is a file of braindecode's layout on disk (what its
`save_pretrained` writes, or `model.safetensors` of its pages on the Hugging Face Hub), loaded completely or not at all.

Some of the datasets that a narrator is evaluated on were used in their pretraining; see each class.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from encoders.channels import RENAMED
from encoders.labram import PATCH_SAMPLES, SFREQ, to_labram_unit
from encoders.weights import MatchReport, load_module

_HEAD = {"final_layer*": "classifier of braindecode"}

_BIPOLAR = """
    FP1-F7 F7-T7 T7-P7 P7-O1 FP2-F8 F8-T8 T8-P8 P8-O2 FP1-F3 F3-C3 C3-P3 P3-O1 FP2-F4 F4-C4 C4-P4 P4-O2 C3-A2 C4-A1
"""

BIOT_DERIVATIONS: tuple[str, ...] = tuple(_BIPOLAR.split())
"""The channels of BIOT, in the order of its tokens: 16 of the double banana, and two against the ears."""

EEGPT_SFREQ = 256
REVE_CLIP = 15.0
"""Standard deviations beyond which REVE clips."""


class BraindecodeEncoder(nn.Module):
    """What the encoders below have in common.

    Attributes:
        embed_dim: D, width of the output.
        report: What became of every tensor of the weights; None where none were given.
    """

    embed_dim: int
    report: MatchReport | None = None

    def forward(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Encode windows into one vector each.

        Args:
            signal_uv: (B, C, T) in microvolts at 200 Hz, T a multiple of 200.
            ch_names: The C channel names, the same for the whole batch, in any case.

        Returns:
            (B, D).

        Raises:
            ValueError: If the shape or a channel name does not fit.
        """
        shape = tuple(signal_uv.shape)
        if signal_uv.ndim != 3 or shape[2] == 0 or shape[2] % PATCH_SAMPLES:
            raise ValueError(f"got a signal of shape {shape}, expected (B, C, T) with T a multiple of {PATCH_SAMPLES}")
        if len(ch_names) != shape[1] or not all(isinstance(name, str) for name in ch_names):
            raise ValueError(
                f"got {len(ch_names)} channel names for a signal of shape {shape}: give one name per channel, "
                "the same for all rows of a batch"
            )
        return self.encode(signal_uv, [name.upper() for name in ch_names])

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Encode checked windows (B, C, T) in microvolts, names in upper case -> (B, D)."""
        raise NotImplementedError


class CBraModEncoder(BraindecodeEncoder):
    """CBraMod (Wang et al., ICLR 2025, arXiv:2412.07236); D = 200.

    Unit 0.1 mV, 200 Hz, patches of one second. Names are not used: positions come from a convolution over neighbouring
    rows, so that the order of the channels matters, and pretraining saw the 19 of the 10-20 system. The vector is the
    mean over all patches and channels of what the transformer gives; the reconstruction of pretraining (`proj_out`)
    is left out, as in its fine-tuning. Pretrained on TUEG, which shares recordings with TUAB, TUEV, TUSZ, TUEP, TUSL
    and TUAR.

    Args:
        weights: File on disk; None starts from scratch.
        options: Arguments of `braindecode.models.CBraMod` other than the defaults.
    """

    def __init__(self, weights: str | None = None, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.model = braindecode_models().CBraMod(return_encoder_output=True, **(options or {}))
        if weights is not None:
            self.report = load_module(self.model, weights, _HEAD)
        self.model.proj_out = nn.Identity()
        self.embed_dim = self.model.patch_embedding.d_model

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """See `BraindecodeEncoder.encode`."""
        return self.model(to_labram_unit(signal_uv)).mean(dim=(1, 2))


class BiotEncoder(BraindecodeEncoder):
    """BIOT (Yang et al., NeurIPS 2023, arXiv:2305.10351); D = 256.

    Sees 16 or 18 bipolar derivations at 200 Hz (`BIOT_DERIVATIONS`), each divided by the 95th percentile of its
    absolute values within the window. They are computed from the electrodes of `ch_names`, by old or new names; an
    electrode of the first 16 that is missing is an error, the two against the ears are used where A1 and A2 were
    recorded. The vector is the mean over all tokens. Of its weights, `six-datasets` saw labels of TUAB, TUEV,
    CHB-MIT and IIIC.

    Args:
        weights: File on disk; None starts from scratch.
        n_channels: Channel tokens: 16 for `prest`, 18 for `shhs-prest` and `six-datasets`.
        options: Arguments of `braindecode.models.BIOT` other than the defaults.
    """

    def __init__(self, weights: str | None = None, n_channels: int = 18, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        if n_channels not in (16, 18):
            raise ValueError(f"got n_channels={n_channels}, expected 16 or 18")
        sizes = {"n_outputs": 1, "n_chans": n_channels, "n_times": 10 * SFREQ, "sfreq": SFREQ}
        options = {"drop_prob": 0.1, **(options or {})}  # as published; theirs is 0.5
        model = braindecode_models().BIOT(**sizes, **options)
        self.model, self.embed_dim = model.encoder, model.embed_dim
        self.derivations = BIOT_DERIVATIONS[:n_channels]
        if weights is not None:
            self.report = load_module(self.model, weights, _HEAD, prefix="encoder.")

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """See `BraindecodeEncoder.encode`."""
        place = {RENAMED["new"].get(name, name): i for i, name in enumerate(ch_names)}
        required, pairs = BIOT_DERIVATIONS[:16], [name.split("-") for name in self.derivations]
        missing = {name for pair in required for name in pair.split("-")} - set(place)
        if missing:
            raise ValueError(
                f"got channels without {sorted(missing)}, expected the electrodes of the double banana: "
                "BIOT has no token for other derivations"
            )
        pairs = [pair for pair in pairs if set(pair) <= set(place)]
        first, second = ([place[pair[side]] for pair in pairs] for side in (0, 1))
        bipolar_uv = signal_uv[:, first] - signal_uv[:, second]
        return self.model(bipolar_uv / (quantile(bipolar_uv.abs(), 0.95) + 1e-8))


class EegptEncoder(BraindecodeEncoder):
    """EEGPT (Wang et al., NeurIPS 2024); D = 2048: its four summary tokens side by side, mean over time.

    Unit mV, average reference, resampled to 256 Hz (windowed sinc). Channels have an embedding each; names are those of
    `braindecode.models.eegpt.EEGPT_CHANNELS` (62 of the 10-10 system) or the old names of four of them, in any order,
    and others are an error. Pretrained on windows of 4 s of EEGMMIDB, SEED, M3CV, HGD and TSU.

    Args:
        weights: File on disk; None starts from scratch.
        options: Arguments of `braindecode.models.EEGPT` other than the defaults.
    """

    def __init__(self, weights: str | None = None, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        models = braindecode_models()
        self.rows: Mapping[str, int] = models.eegpt.CHANNEL_DICT
        sizes = {"n_outputs": 1, "n_chans": len(self.rows), "n_times": 10 * EEGPT_SFREQ, "sfreq": EEGPT_SFREQ}
        model = models.EEGPT(**sizes, chan_proj_type="none", return_encoder_output=True, **(options or {}))
        self.model, self.embed_dim = model.target_encoder, model.embed_num * model.embed_dim
        self.patch = (model.patch_size, model.patch_stride)
        if weights is not None:
            own = {"chans_id": "rows of the channels of another layout", "chan_proj*": "mixing of channels, trainable"}
            self.report = load_module(self.model, weights, _HEAD | own, prefix="target_encoder.")

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """See `BraindecodeEncoder.encode`."""
        from torchaudio.functional import resample

        rows = _look_up(self.rows, ch_names, "channels of EEGPT (braindecode.models.eegpt.EEGPT_CHANNELS)")
        signal_mv = (signal_uv - signal_uv.mean(dim=1, keepdim=True)) / 1000.0
        signal_mv = resample(signal_mv, SFREQ, EEGPT_SFREQ)
        size, stride = self.patch
        self.model.num_patches = (len(rows), (signal_mv.shape[2] - size) // stride + 1)  # it checks, and holds no more
        summary = self.model(signal_mv, torch.tensor([rows], device=signal_uv.device))  # (B, patches, 4, 512)
        return summary.mean(dim=1).flatten(1)


class ReveEncoder(BraindecodeEncoder):
    """REVE (El Ouahidi et al., NeurIPS 2025, arXiv:2510.21585); D = 512.

    200 Hz, each channel standardised over the window (the paper: over the recording) and clipped at 15 standard
    deviations, patches of one second that overlap by 0.1 s. Channels are told by their position: names are looked up in
    REVE's own bank, which its authors publish apart; names that are not in it, old or new, are an error. The vector is
    the mean over all tokens.

    Args:
        positions: JSON file of the position bank on disk, name -> (x, y, z), as in `brain-bzh/reve-positions`.
        weights: File on disk; None starts from scratch. REVE's are given only to those who accept its terms.
        options: Arguments of `braindecode.models.REVE` other than the defaults, which are those of REVE-Base.
    """

    def __init__(self, positions: str, weights: str | None = None, options: dict[str, Any] | None = None) -> None:
        super().__init__()
        with _local_positions(positions):
            self.model = braindecode_models().REVE(n_outputs=1, sfreq=SFREQ, attention_pooling=True, **(options or {}))
        del self.model.cls_query_token  # of the classifier, as the next
        self.model.final_layer = nn.Identity()
        self.embed_dim = self.model.embed_dim
        self.rows = {name.upper(): row for name, row in self.model._position_bank.mapping.items()}
        if weights is not None:
            self.report = load_module(self.model, weights, _HEAD | {"cls_query_token": "query of a classifier"})

    def encode(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """See `BraindecodeEncoder.encode`."""
        rows = _look_up(self.rows, ch_names, "names of REVE's position bank")
        centred = signal_uv - signal_uv.mean(dim=2, keepdim=True)
        standardised = centred / (centred.square().mean(dim=2, keepdim=True).sqrt() + 1e-8)
        position = self.model._position_bank.embedding[rows].expand(len(signal_uv), -1, -1)
        tokens = self.model(standardised.clamp(-REVE_CLIP, REVE_CLIP), position, return_features=True)["features"]
        return tokens.mean(dim=(1, 2))


def braindecode_models() -> ModuleType:
    """The module `braindecode.models`; ImportError with the extra where it is not installed."""
    try:
        import braindecode.models
    except ImportError as error:
        raise ImportError(
            f"got {error}, expected braindecode and what it needs: install the extra 'baselines' "
            "(pip install 'neuronarrator[baselines]')"
        ) from error
    return braindecode.models


def _look_up(rows: Mapping[str, int], ch_names: Sequence[str], expected: str) -> list[int]:
    """Row of each name, or of the other name of the same electrode."""
    names = [(name, *(table.get(name) for table in RENAMED.values())) for name in ch_names]
    found = [next((name for name in known if name in rows), None) for known in names]
    unknown = [name for name, row in zip(ch_names, found, strict=True) if row is None]
    if unknown:
        raise ValueError(f"got channel names {unknown}, expected {expected}: leave these channels out")
    return [rows[name] for name in found if name is not None]


def quantile(x: Tensor, q: float) -> Tensor:
    """Quantile along the last axis, kept, between neighbours; `torch.quantile` has a limit of 16 million numbers."""
    ordered, place = x.sort(dim=-1).values, q * (x.shape[-1] - 1)
    below = int(place)
    above = min(below + 1, x.shape[-1] - 1)
    return torch.lerp(ordered[..., below, None], ordered[..., above, None], place - below)


@contextmanager
def _local_positions(path: str) -> Iterator[None]:
    """Let REVE find its position bank on disk instead of downloading it (MNE's configuration of the environment)."""
    before = os.environ.get("REVE_POSITIONS_PATH")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / "reve_positions.json")
        os.environ["REVE_POSITIONS_PATH"] = folder
        try:
            yield
        finally:
            os.environ.pop("REVE_POSITIONS_PATH")
            if before is not None:
                os.environ["REVE_POSITIONS_PATH"] = before
