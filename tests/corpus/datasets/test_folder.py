"""A plain folder of recordings, among them one whose names identify a person."""

import re
from pathlib import Path

import edfio
import numpy as np
import pytest

from corpus.datasets import get_dataset
from corpus.recording import RecordingError

DATASET = get_dataset("folder")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    names = ("Jane Doe/monday.edf", "Jane Doe/ward/tuesday.bdf", "rossi_0815.vhdr", "rossi_0815.eeg", "lab/old.eeg",
             "lab/patient.lay", "lab/patient.dat", "lab/scan.mff/signal1.bin", "lab/raw.fif.gz", "lab/raw-1.fif.gz",
             "lab/visit-2.fif", "lab/notes.txt", "lab/.hidden.edf", ".trash/gone.edf")  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_recordings_are_found_and_companions_left_out(root: Path) -> None:
    entries = list(DATASET.entries(root))
    assert {e.path.relative_to(root).as_posix() for e in entries} == {
        "Jane Doe/monday.edf", "Jane Doe/ward/tuesday.bdf", "rossi_0815.vhdr", "lab/old.eeg", "lab/patient.lay",
        "lab/scan.mff", "lab/raw.fif.gz", "lab/visit-2.fif",
    }  # fmt: skip
    assert [e.id for e in entries] == sorted({e.id for e in entries})
    assert all(e.labels == () for e in entries)


def test_a_folder_is_a_person_and_names_stay_behind(root: Path) -> None:
    entries = {e.path.relative_to(root).as_posix(): e for e in DATASET.entries(root)}
    assert entries["Jane Doe/monday.edf"].subject == entries["Jane Doe/ward/tuesday.bdf"].subject
    assert len({e.subject for e in entries.values()}) == 3
    for entry in entries.values():
        assert re.fullmatch(r"P[0-9a-f]{12}/R[0-9a-f]{12}", entry.id)
        assert entry.id.startswith(f"{entry.subject}/")
    assert entries == {e.path.relative_to(root).as_posix(): e for e in DATASET.entries(root)}


def test_codes_do_not_depend_on_the_place_of_the_folder(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "moved"
    ids = [e.id for e in DATASET.entries(root)]
    root.rename(other)
    assert [e.id for e in DATASET.entries(other)] == ids


def test_a_recording_is_read(tmp_path: Path) -> None:
    signals = [edfio.EdfSignal(np.random.default_rng(0).normal(0, 20, 2400), 200, label=n) for n in ("Cz", "O1")]
    (tmp_path / "Jane Doe").mkdir()
    edfio.Edf(signals, patient=edfio.Patient(name="Jane_Doe")).write(tmp_path / "Jane Doe" / "doe_2.edf")
    (entry,) = DATASET.entries(tmp_path)
    loaded = DATASET.load(entry)
    assert loaded.recording.ch_names == ("Cz", "O1")
    assert loaded.labels == ()
    assert "doe" not in repr((loaded, entry.id, entry.subject)).lower()


def test_the_name_of_a_file_stays_behind(tmp_path: Path) -> None:
    signals = [edfio.EdfSignal(np.random.default_rng(0).normal(0, 20, 2400), 200, label=n) for n in ("Cz-LE", "O1-LE")]
    remarks = [edfio.EdfAnnotation(1, None, "Mueller coughs"), edfio.EdfAnnotation(2, None, "seizure")]
    (tmp_path / "Le").mkdir()
    path = tmp_path / "Le" / "Mueller_Anna_MRN4471190.seizure.edf"
    edfio.Edf(signals, annotations=remarks).write(path)  # the header names nobody
    (entry,) = DATASET.entries(tmp_path)
    recording = DATASET.load(entry).recording
    assert recording.provenance is not None
    assert recording.provenance.file == f"{entry.id.split('/')[1]}.edf"
    assert recording.ch_names == ("Cz-LE", "O1-LE")
    assert [a.description for a in recording.annotations] == ["[removed] coughs", "seizure"]
    path.write_text("time,Cz\n0,1\n" * 100)
    with pytest.raises(RecordingError) as error:
        DATASET.load(entry)
    assert str(error.value).startswith(f"{entry.id.split('/')[1]}.edf: got content")
    assert not re.search("mueller|anna|4471190", repr((recording, str(error.value))), re.IGNORECASE)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"without recordings.*\.edf"):
        DATASET.entries(tmp_path)
