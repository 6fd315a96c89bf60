"""The waveform detector against experts who marked recordings, and these experts against each other."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from corpus.datasets.base import Label
from encoders.waveform import ELECTRODES, WaveformDetector
from neuronarrator.detection.marks import mark_recording
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.sources import none_usable, open_data, usable
from neuronarrator.metrics.detection import event_scores
from neuronarrator.metrics.marks import match_marks, to_marks

EXPERT_KINDS = {"spindle": "spindle", "k_complex": "Kcomplex"}
"""Labels of public datasets -> classes."""
EXPERT_IOU = 0.2  # the overlap by which spindles of experts and detectors are usually compared


def against_experts(detector: WaveformDetector, data: str | Path, dataset: str | None) -> dict[str, Any]:
    """Every expert's marks of a channel against those of the detector there, and the experts against each other.

    Args:
        detector: on any device.
        data: folder of recordings.
        dataset: how it is published.

    Raises:
        RecordingError: no recording can be used, or none has marks of `EXPERT_KINDS`.
    """
    skipped: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for item, material in usable(open_data(data, dataset).items, skipped):
        if not isinstance(material, Recorded):
            continue
        marks = mark_recording(detector, material.recording)
        for (label, ch_name), experts in _expert_marks(material.read_labels()).items():
            electrode = _electrode(ch_name, material.ch_names)
            if electrode is None:
                skipped[item.name] = f"experts marked {ch_name}, which is no electrode of the detector"
                continue
            own = [
                (mark.start_s, mark.end_s)
                for mark in marks
                if mark.kind == EXPERT_KINDS[label] and electrode in mark.ch_names
            ]
            pairs = [("detector", source, own, true) for source, true in experts.items()]
            pairs += [(a, b, experts[a], experts[b]) for a, b in combinations(experts, 2)]
            rows += [
                {
                    "recording": item.name,
                    "kind": EXPERT_KINDS[label],
                    "electrode": electrode,
                    "found_by": by,
                    "true_by": of,
                    "f1_iou_20": _f1_at(found, true, EXPERT_IOU),
                    **event_scores(found, true, material.recording.duration_s),
                }
                for by, of, found, true in pairs
            ]
    if not rows:
        raise none_usable(skipped or {"": f"no marks of {', '.join(EXPERT_KINDS)}; name a dataset such as dreams"})
    return {"source": "experts", "recordings": rows, "classes": _agreement(rows), "skipped": skipped}


def _expert_marks(labels: Sequence[Label]) -> dict[tuple[str, str], dict[str, list[tuple[float, float]]]]:
    """(label, channel) -> source of the marks -> start and end of each."""
    marks: dict[tuple[str, str], dict[str, list[tuple[float, float]]]] = {}
    for label in labels:
        if label.value in EXPERT_KINDS and label.duration_s is not None:
            for name in label.ch_names:
                own = marks.setdefault((label.value, name), {}).setdefault(label.source, [])
                own.append((label.start_s, label.start_s + label.duration_s))
    return marks


def _electrode(ch_name: str, ch_names: Sequence[str]) -> str | None:
    """The recorded electrode of a published channel such as "CZ-A1"."""
    wanted = ch_name.split("-")[0].strip().lower()
    return next((name for name in ch_names if name.lower() == wanted and name in ELECTRODES), None)


def _f1_at(found: Sequence[tuple[float, float]], true: Sequence[tuple[float, float]], iou: float) -> float:
    """F1 of marks that have to overlap by an intersection over union."""
    tables = [np.array([(0, 0, 0, start, end) for start, end in spans]).reshape(-1, 5) for spans in (found, true)]
    hits = int((match_marks(to_marks(tables[0]), to_marks(tables[1]), iou) >= 0).sum())
    return 2 * hits / max(len(found) + len(true), 1)


def _agreement(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean F1 of each class: of the detector with each expert, and of experts with each other."""
    classes: dict[str, Any] = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [row for row in rows if row["kind"] == kind]
        by = {
            "detector": [row for row in mine if row["found_by"] == "detector"],
            "experts": [row for row in mine if row["found_by"] != "detector"],
        }
        classes[kind] = {
            name: {key: float(np.mean([row[key] for row in group])) for key in ("f1", "f1_iou_20")} | {"n": len(group)}
            for name, group in by.items()
            if group
        }
    return classes
