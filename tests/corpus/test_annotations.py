"""Annotation files of EDF+: made with edfio, and one byte by byte with what edfio does not write."""

import datetime

import edfio
import numpy as np
import pytest

from corpus.recording import RecordingError
from corpus.recording.annotations import edf_clock_s, read_edf_annotations


def write(path, texts, **facts):
    edfio.Edf([], annotations=[edfio.EdfAnnotation(*text) for text in texts], **facts).write(str(path))


def seen(path):
    return [(a.start_s, a.duration_s, a.description) for a in read_edf_annotations(path)]


def test_records_without_duration(tmp_path):
    write(tmp_path / "a.edf", [(30, 90, "Sleep stage 2"), (0, 30, "Sleep stage W"), (120.5, None, "Lights on")])
    assert (tmp_path / "a.edf").read_bytes()[244:252].strip() == b"0"  # seconds of a record
    assert seen(tmp_path / "a.edf") == [(0, 30, "Sleep stage W"), (30, 90, "Sleep stage 2"), (120.5, 0, "Lights on")]


def test_records_with_a_duration_say_the_same(tmp_path):
    write(tmp_path / "a.edf", [(0, 30, "Sleep stage W"), (30, 90, "Sleep stage 2")])
    blob = bytearray((tmp_path / "a.edf").read_bytes())
    blob[244:252] = b"30      "
    (tmp_path / "a.edf").write_bytes(blob)
    assert seen(tmp_path / "a.edf") == [(0, 30, "Sleep stage W"), (30, 90, "Sleep stage 2")]


def test_words_of_the_patient_are_removed(tmp_path):
    patient = edfio.Patient(code="H-4711", name="Jane_Doe", sex="F", birthdate=datetime.date(1950, 3, 2))
    write(tmp_path / "a.edf", [(0, 30, "Sleep stage W"), (30, 0, "Jane asks for water")], patient=patient)
    assert [text for _, _, text in seen(tmp_path / "a.edf")] == ["Sleep stage W", "[removed] asks for water"]


def test_beside_a_signal_the_texts_are_found_record_by_record(tmp_path):
    signal = edfio.EdfSignal(np.random.default_rng(0).normal(0, 50, 9000), 100, label="Cz", physical_dimension="uV")
    remarks = [edfio.EdfAnnotation(7.5 * i, 7.5, f"stage {i}@@Cz") for i in range(12)]
    edfio.Edf([signal], annotations=remarks, data_record_duration=30).write(str(tmp_path / "a.edf"))
    assert seen(tmp_path / "a.edf") == [(7.5 * i, 7.5, f"stage {i}") for i in range(12)]


def test_times_count_from_the_first_record(tmp_path):
    write(tmp_path / "a.edf", [(2.5, 30, "Sleep stage W")])
    blob = (tmp_path / "a.edf").read_bytes()
    assert blob.count(b"+0\x14\x14\x00") == 1
    moved = blob.replace(b"+0\x14\x14\x00", b"+1\x14\x14\x00")
    (tmp_path / "a.edf").write_bytes(moved)
    assert seen(tmp_path / "a.edf") == [(1.5, 30, "Sleep stage W")]
    (tmp_path / "a.edf").write_bytes(blob.replace(b"+0\x14\x14\x00", bytes(5)))  # no time of its own
    assert seen(tmp_path / "a.edf") == [(2.5, 30, "Sleep stage W")]


def test_what_is_no_annotation_file_is_refused(tmp_path):
    with pytest.raises(RecordingError, match=r"got no file a\.edf"):
        read_edf_annotations(tmp_path / "a.edf")
    (tmp_path / "a.edf").write_text("stages")
    edfio.Edf([edfio.EdfSignal(np.arange(1000.0), 100, label="Cz")]).write(str(tmp_path / "b.edf"))
    write(tmp_path / "c.edf", [(0, 30, "Sleep stage W")])
    blob = (tmp_path / "c.edf").read_bytes()
    (tmp_path / "c.edf").write_bytes(blob[:512])  # the header alone
    (tmp_path / "d.edf").write_bytes(blob[:472] + b"0       " + blob[480:])  # no samples a record
    (tmp_path / "e.edf").write_bytes(blob[:472] + b"-8      " + blob[480:])
    for name in "abcde":
        with pytest.raises(RecordingError, match=rf"{name}\.edf: got a file without annotations"):
            read_edf_annotations(tmp_path / f"{name}.edf")


def test_the_clock_of_the_first_sample(tmp_path):
    write(tmp_path / "a.edf", [(0, 30, "x")], starttime=datetime.time(16, 13, 5))
    assert edf_clock_s(tmp_path / "a.edf") == 16 * 3600 + 13 * 60 + 5
    (tmp_path / "b.edf").write_bytes(b"0" * 176 + b"--------")
    assert edf_clock_s(tmp_path / "b.edf") is None
