"""Artifacts of eyes, muscle and electrodes. Each `draw_` function returns one event's own field, (layout, n) in µV."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from corpus.simulate.forward import Head
from corpus.simulate.preset import SimulationPreset

FLOAT = NDArray[np.float64]
BLINK = (0.0, 0.94, 0.33)  # fitted to the median blink of PhysioNet EEGMMIDB, eyes open
MUSCLES = ("T7", "T8", "F7", "F8", "Fp1", "Fp2")
MUSCLE_SPREAD_M = 0.05
MUSCLE_HZ = (20.0, 95.0)


def draw_blink(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A positive frontal deflection of 0.25-0.45 s, 80-250 microvolts: the corneae roll up, faster than back down."""
    phase = _phase(rng.uniform(0.25, 0.45), preset)
    wave = np.sin(np.pi * phase**0.8) ** 2
    return np.outer(head.eyes(BLINK), rng.uniform(80, 250) * wave)


def draw_gaze_left(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """Both eyes move to the left and back within 0.5-1.6 s: F7 positive, F8 negative."""
    return _gaze(head, rng, preset, -1.0)


def draw_gaze_right(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """Both eyes move to the right and back within 0.5-1.6 s: F8 positive, F7 negative."""
    return _gaze(head, rng, preset, 1.0)


def draw_muscle(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.5-4 s of irregular 20-95 Hz around one temporal or frontal electrode of the montage.

    Muscle lies outside the skull, where a spherical head has no sources: its field falls with distance (Gaussian) and
    every electrode sees its own motor units.
    """
    here = [name for name in MUSCLES if name in head.ch_names] or list(head.ch_names)
    anchor = head.layout.index(here[rng.integers(len(here))])
    distance = np.linalg.norm(head.positions_m - head.positions_m[anchor], axis=1)
    reach = np.exp(-0.5 * (distance / MUSCLE_SPREAD_M) ** 2)
    n = round(min(rng.uniform(0.5, 4.0), preset.duration_s / 4) * preset.sfreq)
    hz = fft.rfftfreq(n, 1 / preset.sfreq)
    passband = (hz >= MUSCLE_HZ[0]) & (hz <= MUSCLE_HZ[1])
    noise = fft.irfft(fft.rfft(rng.standard_normal((len(reach), n))) * passband, n=n)
    noise *= rng.gamma(3.0, 1 / 3, noise.shape)  # motor units fire in packets
    edges = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.1 * preset.sfreq), 0, 1)
    return rng.uniform(10, 35) * reach[:, None] * edges * noise / noise.std()


def draw_pop(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A sudden step of 100-400 microvolts of either sign on one electrode that decays within 0.3-1.2 s."""
    phase = _phase(rng.uniform(0.3, 1.2), preset)
    step = np.exp(-5 * phase) * np.clip((1 - phase) / 0.1, 0, 1)
    field_uv = np.zeros((len(head.layout), len(phase)))
    field_uv[rng.integers(len(head.ch_names))] = rng.choice((-1, 1)) * rng.uniform(100, 400) * step / step.max()
    return field_uv


def add_mains(signal_uv: NDArray[np.float32], sfreq: float, mains_hz: float, rng: np.random.Generator) -> None:
    """Add a mains sinusoid to `signal_uv` (C, T) in place, 0.5-5 microvolts, stronger on poor electrodes."""
    t = np.arange(signal_uv.shape[1]) / sfreq
    size = rng.uniform(0.5, 1.5) * np.exp(rng.normal(0, 0.5, (len(signal_uv), 1)))
    signal_uv += np.clip(size, 0.5, 5.0) * np.sin(2 * np.pi * mains_hz * t + rng.uniform(0, 2 * np.pi))


def _gaze(head: Head, rng: np.random.Generator, preset: SimulationPreset, side: float) -> FLOAT:
    phase = _phase(duration_s := rng.uniform(0.5, 1.6), preset)
    held = np.clip(np.minimum(phase, 1 - phase) * duration_s / 0.08, 0, 1)
    return np.outer(head.eyes((side, 0.0, 0.0)), rng.uniform(40, 120) * np.sin(np.pi / 2 * held) ** 2)


def _phase(duration_s: float, preset: SimulationPreset) -> FLOAT:
    """0 to 1 over the event, at the middle of each sample."""
    n = round(duration_s * preset.sfreq)
    return (np.arange(n) + 0.5) / n
