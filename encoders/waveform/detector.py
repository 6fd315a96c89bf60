"""`WaveformDetector`: nine waveforms, found on each electrode by itself (CerebraGloss-YOLO, App. B of the paper).

Shapes: B windows, C electrodes (19), T samples (2000), N electrodes of the batch that were recorded, P slots.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.waveform.anchors import Slots, make_slots
from encoders.waveform.layers import ChannelAttention, ConvNorm, Inception
from encoders.waveform.nms import Detections, select_boxes
from encoders.waveform.presets import BOX_VALUES, ELECTRODES, N_TIMES, SFREQ, WAVEFORM_KINDS, DetectorPreset
from encoders.weights import load_module

SHIPPED = Path(__file__).resolve().parents[2] / "neuronarrator" / "pretrained" / "detector"
AMPLITUDE_UNIT_UV = 10.0
RARE = 0.01  # confidence at the start of training: almost no slot holds a box
DEFAULT_THRESHOLD = 0.3


class Level(nn.Module):
    """One level of the backbone: half the rate, inception modules, then attention between electrodes."""

    def __init__(self, n_in: int, width: int, n_modules: int, heads: int | None) -> None:
        super().__init__()
        self.down = ConvNorm(n_in, width, 5 if n_in < width else 3, stride=2)
        self.modules_ = nn.Sequential(*(Inception(width) for _ in range(n_modules)))
        self.attention = ChannelAttention(width, heads, len(ELECTRODES)) if heads else None

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """(N, W, 1, L) -> (N, W', 1, L / 2)."""
        x = self.modules_(self.down(x))
        return x if self.attention is None else self.attention(x, present)


def _head(n_in: int, n_anchors: int) -> nn.Conv2d:
    """One pointwise convolution; before training every slot is almost certainly empty."""
    values = BOX_VALUES + len(WAVEFORM_KINDS)
    head = nn.Conv2d(n_in, n_anchors * values, 1)
    nn.init.normal_(head.weight, std=0.01)
    bias = torch.zeros(n_anchors, values)
    bias[:, 0] = -math.log((1 - RARE) / RARE)
    head.bias = nn.Parameter(bias.flatten())
    return head


class WaveformDetector(nn.Module):
    """Finds waveforms on each electrode of ten-second windows of the 10-20 system.

    Args:
        preset: its size.
        thresholds: least score of each class in `detect`; those missing take `DEFAULT_THRESHOLD`.
    """

    def __init__(self, preset: DetectorPreset, thresholds: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.preset = preset
        self.thresholds = {kind: float((thresholds or {}).get(kind, DEFAULT_THRESHOLD)) for kind in WAVEFORM_KINDS}
        self.stem = ConvNorm(len(preset.inputs), preset.stem_width, 9, stride=2)
        widths = (preset.stem_width, *preset.widths)
        self.levels = nn.ModuleList(
            Level(n_in, width, n, preset.heads if attends else None)
            for n_in, width, n, attends in zip(widths, preset.widths, preset.modules, preset.attention, strict=False)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, preset.neck_width, 1) for width in preset.widths)
        self.heads = nn.ModuleDict()
        self.smooth = nn.ModuleDict()
        for number, anchors in enumerate(preset.anchors):
            if anchors:
                self.smooth[str(number)] = ConvNorm(preset.neck_width, preset.neck_width, 3)
                self.heads[str(number)] = _head(preset.neck_width, len(anchors))
        slots = make_slots(preset)
        self.slot_table: Tensor
        self.register_buffer("slot_table", torch.stack([slots.centre_s, slots.cell_s, slots.anchor_s]), False)

    @property
    def slots(self) -> Slots:
        """Where the predictions are, on the device of the detector."""
        return Slots(*self.slot_table.unbind(0))

    def forward(self, signal_uv: Tensor, present: Tensor) -> Tensor:
        """Raw predictions for every slot of every electrode that was recorded.

        Args:
            signal_uv: (B, C, T) microvolts at 200 Hz, rows in the order of `ELECTRODES`.
            present: (B, C) bool, which electrodes were recorded; what stands in other rows has no effect.

        Returns:
            (N, P, 3 + 9): logit of the confidence, displacement, log scale, logits of the classes; the N rows are the
            electrodes that are true in `present`, window by window.

        Raises:
            ValueError: the shape is another one.
        """
        if signal_uv.shape[1:] != (len(ELECTRODES), N_TIMES) or present.shape != signal_uv.shape[:2]:
            raise ValueError(
                f"got a signal {tuple(signal_uv.shape)} with present {tuple(present.shape)}, expected "
                f"(B, {len(ELECTRODES)}, {N_TIMES}) with (B, {len(ELECTRODES)}): cut ten seconds at {SFREQ:g} Hz and "
                "put the electrodes into the rows of ELECTRODES"
            )
        x = self.stem(self._inputs(signal_uv[present]).contiguous(memory_format=torch.channels_last))
        features = []
        for level in self.levels:
            x = level(x, present)
            features.append(x)
        outputs: dict[int, Tensor] = {}
        top: Tensor | None = None
        for number in reversed(range(len(features))):
            here = self.lateral[number](features[number])
            if top is not None:
                here = here + F.interpolate(top, scale_factor=(1.0, 2.0))[..., : here.shape[-1]]
            top = here
            if str(number) in self.heads:
                outputs[number] = self.heads[str(number)](self.smooth[str(number)](here))
        flat = [outputs[number].squeeze(2).transpose(1, 2) for number in sorted(outputs)]  # (N, L, anchors * 12)
        return torch.cat([x.reshape(len(x), -1, BOX_VALUES + len(WAVEFORM_KINDS)) for x in flat], dim=1)

    def _inputs(self, signal_uv: Tensor) -> Tensor:
        """(N, T) microvolts -> (N, inputs, 1, T)."""
        centred = signal_uv - signal_uv.mean(1, keepdim=True)
        made = {
            "z": lambda: centred / centred.std(1, keepdim=True).clamp_min(1e-3),
            "amplitude": lambda: torch.asinh(centred / AMPLITUDE_UNIT_UV),
        }
        return torch.stack([made[name]() for name in self.preset.inputs], dim=1).unsqueeze(2)

    @torch.no_grad()
    def detect(
        self, signal_uv: Tensor, present: Tensor, threshold: float | Mapping[str, float] | None = None
    ) -> Detections:
        """Boxes of every class, without those that overlap a better one of their class and electrode.

        Args:
            signal_uv: (B, C, T) as for `forward`.
            present: (B, C) bool.
            threshold: least score of all or of each class; None takes the detector's own `thresholds`.
        """
        if threshold is None:
            threshold = self.thresholds
        least = [threshold[kind] if isinstance(threshold, Mapping) else threshold for kind in WAVEFORM_KINDS]
        return select_boxes(
            self(signal_uv, present).float(), present, self.slots, torch.tensor(least, dtype=torch.float32)
        )

    def save_pretrained(self, path: str | Path, **facts: object) -> None:
        """Write `PATH.json` and `PATH.safetensors`.

        Args:
            path: without a suffix.
            facts: what else the JSON file shall tell, such as how it was trained.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        config = {
            "preset": asdict(self.preset),
            "thresholds": self.thresholds,
            "kinds": WAVEFORM_KINDS,
            "electrodes": ELECTRODES,
            "sfreq": SFREQ,
            "n_times": N_TIMES,
            **facts,
        }
        path.with_name(f"{path.name}.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        state = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        save_file(state, path.with_name(f"{path.name}.safetensors"))

    @classmethod
    def from_pretrained(cls, name: str | Path = "tiny", device: str = "cpu") -> "WaveformDetector":
        """Load a detector: one that ships with neuronarrator, or `PATH.json` and `PATH.safetensors` by PATH.

        Raises:
            FileNotFoundError: there is no such detector.
            WeightsError: its weights do not fit its configuration.
        """
        for path in (SHIPPED / str(name), Path(name)):
            config_file = path.with_name(f"{path.name}.json")
            if config_file.is_file():
                break
        else:
            shipped = sorted(file.stem for file in SHIPPED.glob("*.json"))
            raise FileNotFoundError(
                f"got detector {str(name)!r}, expected one of {shipped} or a path without its .json: check the name"
            )
        config = json.loads(config_file.read_text("utf-8"))
        if tuple(config["kinds"]) != WAVEFORM_KINDS or tuple(config["electrodes"]) != ELECTRODES:
            raise ValueError(
                f"got {config_file.name} with other classes or electrodes than this version has, expected "
                f"{', '.join(WAVEFORM_KINDS)} on {', '.join(ELECTRODES)}: train it again"
            )
        detector = cls(DetectorPreset(**config["preset"]), config["thresholds"])
        load_module(detector, path.with_name(f"{path.name}.safetensors"), {})
        return detector.to(device).eval()
