"""The tables of a comparison: what the page and the Markdown share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neuronarrator.compare.budget import COLUMNS, budget_cells, budget_notes
from neuronarrator.evaluate.narrative_scores import WITHOUT_TRENDS

SCORES = {"fact_f1": "Fact-F1", WITHOUT_TRENDS: "Fact-F1 without trends", "rouge_l": "ROUGE-L"}
BUDGET = "What each was given"
MAX_NAMED = 5
BUDGET_NOTE = (
    "Crops: training segments with their narrative, or what else was asked. Tokens: of prompts and answers, without "
    "padding; after ≈ crops times the tokens of a segment of this comparison. FLOPs: two for each multiply-add, "
    "counted on one segment of each dataset of this comparison, its history included; of training: forward and "
    "backward of what learns, times the crops. Tokens of a segment: prompt + what the system wrote."
)


@dataclass(frozen=True)
class Cell:
    """What a cell says, and in small print behind it."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """A title, the names of the columns, and a row of cells for each system."""

    title: str
    head: tuple[str, ...]
    rows: Mapping[str, list[Cell]]


def score_tables(scores: Mapping[str, Any]) -> Iterator[Table]:
    """One of each dataset: means, and in small print the difference to the first system with its interval."""
    for dataset, systems in scores["datasets"].items():
        count = next(iter(systems.values()))
        title = f"{dataset}: {count['n_segments']} segments of {count['n_subjects']} subjects"
        rows = {name: [*(_cell(found, score) for score in SCORES), _wrong(found)] for name, found in systems.items()}
        yield Table(title, ("system", *SCORES.values(), "contradicted claims"), rows)


def budget_table(scores: Mapping[str, Any]) -> tuple[Table, list[str]]:
    """What each system was given, and notes below."""
    budgets = scores["budgets"]
    rows = {name: [Cell(text) for text in budget_cells(budget)] for name, budget in budgets.items()}
    seen = [
        f"Warning: {len(persons)} of these persons were in the training of {name}: {', '.join(persons[:MAX_NAMED])}"
        for name, persons in scores["seen_in_training"].items()
        if persons
    ]
    return Table(BUDGET, ("system", *COLUMNS), rows), [*seen, BUDGET_NOTE, *budget_notes(budgets)]


def format_comparison(scores: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    budgets, notes = budget_table(scores)
    tables = [_markdown(table) for table in (*score_tables(scores), budgets)]
    return "\n\n".join([*tables, *notes])


def _markdown(table: Table) -> str:
    lines = [f"### {table.title}", "", f"| {' | '.join(table.head)} |", "|---" * len(table.head) + "|"]
    for name, cells in table.rows.items():
        texts = [f"{cell.text} ({cell.small})" if cell.small else cell.text for cell in cells]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _cell(found: Mapping[str, Any], score: str) -> Cell:
    text, distance = f"{found[score]['mean']:.3f}", found.get("distance", {}).get(score)
    if distance is None:
        return Cell(text)
    edges = "" if distance["ci"] is None else f", {distance['ci'][0]:+.3f} to {distance['ci'][1]:+.3f}"
    return Cell(text, f"{distance['mean']:+.3f}{edges}")


def _wrong(found: Mapping[str, Any]) -> Cell:
    return Cell(f"{100 * found['contradicted']['share']:.1f} % of {found['claims']['total']}")
