"""Scores of labels: accuracy, balanced accuracy, Cohen's kappa and weighted F1, where a text may state no label.

No label is a class of its own that is never true: it counts against recall, enters kappa and weighs nothing in F1.
Scores are scikit-learn's. Shapes: N segments, G subjects, n classes.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, cohen_kappa_score, f1_score

from neuronarrator.metrics.bootstrap import percentiles

INVALID = "invalid"
"""The class of a text that states no label, or several."""

LABEL_SIGNATURE = "balanced accuracy:mean recall of the classes that occur|F1:weighted by support|invalid:never right"


def label_scores(
    truth: Sequence[str], stated: Sequence[str | None], subjects: Sequence[str], resamples: int, seed: int
) -> dict[str, Any]:
    """How well stated labels are the true ones.

    Args:
        truth: N labels.
        stated: N labels; None where a text states none.
        subjects: N codes; intervals resample them, each with all its segments.
        resamples: of the subjects.
        seed: of the resamples.

    Returns:
        "accuracy", "balanced_accuracy", "kappa", "weighted_f1", each with its "value" and "ci" (None for one subject;
        value None where it is not defined, such as kappa with one class on both sides); "parse_failure_rate",
        "confusion" (true label to stated label to count), "chance" (one by the number of classes that occur),
        "n_segments" and "n_subjects".

    Raises:
        ValueError: nothing to score.
    """
    if not truth:
        raise ValueError("got no labelled segment, expected at least one: take another --data or --split")
    told = [INVALID if label is None else label for label in stated]
    cells = sorted(set(zip(truth, told, strict=True)))
    number = {cell: i for i, cell in enumerate(cells)}
    people, owner = np.unique(np.asarray(subjects), return_inverse=True)
    counts = np.zeros((len(people), len(cells)))
    for person, cell in zip(owner.tolist(), zip(truth, told, strict=True), strict=True):
        counts[person, number[cell]] += 1
    values = _scores(cells, counts.sum(0))
    edges: dict[str, list[float] | None] = dict.fromkeys(values)
    if len(people) > 1:
        share = np.full(len(people), 1 / len(people))
        drawn = np.random.default_rng(seed).multinomial(len(people), share, size=resamples) @ counts
        tables, which = np.unique(drawn, axis=0, return_inverse=True)  # few persons: many draws are equal
        found = [_scores(cells, row) for row in tables]
        for name in values:
            defined = [found[i][name] for i in which.ravel().tolist() if found[i][name] is not None]
            edges[name] = percentiles(np.array(defined)[:, None])[0] if defined else None
    confusion: dict[str, dict[str, int]] = {label: {} for label in sorted(set(truth))}
    for (true, label), count in zip(cells, counts.sum(0).astype(int).tolist(), strict=True):
        confusion[true][label] = count
    return {
        **{name: {"value": value, "ci": edges[name]} for name, value in values.items()},
        "parse_failure_rate": told.count(INVALID) / len(told),
        "chance": 1 / len(confusion),
        "confusion": confusion,
        "n_segments": len(truth),
        "n_subjects": len(people),
    }


def _scores(cells: Sequence[tuple[str, str]], counts: np.ndarray) -> dict[str, float | None]:
    """The four scores of a table of counts, one for each pair of a true and a stated label."""
    there = np.flatnonzero(counts).tolist()
    truth, told = ([cells[i][side] for i in there] for side in (0, 1))

    def score(function: Callable[..., float], **more: Any) -> float | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # stated labels that are never true are the point here
            value = float(function(truth, told, sample_weight=counts[there], **more))
        return value if np.isfinite(value) else None

    return {
        "accuracy": score(accuracy_score),
        "balanced_accuracy": score(balanced_accuracy_score),
        "kappa": score(cohen_kappa_score),
        "weighted_f1": score(f1_score, average="weighted", zero_division=0.0),
    }


def vote_share(votes: Sequence[tuple[str, int]], label: str | None) -> float:
    """The share of the votes that a label has; 0 for none."""
    return dict(votes).get(label or "", 0) / sum(count for _, count in votes)
