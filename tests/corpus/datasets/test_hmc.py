"""HMC is read from a miniature of its folder; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets.hmc import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

(DATASET,) = DATASETS
CHANNELS = DATASET.card.ch_names
WAVE_UV = 40 * np.sin(2 * np.pi * 2 * np.arange(100 * 256) / 256)


def write_night(folder, name, stages=("W", "N1", "N2")):
    folder.mkdir(exist_ok=True)
    signals = [
        edfio.EdfSignal(WAVE_UV * (i + 1), 256, label=label, physical_dimension="uV")
        for i, label in enumerate(CHANNELS)
    ]
    edfio.Edf(signals).write(str(folder / f"{name}.edf"))
    remarks = [edfio.EdfAnnotation(30 * i, 30, f"Sleep stage {stage}") for i, stage in enumerate(stages)]
    remarks.append(edfio.EdfAnnotation(12.5, None, "Lights off@@EEG F4-A1"))
    edfio.Edf([], annotations=remarks).write(str(folder / f"{name}_sleepscoring.edf"))


def split_of(root, numbers):
    """Side of each number, where only these are there; nothing is read."""
    (root / "recordings").mkdir()
    for number in numbers:
        (root / f"recordings/SN{number:03d}.edf").touch()
        (root / f"recordings/SN{number:03d}_sleepscoring.edf").touch()
        (root / f"recordings/SN{number:03d}_sleepscoring.txt").touch()
    return {int(entry.subject[2:]): entry.split for entry in DATASET.entries(root)}


def test_a_night(tmp_path):
    write_night(tmp_path / "recordings", "SN001", ("W", "N1", "R"))
    (entry,) = DATASET.entries(tmp_path)
    assert (entry.id, entry.subject, entry.split, entry.labels) == ("recordings/SN001", "SN001", "train", ())
    loaded = DATASET.load(entry)
    assert [(label.kind, label.value, label.start_s, label.duration_s) for label in loaded.labels] == [
        ("stage", "W", 0, 30),
        ("stage", "N1", 30, 30),
        ("stage", "R", 60, 30),
    ]
    assert {(label.granularity, label.source[:23]) for label in loaded.labels} == {
        ("segment", "SN001_sleepscoring.edf,")
    }
    picked = pick_eeg(loaded.recording)
    assert picked.ch_names == ("F4", "C4", "O2", "C3")
    np.testing.assert_allclose(picked.signal_uv, np.arange(1, 5)[:, None] * WAVE_UV, atol=0.01)
    assert loaded.recording.warnings == ()


def test_neurolm_split_of_all_nights(tmp_path):
    sides = split_of(tmp_path, [number for number in range(1, 155) if number not in (14, 64, 135)])
    assert list(sides.values()) == ["train"] * 100 + ["val"] * 25 + ["test"] * 26
    assert (sides[102], sides[103], sides[127], sides[128]) == ("train", "val", "val", "test")


def test_an_incomplete_folder_splits_only_where_the_number_decides(tmp_path):
    sides = split_of(tmp_path, [1, 100, 101, 103, 104, 125, 126, 128, 129, 154])
    assert sides == {
        1: "train",
        100: "train",
        101: None,
        103: None,
        104: "val",
        125: "val",
        126: None,
        128: None,
        129: "test",
        154: "test",
    }


def test_a_night_without_its_scoring_is_refused(tmp_path):
    write_night(tmp_path / "recordings", "SN002")
    (tmp_path / "recordings/SN002_sleepscoring.edf").unlink()
    with pytest.raises(RecordingError, match=r"no file SN002_sleepscoring\.edf"):
        DATASET.load(DATASET.entries(tmp_path)[0])


def test_card():
    card = DATASET.card
    assert (card.name, card.expected_recordings, card.paper_segments) == ("hmc", 151, (25000, 1000))
    assert (card.sfreq, card.granularity, list(card.labels)) == (256.0, "segment", ["W", "N1", "N2", "N3", "R"])
