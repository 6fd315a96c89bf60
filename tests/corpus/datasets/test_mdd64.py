"""MDD-64 is read from a miniature of its archive; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets.mdd64 import DATASETS
from corpus.montage import pick_eeg

(DATASET,) = DATASETS
_ELECTRODES = "Fp1 F3 C3 P3 O1 F7 T3 T5 Fz Fp2 F4 C4 P4 O2 F8 T4 T6 Cz Pz"
ELECTRODES = _ELECTRODES.split()
EXTRA = {"MDD": ["EEG A2-A1"], "H": ["EEG A2-A1", "EEG 23A-23R", "EEG 24A-24R"]}
FILES = ("MDD S1  EC", "MDD S1 EO", "MDD S12 TASK", "H S1 EO", "6921143_H S15 EO", "6921959_H S15 EO")


def write(path):
    wave = np.sin(2 * np.pi * 10 * np.arange(12 * 256) / 256)
    labels = [f"EEG {name}-LE" for name in ELECTRODES] + EXTRA["MDD" if path.name.startswith("MDD") else "H"]
    edfio.Edf(
        [edfio.EdfSignal((i + 1) * wave, 256, label=label, physical_dimension="uV") for i, label in enumerate(labels)]
    ).write(str(path))


@pytest.fixture
def root(tmp_path):
    for name in FILES:
        write(tmp_path / f"{name}.edf")
    (tmp_path / "read me.edf").touch()
    return tmp_path


def test_entries(root):
    entries = DATASET.entries(root)
    assert [(e.id, e.subject, e.diagnosis, e.labels[0].kind, e.labels[0].value) for e in entries] == [
        ("6921959_H S15 EO", "H S15", ("healthy control",), "condition", "eyes open"),
        ("H S1 EO", "H S1", ("healthy control",), "condition", "eyes open"),
        ("MDD S1  EC", "MDD S1", ("major depressive disorder",), "condition", "eyes closed"),
        ("MDD S1 EO", "MDD S1", ("major depressive disorder",), "condition", "eyes open"),
        ("MDD S12 TASK", "MDD S12", ("major depressive disorder",), "task", "oddball task"),
    ]
    assert [(x.kind, x.value, x.granularity, x.source) for x in entries[2].labels] == [
        ("condition", "eyes closed", "file", "EC in the file name"),
        ("diagnosis", "major depressive disorder", "file", "MDD in the file name"),
    ]
    assert {x.value for entry in entries for x in entry.labels} == set(DATASET.card.labels)


@pytest.mark.parametrize("number", [1, 2])  # a control, with two more channels, and a patient
def test_19_electrodes_against_the_ears(root, number):
    loaded = DATASET.load(DATASET.entries(root)[number])
    picked = pick_eeg(loaded.recording)
    assert picked.ch_names == tuple(ELECTRODES)
    np.testing.assert_allclose(picked.signal_uv.max(axis=1), np.arange(1, 20), rtol=0.01)
    assert [aside.name for aside in picked.set_aside] == EXTRA["H" if number == 1 else "MDD"]


def test_card():
    card = DATASET.card
    assert (card.name, card.expected_recordings, card.expected_subjects) == ("mdd-64", 180, 64)
    assert (card.sfreq, card.paper_segments) == (256.0, (5738, 1466))
