"""What is no measurement is found, interpolated and listed; what is only large is left alone."""

import gzip
from itertools import pairwise

import numpy as np
import pytest
from scipy.io import loadmat

from corpus.preprocess import PreprocessPreset, damage, preprocess
from corpus.preprocess.damage import EXTREME, MISSING, STUCK
from corpus.preprocess.repair import inspect_signal
from corpus.recording import Defect, Recording, RecordingError, SignalReader

SFREQ = 200.0
NAMES = ("Fp1", "Fp2", "C3", "C4")


def eeg(seconds=120.0, sfreq=SFREQ, seed=0):
    rng = np.random.default_rng(seed)
    n = round(seconds * sfreq)
    spectrum = np.fft.rfft(rng.standard_normal((4, n))) / np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 0.5) ** 0.5
    signal = np.fft.irfft(spectrum, n)
    return signal * 20 / signal.std()


def look(signal, sfreq=SFREQ, cuts=()):
    edges = [0, *cuts, signal.shape[1]]
    return inspect_signal(signal, sfreq, list(pairwise(edges)))


def found(signal, channel=0, **options):
    return look(signal, **options).defects[channel]


def process(signal, **facts):
    return preprocess(Recording(signal, SFREQ, NAMES, **facts), PreprocessPreset(notch=None))


def test_nothing_is_done_to_an_eeg():
    signal = eeg() + np.array([[4000.0], [0.0], [-20.0], [1.0]])
    clean = look(signal)
    assert clean.defects == ((), (), (), ())
    read = clean.read(100, 500, slice(1, 3))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, signal[1:3, 100:500] - clean.offset_uv[0, 1:3, None], atol=1e-4)
    np.testing.assert_allclose(clean.offset_uv[0], [4000, 0, -20, 1], atol=5)


def test_drifts_mains_and_blinks_are_eeg_enough():
    time = np.arange(round(1200 * SFREQ)) / SFREQ
    signal = eeg(1200)
    signal[0] += 20_000 * np.sin(2 * np.pi * time / 2400)  # a DC amplifier
    signal[1] += 7000 * np.sin(2 * np.pi * 50 * time)
    signal[2] += 7000 * np.sin(2 * np.pi * 60 * time)
    signal[3, 5000:5080] += 1500 * np.hanning(80)
    clean = look(signal)
    assert clean.defects == ((), (), (), ())
    assert clean.read(0, 10, slice(0, 1)).dtype == np.float64  # 20 mV do not fit float32
    assert clean.read(0, 10, slice(3, 4)).dtype == np.float32


def test_an_artifact_of_45_mv_does_not_ring(monkeypatch):
    signal = eeg()
    whole = process(signal).signal_uv
    hit = signal.copy()
    hit[1, 10_000:10_300] += 45_000 * np.hanning(300)
    done = process(hit)
    (defect,) = done.defects
    assert (defect.ch_name, defect.why) == ("Fp2", EXTREME)
    assert 49.9 <= defect.start_s < 50.2
    assert 51.3 < defect.start_s + defect.duration_s <= 51.6
    assert done.warnings[-1].startswith("amplitudes that no brain makes (over 3 mV, or stuck) were interpolated: 1.")
    assert done.warnings[-1].endswith("s in 1 of 4 channels")
    assert done.provenance.steps[0] == "extreme amplitudes and stuck values interpolated linearly"
    away = np.r_[0:9900, 10_400:24_000]
    np.testing.assert_allclose(done.signal_uv[[0, 2, 3]], whole[[0, 2, 3]], rtol=0, atol=1e-4)  # two share a transform
    assert np.abs(done.signal_uv[1] - whole[1])[away].max() < 60
    np.testing.assert_array_equal(hit[1, 10_100], signal[1, 10_100] + 45_000 * np.hanning(300)[100])  # untouched input
    monkeypatch.setattr(damage, "EXTREME_UV", 1e6)
    assert np.abs(process(hit).signal_uv[1] - whole[1])[away].max() > 500


def test_dropouts_and_saturation():
    signal = eeg() + 4000.0
    signal[0, 3000:3400] = 0.0
    signal[1, 5000:5100] = 8333.0
    signal[2, 7000:7100] = 2600.0  # within 3 mV, but stuck
    signal[3, 7000:7010] = 2600.0  # 50 ms: too short to tell
    for channel, (start, stop, why) in enumerate([(3000, 3400, EXTREME), (5000, 5100, EXTREME), (7000, 7100, STUCK)]):
        ((a, b, found_why),) = found(signal, channel)
        assert found_why == why
        assert start - 20 <= a <= start
        assert stop <= b <= stop + 20
    assert found(signal, 3) == ()


@pytest.mark.parametrize("start", range(7000, 7011))
def test_the_shortest_run_that_is_stuck(start):
    """20 equal samples wherever they begin; 19 are too few to tell."""
    for length, kinds in ((20, {STUCK}), (19, set())):
        signal = eeg(30)
        signal[2, start - 6000 : start - 6000 + length] = 1200.0
        assert {why for _, _, why in found(signal, 2)} == kinds


def test_medians_of_blocks():
    """Of 64 samples of a block, and of all that are there where one is missing."""
    rng = np.random.default_rng(0)
    signal = rng.normal(0, 20, (3, 1150)) + np.array([[0.0], [100.0], [-5.0]])
    signal[1, 700] = np.nan
    signal[2, :500] = np.nan
    median, spread, low, high = damage._measure(signal, [(0, 500), (500, 1150)])
    some = (np.arange(64) * 0.6180339887 % 1 * 500).astype(int)
    assert median[0, 0] == pytest.approx(np.median(signal[0, some]))
    assert spread[0, 0] == pytest.approx(np.sort(np.abs(signal[0, some] - median[0, 0]))[48])
    assert (low[0, 1], high[0, 1]) == (signal[0, 500:].min(), signal[0, 500:].max())
    rest = np.delete(signal[1, 500:], 200)
    assert median[1, 1] == pytest.approx(np.median(rest))
    assert spread[1, 1] == pytest.approx(np.sort(np.abs(rest - median[1, 1]))[3 * 649 // 4])
    assert np.isnan([low[1, 1], high[1, 1], low[2, 0], high[2, 0], median[2, 0], spread[2, 0]]).all()


def test_a_single_sample_of_45_mv():
    signal = eeg()
    signal[0, 4321] = 45_000
    ((start, stop, why),) = found(signal)
    assert why == EXTREME
    assert 4321 - 25 <= start <= 4321 < stop <= 4321 + 25
    assert np.abs(look(signal).read(4200, 4500, slice(0, 1))).max() < 150


def test_runs_across_blocks_are_one():
    signal = eeg()
    signal[0, 1990:2010] = np.nan  # blocks begin every 2000 samples
    signal[0, 3900:6100] = np.nan
    signal[1, 3990:4150] = 9000.0
    assert found(signal) == ((1990, 2010, MISSING), (3900, 6100, MISSING))
    ((start, stop, why),) = found(signal, 1)
    assert (why, start <= 3990, stop >= 4150, stop - start < 200) == (EXTREME, True, True, True)


def test_interpolation_is_a_line_wherever_it_is_read():
    signal = eeg()
    signal[0, 3900:6100] = np.nan
    clean = look(signal)
    left, right = signal[0, 3899] - clean.offset_uv[0, 0], signal[0, 6100] - clean.offset_uv[0, 0]
    line = np.interp(np.arange(3800, 6200), [3899, 6100], [left, right])
    whole = clean.read(3800, 6200, slice(0, 1))[0]
    np.testing.assert_allclose(whole[100:-100], line[100:-100], atol=1e-4)
    for start, stop in ((3900, 6100), (4000, 4010), (6099, 6101), (3899, 3901)):
        np.testing.assert_allclose(
            clean.read(start, stop, slice(0, 1))[0], whole[start - 3800 : stop - 3800], atol=1e-4
        )


def test_ends_and_breaks_hold_the_next_value():
    signal = eeg(60)
    signal[0, :50] = np.nan
    signal[0, 4990:5020] = np.nan  # over a break at 5000
    signal[1, 5000:7000] = np.nan  # a whole stretch
    signal[:, 5000:] += 300
    clean = look(signal, cuts=(5000, 7000))
    assert clean.defects[0] == ((0, 50, MISSING), (4990, 5000, MISSING), (5000, 5020, MISSING))
    assert clean.defects[1] == ((5000, 7000, MISSING),)
    x = clean.read(0, 12_000, slice(0, 2))
    np.testing.assert_allclose(x[0, :50], x[0, 50])
    np.testing.assert_allclose(x[0, 4990:5000], x[0, 4989])
    np.testing.assert_allclose(x[0, 5000:5020], x[0, 5020])
    np.testing.assert_array_equal(x[1, 5000:7000], 0)
    assert np.abs(x).max() < 150  # each stretch lost its own offset


def test_more_than_half_damaged_is_set_aside():
    signal = eeg()
    signal[2, 4000:17_000] = 30_000 * np.sign(np.sin(np.arange(13_000)))
    done = process(signal)
    assert done.ch_names == ("Fp1", "Fp2", "C4")
    assert [(s.name, s.why) for s in done.set_aside] == [("C3", "54% of its samples are missing or extreme")]
    assert done.defects == ()
    signal[:, 4000:17_000] = 30_000 * np.sign(np.sin(np.arange(13_000)))
    with pytest.raises(RecordingError, match="every channel with more than 50% of its samples missing or extreme"):
        process(signal)


def test_defects_of_earlier_steps_stay():
    earlier = Defect("Fp1", 1.0, 2.0, "as told")
    signal = eeg()
    signal[1, 2000:2010] = np.nan
    assert process(signal, defects=(earlier,)).defects == (earlier, Defect("Fp2", 10.0, 0.05, MISSING))


def test_a_reader_is_as_good_as_an_array(monkeypatch):
    monkeypatch.setattr(damage, "PIECE_VALUES", 4 * 6000)
    signal = eeg()
    signal[0, 3000:3400] = 9000
    signal[1, 100] = np.inf
    asked = []

    def read(start, stop):
        asked.append(stop - start)
        return signal[:, start:stop]

    reader = SignalReader(read, signal.shape)
    one, other = look(signal), look(reader)
    assert one.defects == other.defects
    for rows in (slice(0, 4), slice(1, 3), np.array([0, 3])):
        np.testing.assert_array_equal(one.read(2990, 3600, rows), other.read(2990, 3600, rows))
    assert max(asked) == 6000


def test_real_artifacts(shared_data):
    def segment(name):
        return loadmat(shared_data / f"iiic_sparcnet/{name}.mat")["seg"][:19].astype(float)

    mains = look(segment("Other_sample1"))  # 60 Hz of 7 mV on some electrodes, all the time
    assert not any(mains.defects)
    for name, channels, seconds in (("GRDA_sample3", 2, 3), ("SZ_sample2", 1, 1)):
        runs = [run for channel in look(segment(name)).defects for run in channel]
        assert len(runs) == channels
        assert {why for _, _, why in runs} == {EXTREME}
        assert sum(b - a for a, b, _ in runs) / 200 == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("number", [8, 12, 18])
def test_real_dropouts_and_saturation(shared_data, number):
    """Emotiv: an offset near 4000, dropouts towards 0 and saturation near 8333."""
    with gzip.open(shared_data / f"guinea_bissau/signal-{number}.csv.gz", "rt") as stream:
        names = stream.readline().replace('"', "").strip().split(",")
        columns = [i for i, n in enumerate(names) if n and n != "COUNTER" and not n.startswith(("GYRO", "CQ"))][:14]
        signal = np.loadtxt(stream, delimiter=",", usecols=columns, converters=lambda text: float(text.strip('"'))).T
    wild = np.abs(signal - np.median(signal, axis=1, keepdims=True)) > 3500
    assert wild.sum() > 20
    lost = np.zeros(signal.shape, bool)
    for channel, runs in enumerate(look(signal, 128.0).defects):
        for a, b, why in runs:
            assert why == EXTREME
            lost[channel, a:b] = True
    assert not wild[~lost].any()
    assert lost.mean() < 0.04
