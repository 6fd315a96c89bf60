"""DREAMS is read from a miniature of its folders; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets import dreams
from corpus.datasets.dreams import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

(DATASET,) = DATASETS
CHANNELS = ("P8-A1", "P18-A1", "CZ-A1", "FP1-A1", "O1-A1", "EMG")
WAVE = np.sin(2 * np.pi * 5 * np.arange(60 * 200) / 200)


def write_excerpt(folder, number, sfreq=200):
    folder.mkdir(exist_ok=True)
    signals = [
        edfio.EdfSignal(10 * (i + 1) * WAVE[: 60 * sfreq], sfreq, label=label, physical_dimension="UV")
        for i, label in enumerate(CHANNELS)
    ]
    edfio.Edf(signals).write(str(folder / f"excerpt{number}.edf"))


def write_text(folder, name, *lines):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("\r\n".join(lines) + "\r\n")


@pytest.fixture
def root(tmp_path):
    spindles, complexes = tmp_path / "DatabaseSpindles", tmp_path / "DatabaseKcomplexes"
    for folder in (spindles, complexes, tmp_path / "DatabaseArtifacts"):
        write_excerpt(folder, 2)
    write_text(spindles, "excerpt2.txt", "[CZ-A1]", "1.0")
    write_text(spindles, "Visual_scoring1_excerpt2.txt", "[vis1_Spindles/CZ-A1]", "3.25\t0.75", "41.5 1.25")
    write_text(spindles, "Visual_scoring2_excerpt2.txt", "[vis2_Spindles/CZ-A1]", " 3.0\t1.0")
    write_text(spindles, "Automatic_detection_excerpt2.txt", "[DetectSpindles/CZ-A1]", "9.0\t1.0")
    codes = ["5", "5", "3", "2", "2", "2", "1", "0", "-1", "-2", "-3", "4"]
    write_text(spindles, "Hypnogram_excerpt2.txt", "[hypnogram]", *codes)
    write_text(complexes, "Visual_scoring1_excerpt2.txt", "[vis1_Kcomplexes/CZ-A1]", "12.5\t0.5")
    write_text(tmp_path / "DatabaseArtifacts", "Visual_scoring1_excerpt2.txt", "[vis1_Artifacts/CZ-A1]", "1 2")
    return tmp_path


def test_entries_tell_the_databases_apart(root):
    assert [(entry.id, entry.subject, entry.path.suffix) for entry in DATASET.entries(root)] == [
        ("DatabaseKcomplexes/excerpt2", "kcomplexes-2", ".edf"),
        ("DatabaseSpindles/excerpt2", "spindles-2", ".edf"),
    ]
    with pytest.raises(ValueError, match="without a scored excerpt"):
        DATASET.entries(root / "DatabaseArtifacts")


def test_marks_of_both_experts_and_stages(root):
    loaded = DATASET.load(DATASET.entries(root)[1])
    patterns = [label for label in loaded.labels if label.kind == "pattern"]
    assert [(x.value, x.start_s, x.duration_s, x.ch_names, x.source, x.granularity) for x in patterns] == [
        ("spindle", 3.25, 0.75, ("CZ-A1",), "Visual_scoring1_excerpt2.txt", "event"),
        ("spindle", 41.5, 1.25, ("CZ-A1",), "Visual_scoring1_excerpt2.txt", "event"),
        ("spindle", 3.0, 1.0, ("CZ-A1",), "Visual_scoring2_excerpt2.txt", "event"),
    ]
    stages = [label for label in loaded.labels if label.kind != "pattern"]
    assert [(x.kind, x.value, x.start_s, x.duration_s, x.granularity) for x in stages] == [
        ("stage", "W", 0, 10, "segment"),
        ("stage", "N1", 10, 5, "segment"),
        ("stage", "N2", 15, 15, "segment"),
        ("stage", "N3", 30, 5, "segment"),
        ("stage", "N3", 35, 5, "segment"),
        ("artifact", "movement", 40, 5, "segment"),
        ("stage", "R", 55, 5, "segment"),
    ]


def test_marks_of_an_interrupted_file(root, monkeypatch, read_interrupted):
    monkeypatch.setattr(dreams, "read_recording", read_interrupted)
    loaded = DATASET.load(DATASET.entries(root)[1])
    assert [(x.start_s, x.duration_s) for x in loaded.labels if x.value == "spindle"] == [
        (3.25, 0.75),
        (36.5, 1.25),
        (3, 1),
    ]


def test_k_complexes_and_channels(root):
    loaded = DATASET.load(DATASET.entries(root)[0])
    assert [(x.value, x.start_s, x.duration_s) for x in loaded.labels] == [("k_complex", 12.5, 0.5)]
    picked = pick_eeg(loaded.recording)
    assert {"Cz", "Fp1", "O1"} <= set(picked.ch_names)
    np.testing.assert_allclose(picked.signal_uv[picked.ch_names.index("Cz")], 30 * WAVE, atol=0.01)


def test_the_text_alone(tmp_path):
    folder = tmp_path / "DatabaseSpindles"
    values = np.round(50 * np.sin(2 * np.pi * 5 * np.arange(1800 * 100) / 100), 3)
    write_text(folder, "excerpt1.txt", "[C3-A1]", *map(str, values))
    write_text(folder, "Visual_scoring1_excerpt1.txt", "[vis1_Spindles/C3-A1]", "1799.0 2.0")
    loaded = DATASET.load(DATASET.entries(tmp_path)[0])
    recording = loaded.recording
    assert (recording.sfreq, recording.duration_s, recording.ch_names) == (100, 1800, ("C3-A1",))
    np.testing.assert_array_equal(recording.signal_uv[0], values)
    assert [(x.start_s, x.duration_s) for x in loaded.labels] == [(1799.0, 1.0)]
    assert "taken as microvolts" in recording.warnings[0]


def test_the_excerpt_of_50_hz_is_refused(root):
    write_excerpt(root / "DatabaseSpindles", 3, sfreq=50)
    write_text(root / "DatabaseSpindles", "Visual_scoring1_excerpt3.txt", "[vis1_Spindles/C3-A1]")
    with pytest.raises(RecordingError, match="got 50 Hz"):
        DATASET.load(DATASET.entries(root)[2])


@pytest.mark.parametrize("line", ["3.25", "3.25\t0.75\t1", "3.25\tlong"])
def test_damaged_marks_are_refused(root, line):
    entry = DATASET.entries(root)[1]
    write_text(root / "DatabaseSpindles", "Visual_scoring2_excerpt2.txt", "[vis2_Spindles/CZ-A1]", line)
    with pytest.raises(RecordingError, match=r"Visual_scoring2_excerpt2\.txt: got a line that is not 2 numbers"):
        DATASET.load(entry)


def test_marks_without_a_first_line_are_refused(root):
    entry = DATASET.entries(root)[1]
    write_text(root / "DatabaseSpindles", "Visual_scoring2_excerpt2.txt", "3.25\t0.75")
    with pytest.raises(RecordingError, match="as first line"):
        DATASET.load(entry)


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings) == ("dreams", "image", 18)
    assert set(card.labels) == {"spindle", "k_complex", "W", "N1", "N2", "N3", "R", "movement"}
