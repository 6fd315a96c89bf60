from itertools import combinations

import numpy as np
import pytest
from scipy.signal import welch

from corpus.features import BANDS, CHUNK, band_powers, energy_tiers, extract_features, trend_word
from corpus.recording import Recording
from corpus.segment import Segment, segment_recording
from corpus.spectra import spectrum

NAMES = ("Fp1", "Fp2", "C3", "C4", "O1", "O2")


def make_segment(signal_uv: np.ndarray, index: int = 0, history: tuple[int, ...] = ()) -> Segment:
    return Segment(index, 10.0 * index, 10.0, signal_uv, 200.0, NAMES, history)


def sine(hz: float, amplitude_uv: float) -> np.ndarray:
    return amplitude_uv * np.sin(2 * np.pi * hz * np.arange(2000) / 200)


@pytest.mark.parametrize(("band", "hz"), [("delta", 2), ("theta", 6), ("alpha", 10), ("beta", 20), ("gamma", 40)])
def test_power_of_a_sine_is_half_its_squared_amplitude_in_its_band(band: str, hz: float) -> None:
    freqs, density = spectrum(sine(hz, 30.0), 200.0)
    power = dict(zip(BANDS, band_powers(freqs, density), strict=True))
    assert power[band] == pytest.approx(450.0, rel=0.02)
    assert sum(power.values()) - power[band] < 5.0


def test_band_power_is_the_welch_integral() -> None:
    signal = np.random.default_rng(0).normal(0, 10, 2000)
    freqs, density = welch(signal, 200.0, nperseg=400)
    inside = (freqs >= 8) & (freqs < 12)
    assert band_powers(*spectrum(signal, 200.0))[2] == pytest.approx(density[inside].sum() * 0.5)


def brute_force_tiers(power: np.ndarray) -> float:
    ranked = np.sort(power)
    cost = [
        sum(((part - part.mean()) ** 2).sum() for part in np.split(ranked, cut))
        for cut in combinations(range(1, len(power)), 2)
    ]
    return min(cost)


def test_tiers_are_the_exact_optimum() -> None:
    rng = np.random.default_rng(1)
    for count in (3, 4, 9, 19):
        power = np.exp(rng.normal(3, 1, count))
        tiers = energy_tiers(power)
        cost = sum(((power[tiers == t] - power[tiers == t].mean()) ** 2).sum() for t in range(3))
        assert cost == pytest.approx(brute_force_tiers(power))
        assert power[tiers == 0].min() > power[tiers == 1].max() > power[tiers == 2].max()


def test_tiers_in_a_batch_equal_tiers_one_by_one() -> None:
    power = np.exp(np.random.default_rng(2).normal(3, 1, (5, 19)))
    np.testing.assert_array_equal(energy_tiers(power), [energy_tiers(row) for row in power])


def test_tiers_of_one_and_two_channels() -> None:
    assert energy_tiers(np.array([3.0])).tolist() == [0]
    assert energy_tiers(np.array([3.0, 5.0])).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("ratio", "word"),
    [
        (1.0, "stable"),
        (1.25, "stable"),
        (0.81, "stable"),
        (1.26, "moderate increase"),
        (0.79, "moderate decrease"),
        (2.0, "marked increase"),
        (0.5, "marked decrease"),
    ],
)
def test_trend_words(ratio: float, word: str) -> None:
    assert trend_word(ratio) == word


def test_trend_compares_with_the_mean_of_the_history() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(0, 10, (6, 2000))
    loud = base + sine(10, 40.0)
    segments = [make_segment(base), make_segment(base, 1, (0,)), make_segment(loud, 2, (0, 1))]
    first, second, third = extract_features(segments)
    assert first.trend is None
    assert set(second.trend.values()) == {"stable"}
    assert third.trend["alpha"] == "marked increase"
    assert third.trend["gamma"] == "stable"
    assert third.dominant_band == "alpha"
    assert third.dominant_hz == 10.0


def test_asymmetry_top_channel_and_region() -> None:
    signal = np.random.default_rng(4).normal(0, 10, (6, 2000))
    signal[1::2] *= 2.0  # right: power four times
    signal[5] *= 1.5
    features = extract_features([make_segment(signal)])[0]
    assert features.asymmetry == "right"
    assert features.asymmetry_index == pytest.approx(np.log(4) + np.log(2.25) / 3, abs=0.1)
    assert features.top_channel == "O2"
    assert features.dominant_region == "occipital"


def test_amplitude_is_half_peak_to_peak() -> None:
    features = extract_features([make_segment(np.tile(sine(10, 30.0), (6, 1)))])[0]
    assert features.amplitude_uv == pytest.approx(30.0, rel=1e-3)
    assert features.amplitude == "medium"


def test_many_segments_are_measured_as_one_by_one() -> None:
    rng = np.random.default_rng(7)
    segments = [
        make_segment(rng.normal(0, 10, (6, 2000)), i, tuple(range(max(i - 2, 0), i))) for i in range(2 * CHUNK + 3)
    ]
    together = extract_features(segments)
    for i in (0, CHUNK - 1, CHUNK, 2 * CHUNK + 2):
        alone = extract_features([make_segment(segments[i].signal_uv)])[0]
        np.testing.assert_array_equal(together[i].channel_band_power_uv2, alone.channel_band_power_uv2)
        np.testing.assert_array_equal(together[i].tiers, alone.tiers)
        assert (together[i].dominant_hz, together[i].amplitude_uv) == (alone.dominant_hz, alone.amplitude_uv)
    before = [together[i].band_power_uv2 for i in (CHUNK - 2, CHUNK - 1)]
    np.testing.assert_allclose(together[CHUNK].history_band_power_uv2, np.mean(before, axis=0))


def test_there_is_no_trend_across_a_break() -> None:
    signal = np.random.default_rng(8).normal(0, 10, (6, 12000))
    segments = segment_recording(Recording(signal, 200.0, NAMES, breaks_s=(23.0,)))
    assert [segment.start_s for segment in segments] == [0.0, 10.0, 23.0, 33.0, 43.0]
    features = extract_features(segments)
    assert [f.trend is None for f in features] == [True, False, True, False, False]
    np.testing.assert_allclose(features[3].history_band_power_uv2, features[2].band_power_uv2)
