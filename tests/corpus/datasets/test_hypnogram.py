"""Stages from EDF+ annotations; every expected value is worked out by hand."""

import datetime

import edfio
import numpy as np

from corpus.datasets.hypnogram import STAGES, stage_labels, with_scoring
from corpus.recording import read_recording


def write_scoring(path, remarks, clock=datetime.time(23, 0, 0)):
    annotations = [edfio.EdfAnnotation(start_s, length_s, text) for start_s, length_s, text in remarks]
    edfio.Edf([], annotations=annotations, starttime=clock).write(str(path))


def spans(labels):
    return [(label.kind, label.value, label.start_s, label.duration_s) for label in labels]


def test_old_and_new_rules(tmp_path):
    texts = "Sleep stage W,Sleep stage 1,Sleep stage N1,Sleep stage 2,Sleep stage N2,Sleep stage 3,Sleep stage 4"
    texts += ",Sleep stage N3,Sleep stage R,Sleep stage ?,Movement time,Lights off,sleep stage w"
    write_scoring(tmp_path / "a.edf", [(30 * i, 30, text) for i, text in enumerate(texts.split(","))])
    labels = stage_labels(tmp_path / "a.edf")
    assert spans(labels) == [
        *(("stage", value, 30 * i, 30) for i, value in enumerate(["W", "N1", "N1", "N2", "N2", "N3", "N3", "N3", "R"])),
        ("artifact", "movement", 300, 30),
        ("stage", "W", 360, 30),
    ]
    assert {label.value for label in labels if label.kind == "stage"} == set(STAGES)
    assert (labels[5].granularity, labels[5].source) == ("segment", "a.edf, 'Sleep stage 3'")


def test_onto_the_signal(tmp_path, read_interrupted):
    signal = edfio.EdfSignal(np.arange(4000.0), 100, label="EEG C4-M1", physical_dimension="uV")
    edfio.Edf([signal], starttime=datetime.time(23, 0, 0)).write(str(tmp_path / "night.edf"))
    recording = read_recording(tmp_path / "night.edf")
    write_scoring(tmp_path / "a.edf", [(0, 20, "Sleep stage W"), (20, 30, "Sleep stage N1")])
    loaded = with_scoring(recording, tmp_path / "night.edf", tmp_path / "a.edf")
    assert spans(loaded.labels) == [("stage", "W", 0, 20), ("stage", "N1", 20, 20)]
    assert loaded.recording.warnings == ("1 published labels end after the signal and were cut at its end",)
    placed = with_scoring(read_interrupted(tmp_path / "night.edf"), tmp_path / "night.edf", tmp_path / "a.edf").labels
    assert spans(placed) == [("stage", "W", 0, 15), ("stage", "N1", 15, 25)]
    write_scoring(tmp_path / "b.edf", [(0, 30, "Sleep stage W")], clock=datetime.time(22, 59, 59))
    (told,) = with_scoring(recording, tmp_path / "night.edf", tmp_path / "b.edf").recording.warnings
    assert "begin at different times" in told
