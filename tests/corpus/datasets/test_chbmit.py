"""CHB-MIT is read from a miniature in its published layout; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets import chbmit
from corpus.datasets.chbmit import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError, Subject

(DATASET,) = DATASETS
CHANNELS = [
    "FP1-F7",
    "F7-T7",
    "T7-P7",
    "P7-O1",
    "FP1-F3",
    "F3-C3",
    "C3-P3",
    "P3-O1",
    "FP2-F4",
    "F4-C4",
    "C4-P4",
    "P4-O2",
    "FP2-F8",
    "F8-T8",
    "T8-P8",
    "P8-O2",
    "FZ-CZ",
    "CZ-PZ",
    "P7-T7",
    "T7-FT9",
    "FT9-FT10",
    "FT10-T8",
    "T8-P8",
]
HEAD = """Data Sampling Rate: 256 Hz
*************************

Channels in EDF Files:
**********************
Channel 1: FP1-F7
Channel 2: F7-T7

"""
CHB01 = (
    HEAD
    + """File Name: chb01_01.edf
File Start Time: 11:42:54
File End Time: 12:42:54
Number of Seizures in File: 0

File Name: chb01_03.edf
File Start Time: 13:43:04
File End Time: 14:43:04
Number of Seizures in File: 1
Seizure Start Time: 12 seconds
Seizure End Time: 15 seconds

Channels changed:
*****************
Channel 1: F7-CS2

File Name: chb01_04.edf
File Start Time: 23:43:04
File End Time: 24:43:04
Number of Seizures in File: 2
Seizure 1 Start Time:  5 seconds
Seizure 1 End Time: 8 seconds
Seizure 2 Start Time: 20 seconds
Seizure 1 End Time: 30 seconds
"""
)
CHB24 = HEAD + "File Name: chb24_01.edf\nNumber of Seizures in File: 1\nSeizure Start Time: 2 seconds\n"
CHB24 += "Seizure End Time: 9 seconds\n"
PEOPLE = "Case\tGender\tAge (years)\n\nchb01\tF\t11\nchb02\tM\t11\nchb06\tF\t 1.5\nchb21\tF\t13\n"


def write(path, seconds=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = np.random.default_rng(0).normal(0, 20, (len(CHANNELS), seconds * 256))
    signals = [
        edfio.EdfSignal(row, 256, label=label, physical_dimension="uV")
        for row, label in zip(signal, CHANNELS, strict=True)
    ]
    edfio.Edf(signals).write(str(path))


@pytest.fixture
def root(tmp_path):
    for name in ("chb01_01", "chb01_03", "chb01_04", "chb01_46", "chb21_01", "chb24_01", "chb02_16+", "chb17a_03"):
        write(tmp_path / name[:5] / f"{name}.edf")
    (tmp_path / "chb01/chb01-summary.txt").write_text(CHB01)
    (tmp_path / "chb24/chb24-summary.txt").write_text(CHB24)
    (tmp_path / "chb01/chb01_03.edf.seizures").write_bytes(b"\x00")
    (tmp_path / "SUBJECT-INFO").write_text(PEOPLE)
    return tmp_path


def load(root, name):
    (entry,) = (e for e in DATASET.entries(root) if e.id == f"{name[:5]}/{name}")
    return DATASET.load(entry)


def spans(loaded, value):
    return [(label.start_s, label.duration_s) for label in loaded.labels if label.value == value]


def test_entries_know_that_chb21_is_chb01(root):
    entries = DATASET.entries(root)
    assert [(entry.id, entry.subject) for entry in entries] == [
        ("chb01/chb01_01", "chb01"),
        ("chb01/chb01_03", "chb01"),
        ("chb01/chb01_04", "chb01"),
        ("chb01/chb01_46", "chb01"),
        ("chb02/chb02_16+", "chb02"),
        ("chb17/chb17a_03", "chb17"),
        ("chb21/chb21_01", "chb01"),
        ("chb24/chb24_01", "chb24"),
    ]
    facts = {entry.id[:5]: entry.facts for entry in entries}
    assert facts["chb01"] == Subject(11, "F")
    assert facts["chb21"] == Subject(13, "F")
    assert facts["chb02"] == Subject(11, "M")
    assert facts["chb24"] == Subject()
    assert {entry.diagnosis for entry in entries} == {("epilepsy",)}
    assert {entry.split for entry in entries} == {None}


def test_a_file_without_seizures_is_background(root):
    loaded = load(root, "chb01_01")
    assert loaded.recording.sfreq == 256
    assert {"FP1-F7", "T8-P8-0", "T8-P8-1"} < set(loaded.recording.ch_names)  # published twice under one name
    assert [label.value for label in loaded.labels] == ["background"]
    assert spans(loaded, "background") == [(0.0, 30.0)]
    assert loaded.labels[0].source == "chb01-summary.txt: no seizure listed here"


def test_one_seizure_without_a_number(root):
    loaded = load(root, "chb01_03")
    assert spans(loaded, "seizure") == [(12.0, 3.0)]
    assert spans(loaded, "background") == [(0.0, 12.0), (15.0, 15.0)]
    (seizure,) = (label for label in loaded.labels if label.value == "seizure")
    assert (seizure.kind, seizure.granularity, seizure.source) == ("event", "event", "chb01-summary.txt")


def test_numbered_seizures_are_paired_by_order(root):
    loaded = load(root, "chb01_04")
    assert spans(loaded, "seizure") == [(5.0, 3.0), (20.0, 10.0)]
    assert spans(loaded, "background") == [(0.0, 5.0), (8.0, 12.0)]


def test_seizures_of_an_interrupted_file(root, monkeypatch, read_interrupted):
    monkeypatch.setattr(chbmit, "read_recording", read_interrupted)
    loaded = load(root, "chb01_04")
    assert spans(loaded, "seizure") == [(5.0, 3.0), (15.0, 10.0)]
    assert spans(loaded, "background") == [(0.0, 5.0), (8.0, 7.0), (25.0, 5.0)]


def test_a_summary_without_clock_times(root):
    assert spans(load(root, "chb24_01"), "seizure") == [(2.0, 7.0)]


def test_a_file_that_the_summary_forgets_has_no_labels(root):
    loaded = load(root, "chb01_46")
    assert loaded.labels == ()
    assert loaded.recording.warnings[-1].startswith("chb01-summary.txt does not list this file")


def test_missing_or_unbalanced_summary_is_refused(root):
    with pytest.raises(RecordingError, match=r"no file chb21-summary\.txt"):
        load(root, "chb21_01")
    (root / "chb24/chb24-summary.txt").write_text(CHB24.replace("File: 1", "File: 2"))
    with pytest.raises(RecordingError, match="1 starts and 1 ends of 2 seizures"):
        load(root, "chb24_01")
    (root / "chb24/chb24-summary.txt").write_text(CHB24.replace("End Time: 9", "End Time: 1"))
    with pytest.raises(RecordingError, match="in order"):
        load(root, "chb24_01")


def test_electrodes_follow_from_the_linked_derivations(root):
    picked = pick_eeg(load(root, "chb01_01").recording)
    assert picked.n_chans == 18
    assert {"Fp1", "T7", "O2", "FT9", "FT10"} <= set(picked.ch_names)
    assert {aside.name for aside in picked.set_aside} == {"FZ-CZ", "CZ-PZ"}  # linked to no other electrode
    np.testing.assert_allclose(picked.signal_uv.mean(0), 0, atol=1e-9)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="published layout"):
        DATASET.entries(tmp_path)


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings, card.expected_subjects) == ("chbmit", "image", 686, 23)
    assert set(card.labels) == {"seizure", "background"}
    assert card.paper_segments is None
