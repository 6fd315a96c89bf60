"""Scores of a bench: accuracy of choices, ROUGE-1 of texts, mean average precision of boxes.

Metrics are those of CerebraGloss, Sec. 6.2. Its ROUGE-1 is not said to be a recall or an F-measure: both are given.
Every score has an interval that resamples persons, each with all its items, and accuracy Wilson's besides.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torchmetrics.functional.text import rouge_score

from corpus.bench import Bench, BenchItem
from corpus.noise_audit import wilson_interval
from corpus.waveforms import WAVEFORM_KINDS
from neuronarrator.evaluate.bench_answers import Answers, parse_choice
from neuronarrator.evaluate.narratives import versions
from neuronarrator.metrics.bootstrap import LEVEL, bootstrap_means, percentiles
from neuronarrator.metrics.classification import INVALID
from neuronarrator.metrics.detection import IOUS, MAIN_IOU, average_precision, map_interval, mean_of_known
from neuronarrator.metrics.marks import Marks, match_marks, to_marks
from neuronarrator.metrics.text import ROUGE_SIGNATURE

RESAMPLES = 1000
PAPER: Mapping[str, Mapping[str, float]] = {
    "CerebraGloss-3B": {"choice": 0.8000, "description": 0.4419, "qa_judge": 4.76},
    "CerebraGloss-7B": {"choice": 0.8111, "description": 0.4423, "qa_judge": 4.64},
    "GPT-5": {"choice": 0.7000, "description": 0.3707, "qa_judge": 4.58},
    "Gemini 2.5 Pro": {"choice": 0.5222, "description": 0.3795, "qa_judge": 3.86},
    "Qwen2.5-VL-32B": {"choice": 0.3778, "description": 0.3690, "qa_judge": 3.57},
    "CerebraGloss-YOLO": {"map_50": 0.4095},
}
"""CerebraGloss, Tables 2, 3 and 5, on its own bench of 90 private segments: other items, not comparable by number."""


def evaluate_bench(
    bench: Bench, systems: Sequence[Answers], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Score the answers of systems to one bench.

    Args:
        bench: with the references.
        systems: what was answered.
        resamples: of the persons.
        seed: of the resamples.

    Returns:
        For each of "systems" its "how", and "choice", "description", "qa" and "boxes" as the functions below return
        them; None where the bench or the system has none. "bench": facts about it; "paper"; "config".

    Raises:
        ValueError: a bench without items.
    """
    if not bench.items:
        raise ValueError("got a bench without items, expected some; make it again")
    found = {}
    for system in systems:
        found[system.name] = {
            "how": system.how,
            "choice": score_choices(bench.items, system, resamples, seed),
            "description": score_texts(bench.items, system, "description", resamples, seed),
            "qa": score_texts(bench.items, system, "qa", resamples, seed),
            "boxes": score_boxes(bench.items, system, resamples, seed),
        }
    return {
        "systems": found,
        "bench": dict(bench.facts),
        "paper": {name: dict(row) for name, row in PAPER.items()},
        "config": {
            "bootstrap": {"unit": "subject", "resamples": resamples, "level": LEVEL, "seed": seed},
            "metrics": {"rouge": ROUGE_SIGNATURE, "map": f"IoU {MAIN_IOU:g}, channel-wise, all-point interpolation"},
            "versions": versions(),
        },
    }


def score_choices(items: Sequence[BenchItem], system: Answers, resamples: int, seed: int) -> dict[str, Any] | None:
    """Accuracy of the choices; an answer without one letter is wrong, and counted.

    Returns:
        "accuracy", its "wilson" interval over items, its "ci" over persons (None for a single one), "chance",
        "invalid_rate", "answered" (accuracy of the valid answers alone, None without one), "n_items", "n_subjects",
        the accuracy for each of "categories" and of "sources", "stated" (letter or "invalid" to count), and, where
        experts voted, "votes": the mean share of them who would give the
        answer, "ceiling": who give the right one. None without choices, or where the system answers none.
    """
    asked = [(item, item.choice) for item in items if item.choice is not None]
    if not asked or not any(part == "choice" for _, part in system.texts):
        return None
    stated = [parse_choice(system.texts.get((i.item_id, "choice"), ""), c.options) for i, c in asked]
    right = [letter == choice.answer for letter, (_, choice) in zip(stated, asked, strict=True)]
    subjects = [item.subject for item, _ in asked]
    shown = [letter or INVALID for letter in stated]
    valid = [hit for hit, letter in zip(right, stated, strict=True) if letter]
    voted = [(dict(c.votes).get(s or "", 0), dict(c.votes)[c.answer], c.n_votes)
             for s, (_, c) in zip(stated, asked, strict=True) if c.n_votes]  # fmt: skip
    return {
        **_share(right),
        "ci": _interval(right, subjects, resamples, seed),
        "chance": float(np.mean([1 / len(choice.options) for _, choice in asked])),
        "invalid_rate": shown.count(INVALID) / len(shown),
        "answered": _share(valid) if valid else None,
        "n_subjects": len(set(subjects)),
        "categories": _grouped(right, [item.category for item, _ in asked]),
        "sources": _grouped(right, [item.source for item, _ in asked]),
        "stated": {letter: shown.count(letter) for letter in sorted(set(shown))},
        "votes": None if not voted else float(np.mean([given / total for given, _, total in voted])),
        "ceiling": None if not voted else float(np.mean([most / total for _, most, total in voted])),
    }


def _share(right: Sequence[bool]) -> dict[str, Any]:
    wilson = list(wilson_interval(sum(right), len(right)))
    return {"accuracy": sum(right) / len(right), "wilson": wilson, "n_items": len(right)}


def _grouped(right: Sequence[bool], groups: Sequence[str]) -> dict[str, Any]:
    pairs = list(zip(groups, right, strict=True))
    return {name: _share([hit for group, hit in pairs if group == name]) for name in dict.fromkeys(groups) if name}


def _interval(values: Sequence[float], subjects: Sequence[str], resamples: int, seed: int) -> list[float] | None:
    if len(set(subjects)) < 2:
        return None
    return percentiles(bootstrap_means(np.array(values, float)[:, None], subjects, resamples, seed))[0]


def score_texts(
    items: Sequence[BenchItem], system: Answers, part: str, resamples: int, seed: int
) -> dict[str, Any] | None:
    """ROUGE-1 of descriptions or of answers, as F-measure and as recall; a missing answer scores 0.

    Returns:
        "rouge_1" and "rouge_1_recall", each with "mean" and "ci"; "n_items", "empty_rate". None without such a part,
        or where the system answers none.
    """
    asked = [item for item in items if part in item.parts]
    if not asked or not any(answered == part for _, answered in system.texts):
        return None
    texts = [system.texts.get((item.item_id, part), "") for item in asked]
    pairs = [rouge_1(text, item.reference_of(part)) for text, item in zip(texts, asked, strict=True)]
    subjects = [item.subject for item in asked]
    scores = {"rouge_1": [f for f, _ in pairs], "rouge_1_recall": [recall for _, recall in pairs]}
    return {
        **{
            name: {"mean": float(np.mean(own)), "ci": _interval(own, subjects, resamples, seed)}
            for name, own in scores.items()
        },
        "n_items": len(asked),
        "empty_rate": sum(not text.strip() for text in texts) / len(texts),
    }


def rouge_1(text: str, reference: str) -> tuple[float, float]:
    """F-measure and recall of the words of a text against a reference, without a stemmer."""
    found = rouge_score(text, reference, rouge_keys="rouge1")
    return float(found["rouge1_fmeasure"]), float(found["rouge1_recall"])


def score_boxes(items: Sequence[BenchItem], system: Answers, resamples: int, seed: int) -> dict[str, Any] | None:
    """Average precision of the marks of each class, electrode by electrode.

    Returns:
        "map_50" over the classes that occur, its "ci" over persons, "map" at each IoU, "classes" (AP at 0.5 and number
        of boxes), "n_items". None without boxes, or for a system that marks nothing.
    """
    boxed = [item for item in items if item.boxes is not None]
    if not boxed or system.marks is None:
        return None
    rows = {name: row for row, name in enumerate(dict.fromkeys(n for item in boxed for n in item.ch_names))}
    true = _table(boxed, {item.item_id: item.boxes or () for item in boxed}, rows)
    found = _table(boxed, system.marks, rows)
    people, person = np.unique([item.subject for item in boxed], return_inverse=True)
    by_iou: dict[float, list[float]] = {iou: [] for iou in IOUS}
    hits_of, classes = [], {}
    for number, kind in enumerate(WAVEFORM_KINDS):
        mine, boxes = found.of(number), true.of(number)
        for iou in IOUS:
            hits = match_marks(mine, boxes, iou) >= 0
            by_iou[iou].append(average_precision(hits, len(boxes)))
            if iou == MAIN_IOU:
                hits_of.append((hits, person[mine.place // 1000], person[boxes.place // 1000]))
        ap = by_iou[MAIN_IOU][-1]
        classes[kind] = {"ap_50": None if np.isnan(ap) else ap, "n_true": len(boxes), "n_found": len(mine)}
    return {
        "map_50": mean_of_known(by_iou[MAIN_IOU]),
        "ci": map_interval(hits_of, len(people), resamples, seed) if len(people) > 1 else None,
        "map": {f"{iou:g}": mean_of_known(values) for iou, values in by_iou.items()},
        "classes": classes,
        "n_items": len(boxed),
    }


def _table(items: Sequence[BenchItem], marks: Mapping[str, Iterable[Any]], rows: Mapping[str, int]) -> Marks:
    """Marks of every item on electrodes that were recorded, in the form of the detection metrics."""
    table = [
        (window, rows[name], WAVEFORM_KINDS.index(mark.kind), mark.start_s, mark.end_s, mark.confidence)
        for window, item in enumerate(items)
        for mark in marks.get(item.item_id, ())
        for name in mark.ch_names
        if name in rows
    ]
    return to_marks(np.array(table, float).reshape(-1, 6))


def format_bench(scores: Mapping[str, Any]) -> str:
    """The scores of `evaluate_bench` as text: a row for each system, and the paper's on its own bench."""
    lines = [
        "system               choice (95 %)          invalid  description       qa                qa judge  mAP@0.5",
        *(_row(name, row) for name, row in scores["systems"].items()),
        "CerebraGloss, on its own private bench (not comparable by number):",
    ]
    for name, row in scores["paper"].items():
        parts = [f"{row[key]:.3f}" if key in row else "-" for key in ("choice", "description", "qa_judge", "map_50")]
        lines.append(f"{name:<20} {parts[0]:<31} {parts[1]:<35} {parts[2]:<9} {parts[3]}")
    return "\n".join(lines)


def _row(name: str, row: Mapping[str, Any]) -> str:
    choice, boxes, judge = row["choice"], row["boxes"], row.get("judge")
    cells = [f"{'-':<22} {'-':>7}"]
    if choice is not None:
        cells = [f"{_with(choice['accuracy'], choice['wilson']):<22} {choice['invalid_rate']:>7.2f}"]
    for part in ("description", "qa"):
        text = "-" if row[part] is None else _with(row[part]["rouge_1"]["mean"], row[part]["rouge_1"]["ci"])
        cells.append(f"{text:<17}")
    told = "-" if judge is None or judge["overall"] is None else f"{judge['overall']['mean']:.2f}"
    found = "-" if boxes is None or boxes["map_50"] is None else _with(boxes["map_50"], boxes["ci"])
    return f"{name:<20} {cells[0]}  {cells[1]} {cells[2]} {told:<9} {found}"


def _with(value: float, interval: Sequence[float] | None) -> str:
    return f"{value:.3f}" if interval is None else f"{value:.3f} ({interval[0]:.2f}-{interval[1]:.2f})"
