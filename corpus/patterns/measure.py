"""What a segment's repetition looks like, before neighbours are asked: courses of each side and of the whole head.

Neighbouring electrodes are subtracted (a bipolar montage of any layout). The first principal component of the
differences of the left side, of the right side and of all is a course of time; the first one of their envelopes is a
course of what is sharp. Shapes: C channels, T samples, D differences, L lags, W windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d

from corpus.areas import adjacent
from corpus.montage import side_of

FLOAT = NDArray[np.floating]
PASS_HZ = (0.5, 20.0)  # of the EEG that patterns are seen in
SHARP_HZ = (2.0, 20.0)  # of what is sharp: its size over time is the envelope
ENVELOPE_HZ, ENVELOPE_S = (0.3, 8.0), 0.12
RATE_HZ = 100.0  # that everything is measured at
CLIP, CLIP_SHARP = 8.0, 6.0  # of the robust standard deviation of a difference, of the median of its envelope
LEAST_UV = 0.05  # robust standard deviation of a difference: less is no EEG
REPEAT_HZ = (0.4, 4.2)  # how often discharges or waves may come
FIRST_OF = 0.8  # the shortest period counts whose correlation is this share of the highest
STRONGEST = 4  # differences whose own autocorrelation is measured
TRACK_S, TRACK_STEP_S, TRACK_HZ, TRACK_WIDTH_HZ = 2.0, 0.5, (1.0, 12.0), 0.75
SIDES = {"left": -1, "right": 1, "midline": 0}


@dataclass(frozen=True, eq=False)
class Course:
    """The leading course of a side, or of the head.

    Attributes:
        wave: (L,) its autocorrelation.
        near: (L,) the mean of the autocorrelations of the `STRONGEST` differences that it consists of.
        sharp: (L,) autocorrelation of the leading envelope.
        track_hz: (W,) frequency with the most power times frequency, in windows of `TRACK_S`.
        track_share: (W,) share of the power at that frequency.
        track_power: (W,) natural logarithm of the power.
        duty: share of the time that it exceeds half of its 95th percentile: little of discharges, much of waves.
        delta: share of the power below 4 Hz.
        theta: share of the power at 4-8 Hz.
    """

    wave: FLOAT
    near: FLOAT
    sharp: FLOAT
    track_hz: FLOAT
    track_share: FLOAT
    track_power: FLOAT
    duty: float
    delta: float
    theta: float


@dataclass(frozen=True, eq=False)
class Trace:
    """The courses of one segment, and how they divide; (right - left) / (right + left) of amplitudes.

    Attributes:
        left: of the left side.
        right: of the right side.
        both: of the whole head.
        side: of the leading course.
        side_sharp: of the leading envelope.
        side_wave: of what repeats at the period of the leading course.
        rate_hz: of lags.
    """

    left: Course
    right: Course
    both: Course
    side: float
    side_sharp: float
    side_wave: float
    rate_hz: float


def trace_segment(signal_uv: FLOAT, ch_names: tuple[str, ...], sfreq: float, good: NDArray[np.bool_]) -> Trace | None:
    """Measure a segment; None where too few electrodes of either side are left, or dead.

    Args:
        signal_uv: (C, T).
        ch_names: C names.
        sfreq: Hz.
        good: (C,) booleans: channels with EEG.
    """
    first, second, side = differences(ch_names)
    used = good[first] & good[second]
    first, second, side = first[used], second[used], side[used]
    if min((side < 0).sum(), (side > 0).sum()) < 3:
        return None
    signal = np.asarray(signal_uv, np.float32)
    slow, fast = (band[first] - band[second] for band in _bands(signal, (PASS_HZ, SHARP_HZ), sfreq))
    rate = sfreq * slow.shape[1] / signal.shape[1]
    size = 1.4826 * np.median(np.abs(slow), axis=1, keepdims=True)
    if np.median(size) < LEAST_UV:
        return None
    slow = np.clip(slow, -CLIP * size, CLIP * size)
    sharp = _envelopes(fast, rate)
    left, right, both = (_course(slow[at], sharp[at], rate) for at in (side < 0, side > 0, side < 2))
    _, weights, _ = leading(slow)
    _, sharp_weights, _ = leading(sharp)
    _, _, hertz = repetition(both.wave, rate)
    lag = round(rate / hertz) if hertz else 0
    again = np.sqrt(np.maximum((slow[:, : slow.shape[1] - lag] * slow[:, lag:]).mean(1), 0))
    lead, lead_sharp, lead_wave = (_lateral(own, side) for own in (weights, sharp_weights, again))
    return Trace(left, right, both, lead, lead_sharp, lead_wave, rate)


@lru_cache(maxsize=64)
def differences(ch_names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the first and second electrode of each pair of neighbours on one side, and that side (-1, 0, 1): (D,)."""
    sides = np.array([SIDES[side_of(name)] for name in ch_names])
    first, second = np.nonzero(np.triu(adjacent(ch_names), 1) & (np.multiply.outer(sides, sides) >= 0))
    return first, second, np.where(sides[first] != 0, sides[first], sides[second])


def _lateral(weights: FLOAT, side: NDArray[np.int64]) -> float:
    """(right - left) / (right + left) of the root mean square of weights (D,)."""
    left, right = (float(np.sqrt((weights[at] ** 2).mean())) for at in (side < 0, side > 0))
    return (right - left) / max(right + left, 1e-9)


def _bands(signal: FLOAT, bands: Sequence[tuple[float, float]], sfreq: float) -> list[FLOAT]:
    """(C, T) in each pass band, zero-phase, at `RATE_HZ` where that is less: slopes of a Butterworth of order four."""
    size = signal.shape[-1]
    short = min(round(size * RATE_HZ / sfreq), size)
    spectrum = fft.rfft(signal, axis=-1)[..., : short // 2 + 1] * (short / size)
    hz = fft.rfftfreq(size, 1 / sfreq)[: short // 2 + 1]
    passed = []
    for low, high in bands:
        gain = 1 / np.sqrt((1 + (low / np.maximum(hz, 1e-6)) ** 8) * (1 + (hz / high) ** 8))
        gain[0] = 0
        passed.append(fft.irfft(spectrum * gain.astype(signal.dtype), short, axis=-1))
    return passed


def _envelopes(fast: FLOAT, rate: float) -> FLOAT:
    """How the size of (D, T) goes over time, in `ENVELOPE_HZ`."""
    size = uniform_filter1d(np.abs(fast), max(round(ENVELOPE_S * rate), 1), axis=1)
    return _bands(np.minimum(size, CLIP_SHARP * np.median(size, axis=1, keepdims=True)), (ENVELOPE_HZ,), rate)[0]


def leading(rows: FLOAT) -> tuple[FLOAT, FLOAT, float]:
    """First principal component of (D, T): its course (T,), its weights (D,), its share of the variance."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return (vectors[:, -1] @ rows).astype(float), vectors[:, -1], float(values[-1] / max(values.sum(), 1e-9))


def autocorrelation(course: FLOAT) -> FLOAT:
    """Of (..., T) at lags of 0 to half the length, unbiased, 1 at lag 0: (..., L)."""
    size = course.shape[-1]
    power = np.abs(fft.rfft(course - course.mean(-1, keepdims=True), 2 * size)) ** 2
    raw = fft.irfft(power)[..., : size // 2 + 1] / (size - np.arange(size // 2 + 1))
    return raw / np.maximum(raw[..., :1], 1e-12)


def repetition(correlation: FLOAT, rate: float) -> tuple[float, float, float]:
    """How a course repeats: autocorrelation at its period and at twice that, and 1 / period in Hz; (0, 0, 0) if not.

    Args:
        correlation: (L,) autocorrelation.
        rate: of its lags, Hz.
    """
    r = correlation
    low, high = int(rate / REPEAT_HZ[1]), min(int(rate / REPEAT_HZ[0]), len(r) - 2)
    lags = np.arange(low, high + 1)
    lags = lags[(r[lags] >= r[lags - 1]) & (r[lags] > r[lags + 1])]
    if not len(lags) or r[lags].max() <= 0:
        return 0.0, 0.0, 0.0
    lag = int(lags[np.flatnonzero(r[lags] >= FIRST_OF * r[lags].max())[0]])
    return float(r[lag]), float(r[2 * lag]) if 2 * lag < len(r) else 0.0, rate / lag


def _course(slow: FLOAT, sharp: FLOAT, rate: float) -> Course:
    course, weights, _ = leading(slow)
    strongest = slow[np.argsort(-np.abs(weights))[:STRONGEST]]
    centred = np.abs(course - course.mean())
    power = np.abs(fft.rfft((course - course.mean()) * np.hanning(len(course)))) ** 2
    hz = fft.rfftfreq(len(course), 1 / rate)
    whole = max(power[hz <= PASS_HZ[1]].sum(), 1e-12)
    return Course(
        wave=autocorrelation(course),
        near=autocorrelation(strongest).mean(0),
        sharp=autocorrelation(leading(sharp)[0]),
        **_track(course, rate),
        duty=float((centred > 0.5 * np.percentile(centred, 95)).mean()),
        delta=float(power[hz < 4].sum() / whole),
        theta=float(power[(hz >= 4) & (hz < 8)].sum() / whole),
    )


def _track(course: FLOAT, rate: float) -> dict[str, FLOAT]:
    """`track_hz`, `track_share` and `track_power` of `Course`."""
    size = round(TRACK_S * rate)
    windows = np.lib.stride_tricks.sliding_window_view(course, size)[:: round(TRACK_STEP_S * rate)]
    power = np.abs(fft.rfft(windows * np.hanning(size), 4 * size, axis=-1)) ** 2
    hz = fft.rfftfreq(4 * size, 1 / rate)
    inside = (hz >= TRACK_HZ[0]) & (hz <= TRACK_HZ[1])
    peak_hz = hz[inside][(power * hz)[:, inside].argmax(1)]
    near = np.abs(hz - peak_hz[:, None]) < TRACK_WIDTH_HZ
    whole = np.maximum(power[:, (hz >= PASS_HZ[0]) & (hz <= PASS_HZ[1])].sum(1), 1e-9)
    return {"track_hz": peak_hz, "track_share": (power * near).sum(1) / whole, "track_power": np.log(whole)}
