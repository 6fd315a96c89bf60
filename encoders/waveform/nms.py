"""From raw predictions to boxes: scores, thresholds, and non-maximum suppression along time."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import nms

from encoders.waveform.anchors import Slots, decode_boxes
from encoders.waveform.presets import BOX_VALUES, N_TIMES, SFREQ

NMS_IOU = 0.4
"""A box that overlaps a better one of its class and electrode by more than this is dropped; unstated in the paper."""
MAX_CANDIDATES = 1000
"""Of a window, the best ones; an untrained detector has more."""


@dataclass(frozen=True)
class Detections:
    """Boxes found in a batch of windows, best first within each window, electrode and class; (M,) each.

    Attributes:
        window: which of the B windows.
        electrode: row of `ELECTRODES`.
        kind: index of `WAVEFORM_KINDS`.
        start_s: seconds in the window.
        end_s: seconds in the window.
        score: confidence times probability of the class, 0 to 1.
    """

    window: Tensor
    electrode: Tensor
    kind: Tensor
    start_s: Tensor
    end_s: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.score)


def select_boxes(predictions: Tensor, present: Tensor, slots: Slots, least_score: Tensor) -> Detections:
    """Boxes above the least score of their class, without those that overlap a better one.

    Args:
        predictions: (N, P, 3 + classes) raw.
        present: (B, C) bool; its true places are the N rows.
        slots: of the detector.
        least_score: (classes,).
    """
    scores = predictions[..., :1].sigmoid() * predictions[..., BOX_VALUES:].sigmoid()  # (N, P, classes)
    row, slot, kind = (scores >= least_score.to(scores.device)).nonzero(as_tuple=True)
    score = scores[row, slot, kind]
    if len(score) > MAX_CANDIDATES * len(present):
        best = score.topk(MAX_CANDIDATES * len(present)).indices
        row, slot, kind, score = row[best], slot[best], kind[best], score[best]
    taken = Slots(slots.centre_s[slot], slots.cell_s[slot], slots.anchor_s[slot])
    start, end = decode_boxes(predictions[row, slot, 1], predictions[row, slot, 2], taken)
    start, end = start.clamp(0, N_TIMES / SFREQ), end.clamp(0, N_TIMES / SFREQ)
    group = row * scores.shape[2] + kind
    kept = suppress(start, end, score, group).to(score.device)
    window, electrode = present.nonzero()[row[kept]].unbind(1)
    return Detections(window, electrode, kind[kept], start[kept], end[kept], score[kept])


def suppress(start_s: Tensor, end_s: Tensor, score: Tensor, group: Tensor, iou: float = NMS_IOU) -> Tensor:
    """Indices of the boxes that remain, best first: greedy, within each group by itself. All arguments are (M,)."""
    start_s, end_s, score, group = (each.cpu() for each in (start_s, end_s, score, group))  # float64 is not everywhere
    offset = group.double() * 2 * (end_s.double().max() + 1 if len(end_s) else 1)  # groups never meet
    flat, line = torch.zeros_like(offset), torch.ones_like(offset)
    boxes = torch.stack([start_s.double() + offset, flat, end_s.double() + offset, line], dim=1)
    return nms(boxes, score.double(), iou)
