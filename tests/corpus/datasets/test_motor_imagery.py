"""EEGMMIDB on the real files, and the published folders."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg

DATASET = get_dataset("eegmmidb")
MEANING = {  # from the publication: run -> (T1, T2)
    **dict.fromkeys((3, 7, 11), ("left fist movement", "right fist movement")),
    **dict.fromkeys((4, 8, 12), ("left fist imagery", "right fist imagery")),
    **dict.fromkeys((5, 9, 13), ("both fists movement", "both feet movement")),
    **dict.fromkeys((6, 10, 14), ("both fists imagery", "both feet imagery")),
}


@pytest.fixture
def root(shared_data: Path) -> Path:
    return shared_data / "eegmmidb"


def test_entries(root: Path) -> None:
    entries = list(DATASET.entries(root))
    assert len(entries) == 27
    assert Counter(e.subject for e in entries) == {
        "S001": 14, "S002": 3, "S003": 2, "S004": 2, "S038": 2, "S050": 2, "S059": 2
    }  # fmt: skip
    assert Counter(label.value for e in entries for label in e.labels) == {"eyes open": 7, "eyes closed": 7}
    assert {e.id[-3:]: e.labels[0].value for e in entries if e.labels} == {"R01": "eyes open", "R02": "eyes closed"}


def test_what_t1_and_t2_mean_depends_on_the_run(root: Path) -> None:
    entries = {e.id: e for e in DATASET.entries(root)}
    for run, (t1, t2) in MEANING.items():
        loaded = DATASET.load(entries[f"S001R{run:02}"])
        codes = [a.description for a in loaded.recording.annotations]
        assert [label.value for label in loaded.labels] == [{"T0": "rest", "T1": t1, "T2": t2}[c] for c in codes]
        assert len(loaded.labels) == 30
        assert {label.value for label in loaded.labels} <= set(DATASET.card.labels)
        assert all(4.0 < (label.duration_s or 0) < 4.3 for label in loaded.labels)
        ends = [label.start_s + (label.duration_s or 0) for label in loaded.labels]
        assert max(ends) <= loaded.recording.duration_s + 1e-6


def test_the_eyes(root: Path) -> None:
    entries = {e.id: e for e in DATASET.entries(root)}
    for subject in ("S001", "S002", "S038"):
        alpha = {}
        for run in ("R01", "R02"):
            loaded = DATASET.load(entries[subject + run])
            (label,) = loaded.labels  # the T0 of a baseline is not the rest between two targets
            eeg = pick_eeg(loaded.recording)
            assert eeg.n_chans == 64
            freqs, power = welch(eeg.signal_uv[[eeg.ch_names.index(n) for n in ("O1", "Oz", "O2")]], 160, nperseg=320)
            alpha[label.value] = power[:, (freqs >= 8) & (freqs <= 12)].mean()
        assert alpha["eyes closed"] > 1.5 * alpha["eyes open"]


def test_a_recording_is_in_microvolts_and_ends_with_its_signal(root: Path) -> None:
    entry = next(e for e in DATASET.entries(root) if e.id == "S001R03")
    recording = DATASET.load(entry).recording
    assert recording.ch_names == DATASET.card.ch_names
    assert recording.sfreq == 160
    assert recording.duration_s == 124.5  # 80 zeros fill the last record
    assert recording.signal_uv[:, -1].any()
    assert 10 < np.median(recording.signal_uv.std(axis=1)) < 150


def test_published_folders(tmp_path: Path) -> None:
    for name in ("S001/S001R01.edf", "S001/S001R03.edf", "S109/S109R14.edf", "S001/S001R03.edf.event", "RECORDS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    entries = list(DATASET.entries(tmp_path))
    assert [(e.id, e.subject) for e in entries] == [
        ("S001/S001R01", "S001"),
        ("S001/S001R03", "S001"),
        ("S109/S109R14", "S109"),
    ]
