"""The same numbers as MNE's own calls, nothing smeared over breaks, and every change on record."""

import time
from dataclasses import replace

import mne
import numpy as np
import pytest

from corpus.montage import pick_eeg
from corpus.preprocess import (
    CEREBRAGLOSS,
    NEURONARRATOR,
    PRESETS,
    PreprocessPreset,
    detect_mains,
    load_recording,
    preprocess,
    preprocess_stream,
)
from corpus.preprocess.filtering import WHOLE_TIMES
from corpus.recording import Annotation, Defect, Recording, RecordingError, SignalReader, read_recording

NAMES = ("Fp1", "Fp2", "C3", "C4")


def rest(seconds=60.0, sfreq=200.0, n_chans=4, mains=None, amplitude=10.0, seed=0):
    """Pink-like noise of about 20 uV, with mains if asked."""
    rng = np.random.default_rng(seed)
    n = round(seconds * sfreq)
    spectrum = np.fft.rfft(rng.standard_normal((n_chans, n))) / np.maximum(np.arange(n // 2 + 1), 5) ** 0.5
    signal = np.fft.irfft(spectrum, n)
    signal *= 20 / signal.std()
    if mains:
        signal += amplitude * np.sin(2 * np.pi * mains * np.arange(n) / sfreq)
    return signal


def recording_of(signal, sfreq=200.0, **facts):
    return Recording(signal, sfreq, NAMES[: len(signal)], **facts)


def power_at(signal, frequency, sfreq=200.0):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(signal.shape[1]), axis=1)) ** 2
    return spectrum[:, round(frequency * signal.shape[1] / sfreq)].mean()


def by_mne(recording, notch, l_freq=0.1, h_freq=75.0):
    """The three calls of MNE on the whole recording, (C, T) microvolts."""
    raw = mne.io.RawArray(
        recording.signal_uv * 1e-6, mne.create_info(list(recording.ch_names), recording.sfreq, "eeg"), verbose="ERROR"
    )
    h_freq = h_freq if h_freq < recording.sfreq / 2 else None
    raw.filter(l_freq, h_freq, verbose="ERROR").notch_filter(notch, verbose="ERROR").resample(200.0, verbose="ERROR")
    return raw.get_data() * 1e6


@pytest.mark.parametrize("file", ["eegmat/Subject00_2.edf", "eegmmidb/S004R02.edf", "eeglab_sample/eeglab_data.set"])
@pytest.mark.parametrize("notch", [50, 60])
def test_parity_with_mne(shared_data, file, notch):
    """Short recordings, three rates: to 1e-6 of the signal, ends included."""
    picked = pick_eeg(read_recording(shared_data / file))
    ours = preprocess(picked, PreprocessPreset(notch=notch)).signal_uv
    theirs = by_mne(picked, notch)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()
    assert np.linalg.norm(ours - theirs) <= 1e-6 * np.linalg.norm(theirs)


@pytest.mark.parametrize("preset", [NEURONARRATOR, CEREBRAGLOSS])
def test_parity_with_mne_in_blocks(shared_data, preset):
    """Longer ones: to a thousandth of a microvolt, ends included."""
    rest = pick_eeg(read_recording(shared_data / "eegmat/Subject00_1.edf"))
    rest = replace(rest, signal_uv=rest.signal_uv[::4], ch_names=rest.ch_names[::4])
    runs = [pick_eeg(read_recording(shared_data / f"eegmmidb/S001R{run:02}.edf")) for run in (3, 4, 5)]
    joined = np.concatenate([run.signal_uv for run in runs], axis=1)
    motor = replace(runs[0], signal_uv=joined[::8], ch_names=runs[0].ch_names[::8])
    for recording in (rest, motor):
        assert recording.signal_uv.shape[1] > WHOLE_TIMES
        ours = preprocess(recording, replace(preset, notch=60.0, reference=None)).signal_uv
        theirs = by_mne(recording, 60.0, preset.l_freq, preset.h_freq)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-3


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 250.0])
@pytest.mark.parametrize("reference", [None, "average", ("C3",)])
def test_a_stream_is_the_whole(sfreq, reference):
    signal = rest(400, sfreq)
    signal[0, 3000:3100] = np.nan
    signal[3, 7000:7050] += 9000
    preset = PreprocessPreset(notch=50, reference=reference)
    facts = {"breaks_s": (40.0, 45.0, 380.0), "annotations": (Annotation(3.0, 1.0, "hv"),)}
    whole = preprocess(recording_of(signal, sfreq, **facts), preset)
    for source in (signal, SignalReader(lambda start, stop: signal[:, start:stop], signal.shape)):
        stream = preprocess_stream(Recording(source, sfreq, NAMES, **facts), preset)
        chunks = list(stream.chunks)
        assert len(chunks) >= 4
        assert stream.n_times == sum(chunk.shape[1] for chunk in chunks) == whole.signal_uv.shape[1]
        np.testing.assert_allclose(np.concatenate(chunks, axis=1), whole.signal_uv, rtol=0, atol=1e-3)
        for name in ("ch_names", "breaks_s", "defects", "set_aside", "warnings", "annotations", "provenance", "sfreq"):
            assert getattr(stream.head, name) == getattr(whole, name)
    assert stream.head.signal_uv.shape == (whole.n_chans, 0)


def test_a_memory_map_of_integers(tmp_path):
    signal = (rest(60, 250.0) * 10).astype(np.int16)
    stored = np.memmap(tmp_path / "signal", np.int16, "w+", shape=signal.shape)
    stored[:] = signal
    done = preprocess(recording_of(stored, 250.0), PreprocessPreset(notch=50))
    whole = preprocess(recording_of(signal.astype(float), 250.0), PreprocessPreset(notch=50))
    np.testing.assert_array_equal(done.signal_uv, whole.signal_uv)


def test_presets():
    assert PRESETS == {"neuronarrator": NEURONARRATOR, "cerebragloss": CEREBRAGLOSS}
    assert (CEREBRAGLOSS.l_freq, CEREBRAGLOSS.h_freq, CEREBRAGLOSS.sfreq) == (1.6, 70.0, 200.0)
    told = preprocess(recording_of(rest()), CEREBRAGLOSS).warnings
    assert told[0] == "the high-pass at 1.6 Hz removes delta (0.5-4 Hz) below it"
    assert preprocess(recording_of(rest())).warnings == ()


def test_steps_are_recorded():
    done = preprocess(recording_of(rest(sfreq=250, mains=50), 250.0))
    assert done.provenance.steps == (
        "band-pass 0.1-75 Hz (zero-phase FIR)",
        "notch 50 Hz",
        "resampled from 250 to 200 Hz",
    )
    assert (done.sfreq, done.duration_s, done.signal_uv.dtype) == (200.0, 60.0, np.float32)
    done = preprocess(recording_of(rest()), PreprocessPreset(notch=None, reference="average"))
    assert done.provenance.steps == ("band-pass 0.1-75 Hz (zero-phase FIR)", "no notch", "average reference")
    assert PreprocessPreset(0.1, 75.0, 200.0, "auto", None) == NEURONARRATOR


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 250.0, 512.0])
@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_mains_are_found_and_removed(sfreq, mains):
    signal = rest(30, sfreq, mains=mains)
    assert detect_mains(signal, sfreq) == mains
    done = preprocess(recording_of(signal, sfreq))
    assert f"notch {mains:g} Hz" in done.provenance.steps
    clean = preprocess(recording_of(rest(30, sfreq), sfreq))
    assert power_at(done.signal_uv[:, 1000:-1000], mains) < 3 * power_at(clean.signal_uv[:, 1000:-1000], mains - 3)


def test_no_mains_no_notch():
    for seed in range(20):
        assert detect_mains(rest(seed=seed), 200.0) is None
    ten_seconds = [detect_mains(rest(10, seed=seed), 200.0) for seed in range(100)]
    assert ten_seconds.count(None) >= 98
    assert detect_mains(rest(mains=50), 100.0) is None  # beyond Nyquist
    one_bad = rest()
    one_bad[0] += 50 * np.sin(2 * np.pi * 50 * np.arange(12000) / 200)
    assert detect_mains(np.vstack([one_bad, rest(seed=1), rest(seed=2)]), 200.0) is None


def test_mains_of_real_recordings(shared_data):
    expected = {
        "eegmat/Subject00_2.edf": None,  # notched at 50 Hz when recorded
        "eegmmidb/S001R03.edf": 60.0,
        "eegmmidb/S059R02.edf": 60.0,
        "eegmmidb/S002R01.edf": None,
        "eeglab_sample/eeglab_data.set": 60.0,
    }
    for file, mains in expected.items():
        picked = pick_eeg(read_recording(shared_data / file))
        assert detect_mains(picked.signal_uv, picked.sfreq) == mains


def test_slow_recordings_say_what_was_measured():
    done = preprocess(recording_of(rest(sfreq=128), 128.0))
    assert done.warnings == ("high-gamma (50-75 Hz) was measured up to 64 Hz only",)
    assert done.provenance.steps[0] == "high-pass 0.1 Hz (zero-phase FIR)"
    done = preprocess(recording_of(rest(sfreq=100), 100.0), PreprocessPreset(notch=60))
    assert done.warnings == (
        "high-gamma (50-75 Hz) was not measured: the recording ends at 50 Hz",
        "mains at 60 Hz was not removed: the recording holds frequencies below 50 Hz only",
    )
    assert preprocess(recording_of(rest(sfreq=150.5), 150.5)).warnings == ()


def test_missing_samples_become_defects():
    signal = rest()
    whole = preprocess(recording_of(signal.copy()), PreprocessPreset(notch=None))
    signal[0, 2000:2020] = np.nan
    signal[1, :10] = np.inf
    signal[1, -5:] = np.nan
    signal[2, :6001] = np.nan
    holed = signal.copy()
    done = preprocess(recording_of(signal), PreprocessPreset(notch=None))
    np.testing.assert_array_equal(signal, holed)  # the input is not written to
    assert np.isfinite(done.signal_uv).all()
    assert done.ch_names == ("Fp1", "Fp2", "C4")
    assert done.set_aside[0].name == "C3"
    assert done.set_aside[0].why == "50% of its samples are missing"
    assert done.warnings == (
        "left out: C3 (50% of its samples are missing)",
        "3 electrodes only: statements about where on the scalp need at least 4",
    )
    assert done.defects == (
        Defect("Fp1", 10.0, 0.1, "missing samples"),
        Defect("Fp2", 0.0, 0.05, "missing samples"),
        Defect("Fp2", 59.975, 0.025, "missing samples"),
    )
    np.testing.assert_allclose(done.signal_uv[0, 3000:], whole.signal_uv[0, 3000:], atol=1.0)
    signal[:] = np.nan
    with pytest.raises(RecordingError, match="every channel with more than 50%"):
        preprocess(recording_of(signal))


def test_nothing_is_smeared_over_a_break():
    signal = rest(40)
    jump = signal.copy()
    jump[:, 4000:] += 5000
    preset = PreprocessPreset(notch=50)
    done = preprocess(recording_of(jump, breaks_s=(20.0,)), preset)
    for start, stop in ((0, 4000), (4000, 8000)):
        alone = preprocess(recording_of(jump[:, start:stop]), preset)
        np.testing.assert_array_equal(done.signal_uv[:, start:stop], alone.signal_uv)
    assert done.breaks_s == (20.0,)
    smeared = preprocess(recording_of(jump), preset)
    assert np.abs(smeared.signal_uv).max() > 10 * np.abs(done.signal_uv).max()


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 512.0])
def test_stretches_of_any_length_do_not_crash(sfreq):
    signal = rest(12, sfreq, 2)
    cuts = np.cumsum([1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377])
    breaks_s = tuple(float(cut / sfreq) for cut in cuts)
    done = preprocess(recording_of(signal, sfreq, breaks_s=breaks_s), PreprocessPreset(notch=50))
    assert np.isfinite(done.signal_uv).all()
    assert done.duration_s == pytest.approx(12, abs=0.5 / 200 * (len(cuts) + 1) + 0.01)
    assert list(done.breaks_s) == sorted(set(done.breaks_s))
    assert np.abs(np.array(done.breaks_s[-1]) - breaks_s[-1]) < 0.05
    edges = preprocess(recording_of(signal, sfreq, breaks_s=(0.0, 12.0)))
    assert edges.breaks_s == ()


def test_average_reference():
    done = preprocess(recording_of(rest()), PreprocessPreset(reference="average"))
    np.testing.assert_allclose(done.signal_uv.mean(axis=0), 0, atol=1e-4)
    with pytest.raises(RecordingError, match="got 1 channel, expected at least 2 for an average reference"):
        preprocess(recording_of(rest(n_chans=1)), PreprocessPreset(reference="average"))


def test_one_channel_and_facts_that_stay():
    facts = {"annotations": (Annotation(3.0, 1.0, "hv"),), "warnings": ("as told",)}
    done = preprocess(recording_of(rest(n_chans=1), **facts))
    assert done.signal_uv.shape == (1, 12000)
    assert (done.annotations, done.warnings) == (facts["annotations"], facts["warnings"])


def test_loading_is_quiet_and_complete(shared_data, capfd, recwarn):
    done = load_recording(shared_data / "eegmat/Subject00_2.edf")
    assert done.n_chans == 19
    assert done.duration_s == pytest.approx(62)
    assert done.provenance.sfreq == 500
    assert len(done.provenance.steps) == 4
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_twenty_minutes_in_seconds():
    signal = rest(1200, 250, 19)
    recording = Recording(signal, 250.0, tuple(str(i) for i in range(19)))
    start = time.perf_counter()
    preprocess(recording)
    assert time.perf_counter() - start < 10
