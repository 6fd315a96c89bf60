"""Fused and in blocks, and still MNE's numbers: designs, rates, lengths, ends."""

import mne
import numpy as np
import pytest

from corpus.preprocess import filtering, overlap
from corpus.preprocess.filtering import filter_stretch
from corpus.preprocess.fir import LinearSteps, bandpass_taps, notch_taps
from corpus.preprocess.resampling import Ringing, pack, padding_of, refit, time_grid, unpack

RATES = [100.0, 128.0, 150.5, 160.0, 173.61, 200.0, 250.0, 256.0, 399.7, 500.0, 512.0, 1000.0]


def eeg(seconds, sfreq, n_chans=2, drift=200.0, seed=0):
    """Pink-like noise of 20 uV up to Nyquist, with a drift, 50 Hz, and an end unlike its start."""
    rng = np.random.default_rng(seed)
    n = max(round(seconds * sfreq), 1)
    spectrum = np.fft.rfft(rng.standard_normal((n_chans, n))) / np.maximum(np.fft.rfftfreq(n, 1 / sfreq), 0.5) ** 0.5
    signal = np.fft.irfft(spectrum, n)
    time = np.arange(n) / sfreq
    signal *= 20 / max(signal.std(), 1e-9)
    return signal + 5 * np.sin(2 * np.pi * 50 * time) + drift * np.sin(2 * np.pi * time / 70 + 1)


def by_mne(signal, steps):
    with mne.utils.use_log_level("ERROR"):
        x = mne.filter.filter_data(np.array(signal, dtype=float), steps.sfreq, steps.l_freq, steps.h_freq)
        if steps.notch:
            x = mne.filter.notch_filter(x, steps.sfreq, steps.notch)
        if steps.sfreq != steps.new_sfreq:
            x = mne.filter.resample(x, up=steps.new_sfreq, down=steps.sfreq, npad="auto")
    return x


def by_us(signal, steps, dtype=np.float64, stream=False):
    def read(start, stop, rows):
        assert 0 <= start < stop <= signal.shape[1]
        return signal[rows, start:stop].astype(dtype)

    chunks = list(filter_stretch(read, signal.shape, steps, stream))
    assert all(chunk.dtype == np.float32 for chunk in chunks)
    return np.concatenate(chunks, axis=1)


def steps_for(sfreq, notch=50.0, l_freq=0.1, h_freq=75.0):
    return LinearSteps(
        sfreq, 200.0, l_freq, h_freq if h_freq < sfreq / 2 else None, notch if notch < sfreq / 2 else None
    )


@pytest.mark.parametrize("sfreq", RATES)
@pytest.mark.parametrize(("l_freq", "h_freq"), [(0.1, 75.0), (1.6, 70.0), (0.5, 40.0), (4.0, None)])
def test_designs_are_those_of_mne(sfreq, l_freq, h_freq):
    h_freq = h_freq if h_freq and h_freq < sfreq / 2 else None
    np.testing.assert_allclose(
        bandpass_taps(sfreq, l_freq, h_freq),
        mne.filter.create_filter(None, sfreq, l_freq, h_freq, verbose="ERROR"),
        atol=1e-12,
    )


@pytest.mark.parametrize("freq", [50.0, 60.0])
def test_notch_is_that_of_mne(freq):
    impulse = np.zeros(20001)
    impulse[10000] = 1
    for sfreq in (160.0, 173.61, 250.0, 500.0):
        taps = notch_taps(sfreq, freq)
        theirs = mne.filter.notch_filter(impulse, sfreq, freq, verbose="ERROR")
        half = len(taps) // 2
        np.testing.assert_allclose(theirs[10000 - half : 10001 + half], taps, atol=1e-12)
        np.testing.assert_allclose(theirs[: 10000 - half], 0, atol=1e-12)


@pytest.mark.parametrize("n_chans", [1, 2, 3, 5, 6, 8, 13])
def test_channels_are_packed_in_pairs(n_chans):
    signal = np.random.default_rng(0).standard_normal((n_chans, 50)).astype(np.float32)
    packed = pack(signal, 3, 2)
    assert packed.dtype == np.complex64
    assert packed.shape[1] == 55
    assert len(packed) % 4 != 3
    back = np.empty((n_chans, 50), np.float32)
    unpack(packed[:, 3:-2], back)
    np.testing.assert_array_equal(back, signal)
    assert not packed[(n_chans + 1) // 2 :, 3:-2].any()


@pytest.mark.parametrize("n_old", [1, 2, 7, 8])
@pytest.mark.parametrize("n_new", [1, 2, 5, 6, 9, 12])
def test_spectra_of_another_length(n_old, n_new):
    """As scipy cuts and extends those of real signals, twice the Nyquist bin for the shorter, half for the longer."""
    signal = np.random.default_rng(0).standard_normal((2, n_old))
    half = np.fft.rfft(signal)
    if min(n_old, n_new) % 2 == 0:
        half[:, min(n_old, n_new) // 2] *= 2 if n_new < n_old else 0.5
    expected = np.fft.irfft(half[:, : n_new // 2 + 1], n_new)
    found = np.fft.ifft(refit(np.fft.fft(signal[:1] + 1j * signal[1:]), n_new))
    np.testing.assert_allclose(np.concatenate([found.real, found.imag]), expected, atol=1e-12)


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 250.0])
def test_a_channel_does_not_depend_on_its_neighbours(sfreq):
    """Two share a transform, and its rounding: less than a thousandth of a microvolt, beside one of 1.6 mV as well."""
    signal, steps = eeg(300, sfreq, 11), steps_for(sfreq)
    signal[4] *= 8
    together = by_us(signal, steps, np.float32)
    for channel in (0, 4, 8, 10):  # the first and the fifth are a pair
        alone = by_us(signal[channel : channel + 1], steps, np.float32)[0]
        assert np.abs(together[channel] - alone).max() < 1e-3


def test_lengths_of_the_defaults():
    assert len(bandpass_taps(500.0, 0.1, 75.0)) == 16501  # 33 s
    assert len(bandpass_taps(500.0, 1.6, 70.0)) == 1033  # 2.06 s
    assert len(notch_taps(500.0, 50.0)) == 3301  # 6.6 s


@pytest.mark.parametrize("sfreq", RATES)
def test_short_recordings_to_rounding_ends_included(sfreq):
    signal, steps = eeg(31, sfreq), steps_for(sfreq)
    theirs = by_mne(signal, steps)
    ours = by_us(signal, steps)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()
    assert np.abs(by_us(signal, steps, np.float32) - theirs).max() < 1e-3


@pytest.mark.parametrize("sfreq", [128.0, 200.0, 250.0, 500.0])
@pytest.mark.parametrize("n_times", [1, 2, 3, 17, 100, 999, 2112, 2113, 3300, 4126, 4127, 8251, 8252])
def test_shorter_than_the_filter(sfreq, n_times):
    signal, steps = eeg(n_times / sfreq, sfreq), steps_for(sfreq)
    theirs = by_mne(signal, steps)
    assert np.abs(by_us(signal, steps) - theirs).max() <= 1e-6 * max(np.abs(theirs).max(), 1)


@pytest.mark.parametrize("sfreq", [200.0, 210.0, 250.0, 256.0, 399.7, 500.0, 1000.0])
def test_in_blocks_to_a_thousandth_of_a_microvolt_ends_included(sfreq):
    seconds = 70000 / sfreq  # more than filtering.WHOLE_TIMES
    signal, steps = eeg(seconds, sfreq), steps_for(sfreq)
    theirs = by_mne(signal, steps)
    for dtype in (np.float32, np.float64):
        ours = by_us(signal, steps, dtype)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-3


def test_the_ringing_of_mne_is_reproduced(monkeypatch):
    """A jump where the padded signal closes on itself rings through all of it."""
    n_times = 65_300  # padded by 118 samples on either side
    signal, steps = eeg(n_times / 250, 250.0, drift=0), steps_for(250.0)
    signal += 500 * np.sin(2 * np.pi * 3 * np.arange(n_times) / 250 + 1)
    theirs = by_mne(signal, steps)
    assert np.abs(by_us(signal, steps) - theirs).max() < 1e-3
    monkeypatch.setattr(Ringing, "at", lambda self, time: None)
    assert np.abs(by_us(signal, steps) - theirs)[:, 4000:-4000].max() > 2e-3  # 20 s away from the ends


@pytest.mark.parametrize("sfreq", [200.0, 250.0, 500.0])
def test_size_of_blocks_does_not_matter(sfreq, monkeypatch):
    signal, steps = eeg(70000 / sfreq, sfreq), steps_for(sfreq)
    whole = by_us(signal, steps)
    for minimum, per_guard in ((1 << 12, 3), (1 << 18, 12)):
        monkeypatch.setattr(overlap, "_MIN_FFT", minimum)
        monkeypatch.setattr(overlap, "_FFT_PER_GUARD", per_guard)
        np.testing.assert_allclose(by_us(signal, steps), whole, rtol=0, atol=3e-4)


def test_ten_millivolts_need_double_precision():
    signal, steps = eeg(300, 250.0, drift=10_000.0), steps_for(250.0)
    assert np.abs(by_us(signal, steps) - by_mne(signal, steps)).max() < 1e-3


def test_two_millivolts_do_not():
    signal, steps = eeg(300, 250.0, drift=1900.0), steps_for(250.0)
    assert np.abs(by_us(signal, steps, np.float32) - by_mne(signal, steps)).max() < 1e-3


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 160.0])
def test_content_up_to_nyquist(sfreq, monkeypatch):
    """There the transform of the whole is needed; a stream that may not hold it states what it gives instead."""
    signal, steps = eeg(40000 / sfreq, sfreq), steps_for(sfreq, notch=np.inf)
    theirs = by_mne(signal, steps)
    assert np.abs(by_us(signal, steps) - theirs).max() < 1e-4
    assert np.abs(by_us(signal, steps, stream=True) - theirs).max() < 1e-4
    monkeypatch.setattr(filtering, "STREAM_VALUES", 1000)
    local = np.abs(by_us(signal, steps, stream=True) - theirs)
    assert 1e-4 < local[:, 4000:-4000].max() < 0.2  # noise up to Nyquist; of MNE's own jump, mostly


def test_a_long_stretch_is_read_in_bounded_pieces():
    for sfreq in (200.0, 250.0):
        steps, sizes, seconds = steps_for(sfreq), [], 3600
        noise = np.random.default_rng(0).standard_normal((1, 1 << 17))

        def read(start, stop, rows, sizes=sizes, noise=noise):
            sizes.append(stop - start)
            return noise[:, np.arange(start, stop) % noise.shape[1]]

        chunks = filter_stretch(read, (1, round(seconds * sfreq)), steps, stream=True)
        assert sum(chunk.shape[1] for chunk in chunks) == seconds * 200
        assert max(sizes) < 60_000  # a tenth of the recording, and no more for a longer one


def test_time_grid_of_mne():
    assert padding_of(31000) == (32768, 884)
    start, step = time_grid(31000, 0.4)  # 13107.2 rounds to 13107, 353.6 to 354
    assert step == 32768 / 13107
    assert start == pytest.approx(354 * 32768 / 13107 - 884)
    assert time_grid(9760, 1.25) == (0.0, 0.8)
