"""Sheets for experts: blinded, filled in by hand, read back, and how far the experts agree.

A sheet (CSV) shows two descriptions a row and asks for 1 or 0 on each of five axes; an empty cell is no rating. What
was hidden stands in a key of its own, which the experts do not get.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from neuronarrator.evaluate.blinding import QUESTIONS, Blinded, Comparison, blind
from neuronarrator.evaluate.judge import agreement
from neuronarrator.metrics.agreement import cohen_kappa, fleiss_kappa

SHEET = ("item", "description_1", "description_2", *QUESTIONS, "comment")
_KEY = ("item", "swapped", *(name for name in Comparison.__dataclass_fields__))
Ratings = dict[int, dict[str, int]]  # item, axis


def export_sheet(comparisons: Sequence[Comparison], sheet: str | Path, key: str | Path, seed: int = 0) -> None:
    """Write a sheet to fill in and the key to read it.

    Args:
        comparisons: of one or several systems.
        sheet: CSV for the experts; each fills in a copy.
        key: CSV with what is hidden.
        seed: of the order.

    Raises:
        ValueError: a file exists, so that no filled-in sheet and no key is lost.
    """
    for path in (Path(sheet), Path(key)):
        if path.exists():
            raise ValueError(f"got {path.name}, which exists, expected a new file: take another name")
    shown = blind(comparisons, seed)
    rows = [dict(zip(SHEET, (item.number, *item.texts), strict=False)) for item in shown]
    _write(Path(sheet), SHEET, rows)
    hidden = [{"item": i.number, "swapped": int(i.swapped), **asdict(i.comparison)} for i in shown]
    _write(Path(key), _KEY, hidden)


def read_key(key: str | Path) -> dict[int, Blinded]:
    """What a sheet hides, by item."""
    found = {}
    for row in _read(Path(key), _KEY):
        values = {name: row[name] for name in Comparison.__dataclass_fields__}
        comparison = Comparison(**{**values, "start_s": float(row["start_s"])})  # type: ignore[arg-type]
        found[int(row["item"])] = Blinded(int(row["item"]), row["swapped"] == "1", comparison)
    return found


def read_sheet(sheet: str | Path, key: Mapping[int, Blinded]) -> Ratings:
    """The ratings of one expert; items on which an axis is empty are left out.

    Raises:
        ValueError: other items or texts than those of the key, or a value that is neither 0 nor 1.
    """
    sheet = Path(sheet)
    found: Ratings = {}
    for row in _read(sheet, SHEET):
        number = int(row["item"]) if row["item"].isdigit() else -1
        if number not in key or (row["description_1"], row["description_2"]) != key[number].texts:
            raise ValueError(f"got item {row['item']} of {sheet.name}, which the key does not know: give its own key")
        values = {axis: row[axis].strip() for axis in QUESTIONS}
        if wrong := set(values.values()) - {"0", "1", ""}:
            raise ValueError(
                f"got {min(wrong)!r} on item {number} of {sheet.name}, expected 1, 0 or nothing: correct it"
            )
        if "" not in values.values():
            found[number] = {axis: int(value) for axis, value in values.items()}
    return found


def score_sheets(key: str | Path, sheets: Sequence[str | Path]) -> dict[str, Any]:
    """What experts say of each system, and how far they agree with one another and with the rules.

    Returns:
        For each of "systems" the mean of each axis and their "sum", over experts and items; "cohen": kappa on each
        axis of each pair of experts, on the items that both rated; "fleiss": on those that all rated; "rules": for
        each expert what `judge.agreement` returns; "n_items" of each expert, by the name of the file, or by its path
        where names repeat.

    Raises:
        ValueError: as `read_sheet`, or no rating at all.
    """
    hidden = read_key(key)
    names = [Path(sheet).name for sheet in sheets]
    called = [name if names.count(name) == 1 else str(sheet) for name, sheet in zip(names, sheets, strict=True)]
    experts = {name: read_sheet(sheet, hidden) for name, sheet in zip(called, sheets, strict=True)}
    if not any(experts.values()):
        raise ValueError("got sheets without a rating, expected 1 or 0 in the columns of the axes: fill them in")
    systems = {}
    for name in dict.fromkeys(item.comparison.system for item in hidden.values()):
        rated = [r for found in experts.values() for i, r in found.items() if hidden[i].comparison.system == name]
        if rated:
            means = {axis: sum(r[axis] for r in rated) / len(rated) for axis in QUESTIONS}
            systems[name] = {**means, "sum": sum(means.values()), "n_ratings": len(rated)}
    everybody = sorted(set.intersection(*(set(found) for found in experts.values())))
    return {
        "systems": systems,
        "cohen": {f"{a}, {b}": _cohen(experts[a], experts[b]) for a, b in combinations(experts, 2)},
        "fleiss": {axis: _fleiss([[f[i][axis] for f in experts.values()] for i in everybody]) for axis in QUESTIONS},
        "rules": {
            name: agreement({hidden[i]: rating for i, rating in found.items()}) for name, found in experts.items()
        },
        "n_items": {name: len(found) for name, found in experts.items()},
    }


def _cohen(first: Ratings, second: Ratings) -> dict[str, float | None]:
    both = sorted(set(first) & set(second))
    return {axis: cohen_kappa([first[i][axis] for i in both], [second[i][axis] for i in both]) for axis in QUESTIONS}


def _fleiss(ratings: Sequence[Sequence[int]]) -> float | None:
    """Of 0 and 1 by item and expert; None for one expert or no common item."""
    if not ratings or len(ratings[0]) < 2:
        return None
    array = np.array(ratings)
    return fleiss_kappa(np.stack([(array == 0).sum(1), (array == 1).sum(1)], axis=1))


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8-sig") as file:  # the mark lets spreadsheets read µ
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if missing := set(columns) - set(rows[0] if rows else ()):
        raise ValueError(f"got {path.name} without column {min(missing)}, expected {', '.join(columns)}: restore it")
    return rows
