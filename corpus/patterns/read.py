"""Numbers to a pattern: periodic discharges, rhythmic delta or a seizure, on one side or on both.

The definitions are those of the American Clinical Neurophysiology Society (ACNS, Hirsch et al. 2021, J Clin
Neurophysiol 38:1-29): rhythmic delta repeats without an interval at 0.5 to 4 Hz; periodic discharges repeat with an
interval, and are a seizure above 2.5 Hz for ten seconds; so is any pattern that evolves for ten seconds. How much each
number speaks for each of them (`corpus.patterns.weights`) was fitted on simulated persons alone, by a multinomial
logistic regression. `CAUTION` and the limits of sides were set on simulated persons and on recordings of people without
such patterns. Experts' votes had no part in any of them; docs/patterns.md says what was decided on what.
"""

from dataclasses import dataclass

import numpy as np

from corpus.patterns.measure import Trace, repetition
from corpus.patterns.numbers import FLOAT, NUMBERS
from corpus.patterns.weights import INTERCEPTS, KINDS, WEIGHTS

CAUTION = 1.0  # added to the logit of no pattern: fewer false ones on ordinary recordings, at no cost on simulated ones
SURE = 0.7  # least probability of a seizure that is told: false ones on ordinary recordings fall from 4.5 to 1.3 %
REGULAR = 0.5  # autocorrelation at the period, of a seizure that keeps its frequency
LATERAL_SHARP, LATERAL_WAVE = 0.11, 0.11  # one side is 1.25 times as large; ACNS gives no number
_TABLE = np.array([WEIGHTS[name] for name in NUMBERS])


@dataclass(frozen=True)
class Pattern:
    """A pattern and the number behind it.

    Attributes:
        kind: "SZ", "LPD", "GPD", "LRDA" or "GRDA".
        side: "left" or "right" of one that is lateralised, else "".
        hertz: how often it repeats, or the typical frequency of a seizure.
        strength: its probability among simulated persons, 0 to 1.
    """

    kind: str
    side: str
    hertz: float
    strength: float


def probabilities(numbers: FLOAT) -> dict[str, float]:
    """How probable "none", "SZ", "PD" and "RDA" are, from the `NUMBERS` of a segment (20,)."""
    mean, spread, weights = _TABLE[:, 0], _TABLE[:, 1], _TABLE[:, 2:]
    logits = (numbers - mean) / spread @ weights + INTERCEPTS
    logits[KINDS.index("none")] += CAUTION
    odds = np.exp(logits - logits.max())
    return dict(zip(KINDS, (odds / odds.sum()).tolist(), strict=True))


def read_pattern(numbers: FLOAT, trace: Trace) -> Pattern | None:
    """The most probable pattern of a segment; None where that is none, or a seizure that is not sure enough.

    Args:
        numbers: (20,) `NUMBERS` of the segment among its neighbours.
        trace: of the segment: tells the side and how often the pattern repeats.
    """
    chances = probabilities(numbers)
    kind = max(chances, key=lambda name: chances[name])
    if kind == "none" or (kind == "SZ" and chances[kind] < SURE):
        return None
    lateral, least = (trace.side_sharp, LATERAL_SHARP) if kind == "PD" else (trace.side_wave, LATERAL_WAVE)
    side = "" if abs(lateral) < least else "right" if lateral > 0 else "left"
    letter = "" if kind == "SZ" else "L" if side else "G"
    return Pattern(letter + kind, side, _hertz(kind, side, trace), chances[kind])


def _hertz(kind: str, side: str, trace: Trace) -> float:
    """How often a pattern repeats; the leading frequency where no period is found, and of a seizure that evolves."""
    course = {"left": trace.left, "right": trace.right, "": trace.both}[side]
    correlation, _, period = repetition(course.sharp if kind == "PD" else course.wave, trace.rate_hz)
    regular = correlation >= (REGULAR if kind == "SZ" else 0)
    return period if period and regular else float(np.median(course.track_hz))
