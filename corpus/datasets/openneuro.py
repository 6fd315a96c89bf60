"""Folders of OpenNeuro, in the layout of BIDS, as far as three datasets need it and without mne-bids.

participants.tsv
sub-001/eeg/sub-001_task-rest_run-01_eeg.set
sub-pd3/ses-on/eeg/sub-pd3_ses-on_task-rest_eeg.bdf

`derivatives` and `sourcedata` hold other versions of the same recordings under the same names; they are never read.
"""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from corpus.datasets.events import matching
from corpus.recording import Subject
from corpus.recording.identity import MAX_AGE_YEARS

_LAYOUT = r"(?P<subject>sub-[^/_]+)/(?:ses-[^/_]+/)?eeg/(?P=subject)(?:_[a-z]+-[^/_]+)+_eeg"
_SEX = {"f": "F", "female": "F", "m": "M", "male": "M"}


@dataclass(frozen=True)
class EegFile:
    """A recording of the layout.

    Attributes:
        path: to read.
        id: path below the root without extension.
        subject: "sub-001".
        entities: of the file name, such as {"sub": "001", "task": "rest"}.
        participant: row of participants.tsv; empty where the subject is not listed.
    """

    path: Path
    id: str
    subject: str
    entities: Mapping[str, str]
    participant: Mapping[str, str]


def eeg_files(root: Path, ending: str) -> list[EegFile]:
    """Recordings of the folder with this file ending, by id.

    Raises:
        ValueError: no such recording, or no participants.tsv: groups and diagnoses stand nowhere else.
    """
    table = root / "participants.tsv"
    found = matching(root, _LAYOUT, ending)
    if not table.is_file():
        raise ValueError(f"got a folder {root.name!r} without participants.tsv, expected it beside sub-*; copy it too")
    people = {row.get("participant_id", ""): row for row in read_tsv(table)}
    return [
        EegFile(path, name, fits["subject"], _entities(path.stem), people.get(fits["subject"], {}))
        for path, name, fits in found
    ]


def _entities(stem: str) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("-") for part in stem.split("_")[:-1])}


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated table, blanks around its values cut off; "n/a" and "NaN" become ""."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        lines = [[value.strip() for value in row] for row in csv.reader(stream, delimiter="\t") if any(row)]
    return [
        {name: "" if value.lower() in ("n/a", "nan") else value for name, value in zip(lines[0], row, strict=False)}
        for row in lines[1:]
    ]


def number(text: str) -> float | None:
    """A number of a table; None where the cell is empty or holds something else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def facts(age: str, sex: str, words: Mapping[str, str] = _SEX) -> Subject:
    """Whole years and sex from two cells of participants.tsv; None for what they do not give.

    Args:
        age: years.
        sex: cell.
        words: "F" or "M" for each lower-case word met in the column.
    """
    years = number(age)
    known = years is not None and 0 <= years <= 120
    return Subject(min(int(years or 0), MAX_AGE_YEARS) if known else None, words.get(sex.lower()))
