"""Measures to a pattern: periodic discharges, rhythmic delta or a seizure, on one side or on both.

The definitions are those of the American Clinical Neurophysiology Society (ACNS, Hirsch et al. 2021, J Clin
Neurophysiol 38:1-29): rhythmic delta repeats without an interval at 0.5 to 4 Hz; periodic discharges repeat with an
interval, and are a seizure above 2.5 Hz for ten seconds; so is any pattern that evolves for ten seconds; a cycle may
differ from the next by less than half of it, and there are at least six. How much autocorrelation that is was set on
`corpus.simulate.patterns` and on recordings of waking people without such patterns, never on recordings with votes;
`STEADY` was raised later, for false seizures in simulated drowsiness.
"""

from dataclasses import dataclass

from corpus.patterns.measure import Course, Measures

RHYTHM_HZ = (0.5, 4.0)  # ACNS: of rhythmic delta
PERIODIC_HZ = (0.5, 3.0)  # ACNS: 0.5 to 2.5 Hz where it lasts; with room for the error of a period
SEIZURE_HZ = 2.5  # ACNS: discharges that come faster are a seizure
RHYTHMIC, RHYTHMIC_NARROW, RHYTHMIC_KURTOSIS = 0.47, 0.5, 5.0
PERIODIC, PERIODIC_AGAIN = 0.4, 0.0
FAST, FAST_HZ = 0.45, 4.0  # of discharges above `SEIZURE_HZ`, whose power beyond delta makes them sharp
EVOLVING_TREND, EVOLVING_CHANGE, EVOLVING_STEADY, EVOLVING_HZ = 0.75, 1.15, 0.6, (2.5, 10.0)
STEADY, STEADY_HZ = 0.55, (3.5, 7.5)  # a rhythm faster than delta and slower than alpha that lasts ten seconds
LATERAL = 0.15  # amplitude of one side 1.35 times that of the other; ACNS gives no number


@dataclass(frozen=True)
class Pattern:
    """A pattern and the number behind it.

    Attributes:
        kind: "SZ", "LPD", "GPD", "LRDA" or "GRDA".
        side: "left" or "right" of one that is lateralised, else "".
        hertz: how often it repeats, or the typical frequency of a seizure.
        strength: autocorrelation at the period; of a seizure the share of the power at its frequency, or the same.
    """

    kind: str
    side: str
    hertz: float
    strength: float


def read_pattern(measures: Measures) -> Pattern | None:
    """The pattern of a segment; None where there is none. A seizure outranks rhythmic delta, that discharges."""
    courses = (measures.both, measures.left, measures.right)
    side = "" if abs(measures.side) < LATERAL else "right" if measures.side > 0 else "left"
    letter = "L" if side else "G"
    ictal = [(c, found) for c in courses if (found := _ictal(c))]
    if ictal:
        hertz, strength = max((found for _, found in ictal), key=lambda found: found[1])
        return Pattern("SZ", side, hertz, strength)
    rhythmic = [c for c in courses if _is_rhythmic(c)]
    if rhythmic:
        best = max(rhythmic, key=lambda c: c.wave)
        return Pattern(f"{letter}RDA", side, best.wave_hz, best.wave)
    periodic = [c for c in courses if _is_periodic(c)]
    if periodic:
        best = max(periodic, key=lambda c: c.sharp)
        return Pattern(f"{letter}PD", side, best.sharp_hz, best.sharp)
    return None


def _ictal(course: Course) -> tuple[float, float] | None:
    """Frequency and strength of a course that is a seizure."""
    evolves = abs(course.trend) >= EVOLVING_TREND and course.change >= EVOLVING_CHANGE
    if evolves and course.steady >= EVOLVING_STEADY and EVOLVING_HZ[0] <= course.fast <= EVOLVING_HZ[1]:
        return course.fast, course.steady
    if course.steady >= STEADY and STEADY_HZ[0] < course.fast < STEADY_HZ[1]:
        return course.fast, course.steady
    fast = min(course.wave, course.wave_again) >= FAST and course.wave_hz > SEIZURE_HZ
    return (course.wave_hz, course.wave) if fast and course.fast >= FAST_HZ else None


def _is_rhythmic(course: Course) -> bool:
    regular = course.wave >= RHYTHMIC and course.narrow >= RHYTHMIC_NARROW
    return regular and course.kurtosis <= RHYTHMIC_KURTOSIS and RHYTHM_HZ[0] <= course.wave_hz <= RHYTHM_HZ[1]


def _is_periodic(course: Course) -> bool:
    regular = course.sharp >= PERIODIC and course.sharp_again >= PERIODIC_AGAIN
    return regular and PERIODIC_HZ[0] <= course.sharp_hz <= PERIODIC_HZ[1]
