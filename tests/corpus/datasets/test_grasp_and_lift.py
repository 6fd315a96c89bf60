"""Grasp-and-Lift is read from a miniature of Kaggle's folders; every expected value is worked out by hand."""

import numpy as np
import pytest

from corpus.datasets.grasp_and_lift import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

(DATASET,) = DATASETS
CHANNELS = (
    "Fp1,Fp2,F7,F3,Fz,F4,F8,FC5,FC1,FC2,FC6,T7,C3,Cz,C4,T8,TP9,CP5,CP1,CP2,CP6,TP10,P7,P3,Pz,P4,P8,PO9,O1,Oz,O2,PO10"
)
EVENTS = "HandStart,FirstDigitTouch,BothStartLoadPhase,LiftOff,Replace,BothReleased"
SAMPLES = np.random.default_rng(0).integers(-200, 200, (6000, 32))  # 12 s


def write(path, head, rows, name):
    path.parent.mkdir(exist_ok=True)
    lines = [f"{name}_{i},{','.join(map(str, row))}" for i, row in enumerate(rows.tolist())]
    path.write_text("\n".join([f"id,{head}", *lines]) + "\n")


def frames(*events):
    """0 and 1 of six columns; each event is (column, first sample, one after the last)."""
    table = np.zeros((6000, 6), int)
    for column, start, stop in events:
        table[start:stop, column] = 1
    return table


@pytest.fixture
def root(tmp_path):
    for side, series in (("train", "subj2_series1"), ("train", "subj10_series8"), ("test", "subj2_series9")):
        write(tmp_path / side / f"{series}_data.csv", CHANNELS, SAMPLES, series)
    # overlapping events of two columns, one that is there from the first sample, one to the last
    table = frames((0, 1000, 1150), (1, 1100, 1250), (5, 0, 75), (0, 5900, 6000), (0, 3000, 3150))
    write(tmp_path / "train/subj2_series1_events.csv", EVENTS, table, "subj2_series1")
    return tmp_path


def test_entries(root):
    entries = DATASET.entries(root)
    assert [(entry.id, entry.subject, entry.split) for entry in entries] == [
        ("test/subj2_series9_data", "subj2", None),
        ("train/subj10_series8_data", "subj10", None),
        ("train/subj2_series1_data", "subj2", None),
    ]
    assert DATASET.entries(root / "train")[1].id == "subj2_series1_data"


def test_samples_and_events(root):
    loaded = DATASET.load(DATASET.entries(root)[2])
    recording = loaded.recording
    assert (recording.sfreq, recording.duration_s, recording.ch_names) == (500, 12, tuple(CHANNELS.split(",")))
    np.testing.assert_array_equal(recording.signal_uv, SAMPLES.T)
    assert [(x.kind, x.value, x.start_s, x.duration_s, x.granularity) for x in loaded.labels] == [
        ("task", "grasping and lifting an object", 0.0, None, "file"),
        ("event", "BothReleased", 0.0, 0.15, "event"),
        ("event", "HandStart", 2.0, 0.3, "event"),
        ("event", "FirstDigitTouch", 2.2, 0.3, "event"),
        ("event", "HandStart", 6.0, 0.3, "event"),
        ("event", "HandStart", 11.8, pytest.approx(0.2), "event"),
    ]
    assert loaded.labels[1].source == "subj2_series1_events.csv, BothReleased"
    assert pick_eeg(recording).n_chans == 32
    assert recording.warnings == ()


def test_series_without_events(root):
    loaded = DATASET.load(DATASET.entries(root)[0])
    assert [label.kind for label in loaded.labels] == ["task"]
    assert loaded.recording.warnings == ("no table of events: they are not known",)


def test_damaged_tables_are_refused(root):
    entry = DATASET.entries(root)[2]
    events = root / "train/subj2_series1_events.csv"
    write(events, EVENTS, frames()[:-1], "subj2_series1")
    with pytest.raises(RecordingError, match=r"got 5999 rows .* expected 6000 rows"):
        DATASET.load(entry)
    write(events, EVENTS.replace("LiftOff", "Lift"), frames(), "subj2_series1")
    with pytest.raises(RecordingError, match="Lift, Replace"):
        DATASET.load(entry)
    entry.path.write_text(entry.path.read_text()[:100000].rpartition(",")[0])
    with pytest.raises(RecordingError, match=r"subj2_series1_data\.csv: got a table that cannot be read"):
        DATASET.load(entry)


def test_card():
    card = DATASET.card
    assert (card.name, card.expected_recordings, card.expected_subjects) == ("grasp-and-lift", 120, 12)
    assert (card.paper_segments, card.granularity) == ((2531, 894), "event")
    assert set(EVENTS.split(",")) < set(card.labels)
