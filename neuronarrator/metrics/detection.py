"""How well marks along time are found: average precision, precision and recall a class, events, calibration.

Shapes: M marks, T true boxes, K classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from neuronarrator.metrics.bootstrap import percentiles
from neuronarrator.metrics.marks import Marks, match_marks, to_marks

IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
MAIN_IOU = 0.5
MISPLACED_IOU = 0.1


def average_precision(hits: np.ndarray, n_true: int) -> float:
    """Area below the precision-recall curve by all-point interpolation.

    Args:
        hits: (M,) bool, best first.
        n_true: number of true boxes.

    Returns:
        0 to 1; not a number where there is no true box.
    """
    if not n_true:
        return float("nan")
    right = np.cumsum(hits)
    recall = np.concatenate([[0.0], right / n_true])
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * envelope).sum())


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Mean of the values that are neither None nor NaN, as of the classes that have boxes; None where there is none."""
    known = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else None


def map_interval(
    hits_of: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], persons: int, resamples: int, seed: int
) -> list[float] | None:
    """Interval of the mean average precision when persons are drawn with replacement.

    Args:
        hits_of: of each class: hits (M,), the person of each mark (M,) and of each true box (T,), 0 to `persons` - 1.
        persons: how many.
        resamples: how often they are drawn.
        seed: of that.

    Returns:
        Lower and upper edge, see `bootstrap.percentiles`; None where there is no true box.
    """
    drawn = np.random.default_rng(seed).multinomial(persons, np.full(persons, 1 / persons), size=resamples)
    means = [
        mean_of_known(
            average_precision(np.repeat(hits, w[owner]), int(w[boxes].sum())) for hits, owner, boxes in hits_of
        )
        for w in drawn
    ]
    known = [value for value in means if value is not None]
    return percentiles(np.array(known)[:, None])[0] if known else None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it gives: of all marks with at least this score."""

    threshold: float
    precision: float
    recall: float
    f1: float


def operating_points(hits: np.ndarray, scores: np.ndarray, n_true: int, threshold: float | None) -> OperatingPoint:
    """Precision, recall and F1 at a threshold, or at that of the best F1 where it is None.

    Args:
        hits: (M,) bool, best first.
        scores: (M,) of the same marks.
        n_true: number of true boxes.
        threshold: least score.
    """
    right = np.cumsum(hits)
    counts = np.arange(1, len(hits) + 1)
    f1 = 2 * right / np.maximum(counts + n_true, 1)
    if threshold is None:
        kept = int(f1.argmax()) + 1 if len(f1) else 0
    else:
        kept = int((scores >= threshold).sum())
    if not kept:
        return OperatingPoint(1.0 if threshold is None else threshold, 0.0, 0.0, 0.0)
    least = float(scores[kept - 1]) if threshold is None else threshold
    last = kept - 1
    return OperatingPoint(
        least, float(right[last] / kept), float(right[last] / n_true) if n_true else 0.0, float(f1[last])
    )


class DetectionScores(Metric):
    """Average precision of each class over all windows since the last reset, and their mean.

    Args:
        kinds: names of the classes.
    """

    full_state_update = False
    found: list[Tensor]
    true: list[Tensor]

    def __init__(self, kinds: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kinds = tuple(kinds)
        self._windows = 0
        self.add_state("found", default=[], dist_reduce_fx="cat")
        self.add_state("true", default=[], dist_reduce_fx="cat")

    def update(self, found: Tensor, true: Tensor, n_windows: int) -> None:
        """Add the marks of a batch.

        Args:
            found: (M, 6) window, electrode, class, start, end in seconds, score.
            true: (T, 5) the same without the score.
            n_windows: B.
        """
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        first = torch.tensor([self._windows + rank * 10**9, 0, 0, 0, 0], dtype=torch.float64, device=self.device)
        self.true.append(true.detach().double() + first)
        self.found.append(torch.cat([found[:, :5].detach().double() + first, found[:, 5:].detach().double()], dim=1))
        self._windows += n_windows

    def marks(self) -> tuple[Marks, Marks]:
        """All that was found and all that is true."""
        return to_marks(dim_zero_cat(self.found)), to_marks(dim_zero_cat(self.true))

    def compute(self) -> dict[str, Tensor]:
        """`map_50`, the mean of the `ap_50_KIND` of the classes that occur."""
        found, true = self.marks()
        values = {}
        for number, kind in enumerate(self.kinds):
            mine, boxes = found.of(number), true.of(number)
            values[f"ap_50_{kind}"] = average_precision(match_marks(mine, boxes, MAIN_IOU) >= 0, len(boxes))
        there = [value for value in values.values() if value == value]
        return {
            name: torch.tensor(value, dtype=torch.float32)
            for name, value in {"map_50": float(np.mean(there)) if there else 0.0, **values}.items()
        }


def event_scores(
    found: Sequence[tuple[float, float]],
    true: Sequence[tuple[float, float]],
    duration_s: float,
    tolerance_s: tuple[float, float] = (0.0, 0.0),
    min_overlap: float = 0.0,
) -> dict[str, float]:
    """Scores of events as SzCORE counts them (Dan et al. 2024, arXiv:2402.13005).

    A true event is a hit where the found ones, together, cover more than `min_overlap` of it; a found event that
    overlaps no true one is false. Seizures have tolerances of 30 s before and 60 s after; waveforms none.

    Args:
        found: start and end of each, seconds.
        true: start and end of each, seconds.
        duration_s: of the recording.
        tolerance_s: true events are made longer by so much before and after.
        min_overlap: share of a true event; 0 takes any overlap.

    Returns:
        `sensitivity`, `precision`, `f1` (0 where not defined) and `false_per_day`, with `n_true`, `hits`, `false`.
    """
    hits = 0
    wide = [(start - tolerance_s[0], end + tolerance_s[1]) for start, end in true]
    for start, end in wide:
        covered = sum(max(min(end, e) - max(start, s), 0.0) for s, e in found)
        hits += covered > min_overlap * (end - start)
    false = sum(all(min(end, e) <= max(start, s) for s, e in wide) for start, end in found)
    sensitivity = hits / len(true) if true else 0.0
    precision = hits / (hits + false) if hits + false else 0.0
    both = sensitivity + precision
    return {
        "sensitivity": sensitivity,
        "precision": precision,
        "f1": 2 * sensitivity * precision / both if both else 0.0,
        "false_per_day": false / duration_s * 86400,
        "n_true": len(true),
        "hits": hits,
        "false": false,
    }


def error_table(found: Marks, true: Marks, kinds: Sequence[str], thresholds: Sequence[float]) -> dict[str, Any]:
    """What became of every mark and of every box, at the thresholds.

    Args:
        found: marks of all classes.
        true: boxes of all classes.
        kinds: names of the classes.
        thresholds: least score of each.

    Returns:
        For each class `hits` (overlap of `MAIN_IOU`), `missed` boxes, and its false marks by what they lie on:
        `misplaced` (its own class, less overlap), `confused` (name of another class -> count), `background`.
    """
    table: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        mine, boxes = found.of(number), true.of(number)
        mine = mine.rows(np.flatnonzero(mine.score >= thresholds[number]))
        hits = match_marks(mine, boxes, MAIN_IOU) >= 0
        false = mine.rows(np.flatnonzero(~hits))
        on_own = match_marks(false, boxes, MISPLACED_IOU, again=True) >= 0
        row: dict[str, Any] = {"hits": int(hits.sum()), "missed": len(boxes) - int(hits.sum())}
        row["misplaced"], confused = int(on_own.sum()), np.zeros(len(false), bool)
        row["confused"] = {}
        for other, name in enumerate(kinds):
            if other == number:
                continue
            here = ~on_own & ~confused & (match_marks(false, true.of(other), MAIN_IOU, again=True) >= 0)
            confused |= here
            if here.any():
                row["confused"][name] = int(here.sum())
        row["background"] = len(false) - int(on_own.sum()) - int(confused.sum())
        table[kind] = row
    return table
