"""BIDS folders that mne-bids has written, and what their tables say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from corpus.datasets import bids, get_dataset
from corpus.recording import Recording, RecordingError, Subject

mne_bids = pytest.importorskip("mne_bids", reason="needs the extra `bids`")
DATASET = get_dataset("bids")
CH_NAMES = ["Fp1", "Cz", "O1", "O2", "VEOG", "GSR"]


def write(root: Path, subject: str, task: str, session: str | None = None) -> np.ndarray:
    """Twelve seconds at 200 Hz with two events; the signal in microvolts."""
    import mne

    signal_uv = np.random.default_rng(int(subject)).normal(0, 20, (len(CH_NAMES), 2400))
    info = mne.create_info(CH_NAMES, 200.0, ["eeg"] * 4 + ["eog", "misc"])
    raw = mne.io.RawArray(signal_uv * 1e-6, info, verbose="error")
    raw.info["line_freq"] = 50
    raw.info["bads"] = ["O2"]
    raw.set_annotations(mne.Annotations([1.5, 11.0], [2.0, 0.5], ["eyes closed", "cough"]))
    path = mne_bids.BIDSPath(root=root, subject=subject, task=task, session=session, datatype="eeg")
    mne_bids.write_raw_bids(raw, path, format="EDF", allow_preload=True, overwrite=True, verbose="error")
    return signal_uv


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    root = tmp_path_factory.mktemp("bids")
    signal_uv = write(root, "01", "rest", "on")
    write(root, "02", "oddball")
    table = "participant_id\tAGE\tGender\tGroup\tname\nsub-01\t93\tfemale\tA\tJane Doe\nsub-02\tn/a\tn/a\tn/a\tn/a\n"
    (root / "participants.tsv").write_text(table)
    levels = {"A": "Alzheimer's disease", "C": "healthy"}
    (root / "participants.json").write_text(json.dumps({"Group": {"Description": "…", "Levels": levels}}))
    derived = root / "derivatives" / "clean" / "sub-01" / "eeg"
    derived.mkdir(parents=True)
    (derived / "sub-01_task-rest_eeg.edf").touch()
    return root, signal_uv


def test_entries(written: tuple[Path, np.ndarray]) -> None:
    one, two = DATASET.entries(written[0])
    assert one.id == "sub-01/ses-on/eeg/sub-01_ses-on_task-rest_eeg"
    assert (one.subject, one.facts, one.diagnosis) == ("sub-01", Subject(90, "F"), ("Alzheimer's disease",))
    assert [(label.kind, label.value, label.granularity) for label in one.labels] == [
        ("diagnosis", "Alzheimer's disease", "file"),
        ("task", "rest", "file"),
        ("session", "on", "file"),
    ]
    assert (two.subject, two.facts, two.diagnosis) == ("sub-02", Subject(), ())
    assert [(label.kind, label.value) for label in two.labels] == [("task", "oddball")]
    assert "Jane" not in repr((one, two))


def test_a_recording(written: tuple[Path, np.ndarray]) -> None:
    root, signal_uv = written
    one, _ = DATASET.entries(root)
    loaded = DATASET.load(one)
    recording = loaded.recording
    assert recording.ch_names == ("Fp1", "Cz", "O1")
    np.testing.assert_allclose(recording.signal_uv, signal_uv[:3], atol=0.01)  # volts in MNE, microvolts here
    assert {s.name: s.why for s in recording.set_aside} == {
        "O2": "marked bad in channels.tsv",
        "VEOG": "EOG channel in channels.tsv",
        "GSR": "MISC channel in channels.tsv",
    }
    events = [(e.value, e.start_s, e.duration_s, e.source) for e in loaded.labels if e.kind == "event"]
    assert events == [("eyes closed", 1.5, 2.0, "events.tsv"), ("cough", 11.0, 0.5, "events.tsv")]
    assert loaded.labels[:3] == one.labels


def test_tables_at_the_top_hold_for_all(tmp_path: Path) -> None:
    write(tmp_path, "01", "rest")
    folder = tmp_path / "sub-01" / "eeg"
    (folder / "sub-01_task-rest_channels.tsv").unlink()
    (folder / "sub-01_task-rest_events.tsv").unlink()
    (tmp_path / "task-rest_channels.tsv").write_text("name\ttype\tunits\nCz\tEEG\tuS\nFp1\tEEG\tmicrovolts\n")
    events_table = "onset\tduration\tvalue\n2\tn/a\t7\n3\tNaN\t5\n11\t4\t6\n40\t1\t8\nn/a\t1\t9\n"
    (tmp_path / "task-rest_events.tsv").write_text(events_table)
    (tmp_path / "participants.tsv").write_text("participant_id\tgroup\tsex\nsub-01\t1\tM\n")
    (entry,) = DATASET.entries(tmp_path)
    assert (entry.diagnosis, entry.facts) == (("group 1",), Subject(None, "M"))
    loaded = DATASET.load(entry)
    assert [s.why for s in loaded.recording.set_aside if s.name == "Cz"] == ["unit uS in channels.tsv, not a voltage"]
    events = [(e.value, e.start_s, e.duration_s) for e in loaded.labels if e.kind == "event"]
    assert "Fp1" in loaded.recording.ch_names
    assert events == [("7", 2.0, 0.0), ("5", 3.0, 0.0), ("6", 11.0, 1.0)]
    assert loaded.recording.warnings[-1].startswith("2 rows of events.tsv")


def test_events_of_an_interrupted_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_interrupted: Callable[[Path], Recording]
) -> None:
    write(tmp_path, "01", "rest")
    monkeypatch.setattr(bids, "read_recording", read_interrupted)
    table = "onset\tduration\tvalue\n8\t8\tacross\n12\t1\tin the gap\n16\t9\tafter\n17.5\t1\toutside\n"
    (tmp_path / "sub-01" / "eeg" / "sub-01_task-rest_events.tsv").write_text(table)
    (entry,) = DATASET.entries(tmp_path)
    loaded = DATASET.load(entry)
    events = [(e.value, e.start_s, e.duration_s) for e in loaded.labels if e.kind == "event"]
    assert events == [("across", 8.0, 3.0), ("in the gap", 10.0, 0.0), ("after", 11.0, 1.0)]
    assert loaded.recording.warnings[-1].startswith("1 rows of events.tsv")


def test_a_recording_whose_channels_are_all_bad_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "01", "rest")
    channels = tmp_path / "sub-01" / "eeg" / "sub-01_task-rest_channels.tsv"
    channels.write_text("name\ttype\tunits\tstatus\n" + "".join(f"{n}\tEEG\tuV\tbad\n" for n in CH_NAMES))
    (entry,) = DATASET.entries(tmp_path)
    with pytest.raises(RecordingError, match="no channel that channels"):
        DATASET.load(entry)


def test_a_folder_without_eeg_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"participants\.tsv$"):
        DATASET.entries(tmp_path)


def test_the_error_without_the_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(ImportError, match=r"neuronarrator\[bids\]"):
        DATASET.entries(tmp_path)
