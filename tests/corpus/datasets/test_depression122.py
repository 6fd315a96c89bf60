"""Depression-122 is read from a miniature of ds003478; every expected value is worked out by hand."""

import numpy as np
import pytest
import scipy.io

from corpus.datasets.depression122 import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import Subject

(DATASET,) = DATASETS
_CHANNELS = "FP1 FPZ FP2 AF3 AF4 FZ FCZ C3 CZ C4 M1 M2 PZ CB1 OZ CB2 HEOG VEOG EKG"
CHANNELS = _CHANNELS.split()
_NAMES = "participant_id Original_ID sex age BDI STAI SCID SCID_notes HamD"
NAMES = _NAMES.split()
PEOPLE = [
    "sub-001 507 1 19 5 31 n/a n/a n/a",
    "sub-002 508 2 18 13 52 Current~MDD chronic 22",
    "sub-003 509 1.0 21 27 60 Past~MDD n/a 9",
    "sub-004 510 2 18 7 40 No~Interview n/a n/a",
    "sub-005 511 n/a n/a 12 44 n/a n/a n/a",
    "sub-006 512 1 20 22 44 Do~not~meet~criterion~for~current~or~past~MDD n/a n/a",
    "sub-038 544 1 19 3 30 n/a n/a n/a",
]
SIGNAL = np.random.default_rng(0).normal(0, 20, (len(CHANNELS), 20 * 250))  # uV; 250 Hz instead of 500


def write(root, stem, events):
    """A recording with its samples in the .fdt file beside it, and its table of events."""
    folder = root / stem[:7] / "eeg"
    folder.mkdir(parents=True, exist_ok=True)
    eeg = {"setname": "a", "nbchan": len(CHANNELS), "trials": 1, "pnts": SIGNAL.shape[1], "srate": 250.0, "xmin": 0.0}
    eeg |= {"xmax": SIGNAL.shape[1] / 250, "data": f"{stem}_eeg.fdt", "datfile": f"{stem}_eeg.fdt"}
    eeg["chanlocs"] = np.array([(name,) for name in CHANNELS], dtype=[("labels", object)])
    eeg |= {name: [] for name in ("event", "epoch", "icawinv", "icaweights", "icasphere")}
    scipy.io.savemat(folder / f"{stem}_eeg.set", {"EEG": eeg}, appendmat=False)
    SIGNAL.T.astype("<f4").tofile(folder / f"{stem}_eeg.fdt")  # all channels of a sample together
    if events is not None:
        rows = ["onset\tduration\tsample\ttrial_type\tvalue", *("\t".join(map(str, row)) for row in events)]
        (folder / f"{stem}_events.tsv").write_text("\n".join(rows) + "\n")


def tick(onset_s, trial_type, value):
    return onset_s, 0.0, round(onset_s * 250), trial_type, value


@pytest.fixture
def root(tmp_path):
    for subject in PEOPLE:
        write(tmp_path, f"{subject[:7]}_task-Rest_run-01", None)
    write(tmp_path, "sub-001_task-Rest_run-02", None)
    rows = ["\t".join(NAMES), *("\t".join(row.split()).replace("~", " ") for row in PEOPLE)]
    (tmp_path / "participants.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def conditions(root):
    loaded = DATASET.load(DATASET.entries(root)[0])
    found = [label for label in loaded.labels if label.kind == "condition"]
    assert {label.granularity for label in found} <= {"event"}
    return [(label.value, label.start_s, label.duration_s) for label in found]


def test_entries(root):
    entries = DATASET.entries(root)
    assert [(e.path.name[:23], e.facts, e.diagnosis) for e in entries] == [
        ("sub-001_task-Rest_run-0", Subject(19, "F"), ("healthy control",)),
        ("sub-001_task-Rest_run-0", Subject(19, "F"), ("healthy control",)),
        ("sub-002_task-Rest_run-0", Subject(18, "M"), ("depressive symptoms", "current major depression")),
        ("sub-003_task-Rest_run-0", Subject(21, "F"), ("depressive symptoms", "past major depression")),
        ("sub-004_task-Rest_run-0", Subject(18, "M"), ()),
        ("sub-005_task-Rest_run-0", Subject(), ()),
        ("sub-006_task-Rest_run-0", Subject(20, "F"), ("depressive symptoms",)),
        ("sub-038_task-Rest_run-0", Subject(19, "F"), ()),
    ]
    assert entries[1].id == "sub-001/eeg/sub-001_task-Rest_run-02_eeg"
    assert [(x.kind, x.value, x.granularity, x.source) for x in entries[2].labels] == [
        ("diagnosis", "depressive symptoms", "file", "participants.tsv, BDI"),
        ("diagnosis", "current major depression", "file", "participants.tsv, SCID"),
    ]


def test_blocks_by_their_words(root):
    closed, opened = "Eyes Closed: Every 500 ms", "Eyes Open: Every 500 ms"
    events = [tick(0.0, "Start and Finish", 17), tick(1.0, closed, 1)]
    events += [tick(1.5 + i / 2, closed, 1) for i in range(5)]  # to 3.5
    events += [tick(5.0 + i / 2, opened, 2) for i in range(9)]  # 5 to 9
    events += [tick(12.0, "Eyes Closed: Every 2000 ms", 11), tick(14.0, "Eyes Closed: Every 2000 ms", 13)]
    write(root, "sub-001_task-Rest_run-01", events)
    assert conditions(root) == [("eyes closed", 1.0, 3.0), ("eyes open", 5.0, 4.5), ("eyes closed", 12.0, 2.5)]


def test_blocks_by_their_codes_in_any_order(root):
    events = [tick(3.0, "STATUS", 14), tick(0.0, "STATUS", 5), tick(0.5, "STATUS", 5), tick(3.5, "STATUS", 14)]
    events += [tick(4.0, "STATUS", 17), tick(4.5, "STATUS", 16), tick(9.0, "STATUS", "n/a"), tick(19.8, "STATUS", 6)]
    write(root, "sub-001_task-Rest_run-01", events)
    found = conditions(root)
    assert found[:3] == [("eyes closed", 0.0, 1.0), ("eyes open", 3.0, 1.0), ("eyes open", 4.5, 0.5)]
    assert found[3] == ("eyes open", 19.8, pytest.approx(0.2))  # cut at the end of the signal


def test_without_a_table_of_events(root):
    loaded = DATASET.load(DATASET.entries(root)[0])
    assert [label.value for label in loaded.labels] == ["healthy control"]
    assert "not known" in loaded.recording.warnings[-1]


def test_samples_are_microvolts_and_references_set_aside(root):
    recording = DATASET.load(DATASET.entries(root)[0]).recording
    np.testing.assert_allclose(recording.signal_uv, SIGNAL, atol=1e-4)
    picked = pick_eeg(recording)
    assert picked.ch_names == ("Fp1", "Fpz", "Fp2", "AF3", "AF4", "Fz", "FCz", "C3", "Cz", "C4", "Pz", "Oz")
    assert [aside.name for aside in picked.set_aside] == ["M1", "M2", "CB1", "CB2", "HEOG", "VEOG", "EKG"]


def test_card():
    card = DATASET.card
    assert (card.name, card.role, card.expected_recordings) == ("depression-122", "zero-shot", 243)
    assert (card.sfreq, card.mains_hz, card.paper_segments) == (500.0, 60.0, None)
