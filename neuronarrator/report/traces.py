"""The signal as compact text inside the page: resampled, rounded and Rice coded to fit a budget of bytes.

A neurologist's page needs every sample of the display rate, so the signal is coded without loss from there on: each
channel of a segment is predicted from its own past (difference of order 0, 1 or 2) and, where that helps, from the row
above it, and the residuals are written in the Rice code of lossless audio (R. F. Rice, JPL Publication 79-22, 1979).
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from corpus.recording import Recording

# Rates in Hz (None: that of the recording) and steps in µV, best first; the first that fits the budget is taken.
LADDER: tuple[tuple[float | None, float], ...] = (
    (None, 0.5),
    (128.0, 0.5),
    (128.0, 1.0),
    (100.0, 1.0),
    (100.0, 2.0),
    (80.0, 2.0),
    (64.0, 2.0),
    (64.0, 4.0),
)
PASS_EDGE = 0.4  # of the display rate: full amplitude up to here, falling to nothing at half the rate
CONTEXT_S = 1.0  # signal around a segment that the resampling sees
LIMIT = 2**20  # steps; larger values are clipped
SAMPLED_SEGMENTS = 12  # segments a rung of the ladder is judged by


@dataclass(frozen=True, eq=False)
class Cut:
    """The signal of a segment with its context.

    Attributes:
        block_uv: (C, T) µV, finite, with `pad` samples on either side; beyond the recording its edges go on.
        sfreq: Hz.
        pad: samples of the context.
    """

    block_uv: np.ndarray
    sfreq: float
    pad: int


@dataclass(frozen=True)
class Traces:
    """Coded traces of all segments.

    Attributes:
        rate: samples a second on the page, Hz.
        step_uv: what one integer step means, µV.
        lengths: samples of each segment.
        blocks: base64 text of each segment.
        extent_uv: median over channels and segments of the range that holds the middle 95 % of the samples, µV.
    """

    rate: float
    step_uv: float
    lengths: tuple[int, ...]
    blocks: tuple[str, ...]
    extent_uv: float


def encode_traces(recording: Recording, rows: list[int], spans: list[tuple[float, float]], budget: int) -> Traces:
    """Code the segments of a recording so that their text takes at most `budget` characters, if any rung does.

    Args:
        recording: signal (C, T) in µV.
        rows: channel indices in page order; neighbours on the page predict each other.
        spans: start and duration of each segment in the recording, seconds.
        budget: characters of base64 for all segments together.
    """
    chosen = spans[:: max(1, len(spans) // SAMPLED_SEGMENTS)]
    sampled = [cut_out(recording, rows, *span) for span in chosen]  # read once: a long recording is costly to read
    for rung, (wanted, step) in enumerate(LADDER):
        rate = min(wanted or recording.sfreq, recording.sfreq)
        last = rung == len(LADDER) - 1
        if not last and _total(_encode(sampled, rate, step)) * len(spans) > budget * len(sampled):
            continue
        coded = _encode((cut_out(recording, rows, *span) for span in spans), rate, step)
        if last or _total(coded) <= budget:
            break
    blocks, lengths, extents = zip(*coded, strict=True) if coded else ((), (), ())
    return Traces(rate, step, lengths, blocks, float(np.median(extents)) if extents else 0.0)


def _encode(cuts: Iterable[Cut], rate: float, step: float) -> list[tuple[str, int, float]]:
    """Text, samples and extent (µV) of each segment."""
    coded = []
    for cut in cuts:
        piece = at_rate(cut, rate)
        steps = np.clip(np.rint(piece / step), -LIMIT, LIMIT).astype(np.int64)
        extent = np.median(np.ptp(np.percentile(piece, [2.5, 97.5], axis=1), axis=0)) if piece.size else 0.0
        coded.append((base64.b64encode(encode_block(steps)).decode("ascii"), piece.shape[1], float(extent)))
    return coded


def _total(coded: list[tuple[str, int, float]]) -> int:
    return sum(len(text) for text, _, _ in coded)


def cut_out(recording: Recording, rows: list[int], start_s: float, duration_s: float) -> Cut:
    """One segment with its context.

    Values that are not finite are drawn as zero. A segment that reaches beyond the recording is cut at its end.
    """
    pad, count = round(CONTEXT_S * recording.sfreq), recording.signal_uv.shape[1]
    begin = min(max(round(start_s * recording.sfreq), 0), count)
    stop = min(max(round((start_s + duration_s) * recording.sfreq), begin), count)
    if begin == stop:
        return Cut(np.zeros((len(rows), 0), np.float32), recording.sfreq, 0)
    low, high = max(begin - pad, 0), min(stop + pad, count)
    block = np.nan_to_num(recording.signal_uv[rows, low:high], posinf=0.0, neginf=0.0)
    block = np.pad(block, ((0, 0), (low - begin + pad, stop + pad - high)), mode="edge")
    return Cut(block, recording.sfreq, pad)


def at_rate(cut: Cut, rate: float) -> np.ndarray:
    """A segment at the display rate without its context, (C, N) µV, the median of each channel removed."""
    count = cut.block_uv.shape[1]
    if not count:
        return cut.block_uv
    piece = resample(cut.block_uv, cut.sfreq, rate)
    first = round(cut.pad * piece.shape[1] / count)
    piece = piece[:, first : first + round((count - 2 * cut.pad) * piece.shape[1] / count)]
    return piece - np.median(piece, axis=1, keepdims=True)


def resample(signal: np.ndarray, sfreq: float, rate: float) -> np.ndarray:
    """Resample (C, T) to a lower rate in the frequency domain, with a cosine edge instead of a brick wall."""
    if rate >= sfreq:
        return signal
    count = signal.shape[1]
    target = round(count * rate / sfreq)
    freqs = np.fft.rfftfreq(count, 1 / sfreq)[: target // 2 + 1]
    edge = np.clip((freqs / rate - PASS_EDGE) / (0.5 - PASS_EDGE), 0, 1)
    taper = (0.5 + 0.5 * np.cos(np.pi * edge)) * (target / count)
    return np.fft.irfft(np.fft.rfft(signal)[:, : len(taper)] * taper, target)


def encode_block(steps: np.ndarray) -> bytes:
    """Rice code of one segment.

    Args:
        steps: (C, N) integers.

    Returns:
        One byte a channel (bits 0-4 the Rice parameter k, 5-6 the order of difference, 7 set where the channel above
        was subtracted), then the bits of all residuals in order: quotient zeros, a one, k low bits.
    """
    if not steps.size:
        return b""
    coded, k, which = _best_prediction(steps.astype(np.int64))
    head = (k | which << 5).astype(np.uint8)
    return head.tobytes() + _pack(coded, k)


def _best_prediction(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    above = np.concatenate([np.zeros_like(steps[:1]), steps[:-1]])
    candidates = []
    for base in (steps, steps - above):
        once = np.diff(base, prepend=0)
        candidates += [base, once, np.diff(once, prepend=0)]
    codes = np.array([0, 1, 2, 4, 5, 6])  # order of difference, plus 4 where the channel above is subtracted
    residuals = np.stack(candidates)
    unsigned = np.where(residuals >= 0, 2 * residuals, -2 * residuals - 1)
    k = _parameter(unsigned)
    best = ((unsigned >> k[..., None]).sum(-1) + (1 + k) * steps.shape[1]).argmin(0)
    rows = np.arange(steps.shape[0])
    return unsigned[best, rows], k[best, rows], codes[best]


def _parameter(unsigned: np.ndarray) -> np.ndarray:
    mean = np.maximum(unsigned.mean(-1) * np.log(2), 1.0)
    return np.ceil(np.log2(mean)).astype(np.int64)


def _pack(unsigned: np.ndarray, k: np.ndarray) -> bytes:
    values = unsigned.ravel()
    low = np.repeat(k, unsigned.shape[1])
    quotient = values >> low
    stop = np.cumsum(quotient + 1 + low)
    bits = np.zeros(int(stop[-1]), np.uint8)
    bits[stop - low - 1] = 1
    for place in range(int(k.max())):  # the last bit of each value first
        has = low > place
        bits[stop[has] - 1 - place] = (values[has] >> place) & 1
    return np.packbits(bits).tobytes()
