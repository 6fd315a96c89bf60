"""References and derivations by hand-worked values; nothing is guessed where an electrode is missing."""

import numpy as np
import pytest

from corpus.montage import pick_eeg
from corpus.preprocess import CEREBRAGLOSS, PreprocessPreset, load_recording, preprocess
from corpus.preprocess.reference import (
    DOUBLE_BANANA,
    ELECTRODES_19,
    TRANSVERSE,
    bipolar,
    keep_ears,
    plan_reference,
    recorded_against_ears,
    rereference,
)
from corpus.recording import Defect, Recording, RecordingError
from corpus.simulate.edf import write_edf


def levels(*names, **facts):
    """Channels that are constant: 1, 2, 4, 8, ... microvolts."""
    return Recording(2.0 ** np.arange(len(names))[:, None] * np.ones((1, 6)), 200.0, names, **facts)


def values(recording):
    assert (recording.signal_uv == recording.signal_uv[:, :1]).all()
    return dict(zip(recording.ch_names, recording.signal_uv[:, 0].tolist(), strict=True))


def test_average():
    before = levels("Fp1", "Fp2", "O1", "A1")
    done = rereference(before, "average")
    third = 7 / 3
    assert values(done) == pytest.approx({"Fp1": 1 - third, "Fp2": 2 - third, "O1": 4 - third})
    assert done.set_aside[0].name == "A1"
    assert done.provenance.steps == ("average reference",)
    assert values(before) == {"Fp1": 1, "Fp2": 2, "O1": 4, "A1": 8}  # a new recording


def test_ears():
    assert values(rereference(levels("C3", "Cz", "M1", "M2"), "ears")) == {"C3": 1 - 6, "Cz": 2 - 6}
    assert values(rereference(levels("C3", "Cz", "A2"), "ears")) == {"C3": 1 - 4, "Cz": 2 - 4}
    done = rereference(levels("C3", "A1", "C4", "A2", "Cz"), "contralateral ear")
    assert values(done) == {"C3": 1 - 8, "C4": 4 - 2, "Cz": 16 - 5}
    assert done.provenance.steps == (
        "contralateral ear reference (A2 on the left, A1 on the right, midline against both)",
    )
    with pytest.raises(RecordingError, match="got no ear or mastoid channel"):
        rereference(levels("C3", "C4"), "ears")
    with pytest.raises(RecordingError, match="fewer than two ear channels"):
        rereference(levels("C3", "C4", "A1"), "contralateral ear")


def test_named_electrodes():
    assert values(rereference(levels("C3", "Cz", "C4"), ("Cz",))) == {"C3": -1, "C4": 2}
    done = rereference(levels("T3", "Cz", "T4"), ("t7", "T8"))
    assert values(done) == {"T3": 1 - 2.5, "Cz": 2 - 2.5, "T4": 4 - 2.5}
    assert done.provenance.steps == ("reference T3 + T4 (mean)",)
    with pytest.raises(RecordingError, match="got Pz as reference"):
        rereference(levels("C3", "C4"), ("Pz",))
    with pytest.raises(RecordingError, match="nothing but reference electrodes"):
        rereference(levels("C3"), ("C3",))


def test_clinical_reference_takes_what_there_is():
    assert plan_reference(ELECTRODES_19, "clinical").step == "average reference"
    old = tuple({"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}.get(name, name) for name in ELECTRODES_19)
    assert plan_reference(old, "clinical").step == "average reference"
    assert plan_reference(("C3", "C4", "M1", "M2"), "clinical").step.startswith("contralateral ear")
    assert plan_reference(("C3", "C4", "A2"), "clinical").step == "reference A2"
    done = rereference(levels("C3", "C4"), "clinical")
    assert values(done) == {"C3": 1, "C4": 2}
    assert done.warnings == (
        "reference as recorded: for an average some of the 19 electrodes are missing, and no ear was recorded",
    )


def test_damage_travels_with_the_reference():
    bad = Defect("A1", 1.0, 2.0, "missing samples")
    own = Defect("C3", 4.0, 1.0, "missing samples")
    done = rereference(levels("C3", "C4", "A1", "A2", defects=(bad, own)), "contralateral ear")
    assert done.defects == (own, Defect("C4", 1.0, 2.0, "missing samples of its reference A1"))
    assert rereference(levels("C3", "C4", "A1", defects=(bad, own)), "average").defects == (own,)
    pair = bipolar(levels("C3", "C4", "Cz", defects=(own,)), (("C3", "Cz"), ("Cz", "C4")))
    assert pair.defects == (Defect("C3-Cz", 4.0, 1.0, "missing samples"),)


def test_double_banana():
    assert " ".join("-".join(pair) for pair in DOUBLE_BANANA) == (
        "Fp1-F7 F7-T7 T7-P7 P7-O1 Fp1-F3 F3-C3 C3-P3 P3-O1 Fz-Cz Cz-Pz "
        "Fp2-F4 F4-C4 C4-P4 P4-O2 Fp2-F8 F8-T8 T8-P8 P8-O2"
    )
    assert " ".join("-".join(pair) for pair in TRANSVERSE) == (
        "F7-Fp1 Fp1-Fp2 Fp2-F8 F7-F3 F3-Fz Fz-F4 F4-F8 T7-C3 C3-Cz Cz-C4 C4-T8 "
        "P7-P3 P3-Pz Pz-P4 P4-P8 P7-O1 O1-O2 O2-P8"
    )
    signal = np.random.default_rng(0).standard_normal((19, 50))
    done = bipolar(Recording(signal, 200.0, ELECTRODES_19))
    assert done.n_chans == 18
    np.testing.assert_allclose(done.signal_uv[:4].sum(axis=0), signal[0] - signal[8], atol=1e-12)  # Fp1 - O1, both ways
    np.testing.assert_allclose(done.signal_uv[4:8].sum(axis=0), signal[0] - signal[8], atol=1e-12)
    moved = bipolar(rereference(Recording(signal, 200.0, ELECTRODES_19), "average"))
    np.testing.assert_allclose(moved.signal_uv, done.signal_uv, atol=1e-12)  # whatever the reference was


def test_derivations_keep_the_spelling_of_the_recording_and_never_guess():
    done = bipolar(levels("Fp1", "F7", "T3", "O1"))
    assert values(done) == {"Fp1-F7": 1 - 2, "F7-T3": 2 - 4}
    assert ("T7-P7", "P7 not recorded") in [(s.name, s.why) for s in done.set_aside]
    assert ("F3-C3", "F3 and C3 not recorded") in [(s.name, s.why) for s in done.set_aside]
    assert len(done.set_aside) == 16
    assert done.warnings[0].startswith("16 derivations lack an electrode: T7-P7, P7-O1")
    with pytest.raises(RecordingError, match="no complete pair"):
        bipolar(levels("Fp1", "O1"))


def test_ears_are_kept_beside_the_scalp():
    raw = Recording(
        np.arange(5)[:, None] + np.random.default_rng(0).standard_normal((5, 4000)) * 20,
        200.0,
        ("EEG C3-REF", "EEG C4-REF", "EEG A1-REF", "EEG A2-REF", "EEG A2-A1"),
    )
    picked = pick_eeg(raw)
    kept = keep_ears(picked, raw)
    assert kept.ch_names == ("C3", "C4", "A1", "A2")
    np.testing.assert_array_equal(kept.signal_uv[2], raw.signal_uv[2])
    assert [s.name for s in kept.set_aside] == ["EEG A2-A1"]
    assert keep_ears(picked, picked) is picked
    assert recorded_against_ears(("EEG C3-A2", "EEG C4-M1", "EOG E1-M2"), levels("C3", "C4"))
    assert not recorded_against_ears(("EEG C3-A2", "EEG C4-REF"), levels("C3", "C4"))


def polysomnogram(tmp_path, *names):
    signal = np.random.default_rng(1).standard_normal((len(names), 200 * 60)) * 30
    path = tmp_path / "night.edf"
    write_edf(Recording(signal, 200.0, names), path)
    return path, signal


def test_cerebragloss(tmp_path):
    path, signal = polysomnogram(tmp_path, "EEG C3-REF", "EEG C4-REF", "EEG A1-REF", "EEG A2-REF")
    done = load_recording(path, CEREBRAGLOSS)
    assert done.ch_names == ("C3", "C4")
    by_hand = Recording(np.stack([signal[0] - signal[3], signal[1] - signal[2]]), 200.0, ("C3", "C4"))
    alone = preprocess(by_hand, PreprocessPreset(1.6, 70.0, notch=None))
    np.testing.assert_allclose(done.signal_uv, alone.signal_uv, atol=0.02)  # EDF rounds to 16 bits
    assert "band-pass 1.6-70 Hz (zero-phase FIR)" in done.provenance.steps
    assert done.provenance.steps[-1].startswith("contralateral ear reference (A2 on the left")
    assert "the high-pass at 1.6 Hz removes delta (0.5-4 Hz) below it" in done.warnings
    path, _ = polysomnogram(tmp_path, "EEG C3-A2", "EEG C4-A1")
    done = load_recording(path, CEREBRAGLOSS)
    assert "reference as recorded: ears or mastoids" in done.provenance.steps
    assert not any(text.startswith("reference as recorded") for text in done.warnings)
    path, _ = polysomnogram(tmp_path, *(f"EEG {name}-A1" for name in ELECTRODES_19))
    assert load_recording(path, CEREBRAGLOSS).provenance.steps[-1] == "average reference"
    path, _ = polysomnogram(tmp_path, "EEG C3-REF", "EEG C4-REF")
    assert any(text.startswith("reference as recorded") for text in load_recording(path, CEREBRAGLOSS).warnings)


def test_cerebragloss_on_nineteen_electrodes(shared_data):
    done = load_recording(shared_data / "eegmat/Subject00_2.edf", CEREBRAGLOSS)
    assert done.provenance.steps[-1] == "average reference"
    np.testing.assert_allclose(done.signal_uv.mean(axis=0), 0, atol=1e-4)
