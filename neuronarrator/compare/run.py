"""Narrators on the same segments: one file of predictions each, one table, differences by paired subjects.

The interval of a difference resamples subjects, each with all its segments, for both narrators at once; so it tells
whether the one is better than the other on other subjects, which two separate intervals do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from corpus.findings import Findings
from neuronarrator.compare.budget import Example, budget_of, example_of
from neuronarrator.compare.config import ORACLE, PREDICTIONS, CompareConfig, check_systems, file_name
from neuronarrator.evaluate.narrative_scores import Scored, Scorer, summarise
from neuronarrator.evaluate.narrative_scores import compare as compare_rows
from neuronarrator.evaluate.narratives import versions
from neuronarrator.evaluate.predictions import MISSING, Predictions, check_recordings
from neuronarrator.evaluate.references import Reference, references_of
from neuronarrator.evaluate.sources import Item, none_usable, usable
from neuronarrator.hub import find_model, read_stages
from neuronarrator.metrics.bootstrap import LEVEL
from neuronarrator.models import AnyNarrator, load_narrator
from neuronarrator.persons import seen_in_training
from neuronarrator.predict import predict


@dataclass(frozen=True, eq=False)
class Shown:
    """One segment on the page: where it is from, its reference, and what each system wrote."""

    dataset: str
    recording: str
    reference: Reference
    texts: Mapping[str, str]


@dataclass
class Comparison:
    """All scores as plain values, and the segments of the page."""

    scores: dict[str, Any]
    shown: list[Shown]


@dataclass
class Rows:
    """Scored narratives of every system, in the same order: the k-th of each is of the same segment."""

    rows: dict[str, list[Scored]] = field(default_factory=dict)

    def add(self, name: str, scored: Sequence[Scored]) -> None:
        """Append the narratives of a system."""
        self.rows.setdefault(name, []).extend(scored)

    def of(self, name: str, dataset: str | None) -> list[Scored]:
        """Those of a system on one dataset, or on all."""
        return [row for row in self.rows[name] if dataset in (None, row.dataset)]


def compare(config: CompareConfig, out: Path, device: str = "cpu") -> Comparison:
    """Narrate with every system, score all, and put them side by side.

    Args:
        config: what.
        out: folder; `predictions/<system>.jsonl` is written there, and a run that was killed goes on.
        device: of the models.

    Raises:
        ValueError: a system that is not there or without a narrative of a segment, a choice without recordings, or two
            recordings of one name.
        RecordingError: no recording can be used.
    """
    check_systems(config.systems)
    items = [item for chosen in config.data for item in chosen.items()]
    check_recordings(items)
    examples = _examples(items)
    systems, budgets, stages = {}, {}, {}
    for name, model in config.systems.items():
        file = Path(model) if model.endswith(PREDICTIONS) else out / "predictions" / file_name(name)
        stages[name] = [] if model.endswith(PREDICTIONS) else read_stages(find_model(model))
        narrated = None if model.endswith(PREDICTIONS) else _narrate(model, items, file, device)
        budgets[name] = narrated and budget_of(narrated, stages[name], examples)
        systems[name] = Predictions(file)
    scorer, rows, skipped = Scorer(config.resamples, config.seed), Rows(), dict[str, str]()
    shown: list[Shown] = []
    for item, material in usable(items, skipped):
        findings, marks = material.findings()
        references = references_of(material, findings, marks, config.seed)
        told = list(references.values())
        texts = {name: _texts(name, system, item, findings, list(references)) for name, system in systems.items()}
        texts[ORACLE] = [reference.oracle for reference in told]
        for name, own in texts.items():
            rows.add(name, scorer.score(item.dataset, material.subject, own, told))
        room = config.shown - sum(one.dataset == item.dataset for one in shown)
        for k in range(0, len(told), max(len(told) // 2, 1))[:room] if room > 0 else ():
            words = {name: own[k] for name, own in texts.items()}
            shown.append(Shown(item.dataset, item.name, told[k], words))
    names = list(dict.fromkeys(row.dataset for row in rows.rows[ORACLE]))
    subjects = [row.subject for row in rows.rows[ORACLE]]
    parts = {"all": None, **{name: name for name in names}} if len(names) > 1 else {names[0]: names[0]}
    scores = {
        "datasets": {label: score_part(rows, scorer, part, i) for i, (label, part) in enumerate(parts.items())},
        "systems": {name: system.card for name, system in systems.items()},
        "budgets": {**budgets, ORACLE: None},
        "seen_in_training": {name: seen_in_training(stages[name], subjects) for name in systems},
        "first": next(iter(systems)),
        "skipped": skipped,
        "bootstrap": {"unit": "subject", "paired": True, "resamples": config.resamples, "level": LEVEL},
        "seed": config.seed,
        "versions": versions(),
    }
    return Comparison(scores, shown)


def _examples(items: Sequence[Item]) -> list[Example]:
    """One segment of each dataset, of its first recording that can be used.

    Raises:
        RecordingError: there is none.
    """
    found: dict[str, Example] = {}
    skipped: dict[str, str] = {}
    for dataset in dict.fromkeys(item.dataset for item in items):
        own = [item for item in items if item.dataset == dataset]
        for _, material in islice(usable(own, skipped), 1):
            found[dataset] = example_of(material.findings()[0])
    if not found:
        raise none_usable(skipped)
    return list(found.values())


def _narrate(model: str, items: Sequence[Item], file: Path, device: str) -> AnyNarrator:
    """Write the predictions of a model; returns it."""
    narrator = load_narrator(model, device)
    predict(narrator, items, file)
    return narrator


def _texts(
    name: str, system: Predictions, item: Item, findings: Sequence[Findings], numbers: Sequence[int]
) -> list[str]:
    """What a system wrote of segments; ValueError where it lacks one, so that all are scored on the same."""
    told = [system.of(item, findings)[number] for number in numbers]
    if lacking := sum(one is MISSING for one in told):
        raise ValueError(
            f"got system {name!r} without {lacking} of the {len(told)} segments of {item.name}, expected all of them; "
            "predict them again, or choose the recordings that it has"
        )
    return [one.text for one in told]


def score_part(rows: Rows, scorer: Scorer, dataset: str | None, number: int) -> dict[str, Any]:
    """The scores of every system on one dataset, or on all; "distance": its own minus the first's, by pairs."""
    first = next(iter(rows.rows))
    found = {}
    for name in rows.rows:
        own = rows.of(name, dataset)
        found[name] = summarise(own, scorer, number)
        if name != first:
            found[name]["distance"] = compare_rows(rows.of(first, dataset), own, scorer, number)["distance"]
    return found
