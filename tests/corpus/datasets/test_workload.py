"""EEGMAT on the real files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg
from corpus.recording import Subject

DATASET = get_dataset("workload")


@pytest.fixture
def root(shared_data: Path) -> Path:
    return shared_data / "eegmat"


def test_entries(root: Path) -> None:
    entries = list(DATASET.entries(root))
    assert [e.id for e in entries] == sorted(p.stem for p in root.glob("*.edf"))
    assert len({e.subject for e in entries}) == 31
    assert Counter(label.value for e in entries for label in e.labels) == {"mental arithmetic": 31, "rest": 15}
    assert set(DATASET.card.labels) == {"mental arithmetic", "rest"}
    split = {e.subject: e.split for e in entries}
    assert Counter(split.values()) == {"train": 26, "val": 5}
    assert (split["Subject25"], split["Subject26"], split["Subject30"]) == ("train", "val", "val")
    by_id = {e.id: e for e in entries}
    assert by_id["Subject06_2"].facts == Subject(18, "M")
    assert by_id["Subject00_1"].facts == Subject(21, "F")


def test_labels_follow_the_suffix(root: Path) -> None:
    for entry in DATASET.entries(root):
        (label,) = entry.labels
        assert (label.value == "rest") == entry.path.stem.endswith("_1")
        assert (label.kind, label.granularity, label.start_s, label.duration_s) == ("task", "file", 0.0, None)


def test_a_recording(root: Path) -> None:
    entry = next(e for e in DATASET.entries(root) if e.id == "Subject06_2")
    recording = DATASET.load(entry).recording
    assert recording.ch_names == DATASET.card.ch_names
    assert recording.sfreq == DATASET.card.sfreq
    assert recording.duration_s == pytest.approx(62, abs=1)
    assert recording.subject == Subject(18, "M")  # the header says F
    eeg = pick_eeg(recording)
    assert eeg.n_chans == 19
    assert {s.name for s in eeg.set_aside} == {"EEG A2-A1", "ECG ECG"}
    assert 1 < np.median(eeg.signal_uv.std(axis=1)) < 30
    assert "Subject6" not in repr(recording)


def test_without_the_table_no_sex_is_told(root: Path, tmp_path: Path) -> None:
    (tmp_path / "Subject06_2.edf").symlink_to(root / "Subject06_2.edf")
    (entry,) = DATASET.entries(tmp_path)
    assert DATASET.load(entry).recording.subject == Subject(18, None)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="published layout"):
        DATASET.entries(tmp_path)


def test_the_published_test_side(tmp_path: Path) -> None:
    for number in range(36):
        for suffix in (1, 2):
            (tmp_path / f"Subject{number:02}_{suffix}.edf").touch()
    entries = list(DATASET.entries(tmp_path))
    assert Counter(e.split for e in entries) == {"train": 52, "val": 10, "test": 10}
    assert (len(entries), len({e.subject for e in entries})) == (
        DATASET.card.expected_recordings,
        DATASET.card.expected_subjects,
    )
