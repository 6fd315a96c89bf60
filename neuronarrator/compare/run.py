"""Narrators on the same segments: one file of predictions each, one table, differences by paired subjects.

The interval of a difference resamples subjects, each with all its segments, for both narrators at once; so it tells
whether the one is better than the other on other subjects, which two separate intervals do not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from neuronarrator.evaluate.narrative_scores import Scored, Scorer, summarise
from neuronarrator.evaluate.narrative_scores import compare as compare_rows
from neuronarrator.evaluate.narratives import versions
from neuronarrator.evaluate.predictions import Predictions
from neuronarrator.evaluate.references import Reference, references_of
from neuronarrator.evaluate.sources import Item, none_usable, open_data, usable
from neuronarrator.metrics.bootstrap import LEVEL
from neuronarrator.models import load_narrator
from neuronarrator.predict import predict

ORACLE = "template oracle"
TABLE = ("fact_f1", "signal_fact_f1", "rouge_l")


@dataclass(frozen=True)
class Chosen:
    """Recordings to compare on; none of them may have been in any training.

    Attributes:
        root: folder of recordings, of a dataset, or of a corpus.
        dataset: name of the dataset as published.
        split: its side; None: all.
        files: patterns of the names to take; none: all.
    """

    root: str
    dataset: str | None = None
    split: str | None = None
    files: tuple[str, ...] = ()

    def items(self) -> list[Item]:
        """The recordings.

        Raises:
            ValueError: there are none.
        """
        found = open_data(self.root, self.dataset, self.split).items
        kept = [item for item in found if not self.files or any(fnmatch(item.name, name) for name in self.files)]
        if not kept:
            raise ValueError(
                f"got no recording that fits {self.files} in {Path(self.root).name!r}; correct the patterns"
            )
        return kept


@dataclass(frozen=True)
class CompareConfig:
    """What is compared.

    Attributes:
        data: recordings.
        systems: name in the table to a model (shipped, directory, `owner/name`) or a file of predictions (.jsonl); the
            others are compared with the first.
        resamples: of the subjects.
        seed: of the resamples and of the wording of references.
        shown: segments of each dataset on the page.
    """

    data: list[Chosen]
    systems: dict[str, str]
    resamples: int = 1000
    seed: int = 0
    shown: int = 6

    def __post_init__(self) -> None:
        if not self.systems or ORACLE in self.systems:
            raise ValueError(
                f"got systems {list(self.systems)}, expected at least one, none called {ORACLE!r}; correct it"
            )


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
class _Rows:
    """Scored narratives of every system, in the same order."""

    rows: dict[str, list[Scored]] = field(default_factory=dict)

    def add(self, name: str, scored: Sequence[Scored]) -> None:
        self.rows.setdefault(name, []).extend(scored)

    def of(self, name: str, dataset: str | None) -> list[Scored]:
        return [row for row in self.rows[name] if dataset in (None, row.dataset)]


def read_config(path: Path) -> CompareConfig:
    """A comparison from a YAML file; relative roots and models are relative to where the command runs.

    Raises:
        ValueError: unknown keys or values.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CompareConfig)
    try:
        found = parser.instantiate_classes(parser.parse_path(path))
    except Exception as error:  # jsonargparse has several; each text says what was wrong
        raise ValueError(f"{path.name}: {error}") from None
    return CompareConfig(**vars(found))


def compare(config: CompareConfig, out: Path, device: str = "cpu") -> Comparison:
    """Narrate with every system, score all, and put them side by side.

    Args:
        config: what.
        out: folder; `predictions/<system>.jsonl` is written there, and a run that was killed goes on.
        device: of the models.

    Raises:
        ValueError: a system without a narrative of a segment, or a choice without recordings.
        RecordingError: no recording can be used.
    """
    items = [item for chosen in config.data for item in chosen.items()]
    systems = {name: _predictions(name, model, items, out, device) for name, model in config.systems.items()}
    scorer, rows, skipped = Scorer(config.resamples, config.seed), _Rows(), dict[str, str]()
    shown: list[Shown] = []
    for item, material in usable(items, skipped):
        findings, examples = material.findings()
        references = references_of(material, findings, examples, config.seed)
        numbers, told = list(references), list(references.values())
        texts = {name: [system.of(item, findings)[i].text for i in numbers] for name, system in systems.items()}
        texts[ORACLE] = [reference.oracle for reference in told]
        for name, own in texts.items():
            rows.add(name, scorer.score(item.dataset, material.subject, own, told))
        room = config.shown - sum(one.dataset == item.dataset for one in shown)
        for k in range(0, len(told), max(len(told) // 2, 1)) if room > 0 else ():
            words = {name: own[k] for name, own in texts.items()}
            shown.append(Shown(item.dataset, item.name, told[k], words))
    if not rows.rows:
        raise none_usable(skipped)
    names = list(dict.fromkeys(row.dataset for row in rows.rows[ORACLE]))
    parts = {"all": None, **{name: name for name in names}} if len(names) > 1 else {names[0]: names[0]}
    scores = {
        "datasets": {label: _part(rows, scorer, part, i) for i, (label, part) in enumerate(parts.items())},
        "systems": {name: system.card for name, system in systems.items()},
        "first": next(iter(systems)),
        "skipped": skipped,
        "bootstrap": {"unit": "subject", "paired": True, "resamples": config.resamples, "level": LEVEL},
        "seed": config.seed,
        "versions": versions(),
    }
    return Comparison(scores, shown)


def _predictions(name: str, model: str, items: Sequence[Item], out: Path, device: str) -> Predictions:
    if model.endswith(".jsonl"):
        return Predictions(model)
    file = out / "predictions" / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.jsonl"
    predict(load_narrator(model, device), items, file)
    return Predictions(file)


def _part(rows: _Rows, scorer: Scorer, dataset: str | None, number: int) -> dict[str, Any]:
    first = next(iter(rows.rows))
    found = {}
    for name in rows.rows:
        own = rows.of(name, dataset)
        found[name] = summarise(own, scorer, number)
        if name != first:
            found[name]["distance"] = compare_rows(rows.of(first, dataset), own, scorer, number)["distance"]
    return found


def format_comparison(scores: Mapping[str, Any]) -> str:
    """The table as Markdown: means, and in brackets the difference to the first system with its interval."""
    lines = []
    for dataset, systems in scores["datasets"].items():
        count = next(iter(systems.values()))
        lines += [f"### {dataset}: {count['n_segments']} segments of {count['n_subjects']} subjects", ""]
        lines += ["| system | Fact-F1 | Signal-Fact-F1 | ROUGE-L | contradicted claims |", "|---|---|---|---|---|"]
        for name, found in systems.items():
            cells = [_cell(found, score) for score in TABLE]
            wrong = f"{100 * found['contradicted']['share']:.1f} % of {found['claims']['total']}"
            lines.append(f"| {name} | {' | '.join(cells)} | {wrong} |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: Mapping[str, Any], score: str) -> str:
    text, distance = f"{found[score]['mean']:.3f}", found.get("distance", {}).get(score)
    if distance is None:
        return text
    edges = "" if distance["ci"] is None else f", {distance['ci'][0]:+.3f} to {distance['ci'][1]:+.3f}"
    return f"{text} ({distance['mean']:+.3f}{edges})"
