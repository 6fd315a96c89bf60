"""`WaveformDetector`: anchors, loss and suppression against values worked by hand, and a model that can learn."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from encoders.waveform import (
    BASE_DETECTOR,
    ELECTRODES,
    N_TIMES,
    TINY_DETECTOR,
    WAVEFORM_KINDS,
    Assignment,
    DetectionLoss,
    DetectorPreset,
    WaveformDetector,
    iou_1d,
    suppress,
)
from encoders.waveform.anchors import Slots, assign, decode_boxes, encode_boxes, make_slots
from encoders.waveform.layers import ChannelAttention
from encoders.weights import WeightsError

SMALL = replace(TINY_DETECTOR, stem_width=8, widths=(8, 8, 16, 16), modules=(1, 1, 1, 1), neck_width=8)
PAPER = Assignment()


@pytest.fixture
def small() -> WaveformDetector:
    torch.manual_seed(0)
    detector = WaveformDetector(SMALL)
    for module in detector.modules():
        if isinstance(module, ChannelAttention):  # starts as the identity
            torch.nn.init.normal_(module.out.weight, std=0.2)
    return detector.eval()


def window(n: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    present = torch.ones(n, len(ELECTRODES), dtype=torch.bool)
    present[-1, 5:] = False
    return 30 * torch.randn(n, len(ELECTRODES), N_TIMES, generator=generator), present


def test_slots_are_those_of_the_paper_s_anchors() -> None:
    slots = make_slots(BASE_DETECTOR)
    assert len(slots.centre_s) == 2 * 500 + 63
    assert slots.anchor_s.unique().tolist() == pytest.approx([0.45, 1.5, 9.5])
    assert slots.centre_s[:4].tolist() == pytest.approx([0.01, 0.01, 0.03, 0.03])
    assert slots.cell_s[slots.anchor_s > 9].unique().tolist() == pytest.approx([0.16])


def test_prediction_has_a_row_for_each_recorded_electrode(small: WaveformDetector) -> None:
    signal, present = window()
    with torch.no_grad():
        predictions = small(signal, present)
    assert predictions.shape == (19 + 5, 1063, 3 + 9)
    assert predictions[..., 0].sigmoid().mean() == pytest.approx(0.01, abs=0.005)


def test_missing_electrodes_have_no_effect(small: WaveformDetector) -> None:
    signal, present = window()
    other = signal.clone()
    other[~present] = 1e4
    with torch.no_grad():
        assert torch.equal(small(signal, present), small(other, present))


def test_windows_do_not_see_each_other_and_electrodes_do(small: WaveformDetector) -> None:
    signal, present = window()
    with torch.no_grad():
        both, alone = small(signal, present), small(signal[1:], present[1:])
        signal[1, 0] = signal[1, 0].roll(500)
        changed = small(signal, present)
    torch.testing.assert_close(both[19:], alone, atol=1e-4, rtol=1e-4)
    assert torch.equal(changed[:19], both[:19])
    assert (changed[20:] - both[20:]).abs().max() > 1e-3


def test_order_of_electrodes_has_no_effect_when_embeddings_follow() -> None:
    torch.manual_seed(0)
    layer = ChannelAttention(8, 2, 4)
    torch.nn.init.normal_(layer.out.weight)
    x, order = torch.randn(4, 8, 1, 6), torch.tensor([2, 0, 3, 1])
    present = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        expected = layer(x, present)[order]
        layer.position.copy_(layer.position[order])
        torch.testing.assert_close(layer(x[order], present), expected)


def test_amplitude_is_seen_only_where_it_is_an_input() -> None:
    signal, present = window(1)
    for inputs, same in ((("z",), True), (("z", "amplitude"), False)):
        torch.manual_seed(0)
        detector = WaveformDetector(replace(SMALL, inputs=inputs)).eval()
        with torch.no_grad():
            difference = (detector(signal, present) - detector(3 * signal, present)).abs().max()
        assert (difference < 1e-4) == same


@pytest.mark.parametrize("shape", [(2, 18, N_TIMES), (2, 19, 1000)])
def test_other_shapes_are_refused(small: WaveformDetector, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        small(torch.zeros(shape), torch.ones(shape[:2], dtype=torch.bool))


def test_presets_that_do_not_fit_are_refused() -> None:
    for wrong in ({"widths": (64, 64)}, {"widths": (64, 64, 98, 128)}, {"anchors": ((), (), (), ())}):
        with pytest.raises(ValueError, match="expected"):
            DetectorPreset(**wrong)  # type: ignore[arg-type]


def test_boxes_are_decoded_as_they_are_encoded() -> None:
    slots = Slots(torch.tensor([1.0, 5.0]), torch.tensor([0.02, 0.16]), torch.tensor([0.45, 9.5]))
    start, end = torch.tensor([0.9, 1.0]), torch.tensor([0.96, 9.0])
    shift, scale = encode_boxes(start, end, slots.centre_s, slots.anchor_s)
    assert shift.tolist() == pytest.approx([-0.07 / 0.045, 0.0], abs=1e-5)
    assert scale.tolist() == pytest.approx([math.log(0.06 / 0.45), math.log(8 / 9.5)], abs=1e-4)
    got = decode_boxes(shift, scale, slots)
    torch.testing.assert_close(got, (start, end))


def test_iou_of_intervals() -> None:
    a, b = torch.tensor([0.0, 0.0, 0.0]), torch.tensor([2.0, 2.0, 2.0])
    assert iou_1d(a, b, a + 1, b + 1).tolist() == pytest.approx([1 / 3] * 3)
    assert iou_1d(a, b, a + 3, b + 3).tolist() == [0.0] * 3


def test_box_goes_to_the_best_anchor_in_the_cell_of_its_centre() -> None:
    slots = make_slots(TINY_DETECTOR)
    starts, widths = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([0.05, 1.2, 7.0])
    targets = assign(torch.tensor([0, 0, 2]), starts, starts + widths, 3, slots, PAPER)
    for box, (row, anchor) in enumerate(((0, 0.45), (0, 1.5), (2, 9.5))):
        places = (targets.box == box).nonzero()
        assert places.tolist() == [[row, places[0, 1]]]
        slot = places[0, 1]
        assert slots.anchor_s[slot] == pytest.approx(anchor)
        assert abs(slots.centre_s[slot] - (starts + widths / 2)[box]) <= slots.cell_s[slot] / 2 + 1e-6
    assert (targets.box >= 0).sum() == 3
    assert not targets.ignored.any()


def test_cells_near_the_centre_are_right_and_those_a_little_farther_not_wrong() -> None:
    slots = make_slots(TINY_DETECTOR)
    rule = Assignment(centre_share=0.1, ignored_share=0.2)
    targets = assign(torch.tensor([0]), torch.tensor([4.0]), torch.tensor([5.0]), 1, slots, rule)
    own = slots.anchor_s == 1.5
    right, ignored = slots.centre_s[targets.box[0] == 0], slots.centre_s[targets.ignored[0]]
    assert (right.min().item(), right.max().item()) == pytest.approx((4.41, 4.59), abs=1e-4)
    assert (ignored.min().item(), ignored.max().item()) == pytest.approx((4.31, 4.69), abs=1e-4)
    assert (len(right), len(ignored)) == (10, 10)
    assert own[targets.ignored[0]].all()


def test_shorter_box_has_the_slot_that_two_want() -> None:
    slots = make_slots(TINY_DETECTOR)
    starts, ends = torch.tensor([4.9, 4.85]), torch.tensor([5.1, 5.15])
    for order in ([0, 1], [1, 0]):
        targets = assign(torch.tensor([0, 0]), starts[order], ends[order], 1, slots, PAPER)
        assert targets.box[targets.box >= 0].tolist() == [order.index(0)]


def test_loss_of_the_paper_by_hand() -> None:
    slots = make_slots(TINY_DETECTOR)
    boxes = torch.tensor([[0.0, 4.0, 1.0, 2.2]])  # a spindle of 1.2 s: anchor 1.5, centre in the cell at 1.61
    predictions = torch.zeros(1, len(slots.centre_s), 12)
    losses = DetectionLoss()(predictions, boxes, slots)
    shift, scale = (1.6 - 1.61) / 0.15, math.log(1.2 / 1.5)
    log2 = math.log(2)
    assert losses["box_loss"].item() == pytest.approx(shift**2 + scale**2, rel=1e-3)
    assert losses["class_loss"].item() == pytest.approx(9 * log2, rel=1e-4)
    assert losses["confidence_loss"].item() == pytest.approx((5 + 0.5 * 1062) * log2, rel=1e-4)
    total = 10 * losses["box_loss"] + losses["confidence_loss"] + losses["class_loss"]
    assert losses["loss"].item() == pytest.approx(total.item())


@pytest.mark.parametrize("box_loss", ["mse", "iou"])
def test_perfect_predictions_cost_nothing(box_loss: str) -> None:
    slots = make_slots(TINY_DETECTOR)
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.05], [1.0, 5.0, 2.0, 9.0]])
    loss = DetectionLoss(box_loss=box_loss, assignment=Assignment(0.15, 0.3, 0.75))
    targets = assign(boxes[:, 0].long(), boxes[:, 2], boxes[:, 3], 2, slots, loss.assignment)
    predictions = torch.full((2, len(slots.centre_s), 12), -20.0)
    for number, box in enumerate(boxes):
        mine = targets.box == number
        centre, anchor = (each.expand(2, -1)[mine] for each in (slots.centre_s, slots.anchor_s))
        predictions[mine] = torch.full((12,), -20.0)
        rows = mine.nonzero()
        predictions[rows[:, 0], rows[:, 1], 0] = 20.0
        shift, scale = encode_boxes(box[2].expand_as(centre), box[3].expand_as(centre), centre, anchor)
        predictions[rows[:, 0], rows[:, 1], 1], predictions[rows[:, 0], rows[:, 1], 2] = shift, scale
        predictions[rows[:, 0], rows[:, 1], 3 + int(box[1])] = 20.0
    assert loss(predictions, boxes, slots)["loss"].item() == pytest.approx(0, abs=1e-3)


def test_windows_without_a_box_still_cost_confidence() -> None:
    slots = make_slots(TINY_DETECTOR)
    losses = DetectionLoss()(torch.zeros(1, len(slots.centre_s), 12), torch.zeros(0, 4), slots)
    assert (losses["box_loss"], losses["class_loss"]) == (0, 0)
    assert losses["confidence_loss"].item() == pytest.approx(0.5 * 1063 * math.log(2), rel=1e-4)


def test_suppression_equals_the_plain_way() -> None:
    generator = torch.Generator().manual_seed(0)
    start = 10 * torch.rand(200, generator=generator)
    end = start + 0.03 + 1.5 * torch.rand(200, generator=generator) ** 3
    score, group = torch.rand(200, generator=generator), torch.randint(5000, 5004, (200,), generator=generator)
    expected: list[int] = []
    for one in score.argsort(descending=True).tolist():
        if all(group[one] != group[k] or iou_1d(start[one], end[one], start[k], end[k]) <= 0.4 for k in expected):
            expected.append(one)
    assert suppress(start, end, score, group, 0.4).tolist() == expected
    assert 50 < len(expected) < 200


def test_it_learns_a_few_windows() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3)
    signal, boxes = 5 * torch.randn(2, len(ELECTRODES), N_TIMES, generator=generator), []
    present = torch.zeros(2, len(ELECTRODES), dtype=torch.bool)
    present[:, :3] = True
    for row, (kind, start, end) in enumerate(((6, 2.0, 2.4), (4, 5.0, 6.2), (5, 1.0, 8.0)) * 2):
        begin, stop = round(200 * start), round(200 * end)
        t = torch.arange(stop - begin) / 200
        shape = {6: 100 * torch.sin(math.pi * t / t[-1]), 4: 30 * torch.sin(26 * math.pi * t)}
        noise = 40 * torch.randn(stop - begin, generator=generator)
        signal[row // 3, row % 3, begin:stop] += shape.get(kind, noise)
        boxes.append([row, kind, start, end])
    detector = WaveformDetector(SMALL)
    loss = DetectionLoss(2.0, 1.0, 1.0, 1.0, "iou", Assignment(0.15, 0.3, 0.75))
    optimizer = torch.optim.Adam(detector.parameters(), 1e-2)
    first, value = 0.0, torch.tensor(0.0)
    for _ in range(100):
        value = loss(detector(signal, present), torch.tensor(boxes), detector.slots)["loss"]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        first = first or value.item()
    assert value.item() < 0.1 * first
    found = detector.detect(signal, present, 0.5)  # batch statistics: what was trained
    truth = {(row // 3, row % 3, kind): (start, end) for row, (_, kind, start, end) in enumerate(boxes)}
    assert len(found) == len(truth)
    for window_, electrode, kind, start, end in zip(
        *(x.tolist() for x in (found.window, found.electrode, found.kind, found.start_s, found.end_s)), strict=True
    ):
        low, high = truth[window_, electrode, kind]
        assert iou_1d(*(torch.tensor(x) for x in (start, end, low, high))) > 0.5


def test_thresholds_are_one_of_each_class(small: WaveformDetector) -> None:
    signal, present = window()
    low = dict.fromkeys(WAVEFORM_KINDS, 1.0) | {"spindle": 0.0}
    assert set(small.detect(signal, present, low).kind.tolist()) == {WAVEFORM_KINDS.index("spindle")}
    assert len(small.detect(signal, present)) == 0
    assert len(small.detect(signal, present, 1)) == 0


def test_saved_detector_is_the_same(small: WaveformDetector, tmp_path: Path) -> None:
    small.thresholds["spike"] = 0.125
    small.save_pretrained(tmp_path / "new" / "mine", trained="test")
    again = WaveformDetector.from_pretrained(tmp_path / "new" / "mine")
    assert (again.preset, again.thresholds) == (small.preset, small.thresholds)
    assert not again.training
    signal, present = window()
    with torch.no_grad():
        assert torch.equal(again(signal, present), small(signal, present))
    config = json.loads((tmp_path / "new" / "mine.json").read_text())
    assert config["trained"] == "test"


def test_wrong_files_are_refused(small: WaveformDetector, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected one of"):
        WaveformDetector.from_pretrained(tmp_path / "nothing")
    small.save_pretrained(tmp_path / "mine")
    config = json.loads((tmp_path / "mine.json").read_text())
    (tmp_path / "mine.json").write_text(json.dumps(config | {"kinds": ["spike"]}))
    with pytest.raises(ValueError, match="other classes"):
        WaveformDetector.from_pretrained(tmp_path / "mine")
    config["preset"]["neck_width"] = 16
    (tmp_path / "mine.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="misshaped"):
        WaveformDetector.from_pretrained(tmp_path / "mine")
