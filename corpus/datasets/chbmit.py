"""CHB-MIT Scalp EEG Database: children and young adults, days of recording, 198 seizures.

chb01/chb01_03.edf, chb02/chb02_16+.edf, chb17/chb17a_03.edf
chb01/chb01-summary.txt     files and their seizures, in seconds; two wordings, "Seizure Start Time" and "Seizure 1
                            Start Time", and numbers that repeat, so that only the order pairs starts with ends
SUBJECT-INFO                case, gender, age; chb24 came later and is not in it
"""

import re
from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Loaded
from corpus.datasets.events import SEIZURE_LABELS, matching, read_lines, seizure_labels, with_labels
from corpus.recording import RecordingError, Subject, read_recording

_LAYOUT = r"(?P<case>chb\d\d)/(?P=case)[a-z]?_\d+\+?"
_SAME_PERSON = {"chb21": "chb01"}  # recorded 1.5 years later
_COUNT = re.compile(r"Number of Seizures in File:\s*(\d+)", re.IGNORECASE)
_TIME = re.compile(r"Seizure\s*\d*\s*(Start|End) Time:\s*(\d+)", re.IGNORECASE)

CARD = DatasetCard(
    name="chbmit",
    title="CHB-MIT Scalp EEG Database 1.0.0",
    aliases=("chb-mit",),
    role="image",
    licence="ODC-By 1.0",
    access="open, https://physionet.org/content/chbmit/1.0.0/. Bipolar derivations only: where they "
    "link both sides, corpus.montage.pick_eeg computes 18 electrodes from them, against their average",
    citation="Shoeb 2009, PhD thesis, MIT; Goldberger et al. 2000, doi:10.1161/01.CIR.101.23.e215; doi:10.13026/C2K01R",
    expected_recordings=686,
    expected_subjects=23,
    why_counts_differ="Not among the paper's datasets; CerebraGloss leaves it out because it is bipolar. "
    "PhysioNet's page speaks of 664 files, its RECORDS lists 686; the 24 cases are 23 persons, as chb21 is chb01.",
    sfreq=256.0,
    reference="none: mostly 23 derivations of neighbouring electrodes (double banana and others, T8-P8 twice); a few "
    "files have other channels",
    mains_hz=60.0,
    labels=SEIZURE_LABELS,
    granularity="event",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file; ValueError where there is none."""
    people = _people(root / "SUBJECT-INFO")
    return [
        Entry(
            id=name,
            subject=_SAME_PERSON.get(fits["case"], fits["case"]),
            path=path,
            facts=people.get(fits["case"], Subject()),
            diagnosis=("epilepsy",),
        )
        for path, name, fits in matching(root, _LAYOUT)
    ]


def _people(path: Path) -> dict[str, Subject]:
    """Age (whole years) and sex of each case; empty without the file."""
    rows = (re.match(r"(chb\d\d)\s+([FM])\s+([\d.]+)", line) for line in (read_lines(path) if path.is_file() else ()))
    return {row[1]: Subject(int(float(row[3])), row[2]) for row in rows if row}


def _seizures(path: Path, file: str) -> list[tuple[float, float]] | None:
    """(start, end) of each seizure of a file, seconds; None where the summary does not name the file.

    Raises:
        RecordingError: no summary, or not as many starts and ends as it announces.
    """
    announced, named, inside = 0, False, False
    starts: list[float] = []
    ends: list[float] = []
    for line in read_lines(path):
        key, _, value = line.partition(":")
        if key.lower() == "file name":
            inside = value.strip() == file
            named |= inside
        elif inside and (count := _COUNT.match(line)):
            announced += int(count[1])
        elif inside and (time := _TIME.match(line)):
            (starts if time[1].lower() == "start" else ends).append(float(time[2]))
    if not len(starts) == len(ends) == announced or any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise RecordingError(
            f"{file}: got {len(starts)} starts and {len(ends)} ends of {announced} seizures in {path.name}, "
            "expected as many of each, in order; copy that file again"
        )
    return list(zip(starts, ends, strict=True)) if named else None


def _load(entry: Entry) -> Loaded:
    """The recording with its seizures and the time between them; RecordingError where something is damaged."""
    case = entry.path.parent.name
    summary = entry.path.with_name(f"{case}-summary.txt")
    seizures = _seizures(summary, entry.path.name)
    recording = read_recording(entry.path)
    if seizures is None:
        told = f"{summary.name} does not list this file: whether it holds a seizure is not known"
        return with_labels(recording, (), [told])
    placed = [(recording.to_signal(start), recording.to_signal(end)) for start, end in seizures]
    return with_labels(recording, seizure_labels(placed, recording.duration_s, summary.name))


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
