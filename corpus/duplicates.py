"""Near-duplicate signals: the same ten seconds under two names, found without comparing all pairs.

A fingerprint follows the spatial spread of the EEG over time: the standard deviation over channels, which no change of
reference moves. Its logarithm, 50 values a second, is cut into windows of 4 s; the signs of their cosine coefficients
between 0.25 and 9 Hz are the keys. Signs survive scaling, added noise, resampling, another reference and some missing
channels; windows in small steps survive a shift in time, since two segments of one signal that overlap by 5 s share
windows. Segments that share a few keys at one shift are candidates, and candidates are compared sample by sample.
The idea is that of audio fingerprints (Haitsma & Kalker 2002), with an envelope in the place of energy differences.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

FRAME_HZ = 50
WINDOW = 200  # frames
STEP = 5  # frames between the windows that are looked up; those that look are one frame apart
TABLES, BITS = 3, 24
COEFFICIENTS = np.arange(2, 2 + TABLES * BITS).reshape(BITS, TABLES).T  # of each table; k is k / 8 Hz
MIN_MAD_UV = 0.05  # a channel that moves less carries no signal
LAGS = 1 << 16  # shifts are less, in frames
MIN_VOTES = (2, 3)  # keys that candidates share: of few, and of many pairs of segments, where chance gives some ...
MANY_PAIRS = 10**7  # ... which costs time only: every candidate is compared
MAX_BUCKET = 200  # segments under one key; more have nothing of their own, as pure mains or a step of a filter
MIN_CORRELATION = 0.8
_NEW_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
_ANGLES = np.pi * (np.arange(WINDOW) + 0.5)[:, None] * COEFFICIENTS.reshape(-1) / WINDOW
_COSINES = np.cos(_ANGLES).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """A segment to compare.

    Attributes:
        name: its id.
        side: only segments of different sides are compared.
        signal_uv: (C, T) microvolts.
        sfreq: Hz.
        ch_names: C names.
    """

    name: str
    side: str
    signal_uv: np.ndarray
    sfreq: float
    ch_names: tuple[str, ...]


@dataclass(frozen=True)
class Duplicate:
    """Two segments of one signal.

    Attributes:
        first: id.
        second: id of a segment on another side.
        lag_s: the second starts so much later within the common signal.
        correlation: median over channels and seconds.
    """

    first: str
    second: str
    lag_s: float
    correlation: float


@dataclass(frozen=True)
class Comparison:
    """What was found, and how many segments were compared or could not be (no signal, or less than 4 s of it)."""

    duplicates: tuple[Duplicate, ...]
    compared: int
    blank: int


def find_duplicates(samples: Iterable[Sample], sides: Counter[str], load: Callable[[str], Sample]) -> Comparison:
    """Segments of different sides that are the same signal, over at least 4 s.

    Args:
        samples: all segments, once.
        sides: how many segments each side has.
        load: gets a segment again by its id, to compare candidates.

    Returns:
        Each pair once.
    """
    names: list[str] = []
    codes: list[int] = []
    sparse, dense, owners = [], [], []
    code_of = {side: number for number, side in enumerate(sorted(sides))}
    largest = max(sides, key=lambda side: (sides[side], side), default="")
    blank = 0
    for sample in samples:
        keys = keys_of(envelope(sample))
        if keys is None:
            blank += 1
            continue
        if sample.side != largest:
            dense.append(keys)
            owners.append(len(names))
        sparse.append(keys[::STEP])
        names.append(sample.name)
        codes.append(code_of[sample.side])
    pairs = _candidates(sparse, dense, owners, np.array(codes, np.int8))
    found = (_compare(load(names[a]), load(names[b]), lag) for a, b, lag in pairs)
    return Comparison(tuple(d for d in found if d is not None), len(names), blank)


def envelope(sample: Sample) -> np.ndarray:
    """Logarithm of the spread over channels, (T / sfreq * 50,) float32; empty without a signal.

    Channels are taken against their median, and scaled each by its own median deviation: the first makes any common
    reference equal, and by both one bad electrode does not rule the others.
    """
    width = max(round(sample.sfreq / FRAME_HZ), 1)
    count = sample.signal_uv.shape[1] // width
    frames = sample.signal_uv[:, : count * width].reshape(-1, count, width).mean(-1)
    frames = _rereferenced(_without_drift(frames, FRAME_HZ))
    mad = np.median(np.abs(frames), axis=1)
    frames = frames[mad > MIN_MAD_UV] / mad[mad > MIN_MAD_UV, None]
    if len(frames) == 0:
        return np.zeros(0, np.float32)
    spread = np.sqrt((frames * frames).mean(0))
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)  # 30 ms
    smooth = np.convolve(np.pad(spread, 6, mode="edge"), kernel / kernel.sum(), "valid")
    return np.log(smooth + 1e-6).astype(np.float32)


def keys_of(series: np.ndarray) -> np.ndarray | None:
    """Keys of every window of an envelope, (windows, TABLES) uint32; None where it is shorter than a window."""
    if len(series) < WINDOW:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(series, WINDOW)
    signs = (windows @ _COSINES > 0).reshape(-1, TABLES, BITS)
    return signs.astype(np.uint32) @ (np.uint32(1) << np.arange(BITS, dtype=np.uint32))


def _without_drift(signal: np.ndarray, width: int) -> np.ndarray:
    """A signal (C, T) less its moving mean over `width` samples."""
    padded = np.pad(signal.astype(np.float64), ((0, 0), (width // 2 + 1, width - width // 2 - 1)), mode="edge")
    sums = padded.cumsum(1)
    return signal - (sums[:, width:] - sums[:, :-width]) / width


def _rereferenced(signal: np.ndarray) -> np.ndarray:
    """Channels against the median of all, where there are more than two."""
    return signal - np.median(signal, axis=0) if len(signal) > 2 else signal


def _candidates(
    sparse: Sequence[np.ndarray], dense: Sequence[np.ndarray], owners: Sequence[int], sides: np.ndarray
) -> list[tuple[int, int, int]]:
    """Pairs of segments on different sides with a shift in frames, by shared keys."""
    if not dense:
        return []
    windows = np.concatenate([np.arange(len(keys), dtype=np.int32) * STEP for keys in sparse])
    owner = np.repeat(np.arange(len(sparse), dtype=np.int32), [len(keys) for keys in sparse])
    hits = []
    for table in range(TABLES):
        keys = np.concatenate([part[:, table] for part in sparse])
        order = np.argsort(keys, kind="stable")
        known = keys[order], owner[order], windows[order]
        for start in range(0, len(dense), 64):
            batch = slice(start, start + 64)
            hits.append(_matches(known, [part[:, table] for part in dense[batch]], owners[batch], sides))
    votes = dict(zip(*(found.tolist() for found in np.unique(np.concatenate(hits), return_counts=True)), strict=True))
    needed = MIN_VOTES[len(dense) * len(sparse) > MANY_PAIRS]
    best: dict[int, tuple[int, int]] = {}
    for hit, count in votes.items():
        total = count + votes.get(hit - 1, 0) + votes.get(hit + 1, 0)
        if total >= needed:
            pair, lag = divmod(hit, LAGS)
            best[pair] = max(best.get(pair, (0, 0)), (total, lag - LAGS // 2))
    return [(*divmod(pair, len(sparse)), lag) for pair, (_, lag) in sorted(best.items())]


def _matches(
    known: tuple[np.ndarray, np.ndarray, np.ndarray],
    dense: Sequence[np.ndarray],
    owners: Sequence[int],
    sides: np.ndarray,
) -> np.ndarray:
    """For every key that two segments on different sides share: (first * segments + second) * LAGS + shift."""
    keys, owner, windows = known
    asked = np.concatenate(dense)
    asker = np.repeat(owners, [len(part) for part in dense])
    at = np.concatenate([np.arange(len(part)) for part in dense])
    low, high = np.searchsorted(keys, asked, "left"), np.searchsorted(keys, asked, "right")
    sizes = np.where(high - low <= MAX_BUCKET, high - low, 0)
    rows = np.repeat(np.arange(len(asked)), sizes)
    hit = np.repeat(low, sizes) + np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    a, b, lag = asker[rows], owner[hit].astype(np.int64), at[rows] - windows[hit]
    apart = sides[a] != sides[b]
    a, b, lag = a[apart], b[apart], lag[apart]
    lag = np.where(a > b, -lag, lag)
    return (np.minimum(a, b) * len(sides) + np.maximum(a, b)) * LAGS + lag + LAGS // 2


def _compare(first: Sample, second: Sample, lag: int) -> Duplicate | None:
    """The pair, if both are one signal at about this shift in frames."""
    if first.sfreq != second.sfreq:
        return None
    x, y = _common(first, second)
    step, width = round(first.sfreq / FRAME_HZ), round(first.sfreq)
    best = max(
        ((_agreement(*_overlap(x, y, shift), width), shift) for shift in range((lag - 2) * step, (lag + 2) * step + 1)),
    )
    if best[0] < MIN_CORRELATION:
        return None
    return Duplicate(first.name, second.name, best[1] / first.sfreq, round(best[0], 3))


def _common(first: Sample, second: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Both signals, 0.5 to about 18 Hz, on their common electrodes, rereferenced; else both envelopes."""
    rows = []
    for sample in (first, second):
        lower = [name.lower() for name in sample.ch_names]
        rows.append({_NEW_NAMES.get(name, name): i for i, name in enumerate(lower)})
    names = [name for name in rows[0] if name in rows[1]]
    signals = []
    for sample, row in zip((first, second), rows, strict=True):
        width = max(round(sample.sfreq / 40), 1)
        signal = sample.signal_uv[[row[name] for name in names]] if names else sample.signal_uv[:0]
        slow = _without_drift(signal, round(sample.sfreq))
        smooth = slow - _without_drift(slow, width)
        signals.append(_rereferenced(smooth))
    if not names:
        signals = [np.repeat(envelope(s), round(s.sfreq / FRAME_HZ))[None] for s in (first, second)]
    return signals[0], signals[1]


def _overlap(x: np.ndarray, y: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """What both hold when the second starts `shift` samples later."""
    x, y = (x[:, shift:], y) if shift >= 0 else (x, y[:, -shift:])
    length = min(x.shape[1], y.shape[1])
    return x[:, :length], y[:, :length]


def _agreement(x: np.ndarray, y: np.ndarray, width: int) -> float:
    """Median over channels and windows of the correlation, without sign; windows that do not move are left out."""
    count = x.shape[1] // width
    if count == 0:
        return 0.0
    a, b = (s[:, : count * width].reshape(len(s), count, width) for s in (x, y))
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    norms = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    moving = norms > 1e-9 * width
    return abs(float(np.median((a * b).sum(-1)[moving] / norms[moving]))) if moving.any() else 0.0
