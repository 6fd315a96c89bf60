"""The parts of the BIDS layout that three datasets share; every expected value is worked out by hand."""

import pytest

from corpus.datasets.openneuro import eeg_files, facts, number, read_tsv
from corpus.recording import Subject


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_files_entities_and_participants(tmp_path):
    touch(
        tmp_path,
        "sub-02/eeg/sub-02_task-rest_run-01_eeg.set",
        "sub-01/ses-on/eeg/sub-01_ses-on_task-rest_eeg.set",
        "sub-01/ses-on/eeg/sub-01_ses-on_task-rest_channels.set",  # another suffix
        "sub-01/ses-on/meg/sub-01_ses-on_task-rest_eeg.set",  # another folder
        "sub-01/ses-on/eeg/sub-07_ses-on_task-rest_eeg.set",  # another subject in the name
        "derivatives/sub-02/eeg/sub-02_task-rest_run-01_eeg.set",
        "sourcedata/sub-02/eeg/sub-02_task-rest_run-01_eeg.set",
        "derivatives/clean/sub-02/eeg/sub-02_task-rest_run-01_eeg.set",
    )
    (tmp_path / "participants.tsv").write_text("\ufeffparticipant_id\tage\nsub-02\t 61 \n", "utf-8")
    first, second = eeg_files(tmp_path, ".set")
    assert first.id == "sub-01/ses-on/eeg/sub-01_ses-on_task-rest_eeg"
    assert (first.subject, first.participant) == ("sub-01", {})
    assert first.entities == {"sub": "01", "ses": "on", "task": "rest"}
    assert second.path == tmp_path / "sub-02/eeg/sub-02_task-rest_run-01_eeg.set"
    assert second.participant == {"participant_id": "sub-02", "age": "61"}
    assert second.entities == {"sub": "02", "task": "rest", "run": "01"}


def test_without_files_or_participants(tmp_path):
    with pytest.raises(ValueError, match="without a recording in the published layout"):
        eeg_files(tmp_path, ".bdf")
    touch(tmp_path, "sub-01/eeg/sub-01_task-rest_eeg.bdf")
    with pytest.raises(ValueError, match=r"without participants\.tsv"):
        eeg_files(tmp_path, ".bdf")


def test_tables(tmp_path):
    table = tmp_path / "a.tsv"
    table.write_bytes(b"onset\tvalue\tnote\r\n1.5\tn/a\tsaid 5\xb5V\r\n\r\n2\tNaN\r\n")
    assert read_tsv(table) == [
        {"onset": "1.5", "value": "", "note": "said 5\N{REPLACEMENT CHARACTER}V"},
        {"onset": "2", "value": ""},
    ]
    table.write_text("")
    assert read_tsv(table) == []


def test_cells():
    assert [number(text) for text in ("", "18", " 2.5 ", "inf", "nan", "low")] == [None, 18.0, 2.5, None, None, None]
    assert facts("57", "F") == Subject(57, "F")
    assert facts("62.9", "male") == Subject(62, "M")
    assert facts("93", "x") == Subject(90, None)
    assert facts("-1", "") == facts("", "n/a") == Subject()
    assert facts("0", "2", {"2": "M"}) == Subject(0, "M")
