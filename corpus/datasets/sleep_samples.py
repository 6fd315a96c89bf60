"""Sample files of YASA: short pieces of sleep and one of wakefulness, one or two channels (Vallat & Walker 2021).

data_N2_spindles_15sec_200Hz.txt        one channel, electrode not published
data_N3_no-spindles_30sec_100Hz.txt     one channel, electrode not published
data_EOGs_REM_256Hz.npz                 the two eye channels
data_resting_EO_200Hz_raw.fif           F4-A1 and Cz-A2, eyes open

Only the last one has electrodes with a name, so corpus.montage.pick_eeg refuses the others.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.recording import RecordingError, read_recording, recording_from_array


@dataclass(frozen=True)
class _Sample:
    kind: str
    value: str
    sfreq: float
    ch_names: tuple[str, ...] = ("EEG",)


_SAMPLES = {
    "data_N2_spindles_15sec_200Hz.txt": _Sample("stage", "N2", 200.0),
    "data_N3_no-spindles_30sec_100Hz.txt": _Sample("stage", "N3", 100.0),
    "data_EOGs_REM_256Hz.npz": _Sample("stage", "R", 256.0, ("LOC", "ROC")),
    "data_resting_EO_200Hz_raw.fif": _Sample("condition", "eyes open", 200.0, ("F4-A1", "CZ-A2")),
}

CARD = DatasetCard(
    name="sleep-samples",
    title="YASA sample files",
    aliases=("yasa",),
    role="extra",
    licence="BSD-3-Clause",
    access="open, https://github.com/raphaelvallat/yasa, folder notebooks of early versions",
    citation="Vallat & Walker 2021, doi:10.7554/eLife.70092",
    expected_recordings=len(_SAMPLES),
    why_counts_differ="Not among the paper's datasets. Persons are not published, so each file counts as one.",
    reference="mastoids where published (A1, A2)",
    labels={
        "N2": "sleep with spindles",
        "N3": "deep sleep",
        "R": "rapid eye movement sleep",
        "eyes open": "awake at rest",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of the sample files that are there; ValueError where none is."""
    files = sorted(path for path in root.rglob("*") if path.name in _SAMPLES)
    if not files:
        raise ValueError(f"got a folder {root.name!r} without sample files, expected such as {next(iter(_SAMPLES))}")
    return [
        Entry(
            id=path.relative_to(root).with_suffix("").as_posix(),
            subject=path.stem,
            path=path,
            labels=(Label(_SAMPLES[path.name].kind, _SAMPLES[path.name].value, "file", "name of the file"),),
        )
        for path in files
    ]


def _load(entry: Entry) -> Loaded:
    """The one or two channels of a sample file; RecordingError where it is damaged."""
    path, sample = entry.path, _SAMPLES[entry.path.name]
    if path.suffix == ".fif":
        return Loaded(read_recording(path), entry.labels)
    try:
        signal_uv = np.loadtxt(path, ndmin=2).T if path.suffix == ".txt" else np.load(path, allow_pickle=False)["data"]
    except Exception as error:  # NumPy raises what its parsers raise
        raise RecordingError(
            f"{path.name}: got content that cannot be decoded ({type(error).__name__}), expected the published file; "
            "copy it again"
        ) from None
    format_name = "text" if path.suffix == ".txt" else "NumPy"
    return Loaded(recording_from_array(path, signal_uv, sample.sfreq, sample.ch_names, format_name), entry.labels)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
