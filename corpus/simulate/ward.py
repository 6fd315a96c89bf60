"""What surrounds patterns in intensive care: lesions, irregular slowing, bursts and suppression, artifacts of the ward.

None of it is a periodic or rhythmic pattern; it is added to persons with one and to persons without.
"""

import numpy as np
from numpy.typing import NDArray

from corpus.simulate.forward import Head
from corpus.simulate.preset import FOCI
from corpus.simulate.rhythms import narrow_band

FLOAT = NDArray[np.float64]
WHOLE_S, SFREQ = 50.0, 200.0
"""Length and rate of the recordings, s and Hz."""


def add_ward(signal_uv: FLOAT, head: Head, rng: np.random.Generator, pattern: str) -> FLOAT:
    """The signal (C, T) of a person of 10-20 electrodes as it is in intensive care.

    Args:
        signal_uv: background, at 200 Hz, `WHOLE_S` long.
        head: of the montage.
        rng: draws everything.
        pattern: "Other" may have sporadic discharges and bursts, which the others have not.
    """
    signal = signal_uv * _lesion(head, rng)
    times = np.arange(signal.shape[1]) / SFREQ
    for _ in range(rng.integers(0, 5)):
        signal += head.recorded(_polymorphic(head, rng, len(times)))
    if pattern == "Other" and rng.random() < 0.25:
        signal *= _bursts(rng, times)
    if pattern == "Other" and rng.random() < 0.3:
        signal += head.recorded(_sporadic(head, rng, times))
    if pattern == "Other" and rng.random() < 0.15:
        signal += head.recorded(_brief(head, rng, times))
    if rng.random() < 0.3:
        signal += _heart(head, rng, times)
    if rng.random() < 0.25:
        signal += _muscle(head, rng, len(times))
    if rng.random() < 0.2:
        _spoil(signal, rng, times)
    return signal


def _lesion(head: Head, rng: np.random.Generator) -> FLOAT:
    """Gain of each electrode, (C, 1): less over one side in half of the persons."""
    across = head.positions_m[: len(head.ch_names), :1] / 0.07
    side, loss = rng.choice((-1, 1)), rng.uniform(0, 0.7) * (rng.random() < 0.5)
    return 1 - loss / (1 + np.exp(-4 * side * across))


def _polymorphic(head: Head, rng: np.random.Generator, n_times: int) -> FLOAT:
    """Irregular slow activity, focal or general: noise of a broad band, (layout, T)."""
    series = narrow_band(rng, (1, n_times), SFREQ, rng.uniform(0.7, 3.5), rng.uniform(0.5, 1.5))[0]
    general = rng.random() < 0.4
    field = head.patch(("F3", "F4", "Fz", "Cz") if general else (FOCI[rng.integers(len(FOCI))],), 0.5)
    return np.outer(field, rng.uniform(5, 40) * series)


def _bursts(rng: np.random.Generator, times: FLOAT) -> FLOAT:
    """Gain over time (T,): bursts of 0.5-4 s on a suppressed background, at irregular intervals."""
    low, gain, at = rng.uniform(0.05, 0.4), np.zeros(len(times)), -rng.uniform(0, 5)
    usual_s = np.exp(rng.uniform(np.log(1.5), np.log(8)))
    while at < times[-1]:
        long_s = rng.uniform(0.5, 4)
        gain = np.maximum(gain, np.clip(np.minimum(times - at, at + long_s - times) / 0.15, 0, 1))
        at += long_s + usual_s * np.exp(rng.normal(0, 0.6))
    return low + (rng.uniform(1, 3) - low) * gain


def _sporadic(head: Head, rng: np.random.Generator, times: FLOAT) -> FLOAT:
    """Discharges at intervals without a rule, (layout, T)."""
    width_s, wave = rng.uniform(0.06, 0.3), np.zeros(len(times))
    for at in rng.uniform(0, times[-1], rng.poisson(rng.uniform(0.1, 0.7) * times[-1])):
        course = np.clip((times - at) / width_s, 0, 1)
        wave -= np.sin(np.pi * course) * rng.uniform(0.5, 1) - 0.4 * np.sin(np.pi * np.clip(course - 1, 0, 1))
    field = head.patch((FOCI[rng.integers(len(FOCI))],), 0.5)
    return np.outer(field, np.exp(rng.uniform(np.log(25), np.log(150))) * wave)


def _brief(head: Head, rng: np.random.Generator, times: FLOAT) -> FLOAT:
    """Runs of rhythmic delta of one to three seconds with long pauses, (layout, T)."""
    wave = np.zeros(len(times))
    for at in np.arange(rng.uniform(-5, 5), times[-1], rng.uniform(7, 14)):
        inside = np.clip(np.minimum(times - at, at + rng.uniform(1, 3) - times) / 0.2, 0, 1)
        wave += inside * np.sin(2 * np.pi * rng.uniform(1, 3) * times + rng.uniform(0, 6))
    field = head.patch(("Fp1", "Fp2", "F3", "F4"), 0.5)
    return np.outer(field, rng.uniform(20, 80) * wave)


def _heart(head: Head, rng: np.random.Generator, times: FLOAT) -> FLOAT:
    """The electrocardiogram at 50-130 a minute, a few microvolts, its field a slope over the head: (C, T)."""
    hz = rng.uniform(50, 130) / 60
    cycle = (times * hz + 0.02 * np.cumsum(rng.normal(0, 1, len(times))) / np.sqrt(SFREQ)) % 1
    beat = np.exp(-0.5 * ((cycle - 0.3) / (0.02 * hz)) ** 2) + 0.2 * np.exp(-0.5 * ((cycle - 0.6) / 0.06) ** 2)
    position = head.positions_m[: len(head.ch_names)]
    slope = position @ rng.normal(0, 1, 3)
    return np.outer((slope - slope.mean()) / np.ptp(slope), rng.uniform(4, 25) * beat)


def _muscle(head: Head, rng: np.random.Generator, n_times: int) -> FLOAT:
    """Muscle all the while, of its own on every electrode, strongest at the temples: (C, T)."""
    noise = narrow_band(rng, (len(head.ch_names), n_times), SFREQ, 45.0, 20.0)
    lateral = np.abs(head.positions_m[: len(head.ch_names), :1]) / 0.07
    return rng.uniform(1, 10) * lateral**2 * np.exp(rng.normal(0, 0.5, (len(noise), 1))) * noise


def _spoil(signal_uv: FLOAT, rng: np.random.Generator, times: FLOAT) -> None:
    """One to three electrodes (in place) that are off, or sway far beyond EEG, all the time or for some seconds."""
    for row in rng.permutation(len(signal_uv))[: rng.integers(1, 4)]:
        begin, long_s = rng.uniform(-20, 45), rng.uniform(5, 70)
        inside = (times >= begin) & (times < begin + long_s)
        kind = rng.integers(3)
        if kind == 0:
            signal_uv[row, inside] = 0
        elif kind == 1:
            sway = narrow_band(rng, (1, len(times)), SFREQ, rng.uniform(0.3, 2), rng.uniform(0.3, 1))[0]
            signal_uv[row] += inside * rng.uniform(50, 600) * sway
        else:
            signal_uv[row] += inside * rng.uniform(5, 60) * rng.normal(0, 1, len(times))
