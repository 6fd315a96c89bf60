"""What to simulate: the patient, the states of the recording, the events and the electrodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

TEN_TWENTY = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4",
    "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
SLEEP_LAB = ("F3", "F4", "C3", "C4", "O1", "O2")
HEADSET = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
SIXTY_FOUR = (
    "FC5", "FC3", "FC1", "FCz", "FC2", "FC4", "FC6", "C5", "C3", "C1", "Cz", "C2", "C4", "C6", "CP5", "CP3",
    "CP1", "CPz", "CP2", "CP4", "CP6", "Fp1", "Fpz", "Fp2", "AF7", "AF3", "AFz", "AF4", "AF8", "F7", "F5", "F3",
    "F1", "Fz", "F2", "F4", "F6", "F8", "FT7", "FT8", "T7", "T8", "T9", "T10", "TP7", "TP8", "P7", "P5",
    "P3", "P1", "Pz", "P2", "P4", "P6", "P8", "PO7", "PO3", "POz", "PO4", "PO8", "O1", "Oz", "O2", "Iz",
)  # fmt: skip
STATES = ("awake_eyes_closed", "awake_eyes_open", "drowsy", "n2", "n3")
REFERENCES = ("average", "ears")
FOCI = ("F7", "F8", "T7", "T8", "P7", "P8", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
EVENT_STATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blink": ("awake_eyes_open",),
        "gaze_left": ("awake_eyes_open", "awake_eyes_closed"),
        "gaze_right": ("awake_eyes_open", "awake_eyes_closed"),
        "muscle": ("awake_eyes_open", "awake_eyes_closed", "drowsy"),
        "pop": STATES,
        "flat": STATES,
        "spindle": ("n2", "n3"),
        "k_complex": ("n2",),
        "spike": STATES,
        "sharp_wave": STATES,
        "spike_slow_wave": STATES,
        "spike_wave": STATES,
        "seizure": STATES,
        "chewing": ("awake_eyes_open", "awake_eyes_closed"),
        "electrode_noise": STATES,
        "slow_eye": ("drowsy",),
        "respiration": STATES,
        "extreme": STATES,
        "vertex_wave": ("drowsy", "n2"),
        "mu": ("awake_eyes_open", "awake_eyes_closed"),
    }
)
HEALTHY_EVENTS: Mapping[str, float] = MappingProxyType(
    {"blink": 12.0, "gaze_left": 2.0, "gaze_right": 2.0, "muscle": 1.0, "spindle": 5.0, "k_complex": 2.0}
)


@dataclass(frozen=True)
class SimulationPreset:
    """One recording to simulate; `simulate` adds the seed. Amplitudes are half peak-to-peak unless said otherwise."""

    duration_s: float = 60.0
    sfreq: float = 200.0
    ch_names: tuple[str, ...] = TEN_TWENTY
    states: tuple[str, ...] = ("awake_eyes_closed", "awake_eyes_open")
    """States in order; each takes an equal share of the recording."""
    events: Mapping[str, float] = field(default_factory=lambda: dict(HEALTHY_EVENTS))
    """Kind -> rate per minute of the states in which that kind can occur (`EVENT_STATES`)."""
    age_years: int = 35
    """Sets the slope of the background and the alpha frequency."""
    alpha_hz: float | None = None
    """Posterior rhythm; None takes the typical frequency at this age."""
    alpha_uv: float = 35.0
    """Posterior rhythm with eyes closed, at the electrode where it is largest."""
    background_uv: float = 8.0
    """Root mean square of the awake 1/f background at 1-40 Hz; theta, delta and beta scale with it."""
    focus: str | None = None
    """Electrode over the source of focal spikes and seizures (F7, T7, ... are left); None draws one per recording."""
    mains_hz: float | None = None
    """50 or 60 adds mains interference."""
    slow_waking: float = 1.0
    """Theta and delta while awake, relative to a healthy adult: more in children and in diffuse slowing."""
    fast: float = 1.0
    """Beta, relative to a healthy adult without drugs."""
    varied: bool = False
    """Draw each waveform in many shapes, sizes and places, as a detector has to know it; False draws the plain ones."""
    reference: str = "average"
    """"average" (of the 19 electrodes of the 10-20 system) or "ears" (mean of A1 and A2)."""

    def __post_init__(self) -> None:
        _check(self.duration_s >= 2, f"duration_s {self.duration_s}", "at least 2", "simulate a longer recording")
        _check(self.sfreq >= 100, f"sfreq {self.sfreq}", "at least 100 Hz", "resample after simulation")
        _check(bool(self.ch_names), "no ch_names", "at least one electrode", "name electrodes such as Cz")
        _check(len(set(self.ch_names)) == len(self.ch_names), f"{self.ch_names}", "each electrode once", "drop repeats")
        _check(bool(self.states), "no states", "at least one", f"choose from {', '.join(STATES)}")
        _check_names("state", self.states, STATES)
        _check_names("event", tuple(self.events), tuple(EVENT_STATES))
        _check_names("reference", (self.reference,), REFERENCES)
        negative = [kind for kind, rate in self.events.items() if not rate >= 0]
        _check(not negative, f"a negative rate for {negative}", "events per minute", "use 0 or more")
        for name in ("slow_waking", "fast"):
            _check(getattr(self, name) >= 0, f"{name} {getattr(self, name)}", "0 or more", "use 1 for an adult")
        mains = self.mains_hz is None or (self.mains_hz in (50, 60) and self.mains_hz < self.sfreq / 2)
        _check(mains, f"mains_hz {self.mains_hz}", "None, 50 or 60 below half of sfreq", "change mains_hz or sfreq")


def random_preset(seed: int, duration_s: float = 60.0, sfreq: float = 200.0) -> SimulationPreset:
    """A varied patient for training: age, states, amplitudes, events, electrodes, reference and mains.

    About a fifth have focal epileptiform discharges (some with a seizure), a tenth generalised spike-and-wave.
    """
    rng = np.random.default_rng(seed)
    return SimulationPreset(
        duration_s=duration_s,
        sfreq=sfreq,
        ch_names=_draw_montage(rng),
        states=_draw_states(rng),
        events=_draw_rates(rng),
        age_years=int(rng.integers(3, 90)),
        alpha_uv=float(rng.uniform(10, 60)),
        background_uv=float(rng.uniform(4, 10)),
        mains_hz=(None, None, 50.0, 60.0)[rng.integers(4)],
        reference=REFERENCES[rng.integers(2)],
    )


def _draw_montage(rng: np.random.Generator) -> tuple[str, ...]:
    """The 10-20 system in half of the draws, else with some electrodes missing, a headset or a sleep laboratory."""
    draw = rng.random()
    if draw < 0.5:
        return TEN_TWENTY
    if draw < 0.8:
        kept = np.sort(rng.permutation(len(TEN_TWENTY))[: rng.integers(8, len(TEN_TWENTY))])
        return tuple(TEN_TWENTY[i] for i in kept)
    return HEADSET if draw < 0.9 else SLEEP_LAB


def _draw_states(rng: np.random.Generator) -> tuple[str, ...]:
    """One to three consecutive states on the way to deep sleep, or back from it; wakefulness is the most frequent."""
    first = int(len(STATES) * rng.random() ** 1.5)
    states = STATES[first : first + int(rng.integers(1, 4))]
    return states[::-1] if rng.random() < 0.3 else states


def _draw_rates(rng: np.random.Generator) -> dict[str, float]:
    rates = {
        "blink": rng.uniform(4, 25),
        "gaze_left": rng.uniform(0, 5),
        "gaze_right": rng.uniform(0, 5),
        "muscle": rng.uniform(0, 5),
        "pop": rng.uniform(0, 3) * (rng.random() < 0.3),
        "flat": rng.uniform(0, 1.5) * (rng.random() < 0.2),
        "spindle": rng.uniform(2, 9),
        "k_complex": rng.uniform(0.5, 4),
    }
    patient = rng.random()
    if patient < 0.2:
        rates |= {kind: rng.uniform(0, 8) for kind in ("spike", "sharp_wave", "spike_slow_wave")}
        rates["seizure"] = float(rng.random() < 0.3)
    elif patient < 0.3:
        rates["spike_wave"] = rng.uniform(0.5, 3)
    return {kind: float(rate) for kind, rate in rates.items() if rate > 0}


def _check(fine: bool, got: str, expected: str, fix: str) -> None:
    if not fine:
        raise ValueError(f"got {got}, expected {expected}: {fix}")


def _check_names(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in names if name not in known]
    _check(not unknown, f"{what} {', '.join(unknown)}", f"one of {', '.join(known)}", f"correct the {what}")
