"""Marks along time, and which of them meet.

A mark is an interval of one electrode of one window, with a class. Matching is channel-wise: marks meet only on the
same electrode. Shapes: M marks, T true boxes, K classes.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Marks:
    """Intervals; (M,) each.

    Attributes:
        place: number of the window and electrode: marks of one place can meet.
        kind: class, 0 to K - 1.
        start_s: seconds.
        end_s: seconds.
        score: 0 to 1; 1 for true boxes.
    """

    place: np.ndarray
    kind: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray

    def of(self, kind: int) -> "Marks":
        """Those of one class, best first."""
        rows = np.flatnonzero(self.kind == kind)
        return self.rows(rows[np.argsort(-self.score[rows], kind="stable")])

    def rows(self, rows: np.ndarray) -> "Marks":
        """Those of the rows given, in that order."""
        return Marks(self.place[rows], self.kind[rows], self.start_s[rows], self.end_s[rows], self.score[rows])

    def __len__(self) -> int:
        return len(self.score)


def match_marks(found: Marks, true: Marks, iou: float, again: bool = False) -> np.ndarray:
    """Which marks hit: best first, each takes the true box that it overlaps most, if nobody has it yet (PASCAL VOC).

    Args:
        found: marks of one class, best first.
        true: boxes of that class.
        iou: least intersection over union.
        again: a box can be hit more than once.

    Returns:
        (M,) index of the box, -1 where there is none.
    """
    by_place: dict[int, list[int]] = {}
    for number, place in enumerate(true.place.tolist()):
        by_place.setdefault(place, []).append(number)
    taken = np.zeros(len(true), bool)
    hits = np.full(len(found), -1)
    for number, place in enumerate(found.place.tolist()):
        rows = np.array(by_place.get(place, ()), int)
        if not len(rows):
            continue
        overlap = np.minimum(found.end_s[number], true.end_s[rows]) - np.maximum(
            found.start_s[number], true.start_s[rows]
        )
        overlap = np.maximum(overlap, 0)
        union = found.end_s[number] - found.start_s[number] + true.end_s[rows] - true.start_s[rows] - overlap
        ious = overlap / np.maximum(union, 1e-9)
        best = int(ious.argmax())
        if ious[best] >= iou and (again or not taken[rows[best]]):
            taken[rows[best]] = True
            hits[number] = rows[best]
    return hits


def to_marks(table: Tensor | np.ndarray) -> Marks:
    """Marks from a table (M, 5 or 6): window, electrode, class, start, end in seconds, and score if there is one."""
    rows = np.asarray(table.cpu() if isinstance(table, Tensor) else table, np.float64)
    score = rows[:, 5] if rows.shape[1] > 5 else np.ones(len(rows))
    place = rows[:, 0].astype(np.int64) * 1000 + rows[:, 1].astype(np.int64)
    return Marks(place, rows[:, 2].astype(np.int64), rows[:, 3], rows[:, 4], score)
