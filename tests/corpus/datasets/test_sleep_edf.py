"""Sleep-EDF is read from a miniature of its folders; every expected value is worked out by hand."""

import datetime

import edfio
import numpy as np
import pytest

from corpus.datasets.sleep_edf import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

(DATASET,) = DATASETS
WAVE_UV = 30 * np.sin(2 * np.pi * 2 * np.arange(120 * 100) / 100)
START = datetime.time(16, 13, 0)


def write_night(folder, name, remarks, scorer="C"):
    """Two minutes in records of 30 s: EEG and eye at 100 Hz, the others at 1 Hz; and the scoring."""
    folder.mkdir(exist_ok=True)
    fast = [
        edfio.EdfSignal(WAVE_UV * (i + 1), 100, label=label, physical_dimension="uV")
        for i, label in enumerate(("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal"))
    ]
    slow = [
        edfio.EdfSignal(np.arange(120.0), 1, label=label, physical_dimension=unit)
        for label, unit in (("Resp oro-nasal", ""), ("EMG submental", "uV"), ("Temp rectal", "DegC"))
    ]
    patient = edfio.Patient(code="X", sex="F", name="Female_33yr")
    facts = {"starttime": START, "patient": patient}
    edfio.Edf([*fast, *slow], data_record_duration=30, **facts).write(str(folder / f"{name}-PSG.edf"))
    annotations = [edfio.EdfAnnotation(*remark) for remark in remarks]
    edfio.Edf([], annotations=annotations, **facts).write(str(folder / f"{name[:-1]}{scorer}-Hypnogram.edf"))


NIGHT = [(0, 30, "Sleep stage W"), (30, 30, "Sleep stage 4"), (60, 30, "Movement time"), (90, 300, "Sleep stage ?")]


def test_both_studies(tmp_path):
    write_night(tmp_path / "sleep-cassette", "SC4001E0", NIGHT)
    write_night(tmp_path / "sleep-cassette", "SC4002E0", NIGHT)
    write_night(tmp_path / "sleep-telemetry", "ST7011J0", NIGHT, scorer="P")
    entries = DATASET.entries(tmp_path)
    assert [(entry.id, entry.subject, entry.split) for entry in entries] == [
        ("sleep-cassette/SC4001E0-PSG", "SC400", None),
        ("sleep-cassette/SC4002E0-PSG", "SC400", None),
        ("sleep-telemetry/ST7011J0-PSG", "ST701", None),
    ]
    assert len(DATASET.load(entries[2]).labels) == 3


def test_a_night(tmp_path):
    write_night(tmp_path, "SC4001E0", NIGHT)
    loaded = DATASET.load(DATASET.entries(tmp_path)[0])
    assert [(x.kind, x.value, x.start_s, x.duration_s, x.granularity) for x in loaded.labels] == [
        ("stage", "W", 0, 30, "segment"),
        ("stage", "N3", 30, 30, "segment"),
        ("artifact", "movement", 60, 30, "segment"),
    ]
    assert loaded.labels[1].source == "SC4001EC-Hypnogram.edf, 'Sleep stage 4'"
    recording = loaded.recording
    assert (recording.sfreq, recording.duration_s, recording.subject.sex) == (100, 120, "F")
    assert recording.ch_names[:3] == ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal")
    np.testing.assert_allclose(recording.signal_uv[1], 2 * WAVE_UV, atol=0.01)
    assert "Temp rectal" in [aside.name for aside in recording.set_aside]


def test_derivations_are_no_electrodes(tmp_path):
    write_night(tmp_path, "SC4001E0", NIGHT)
    recording = DATASET.load(DATASET.entries(tmp_path)[0]).recording
    with pytest.raises(RecordingError, match=r"got no EEG channel among 5 .*EEG Fpz-Cz"):
        pick_eeg(recording)
    assert "pick_eeg" in DATASET.card.access


def test_the_scoring_has_to_be_there_and_to_be_one(tmp_path):
    write_night(tmp_path, "SC4001E0", NIGHT)
    (entry,) = DATASET.entries(tmp_path)
    (tmp_path / "SC4001EC-Hypnogram.edf").rename(tmp_path / "SC4002EC-Hypnogram.edf")
    with pytest.raises(RecordingError, match=r"got 0 files SC4001\*-Hypnogram\.edf"):
        DATASET.load(entry)


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings, card.expected_subjects) == ("sleep-edf", "image", 197, 100)
    assert set(card.labels) == {"W", "N1", "N2", "N3", "R", "movement"}
