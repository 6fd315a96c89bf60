"""DREAMS: half hours of sleep in which experts marked spindles, and others with K-complexes (Devuyst et al. 2010).

DatabaseSpindles/excerpt1.edf                        eyes, CZ-A1 or C3-A1, FP1-A1, O1-A1, chin; 100 or 200 Hz
DatabaseSpindles/excerpt1.txt                        the scored channel alone: "[C3-A1]", then a sample a line
DatabaseSpindles/Visual_scoring1_excerpt1.txt        "[vis1_Spindles/C3-A1]", then start and duration, seconds
DatabaseSpindles/Visual_scoring2_excerpt1.txt        the second expert, excerpts 1 to 6
DatabaseSpindles/Hypnogram_excerpt1.txt              "[hypnogram]", then a stage for every 5 s
DatabaseKcomplexes/...                               the same names again, 10 excerpts; second expert in 1 to 5

Other DREAMS databases have files of the same names: the first line of a scoring tells what was scored.
"""

import re
from itertools import groupby
from pathlib import Path

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import on_signal, read_lines, with_labels
from corpus.datasets.hypnogram import STAGES
from corpus.recording import Recording, RecordingError, read_recording, recording_from_array

_FILE = re.compile(r"excerpt\d+\.(?:edf|txt)")
_SCORED = re.compile(r"\[vis\d_(?P<what>Spindles|Kcomplexes)/(?P<ch_name>[^]]+)\]", re.IGNORECASE)
_PATTERNS = {"spindles": "spindle", "kcomplexes": "k_complex"}
_STAGES = {5: "W", 4: "R", 3: "N1", 2: "N2", 1: "N3", 0: "N3"}  # -1 movement, -2 and -3 unknown
_EPOCH_S = 5.0
_EXCERPT_S = 1800.0

CARD = DatasetCard(
    name="dreams",
    title="DREAMS Sleep Spindles and K-complexes Databases",
    role="image",
    licence="CC BY-NC-SA 4.0 on Zenodo; the authors' older page says CC BY-NC-ND 3.0",
    access="open, https://doi.org/10.5281/zenodo.2650142: DatabaseSpindles and DatabaseKcomplexes",
    citation="Devuyst et al. 2010, doi:10.1109/IEMBS.2010.5626447; doi:10.5281/zenodo.2650142",
    expected_recordings=18,
    expected_subjects=18,
    why_counts_differ="Not among the paper's datasets. 8 excerpts with spindles and 10 with K-complexes; spindle "
    "excerpt 3 has 50 Hz and is refused, because gamma cannot be measured. Each excerpt counts as a person.",
    reference="left ear, A1; corpus.montage.pick_eeg keeps Cz or C3, Fp1 and O1",
    mains_hz=50.0,
    labels={
        "spindle": "marked by one expert in one channel; two experts give two labels",
        "k_complex": "marked by one expert in one channel; two experts give two labels",
        **STAGES,
        "movement": "the stage cannot be told for movement",
    },
    granularity="event",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every excerpt whose scoring is there, its EDF file before its text; ValueError where there is none."""
    entries = {}
    for path in sorted(root.rglob("excerpt*"), key=lambda path: path.suffix, reverse=True):  # .txt, then .edf
        scoring = _scoring(path, 1)
        scored = _FILE.fullmatch(path.name) and scoring.is_file() and _SCORED.match((read_lines(scoring) or [""])[0])
        if scored:
            name = path.relative_to(root).with_suffix("").as_posix()
            subject = f"{scored['what'].lower()}-{path.stem.removeprefix('excerpt')}"
            entries[name] = Entry(name, subject, path)
    if not entries:
        raise ValueError(
            f"got a folder {root.name!r} without a scored excerpt, expected excerpt1.edf and "
            "Visual_scoring1_excerpt1.txt beside it; give the folder that holds DatabaseSpindles and DatabaseKcomplexes"
        )
    return [entries[name] for name in sorted(entries)]


def _scoring(path: Path, expert: int) -> Path:
    return path.with_name(f"Visual_scoring{expert}_{path.stem}.txt")


def _load(entry: Entry) -> Loaded:
    """The excerpt with the marks of its experts and its stages; RecordingError where a file is damaged."""
    path = entry.path
    labels = [mark for expert in (1, 2) if _scoring(path, expert).is_file() for mark in _marks(_scoring(path, expert))]
    hypnogram = path.with_name(f"Hypnogram_{path.stem}.txt")
    labels += _stages(hypnogram) if hypnogram.is_file() else []
    recording = read_recording(path) if path.suffix == ".edf" else _from_text(path)
    return with_labels(recording, on_signal(recording, labels))


def _numbers(path: Path, n_columns: int) -> tuple[str, np.ndarray]:
    """First line of a text file, and the numbers below it, (rows, columns).

    Raises:
        RecordingError: something in it is no number, or a row has another length.
    """
    first, *lines = read_lines(path) or [""]
    rows = np.empty((0, n_columns))
    try:
        rows = np.loadtxt(lines, comments=None, ndmin=2) if any(lines) else rows
    except ValueError:
        rows = np.empty((0, 0))
    if rows.shape[1] != n_columns:
        raise RecordingError(
            f"{path.name}: got a line that is not {n_columns} numbers, expected nothing else below the first; copy it "
            "again"
        )
    return first, rows


def _marks(path: Path) -> list[Label]:
    """What one expert marked."""
    first, rows = _numbers(path, 2)
    scored = _SCORED.match(first)
    if not scored:
        raise RecordingError(
            f"{path.name}: got {first[:40]!r}, expected such as '[vis1_Spindles/C3-A1]' as first line; copy it again"
        )
    value, ch_name = _PATTERNS[scored["what"].lower()], scored["ch_name"].strip()
    return [
        Label("pattern", value, "event", path.name, start_s, length_s, (ch_name,))
        for start_s, length_s in rows.tolist()
    ]


def _stages(path: Path) -> list[Label]:
    """Runs of one stage; movement counts as an artifact, unknown stages are left out."""
    codes = _numbers(path, 1)[1].ravel().astype(int).tolist()
    labels, start_s = [], 0.0
    for code, run in groupby(codes):
        length_s = _EPOCH_S * len(list(run))
        kind, value = ("artifact", "movement") if code == -1 else ("stage", _STAGES.get(code, ""))
        if value:
            labels.append(Label(kind, value, "segment", path.name, start_s, length_s))
        start_s += length_s
    return labels


def _from_text(path: Path) -> Recording:
    """The scored channel; its rate follows from the length of every excerpt, half an hour."""
    first, values = _numbers(path, 1)
    told = ["read from text: the unit is not stated there, taken as microvolts"]
    return recording_from_array(path, values.T, len(values) / _EXCERPT_S, [first.strip("[] ")], "text", warnings=told)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
