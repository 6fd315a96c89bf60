"""Grasp-and-Lift: twelve people lift an object again and again (Kaggle 2015, from WAY-EEG-GAL, Luciw et al. 2014).

train/subj1_series1_data.csv       id, 32 channels; a row a sample, 500 Hz, whole microvolts
train/subj1_series1_events.csv     id, six columns of 0 and 1: within 150 ms of the event
test/subj1_series9_data.csv        series 9 and 10, without events
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import matching, with_labels
from corpus.recording import RecordingError, recording_from_array

_LAYOUT = r"(?:.+/)?(?P<subject>subj\d+)_series\d+_data"
_SFREQ = 500.0
_TASK = "grasping and lifting an object"
_EVENTS = {
    "HandStart": "the hand begins to move",
    "FirstDigitTouch": "a finger touches the object",
    "BothStartLoadPhase": "thumb and finger begin to load it",
    "LiftOff": "the object leaves the table",
    "Replace": "it is set down",
    "BothReleased": "thumb and finger let go",
}
_CH_NAMES = (
    "Fp1 Fp2 F7 F3 Fz F4 F8 FC5 FC1 FC2 FC6 T7 C3 Cz C4 T8 TP9 CP5 CP1 CP2 CP6 TP10 P7 P3 Pz P4 P8 PO9 O1 Oz O2 PO10"
)

CARD = DatasetCard(
    name="grasp-and-lift",
    title="Grasp-and-Lift EEG Detection (Kaggle), from WAY-EEG-GAL",
    aliases=("gal",),
    role="corpus",
    licence="CC BY 4.0 (WAY-EEG-GAL, doi:10.6084/m9.figshare.988376); Kaggle's competition rules for its files",
    access="free account, https://www.kaggle.com/c/grasp-and-lift-eeg-detection: train.zip and test.zip",
    citation="Luciw, Jarocka & Edin 2014, doi:10.1038/sdata.2014.47",
    expected_recordings=120,
    expected_subjects=12,
    paper_segments=(2531, 894),
    why_counts_differ="The paper's 3,425 segments are 9.5 h, about what the 96 recordings with events hold; those of "
    "Kaggle's test side have none and are read without labels. Its split is not stated, and Kaggle's separates series, "
    "not people, so it is not used. The dataset was part of LaBraM's pretraining, without labels.",
    sfreq=_SFREQ,
    ch_names=tuple(_CH_NAMES.split()),
    reference="as recorded, common, not stated",
    mains_hz=50.0,
    labels={
        _TASK: "the whole recording",
        **{name: f"{what}, 150 ms before to 150 ms after" for name, what in _EVENTS.items()},
    },
    granularity="event",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every data file; ValueError where there is none."""
    labels = (Label("task", _TASK, "file", "the only task"),)
    return [Entry(name, fits["subject"], path, labels) for path, name, fits in matching(root, _LAYOUT, ".csv")]


def _load(entry: Entry) -> Loaded:
    """The samples with their events; RecordingError where a table is damaged."""
    path = entry.path
    names, samples = _table(path, np.float64)
    recording = recording_from_array(path, samples.T, _SFREQ, names, "CSV")
    table = path.with_name(path.name.replace("_data.csv", "_events.csv"))
    if not table.is_file():
        return with_labels(recording, entry.labels, ["no table of events: they are not known"])
    columns, frames = _table(table, np.int8)
    if len(frames) != len(samples) or set(columns) != set(_EVENTS):
        raise RecordingError(
            f"{table.name}: got {len(frames)} rows of {', '.join(columns)}, expected {len(samples)} rows, as in "
            f"{path.name}, of {', '.join(_EVENTS)}; copy both files again"
        )
    found = [
        Label("event", name, "event", f"{table.name}, {name}", start / _SFREQ, (stop - start) / _SFREQ)
        for name, frame in zip(columns, frames.T, strict=True)
        for start, stop in _runs(frame)
    ]
    return with_labels(recording, (*entry.labels, *sorted(found, key=lambda label: label.start_s)))


def _table(path: Path, dtype: type[np.generic]) -> tuple[list[str], np.ndarray]:
    """Column names without the first, and the numbers below them, (rows, columns)."""
    try:
        with path.open(encoding="utf-8") as stream:
            names = stream.readline().strip().split(",")
            values: np.ndarray = np.loadtxt(stream, dtype, delimiter=",", usecols=range(1, len(names)), ndmin=2)
    except ValueError as error:  # a cell that is no number, a short row
        raise RecordingError(
            f"{path.name}: got a table that cannot be read ({type(error).__name__}), expected the published CSV with "
            "a header and numbers; copy it again"
        ) from None
    return names[1:], values


def _runs(frame: np.ndarray) -> Iterator[tuple[int, int]]:
    """(first, one after the last) sample of each stretch of ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], frame != 0, [0]])))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
