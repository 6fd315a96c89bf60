"""Artifacts in many shapes (`SimulationPreset.varied`), and those that the plain ones of `artifacts` lack.

Each `draw_` function returns one event's own field, (layout, n) in µV.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from corpus.simulate.artifacts import BLINK, MUSCLE_SPREAD_M, _phase
from corpus.simulate.forward import Head
from corpus.simulate.preset import SimulationPreset

FLOAT = NDArray[np.float64]
MUSCLES = ("T7", "T8", "F7", "F8", "Fp1", "Fp2", "P7", "P8", "O1", "O2")  # temporal, frontal and neck muscles
JAW = ("T7", "T8", "F7", "F8", "P7", "P8", "C3", "C4")  # the first electrode of these and its partner are chewed at
EXTREME_UV = (1500.0, 4000.0)


def draw_blink(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A positive frontal deflection of 0.2-0.5 s, 50-350 microvolts, that may undershoot and turn a little."""
    phase = _phase(rng.uniform(0.20, 0.50), preset)
    wave = np.sin(np.pi * phase ** rng.uniform(0.65, 0.95)) ** rng.uniform(1.5, 2.5)
    wave -= rng.uniform(0, 0.15) * np.sin(np.pi * np.clip((phase - 0.8) / 0.2, 0, 1))
    right, front, up = BLINK
    turn = (right + rng.normal(0, 0.08), front, up + rng.normal(0, 0.08))
    return np.outer(head.eyes(turn), np.clip(110 * np.exp(rng.normal(0, 0.5)), 50, 350) * wave)


def draw_gaze_left(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A saccade to the left, held 0.3-3 s, and one back: F7 positive, F8 negative."""
    return _saccades(head, rng, preset, -1.0)


def draw_gaze_right(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A saccade to the right, held 0.3-3 s, and one back: F8 positive, F7 negative."""
    return _saccades(head, rng, preset, 1.0)


def draw_slow_eye(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """One slow excursion of both eyes to either side, 1-3 s: rolling eyes of drowsiness."""
    phase = _phase(min(rng.uniform(1.0, 3.0), preset.duration_s / 4), preset)
    wave = rng.uniform(40, 130) * np.sin(np.pi * phase ** rng.uniform(0.8, 1.25)) ** 2
    return np.outer(head.eyes((rng.choice((-1.0, 1.0)), 0.0, rng.normal(0, 0.1))), wave)


def draw_muscle(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.3-10 s of irregular fast activity around one electrode or a pair of homologous ones."""
    duration_s = min(0.3 * np.exp(rng.uniform(0, 3.5)), preset.duration_s / 4)
    here = [name for name in MUSCLES if name in head.ch_names] or list(head.ch_names)
    reach = _reach(head, here[rng.integers(len(here))], rng)
    noise = _fast_noise((len(reach), round(duration_s * preset.sfreq)), rng, preset.sfreq)
    noise *= rng.gamma(3.0, 1 / 3, noise.shape)  # motor units fire in packets
    size_uv = np.clip(22 * np.exp(rng.normal(0, 0.5)), 8, 70)
    return size_uv * reach[:, None] * _edges(noise.shape[1], preset.sfreq) * noise


def draw_chewing(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """3-12 s of muscle in bursts at 1-2 Hz over the jaw, on both sides, each on a slow wave of the moving tongue."""
    duration_s, hz = min(rng.uniform(3, 12), preset.duration_s / 4), rng.uniform(1.0, 2.0)
    t = np.arange(max(round(duration_s * preset.sfreq), 2)) / preset.sfreq
    here = [name for name in JAW if name in head.ch_names] or list(head.ch_names)
    reach = np.maximum(_reach(head, here[0], rng, 0.6), _reach(head, here[min(1, len(here) - 1)], rng, 0.6))
    turns = hz * (t + 0.04 * np.sin(2 * np.pi * 0.3 * t + rng.uniform(0, 6)))
    bite = np.clip(np.sin(2 * np.pi * turns), 0, 1) ** 0.7
    noise = _fast_noise((len(reach), len(t)), rng, preset.sfreq) * bite
    slow = rng.uniform(0.3, 1.2) * np.cos(2 * np.pi * turns + rng.uniform(0, 6))
    return rng.uniform(20, 60) * reach[:, None] * _edges(len(t), preset.sfreq) * (noise + slow)


def draw_electrode_noise(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.5-8 s of fast noise on one electrode, from a poor contact."""
    n = round(min(rng.uniform(0.5, 8.0), preset.duration_s / 4) * preset.sfreq)
    field_uv = np.zeros((len(head.layout), n))
    noise = _fast_noise((1, n), rng, preset.sfreq)[0] * _edges(n, preset.sfreq)
    field_uv[rng.integers(len(head.ch_names))] = rng.uniform(12, 60) * noise
    return field_uv


def draw_respiration(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """10-40 s of slow waves at 0.2-0.4 Hz as the head moves on its electrodes: some see much of it, of either sign."""
    duration_s, hz = min(rng.uniform(10, 40), preset.duration_s / 3), rng.uniform(0.2, 0.4)
    t = np.arange(round(duration_s * preset.sfreq)) / preset.sfreq
    wave = np.sin(2 * np.pi * hz * (t + 0.3 * np.sin(2 * np.pi * 0.05 * t)))
    near = head.positions_m[rng.integers(len(head.ch_names))]
    reach = np.exp(-0.5 * (np.linalg.norm(head.positions_m - near, axis=1) / 0.06) ** 2)
    reach *= rng.choice((-1, 1)) * rng.uniform(0.5, 1.0, len(reach))
    return rng.uniform(30, 100) * np.outer(reach, wave * _edges(len(t), preset.sfreq, 1.0))


def draw_pop(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A sudden step of 60-500 microvolts on one electrode that decays within 0.2-2 s."""
    phase = _phase(rng.uniform(0.2, 2.0), preset)
    step = np.exp(-rng.uniform(3, 8) * phase) * np.clip((1 - phase) / 0.1, 0, 1)
    field_uv = np.zeros((len(head.layout), len(phase)))
    field_uv[rng.integers(len(head.ch_names))] = rng.choice((-1, 1)) * rng.uniform(60, 500) * step / step.max()
    return field_uv


def draw_extreme(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.3-3 s far beyond any EEG on one to four electrodes: a pulled cable, a touched electrode."""
    n = round(min(rng.uniform(0.3, 3.0), preset.duration_s / 4) * preset.sfreq)
    count = min(int(rng.integers(1, 5)), len(head.ch_names))
    swings = np.cumsum(rng.standard_normal((count, n)), axis=1)
    swings = (swings - swings.mean(1, keepdims=True)) * _edges(n, preset.sfreq, 0.02)
    field_uv = np.zeros((len(head.layout), n))
    rows = rng.permutation(len(head.ch_names))[:count]
    field_uv[rows] = rng.uniform(*EXTREME_UV, (count, 1)) * swings / np.abs(swings).max(1, keepdims=True)
    return field_uv


def _saccades(head: Head, rng: np.random.Generator, preset: SimulationPreset, side: float) -> FLOAT:
    """There and back; what is held droops as amplifiers with a high-pass let it."""
    duration_s = min(0.3 * np.exp(rng.uniform(0, 2.3)), preset.duration_s / 4)
    phase = _phase(duration_s, preset)
    held = np.clip(np.minimum(phase, 1 - phase) * duration_s / rng.uniform(0.04, 0.12), 0, 1)
    wave = np.sin(np.pi / 2 * held) ** 2 * (1 - rng.uniform(0, 0.5) * phase)
    size_uv = np.clip(70 * np.exp(rng.normal(0, 0.4)), 30, 180)
    return np.outer(head.eyes((side, 0.0, rng.normal(0, 0.15))), size_uv * wave)


def _reach(head: Head, anchor: str, rng: np.random.Generator, both: float = 0.3) -> FLOAT:
    """How much of a muscle below `anchor`, and with chance `both` below its mirror image, each electrode sees."""
    spread = MUSCLE_SPREAD_M * rng.uniform(0.7, 1.4)
    centre = head.positions_m[head.layout.index(anchor)]
    centres = [centre, centre * (-1, 1, 1)] if rng.random() < both else [centre]
    falls = [np.exp(-0.5 * (np.linalg.norm(head.positions_m - c, axis=1) / spread) ** 2) for c in centres]
    return np.max(falls, axis=0)


def _fast_noise(shape: tuple[int, int], rng: np.random.Generator, sfreq: float) -> FLOAT:
    """Noise of unit variance between 18-32 Hz and almost half the sampling rate, steeper or flatter: (..., n)."""
    n = shape[1]
    size = fft.next_fast_len(n, real=True)
    hz = fft.rfftfreq(size, 1 / sfreq)
    low = rng.uniform(18, 32)
    gain = np.where((hz >= low) & (hz <= 0.475 * sfreq), (np.maximum(hz, low) / low) ** -rng.uniform(0, 1), 0)
    noise = fft.irfft(fft.rfft(rng.standard_normal((shape[0], size))) * gain, n=size)[:, :n]
    return noise / np.sqrt((noise**2).mean())


def _edges(n: int, sfreq: float, ramp_s: float = 0.05) -> FLOAT:
    """1 within, rising from and falling to 0 over `ramp_s` at the ends: (n,)."""
    return np.clip((np.minimum(np.arange(n), np.arange(n)[::-1]) + 1) / (ramp_s * sfreq), 0, 1)
