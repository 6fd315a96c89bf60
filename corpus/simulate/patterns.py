"""Ten-second segments of known pattern: what the thresholds of `corpus.patterns` were set on.

Definitions and numbers are those of the ACNS terminology (see `corpus.patterns.read`); shapes, sizes and fields are
drawn widely around them. Backgrounds are those of `corpus.simulate`, from healthy to slow.
"""

import numpy as np
from numpy.typing import NDArray

from corpus.recording import Recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, simulate
from corpus.simulate.forward import Head, head_of
from corpus.simulate.preset import FOCI, STATES

FLOAT = NDArray[np.float64]
SEGMENT_S, SFREQ = 10.0, 200.0
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


def simulate_pattern(pattern: str, seed: int) -> Recording:
    """Ten seconds of a simulated person with a pattern.

    Args:
        pattern: "Other", "SZ", "LPD", "GPD", "LRDA" or "GRDA".
        seed: the same one gives the same samples.
    """
    rng = np.random.default_rng([seed, 31])
    reference = ("ears", "average")[rng.integers(2)]
    ill = pattern != "Other"
    states = STATES[:3] if ill else STATES
    preset = SimulationPreset(
        duration_s=SEGMENT_S,
        sfreq=SFREQ,
        states=(states[rng.integers(len(states))],),
        events={kind: rate * rng.uniform(0, 2) * (0.3 if ill else 1.0) for kind, rate in OTHER_EVENTS.items()},
        age_years=int(rng.integers(18, 90)),
        alpha_uv=float(rng.uniform(3, 15) if ill else rng.uniform(5, 50)),
        background_uv=float(rng.uniform(4, 11)),
        slow_waking=float(rng.uniform(1, 5)),
        varied=True,
        reference=reference,
    )
    recording = simulate(preset, seed).recording
    if ill:
        head = head_of(TEN_TWENTY, reference)
        own = {"SZ": _seizure, "PD": _periodic, "DA": _rhythmic}[pattern[-2:]]
        recording.signal_uv[:] += head.recorded(own(head, rng, pattern[0])).astype(np.float32)
    return recording


def _field(head: Head, rng: np.random.Generator, extent: str) -> FLOAT:
    """A lateralised field (which may reach the other side more weakly) or a generalised one, of peak 1."""
    tilt = rng.normal(0, 0.2, 3)
    if extent == "G":
        return head.patch(GENERAL[rng.integers(len(GENERAL))], round(rng.uniform(0.35, 0.6), 1), 0.3 * tilt)
    return head.patch((FOCI[rng.integers(len(FOCI))],), round(rng.uniform(0.3, 0.6), 1), tilt)


def _size_uv(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(35), np.log(180))))


def _periodic(head: Head, rng: np.random.Generator, extent: str) -> FLOAT:
    """Discharges of one to three phases, less than half a cycle long, at 0.5-2.5 Hz with a few percent of jitter."""
    hz = np.exp(rng.uniform(np.log(0.5), np.log(2.5)))
    width_s = rng.uniform(0.08, min(0.4, 0.45 / hz))
    phases = int(rng.integers(1, 4))
    sizes = rng.uniform(0.4, 1, phases) * np.where(np.arange(phases) % 2, 1, -1)
    after = rng.uniform(0, 0.3) * (rng.random() < 0.5)
    jitter, spread = rng.uniform(0.02, 0.15), rng.uniform(0, 0.3)
    times, wave = np.arange(round(SEGMENT_S * SFREQ)) / SFREQ, np.zeros(round(SEGMENT_S * SFREQ))
    at = rng.uniform(-1 / hz, 0)
    while at < SEGMENT_S:
        course = (times - at) / width_s
        inside = (course >= 0) & (course < 1)
        own = np.where(inside, sizes[np.clip((course * phases).astype(int), 0, phases - 1)], 0.0)
        own = own * np.abs(np.sin(np.pi * course * phases))
        slow = (times - at - width_s) / (0.4 / hz)
        own = own + after * np.where((slow >= 0) & (slow < 1), np.sin(np.pi * slow), 0.0)
        wave += own * (1 + spread * rng.normal())
        at += (1 + jitter * np.clip(rng.normal(), -2, 2)) / hz
    return np.outer(_field(head, rng, extent), _size_uv(rng) * wave / max(np.abs(sizes)))


def _rhythmic(head: Head, rng: np.random.Generator, extent: str) -> FLOAT:
    """Delta waves without an interval between them, at 0.8-3.5 Hz, that wax and wane; some are notched or skewed."""
    hz, times = rng.uniform(0.8, 3.5), np.arange(round(SEGMENT_S * SFREQ)) / SFREQ
    wander = np.cumsum(rng.normal(0, 1, len(times))) / np.sqrt(SFREQ) * rng.uniform(0.1, 0.6)
    phase = 2 * np.pi * hz * times + wander + rng.uniform(0, 6)
    wave = np.sin(phase) + rng.uniform(0, 0.35) * np.sin(2 * phase + rng.uniform(0, 6))
    beats = 1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * times + rng.uniform(0, 6))
    share = rng.uniform(0.65, 1.0) if hz > 1.2 else 1.0
    begin = rng.uniform(0, 1 - share)
    inside = np.clip(np.minimum(times / SEGMENT_S - begin, begin + share - times / SEGMENT_S) / 0.03, 0, 1)
    return np.outer(_field(head, rng, extent), 0.6 * _size_uv(rng) * wave * beats * inside)


def _seizure(head: Head, rng: np.random.Generator, _: str) -> FLOAT:
    """Ten seconds out of a seizure of 15-40 s: a rhythm that evolves, or spike-and-wave faster than 2.5 Hz."""
    times, extent = np.arange(round(SEGMENT_S * SFREQ)) / SFREQ, "LG"[rng.integers(2)]
    if rng.random() < 0.35:
        hz = rng.uniform(2.6, 4.5) * (1 - rng.uniform(-0.1, 0.1) * times / SEGMENT_S)
        cycle = (np.cumsum(hz) / SFREQ + rng.uniform()) % 1
        spike = np.exp(-0.5 * ((cycle - 0.15) / rng.uniform(0.03, 0.07)) ** 2)
        wave = -rng.uniform(0.4, 1) * spike - np.sin(np.pi * np.clip((cycle - 0.3) / 0.65, 0, 1)) ** 1.5
        return np.outer(_field(head, rng, extent), _size_uv(rng) * wave * rng.uniform(0.8, 1.2))
    whole_s = rng.uniform(12, 40)
    course = (rng.uniform(0, whole_s - SEGMENT_S) + times) / whole_s
    first, last = np.exp(rng.uniform(np.log(4.0), np.log(10.0))), rng.uniform(1.8, 3.5)
    hz = (first * (last / first) ** course) if rng.random() < 0.75 else last + (first - last) * course
    phase = 2 * np.pi * np.cumsum(hz) / SFREQ + 0.3 * np.sin(2 * np.pi * 0.4 * times)
    sharp = rng.uniform(0.1, 0.7)
    wave = np.sin(phase) + sharp * np.sin(2 * phase + 0.7) + 0.4 * sharp * np.sin(3 * phase + 1.2)
    growth = 0.25 + 0.75 * np.clip(course / 0.8, 0, 1)
    return np.outer(_field(head, rng, extent), 0.8 * _size_uv(rng) * growth * wave)
