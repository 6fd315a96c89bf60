"""PD31 is read from a miniature of ds002778; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets.pd31 import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import Subject

(DATASET,) = DATASETS
_ELECTRODES = (
    "Fp1 AF3 F7 F3 FC1 FC5 T7 C3 CP1 CP5 P7 P3 Pz PO3 O1 Oz O2 PO4 P4 P8 CP6 CP2 C4 T8 FC6 FC2 F4 F8 AF4 Fp2 Fz Cz"
)
ELECTRODES = _ELECTRODES.split()
FILES = (
    "sub-pd3/ses-on/eeg/sub-pd3_ses-on_task-rest_eeg.bdf",
    "sub-hc1/ses-hc/eeg/sub-hc1_ses-hc_task-rest_eeg.bdf",
    "sub-pd3/ses-off/eeg/sub-pd3_ses-off_task-rest_eeg.bdf",
    "sub-pd6/ses-on/eeg/sub-pd6_ses-on_task-rest_eeg.bdf",
)
PEOPLE = (
    "participant_id\tage\tgender\thand\tMMSE\tNAART\tdisease_duration\trl_deficits\tnotes\n"
    "sub-hc1\t54\tf\tr\t30\t49.83\tn/a\tn/a\tNo clinical data from neurologist\n"
    "sub-pd3\t69\tm\tr\t29\t42.5\t4\tn/a\tn/a\n"
)
SIGNAL_UV = 50 * np.sin(2 * np.pi * 10 * np.arange(12 * 256) / 256)  # 256 Hz instead of 512 keeps it small


def write_bdf(path):
    """BioSemi: 32 electrodes far from zero as no reference is applied, external ones, and the trigger channel."""
    path.parent.mkdir(parents=True)
    names = [*ELECTRODES, *(f"EXG{i}" for i in range(1, 9))]
    facts = {"physical_range": (-262144, 262143), "digital_range": (-8388608, 8388607)}
    signals = [
        edfio.BdfSignal(SIGNAL_UV + 20000 + 100 * i, 256, label=name, physical_dimension="uV", **facts)
        for i, name in enumerate(names)
    ]
    facts = {"physical_range": (-8388608, 8388607), "digital_range": (-8388608, 8388607)}
    status = edfio.BdfSignal(np.zeros(len(SIGNAL_UV)), 256, label="Status", physical_dimension="Boolean", **facts)
    edfio.Bdf([*signals, status]).write(str(path))


@pytest.fixture
def root(tmp_path):
    for name in FILES:
        write_bdf(tmp_path / name)
    (tmp_path / "participants.tsv").write_text(PEOPLE)
    return tmp_path


def test_entries(root):
    entries = DATASET.entries(root)
    off, on = "off dopaminergic medication", "on dopaminergic medication"
    assert [(e.path.name, e.subject, e.facts, e.diagnosis, [x.value for x in e.labels]) for e in entries] == [
        (
            "sub-hc1_ses-hc_task-rest_eeg.bdf",
            "sub-hc1",
            Subject(54, "F"),
            ("healthy control",),
            ["rest", "healthy control"],
        ),
        (
            "sub-pd3_ses-off_task-rest_eeg.bdf",
            "sub-pd3",
            Subject(69, "M"),
            ("Parkinson's disease",),
            ["rest", "Parkinson's disease", off],
        ),
        (
            "sub-pd3_ses-on_task-rest_eeg.bdf",
            "sub-pd3",
            Subject(69, "M"),
            ("Parkinson's disease",),
            ["rest", "Parkinson's disease", on],
        ),
        (
            "sub-pd6_ses-on_task-rest_eeg.bdf",
            "sub-pd6",
            Subject(),
            ("Parkinson's disease",),
            ["rest", "Parkinson's disease", on],
        ),
    ]
    assert entries[1].id == "sub-pd3/ses-off/eeg/sub-pd3_ses-off_task-rest_eeg"
    assert [(x.kind, x.granularity, x.source) for x in entries[1].labels] == [
        ("task", "file", "task-rest in the file name"),
        ("diagnosis", "file", "subject code sub-pd"),
        ("condition", "file", "session off"),
    ]
    assert {value for entry in entries for value in (x.value for x in entry.labels)} == set(DATASET.card.labels)
    assert {entry.split for entry in entries} == {None}


def test_24_bits_in_microvolts(root):
    loaded = DATASET.load(DATASET.entries(root)[1])
    assert loaded.recording.provenance.format == "BDF"
    np.testing.assert_allclose(loaded.recording.signal_uv[2], SIGNAL_UV + 20200, atol=0.02)
    assert pick_eeg(loaded.recording).ch_names == tuple(ELECTRODES)
    assert {"EXG1", "EXG8", "Status"} <= {aside.name for aside in pick_eeg(loaded.recording).set_aside}
    assert loaded.recording.warnings == ()


def test_a_restored_recording_is_told(root):
    (told,) = DATASET.load(DATASET.entries(root)[3]).recording.warnings
    assert "already preprocessed" in told


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings, card.expected_subjects) == ("pd31", "corpus", 46, 31)
    assert (card.sfreq, card.mains_hz, card.paper_segments) == (512.0, 60.0, (601, 217))
