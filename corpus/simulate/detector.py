"""Recordings to train and test a detector of waveforms on: everything drawn at random, much of every class."""

import numpy as np

from corpus.simulate.preset import (
    FOCI,
    HEADSET,
    REFERENCES,
    SIXTY_FOUR,
    SLEEP_LAB,
    STATES,
    TEN_TWENTY,
    SimulationPreset,
)
from corpus.simulate.rhythms import typical_alpha_uv, typical_slow_waking

AGES = ((3, 13), (13, 60), (60, 95))  # years: children, adults, the elderly
AGE_SHARES = (0.25, 0.45, 0.30)
EPILEPSY_SHARE = 0.6  # of the recordings
RATES = {  # kind -> (chance that a recording has it, least and largest rate a minute)
    "blink": (0.9, 4, 25),
    "gaze_left": (0.8, 1, 8),
    "gaze_right": (0.8, 1, 8),
    "slow_eye": (0.6, 2, 8),
    "muscle": (0.7, 0.5, 5),
    "chewing": (0.25, 0.5, 2),
    "electrode_noise": (0.25, 0.3, 2),
    "pop": (0.3, 0.3, 3),
    "flat": (0.2, 0.3, 1.5),
    "extreme": (0.1, 0.3, 1.5),
    "respiration": (0.15, 0.5, 1.5),
    "spindle": (0.95, 2, 12),
    "k_complex": (0.95, 2, 10),
    "vertex_wave": (0.4, 1, 6),
    "mu": (0.2, 1, 5),
}
EPILEPTIC_RATES = {
    "spike": (0.65, 1, 14),
    "sharp_wave": (0.65, 1, 12),
    "spike_slow_wave": (0.6, 1, 10),
    "spike_wave": (0.35, 0.5, 3),
}


def detector_preset(seed: int, duration_s: float = 60.0, sfreq: float = 200.0) -> SimulationPreset:
    """A varied patient for a detector: age and its background, states, montage of 1 to 64 electrodes, every event.

    Rates are higher than in life, so that no class is rare. The recording's boxes are those of `simulate`.

    Args:
        seed: the same one gives the same preset.
        duration_s: seconds.
        sfreq: Hz.
    """
    rng = np.random.default_rng([seed, 9])  # not the stream of random_preset
    age = int(rng.integers(*AGES[rng.choice(len(AGES), p=AGE_SHARES)]))
    background = float(np.interp(age, (3, 12, 25, 90), (11, 9, 7, 6)))
    ch_names = _draw_montage(rng)
    return SimulationPreset(
        duration_s=duration_s,
        sfreq=sfreq,
        ch_names=ch_names,
        states=_draw_states(rng),
        events=_draw_rates(rng),
        age_years=age,
        alpha_uv=typical_alpha_uv(age) * _around_one(rng, 0.35),
        background_uv=background * _around_one(rng, 0.25),
        slow_waking=typical_slow_waking(age) * _around_one(rng, 0.3) * (2.0 if rng.random() < 0.1 else 1.0),
        fast=_around_one(rng, 0.4) * (2.5 if rng.random() < 0.08 else 1.0),
        focus=FOCI[rng.integers(len(FOCI))],
        mains_hz=(None, None, 50.0, 60.0)[rng.integers(4)],
        varied=True,
        reference="ears" if len(ch_names) < 8 else REFERENCES[rng.random() < 0.25],
    )


def _draw_montage(rng: np.random.Generator) -> tuple[str, ...]:
    """The 10-20 system in half of the draws, some of it, the 10-10 system, some of that, a headset, or few channels."""
    draw = rng.random()
    if draw < 0.5:
        return TEN_TWENTY
    if draw < 0.65:
        return _some(rng, TEN_TWENTY, 8)
    if draw < 0.72:
        return SIXTY_FOUR
    if draw < 0.80:
        return _some(rng, SIXTY_FOUR, 20)
    if draw < 0.84:
        return HEADSET
    return SLEEP_LAB if draw < 0.90 else _some(rng, SLEEP_LAB if rng.random() < 0.5 else TEN_TWENTY, 1, 6)


def _some(rng: np.random.Generator, names: tuple[str, ...], fewest: int, most: int | None = None) -> tuple[str, ...]:
    count = int(rng.integers(fewest, (most or len(names)) + 1))
    return tuple(names[i] for i in np.sort(rng.permutation(len(names))[:count]))


def _draw_states(rng: np.random.Generator) -> tuple[str, ...]:
    """One to three consecutive states; light sleep somewhat more often than others, as two classes occur only there."""
    first = int(rng.choice(len(STATES), p=(0.26, 0.20, 0.20, 0.26, 0.08)))
    states = STATES[first : first + int(rng.integers(1, 4))]
    return states[::-1] if rng.random() < 0.3 else states


def _draw_rates(rng: np.random.Generator) -> dict[str, float]:
    table = RATES | (EPILEPTIC_RATES if rng.random() < EPILEPSY_SHARE else {})
    drawn = {kind: (rng.random() < chance, rng.uniform(low, high)) for kind, (chance, low, high) in table.items()}
    return {kind: float(rate) for kind, (present, rate) in drawn.items() if present}


def _around_one(rng: np.random.Generator, spread: float) -> float:
    return float(np.exp(np.clip(rng.normal(0, spread), -2 * spread, 2 * spread)))
