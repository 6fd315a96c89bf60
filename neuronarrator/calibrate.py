"""The probability that all claims of a narrative are supported by its signal.

Three parts, each fitted on persons of the training side and kept in one small JSON file:

- Claims. The probability of a token also holds the choice of wording, which says nothing about facts. In the words
  around a claim, alternatives that the training texts use for the same value count as agreement: "remains" and "is" of
  a stable band are one, "shows" and "rises" of an increase another. What is left is the probability of the value; a
  logistic regression on its lowest logarithm, with an offset for each kind, makes it the probability of support.
- The narrative. A logistic regression on the sum of the logarithms: claims do not fail independently.
- Familiarity. How far the spectrum is from those of the training persons (Mahalanobis distance, compared with their own
  distances from one another). It lowers the confidence only where fewer than `RARE` of them are as far: there the
  regressions have seen nothing. It is no likelihood, and a familiar input may still be read wrongly.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from corpus.claims import Claim, parse_claims
from corpus.dataset import Batch
from neuronarrator.language.generation import Generation

CALIBRATION_FILE = "calibration.json"
RARE = 0.05
LEVELS = (*(i / 20 for i in range(20)), 0.96, 0.97, 0.98, 0.99, 0.995, 1.0)  # of the distances that are kept
_CLAUSE_KINDS = ("trend",)  # several claims a sentence, a clause each
_SENTENCE, _CLAUSE = re.compile(r"(?<=[.!?])\s"), re.compile(r"(?<=[.!?])\s|[;:]")
_FLOOR = 1e-6


@dataclass(frozen=True)
class ClaimConfidence:
    """A claim and the probability that the signal supports it."""

    claim: Claim
    probability: float


@dataclass(frozen=True)
class Confidence:
    """How sure one may be of a narrative.

    Attributes:
        value: probability that all claims are supported, lowered by an unfamiliar input.
        claims: each claim with its own.
        familiarity: 1 for inputs like those of training, towards 0 for others.
        refer: a human should read it: the value is below the threshold of the stated risk.
    """

    value: float
    claims: tuple[ClaimConfidence, ...]
    familiarity: float
    refer: bool


@dataclass(frozen=True)
class Calibration:
    """Parameters of a confidence; pure data.

    Attributes:
        meanings: kind of claim → token → the values that training texts state around it.
        claim_slope: of the logistic regression of a claim.
        claim_offsets: of each kind; "" for any other.
        narrative: slope and intercept of the logistic regression of a narrative.
        centre: (F,) mean of the input's features.
        precision: (F, F) inverse covariance.
        distances: quantiles of the distances of training persons, at `LEVELS`.
        risk: share of narratives that may go out with an unsupported claim.
        threshold: the lowest confidence that goes out at that risk.
        facts: where it comes from: model, data, counts, scores.
    """

    meanings: dict[str, dict[int, list[str]]]
    claim_slope: float
    claim_offsets: dict[str, float]
    narrative: tuple[float, float]
    centre: list[float]
    precision: list[list[float]]
    distances: list[float]
    risk: float
    threshold: float
    facts: dict[str, Any] = field(default_factory=dict)

    def confidence(self, generation: Generation, batch: Batch, row: int) -> Confidence:
        """Of the narrative of one row of a batch.

        Raises:
            ValueError: a generation without alternatives, such as one of a beam search.
        """
        claims = parse_claims(generation.text)
        logs = value_log_probs(generation, claims, self.meanings)
        told = tuple(
            ClaimConfidence(claim, self.claim_probability(claim.kind, log))
            for claim, log in zip(claims, logs, strict=True)
        )
        familiarity = self.familiarity(input_features(batch)[row])
        value = familiarity * self.narrative_probability([claim.probability for claim in told])
        return Confidence(value, told, familiarity, value < self.threshold)

    def claim_probability(self, kind: str, log_prob: float) -> float:
        """That a claim of a kind is supported."""
        offset = self.claim_offsets.get(kind, self.claim_offsets[""])
        return _sigmoid(offset + self.claim_slope * log_odds(log_prob))

    def narrative_probability(self, claims: Sequence[float]) -> float:
        """That all claims with these probabilities are supported; 0 without a claim, which says nothing."""
        if not claims:
            return 0.0
        slope, intercept = self.narrative
        return _sigmoid(intercept + slope * doubt(claims))

    def familiarity(self, features: np.ndarray) -> float:
        """1 for features (F,) that at least `RARE` of the training inputs lie as far out as, less beyond."""
        away = distance(features[None], np.array(self.centre), np.array(self.precision))[0]
        rarer = 1 - float(np.interp(away, self.distances, LEVELS))
        least = (1 - LEVELS[-2]) / 2  # beyond all of training; falls on with the distance
        tail = max(rarer, least * min(self.distances[-1] / away, 1.0) if away > 0 else 1.0)
        return min(tail / RARE, 1.0)

    def save(self, directory: str | Path) -> Path:
        """Write the file beside a model; the directory is made where it does not exist."""
        path = Path(directory) / CALIBRATION_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), separators=(",", ":")) + "\n")
        return path

    @classmethod
    def load(cls, directory: str | Path) -> "Calibration | None":
        """The calibration in the directory of a model; None where it has none.

        Raises:
            ValueError: the file is of another version.
        """
        path = Path(directory) / CALIBRATION_FILE
        if not path.is_file():
            return None
        try:
            values = json.loads(path.read_text())
            values["meanings"] = {k: {int(t): v for t, v in m.items()} for k, m in values["meanings"].items()}
            values["narrative"] = tuple(values["narrative"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"got {path.name} that cannot be read ({error}), expected that of this version: calibrate anew"
            ) from None


def input_features(batch: Batch) -> np.ndarray:
    """(B, 8) of the current segments: mean over electrodes of the logarithm of each band's share of the power (6) and
    of the power itself, and the standard deviation of the latter over electrodes.

    Raises:
        ValueError: a batch without measured powers.
    """
    power = batch.log_power[:, -1].double().cpu().numpy()
    if power.shape[2] != 7:
        raise ValueError("got a batch without powers, expected measured segments: build it with their features")
    bands, total = power[:, :, :6], power[:, :, 6]
    share = (bands - total[:, :, None]).mean(axis=1)
    return np.concatenate([share, total.mean(1)[:, None], total.std(1)[:, None]], axis=1)


def token_meanings(generations: Iterable[Generation]) -> dict[str, dict[int, list[str]]]:
    """For each kind of claim and each token in the words around such claims: the values that they state."""
    found: dict[str, dict[int, set[str]]] = {}
    for generation in generations:
        for claim in parse_claims(generation.text):
            for place in _places(generation, claim):
                found.setdefault(claim.kind, {}).setdefault(generation.tokens[place], set()).add(_value(claim))
    return {kind: {t: sorted(values) for t, values in sorted(m.items())} for kind, m in sorted(found.items())}


def value_log_probs(
    generation: Generation, claims: Sequence[Claim], meanings: Mapping[str, Mapping[int, Sequence[str]]]
) -> list[float]:
    """The lowest logarithm, over the words around each claim, of the probability of its value in any wording.

    Raises:
        ValueError: a generation without alternatives.
    """
    if len(generation.alternatives) < len(generation.tokens):
        raise ValueError("got a text without alternatives, expected those of a greedy or sampled one: use no beams")
    found = []
    for claim in claims:
        known, value, lowest = meanings.get(claim.kind, {}), _value(claim), 0.0
        for place in _places(generation, claim):
            chosen = generation.tokens[place]
            others = (log for t, log in generation.alternatives[place] if t != chosen and value in known.get(t, ()))
            log = float(np.logaddexp.reduce([generation.log_probs[place], *others]))
            lowest = min(lowest, log)
        found.append(max(lowest, float(np.log(_FLOOR))))
    return found


def _places(generation: Generation, claim: Claim) -> list[int]:
    """The tokens of the clause or sentence that states a claim."""
    cut = _CLAUSE if claim.kind in _CLAUSE_KINDS else _SENTENCE
    ends = [match.end() for match in cut.finditer(generation.text)]
    start = max([end for end in ends if end <= claim.span[0]], default=0)
    stop = min([end for end in ends if end >= claim.span[1]], default=len(generation.text))
    return [i for i, (a, b) in enumerate(generation.spans) if a < b and b > start and a < stop]


def _value(claim: Claim) -> str:
    return claim.fact[2] if claim.kind != "tier" else claim.subject


def log_odds(log_prob: float) -> float:
    """Of a probability given by its logarithm, between those of `_FLOOR` and 1 - `_FLOOR`."""
    p = min(max(float(np.exp(log_prob)), _FLOOR), 1 - _FLOOR)
    return float(np.log(p / (1 - p)))


def doubt(claims: Sequence[float]) -> float:
    """Logarithm of the probability that claims hold together if they were independent."""
    return float(np.log(np.maximum(claims, _FLOOR)).sum())


def distance(features: np.ndarray, centre: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Mahalanobis distances of features (N, F) from the centre, (N,)."""
    away = features - centre
    return np.sqrt(np.einsum("nf,fg,ng->n", away, precision, away).clip(min=0))


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
