"""Periodic and rhythmic patterns: what is measured on hand-made signals, and what is read of it and told."""

from dataclasses import replace

import numpy as np
import pytest

from corpus.background import find_complete
from corpus.caption import caption_parts
from corpus.labels import LABEL_TASKS
from corpus.noise_audit import check_against_findings
from corpus.patterns import NUMBERS, find_patterns, neighbours, numbers_of, trace_segments
from corpus.patterns.measure import autocorrelation, differences, repetition
from corpus.patterns.read import CAUTION, probabilities
from corpus.patterns.weights import INTERCEPTS, WEIGHTS
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
    assert sum(own[0].value != "none" for own in found) <= 4
    assert find_patterns([segment], [np.arange(19) < 7])[0] == []


def test_repetition_of_known_periods() -> None:
    wave, again, hertz = repetition(autocorrelation(np.sin(2 * np.pi * 2.0 * TIMES)), SFREQ)
    assert (wave, again, hertz) == pytest.approx((1.0, 1.0, 2.0), abs=0.01)
    assert repetition(autocorrelation(np.zeros(2000)), SFREQ) == (0.0, 0.0, 0.0)


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


def test_neighbours_end_at_a_break_and_at_two() -> None:
    segment = made(np.zeros(2000), ())
    row = [replace(segment, index=i, history=h) for i, h in enumerate([(), (0,), (0, 1), (), (3,), (3, 4), (4, 5)])]
    assert [neighbours(row, i) for i in (0, 1, 2, 3, 4, 6)] == [[1, 2], [0, 2], [0, 1], [4, 5], [3, 5, 6], [4, 5]]


def test_what_surrounds_a_segment_counts_only_without_a_break() -> None:
    recording, good = simulate_pattern("LRDA", 90_001, 1), [np.ones(19, dtype=bool)] * 3
    segments = segment_recording(recording)
    alone = find_patterns([segments[1]], good[:1])[0][0]
    apart = find_patterns([replace(segment, history=()) for segment in segments], good)[1][0]
    among = find_patterns(segments, good)[1][0]
    assert apart == alone
    assert "with 0 neighbouring segments" in apart.source
    assert "with 2 neighbouring segments" in among.source


def test_numbers_of_surroundings() -> None:
    """Of neighbours that are the segment itself nothing changes; a rhythm that goes on counts for its neighbour."""
    good = np.ones(19, dtype=bool)
    waves = (CASES["LRDA"][0], 0 * TIMES)
    rhythm, noise = (trace_segments([made(wave, ("T8", "F8", "P8"))], [good])[0] for wave in waves)
    assert rhythm is not None
    assert noise is not None
    alone, same = numbers_of(rhythm), numbers_of(rhythm, [rhythm, rhythm])
    column = NUMBERS.index
    assert same[: column("evolution")] == pytest.approx(alone[: column("evolution")], abs=1e-9)
    quiet, near = numbers_of(noise), numbers_of(noise, [rhythm])
    assert near[:15] == pytest.approx(quiet[:15])
    assert near[column("wave_around")] > 0.9 > quiet[column("wave_around")]
    assert near[column("again_around")] > quiet[column("again_around")] + 0.2


def test_weights_are_read_as_they_are_fitted() -> None:
    """The mean person: only the intercepts and the caution count."""
    mean = np.array([WEIGHTS[name][0] for name in NUMBERS])
    odds = np.exp(np.add(INTERCEPTS, (CAUTION, 0, 0, 0)))
    assert list(probabilities(mean).values()) == pytest.approx(odds / odds.sum())
    assert all(abs(sum(row[2:])) < 0.01 for row in WEIGHTS.values())


def test_simulated_patterns_are_told_apart_far_above_chance() -> None:
    right, false = 0, 0
    for kind in ("Other", "SZ", "LPD", "GPD", "LRDA", "GRDA"):
        for seed in range(90_000, 90_005):
            segments = segment_recording(simulate_pattern(kind, seed, 1))
            told = find_patterns(segments, [np.ones(19, dtype=bool)] * 3)[1][0].value
            right += told == (kind if kind != "Other" else "none")
            false += kind == "Other" and told != "none"
    assert right >= 14  # of 30; 5 by chance
    assert false <= 1


def test_the_ten_seconds_are_the_same_with_and_without_what_surrounds_them() -> None:
    whole, ten = simulate_pattern("SZ", 5, 2), simulate_pattern("SZ", 5)
    assert (whole.signal_uv.shape, ten.signal_uv.shape) == ((19, 10_000), (19, 2000))
    assert np.array_equal(whole.signal_uv[:, 4000:6000], ten.signal_uv)


def test_of_a_dead_recording_nothing_is_told() -> None:
    segment = replace(made(np.zeros(2000), ()), signal_uv=np.zeros((19, 2000), np.float32))
    assert find_patterns([segment], [np.ones(19, dtype=bool)]) == [[]]
