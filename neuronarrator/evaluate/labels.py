"""Labels from narratives: what a text calls its segment, against what the publisher of the dataset calls it.

Two ways, kept apart. "stated": the label that the narrative states, read by the rules of `corpus.labels`. A narrator of
measured facts states none, which is a parse failure of 100 % and is reported as such. "probe": a logistic regression
from the facts that the narrative states to the label, trained on other persons. It says what the narrative carries
about the label, not what it says.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from corpus.claims import facts_of
from corpus.labels import LABEL_TASKS, LabelTask
from neuronarrator.evaluate.narratives import narratives_of, versions
from neuronarrator.evaluate.predictions import MISSING, Predictions
from neuronarrator.evaluate.published import paper_accuracies
from neuronarrator.evaluate.sources import Item, open_data, usable
from neuronarrator.metrics.bootstrap import LEVEL, bootstrap_means, percentiles
from neuronarrator.metrics.classification import LABEL_SIGNATURE, label_scores, vote_share
from neuronarrator.narrator import Narrator
from neuronarrator.persons import seen_in_training, stages_of

PROBE = "logistic regression of the facts that a narrative states (present or not), classes weighted evenly, C = 1"
FOLDS = 5


@dataclass(frozen=True)
class LabelOptions:
    """How labels are scored.

    Attributes:
        seed: of resamples and folds.
        resamples: of the subjects, for intervals.
        probe: train one; else only stated labels are scored.
    """

    seed: int = 0
    resamples: int = 1000
    probe: bool = True


@dataclass(frozen=True)
class Labelled:
    """A narrative with the label of its segment; `label` is None where experts are tied, whose `votes` still count."""

    subject: str
    text: str
    label: str | None
    votes: tuple[tuple[str, int], ...] = ()


def evaluate_labels(
    narrator: Narrator | Predictions,
    data: str | Path,
    dataset: str | None = None,
    split: str | None = None,
    options: LabelOptions | None = None,
) -> dict[str, Any]:
    """Score the labels that narratives state, and those that a probe reads from their facts.

    Args:
        narrator: in eval mode; or a file of predictions.
        data: a dataset or a corpus, as `sources.open_data` reads them.
        dataset: see there.
        split: the side to score. With one, the probe is trained on the training side; without, by grouped folds, no
            person in two.
        options: seeds, intervals, probe.

    Returns:
        For each of "datasets" with a `LabelTask`: "stated" and "probe" (None without) as `label_scores` returns them,
        "votes" where experts voted, "paper" (Table 5), "n_unlabelled" (segments without one clear label), "n_missing"
        (segments without a narrative, scored as the empty text); "seen_in_training": persons whose signals the narrator
        learnt from, None where nobody knows.

    Raises:
        ValueError: no segment with a label, predictions of none of them, or not of all of the training side.
    """
    options = options or LabelOptions()
    skipped: dict[str, str] = {}
    tested, unlabelled, missing = collect(narrator, open_data(data, dataset, split).items, skipped)
    if not tested:
        raise ValueError(
            f"got no segment with a label of {', '.join(LABEL_TASKS)}, expected some: name the dataset by --dataset"
        )
    if missing.total() == sum(map(len, tested.values())):
        raise ValueError(
            f"got predictions of none of the {missing.total()} segments with a label, expected those of --data: "
            "predict it, with the same --dataset"
        )
    trained: dict[str, list[Labelled]] = {}
    if options.probe and split not in (None, "train"):
        trained = _training_side(narrator, data, dataset, skipped)
    found = {}
    subjects = [row.subject for rows in tested.values() for row in rows]
    for name, rows in tested.items():
        others = None if split in (None, "train") else trained.get(name, [])
        found[name] = score_labels(LABEL_TASKS[name], rows, others, options)
        found[name] |= {"n_unlabelled": unlabelled[name], "n_missing": missing[name], "paper": paper_accuracies(name)}
    return {
        "datasets": found,
        "split": split or "all",
        "seen_in_training": seen_in_training(stages_of(narrator), subjects),
        "config": {
            "model": narrator.card,
            "seeds": {"bootstrap": options.seed, "folds": options.seed},
            "bootstrap": {"unit": "subject", "resamples": options.resamples, "level": LEVEL},
            "metrics": {"labels": LABEL_SIGNATURE, "probe": PROBE},
            "versions": versions(),
        },
        "skipped": skipped,
    }


def _training_side(
    narrator: Narrator | Predictions, data: str | Path, dataset: str | None, skipped: dict[str, str]
) -> dict[str, list[Labelled]]:
    """What the probe learns from; ValueError where a narrative is missing, as the probe would learn from silence."""
    found, _, missing = collect(narrator, open_data(data, dataset, "train").items, skipped)
    if missing.total():
        raise ValueError(
            f"got predictions without {missing.total()} segments of the training side, which the probe learns from, "
            "expected all of them: predict without --split"
        )
    return found


def collect(
    narrator: Narrator | Predictions, items: Iterable[Item], skipped: dict[str, str]
) -> tuple[dict[str, list[Labelled]], Counter[str], Counter[str]]:
    """The labelled narratives of each dataset that has a `LabelTask`.

    Returns:
        Them; how many segments have no clear label; how many of the labelled ones have no narrative.
    """
    found: dict[str, list[Labelled]] = {}
    unlabelled, missing = Counter[str](), Counter[str]()
    for item, material in usable([item for item in items if item.dataset in LABEL_TASKS], skipped):
        task, (findings, examples) = LABEL_TASKS[item.dataset], material.findings()
        told = narratives_of(narrator, item, findings)
        for written, labels, example in zip(told, material.labels(), examples, strict=True):
            truth, votes = task.truth(labels), next((label.votes for label in labels if label.votes), ())
            if example and (truth or votes):
                value = None if truth is None else truth.value
                found.setdefault(item.dataset, []).append(Labelled(material.subject, written.text, value, votes))
                missing[item.dataset] += written is MISSING
            unlabelled[item.dataset] += example and truth is None
    return found, unlabelled, missing


def score_labels(
    task: LabelTask, rows: Sequence[Labelled], others: Sequence[Labelled] | None, options: LabelOptions
) -> dict[str, Any]:
    """The labels of one dataset.

    Args:
        task: its classes and their words.
        rows: the narratives to score.
        others: of other persons, to train the probe on; None: folds of `rows`.
        options: how.
    """
    clear = [row for row in rows if row.label is not None]
    probed = None
    if options.probe:
        clear_others = None if others is None else [row for row in others if row.label is not None]
        probed, how = probe(clear, clear_others, options.seed)
    stated = {row: task.parse(row.text) for row in rows}

    def scores(labels: Sequence[str | None]) -> dict[str, Any]:
        truth, subjects = [row.label or "" for row in clear], [row.subject for row in clear]
        return label_scores(truth, labels, subjects, options.resamples, options.seed)

    return {
        "classes": task.classes,
        "stated": scores([stated[row] for row in clear]) if clear else None,
        "probe": None if probed is None else {"trained": how, **scores(probed)},
        "votes": _votes([row for row in rows if row.votes], stated, options),
    }


def _votes(
    rows: Sequence[Labelled], stated: dict[Labelled, str | None], options: LabelOptions
) -> dict[str, Any] | None:
    """The mean share of the experts who say what a narrative states; "ceiling": who say what most say."""
    if not rows:
        return None
    shares = [
        [vote_share(row.votes, stated[row]), max(vote_share(row.votes, name) for name, _ in row.votes)] for row in rows
    ]
    array, subjects = np.array(shares), [row.subject for row in rows]
    edges: Sequence[list[float] | None] = [None, None]
    if len(set(subjects)) > 1:
        edges = percentiles(bootstrap_means(array, subjects, options.resamples, options.seed))
    means = array.mean(axis=0).tolist()
    names = ("agreeing", "ceiling")
    return {name: {"mean": means[i], "ci": edges[i]} for i, name in enumerate(names)} | {"n_segments": len(rows)}


def probe(
    rows: Sequence[Labelled], others: Sequence[Labelled] | None, seed: int
) -> tuple[list[str | None] | None, str]:
    """The labels of narratives by a classifier of their facts that has seen none of their persons.

    Returns:
        A label for each of `rows`, and how it was trained; None where there is too little to train on: one class, or
        too few persons for two folds.

    Raises:
        ValueError: a person stands on both sides.
    """
    model = make_pipeline(DictVectorizer(), LogisticRegression(class_weight="balanced", max_iter=1000))
    seen, labels, subjects = _vectors(rows), [row.label for row in rows], [row.subject for row in rows]
    if others is None:
        persons = {label: len({row.subject for row in rows if row.label == label}) for label in set(labels)}
        folds = min(FOLDS, *persons.values()) if len(persons) > 1 else 0
        if folds < 2:
            return None, ""
        cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        told = cross_val_predict(model, seen, labels, groups=subjects, cv=cut)
        return told.tolist(), f"{folds} folds, no person in two"
    if both := set(subjects) & {row.subject for row in others}:
        raise ValueError(f"got {min(both)} on both sides, expected persons on one: correct the split")
    if len({row.label for row in others}) < 2:
        return None, ""
    model.fit(_vectors(others), [row.label for row in others])
    return model.predict(seen).tolist(), f"on the training side, {len({row.subject for row in others})} persons"


def _vectors(rows: Sequence[Labelled]) -> list[dict[str, float]]:
    return [{" ".join(fact): 1.0 for fact in facts_of(row.text)} or {"nothing": 1.0} for row in rows]
