"""Schizophrenia-28 is read from a miniature of its archive; every expected value is worked out by hand."""

import edfio
import numpy as np
import pytest

from corpus.datasets.schizophrenia28 import DATASETS
from corpus.montage import pick_eeg

(DATASET,) = DATASETS
_ELECTRODES = "Fp2 F8 T4 T6 O2 Fp1 F7 T3 T5 O1 F4 C4 P4 F3 C3 P3 Fz Cz Pz"
ELECTRODES = _ELECTRODES.split()


@pytest.fixture
def root(tmp_path):
    wave = np.sin(2 * np.pi * 10 * np.arange(12 * 250) / 250)
    for name in ("h01", "h14", "s01", "s14"):
        signals = [
            edfio.EdfSignal((i + 1) * wave, 250, label=label, physical_dimension="uV")
            for i, label in enumerate(ELECTRODES)
        ]
        edfio.Edf(signals).write(str(tmp_path / f"{name}.edf"))
    (tmp_path / "s15.edf").touch()  # the publisher numbers to 14
    return tmp_path


def test_entries(root):
    entries = DATASET.entries(root)
    assert [(e.id, e.subject, e.diagnosis, e.split) for e in entries] == [
        ("h01", "h01", ("healthy control",), None),
        ("h14", "h14", ("healthy control",), None),
        ("s01", "s01", ("schizophrenia",), None),
        ("s14", "s14", ("schizophrenia",), None),
    ]
    assert [(x.kind, x.value, x.granularity, x.source) for x in entries[2].labels] == [
        ("condition", "eyes closed", "file", "the only condition"),
        ("diagnosis", "schizophrenia", "file", "s in the file name"),
    ]


def test_samples(root):
    loaded = DATASET.load(DATASET.entries(root)[2])
    assert loaded.recording.sfreq == 250
    picked = pick_eeg(loaded.recording)
    assert picked.ch_names == tuple(ELECTRODES) == DATASET.card.ch_names
    np.testing.assert_allclose(picked.signal_uv.max(axis=1), np.arange(1, 20), rtol=0.01)
    assert len(loaded.labels) == 2


def test_card():
    card = DATASET.card
    assert (card.name, card.expected_recordings, card.expected_subjects) == ("schizophrenia-28", 28, 28)
    assert (card.reference, card.mains_hz, card.paper_segments) == ("FCz", 50.0, (2157, 680))
