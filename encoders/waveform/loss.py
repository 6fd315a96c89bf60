"""Loss of the waveform detector: boxes, confidence and classes (CerebraGloss, App. B.2, and what differs from it)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from encoders.waveform.anchors import Assignment, Slots, assign, decode_boxes, encode_boxes, iou_1d
from encoders.waveform.presets import BOX_VALUES


@dataclass(frozen=True)
class DetectionLoss:
    """Weights and kinds of the three parts; the defaults are the paper's, the weight of the classes is not stated.

    Attributes:
        box: weight of displacement and scale.
        confidence: weight where there is a box.
        no_confidence: weight where there is none.
        classes: weight of the classes.
        box_loss: "mse" of displacement and log scale, or "iou": one minus the overlap, plus the squared distance of
            the centres over the joint extent, which asks the same precision of short and of long boxes.
        assignment: which slots have to find a box.
    """

    box: float = 10.0
    confidence: float = 5.0
    no_confidence: float = 0.5
    classes: float = 1.0
    box_loss: str = "mse"
    assignment: Assignment = field(default_factory=Assignment)

    def __post_init__(self) -> None:
        if self.box_loss not in ("mse", "iou"):
            raise ValueError(f"got box_loss {self.box_loss!r}, expected 'mse' or 'iou': choose one")

    def __call__(self, predictions: Tensor, boxes: Tensor, slots: Slots) -> dict[str, Tensor]:
        """Losses of one batch, each a sum over slots divided by the number of boxes.

        Args:
            predictions: (N, P, 3 + classes) as `WaveformDetector.forward` returns them.
            boxes: (M, 4) row among the N, class, start and end in seconds.
            slots: of the detector, on the same device.

        Returns:
            `loss` and its parts `box_loss`, `confidence_loss`, `class_loss`, before their weights.
        """
        predictions = predictions.float()
        row, kind, (start, end) = boxes[:, 0].long(), boxes[:, 1].long(), boxes[:, 2:].float().unbind(1)
        targets = assign(row, start, end, len(predictions), slots, self.assignment)
        right, count = targets.box >= 0, max(len(boxes), 1)
        owner = targets.box[right]
        share = 1 / torch.bincount(owner, minlength=len(boxes)).clamp_min(1)[owner]  # slots of a box weigh 1 together
        found, where = predictions[right], right.nonzero()[:, 1]
        taken = Slots(slots.centre_s[where], slots.cell_s[where], slots.anchor_s[where])
        box_loss = self._box_loss(found[:, 1], found[:, 2], start[owner], end[owner], taken)
        wanted = F.one_hot(kind[owner], predictions.shape[2] - BOX_VALUES).float()
        class_loss = F.binary_cross_entropy_with_logits(found[:, BOX_VALUES:], wanted, reduction="none").sum(1)
        weight = torch.where(targets.ignored, 0.0, self.no_confidence)
        weight[right] = self.confidence * share**0.5
        confidence = F.binary_cross_entropy_with_logits(predictions[..., 0], right.float(), weight, reduction="sum")
        parts = {
            "box_loss": (box_loss * share).sum() / count,
            "confidence_loss": confidence / count,
            "class_loss": (class_loss * share).sum() / count,
        }
        loss = self.box * parts["box_loss"] + parts["confidence_loss"] + self.classes * parts["class_loss"]
        return {"loss": loss, **parts}

    def _box_loss(self, shift: Tensor, log_scale: Tensor, start: Tensor, end: Tensor, slots: Slots) -> Tensor:
        """Of each matched slot."""
        if self.box_loss == "mse":
            want_shift, want_scale = encode_boxes(start, end, slots.centre_s, slots.anchor_s)
            return (shift - want_shift) ** 2 + (log_scale - want_scale) ** 2
        got_start, got_end = decode_boxes(shift, log_scale, slots)
        extent = torch.maximum(got_end, end) - torch.minimum(got_start, start)
        apart = ((got_start + got_end - start - end) / 2 / extent) ** 2
        return 1 - iou_1d(got_start, got_end, start, end) + apart
