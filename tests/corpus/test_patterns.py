"""Periodic and rhythmic patterns: what is measured on hand-made signals, and what is read of it and told."""

from dataclasses import replace

import numpy as np
import pytest

from corpus.background import find_complete
from corpus.caption import caption_parts
from corpus.labels import LABEL_TASKS
from corpus.noise_audit import check_against_findings
from corpus.patterns import find_patterns
from corpus.patterns.measure import differences, repetition
from corpus.recording import Recording
from corpus.segment import Segment, segment_recording
from corpus.simulate import TEN_TWENTY
from corpus.simulate.patterns import simulate_pattern

SFREQ = 200.0
TIMES = np.arange(2000) / SFREQ


def made(wave: np.ndarray, names: tuple[str, ...]) -> Segment:
    """A wave on some electrodes, of different size on each, over little noise."""
    signal = np.random.default_rng(0).normal(0, 3, (19, 2000)).astype(np.float32)
    for number, name in enumerate(names):
        signal[TEN_TWENTY.index(name)] += 100 / (1 + 0.5 * number) * wave
    return Segment(0, 0.0, 10.0, signal, SFREQ, TEN_TWENTY)


def pulses(hertz: float, width_s: float = 0.15) -> np.ndarray:
    since = TIMES % (1 / hertz)
    return np.where(since < width_s, np.sin(2 * np.pi * since / width_s), 0.0)


CASES = {
    "LPD": (pulses(1.0), ("T7", "F7", "P7"), "left", 1.0),
    "GPD": (pulses(0.8), ("Fz", "F3", "F4"), "", 0.8),
    "LRDA": (np.sin(2 * np.pi * 1.5 * TIMES), ("T8", "F8", "P8"), "right", 1.5),
    "GRDA": (np.sin(2 * np.pi * 2.0 * TIMES), ("Fz", "F3", "F4"), "", 2.0),
    "SZ": (np.sin(2 * np.pi * (6.0 * TIMES - 0.15 * TIMES**2)), ("T8", "F8", "P8"), "right", 4.5),
}


@pytest.mark.parametrize("kind", CASES)
def test_each_pattern_is_named_with_its_side_and_frequency(kind: str) -> None:
    wave, names, side, hertz = CASES[kind]
    found = find_patterns([made(wave, names)], [np.ones(19, dtype=bool)])[0][0]
    assert (found.value, found.subject) == (kind, side)
    assert found.measured == pytest.approx(hertz, rel=0.15)


def test_noise_has_rarely_a_pattern_and_few_electrodes_are_not_asked() -> None:
    segment, good = made(np.zeros(2000), ()), np.ones(19, dtype=bool)
    noise = [np.cumsum(np.random.default_rng(seed).normal(0, 3, (19, 2000)), axis=1) for seed in range(20)]
    found = find_patterns([replace(segment, signal_uv=one) for one in noise], [good] * 20)
    assert sum(own[0].value != "none" for own in found) <= 2
    assert find_patterns([segment], [np.arange(19) < 7])[0] == []


def test_repetition_of_known_periods() -> None:
    wave, again, hertz = repetition(np.sin(2 * np.pi * 2.0 * TIMES), SFREQ)
    assert (wave, again, hertz) == pytest.approx((1.0, 1.0, 2.0), abs=0.01)
    assert repetition(np.zeros(2000), SFREQ) == (0.0, 0.0, 0.0)


def test_differences_stay_on_one_side() -> None:
    first, second, side = differences(TEN_TWENTY)
    pairs = {(TEN_TWENTY[a], TEN_TWENTY[b]): s for a, b, s in zip(first, second, side, strict=True)}
    assert pairs["Fp1", "F7"] == -1
    assert ("Fp1", "Fp2") not in pairs
    assert {s for (a, b), s in pairs.items() if a[-1] == b[-1] == "z"} == {0}


@pytest.mark.parametrize("kind", CASES)
def test_captions_say_it_and_do_not_deny_discharges(kind: str) -> None:
    segment = made(*CASES[kind][:2])
    found = find_complete([segment], waveforms=[])[0]
    told = caption_parts(found)["epileptiform"]
    assert LABEL_TASKS["iiic"].parse(told) == kind
    assert {c.verdict for c in check_against_findings(told, found)} == {"supported"}
    if kind in ("LPD", "GPD", "SZ"):
        assert "absent" not in told
        assert "No epileptiform" not in told
    other = replace(found, details=tuple(i for i in found.details if i.kind != "acns_pattern"))
    assert "contradicted" in {c.verdict for c in check_against_findings(told, other)}


def test_simulated_patterns_are_told_apart_far_above_chance() -> None:
    right = 0
    for kind in ("Other", "SZ", "LPD", "GPD", "LRDA", "GRDA"):
        for seed in range(90_000, 90_006):
            recording: Recording = simulate_pattern(kind, seed)
            found = find_patterns(segment_recording(recording), [np.ones(19, dtype=bool)])[0][0]
            right += found.value == (kind if kind != "Other" else "none")
    assert right >= 18  # of 36; 6 by chance
