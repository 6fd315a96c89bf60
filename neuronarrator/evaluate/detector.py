"""The waveform detector on persons that it has never seen: simulated ones, or recordings in which experts marked.

Every class is reported by itself, with what its errors are: that is what the reviewers of CerebraGloss asked for.
"""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from encoders.waveform import WAVEFORM_KINDS, WaveformDetector
from neuronarrator.detection.data import TEST_SEED, collate_windows, segment_windows, simulate_labelled
from neuronarrator.detection.task import LEAST_SCORE, as_table
from neuronarrator.evaluate.expert_marks import against_experts
from neuronarrator.metrics.calibration import BINS, reliability
from neuronarrator.metrics.detection import (
    IOUS,
    MAIN_IOU,
    average_precision,
    error_table,
    event_scores,
    map_interval,
    mean_of_known,
    operating_points,
)
from neuronarrator.metrics.marks import Marks, match_marks, to_marks

PERSONS, RESAMPLES = 200, 500
PAPER = {
    "spindle": 0.71, "Kcomplex": 0.47, "hfnoise": 0.75, "eyem": 0.76, "eyer+": 0.04, "eyer-": 0.15,
    "sharp": 0.63, "spike": 0.19, "spsw": 0.00,
}  # fmt: skip
"""AP at IoU 0.5 of CerebraGloss-YOLO on its own private bench (Table 6): other data, not comparable by number."""


def evaluate_detector(
    detector: WaveformDetector,
    data: str | Path | None = None,
    dataset: str | None = None,
    persons: int = PERSONS,
    seed: int = TEST_SEED,
) -> dict[str, Any]:
    """Score a detector.

    Args:
        detector: on any device.
        data: folder of recordings in which experts marked waveforms; None: simulated persons.
        dataset: how `data` is published, such as "dreams".
        persons: how many to simulate, a minute each.
        seed: of the first of them.

    Returns:
        Of simulated persons `map_50`, `map` at each IoU and `classes`; of experts' marks `recordings` and `classes`.

    Raises:
        RecordingError: no recording can be used, or none has marks of the classes.
    """
    detector.eval()
    if data is not None:
        return against_experts(detector, data, dataset)
    found, true, person = _simulated(detector, range(seed, seed + persons))
    return {"source": "simulated", "persons": persons, "seed": seed, **detection_report(detector, found, true, person)}


def _simulated(detector: WaveformDetector, seeds: range) -> tuple[Marks, Marks, np.ndarray]:
    """Marks and boxes of simulated persons, and the person of each window."""
    device, found, true = detector.slot_table.device, [], []
    person: list[int] = []
    for number, seed in enumerate(tqdm(seeds, desc="evaluate", unit="person")):
        batch = collate_windows(segment_windows(simulate_labelled(seed))).to(device)
        table = as_table(detector.detect(batch.signal_uv, batch.present, LEAST_SCORE)).cpu().numpy()
        boxes = batch.boxes.cpu().numpy().astype(np.float64)
        table[:, 0] += len(person)
        boxes[:, 0] += len(person)
        found.append(table)
        true.append(boxes)
        person += [number] * len(batch)
    return to_marks(np.concatenate(found)), to_marks(np.concatenate(true)), np.array(person)


def detection_report(
    detector: WaveformDetector, found: Marks, true: Marks, person: np.ndarray, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Average precision, operating points, events, errors and calibration of each class.

    Args:
        detector: whose thresholds count.
        found: all marks.
        true: all boxes.
        person: of each window, (W,); windows are those of `Marks.place`.
        resamples: of the persons, for the interval of the mean average precision.
    """
    thresholds = [detector.thresholds[kind] for kind in WAVEFORM_KINDS]
    errors = error_table(found, true, WAVEFORM_KINDS, thresholds)
    classes: dict[str, Any] = {}
    hits_of: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    for number, kind in enumerate(WAVEFORM_KINDS):
        mine, boxes = found.of(number), true.of(number)
        matched = {iou: match_marks(mine, boxes, iou) >= 0 for iou in IOUS}
        point = operating_points(matched[MAIN_IOU], mine.score, len(boxes), thresholds[number])
        classes[kind] = {
            "n_true": len(boxes),
            "ap_50": _finite(average_precision(matched[MAIN_IOU], len(boxes))),
            "ap": {f"{iou:g}": _finite(average_precision(matched[iou], len(boxes))) for iou in IOUS},
            "threshold": point.threshold,
            "precision": point.precision,
            "recall": point.recall,
            "f1": point.f1,
            "f1_at": {
                f"{iou:g}": operating_points(matched[iou], mine.score, len(boxes), thresholds[number]).f1
                for iou in IOUS
            },
            "events": _events(mine.rows(np.flatnonzero(mine.score >= thresholds[number])), boxes, len(person)),
            "errors": errors[kind],
            "calibration": _calibration(mine.score, matched[MAIN_IOU]),
            "paper_ap_50": PAPER[kind],
        }
        hits_of[kind] = (matched[MAIN_IOU], person[mine.place // 1000], person[boxes.place // 1000])
    scores = np.concatenate([found.of(number).score for number in range(len(WAVEFORM_KINDS))])
    right = np.concatenate([hits_of[kind][0] for kind in WAVEFORM_KINDS])
    return {
        "map_50": mean_of_known(classes[kind]["ap_50"] for kind in WAVEFORM_KINDS),
        "map_50_interval": map_interval(list(hits_of.values()), int(person.max()) + 1, resamples, 0),
        "map": {f"{iou:g}": mean_of_known(classes[kind]["ap"][f"{iou:g}"] for kind in WAVEFORM_KINDS) for iou in IOUS},
        "classes": classes,
        "calibration": _calibration(scores, right),
        "least_score": LEAST_SCORE,
    }


def _calibration(scores: np.ndarray, right: np.ndarray) -> dict[str, Any] | None:
    """`reliability` of the scores of marks, and its curve: mean score, share right and count of each bin."""
    if not len(scores):
        return None
    group = np.minimum((scores * BINS).astype(int), BINS - 1)
    curve = [
        {"score": float(scores[here].mean()), "right": float(right[here].mean()), "n": int(here.sum())}
        for number in range(BINS)
        if (here := group == number).any()
    ]
    return {**reliability(scores.tolist(), right.tolist()), "curve": curve}


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value


def _events(found: Marks, true: Marks, n_windows: int) -> dict[str, float]:
    """Events of one class on any electrode: marks of a window that overlap are one (any-overlap scoring)."""
    places = [_merged(marks) for marks in (found, true)]
    totals = {"hits": 0, "false": 0, "n_true": 0}
    for window in sorted(set(places[0]) | set(places[1])):
        scores = event_scores(places[0].get(window, []), places[1].get(window, []), 1.0)
        totals = {key: totals[key] + int(scores[key]) for key in totals}
    sensitivity = totals["hits"] / totals["n_true"] if totals["n_true"] else 0.0
    precision = totals["hits"] / max(totals["hits"] + totals["false"], 1)
    both = sensitivity + precision
    return {
        "sensitivity": sensitivity,
        "precision": precision,
        "f1": 2 * sensitivity * precision / both if both else 0.0,
        "false_per_day": totals["false"] / (n_windows * 10.0) * 86400,
    }


def _merged(marks: Marks) -> dict[int, list[tuple[float, float]]]:
    """For each window the spans that marks of any electrode cover."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for row in np.lexsort((marks.start_s, marks.place // 1000)).tolist():
        window, start, end = int(marks.place[row]) // 1000, float(marks.start_s[row]), float(marks.end_s[row])
        own = spans.setdefault(window, [])
        if own and start < own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], end))
        else:
            own.append((start, end))
    return spans


def format_detector(scores: dict[str, Any]) -> str:
    """The scores of `evaluate_detector` as text."""
    if scores["source"] == "experts":
        lines = ["kind      between   n   F1 any overlap   F1 IoU 0.2"]
        for kind, row in scores["classes"].items():
            lines += [
                f"{kind:<9} {name:<8} {group['n']:>3} {group['f1']:>15.2f} {group['f1_iou_20']:>12.2f}"
                for name, group in row.items()
            ]
        return "\n".join(lines)
    low, high = scores["map_50_interval"]
    lines = [
        f"mAP@0.5 {scores['map_50']:.3f} (95 % {low:.3f} to {high:.3f}), {scores['persons']} simulated persons. "
        + " ".join(f"mAP@{iou} {value:.3f}" for iou, value in scores["map"].items()),
        "kind      boxes    AP  prec.   rec.     F1  events F1   ECE  misplaced  confused  background  missed",
    ]
    for kind, row in scores["classes"].items():
        errors, ece = row["errors"], (row["calibration"] or {"ece": None})["ece"]
        lines.append(
            f"{kind:<9} {row['n_true']:>5} {_number(row['ap_50'])} {row['precision']:>6.2f} {row['recall']:>6.2f} "
            f"{row['f1']:>6.2f} {row['events']['f1']:>10.2f} {_number(ece)} {errors['misplaced']:>10} "
            f"{sum(errors['confused'].values()):>9} {errors['background']:>11} {errors['missed']:>7}"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:>5.2f}"
