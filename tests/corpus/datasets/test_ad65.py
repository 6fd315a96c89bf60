"""AD-65 is read from a miniature of ds004504; every expected value is worked out by hand."""

import numpy as np
import pytest
import scipy.io

from corpus.datasets.ad65 import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import Subject

(DATASET,) = DATASETS
_ELECTRODES = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 Fz Cz Pz"
ELECTRODES = _ELECTRODES.split()
PEOPLE = (
    "participant_id\tGender\tAge\tGroup\tMMSE\nsub-001\tF\t57\tA\t16\nsub-037\tM\t57\tC\t30 \nsub-066\tM\t73\tF\t20\n"
)


def write_set(path, signal_uv, ch_names, sfreq):
    """An EEGLAB file that holds its samples, in microvolts."""
    path.parent.mkdir(parents=True)
    eeg = {
        "setname": "a",
        "nbchan": len(ch_names),
        "trials": 1,
        "pnts": signal_uv.shape[1],
        "srate": sfreq,
        "xmin": 0.0,
    }
    eeg |= {"xmax": signal_uv.shape[1] / sfreq, "data": signal_uv}
    eeg["chanlocs"] = np.array([(name,) for name in ch_names], dtype=[("labels", object)])
    eeg |= {name: [] for name in ("event", "epoch", "icawinv", "icaweights", "icasphere")}
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)


def signal(amplitude_uv):
    """12 s of 10 Hz, each electrode 1 uV larger than the one before."""
    wave = np.sin(2 * np.pi * 10 * np.arange(6000) / 500)
    return (amplitude_uv + np.arange(19))[:, None] * wave


@pytest.fixture
def root(tmp_path):
    for subject in ("sub-001", "sub-037", "sub-066"):
        write_set(tmp_path / f"{subject}/eeg/{subject}_task-eyesclosed_eeg.set", signal(20), ELECTRODES, 500.0)
    cleaned = tmp_path / "derivatives/sub-001/eeg/sub-001_task-eyesclosed_eeg.set"
    write_set(cleaned, signal(3), ELECTRODES, 500.0)
    (tmp_path / "participants.tsv").write_text(PEOPLE)
    return tmp_path


def test_entries(root):
    entries = DATASET.entries(root)
    assert [(e.id, e.subject, e.facts, e.diagnosis, e.split) for e in entries] == [
        (
            "sub-001/eeg/sub-001_task-eyesclosed_eeg",
            "sub-001",
            Subject(57, "F"),
            ("Alzheimer's disease",),
            None,
        ),
        ("sub-037/eeg/sub-037_task-eyesclosed_eeg", "sub-037", Subject(57, "M"), ("healthy control",), None),
        ("sub-066/eeg/sub-066_task-eyesclosed_eeg", "sub-066", Subject(73, "M"), ("frontotemporal dementia",), None),
    ]
    assert [(label.kind, label.value, label.granularity, label.source) for label in entries[0].labels] == [
        ("condition", "eyes closed", "file", "task-eyesclosed in the file name"),
        ("diagnosis", "Alzheimer's disease", "file", "participants.tsv, Group"),
    ]


def test_the_original_is_read_in_microvolts(root):
    loaded = DATASET.load(DATASET.entries(root)[0])
    assert loaded.recording.sfreq == 500
    assert loaded.recording.ch_names == DATASET.card.ch_names == tuple(ELECTRODES)
    np.testing.assert_allclose(loaded.recording.signal_uv, signal(20), atol=1e-9)
    assert len(loaded.labels) == 2
    assert pick_eeg(loaded.recording).n_chans == 19


def test_a_subject_that_the_table_forgets_has_no_group(root):
    (root / "participants.tsv").write_text(PEOPLE.replace("sub-001", "sub-009"))
    entry = DATASET.entries(root)[0]
    assert (entry.facts, entry.diagnosis) == (Subject(), ())
    assert [label.value for label in entry.labels] == ["eyes closed"]


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings, card.paper_segments) == (
        "ad-65",
        "corpus",
        88,
        (5460, 1382),
    )
    assert set(card.labels) == {"Alzheimer's disease", "frontotemporal dementia", "healthy control", "eyes closed"}
