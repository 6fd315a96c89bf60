"""Channel names become electrodes with places; what is not a scalp electrode is set aside with its reason."""

import dataclasses
import re
import subprocess
import sys

import mne
import numpy as np
import pytest
from scipy.io import loadmat

from corpus.montage import (
    ELECTRODE_NAMES,
    electrode_positions,
    mirror_of,
    pick_eeg,
    region_of,
    side_of,
)
from corpus.recording import Defect, Recording, RecordingError, read_recording
from corpus.recording.identity import ELECTRODE_LIKE

CLINICAL = tuple("Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 Fz Cz Pz".split())  # noqa: SIM905


def recording_of(labels, scale=20.0, **facts):
    signal = np.random.default_rng(0).normal(0, scale, (len(labels), 4000))
    return Recording(signal, 200.0, tuple(labels), **facts)


def resolved(*labels):
    return pick_eeg(recording_of(labels)).ch_names


def reasons(*labels):
    return {s.name: s.why for s in pick_eeg(recording_of(("Fp1", *labels))).set_aside}


@pytest.mark.parametrize("pattern", [
    "EEG {}", "EEG {}-REF", "EEG {}-LE", "EEG {}-Ref", "{}-AR", "{}-AV", "{}-AVG", "{}-A1", "{}-A2", "{}-M1", "{}-M2",
    "{}-0", "{}-1", "POL {}", "POL {}-Ref", "EEG-{}", "{}.", "{}..", " {} ", "EEG_{}_REF", "EEG {}-A1A2", "{}-A1+A2",
    "EEG{}", "eeg {} - ref", "{}-CLE", "{}-G2", "{}:M1M2",
])  # fmt: skip
def test_spellings(pattern):
    for case in (str, str.upper, str.lower):
        assert resolved(*(pattern.format(case(name)) for name in CLINICAL)) == CLINICAL


def test_every_electrode_is_its_own_name():
    for name in ELECTRODE_NAMES:
        if name not in ("A1", "A2", "M1", "M2"):
            assert resolved(f"EEG {name.upper()}-REF") == (name,)


def test_every_electrode_is_known_where_identity_is_removed():
    for name in ELECTRODE_NAMES:
        for label in (name, f"EEG {name}-REF", f"EEG{name}", f"POL_{name.upper()}"):
            assert ELECTRODE_LIKE.search(label)


def test_a_shared_midline_reference_is_not_a_derivation():
    assert resolved("C3-Cz", "C4-Cz", "O1-Cz") == ("C3", "C4", "O1")
    assert resolved("C3-FCz", "ECG") == ("C3",)
    with pytest.raises(RecordingError, match="common reference, or derivations that link"):
        resolved("Fp1-F7", "F7-T7", "Fz-Cz", "Cz-Pz")
    with pytest.raises(RecordingError, match="got no EEG channel among 2"):
        resolved("F7-T3", "A2-A1")


def test_what_is_set_aside_and_why():
    assert reasons("EEG A2-A1", "F7-T3", "T8-P8-0", "Fz-Cz") == {
        "EEG A2-A1": "bipolar derivation A2-A1",
        "F7-T3": "bipolar derivation F7-T3",
        "T8-P8-0": "bipolar derivation T8-P8",
        "Fz-Cz": "bipolar derivation Fz-Cz",
    }
    assert reasons("A1", "EEG M2-REF", "POL $A2") == dict.fromkeys(
        ("A1", "EEG M2-REF", "POL $A2"), "reference electrode"
    )
    assert reasons("T3", "T7", "EEG fp1-REF") == {
        "T7": "second channel at the place of T3",
        "EEG fp1-REF": "second channel at the place of Fp1",
    }
    kinds = {
        "heart channel (ECG)": ("ECG ECG", "EEG EKG1-REF", "ekg"),
        "eye channel (EOG)": ("EOG1", "HEOG", "EEG LOC-REF", "ROC", "E1-M2", "EOG horizontal"),
        "muscle channel (EMG)": ("EMG-REF", "Chin1-Chin2", "Leg/L", "EMG submental"),
        "respiration channel": ("Resp oro-nasal", "THORAX", "Airflow", "ABD", "Snore"),
        "photic stimulation": ("PHOTIC-REF", "Photic PH", "PHO"),
        "trigger or annotation channel": ("Status", "STI 014", "Event marker", "POL DC03", "EDF Annotations"),
        "pulse or blood gas channel": ("SpO2", "SaO2", "Pulse rate", "EtCO2", "EEG O2 sat", "HR"),
        "unknown electrode name": ("EEG 001", "E17", "POL X1", "BURSTS", "COUNTER", "", "EEG", "Fp1-XYZ", "漢"),
    }  # fmt: skip
    for why, labels in kinds.items():
        assert reasons(*labels) == dict.fromkeys(labels, why)


def test_nothing_found_lists_eight_names():
    with pytest.raises(RecordingError) as error:
        resolved(*(f"EEG {i:03d}" for i in range(1, 21)))
    assert "among 20 (EEG 001, EEG 002, EEG 003, EEG 004, EEG 005, EEG 006, EEG 007, EEG 008, ...)" in str(error.value)
    assert '"EEG C3-REF"' in str(error.value)


def test_constant_and_missing_channels_are_set_aside():
    recording = recording_of(CLINICAL)
    recording.signal_uv[3] = 0
    recording.signal_uv[5] = -17.5
    recording.signal_uv[7] = np.nan
    recording.signal_uv[9, :3000] = np.nan
    picked = pick_eeg(recording)
    assert [(s.name, s.why) for s in picked.set_aside] == [
        ("F4", "constant over the whole recording"),
        ("C4", "constant over the whole recording"),
        ("P4", "missing over the whole recording"),
    ]
    assert picked.n_chans == 16
    recording.signal_uv[:] = 0
    with pytest.raises(RecordingError, match="never change"):
        pick_eeg(recording)


def test_few_electrodes_are_accepted_with_a_warning():
    for n in (1, 3):
        told = pick_eeg(recording_of(CLINICAL[:n])).warnings
        assert len(told) == 1
        assert told[0].startswith(f"{n} electrode")
        assert told[0].endswith("need at least 4")
    assert pick_eeg(recording_of(CLINICAL[:4])).warnings == ()


@pytest.mark.parametrize("scale", [0.05, 2000.0])
def test_amplitudes_that_are_no_microvolts_stop(scale):
    with pytest.raises(RecordingError) as error:
        pick_eeg(recording_of(CLINICAL, scale))
    found = re.search(
        r"deviation of (\S+) uV, expected 0.1 uV to 1 mV; correct the physical dimension", str(error.value)
    )
    assert found is not None
    assert float(found[1]) == pytest.approx(0.6745 * scale, rel=0.02)  # of a normal distribution


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 173.61, 200.0, 250.0, 500.0])
@pytest.mark.parametrize("mains", [50.02, 60.0])
def test_strong_mains_is_no_wrong_unit(sfreq, mains):
    """Mains of 5 mV, a little off and modulated, over an EEG of 20 uV; and the EEG alone still tells its unit."""
    rng = np.random.default_rng(0)
    time = np.arange(round(60 * sfreq)) / sfreq
    hum = 5000 * (1 + 0.1 * np.sin(2 * np.pi * 0.03 * time)) * np.sin(2 * np.pi * mains * time + 0.3)
    brain = rng.normal(0, 20, (4, len(time)))
    assert pick_eeg(Recording(brain + hum, sfreq, CLINICAL[:4])).n_chans == 4
    for scale in (1e-3, 1e3):
        with pytest.raises(RecordingError, match="correct the physical dimension"):
            pick_eeg(Recording((brain + hum) * scale, sfreq, CLINICAL[:4]))


def test_the_unit_of_real_recordings_with_mains_and_artifacts(shared_data):
    names = "Fp1 F3 C3 P3 F7 T3 T5 O1 Fz Cz Pz Fp2 F4 C4 P4 F8 T4 T6 O2".split()  # noqa: SIM905
    for file in ("Other_sample1", "SZ_sample2", "GRDA_sample3"):  # the first: 60 Hz of 5 mV on most electrodes
        segment = loadmat(shared_data / f"iiic_sparcnet/{file}.mat")["seg"][:19].astype(float)
        assert pick_eeg(Recording(segment, 200.0, tuple(names))).n_chans >= 18
        for scale in (1e-4, 1e4):
            with pytest.raises(RecordingError, match="correct the physical dimension"):
                pick_eeg(Recording(segment * scale, 200.0, tuple(names)))


def test_drifts_offsets_and_bad_channels_do_not_fail_the_unit_check():
    recording = recording_of(CLINICAL)
    recording.signal_uv[:] += np.linspace(0, 5e4, 4000) + 4000
    with pytest.raises(RecordingError):  # 25 mV within ten seconds is no drift
        pick_eeg(recording)
    slow = recording_of(CLINICAL)
    slow = dataclasses.replace(slow, signal_uv=np.tile(slow.signal_uv, 30) + np.linspace(0, 5e4, 120000) + 4000)
    slow.signal_uv[:8] *= 1e4
    assert pick_eeg(slow).n_chans == 19


def test_defects_follow_their_channel_and_steps_are_recorded():
    defects = (Defect("EEG C3", 1.0, 0.5, "missing samples"), Defect("ECG", 2.0, 0.5, "missing samples"))
    picked = pick_eeg(recording_of(("EEG C3", "ECG", "EEG C4"), defects=defects))
    assert picked.defects == (Defect("C3", 1.0, 0.5, "missing samples"),)
    assert picked.provenance.steps == ("kept 2 of 3 channels as scalp EEG, 2 renamed (such as EEG C3 to C3)",)
    assert pick_eeg(picked).ch_names == picked.ch_names


def test_positions_are_mnes():
    montage = mne.channels.make_standard_montage("colin27_1005")
    info = mne.create_info(montage.ch_names, 200.0, "eeg")
    info.set_montage(montage)
    assert tuple(montage.ch_names) == ELECTRODE_NAMES
    expected = np.array([channel["loc"][:3] for channel in info["chs"]])
    np.testing.assert_allclose(electrode_positions(ELECTRODE_NAMES), expected, atol=1e-6)
    assert electrode_positions(["cz", "T3"]).dtype == np.float64
    np.testing.assert_array_equal(*electrode_positions(["T3", "T7"]))
    assert electrode_positions([]).shape == (0, 3)


def test_unknown_electrodes_are_named():
    for function in (region_of, side_of, mirror_of, lambda name: electrode_positions([name])):
        with pytest.raises(RecordingError, match="got electrode 'E17', expected a 10-20"):
            function("E17")


def test_order_of_names_is_fixed():
    assert len(ELECTRODE_NAMES) == len(set(ELECTRODE_NAMES)) == 343
    assert ELECTRODE_NAMES[:5] == ("Fp1", "Fpz", "Fp2", "AF9", "AF7")
    assert ELECTRODE_NAMES[85] == "I2"
    assert ELECTRODE_NAMES[-8:] == ("T3", "T5", "T4", "T6", "M1", "M2", "A1", "A2")


def test_regions_and_sides():
    regions = {
        "frontal": "Fp1 AF3 AFz F7 F8 Fz AFp1 AFF5h FFC1h",
        "central": "C3 Cz FC5 FCz FCC3h CCP2h",
        "temporal": "T3 T4 T5 T6 T7 T8 P7 P8 FT9 TP10 FFT7h TPP8h A1 M2",
        "parietal": "P3 Pz P4 CP5 CPz P9 PPO1",
        "occipital": "O1 Oz O2 PO7 POz POO9 Iz OI2",
    }
    for region, names in regions.items():
        assert {region_of(name) for name in names.split()} == {region}
    assert [side_of(name) for name in ("F3", "f8", "CZ", "AFF10h", "T9", "A2")] == [
        "left",
        "right",
        "midline",
        "right",
        "left",
        "right",
    ]


def test_mirrors_and_regions_are_symmetric():
    pairs = {"F3": "F4", "T6": "T5", "Cz": None, "AFF9h": "AFF10h", "TP10": "TP9", "A1": "A2"}
    assert {name: mirror_of(name) for name in pairs} == pairs
    flip = np.array([-1, 1, 1])
    for name in ELECTRODE_NAMES:
        other = mirror_of(name)
        if other:
            assert mirror_of(other) == name
            assert region_of(other) == region_of(name)
            place, mirrored = electrode_positions([name, other])
            assert np.linalg.norm(place * flip - mirrored) < 0.015
        assert region_of(name)


def test_real_montages(shared_data):
    eegmat = pick_eeg(read_recording(shared_data / "eegmat/Subject00_2.edf"))
    assert set(eegmat.ch_names) == set(CLINICAL)
    assert [s.name for s in eegmat.set_aside] == ["EEG A2-A1", "ECG ECG"]
    assert pick_eeg(read_recording(shared_data / "eegmmidb/S001R01.edf")).n_chans == 64
    sleep = pick_eeg(read_recording(shared_data / "sleep_samples/data_resting_EO_200Hz_raw.fif"))
    assert sleep.ch_names == ("F4", "Cz")
    assert "need at least 4" in sleep.warnings[0]


def test_import_needs_neither_mne_nor_torch():
    code = "import sys, corpus.preprocess; sys.exit(bool({'mne', 'torch', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
