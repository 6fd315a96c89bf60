"""Waveforms of sleep and epilepsy in many shapes, for training detectors: `SimulationPreset.varied`.

Same contract as `graphoelements`: each `draw_` function returns one event's own field, (layout, n) in µV. Durations are
those of the IFCN glossary (Kane et al. 2017) and, of sleep, of the AASM manual; amplitudes reach down to what experts
still mark. Vertex waves and mu are no class of a detector: it has to tell them from sharp waves and spindles.
"""

import numpy as np
from numpy.typing import NDArray

from corpus.simulate.forward import Head
from corpus.simulate.graphoelements import GENERALISED, _bump, _focus, _phase, _taper, _times
from corpus.simulate.preset import FOCI, SimulationPreset

FLOAT = NDArray[np.float64]
OTHER_FOCUS = 0.15  # of focal discharges arise elsewhere ...
BOTH_SIDES = 0.15  # ... or on both sides at once
POSITIVE = 0.08  # of discharges
LATERAL_RUN = 0.2  # of runs of spike-and-wave keep to one side
SLOW_SPINDLE_HZ = 13.0  # below it they are frontal, above it centroparietal


def draw_spike(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A spike of 30-70 ms, its small opposite phases included."""
    field, size = _discharge_field(head, rng, preset), _size_uv(rng, 75)
    return np.outer(field, size * _discharge(rng, rng.uniform(0.030, 0.070), preset))


def draw_sharp_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A sharp wave of 100-200 ms between its ends, 70-200 ms where it can be seen."""
    field, size = _discharge_field(head, rng, preset), _size_uv(rng, 80)
    return np.outer(field, size * _discharge(rng, rng.uniform(0.100, 0.200), preset))


def draw_spike_slow_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A spike or sharp wave of 30-90 ms and a slow wave of 160-360 ms with the same sign and a wider field."""
    anchors, size = _anchors(rng, preset), _size_uv(rng, 90)
    spike = _discharge(rng, rng.uniform(0.030, 0.090), preset, after=False)
    phase = _phase(rng.uniform(0.16, 0.36), preset)
    sign = np.sign(spike[np.abs(spike).argmax()])
    wave = sign * rng.uniform(0.45, 1.2) * np.sin(np.pi * phase ** rng.uniform(0.8, 1.2)) ** rng.uniform(1.0, 2.0)
    sharp_field, slow_field = _patch(head, anchors, rng, 0.2, 0.4), _patch(head, anchors, rng, 0.4, 0.6)
    return size * np.concatenate([np.outer(sharp_field, spike), np.outer(slow_field, wave)], axis=1)


def draw_spike_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """1-8 s of spike-and-wave at 2.5-4 Hz that slows a little; one to three spikes a wave; on both sides or one."""
    t = _times(min(rng.uniform(1, 8), preset.duration_s / 4), preset)
    hz = rng.uniform(2.7, 4.0) * (1 - rng.uniform(0, 0.08) * t / t[-1])
    cycles = np.cumsum(hz) / preset.sfreq
    phase = cycles % 1
    beats = rng.uniform(0.7, 1.0, int(cycles[-1]) + 1)[cycles.astype(int)]
    width = rng.uniform(0.025, 0.045)
    spikes = range(rng.choice((1, 2, 3), p=(0.75, 0.17, 0.08)))
    spike = sum(-rng.uniform(0.6, 1) * _bump(phase, 0.12 + 3 * width * k, width) for k in spikes)
    begin = 0.15 + 3 * width * len(spikes)
    wave = -(np.sin(np.pi * np.clip((phase - begin) / (0.97 - begin), 0, 1)) ** rng.uniform(1.2, 1.8))
    anchors: tuple[str, ...] = GENERALISED
    if rng.random() < LATERAL_RUN:
        odd = int(_focus(preset)[-1]) % 2
        anchors = tuple(name for name in GENERALISED if name[-1] == "z" or int(name[-1]) % 2 == odd)
    sharp_field, slow_field = head.patch(anchors, 0.35), head.patch(anchors, 0.5)
    run = np.outer(sharp_field, rng.uniform(0.4, 1.1) * spike) + np.outer(slow_field, wave)
    return _size_uv(rng, 130) * run * beats * _taper(t / t[-1], 0.02)


def draw_k_complex(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.75-1.7 s between its ends: a sharp negative wave, then a slower positive one; over the frontal midline."""
    phase = _phase(rng.uniform(0.75, 1.7), preset) ** rng.uniform(0.85, 1.15)
    fall = -_bump(phase, rng.uniform(0.24, 0.32), rng.uniform(0.06, 0.09))
    rise = rng.uniform(0.4, 0.85) * _bump(phase, rng.uniform(0.52, 0.62), rng.uniform(0.11, 0.15))
    wave = fall + rise - rng.uniform(0, 0.25) * _bump(phase, 0.86, 0.07)
    field = _patch(head, (("Fz", "Cz"), ("Fz",), ("Fz", "F3", "F4"))[rng.integers(3)], rng, 0.5, 0.7)
    return np.outer(field, _size_uv(rng, 125) * wave * _taper(phase))


def draw_spindle(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.8-2.6 s of 11-16 Hz that waxes and wanes and slows; slow ones frontal, fast ones centroparietal or lateral."""
    duration_s, hz = rng.triangular(0.8, 1.1, 2.6), np.clip(rng.normal(13.3, 0.9), 11.6, 15.6)
    t = _times(duration_s, preset)
    chirp = min(rng.uniform(0, 0.7), 0.8 / duration_s)
    phase = 2 * np.pi * (hz * t - chirp / 2 * (t - duration_s / 2) ** 2) + rng.uniform(0, 2 * np.pi)
    places: list[tuple[str, ...]] = [("Fz",), ("F3", "Fz", "F4")]
    if hz >= SLOW_SPINDLE_HZ:
        places = [("Cz",), ("C3", "Cz", "C4"), ("Cz", "Pz")]
    if rng.random() < 0.2:
        places = [("C3",), ("C4",), ("F3",), ("F4",)]
    field = _patch(head, places[rng.integers(len(places))], rng, 0.4, 0.65)
    envelope = np.sin(np.pi * (t / duration_s) ** rng.uniform(0.75, 1.3)) ** 1.3
    return np.outer(field, _size_uv(rng, 32, 0.4) * envelope * np.sin(phase))


def draw_vertex_wave(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """A sharp negative wave of 0.15-0.4 s at the vertex, of drowsiness and light sleep; no class of a detector."""
    phase = _phase(rng.uniform(0.15, 0.40), preset)
    wave = 0.2 * _bump(phase, 0.12, 0.06) - _bump(phase, 0.42, 0.12) + rng.uniform(0.1, 0.4) * _bump(phase, 0.78, 0.09)
    return np.outer(_patch(head, ("Cz",), rng, 0.3, 0.5), _size_uv(rng, 75) * wave * _taper(phase))


def draw_mu(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    """0.8-3 s of arches at 8-11 Hz over one or both motor strips of waking people; no class of a detector."""
    t = _times(min(rng.uniform(0.8, 3.0), preset.duration_s / 4), preset)
    turns = rng.uniform(8, 11) * t + rng.uniform()
    arches = np.cos(2 * np.pi * turns) + rng.uniform(0.15, 0.35) * np.cos(4 * np.pi * turns)
    anchors = (("C3",), ("C4",), ("C3", "C4"))[rng.integers(3)]
    return np.outer(_patch(head, anchors, rng, 0.2, 0.35), _size_uv(rng, 22, 0.3) * arches * _taper(t / t[-1], 0.25))


def _discharge(rng: np.random.Generator, duration_s: float, preset: SimulationPreset, after: bool = True) -> FLOAT:
    """A pointed, skewed wave with smaller opposite phases, mostly negative, of peak 1: (n,)."""
    phase = _phase(duration_s, preset)
    begin, end = rng.uniform(0, 0.12), rng.uniform(0.65, 1.0) if after else 1.0
    main = np.clip((phase - begin) / (end - begin), 0, 1)
    top = rng.uniform(0.35, 0.55)
    wave = -(np.minimum(main / top, (1 - main) / (1 - top)) ** rng.uniform(1.0, 1.6))
    wave += rng.uniform(0, 0.15) * np.sin(np.pi * np.clip(phase / max(begin, 1e-3), 0, 1)) ** 2
    wave += rng.uniform(0.15, 0.5) * np.sin(np.pi * np.clip((phase - end) / max(1 - end, 1e-3), 0, 1)) ** 2
    return (-1 if rng.random() < POSITIVE else 1) * wave / np.abs(wave).max()


def _discharge_field(head: Head, rng: np.random.Generator, preset: SimulationPreset) -> FLOAT:
    return _patch(head, _anchors(rng, preset), rng, 0.2, 0.5)


def _anchors(rng: np.random.Generator, preset: SimulationPreset) -> tuple[str, ...]:
    """Where a focal discharge arises: at the focus of the recording, sometimes elsewhere or on both sides."""
    focus, draw = _focus(preset), rng.random()
    if draw < OTHER_FOCUS:
        return (FOCI[rng.integers(len(FOCI))],)
    if draw < OTHER_FOCUS + BOTH_SIDES and focus[-1].isdigit():
        number = int(focus[-1])
        return (focus, f"{focus[:-1]}{number + 1 if number % 2 else number - 1}")
    return (focus,)


def _patch(head: Head, anchors: tuple[str, ...], rng: np.random.Generator, narrow: float, wide: float) -> FLOAT:
    """A patch of drawn width (in steps, so that heads can keep them), turned a little."""
    width = round(rng.uniform(narrow, wide) * 20) / 20
    return head.patch(anchors, width, rng.normal(0, 0.2, 3))


def _size_uv(rng: np.random.Generator, typical: float, spread: float = 0.35) -> float:
    """A peak in microvolts, log-normal around the typical one, within a factor of three."""
    return float(typical * np.exp(np.clip(rng.normal(0, spread), -1.1, 1.1)))
