"""YASA's sample files on the real files."""

from pathlib import Path

import numpy as np
import pytest

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

DATASET = get_dataset("sleep-samples")


def test_entries(shared_data: Path) -> None:
    entries = list(DATASET.entries(shared_data / "sleep_samples"))
    assert {e.id: (e.labels[0].kind, e.labels[0].value) for e in entries} == {
        "data_EOGs_REM_256Hz": ("stage", "R"),
        "data_N2_spindles_15sec_200Hz": ("stage", "N2"),
        "data_N3_no-spindles_30sec_100Hz": ("stage", "N3"),
        "data_resting_EO_200Hz_raw": ("condition", "eyes open"),
    }


@pytest.mark.parametrize(
    ("name", "sfreq", "duration_s", "ch_names"),
    [
        ("data_EOGs_REM_256Hz", 256, 859, ("LOC", "ROC")),
        ("data_N2_spindles_15sec_200Hz", 200, 15, ("EEG",)),
        ("data_N3_no-spindles_30sec_100Hz", 100, 30, ("EEG",)),
        ("data_resting_EO_200Hz_raw", 200, 360, ("F4-A1", "CZ-A2")),
    ],
)
def test_recordings(shared_data: Path, name: str, sfreq: float, duration_s: float, ch_names: tuple[str, ...]) -> None:
    entry = next(e for e in DATASET.entries(shared_data / "sleep_samples") if e.id == name)
    recording = DATASET.load(entry).recording
    assert (recording.sfreq, recording.ch_names) == (sfreq, ch_names)
    assert recording.duration_s == pytest.approx(duration_s, abs=0.01)
    assert 5 < np.median(recording.signal_uv.std(axis=1)) < 60
    if name.startswith("data_resting"):
        assert pick_eeg(recording).ch_names == ("F4", "Cz")
    else:
        with pytest.raises(RecordingError):  # no electrode is named
            pick_eeg(recording)


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data_N2_spindles"):
        DATASET.entries(tmp_path)
