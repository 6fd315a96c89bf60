"""Twenty numbers of a segment among its neighbours that tell the patterns apart, by the terms of the ACNS definitions.

Repetition, the interval between discharges, frequency, what lasts and what evolves. Numbers of the surroundings are
those of the segment alone where there are none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from corpus.patterns.measure import Course, Trace, repetition

FLOAT = NDArray[np.floating]
QUICK_HZ = 2.4  # ACNS: discharges above 2.5 Hz are a seizure; with room for the error of a period
SMOOTH = 5  # windows of a track that are averaged before its range is taken
NUMBERS = (
    "wave",  # autocorrelation at the period
    "again",  # at twice the period
    "near",  # the same as `wave` of single differences
    "sharp",  # autocorrelation of what is sharp
    "quick",  # the higher of `wave` and `sharp` that is faster than `QUICK_HZ`, else 0
    "log_hz",  # of the period
    "sharp_log_hz",
    "duty",  # as in `Course`
    "delta",
    "theta",
    "steady",  # median share of the power at the leading frequency
    "least_steady",  # its 20th percentile
    "fast",  # median of the logarithm of that frequency
    "trend",  # how closely that logarithm follows a line over time, where it changes by a sixth at least
    "unrest",  # standard deviation of the logarithm of the power
    "sharp_around",  # from here on of the surroundings: `sharp` of the mean autocorrelation
    "again_around",
    "wave_around",  # the highest of the neighbours
    "steady_around",
    "evolution",  # 10th to 90th percentile of the smoothed logarithm of the leading frequency
)
"""What the columns are; the first fifteen are of the segment alone."""
HIGHER = ("wave", "again", "near", "sharp", "quick", "steady", "least_steady")
HIGHER_AROUND = ("sharp_around", "again_around", "wave_around", "steady_around")
"""Of the leading side and of the whole head the higher one counts; of the other numbers that of the leading side."""


def numbers_of(trace: Trace, around: Sequence[Trace] = ()) -> FLOAT:
    """The `NUMBERS` of a segment, (20,).

    Args:
        trace: of the segment.
        around: of its neighbours, in any order; none: what one segment gives.
    """
    lead = "right" if trace.side > 0 else "left"
    own, whole = (
        _of_course(getattr(trace, name), [getattr(one, name) for one in around], trace.rate_hz)
        for name in (lead, "both")
    )
    higher = {*HIGHER, *HIGHER_AROUND}
    return np.array([max(own[name], whole[name]) if name in higher else own[name] for name in NUMBERS])


def _of_course(own: Course, others: Sequence[Course], rate: float) -> dict[str, float]:
    wave, again, hertz = repetition(own.wave, rate)
    sharp, _, sharp_hertz = repetition(own.sharp, rate)
    together = [own, *others]
    log_hz = np.log(own.track_hz)
    everywhere = np.concatenate([np.log(c.track_hz) for c in together])
    smooth = np.convolve(everywhere, np.ones(SMOOTH) / SMOOTH, "valid")
    low, high = np.percentile(smooth, (10, 90))
    return {
        "wave": wave,
        "again": again,
        "near": repetition(own.near, rate)[0],
        "sharp": sharp,
        "quick": max(wave * (hertz > QUICK_HZ), sharp * (sharp_hertz > QUICK_HZ)),
        "log_hz": float(np.log(hertz or 1.0)),
        "sharp_log_hz": float(np.log(sharp_hertz or 1.0)),
        "duty": own.duty,
        "delta": own.delta,
        "theta": own.theta,
        "steady": float(np.median(own.track_share)),
        "least_steady": float(np.percentile(own.track_share, 20)),
        "fast": float(np.median(log_hz)),
        "trend": _trend(log_hz),
        "unrest": float(own.track_power.std()),
        "sharp_around": repetition(np.mean([c.sharp for c in together], axis=0), rate)[0],
        "again_around": repetition(np.mean([c.wave for c in together], axis=0), rate)[1],
        "wave_around": max((repetition(c.wave, rate)[0] for c in others), default=wave),
        "steady_around": float(np.median(np.concatenate([c.track_share for c in together]))),
        "evolution": float(high - low),
    }


def _trend(log_hz: FLOAT) -> float:
    """Correlation with time, 0 to 1, less where the line changes by less than 0.15."""
    time = np.arange(len(log_hz)) - (len(log_hz) - 1) / 2
    centred = log_hz - log_hz.mean()
    along = float(centred @ time)
    change = abs(along) / float(time @ time) * len(time)
    return abs(along) / float(np.sqrt(max(centred @ centred, 1e-9) * (time @ time))) * min(1.0, change / 0.15)
