"""EEGMAT, "Workload" in the paper: students at rest and while they subtract (Zyma et al. 2019).

Subject00_1.edf       at rest, 182 s
Subject00_2.edf       at serial subtraction, 62 s
subject-info.csv      age, sex, and how well they counted

Sex comes from the table: the headers say F for M and M for F, and the counts of the publication are those of the table.
"""

import csv
from dataclasses import replace
from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded, Split
from corpus.datasets.events import matching
from corpus.recording import Subject, read_recording

_LAYOUT = r"(?:.+/)?(?P<subject>Subject(?P<number>\d\d))_(?P<suffix>[12])"
_TASKS = {"1": "rest", "2": "mental arithmetic"}
_ELECTRODES = "Fp1 Fp2 F3 F4 F7 F8 T3 T4 C3 C4 T5 T6 P3 P4 O1 O2 Fz Cz Pz"

CARD = DatasetCard(
    name="workload",
    title="EEG During Mental Arithmetic Tasks 1.0.0 (EEGMAT)",
    aliases=("eegmat", "mental-arithmetic"),
    role="corpus",
    licence="ODC-By 1.0",
    access="open, https://physionet.org/content/eegmat/1.0.0/",
    citation="Zyma et al. 2019, doi:10.3390/data4010014; Goldberger et al. 2000, doi:10.1161/01.CIR.101.23.e215; "
    "doi:10.13026/C2JQ1P",
    expected_recordings=72,
    expected_subjects=36,
    paper_segments=(520, 90),
    why_counts_differ="A pair of recordings holds 18 + 6 segments of 10 s. 520 training segments are 26 subjects times "
    "20, so the paper seems to leave out the first two of each recording, which have no full history, and the five "
    "validation subjects; we yield all of them. Five test subjects would give 100 segments in the same way; why the "
    "paper has 90 is not stated.",
    sfreq=500.0,
    ch_names=(*(f"EEG {name}" for name in _ELECTRODES.split()), "EEG A2-A1", "ECG ECG"),
    reference="linked ears",
    mains_hz=50.0,
    labels={
        "rest": "before the task; published as free of artifacts, after ICA",
        "mental arithmetic": "serial subtraction of a two-digit from a four-digit number",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file; ValueError where there is none."""
    people = _people(root)
    return [
        Entry(
            id=name,
            subject=fits["subject"],
            path=path,
            labels=(Label("task", _TASKS[fits["suffix"]], "file", f"file suffix _{fits['suffix']}"),),
            facts=people.get(fits["subject"], Subject()),
            split=_split(int(fits["number"])),
        )
        for path, name, fits in matching(root, _LAYOUT)
    ]


def _split(number: int) -> Split:
    """NeuroLM's sides: the sorted subjects, 26 to train, 5 to validate, 5 to test (Jiang et al., arXiv:2409.00101)."""
    return "train" if number < 26 else "val" if number < 31 else "test"


def _people(root: Path) -> dict[str, Subject]:
    """Age and sex of each subject; empty without the table."""
    for table in sorted(root.rglob("subject-info.csv")):
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
        return {row["Subject"]: Subject(int(row["Age"]), {"F": "F", "M": "M"}.get(row["Gender"])) for row in rows}
    return {}


def _load(entry: Entry) -> Loaded:
    """The recording with the sex of the table, or none: that of the header is wrong."""
    recording = read_recording(entry.path)
    age_years = recording.subject.age_years if entry.facts.age_years is None else entry.facts.age_years
    return Loaded(replace(recording, subject=Subject(age_years, entry.facts.sex)), entry.labels)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
