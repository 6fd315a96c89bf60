"""Training data, metrics, task and evaluation of the waveform detector."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import seed_everything

from corpus import waveforms
from corpus.preprocess import preprocess
from corpus.recording import Recording
from corpus.simulate import TEN_TWENTY, detector_preset, simulate
from encoders import waveform
from encoders.waveform import ELECTRODES, TINY_DETECTOR, WAVEFORM_KINDS, Detections, DetectorPreset, WaveformDetector
from neuronarrator.cli import run_trainer
from neuronarrator.commands.detector import add_detector_command
from neuronarrator.detection.data import (
    CropPool,
    DetectionAugmentation,
    LabelledRecording,
    augment_window,
    collate_windows,
    cut_boxes,
    label_recording,
    segment_windows,
    simulate_labelled,
)
from neuronarrator.detection.marks import mark_recording
from neuronarrator.evaluate.detector import detection_report, evaluate_detector, format_detector
from neuronarrator.metrics.detection import (
    DetectionScores,
    average_precision,
    error_table,
    event_scores,
    map_interval,
    operating_points,
)
from neuronarrator.metrics.marks import match_marks, to_marks

SMALL = replace(TINY_DETECTOR, stem_width=8, widths=(8, 8, 16, 16), modules=(1, 1, 1, 1), neck_width=8)
NO_CHANGE = DetectionAugmentation(noise_uv=0, log_gain=0, drop_channels=0, mirror=0, low_cut=0)


@pytest.fixture(scope="module")
def person() -> LabelledRecording:
    return simulate_labelled(1)


def test_encoders_and_corpus_mean_the_same() -> None:
    assert waveforms.WAVEFORM_KINDS == WAVEFORM_KINDS
    assert ELECTRODES == TEN_TWENTY


def test_boxes_are_those_of_the_simulator() -> None:
    simulation = simulate(detector_preset(1), 1)
    labelled = label_recording(simulation.recording, simulation.boxes)
    boxes = [box for box in simulation.boxes if box.kind in WAVEFORM_KINDS]
    assert len(labelled.boxes) == len(boxes) > 30
    for row, box in zip(labelled.boxes.tolist(), boxes, strict=True):
        assert (ELECTRODES[int(row[0])], WAVEFORM_KINDS[int(row[1])]) == (box.ch_name, box.kind)
        assert row[2:] == pytest.approx([box.start_s, box.start_s + box.duration_s], abs=1e-4)
    row = simulation.recording.ch_names.index("O1")
    np.testing.assert_allclose(
        labelled.signal_uv[ELECTRODES.index("O1")], simulation.recording.signal_uv[row], rtol=1e-3, atol=1e-3
    )


def test_boxes_are_cut_as_waveforms_are() -> None:
    boxes = np.array([[0, 1, 8.0, 9.0], [0, 1, 9.0, 11.5], [0, 1, 9.8, 10.3], [0, 1, 9.7, 10.2], [0, 1, 25, 26]])
    got = cut_boxes(boxes, 0.0)
    assert got[:, 2:].tolist() == [[8.0, 9.0], [9.0, 10.0], [9.7, 10.0]]
    assert cut_boxes(boxes, 10.0)[:, 2:].tolist() == [[0.0, 1.5], [pytest.approx(0.0), pytest.approx(0.3)]]


def test_windows_follow_each_other(person: LabelledRecording) -> None:
    windows = segment_windows(person)
    assert len(windows) == 6
    np.testing.assert_array_equal(np.concatenate([w.signal_uv for w in windows], axis=1), person.signal_uv)
    batch = collate_windows(windows)
    assert batch.signal_uv.shape == (6, 19, 2000)
    assert len(batch.boxes) == sum(len(w.boxes) for w in windows)


def test_packed_boxes_count_recorded_electrodes_only(person: LabelledRecording) -> None:
    batch = collate_windows(segment_windows(augmented(person, drop_channels=1.0)))
    rows = batch.present.nonzero()
    for packed, box in zip(batch.packed_boxes.tolist(), batch.boxes.tolist(), strict=True):
        assert rows[int(packed[0])].tolist() == [int(box[0]), int(box[1])]
        assert packed[1:] == box[2:]
    assert 0 < batch.present.sum() < 19 * 6
    assert not batch.signal_uv[~batch.present].any()


def augmented(person: LabelledRecording, **options: float) -> LabelledRecording:
    return augment_window(
        replace(person, signal_uv=person.signal_uv.astype(np.float32)),
        replace(NO_CHANGE, **options),
        np.random.default_rng(0),
    )


def test_mirror_changes_sides_of_signal_and_boxes_alike(person: LabelledRecording) -> None:
    mirrored = augmented(person, mirror=1.0)
    left, right, middle = (ELECTRODES.index(name) for name in ("F7", "F8", "Cz"))
    np.testing.assert_array_equal(mirrored.signal_uv[left], person.signal_uv[right])
    np.testing.assert_array_equal(mirrored.signal_uv[middle], person.signal_uv[middle])
    np.testing.assert_array_equal(
        mirrored.boxes[mirrored.boxes[:, 0] == left, 1:], person.boxes[person.boxes[:, 0] == right, 1:]
    )


def test_augmentations_do_what_they_say(person: LabelledRecording) -> None:
    same = augmented(person)
    np.testing.assert_array_equal(same.signal_uv, person.signal_uv)
    noisy = augmented(person, noise_uv=2.0).signal_uv - person.signal_uv.astype(np.float32)
    assert 0.05 < noisy.std() < 2.0
    quiet = augmented(person, low_cut=1.0).signal_uv
    spectrum = [np.abs(np.fft.rfft(x, axis=1)).mean(0) for x in (quiet, person.signal_uv.astype(np.float32))]
    hz = np.fft.rfftfreq(quiet.shape[1], 1 / 200)
    assert spectrum[0][hz < 0.1].sum() < 0.3 * spectrum[1][hz < 0.1].sum()
    np.testing.assert_allclose(spectrum[0][hz > 30], spectrum[1][hz > 30], rtol=0.02)


def test_a_crop_depends_on_seed_and_item_alone_and_persons_change() -> None:
    options: dict[str, Any] = {"recordings": 2, "fresh": 1, "batch_size": 3, "n_batches": 2}
    pool = CropPool(**options, seed=5, augmentation=DetectionAugmentation())
    items = [pool[item] for item in (0, 1, 2)]
    assert min(pool._kept) >= 6
    again = CropPool(**options, seed=5, augmentation=DetectionAugmentation())[2]
    assert torch.equal(again.signal_uv, items[2].signal_uv)
    assert torch.equal(again.boxes, items[2].boxes)
    assert not torch.equal(items[0].signal_uv, items[1].signal_uv)


def table(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, float)


def test_average_precision_by_hand() -> None:
    hits = np.array([True, False, True, False])
    assert average_precision(hits, 4) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert average_precision(np.array([False, True, True]), 2) == pytest.approx(2 / 3)  # the envelope
    assert average_precision(np.array([], bool), 3) == 0
    assert np.isnan(average_precision(hits, 0))
    nobody = np.array([], int)
    assert map_interval([(hits, np.zeros(4, int), nobody)], 2, 10, 0) is None


def test_marks_meet_on_one_electrode_of_one_window_and_boxes_are_hit_once() -> None:
    true = to_marks(table((0, 1, 0, 1.0, 2.0), (0, 1, 0, 5.0, 6.0)))
    found = to_marks(
        table(
            (0, 1, 0, 1.1, 2.0, 0.9),
            (0, 1, 0, 1.0, 2.0, 0.8),  # the box is taken
            (0, 2, 0, 5.0, 6.0, 0.7),  # another electrode
            (1, 1, 0, 5.0, 6.0, 0.6),  # another window
            (0, 1, 0, 5.4, 6.4, 0.5),  # IoU 0.43
        )
    ).of(0)
    assert match_marks(found, true, 0.5).tolist() == [0, -1, -1, -1, -1]
    assert match_marks(found, true, 0.4).tolist() == [0, -1, -1, -1, 1]
    assert match_marks(found, true, 0.4, again=True).tolist() == [0, 0, -1, -1, 1]


def test_best_f1_gives_the_threshold() -> None:
    hits, scores = np.array([True, True, False, True, False]), np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    best = operating_points(hits, scores, 4, None)
    assert (best.threshold, best.precision, best.recall, best.f1) == pytest.approx((0.6, 0.75, 0.75, 0.75))
    fixed = operating_points(hits, scores, 4, 0.75)
    assert (fixed.precision, fixed.recall) == (1.0, 0.5)
    assert operating_points(hits, scores, 4, 0.95).f1 == 0


def test_scores_collect_over_batches() -> None:
    metric = DetectionScores(("a", "b", "c"))
    box, mark = torch.tensor([[0, 3, 0, 1.0, 2.0]]), torch.tensor([[0, 3, 0, 1.0, 2.0, 0.9]])
    metric.update(mark, box, 1)
    metric.update(torch.empty(0, 6), torch.tensor([[0, 3, 0, 1.0, 2.0], [0, 3, 1, 1.0, 2.0]]), 1)
    values = {name: value.item() for name, value in metric.compute().items()}
    assert values["ap_50_a"] == pytest.approx(0.5)  # the mark of the first batch does not meet the second
    assert values["ap_50_b"] == 0
    assert np.isnan(values["ap_50_c"])
    assert values["map_50"] == pytest.approx(0.25)  # over the classes that occur


def test_events_as_szcore_counts_them() -> None:
    scores = event_scores([(0.5, 1.5), (4.0, 5.0), (8.0, 9.0)], [(1.0, 2.0), (4.9, 6.0), (20.0, 21.0)], 3600.0)
    assert (scores["sensitivity"], scores["precision"]) == pytest.approx((2 / 3, 2 / 3))
    assert scores["false_per_day"] == pytest.approx(24)
    strict = event_scores([(4.0, 5.0)], [(4.9, 6.0)], 10.0, min_overlap=0.5)
    assert (strict["hits"], strict["false"]) == (0, 0)
    assert event_scores([(3.0, 4.0)], [(4.9, 6.0)], 10.0, tolerance_s=(1.0, 0.0))["hits"] == 1


def test_errors_are_told_apart() -> None:
    true = to_marks(table((0, 0, 0, 1.0, 2.0), (0, 0, 1, 5.0, 6.0), (0, 0, 0, 8.0, 9.0)))
    found = to_marks(
        table(
            (0, 0, 0, 1.0, 2.0, 0.9),  # hit
            (0, 0, 0, 8.7, 9.7, 0.9),  # misplaced
            (0, 0, 0, 5.0, 6.0, 0.9),  # is a b
            (0, 0, 0, 3.0, 4.0, 0.9),  # nothing there
            (0, 0, 0, 3.0, 4.0, 0.1),  # below the threshold
        )
    )
    row = error_table(found, true, ("a", "b"), (0.5, 0.5))["a"]
    assert row == {"hits": 1, "missed": 1, "misplaced": 1, "confused": {"b": 1}, "background": 1}


def test_perfect_detector_scores_one(person: LabelledRecording) -> None:
    windows = collate_windows(segment_windows(person))
    true = windows.boxes.numpy().astype(float)
    found = np.column_stack([true, np.full(len(true), 0.99)])
    report = detection_report(WaveformDetector(SMALL), to_marks(found), to_marks(true), np.zeros(6, int), resamples=5)
    assert report["map_50"] == 1
    assert report["map_50_interval"] == [1, 1]
    there = [row for row in report["classes"].values() if row["n_true"]]
    assert len(there) >= 3
    assert all(row["f1"] == row["events"]["f1"] == 1 for row in there)
    assert report["calibration"]["ece"] == pytest.approx(0.01, abs=1e-6)


class FixedDetector(WaveformDetector):
    """Marks a spindle of one second at 4.5 s of each window, and noise all along the window, on one electrode."""

    def __init__(self, preset: DetectorPreset, on: str = "Cz") -> None:
        super().__init__(preset)
        self.on = on

    def detect(self, signal_uv: torch.Tensor, present: torch.Tensor, threshold: Any = None) -> Detections:
        n, row = len(signal_uv), ELECTRODES.index(self.on)
        windows = torch.arange(n).repeat_interleave(2)
        kinds = torch.tensor([WAVEFORM_KINDS.index("spindle"), WAVEFORM_KINDS.index("hfnoise")]).repeat(n)
        starts, ends = torch.tensor([4.5, 0.0]).repeat(n), torch.tensor([5.5, 10.0]).repeat(n)
        return Detections(windows, torch.full_like(windows, row), kinds, starts, ends, torch.full((2 * n,), 0.8))


def test_marks_of_a_recording_are_owned_and_joined() -> None:
    signal = np.zeros((2, 200 * 33), np.float32)
    recording = Recording(signal_uv=signal, sfreq=200.0, ch_names=("Cz", "AFz"))
    marks = mark_recording(FixedDetector(SMALL), recording)
    spindles = [mark.start_s for mark in marks if mark.kind == "spindle"]
    assert spindles == pytest.approx([4.5, 9.5, 14.5, 19.5, 24.5, 27.5])
    noise = [mark for mark in marks if mark.kind == "hfnoise"]
    assert [(mark.start_s, mark.end_s, mark.ch_names) for mark in noise] == [(0.0, pytest.approx(33.0), ("Cz",))]
    assert mark_recording(FixedDetector(SMALL), replace(recording, ch_names=("AFz", "FCz"))) == []
    with pytest.raises(ValueError, match="200"):
        mark_recording(FixedDetector(SMALL), replace(recording, sfreq=256.0))


def test_it_trains_from_its_experiment_and_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(waveform.DETECTOR_PRESETS, "tiny", SMALL)
    root = Path(__file__).resolve().parents[2]
    seed_everything(0)
    run_trainer(
        [
            "fit",
            f"--config={root / 'experiments' / 'detect' / 'tiny.yaml'}",
            f"--model.save_to={tmp_path / 'mine'}",
            "--data.recordings=2",
            "--data.fresh=1",
            "--data.val_recordings=1",
            "--data.batch_size=2",
            "--data.batches_per_epoch=2",
            "--data.num_workers=0",
            "--trainer.max_epochs=1",
            f"--trainer.default_root_dir={tmp_path}",
            "--trainer.logger=false",
            "--trainer.callbacks=null",
            "--trainer.enable_checkpointing=false",
            "--trainer.enable_progress_bar=false",
            "--trainer.log_every_n_steps=1",
        ]
    )
    detector = WaveformDetector.from_pretrained(tmp_path / "mine")
    assert detector.preset == SMALL
    scores = evaluate_detector(detector, persons=1)
    assert set(scores["classes"]) == set(WAVEFORM_KINDS)
    assert 0 <= scores["map_50"] <= 1
    json.dumps(scores, allow_nan=False)
    assert "spindle" in format_detector(scores)


def shipped() -> WaveformDetector:
    try:
        return WaveformDetector.from_pretrained("tiny")
    except FileNotFoundError:
        pytest.skip("no detector ships with this checkout: train experiments/detect/tiny.yaml and copy it there")


def sleep_sample(shared_data: Path, name: str, sfreq: float) -> Recording:
    signal = np.loadtxt(shared_data / "sleep_samples" / name, ndmin=2).T.astype(np.float32)
    return preprocess(Recording(signal_uv=signal, sfreq=sfreq, ch_names=("Cz",)))


def test_shipped_detector_finds_the_spindles_of_real_sleep(shared_data: Path) -> None:
    """YASA's sample of N2 sleep has two spindles, at 3.3-4.1 s and 13.3-13.9 s; its sample of N3 has none."""
    detector = shipped()
    marks = mark_recording(detector, sleep_sample(shared_data, "data_N2_spindles_15sec_200Hz.txt", 200.0))
    spindles = [mark for mark in marks if mark.kind == "spindle"]
    for start, end in ((3.32, 4.06), (13.26, 13.85)):
        assert any(mark.start_s < end and mark.end_s > start for mark in spindles)
    deep = mark_recording(detector, sleep_sample(shared_data, "data_N3_no-spindles_30sec_100Hz.txt", 100.0))
    assert sum(mark.kind == "spindle" for mark in deep) <= 1


@pytest.mark.slow
def test_shipped_detector_keeps_its_quality() -> None:
    scores = evaluate_detector(shipped(), persons=60)
    assert scores["map_50"] >= 0.80
    assert min(row["ap_50"] for row in scores["classes"].values()) >= 0.6


def test_command_writes_its_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    WaveformDetector(SMALL).save_pretrained(tmp_path / "mine")
    parser = argparse.ArgumentParser()
    add_detector_command(parser.add_subparsers())
    words = ["detector", "--persons=1", f"--model={tmp_path / 'mine'}", f"--json={tmp_path / 'out' / 'scores.json'}"]
    args = parser.parse_args(words)
    assert args.run(args) == 0
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"map_50", "classes"} <= set(scores)
    assert "mAP@0.5" in capsys.readouterr().out


def write_excerpt(folder: Path) -> None:
    """Half an hour in the layout of DREAMS: two experts agree on one spindle of two."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    (folder / "excerpt1.txt").write_text("[C3-A1]\n" + "\n".join(f"{x:.1f}" for x in 20 * rng.normal(size=1800 * 100)))
    for expert, spans in ((1, ((4.6, 0.8), (52.0, 1.0))), (2, ((4.5, 1.0),))):
        rows = "\n".join(f"{start} {length}" for start, length in spans)
        (folder / f"Visual_scoring{expert}_excerpt1.txt").write_text(f"[vis{expert}_Spindles/C3-A1]\n{rows}\n")


def test_experts_are_met_on_their_channel(tmp_path: Path) -> None:
    write_excerpt(tmp_path / "DatabaseSpindles")
    scores = evaluate_detector(FixedDetector(SMALL, on="C3"), tmp_path, dataset="dreams")
    pair = ("detector", "Visual_scoring1_excerpt1.txt")
    row = next(row for row in scores["recordings"] if (row["found_by"], row["true_by"]) == pair)
    assert (row["hits"], row["n_true"], row["electrode"]) == (1, 2, "C3")
    assert row["false"] > 100
    between = scores["classes"]["spindle"]["experts"]
    assert (between["f1"], between["f1_iou_20"], between["n"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1)
    assert "experts" in format_detector(scores)
