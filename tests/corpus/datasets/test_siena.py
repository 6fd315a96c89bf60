"""Siena is read from a miniature with the oddities of its lists; every expected value is worked out by hand."""

import datetime

import edfio
import numpy as np
import pytest

from corpus.datasets import siena
from corpus.datasets.siena import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError, Subject

(DATASET,) = DATASETS
CHANNELS = ["EEG Fp1", "EEG F3", "EEG C3", "EEG T3", "EEG CZ", "EEG Fp2", "EKG EKG", "SPO2", "1"]
HEAD = "Data Sampling Rate: 512 Hz\n*************************\n\nChannels in EDF Files:\n**********************\n"
HEAD += "Channel 1: Fp1\nChannel 5: 1\n\n"
PEOPLE = """patient_id, age_years, gender, seizure, localization, lateralization, eeg_channel, number_seizures, rec_time_minutes
PN00,55,Male,IAS,T,R,29,5,198
PN01,46,Male,IAS,T,L,29,2,809
PN06,36,Male,FBTC,T,L,29,5,722
PN10,25,Male,FBTC,F,Bilateral,20,10,1002
PN12,71,Male,WIAS,T,L,29,4,246
"""  # noqa: E501


def write(path, clock, seconds):
    """An EDF file that begins at "hh.mm.ss"; 100 Hz instead of 512 keeps it small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = np.random.default_rng(0).normal(0, 20, (len(CHANNELS), seconds * 100))
    signals = [
        edfio.EdfSignal(row, 100, label=label, physical_dimension="uV")
        for row, label in zip(signal, CHANNELS, strict=True)
    ]
    start = datetime.time(*(int(part) for part in clock.split(".")))
    day = edfio.Recording(startdate=datetime.date(2016, 1, 1))  # the date in every published header
    edfio.Edf(signals, starttime=start, recording=day).write(str(path))


def seizures(root, file, clock, text, seconds=60):
    """(start, end) of the seizures of one file, given its clock and what the list says."""
    subject = file[:4]
    write(root / subject / file, clock, seconds)
    (root / subject / f"Seizures-list-{subject}.txt").write_text(HEAD + text)
    loaded = load(root, file)
    found = [label for label in loaded.labels if label.value == "seizure"]
    assert {(label.kind, label.granularity, label.source) for label in found} == {
        ("event", "event", f"Seizures-list-{subject}.txt")
    }
    return [(label.start_s, label.start_s + label.duration_s) for label in found]


def load(root, file):
    (entry,) = (e for e in DATASET.entries(root) if e.path.name == file)
    return DATASET.load(entry)


def block(file, start, end, first="19.39.33", number=1, name="Seizure "):
    return (
        f"Seizure n {number}\nFile name: {file}\nRegistration start time: {first}\nRegistration end time:  20.22.58\n"
        f"{name}start time: {start}\n{name}end time: {end}\n\n"
    )


def test_entries(tmp_path):
    for name in ("PN00-1", "PN00-2", "PN10-4.5.6", "PN12-1.2"):
        write(tmp_path / name[:4] / f"{name}.edf", "10.00.00", 12)
    (tmp_path / "subject_info.csv").write_text(PEOPLE)
    entries = DATASET.entries(tmp_path)
    assert [(entry.id, entry.subject) for entry in entries] == [
        ("PN00/PN00-1", "PN00"),
        ("PN00/PN00-2", "PN00"),
        ("PN10/PN10-4.5.6", "PN10"),
        ("PN12/PN12-1.2", "PN12"),
    ]
    assert entries[0].facts == Subject(55, "M")
    assert entries[0].diagnosis == ("epilepsy", "focal onset seizures with impaired awareness")
    assert entries[2].diagnosis == ("epilepsy", "focal to bilateral tonic-clonic seizures")
    assert {entry.split for entry in entries} == {None}
    (tmp_path / "subject_info.csv").unlink()
    assert DATASET.entries(tmp_path)[0].facts == Subject()


def test_the_list_as_it_is_usually_written(tmp_path):
    text = block("PN00-1.edf", "19.39.45", "19.39.59") + block("PN00-2.edf", "19.40.00", "19.40.05", number=2)
    assert seizures(tmp_path, "PN00-1.edf", "19.39.33", text) == [(12, 26)]
    loaded = load(tmp_path, "PN00-1.edf")
    rest = [(label.start_s, label.duration_s) for label in loaded.labels if label.value == "background"]
    assert rest == [(0, 12), (26, 34)]
    assert loaded.recording.warnings == ()
    assert pick_eeg(loaded.recording).ch_names == ("Fp1", "F3", "C3", "T3", "Cz", "Fp2")


def test_a_seizure_of_an_interrupted_file(tmp_path, monkeypatch, read_interrupted):
    monkeypatch.setattr(siena, "read_recording", read_interrupted)
    text = block("PN00-1.edf", "19.39.45", "19.39.59")
    assert seizures(tmp_path, "PN00-1.edf", "19.39.33", text) == [
        (10, 21)
    ]  # 12 s to 26 s, of which the first 3 s are missing


def test_over_midnight(tmp_path):
    text = block("PN06-2.edf", "23.59.58", "00.00.09", first="23.59.50")
    text += block("PN06-2.edf", "00.00.20", "00.00.30", first="23.59.50", number=2)
    assert seizures(tmp_path, "PN06-2.edf", "23.59.50", text) == [(8, 19), (30, 40)]


def test_colons_mixed_separators_and_bare_wording(tmp_path):
    text = block("PN05-2.edf", "21:51:12", "21:51.20", first="21:51:02", name="")
    assert seizures(tmp_path, "PN05-2.edf", "21.51.02", text) == [(10, 18)]


def test_a_blank_inside_a_time(tmp_path):
    text = block("PN10-7.8.9.edf", "16.49.35", "16.49.40", first="1 6.49.25")
    assert seizures(tmp_path, "PN10-7.8.9.edf", "16.49.25", text) == [(10, 15)]
    assert load(tmp_path, "PN10-7.8.9.edf").recording.warnings == ()


def test_the_electric_onset_counts_and_else_the_first(tmp_path):
    onset = "15.43.53 (CLINICAL ONSET); 15.43.59 (ELECTRIC ONSET)"
    text = block("PN10-3.edf", onset, "15.44.10 opure 15.44.05", first="15.43.50")
    assert seizures(tmp_path, "PN10-3.edf", "15.43.50", text) == [(9, 20)]


@pytest.mark.parametrize(
    ("listed", "file"), [("PNO6-1.edf", "PN06-1.edf"), ("PN01.edf", "PN01-1.edf"), ("PN11-.edf", "PN11-1.edf")]
)
def test_misspelt_file_names(tmp_path, listed, file):
    assert seizures(tmp_path, file, "19.39.33", block(listed, "19.39.45", "19.39.50")) == [(12, 17)]


def test_a_file_named_once_before_its_seizures(tmp_path):
    text = (
        "File name: PN01.edf\nRegistration start time: 19.00.44\nRegistration end time: 08.29.41\n\n"
        "Seizure n 1\nStart time: 19:00:51\nEnd time: 19:00:54\n\nSeizure n 2(in sleep):\nStart time: 19:01:04\n"
        "End time: 19:01:14\n"
    )
    assert seizures(tmp_path, "PN01-1.edf", "19.00.44", text) == [(7, 10), (20, 30)]


def test_a_second_seizure_without_registration_times(tmp_path):
    text = block("PN12-1.2.edf", "15.51.41", "15.51.45", first="15.51.31")
    text += "Seizure n 2\nFile name: PN12-1.2.edf\nSeizure start time: 15.51.51\nSeizure end time: 15:52.00\n"
    assert seizures(tmp_path, "PN12-1.2.edf", "15.51.31", text) == [(10, 14), (20, 29)]


def test_the_known_slip_of_an_hour(tmp_path):
    text = block("PN00-3.edf", "18.28.29", "19.29.29", first="18.15.44")
    assert seizures(tmp_path, "PN00-3.edf", "18.15.44", text, seconds=840) == [(765, 825)]


def test_the_clock_of_the_file_counts(tmp_path):
    text = block("PN14-3.edf", "19.17.55", "19.18.00", first="16.17.45")
    assert seizures(tmp_path, "PN14-3.edf", "19.17.45", text) == [(10, 15)]
    (told,) = load(tmp_path, "PN14-3.edf").recording.warnings
    assert told.startswith("Seizures-list-PN14.txt and the file differ by 10800 s")


def test_a_seizure_outside_of_the_file_is_refused(tmp_path):
    text = block("PN00-1.edf", "19.39.45", "19.45.00")
    with pytest.raises(RecordingError, match=r"a seizure at 12 to 327 s .* inside of the 60 s"):
        seizures(tmp_path, "PN00-1.edf", "19.39.33", text)


def test_damaged_lists_are_refused(tmp_path):
    with pytest.raises(RecordingError, match="expected a time of day"):
        seizures(tmp_path, "PN00-1.edf", "19.39.33", block("PN00-1.edf", "soon", "19.39.50"))
    with pytest.raises(RecordingError, match="lacks a start or an end"):
        seizures(tmp_path, "PN00-1.edf", "19.39.33", "File name: PN00-1.edf\nSeizure start time: 19.39.40\n")
    (tmp_path / "PN00/Seizures-list-PN00.txt").unlink()
    with pytest.raises(RecordingError, match="no file Seizures-list-PN00"):
        load(tmp_path, "PN00-1.edf")


def test_a_file_that_the_list_forgets_has_no_labels(tmp_path):
    write(tmp_path / "PN00/PN00-9.edf", "19.39.33", 12)
    (tmp_path / "PN00/Seizures-list-PN00.txt").write_text(block("PN00-1.edf", "19.39.45", "19.39.50"))
    loaded = load(tmp_path, "PN00-9.edf")
    assert loaded.labels == ()
    assert "is not known" in loaded.recording.warnings[-1]


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings, card.expected_subjects) == ("siena", "zero-shot", 41, 14)
    assert (card.sfreq, card.mains_hz) == (512.0, 50.0)
    assert set(card.labels) == {"seizure", "background"}
    assert "pretraining" in card.why_counts_differ
