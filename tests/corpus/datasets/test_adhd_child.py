"""ADHD-Child on the real files, and the published folders."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg
from corpus.preprocess import detect_mains
from corpus.recording import RecordingError

DATASET = get_dataset("adhd-child")


def test_entries(shared_data: Path) -> None:
    entries = list(DATASET.entries(shared_data / "adhd_child"))
    assert len(entries) == len({e.subject for e in entries}) == 97
    assert Counter(e.diagnosis for e in entries) == {("ADHD",): 49, ("healthy control",): 48}
    assert Counter(label.value for e in entries for label in e.labels) == {
        "ADHD": 49, "healthy control": 48, "visual attention task": 97
    }  # fmt: skip
    assert {e.id.split("/")[0]: e.diagnosis[0] for e in entries} == {"adhd": "ADHD", "control": "healthy control"}


@pytest.mark.parametrize("name", ["adhd/v10p", "adhd/v12p", "control/v107"])  # float64, int16
def test_a_recording(shared_data: Path, name: str) -> None:
    entry = next(e for e in DATASET.entries(shared_data / "adhd_child") if e.id == name)
    recording = DATASET.load(entry).recording
    published = loadmat(entry.path)[entry.path.stem]
    assert recording.ch_names == DATASET.card.ch_names
    assert recording.sfreq == 128
    np.testing.assert_array_equal(recording.signal_uv, published.T.astype(float))
    assert any("no unit" in warning for warning in recording.warnings)
    eeg = pick_eeg(recording)  # refuses what cannot be microvolts
    assert eeg.n_chans == 19
    assert detect_mains(eeg.signal_uv, eeg.sfreq) == DATASET.card.mains_hz


def test_published_folders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder, name in (
        ("ADHD_part1", "v1p"),
        ("ADHD_part2", "v177"),
        ("Control_part1", "v41p"),
        ("Control_part2", "v107"),
    ):
        (tmp_path / folder).mkdir()
        savemat(tmp_path / folder / f"{name}.mat", {name: rng.normal(0, 100, (1408, 19))})
    entries = list(DATASET.entries(tmp_path))
    assert [(e.id, e.diagnosis[0]) for e in entries] == [
        ("ADHD_part1/v1p", "ADHD"),
        ("ADHD_part2/v177", "ADHD"),
        ("Control_part1/v41p", "healthy control"),
        ("Control_part2/v107", "healthy control"),
    ]
    assert DATASET.load(entries[0]).recording.signal_uv.shape == (19, 1408)


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "adhd").mkdir()
    (tmp_path / "adhd" / "v1p.mat").write_bytes(b"x" * 500)
    savemat(tmp_path / "adhd" / "v2p.mat", {"other": np.zeros((1408, 19))})
    for entry in DATASET.entries(tmp_path):
        with pytest.raises(
            RecordingError, match=rf"^{entry.subject}\.mat: got no array '{entry.subject}'.*copy it again$"
        ):
            DATASET.load(entry)
