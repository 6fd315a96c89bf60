"""Anchors of the waveform detector, what they predict, and which of them has to find which box.

Shapes: N electrodes of a batch that were recorded, P slots (an anchor in a cell) of one electrode, M boxes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from encoders.waveform.presets import N_TIMES, SFREQ, DetectorPreset

SHIFT_UNIT = 0.1
"""The displacement is predicted in tenths of the anchor."""
MAX_LOG_SCALE = 4.0


@dataclass(frozen=True)
class Slots:
    """Where the predictions of one electrode are: level by level, cell by cell, anchor by anchor. Each (P,), seconds.

    Attributes:
        centre_s: middle of the cell.
        cell_s: duration of the cell.
        anchor_s: duration of the anchor.
    """

    centre_s: Tensor
    cell_s: Tensor
    anchor_s: Tensor

    def to(self, device: torch.device | str) -> "Slots":
        """The same on another device."""
        return Slots(self.centre_s.to(device), self.cell_s.to(device), self.anchor_s.to(device))


def make_slots(preset: DetectorPreset) -> Slots:
    """The slots of a preset, for a window of `N_TIMES` samples."""
    rows = [
        ((cell + 0.5) * stride / SFREQ, stride / SFREQ, anchor)
        for stride, anchors in zip(preset.strides, preset.anchors, strict=True)
        for cell in range(-(-N_TIMES // stride))
        for anchor in anchors
    ]
    return Slots(*torch.tensor(rows).unbind(1))


def decode_boxes(shift: Tensor, log_scale: Tensor, slots: Slots) -> tuple[Tensor, Tensor]:
    """Start and end in seconds, (..., P) each, of predicted displacements and logarithms of scales (..., P)."""
    centre = slots.centre_s + shift * SHIFT_UNIT * slots.anchor_s
    half = slots.anchor_s * log_scale.clamp(-MAX_LOG_SCALE, MAX_LOG_SCALE).exp() / 2
    return centre - half, centre + half


def encode_boxes(start_s: Tensor, end_s: Tensor, centre_s: Tensor, anchor_s: Tensor) -> tuple[Tensor, Tensor]:
    """Displacement and logarithm of the scale of boxes for the slots given, all of one shape: undoes `decode_boxes`."""
    shift = ((start_s + end_s) / 2 - centre_s) / (SHIFT_UNIT * anchor_s)
    return shift, ((end_s - start_s) / anchor_s).log()


def iou_1d(start_a: Tensor, end_a: Tensor, start_b: Tensor, end_b: Tensor) -> Tensor:
    """Intersection over union of intervals, broadcast over their shapes."""
    inside = (torch.minimum(end_a, end_b) - torch.maximum(start_a, start_b)).clamp_min(0)
    return inside / ((end_a - start_a) + (end_b - start_b) - inside).clamp_min(1e-9)


@dataclass(frozen=True)
class Assignment:
    """How slots are chosen for boxes.

    The paper assigns a box to the anchor with the highest intersection over union, in the cell of its centre; that is
    the default. Long waveforms have no sharp centre: with one cell right and its neighbours wrong, confidence is
    smeared over many cells. With `centre_share` all cells near the centre are right, and those a little farther off
    are neither right nor wrong.

    Attributes:
        centre_share: cells up to this share of the duration from the centre are right.
        ignored_share: cells up to this share are not wrong.
        anchor_share: anchors that fit at least this share as well as the best one are right as well; 1 takes the best.
    """

    centre_share: float = 0.0
    ignored_share: float = 0.0
    anchor_share: float = 1.0


@dataclass(frozen=True)
class Targets:
    """What each slot has to predict.

    Attributes:
        box: (N, P) index of the box, -1 where there is none.
        ignored: (N, P) bool, neither right nor wrong.
    """

    box: Tensor
    ignored: Tensor


def assign(row: Tensor, start_s: Tensor, end_s: Tensor, n_rows: int, slots: Slots, rule: Assignment) -> Targets:
    """Assign boxes to slots; where two want one slot, the shorter box has it.

    Args:
        row: (M,) electrode of each box, 0 to n_rows - 1.
        start_s: (M,) seconds in the window.
        end_s: (M,) seconds in the window.
        n_rows: N.
        slots: where the predictions are.
        rule: how they are chosen.
    """
    n_slots = len(slots.centre_s)
    device = slots.centre_s.device
    rank_of_slot = torch.zeros(n_rows * n_slots, dtype=torch.long, device=device)
    ignored = torch.zeros(n_rows * n_slots, dtype=torch.bool, device=device)
    if not len(row):
        return Targets(rank_of_slot.view(n_rows, n_slots) - 1, ignored.view(n_rows, n_slots))
    order = torch.argsort(end_s - start_s, descending=True, stable=True)
    row, start_s, end_s = row[order], start_s[order], end_s[order]
    width, centre = (end_s - start_s)[:, None], ((start_s + end_s) / 2)[:, None]
    fit = torch.minimum(width, slots.anchor_s) / torch.maximum(width, slots.anchor_s)  # (M, P)
    fits = fit >= rule.anchor_share * fit.amax(1, keepdim=True) - 1e-6
    away = (slots.centre_s - centre).abs()
    inside = (centre >= slots.centre_s - slots.cell_s / 2) & (centre < slots.centre_s + slots.cell_s / 2)
    right = fits & (inside | (away <= rule.centre_share * width))
    near = fits & ~right & (away <= rule.ignored_share * width)
    place = row[:, None] * n_slots + torch.arange(n_slots, device=device)
    rank = torch.arange(1, len(row) + 1, device=device)[:, None].expand_as(place)
    rank_of_slot.scatter_reduce_(0, place[right], rank[right], "amax")
    ignored[place[near]] = True
    box = torch.where(rank_of_slot > 0, order[(rank_of_slot - 1).clamp_min(0)], -1)
    return Targets(box.view(n_rows, n_slots), (ignored & (box < 0)).view(n_rows, n_slots))
