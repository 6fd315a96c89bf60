"""Confidence: wording apart from facts, familiar inputs, a threshold at a stated risk; figures worked by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.claims import parse_claims
from corpus.dataset import Batch
from corpus.recording import Recording
from neuronarrator.calibrate import LEVELS, Calibration, input_features, token_meanings, value_log_probs
from neuronarrator.evaluate.confidence import Example, evaluate_confidence, examples_of, fit_calibration
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.sources import Item
from neuronarrator.language.generation import Generation
from neuronarrator.metrics.calibration import reliability, risk_threshold
from neuronarrator.narrator import Narrator

WORDS = [" ", *["Alpha", "Beta", "remains", "is", "rises", "falls", "stable", "unchanged", "moderately", ".", ";"], ""]
NUMBER = {word: i for i, word in enumerate(WORDS)}


def say(text: str, sure: dict[str, dict[str, float]] | None = None) -> Generation:
    """A text word by word; `sure` gives the probabilities at a word, which has 1 elsewhere."""
    words, spans, at = text.replace(".", " .").replace(";", " ;").split(), [], 0
    for word in words:
        start = text.index(word, at)
        spans.append((at, start + len(word)))
        at = start + len(word)
    steps = [(sure or {}).get(word, {word: 1.0}) for word in words]
    logs = tuple(math.log(step[word]) for word, step in zip(words, steps, strict=True))
    alternatives = tuple(tuple((NUMBER[w], math.log(p)) for w, p in step.items()) for step in steps)
    return Generation(text, tuple(NUMBER[word] for word in words), logs, tuple(spans), alternatives)


TEXTS = ["Alpha remains stable.", "Alpha is unchanged.", "Alpha rises moderately.", "Alpha falls moderately."]
MEANINGS = token_meanings(map(say, TEXTS))


def probability(generation: Generation) -> float:
    (log,) = value_log_probs(generation, parse_claims(generation.text), MEANINGS)
    return math.exp(log)


def test_a_choice_of_wording_is_no_doubt_and_a_choice_of_facts_is() -> None:
    wording = say("Alpha remains stable.", {"remains": {"remains": 0.5, "is": 0.5}})
    assert probability(wording) == pytest.approx(1.0)
    fact = say("Alpha remains stable.", {"remains": {"remains": 0.4, "is": 0.3, "rises": 0.2, "falls": 0.1}})
    assert probability(fact) == pytest.approx(0.7)
    change = say("Alpha rises moderately.", {"rises": {"rises": 0.6, "remains": 0.3, "falls": 0.1}})
    assert probability(change) == pytest.approx(0.6)
    assert wording.confidence < 0.9  # the mean probability of tokens cannot tell them apart


def test_a_token_that_is_not_among_the_best_still_counts() -> None:
    told = say("Alpha remains stable.")
    drawn = replace(told, log_probs=(0.0, math.log(0.01), 0.0, 0.0), alternatives=(*told.alternatives[:1], (), (), ()))
    assert probability(drawn) == pytest.approx(0.01)


def test_each_clause_is_judged_by_its_own_words() -> None:
    told = say("Alpha remains stable; Beta rises moderately.", {"rises": {"rises": 0.5, "falls": 0.5}})
    logs = value_log_probs(told, parse_claims(told.text), MEANINGS)
    assert np.exp(logs) == pytest.approx([1.0, 0.5])


def test_a_text_without_alternatives_has_no_confidence() -> None:
    with pytest.raises(ValueError, match="use no beams"):
        value_log_probs(replace(say(TEXTS[0]), alternatives=()), [], MEANINGS)


def make_examples(count: int, rng: np.random.Generator, sure: float | None = None) -> list[Example]:
    """The stated probability of the value is the probability that it is so, in many wordings."""
    found = []
    for i in range(count):
        p = float(rng.uniform(0.5, 1)) if sure is None else sure
        told = say("Alpha remains stable.", {"remains": {"remains": p / 2, "is": p / 2, "rises": 1 - p}})
        found.append(Example(f"s{i % 20}", told, rng.normal(size=8), (bool(rng.random() < p),)))
    for text in TEXTS[1:]:
        found.append(Example("s0", say(text), rng.normal(size=8), (True,)))
    return found


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fit_calibration(make_examples(800, np.random.default_rng(0)), risk=0.1)


def test_the_fit_finds_the_probability_and_orders_by_it(calibration: Calibration) -> None:
    for p in (0.6, 0.75, 0.9):
        assert calibration.claim_probability("trend", math.log(p)) == pytest.approx(p, abs=0.06)
    scores = calibration.facts["across_persons"]
    assert scores["ece"] < 0.06
    assert scores["aurc_best"] < scores["aurc"] < scores["aurc_random"] - 0.05
    assert calibration.facts["persons"] == 20


def test_the_risk_holds_on_other_persons_and_all_is_reported(calibration: Calibration) -> None:
    others = make_examples(400, np.random.default_rng(1))
    strange = [replace(example, features=example.features + 50) for example in others]
    found = evaluate_confidence(calibration, {"as_recorded": others, "noise": strange}, resamples=50)
    assert 0 < found["referral"]["go_out_wrong"]["mean"] < 0.14
    assert 0.2 < found["referral"]["go_out"]["mean"] < 0.9
    assert found["narratives"]["ece"] < 0.1
    assert found["narratives"]["aurc"] < found["token_probability"]["aurc_random"] - 0.05
    noise = found["altered"]["noise"]
    assert noise["less"]["mean"] == noise["referred"]["mean"] == 1.0
    assert noise["fall"]["mean"] > 0.6
    assert noise["token_probability_fall"]["mean"] == 0.0
    assert found["n_subjects"] == 20


def test_familiarity_is_one_inside_training_and_falls_outside(calibration: Calibration) -> None:
    centre = np.array(calibration.centre)
    ways = [calibration.familiarity(centre + np.eye(8)[0] * far) for far in (0.0, 1.0, 2.0, 5.0, 10.0, 100.0)]
    assert ways[0] == ways[1] == 1.0
    assert sorted(ways, reverse=True) == ways
    assert ways[3] < 0.1
    assert ways[5] < ways[4] / 5


def test_confidence_is_a_function_of_a_generation_and_a_batch(calibration: Calibration, batch: Batch) -> None:
    home = replace(calibration, centre=input_features(batch)[2].tolist())
    sure, unsure = (make_examples(1, np.random.default_rng(0), p)[0].generation for p in (0.99, 0.5))
    good, bad = home.confidence(sure, batch, 2), home.confidence(unsure, batch, 2)
    assert (good.familiarity, good.refer, bad.refer) == (1.0, False, True)
    assert good.value > 0.9 > 0.7 > bad.value
    assert [told.claim.value for told in bad.claims] == ["stable"]
    assert bad.claims[0].probability == pytest.approx(0.5, abs=0.1)
    assert home.confidence(say("Beta."), batch, 2).value == 0.0  # says nothing
    loud = replace(batch, log_power=batch.log_power + 100)
    assert home.confidence(sure, loud, 2).refer
    with pytest.raises(ValueError, match="without powers"):
        home.confidence(sure, replace(batch, log_power=batch.log_power[..., :0]), 2)


def test_features_are_shares_level_and_spread(batch: Batch) -> None:
    found = input_features(batch)
    assert found.shape == (len(batch), 8)
    louder = input_features(replace(batch, log_power=batch.log_power + math.log(4)))
    np.testing.assert_allclose(louder - found, [[0.0] * 6 + [math.log(4), 0.0]] * len(batch), atol=1e-5)


def test_a_calibration_is_a_file_beside_the_model(calibration: Calibration, tmp_path: Path) -> None:
    assert Calibration.load(tmp_path) is None
    assert calibration.save(tmp_path).name == "calibration.json"
    assert Calibration.load(tmp_path) == calibration
    (tmp_path / "calibration.json").write_text('{"meanings": {}}')
    with pytest.raises(ValueError, match="calibrate anew"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize("count", [0, 4])
def test_too_little_to_learn_from_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="take more data"):
        fit_calibration(make_examples(count, np.random.default_rng(0)))


def test_examples_are_checked_against_the_signal_that_was_read(narrator: Narrator, simulated: Recording) -> None:
    items = [Item("x", "a", lambda: Recorded("one", simulated))]
    found = examples_of(narrator, items, per_recording=2, altered=True)
    assert {name: len(part) for name, part in found.items()} == {"as_recorded": 2, "time_shuffled": 2, "noise": 2}
    for example in found["noise"]:
        assert len(example.supported) == len(parse_claims(example.generation.text))
        assert len(example.generation.alternatives) == len(example.generation.tokens)
    shares = [np.mean([e.features for e in found[name]], axis=0) for name in found]
    assert shares[2][:6].argmax() >= 3 > shares[0][:6].argmax()  # noise is fast
    assert shares[1][6] == pytest.approx(shares[0][6], abs=1e-5)  # shuffling keeps the power


# Scores


def test_scores_of_confidence_are_worked_by_hand() -> None:
    """Two bins: 0.9 (right, right, wrong: 2/3) and 0.1 (wrong): ECE (3 * |0.9 - 2/3| + 0.1) / 4."""
    found = reliability([0.9, 0.9, 0.9, 0.1], [True, True, False, False])
    assert found["ece"] == pytest.approx((3 * (0.9 - 2 / 3) + 0.1) / 4)
    assert found["brier"] == pytest.approx((0.01 + 0.01 + 0.81 + 0.01) / 4)
    ordered = reliability([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    assert ordered["aurc"] == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert ordered["aurc_best"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert ordered["aurc_random"] == 0.5


def test_the_threshold_is_that_of_conformal_risk_control() -> None:
    """Nine persons, one item each; one wrong at 0.5: (1 + 1) / 10 at or below it, (0 + 1) / 10 above."""
    p = [0.1 * i for i in range(1, 10)]
    right = [i != 5 for i in range(1, 10)]
    persons = list("abcdefghi")
    assert risk_threshold(p, right, persons, 0.2) == (pytest.approx(0.1), 1.0)
    assert risk_threshold(p, right, persons, 0.1) == (pytest.approx(0.6), pytest.approx(4 / 9))
    assert risk_threshold(p, right, persons, 0.05) == (2.0, 0.0)  # nine persons cannot show so little


def test_levels_are_those_of_a_distribution(calibration: Any) -> None:
    assert (LEVELS[0], LEVELS[-1], list(LEVELS)) == (0, 1, sorted(LEVELS))
    assert calibration.distances == sorted(calibration.distances)
