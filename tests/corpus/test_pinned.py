"""Facts, artifacts and narratives of fixed signals, as they were when the shipped models were trained.

A model learns the wording and the thresholds behind it. Whatever is added to the findings, these must not move: where
they have to, the models have to be trained again.
"""

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from corpus import artifacts, features, findings
from corpus.describe import write_narrative
from corpus.findings import Findings, Labels, find_recording
from corpus.recording import Defect, Recording

TEN_TWENTY = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4", "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
SFREQ = 200.0


def noise(n_chans: int, duration_s: float) -> np.ndarray:
    """Sums of sines that fall with frequency, without a random generator; every channel has its own phases."""
    t = np.arange(round(duration_s * SFREQ)) / SFREQ
    signal = np.zeros((n_chans, len(t)))
    for k in range(1, 120):
        hertz = 0.31 * k + 0.07 * (k % 5)
        phases = 2 * np.pi * ((0.618034 * k * (np.arange(n_chans) + 1)) % 1)
        signal += 8 / hertz**0.8 * np.sin(2 * np.pi * hertz * t + phases[:, None])
    return signal


def bump(duration_s: float, at_s: float, width_s: float) -> np.ndarray:
    t = np.arange(round(duration_s * SFREQ)) / SFREQ
    return np.exp(-0.5 * ((t - at_s) / width_s) ** 2)


def wake() -> Recording:
    signal = noise(19, 60)
    t = np.arange(signal.shape[1]) / SFREQ
    signal[17:] += 30 * np.sin(2 * np.pi * 10 * t) * (t > 25)
    for at_s in (3.0, 5.5, 33.0):
        signal[:2] += 120 * bump(60, at_s, 0.08)
        signal[2:7] += 40 * bump(60, at_s, 0.08)
    signal[7] += 12 * np.sin(2 * np.pi * 43 * t) * (t > 40)
    return Recording(signal.astype(np.float32), SFREQ, TEN_TWENTY)


def broken() -> Recording:
    names = ("F3", "F4", "C3", "C4", "O1", "O2")
    signal = noise(6, 52)
    signal[1::2] *= 1.5
    signal[3] += 900 * bump(52, 14.0, 0.2)
    signal[4, 4200:5200] = 0.0
    defects = (Defect("F3", 31.0, 1.5, "missing samples"),)
    return Recording(signal.astype(np.float32), SFREQ, names, breaks_s=(21.0,), defects=defects)


def two_channels() -> Recording:
    return Recording((noise(2, 30) * np.linspace(0.3, 2, 6000)).astype(np.float32), SFREQ, ("C3", "C4"))


def signature(found: list[Findings]) -> str:
    """A hash of every fact, artifact and narrative; numbers rounded far above their last digits."""
    lines = []
    for number, one in enumerate(found):
        lines += [repr(sorted(one.facts))]
        lines += [f"{a.kind} {a.ch_names} {a.start_s:.2f} {a.duration_s:.2f} {a.unit}" for a in one.artifacts]
        lines += [write_narrative(one, seed) for seed in range(number, number + 5)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("record", "expected"),
    [(wake, "0acf67ab9d380c6f"), (broken, "b22a7710df3daf6e"), (two_channels, "2d8ea1ab0de33ae5")],
)
def test_facts_artifacts_and_narratives_have_not_moved(record: Callable[[], Recording], expected: str) -> None:
    assert signature(find_recording(record(), Labels(34, "F", "rest"))) == expected


def test_the_wording_has_not_moved() -> None:
    found = find_recording(wake())
    assert write_narrative(found[0], 0) == (
        "Delta (0-4 Hz) is the dominant band. The background is of high amplitude. No preceding segment is "
        "available for comparison. Energy concentrates over the frontal region; Fp2 is the highest-energy "
        "channel. The high-energy tier also includes Fp1. Power is symmetric between left and right. "
        "Artifacts are present: eye blinks."
    )
    assert write_narrative(found[3], 1) == (
        "The spectrum is dominated by delta activity (0-4 Hz). Amplitude is high throughout. Compared with "
        "the preceding segments, delta and theta are unchanged; alpha rises markedly; beta and gamma are "
        "unchanged; high-gamma falls markedly. Power is highest over the occipital region, with O1 as the "
        "highest-energy channel. The high-energy tier also includes O2. Power is symmetric between left and "
        "right. Artifacts are present: eye blinks."
    )


def test_the_thresholds_have_not_moved() -> None:
    names = "STABLE_RATIO MARKED_RATIO LOW_AMPLITUDE_UV HIGH_AMPLITUDE_UV ASYMMETRY_RATIO WELCH_WINDOW_S MIN_POWER_UV2"
    assert [getattr(features, name) for name in names.split(" ")] == [1.25, 2.0, 20.0, 50.0, 1.5, 2.0, 1e-6]
    names = "BLINK_UV BLINK_WIDTH_S BLINK_GRADIENT MUSCLE_UV2 ELECTRODE_UV ELECTRODE_RATIO ELECTRODE_CORRELATION"
    values = [getattr(artifacts, name) for name in names.split(" ")]
    assert values == [50.0, (0.08, 0.6), 2.0, 25.0, 150.0, 4.0, 0.4]
    assert (artifacts.EYE_HZ, artifacts.FLAT_UV, artifacts.FLAT_S, findings.MAX_LISTED_TIER) == (8.0, 0.5, 2.0, 6)
    assert artifacts.ARTIFACT_KINDS == ("blink", "muscle", "electrode", "flat", "missing")
