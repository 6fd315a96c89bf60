"""Persons with a known pattern, and persons without one: what `corpus.patterns` was fitted on.

Definitions and numbers are those of the ACNS terminology (see `corpus.patterns.read`); shapes, sizes, fields and
frequencies are drawn widely around them. Backgrounds are those of `corpus.simulate`, from healthy to slow, and those of
intensive care (`corpus.simulate.ward`). Shapes: T samples at `SFREQ`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from corpus.montage import mirror_of
from corpus.recording import Recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, simulate
from corpus.simulate.forward import Head, head_of
from corpus.simulate.preset import FOCI, STATES
from corpus.simulate.rhythms import typical_alpha_uv, typical_slow_waking
from corpus.simulate.ward import SFREQ, WHOLE_S, add_ward

FLOAT = NDArray[np.float64]
SEGMENT_S = 10.0
MIDDLE_S = (20.0, 30.0)  # of the `WHOLE_S` seconds: where the pattern is sure to be
MOST_AROUND = 2
GENERAL = (
    ("Fp1", "Fp2", "F3", "F4", "Fz", "Cz"),
    ("Fp1", "Fp2", "F3", "F4", "Fz", "Cz", "P3", "P4"),
    ("F3", "F4", "C3", "C4", "Cz", "P3", "P4", "Pz"),
)
OTHER_EVENTS = {
    "blink": 12.0, "gaze_left": 3.0, "gaze_right": 3.0, "slow_eye": 4.0, "muscle": 3.0, "chewing": 0.5, "pop": 1.0,
    "spindle": 6.0, "k_complex": 5.0, "vertex_wave": 3.0, "mu": 2.0, "spike": 4.0, "sharp_wave": 4.0,
    "spike_slow_wave": 3.0, "electrode_noise": 0.5, "respiration": 0.5,
}  # fmt: skip
HEALTHY = 0.4  # of the persons without a pattern; the others lie in intensive care


def simulate_pattern(pattern: str, seed: int, around: int = 0) -> Recording:
    """Ten seconds of a simulated person with a pattern, and what surrounds them.

    Args:
        pattern: "Other", "SZ", "LPD", "GPD", "LRDA" or "GRDA".
        seed: the same one gives the same person.
        around: segments of ten seconds before and after, of the same person, 0 to `MOST_AROUND`. The pattern may begin
            or end there.
    """
    rng = np.random.default_rng([seed, 31])
    reference = ("ears", "average")[rng.integers(2)]
    head, ill = head_of(TEN_TWENTY, reference), pattern != "Other" or rng.random() >= HEALTHY
    recording = simulate(_person(rng, reference, ill), seed).recording
    signal = recording.signal_uv.astype(float)
    if ill:
        signal = add_ward(signal, head, rng, pattern)
    if pattern != "Other":
        own = {"SZ": _seizure, "PD": _periodic, "DA": _rhythmic}[pattern[-2:]]
        signal += _visible(head.recorded(own(head, rng, pattern[0])), signal, rng)
    first, last = (round(edge * SFREQ) for edge in (MIDDLE_S[0] - around * SEGMENT_S, MIDDLE_S[1] + around * SEGMENT_S))
    return replace(recording, signal_uv=signal[:, first:last].astype(np.float32), annotations=())


def _visible(own: FLOAT, signal: FLOAT, rng: np.random.Generator) -> FLOAT:
    """A pattern, larger where nobody could see it: its peaks are 2.5 to 5 standard deviations of what it stands in.

    Args:
        own: (C, T) pattern.
        signal: (C, T) everything else.
        rng: draws how large.
    """
    middle = slice(round(MIDDLE_S[0] * SFREQ), round(MIDDLE_S[1] * SFREQ))
    peaks = np.quantile(np.abs(own[:, middle]), 0.98, axis=1)
    best = int(peaks.argmax())
    usual = 1.4826 * np.median(np.abs(signal[best, middle] - np.median(signal[best, middle])))
    return own * max(1.0, rng.uniform(2.5, 5) * usual / peaks[best])


def _person(rng: np.random.Generator, reference: str, ill: bool) -> SimulationPreset:
    """Any age and state in health; waking or drowsy, slow and with little alpha and beta, in intensive care."""
    states = STATES[:3] if ill else STATES
    age = int(rng.integers(18, 90) if ill else rng.integers(4, 90))
    usual_uv = typical_alpha_uv(age)
    return SimulationPreset(
        duration_s=WHOLE_S,
        sfreq=SFREQ,
        states=(states[rng.integers(len(states))],),
        events={kind: rate * rng.uniform(0, 2) * (0.25 if ill else 1.0) for kind, rate in OTHER_EVENTS.items()},
        age_years=age,
        alpha_uv=float(rng.uniform(0, 8) if ill else usual_uv * rng.uniform(0.2, 2)),
        background_uv=float(np.exp(rng.uniform(np.log(2.5), np.log(18 if ill else 12)))),
        slow_waking=float(rng.uniform(1, 8) if ill else typical_slow_waking(age) * rng.uniform(0.7, 1.6)),
        fast=float(rng.uniform(0.2, 1) if ill else rng.uniform(0.5, 2)),
        varied=True,
        reference=reference,
    )


def _times() -> FLOAT:
    return np.arange(round(WHOLE_S * SFREQ)) / SFREQ


def _fields(head: Head, rng: np.random.Generator, extent: str) -> tuple[FLOAT, FLOAT, float]:
    """Where a pattern begins, where it reaches later and more weakly, and how much later, s; the first of peak 1.

    A lateralised one may reach the other side at up to half of its size; a generalised one may be a fifth larger on one
    side (ACNS: "lateralized" is also what is bilateral with a clear asymmetry).
    """
    tilt = rng.normal(0, 0.2, 3)
    if extent == "G":
        anchors, at = GENERAL[rng.integers(len(GENERAL))], FOCI[rng.integers(len(FOCI))]
        first = head.patch(anchors, round(rng.uniform(0.35, 0.6), 1), 0.3 * tilt)
        then = rng.uniform(0, 0.2) * head.patch((at,), 0.5)
        if rng.random() < 0.4:  # triphasic waves lag from front to back, or the other way
            then = then + rng.uniform(0.2, 0.6) * head.patch(("P3", "P4", "O1", "O2"), 0.5)
        return first, then, rng.uniform(0, 0.12)
    at = FOCI[rng.integers(len(FOCI))]
    first = head.patch((at,), round(rng.uniform(0.3, 0.7), 1), tilt)
    there = mirror_of(at) or at
    return first, rng.uniform(0, 0.5) * (rng.random() < 0.6) * head.patch((there,), 0.5), rng.uniform(0, 0.05)


def _size_uv(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(25), np.log(250))))


def _spread(fields: tuple[FLOAT, FLOAT, float], wave: FLOAT) -> FLOAT:
    """A course of time (T,) over its two fields: (layout, T)."""
    first, then, lag_s = fields
    return np.outer(first, wave) + np.outer(then, np.roll(wave, round(lag_s * SFREQ)))


def _lasting(rng: np.random.Generator, always: float, cover: float) -> FLOAT:
    """Gate (T,) of a pattern: there all the time, or from some time to another that share at least `cover` of the ten
    seconds."""
    first, last = 0.0, WHOLE_S
    if rng.random() >= always:
        lost = (1 - cover) * SEGMENT_S * rng.random()
        early = rng.random()
        first = rng.uniform(-5, MIDDLE_S[0]) if rng.random() < 0.5 else MIDDLE_S[0] + early * lost
        last = rng.uniform(MIDDLE_S[1], 55) if rng.random() < 0.5 else MIDDLE_S[1] - (1 - early) * lost
    times = _times()
    return np.clip(np.minimum(times - first, last - times) / 0.3, 0, 1)


def _discharges(rng: np.random.Generator, hz: FLOAT, jitter: float, width_s: float) -> FLOAT:
    """Discharges (T,) of peak 1 of one to three phases, some with a slow wave after, whose rate (T,) may change."""
    times, wave = _times(), np.zeros(len(hz))
    phases = int(rng.integers(1, 4))
    sizes = rng.uniform(0.4, 1, phases) * np.where(np.arange(phases) % 2, 1, -1)
    sizes /= np.abs(sizes).max()
    after, spread, missing = rng.uniform(0, 0.5) * (rng.random() < 0.5), rng.uniform(0, 0.3), rng.uniform(0, 0.08)
    skew = rng.uniform(0.7, 1.4)  # of phases: steep first, or steep last
    at = -rng.random() / hz[0]
    while at < WHOLE_S:
        now = hz[min(max(round(at * SFREQ), 0), len(hz) - 1)]
        own_s = min(width_s, 0.6 / now)
        begin, end = max(round(at * SFREQ), 0), min(round((at + 1 / now) * SFREQ), len(wave))
        if end > begin and rng.random() >= missing:
            since = times[begin:end] - at
            course = np.clip(since / own_s, 0, 1) ** skew
            own = sizes[np.minimum((course * phases).astype(int), phases - 1)] * np.abs(np.sin(np.pi * course * phases))
            slow = np.clip((since - own_s) / (0.9 / now - own_s), 0, 1)
            wave[begin:end] += (own + after * np.sin(np.pi * slow)) * (1 + spread * rng.normal())
        at += (1 + jitter * np.clip(rng.normal(), -2, 2)) / now
    return wave


def _periodic(head: Head, rng: np.random.Generator, extent: str) -> FLOAT:
    """Discharges shorter than their interval, at 0.5-2.5 Hz, of which one may differ from the next by a quarter."""
    hz = np.exp(rng.uniform(np.log(0.5), np.log(2.5)))
    rate = hz * np.exp(rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, round(WHOLE_S * SFREQ)))
    wave = _discharges(rng, rate, rng.uniform(0.02, 0.2), rng.uniform(0.08, min(0.45, 0.5 / hz)))
    if rng.random() < 0.2:  # "plus": fast activity that comes with them
        wave = wave + 0.3 * np.abs(wave) * np.sin(2 * np.pi * rng.uniform(10, 18) * _times())
    return _spread(_fields(head, rng, extent), _size_uv(rng) * wave * _lasting(rng, 0.7, 0.8))


def _rhythmic(head: Head, rng: np.random.Generator, extent: str) -> FLOAT:
    """Delta waves without an interval between them, at 0.7-3.5 Hz, that wax and wane; notched, skewed, with spikes."""
    hz, times = rng.uniform(0.7, 3.5), _times()
    wander = np.cumsum(rng.normal(0, 1, len(times))) / np.sqrt(SFREQ) * rng.uniform(0.1, 0.9)
    phase = 2 * np.pi * hz * times + wander + rng.uniform(0, 6)
    wave = np.sin(phase) + rng.uniform(0, 0.35) * np.sin(2 * phase + rng.uniform(0, 6))
    if rng.random() < 0.2:
        wave = wave - rng.uniform(0.2, 0.6) * np.exp(-0.5 * (((phase / 2 / np.pi) % 1 - 0.25) / 0.05) ** 2)
    slow = 2 * np.pi * rng.uniform(0.04, 0.3) * times + rng.uniform(0, 6)
    beats = 1 + rng.uniform(0, 0.6) * np.sin(slow)
    return _spread(_fields(head, rng, extent), 0.6 * _size_uv(rng) * wave * beats * _lasting(rng, 0.5, 0.7))


def _seizure(head: Head, rng: np.random.Generator, _: str) -> FLOAT:
    """A rhythm or discharges that evolve over 12-60 s, or discharges faster than 2.5 Hz; muscle may join.

    It begins at most a second after the ten seconds do, and lasts until they end at least.
    """
    extent, times = "LLG"[rng.integers(3)], _times()
    begin = rng.uniform(-15, MIDDLE_S[0] + 1)
    whole_s = max(rng.uniform(12, 60), MIDDLE_S[1] - 1 - begin)
    course = np.clip((times - begin) / whole_s, 0, 1)
    inside = np.clip(np.minimum(times - begin, begin + whole_s - times) / 0.5, 0, 1)
    growth = (0.2 + 0.8 * np.clip(course / rng.uniform(0.2, 0.8), 0, 1)) * inside
    kind = rng.random()
    if kind < 0.35:
        hz = rng.uniform(2.6, 4.5) * np.exp(rng.uniform(-0.15, 0.15) * (2 * course - 1))
        wave, growth = _spike_waves(rng, hz), np.maximum(growth, 0.8 * inside)
    elif kind < 0.65:  # discharges that quicken, then slow down
        top, ends, peak = rng.uniform(2.5, 5), rng.uniform(1.0, 2.2, 2), rng.uniform(0.2, 0.7)
        hz = np.exp(np.interp(course, (0, peak, 1), np.log((ends[0], top, ends[1]))))
        wave = _discharges(rng, hz, rng.uniform(0.02, 0.12), rng.uniform(0.08, 0.25))
    else:
        first, last = np.exp(rng.uniform(np.log(2.5), np.log(10))), rng.uniform(1.0, 2.2)
        hz = first * (last / first) ** course if rng.random() < 0.75 else last + (first - last) * course
        phase = 2 * np.pi * np.cumsum(hz) / SFREQ + 0.3 * np.sin(2 * np.pi * 0.4 * times)
        sharp = rng.uniform(0.1, 0.8)
        wave = np.sin(phase) + sharp * np.sin(2 * phase + 0.7) + 0.5 * sharp * np.sin(3 * phase + 1.2)
    size = 0.8 * _size_uv(rng)
    total = _spread(_fields(head, rng, extent), size * growth * wave)
    if extent == "L" and rng.random() < 0.4:  # it spreads
        other = head.patch((FOCI[rng.integers(len(FOCI))],), 0.5)
        total += np.outer(other, 0.7 * size * growth * np.clip(2 * course - rng.random(), 0, 1) * wave)
    return total


def _spike_waves(rng: np.random.Generator, hz: FLOAT) -> FLOAT:
    """A spike and a slow wave a cycle, of any proportion, at a rate (T,) that may change."""
    jitter = np.cumsum(rng.normal(0, 1, len(hz))) / np.sqrt(SFREQ) * rng.uniform(0, 0.06)
    cycle = (np.cumsum(hz) / SFREQ + rng.uniform() + jitter) % 1
    spike = np.exp(-0.5 * ((cycle - 0.15) / rng.uniform(0.03, 0.08)) ** 2)
    slow = rng.uniform(0.3, 1) * np.sin(np.pi * np.clip((cycle - 0.3) / 0.65, 0, 1)) ** 1.5
    return -rng.uniform(0.4, 1) * spike - slow
