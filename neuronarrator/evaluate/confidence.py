"""Confidence fitted and tested: narratives with what the signal says of their claims, as recorded and altered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from corpus.claims import parse_claims
from corpus.dataset import collate
from neuronarrator.calibrate import (
    LEVELS,
    Calibration,
    distance,
    doubt,
    input_features,
    log_odds,
    token_meanings,
    value_log_probs,
)
from neuronarrator.evaluate.narrative_controls import ALTERED
from neuronarrator.evaluate.narrative_scores import Scorer
from neuronarrator.evaluate.references import excerpt, find_excerpt
from neuronarrator.evaluate.sources import Item, none_usable, usable
from neuronarrator.language.generation import Generation
from neuronarrator.metrics.calibration import CALIBRATION_SIGNATURE, reliability, risk_threshold
from neuronarrator.narrator import Narrator
from neuronarrator.verify import SUPPORTED, verify_narrative

AS_RECORDED = "as_recorded"


@dataclass(frozen=True)
class Example:
    """A narrative with what is known of it.

    Attributes:
        subject: the person.
        generation: the narrative.
        features: (F,) of its input.
        supported: of each claim that `parse_claims` reads, whether the signal supports it.
    """

    subject: str
    generation: Generation
    features: np.ndarray
    supported: tuple[bool, ...]


def examples_of(
    narrator: Narrator, items: Iterable[Item], per_recording: int = 12, seed: int = 0, altered: bool = False
) -> dict[str, list[Example]]:
    """Narratives of random segments of recordings, each claim checked against the signal that was read.

    Args:
        narrator: in eval mode.
        items: recordings.
        per_recording: segments of each, drawn at random.
        seed: of the draw and of the alterations.
        altered: also of the same segments altered as `narrative_controls.ALTERED` says.

    Returns:
        Under "as_recorded", and under the name of each alteration, the same segments in the same order.

    Raises:
        RecordingError: no recording can be used.
    """
    changes = {AS_RECORDED: None, **(ALTERED if altered else {})}
    found: dict[str, list[Example]] = {name: [] for name in changes}
    skipped: dict[str, str] = {}
    rng = np.random.default_rng(seed)
    for _, material in usable(items, skipped):
        findings, targets = material.findings()
        numbers = rng.permutation(np.flatnonzero(targets))[:per_recording]
        segments, places = excerpt(findings, sorted(numbers.tolist()), narrator.config.history_k)
        for name, change in changes.items():
            shown = segments if change is None else [change(segment, rng) for segment in segments]
            measured = find_excerpt(shown)
            batch = collate(shown, [f.features for f in measured], places, narrator.config.history_k)
            told, features = narrator.generate(batch.to(narrator.device)), input_features(batch)
            for row, (place, generation) in enumerate(zip(places, told, strict=True)):
                checked = verify_narrative(generation.text, measured[place])
                supported = tuple(claim.verdict == SUPPORTED for claim in checked)
                found[name].append(Example(material.subject, generation, features[row], supported))
    if not found[AS_RECORDED]:
        raise none_usable(skipped)
    return found


def fit_calibration(examples: Sequence[Example], risk: float = 0.1, folds: int = 5) -> Calibration:
    """Fit on narratives of training persons; the threshold and the scores in `facts` come from folds of persons.

    Args:
        examples: of several persons, some with unsupported claims.
        risk: share of narratives that may go out with an unsupported claim, in expectation for a new person.
        folds: of the persons.

    Raises:
        ValueError: too few persons, or nothing unsupported to learn from.
    """
    persons = sorted({example.subject for example in examples})
    wrong = sum(not all(example.supported) for example in examples)
    if len(persons) < folds or not folds <= wrong < len(examples):
        raise ValueError(
            f"got {len(examples)} narratives of {len(persons)} persons, {wrong} of them with an unsupported claim, "
            f"expected at least {folds} persons and narratives of both kinds: take more data"
        )
    owner = np.array([persons.index(example.subject) % folds for example in examples])
    parts = [_fit([examples[i] for i in np.flatnonzero(owner != left_out).tolist()]) for left_out in range(folds)]
    features = np.stack([example.features for example in examples])
    centres, precisions = (np.array([getattr(part, name) for part in parts]) for name in ("centre", "precision"))
    away = np.empty(len(examples))  # of each example, from the others' persons
    for fold in range(folds):
        away[owner == fold] = distance(features[owner == fold], centres[fold], precisions[fold])
    told = []
    for example, fold in zip(examples, owner.tolist(), strict=True):
        others = np.quantile(away[owner != fold], LEVELS).tolist()
        told.append(score_example(replace(parts[fold], distances=others), example)[0])
    right = [all(example.supported) for example in examples]
    threshold, coverage = risk_threshold(told, right, [example.subject for example in examples], risk)
    facts = {
        "narratives": len(examples),
        "persons": len(persons),
        "claims": sum(len(example.supported) for example in examples),
        "across_persons": {**reliability(told, right), "coverage_at_risk": coverage},
    }
    distances = np.quantile(away, LEVELS).tolist()
    return replace(_fit(examples), distances=distances, risk=risk, threshold=threshold, facts=facts)


def score_example(calibration: Calibration, example: Example) -> tuple[float, list[float]]:
    """The confidence of an example, and that of each of its claims."""
    claims = parse_claims(example.generation.text)
    logs = value_log_probs(example.generation, claims, calibration.meanings)
    told = [calibration.claim_probability(claim.kind, log) for claim, log in zip(claims, logs, strict=True)]
    return calibration.familiarity(example.features) * calibration.narrative_probability(told), told


def _fit(examples: Sequence[Example]) -> Calibration:
    """All parameters but threshold; distances are those of the examples themselves."""
    meanings = token_meanings(example.generation for example in examples)
    kinds: list[str] = []
    logs: list[float] = []
    for example in examples:
        claims = parse_claims(example.generation.text)
        kinds += [claim.kind for claim in claims]
        logs += map(log_odds, value_log_probs(example.generation, claims, meanings))
    names = sorted(set(kinds))
    inputs = np.array([[log, *(float(kind == name) for name in names)] for kind, log in zip(kinds, logs, strict=True)])
    weights, bias = _logistic(inputs, [good for example in examples for good in example.supported])
    offsets = {"": bias, **{name: bias + weight for name, weight in zip(names, weights[1:], strict=True)}}
    features = np.stack([example.features for example in examples])
    centre, spread = features.mean(0), np.cov(features.T)
    precision = np.linalg.inv(spread + 1e-3 * np.trace(spread) / len(spread) * np.eye(len(spread)))
    away = np.quantile(distance(features, centre, precision), LEVELS)
    fitted = Calibration(
        meanings, weights[0], offsets, (1.0, 0.0), centre.tolist(), precision.tolist(), away.tolist(), 0.0, 0.0
    )
    told = [score_example(fitted, example)[1] for example in examples]
    doubts = np.array([[doubt(claims)] for claims in told])
    (slope,), intercept = _logistic(doubts, [all(example.supported) for example in examples])
    return replace(fitted, narrative=(slope, intercept))


def _logistic(inputs: np.ndarray, right: Sequence[bool]) -> tuple[list[float], float]:
    """Weights and intercept of scikit-learn's logistic regression, almost without a penalty."""
    model = LogisticRegression(C=10.0, max_iter=2000).fit(inputs, right)
    return model.coef_[0].tolist(), float(model.intercept_[0])


def evaluate_confidence(
    calibration: Calibration, found: dict[str, list[Example]], resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """How good a calibrated confidence is on other persons, and how it falls where the signal is altered.

    Args:
        calibration: fitted on none of these persons.
        found: as `examples_of` returns it.
        resamples: of the subjects, for intervals.
        seed: of the resamples.

    Returns:
        "narratives" and "claims" as `metrics.calibration.reliability` returns them; "token_probability", the same of
        the mean token probability of narratives; "referral" at the stated risk: the shares of narratives that go out,
        that go out with an unsupported claim, and that are wrong among those that go out; "altered": for each
        alteration the mean "confidence", "familiarity", their "fall" and that of the "token_probability", and the share
        "referred", each with its interval.
    """
    scorer, real = Scorer(resamples, seed), found[AS_RECORDED]
    right = [all(example.supported) for example in real]
    scores = [score_example(calibration, example) for example in real]
    values = [value for value, _ in scores]
    out = [value >= calibration.threshold for value in values]
    rows = [
        (example.subject, {"go_out": float(o), "go_out_wrong": float(o and not good)})
        for example, o, good in zip(real, out, right, strict=True)
    ]
    spreads = scorer.spreads(rows)
    return {
        "narratives": reliability(values, right),
        "claims": reliability([p for _, told in scores for p in told], [good for e in real for good in e.supported]),
        "token_probability": reliability([example.generation.confidence for example in real], right),
        "referral": {
            "risk": calibration.risk,
            "threshold": calibration.threshold,
            **spreads,
            "wrong_among_those": spreads["go_out_wrong"]["mean"] / max(spreads["go_out"]["mean"], 1e-12),
        },
        "altered": {
            name: scorer.spreads([(a.subject, _fall(calibration, a, b)) for a, b in zip(real, part, strict=True)])
            for name, part in found.items()
            if name != AS_RECORDED
        },
        "n_narratives": len(real),
        "n_subjects": len({example.subject for example in real}),
        "signature": CALIBRATION_SIGNATURE,
    }


def _fall(calibration: Calibration, before: Example, after: Example) -> dict[str, float]:
    was, value = (score_example(calibration, example)[0] for example in (before, after))
    return {
        "confidence": value,
        "fall": was - value,
        "less": float(value < was),
        "token_probability_fall": before.generation.confidence - after.generation.confidence,
        "familiarity": calibration.familiarity(after.features),
        "referred": float(value < calibration.threshold),
        "supported": float(np.mean(after.supported)) if after.supported else 0.0,
    }
