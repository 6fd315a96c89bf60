"""Transient waveforms of sleep and epilepsy. Each `draw_` function returns one event's own field, (layout, n) in µV.

Durations and shapes follow the IFCN glossary (Kane et al. 2017, Clin Neurophysiol Pract 2:170-185): spikes last 20-70
ms, sharp waves 70-200 ms, both negative at the scalp; spindles are 11-16 Hz; a K-complex is a negative wave followed by
a positive one.
"""

import numpy as np
from numpy.typing import NDArray

from corpus.simulate.forward import Head
from corpus.simulate.preset import SimulationPreset

FLOAT = NDArray[np.float64]
LONGEST_SEIZURE = 0.5  # of the recording
GENERALISED = ("Fp1", "Fp2", "F3", "F4", "Fz", "Cz", "P3", "P4")


def draw_spindle(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.5-2 s of 11-16 Hz that waxes and wanes and slows a little; fast ones are central, slow ones also frontal."""
    duration_s, hz = rng.triangular(0.5, 0.9, 2.0), rng.uniform(12.0, 15.0)
    t = _times(duration_s, preset)
    phase = 2 * np.pi * (hz * t - 0.25 * (t - duration_s / 2) ** 2) + rng.uniform(0, 2 * np.pi)
    frontal = np.clip(14.0 - hz, 0, 1) * 0.6
    field = head.patch(("C3", "Cz", "C4"), 0.4) + frontal * head.patch(("Fz",), 0.5)
    return np.outer(field, rng.uniform(25, 60) / (1 + frontal) * np.sin(np.pi * t / duration_s) ** 1.3 * np.sin(phase))


def draw_k_complex(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.6-1.4 s, a sharp negative wave and a slower positive one, largest over the frontal midline."""
    phase = _phase(rng.uniform(0.6, 1.4), preset)
    wave = (
        -_bump(phase, 0.28, 0.08) + rng.uniform(0.5, 0.8) * _bump(phase, 0.58, 0.13) - 0.15 * _bump(phase, 0.85, 0.08)
    )
    return np.outer(head.patch(("Fz", "Cz"), 0.6), rng.uniform(100, 220) * wave * _taper(phase))


def draw_spike(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A focal spike, 40-70 ms."""
    return _focal_discharge(head, rng, preset, rng.uniform(0.040, 0.070))


def draw_sharp_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A focal sharp wave, 80-200 ms."""
    return _focal_discharge(head, rng, preset, rng.uniform(0.080, 0.200))


def draw_spike_slow_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A focal spike and the slow wave after it, 250-450 ms together; the slow wave has the wider field."""
    spike = _focal_discharge(head, rng, preset, rng.uniform(0.050, 0.080))
    phase = _phase(rng.uniform(0.20, 0.37), preset)
    wave = -rng.uniform(0.4, 0.8) * np.abs(spike).max() * np.sin(np.pi * phase) ** 2
    return np.concatenate([spike, np.outer(head.patch((_focus(preset),), 0.5), wave)], axis=1)


def draw_spike_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """2-6 s of generalised spike-and-wave, 3.3 slowing to 2.7 Hz, synchronous, largest over the frontal lobes."""
    t = _times(min(rng.uniform(2, 6), preset.duration_s / 4), preset)
    cycles = 3.3 * t - 0.3 * t**2 / t[-1]
    phase = cycles % 1
    beats = rng.uniform(0.8, 1.0, int(cycles[-1]) + 1)[cycles.astype(int)]
    spike = -_bump(phase, 0.13, 0.035) + 0.25 * _bump(phase, 0.21, 0.03)
    wave = -0.9 * np.sin(np.pi * np.clip((phase - 0.25) / 0.72, 0, 1)) ** 1.5
    field_uv = np.outer(head.patch(GENERALISED, 0.35), spike) + np.outer(head.patch(GENERALISED, 0.5), wave)
    return rng.uniform(100, 200) * field_uv * beats * _taper(t / t[-1], 0.02)


def draw_seizure(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A focal seizure of 12-30 s: rhythmic 6-8 Hz slows to 2-3 Hz while it grows in amplitude and in field."""
    t = _times(min(rng.uniform(12, 30), LONGEST_SEIZURE * preset.duration_s), preset)
    course = t / t[-1]
    hz = rng.uniform(6, 8) * (rng.uniform(2.2, 3.0) / 7.0) ** course
    phase = 2 * np.pi * np.cumsum(hz) / preset.sfreq + 0.3 * np.sin(2 * np.pi * 0.37 * t + rng.uniform(0, 6))
    wave = -(np.sin(phase) + 0.4 * np.sin(2 * phase + 0.7) + 0.15 * np.sin(3 * phase + 1.2)) / 1.3
    growth = (0.12 + 0.88 * np.clip(course / 0.8, 0, 1) ** 1.3) * _taper(course, 0.02)
    widths = (0.25, 0.45, 0.75)
    field_uv = np.zeros((len(head.layout), len(t)))
    for step, width in enumerate(widths):
        share = np.clip(1 - np.abs(course * (len(widths) - 1) - step), 0, 1)
        field_uv += np.outer(head.patch((_focus(preset),), width), share * wave)
    return rng.uniform(80, 150) * growth * field_uv


def _focal_discharge(head: Head, rng: np.random.Generator, preset: SimulationPreset, duration_s: float) -> FLOAT:
    """A negative peak with a small positive one before and after it, at the focus."""
    phase = _phase(duration_s, preset)
    wave = 0.15 * _bump(phase, 0.12, 0.07) - _bump(phase, 0.4, 0.11) + rng.uniform(0.2, 0.4) * _bump(phase, 0.75, 0.10)
    field = head.patch((_focus(preset),), 0.35, rng.normal(0, 0.2, 3))
    return np.outer(field, rng.uniform(60, 180) * wave * _taper(phase) / np.abs(wave).max())


def _focus(preset: SimulationPreset) -> str:
    if preset.focus is None:
        raise ValueError("got focus None, expected an electrode such as T7: draw the focus before the events")
    return preset.focus


def _times(duration_s: float, preset: SimulationPreset) -> FLOAT:
    return np.arange(max(round(duration_s * preset.sfreq), 2)) / preset.sfreq


def _phase(duration_s: float, preset: SimulationPreset) -> FLOAT:
    """0 to 1 over the event, at the middle of each sample."""
    n = max(round(duration_s * preset.sfreq), 2)
    return (np.arange(n) + 0.5) / n


def _bump(x: FLOAT, centre: float, spread: float) -> FLOAT:
    return np.exp(-0.5 * ((x - centre) / spread) ** 2)


def _taper(phase: FLOAT, edge: float = 0.1) -> FLOAT:
    """1 in the middle, falls smoothly to 0 within `edge` of either end."""
    return np.sin(np.pi / 2 * np.clip(np.minimum(phase, 1 - phase) / edge, 0, 1)) ** 2
