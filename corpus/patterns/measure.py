"""Numbers of a segment that tell periodic and rhythmic patterns: measured on the leading rhythm of each side.

Neighbouring electrodes are subtracted (a bipolar montage of any layout), and the first principal component of the
differences of the left side, of the right side and of both is the course of time that everything is measured on.
Shapes: C channels, T samples, D differences.
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
FAST_HZ = (4.0, 25.0)  # of what is sharp: its size over time is the envelope
ENVELOPE_HZ = (0.3, 8.0)
ENVELOPE_S = 0.12
RATE_HZ = 100.0  # that everything is measured at
CLIP = 8.0  # of the robust standard deviations of a difference, and half of it of the medians of an envelope
REPEAT_HZ = (0.4, 4.2)  # how often discharges or waves may come
FIRST_OF = 0.8  # the shortest period counts whose correlation is this share of the highest
NARROW_HZ = 0.35  # half the width of a rhythm
TRACK_S, TRACK_STEP_S, TRACK_HZ, TRACK_WIDTH_HZ = 2.0, 0.5, (1.0, 12.0), 0.75
SIDES = {"left": -1, "right": 1, "midline": 0}


@dataclass(frozen=True)
class Course:
    """What the leading course of a side, or of both, is like.

    Attributes:
        wave: autocorrelation at the period, 0 to 1.
        wave_again: autocorrelation at twice the period.
        wave_hz: 1 / period, Hz; 0 where nothing repeats.
        sharp: autocorrelation of the envelope of what is sharp, at its period.
        sharp_again: the same at twice that period.
        sharp_hz: 1 / period of the envelope.
        kurtosis: 1.5 of a sine, 3 of noise, more of discharges that stand apart.
        narrow: share of the power within `NARROW_HZ` of `wave_hz`.
        fast: median over time of the frequency with the most power times frequency, Hz.
        steady: median over time of the share of the power at that frequency.
        trend: rank correlation of that frequency with time, -1 to 1.
        change: of that frequency over the segment, as a ratio of at least 1 from a line through its logarithm.
        share: of the variance that the leading course has.
    """

    wave: float
    wave_again: float
    wave_hz: float
    sharp: float
    sharp_again: float
    sharp_hz: float
    kurtosis: float
    narrow: float
    fast: float
    steady: float
    trend: float
    change: float
    share: float


@dataclass(frozen=True)
class Measures:
    """The courses of the two sides and of both, and how they divide.

    Attributes:
        left: of the left side.
        right: of the right side.
        both: of the whole head.
        side: amplitude of the leading course of the head, left against right: (right - left) / (right + left).
    """

    left: Course
    right: Course
    both: Course
    side: float


def measure_patterns(
    signal_uv: FLOAT, ch_names: tuple[str, ...], sfreq: float, good: NDArray[np.bool_]
) -> Measures | None:
    """Measure a segment; None where too few electrodes of either side are left.

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
    slow, fast = (
        band[first] - band[second] for band in _bands(np.asarray(signal_uv, np.float32), (PASS_HZ, FAST_HZ), sfreq)
    )
    rate = sfreq * slow.shape[1] / signal_uv.shape[1]
    size = 1.4826 * np.median(np.abs(slow), axis=1, keepdims=True)
    slow = np.clip(slow, -CLIP * size, CLIP * size)
    fast = np.abs(fast) / np.maximum(np.median(np.abs(fast), axis=1, keepdims=True), np.float32(1e-9))
    _, weights, _ = leading(slow)
    left, right = (np.sqrt((weights[at] ** 2).mean()) for at in (side < 0, side > 0))
    on_left, on_right, all_over = (_course(slow[at], fast[at], rate) for at in (side < 0, side > 0, side < 2))
    return Measures(on_left, on_right, all_over, side=float((right - left) / max(right + left, 1e-9)))


@lru_cache(maxsize=64)
def differences(ch_names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the first and second electrode of each pair of neighbours on one side, and that side (-1, 0, 1): (D,)."""
    sides = np.array([SIDES[side_of(name)] for name in ch_names])
    first, second = np.nonzero(np.triu(adjacent(ch_names), 1) & (np.multiply.outer(sides, sides) >= 0))
    return first, second, np.where(sides[first] != 0, sides[first], sides[second])


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


def leading(rows: FLOAT) -> tuple[FLOAT, FLOAT, float]:
    """First principal component of (D, T): its course (T,), its weights (D,), its share of the variance."""
    values, vectors = np.linalg.eigh(rows @ rows.T)
    return (vectors[:, -1] @ rows).astype(float), vectors[:, -1], float(values[-1] / max(values.sum(), 1e-9))


def autocorrelation(course: FLOAT) -> FLOAT:
    """At lags of 0 to half the length, unbiased, 1 at lag 0."""
    size, centred = len(course), course - course.mean()
    power = np.abs(fft.rfft(centred, 2 * size)) ** 2
    raw = fft.irfft(power)[: size // 2 + 1] / (size - np.arange(size // 2 + 1))
    return raw / max(raw[0], 1e-12)


def repetition(course: FLOAT, sfreq: float) -> tuple[float, float, float]:
    """How a course repeats: autocorrelation at its period and at twice that, and 1 / period in Hz; (0, 0, 0) if not."""
    r = autocorrelation(course)
    low, high = int(sfreq / REPEAT_HZ[1]), min(int(sfreq / REPEAT_HZ[0]), len(r) - 2)
    lags = np.arange(low, high + 1)
    lags = lags[(r[lags] >= r[lags - 1]) & (r[lags] > r[lags + 1])]
    if not len(lags) or r[lags].max() <= 0:
        return 0.0, 0.0, 0.0
    lag = int(lags[np.flatnonzero(r[lags] >= FIRST_OF * r[lags].max())[0]])
    return float(r[lag]), float(r[2 * lag]) if 2 * lag < len(r) else 0.0, sfreq / lag


def _course(slow: FLOAT, fast: FLOAT, sfreq: float) -> Course:
    course, weights, share = leading(slow)
    wave, wave_again, wave_hz = repetition(course, sfreq)
    envelope = (np.abs(weights) @ fast / max(np.abs(weights).sum(), 1e-9)).astype(float)
    envelope = uniform_filter1d(envelope, round(ENVELOPE_S * sfreq))
    envelope = np.minimum(envelope, CLIP / 2 * 1.5 * np.median(envelope))
    sharp, sharp_again, sharp_hz = repetition(_bands(envelope, (ENVELOPE_HZ,), sfreq)[0], sfreq)
    centred = course - course.mean()
    kurtosis = float((centred**4).mean() / max((centred**2).mean() ** 2, 1e-12))
    power = np.abs(fft.rfft(centred * np.hanning(len(centred)))) ** 2
    hz = fft.rfftfreq(len(centred), 1 / sfreq)
    whole = power[(hz >= PASS_HZ[0]) & (hz <= PASS_HZ[1])].sum()
    narrow = float(power[np.abs(hz - wave_hz) <= NARROW_HZ].sum() / max(whole, 1e-12)) if wave_hz else 0.0
    track = _track(course, sfreq)
    return Course(wave, wave_again, wave_hz, sharp, sharp_again, sharp_hz, kurtosis, narrow, *track, share)


def _track(course: FLOAT, sfreq: float) -> tuple[float, float, float, float]:
    """`fast`, `steady`, `trend` and `change` of `Course`, from windows of `TRACK_S`."""
    size = round(TRACK_S * sfreq)
    windows = np.lib.stride_tricks.sliding_window_view(course, size)[:: round(TRACK_STEP_S * sfreq)]
    power = np.abs(fft.rfft(windows * np.hanning(size), 4 * size, axis=-1)) ** 2
    hz = fft.rfftfreq(4 * size, 1 / sfreq)
    inside = (hz >= TRACK_HZ[0]) & (hz <= TRACK_HZ[1])
    peak_hz = hz[(power * inside * hz).argmax(1)]
    near = np.abs(hz - peak_hz[:, None]) < TRACK_WIDTH_HZ
    whole = power[:, (hz >= PASS_HZ[0]) & (hz <= PASS_HZ[1])].sum(1)
    steady = (power * near).sum(1) / np.maximum(whole, 1e-12)
    time = np.arange(len(peak_hz))
    ranks = np.searchsorted(np.sort(peak_hz), peak_hz, "left") + np.searchsorted(np.sort(peak_hz), peak_hz, "right")
    time, ranks = time - time.mean(), ranks - ranks.mean()
    trend = float(ranks @ time / max(np.sqrt((ranks @ ranks) * (time @ time)), 1e-9))
    slope = float(np.log(peak_hz) @ time / max(time @ time, 1e-9))
    return float(np.median(peak_hz)), float(np.median(steady)), trend, float(np.exp(abs(slope) * (len(time) - 1)))
