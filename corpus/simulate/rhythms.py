"""Ongoing activity: the 1/f background, posterior alpha, drowsy theta, deep-sleep delta and frontal beta."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d

from corpus.simulate.forward import Head
from corpus.simulate.preset import SimulationPreset

TRANSITION_S = 1.0  # one state fades into the next
KNEE_HZ = 0.7  # the background is flat below it
HIGHPASS_HZ = 0.1
SENSOR_UV = 0.5  # root mean square of each amplifier's own white noise
FRACTION_OF_ALPHA_WHEN_DROWSY = 0.35  # of the time; the rest is drop-out


@dataclass(frozen=True)
class State:
    """How a state differs: steeper background, alpha relative to eyes closed, others relative to the background."""

    steeper: float
    alpha: float
    theta: float
    delta: float
    beta: float


@dataclass(frozen=True)
class Rhythm:
    """A narrow-band rhythm: spectral peak (Gaussian, Hz) and the patches of cortex that carry it."""

    centre_hz: float
    spread_hz: float
    anchors: tuple[str, ...]
    width_rad: float
    coherence: float


# Sleep steepens the slope (Lendner et al. 2020, eLife 9:e55092); N3 delta exceeds 75 µV peak to peak (AASM manual).
STATE_TABLE = {
    "awake_eyes_closed": State(steeper=0.0, alpha=1.0, theta=0.5, delta=0.5, beta=0.6),
    "awake_eyes_open": State(steeper=0.0, alpha=0.15, theta=0.5, delta=0.6, beta=0.7),
    "drowsy": State(steeper=0.3, alpha=0.6, theta=3.0, delta=1.0, beta=0.8),
    "n2": State(steeper=0.7, alpha=0.05, theta=2.2, delta=3.5, beta=0.4),
    "n3": State(steeper=1.1, alpha=0.0, theta=1.5, delta=11.0, beta=0.2),
}
RHYTHMS = {
    "alpha": Rhythm(10.0, 0.5, ("O1", "O2"), 0.5, 0.6),
    "theta": Rhythm(5.5, 0.9, ("Fz", "Cz", "F3", "F4", "C3", "C4"), 0.4, 0.4),
    "delta": Rhythm(1.0, 0.55, ("Fp1", "Fp2", "F3", "Fz", "F4", "C3", "Cz", "C4", "P3", "P4"), 0.4, 0.5),
    "beta": Rhythm(20.0, 3.5, ("F3", "Fz", "F4", "C3", "C4"), 0.3, 0.1),
}


def background_exponent(age_years: float, state: str) -> float:
    """Slope of the power spectrum, 1 / f ** exponent: flatter with age (Voytek et al. 2015), steeper in sleep."""
    return float(np.interp(age_years, (5, 20, 75), (1.9, 1.6, 1.2))) + STATE_TABLE[state].steeper


def typical_alpha_hz(age_years: float) -> float:
    """Typical posterior rhythm: 8 Hz at 3 years, 9 at 9, 10 from adolescence, slower again in old age."""
    return float(np.interp(age_years, (1, 3, 9, 15, 60, 85), (6.0, 8.0, 9.0, 10.2, 9.8, 9.0)))


def typical_alpha_uv(age_years: float) -> float:
    """Typical amplitude (half peak-to-peak) of the posterior rhythm: largest in childhood, least in old age."""
    return float(np.interp(age_years, (2, 8, 14, 25, 60, 85), (28, 38, 33, 27, 22, 18)))


def typical_slow_waking(age_years: float) -> float:
    """Theta and delta while awake, relative to a young adult: several times as large in small children."""
    return float(np.interp(age_years, (2, 5, 10, 15, 22, 60, 85), (3.5, 2.8, 2.0, 1.4, 1.0, 1.0, 1.2)))


def ongoing_activity(head: Head, preset: SimulationPreset, rng: np.random.Generator) -> NDArray[np.float32]:
    """Background, rhythms and sensor noise without any event: (C, T), microvolts."""
    n_times = round(preset.duration_s * preset.sfreq)
    weights = state_weights(preset, n_times)
    signal = background(head, preset, weights, rng)
    for name, rhythm in RHYTHMS.items():
        gain = _rhythm_gain(name, preset, weights, rng)
        if not gain.any():
            continue
        centre = rhythm.centre_hz
        if name == "alpha":
            centre = preset.alpha_hz or typical_alpha_hz(preset.age_years) + rng.normal(0, 0.4)
        mixing = head.recorded(head.network(rhythm.anchors, rhythm.width_rad, rhythm.coherence)).astype(np.float32)
        series = narrow_band(rng, (len(rhythm.anchors), n_times), preset.sfreq, centre, rhythm.spread_hz)
        signal += mixing @ (series * gain)
    return signal + SENSOR_UV * rng.standard_normal(signal.shape, dtype=np.float32)


def state_intervals(preset: SimulationPreset, n_times: int) -> list[tuple[str, int, int]]:
    """(state, first sample, sample after the last) of each state in order."""
    edges = np.linspace(0, n_times, len(preset.states) + 1).round().astype(int)
    return list(zip(preset.states, edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def state_weights(preset: SimulationPreset, n_times: int) -> dict[str, NDArray[np.float32]]:
    """How present each state is at each sample (T,), 0 to 1; together they are 1. Transitions are smooth."""
    weights = {state: np.zeros(n_times, np.float32) for state in preset.states}
    for state, start, stop in state_intervals(preset, n_times):
        weights[state][start:stop] = 1
    size = max(round(TRANSITION_S * preset.sfreq / 2), 1)
    for _ in range(2):
        weights = {state: uniform_filter1d(weight, size, mode="nearest") for state, weight in weights.items()}
    return weights


def background(
    head: Head, preset: SimulationPreset, weights: dict[str, NDArray[np.float32]], rng: np.random.Generator
) -> NDArray[np.float32]:
    """The 1/f background of independent cortical dipoles: (C, T), microvolts."""
    n_chans, n_times = len(head.ch_names), len(next(iter(weights.values())))
    spectrum, hz = _white_spectrum(rng, (n_chans, n_times), preset.sfreq)
    series = np.zeros((n_chans, n_times), np.float32)
    for state, weight in weights.items():
        exponent = background_exponent(preset.age_years, state)
        power = hz**2 / (hz**2 + HIGHPASS_HZ**2) / (KNEE_HZ**exponent + hz**exponent)
        shaped = np.sqrt(power / power[(hz >= 1) & (hz <= 40)].sum())
        series += weight * _to_time(spectrum * shaped.astype(np.float32), n_times)
    return (preset.background_uv * head.background()).astype(np.float32) @ series


def _rhythm_gain(
    name: str, preset: SimulationPreset, weights: dict[str, NDArray[np.float32]], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Root mean square of a rhythm over time (T,), microvolts: by state, waxing and waning."""
    largest = preset.alpha_uv if name == "alpha" else preset.background_uv
    steady = sum(getattr(STATE_TABLE[state], name) * weight for state, weight in _shares(name, preset, weights))
    gain = largest / np.sqrt(2) * np.asarray(steady, np.float32)
    n_times = len(gain)
    if name == "alpha" and "drowsy" in weights:
        slow = narrow_band(rng, (1, n_times), preset.sfreq, 0.15, 0.1)[0]
        bouts = (slow > np.quantile(slow, 1 - FRACTION_OF_ALPHA_WHEN_DROWSY)).astype(np.float32)
        bouts = uniform_filter1d(bouts, max(round(0.5 * preset.sfreq), 1), mode="nearest")
        gain = gain * (1 - weights["drowsy"] * (1 - bouts))
    waxing = np.exp(0.3 * narrow_band(rng, (1, n_times), preset.sfreq, 0.2, 0.15)[0] - 0.09)
    return (gain * waxing).astype(np.float32)


def _shares(
    name: str, preset: SimulationPreset, weights: dict[str, NDArray[np.float32]]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights (T,) of each state, scaled by what the preset says of a rhythm."""
    for state, weight in weights.items():
        slow = name in ("theta", "delta") and state.startswith("awake")
        yield state, np.float32(preset.slow_waking if slow else preset.fast if name == "beta" else 1.0) * weight


def narrow_band(
    rng: np.random.Generator, shape: tuple[int, int], sfreq: float, centre_hz: float, spread_hz: float
) -> NDArray[np.float32]:
    """Gaussian noise of unit variance with one Gaussian spectral peak: (K, T)."""
    spectrum, hz = _white_spectrum(rng, shape, sfreq)
    power = np.exp(-0.5 * ((hz - centre_hz) / spread_hz) ** 2)
    power[0] = 0
    return _to_time(spectrum * np.sqrt(power / power.sum()).astype(np.float32), shape[1])


def _white_spectrum(
    rng: np.random.Generator, shape: tuple[int, int], sfreq: float
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Complex normal Fourier coefficients (K, F) and their frequencies (F,).

    Scaled so that `_to_time(spectrum * sqrt(p))` has variance sum(p).
    """
    size = fft.next_fast_len(shape[1], real=True)
    hz = fft.rfftfreq(size, 1 / sfreq)
    pairs = rng.standard_normal((shape[0], 2 * len(hz)), dtype=np.float32) * np.float32(size / 2)
    return pairs.view(np.complex64), hz


def _to_time(spectrum: NDArray[np.complex64], n_times: int) -> NDArray[np.float32]:
    size = fft.next_fast_len(n_times, real=True)
    return fft.irfft(spectrum, n=size, axis=-1)[:, :n_times]
