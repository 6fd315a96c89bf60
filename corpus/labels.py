"""Labels of a recording to labels of its segments, and to what a text says of them.

A segment carries every label that touches it (multi-label), with the provenance that its adapter gave it. What speaks
of the person (age, sex, diagnosis) stays apart from what speaks of the signal.
"""

from collections.abc import Iterable

from corpus.datasets.base import Label
from corpus.findings import Labels

MIN_OVERLAP_S = 1.0  # of a label with a segment; a shorter label has to lie inside the segment by more than half
CONDITION_KINDS = ("condition", "task", "stage", "state", "emotion")


def labels_of_segment(labels: Iterable[Label], start_s: float, duration_s: float) -> tuple[Label, ...]:
    """The labels that touch a segment, by at least `MIN_OVERLAP_S` or by more than half of a shorter label.

    Args:
        labels: of the recording, seconds on its time axis.
        start_s: of the segment.
        duration_s: of the segment.
    """
    end_s, touching = start_s + duration_s, []
    for label in labels:
        length_s = float("inf") if label.duration_s is None else label.duration_s
        overlap_s = min(end_s, label.start_s + length_s) - max(start_s, label.start_s)
        if length_s == 0.0:
            inside = start_s <= label.start_s < end_s
        else:
            inside = overlap_s >= MIN_OVERLAP_S or overlap_s > length_s / 2
        if inside:
            touching.append(label)
    return tuple(touching)


def words_of(age_years: int | None, sex: str | None, labels: Iterable[Label]) -> Labels:
    """What the labels of a segment say in words; `corpus.refine.visible_labels` decides how much of it may be told."""
    conditions = dict.fromkeys(label.value for label in labels if label.kind in CONDITION_KINDS)
    return Labels(age_years, sex, " and ".join(conditions) or None)
