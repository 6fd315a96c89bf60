"""Band-pass, notch and resampling as MNE does them, in as few passes as possible.

MNE filters with the band-pass, then with the notch, each after an odd reflection of the signal at both ends, and then
resamples by one Fourier transform of the whole signal. A symmetric filter keeps an odd reflection odd, so both filters
are one: their product, applied to the reflected signal in one overlap-save pass, is exact at the ends as well.

Resampling goes one of two ways. *In blocks*: inside the filter's own pass, on MNE's time grid, plus the ringing that
MNE's transform of the whole adds; memory does not grow with the stretch, and the result meets MNE's to better than
1e-3 microvolts, ends included. *Whole*: by the same transform as MNE, to rounding; for short stretches, where that is
as quick, and where content reaches the cut-off of the resampling, so that every sample depends on all others.

Everything is computed in the precision of the samples that are read: float32 is enough for 1e-3 microvolts up to a few
millivolts. MNE is not needed here; the tests compare with it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from corpus.fir import LinearSteps, taps_of
from corpus.resampling import fill_reflected, find_ringing, pad_reflected, padding_of, resample_padded, time_grid

Read = Callable[[int, int, slice], np.ndarray]
"""(start, stop, channels) -> (C', stop - start) microvolts: samples of one continuous stretch, an array of its own."""

WHOLE_TIMES = 1 << 15  # stretches up to this many samples are resampled by one transform
STREAM_VALUES = 1 << 25  # channels x samples that streaming may hold of a stretch that ought to be resampled whole
CLEAR_OF_NYQUIST = 0.97  # content below this share of the new Nyquist frequency is resampled in blocks
MARGIN_S = 1.0  # extra overlap of a block that is resampled: a sinc falls slowly ...
MARGIN_NYQUIST_S = 20.0  # ... and more so where there is content at the cut-off
GRID_TOLERANCE = 1e-5  # relative error allowed in following MNE's time grid
ROWS = 8  # channels transformed together: spectra stay in the cache of a core
_MIN_FFT = 1 << 15
_FFT_PER_GUARD = 8  # a block is this many times its overlap on either side


def filter_stretch(
    read: Read, shape: tuple[int, int], steps: LinearSteps, stream: bool = False
) -> Iterator[np.ndarray]:
    """Filter and resample one continuous stretch.

    Args:
        read: gives the samples.
        shape: (C, T) of the stretch.
        steps: what to do.
        stream: keep memory bounded even where the stretch ought to be resampled whole.

    Yields:
        (C, n) float32, in order; together `steps.count(T)` samples.
    """
    n_chans, n_times = shape
    resample = steps.sfreq != steps.new_sfreq
    whole = resample and (n_times <= WHOLE_TIMES or not _is_clear(steps))
    if stream and n_times > WHOLE_TIMES and n_chans * n_times > STREAM_VALUES:
        whole = False
    if n_times <= max(len(t) // 2 for t in taps_of(steps)) or whole:
        if stream:  # a source may be slow to read for a few channels at a time
            everything = read(0, n_times, slice(0, n_chans))
            yield _whole(lambda start, stop, rows: everything[rows, start:stop].copy(), shape, steps)
        else:
            yield _whole(read, shape, steps)
    else:
        rows = slice(0, n_chans)
        ringing = None
        if resample and _is_clear(steps):
            ringing = find_ringing(
                lambda start, stop: _piece(read, n_times, steps, (start, stop), rows),
                n_times,
                steps.sfreq,
                steps.new_sfreq,
            )
        for chunk, time in _run(read, n_times, _plan(steps, n_times, resample), rows):
            if ringing and (added := ringing.at(time)) is not None:
                chunk += added
            yield chunk.astype(np.float32, copy=False)


def _is_clear(steps: LinearSteps) -> bool:
    """Whether nothing is left where resampling cuts the spectrum off."""
    return steps.sfreq > steps.new_sfreq and steps.highest_hz < CLEAR_OF_NYQUIST * steps.new_sfreq / 2


def _whole(read: Read, shape: tuple[int, int], steps: LinearSteps) -> np.ndarray:
    """MNE's three steps on a stretch in memory, a few channels at a time: (C, T') float32."""
    n_chans, n_times = shape
    result = np.empty((n_chans, steps.count(n_times)), np.float32)
    resample = steps.sfreq != steps.new_sfreq
    n_padded, before = padding_of(n_times) if resample else (n_times, 0)
    fused = n_times > max(len(t) // 2 for t in taps_of(steps))
    plan = _plan(steps, n_times, resample=False) if fused else None
    n_rows = ROWS if n_times <= 1 << 20 else 1
    for first in range(0, n_chans, n_rows):
        rows = slice(first, min(first + n_rows, n_chans))
        padded, done = None, before
        for chunk in _filter(read, n_times, steps, plan, rows):
            padded = np.empty((len(chunk), n_padded), chunk.dtype) if padded is None else padded
            padded[:, done : done + chunk.shape[1]] = chunk
            done += chunk.shape[1]
        assert padded is not None  # a stretch has samples
        if resample:
            fill_reflected(padded, before, n_times)
            resample_padded(padded, before, steps.new_sfreq / steps.sfreq, result[rows])
        else:
            result[rows] = padded
    return result


def _filter(read: Read, n_times: int, steps: LinearSteps, plan: "_Plan | None", rows: slice) -> Iterator[np.ndarray]:
    """The filtered stretch at its own rate, piece by piece; without a plan, MNE's way with short ones."""
    if plan is None:
        yield _filter_short(read(0, n_times, rows), steps)
    else:
        yield from (chunk for chunk, _ in _run(read, n_times, plan, rows))


# One pass: overlap-save with the product of all filters, and where asked a new time grid


@dataclass(frozen=True, eq=False)
class _Plan:
    """Block sizes, frequency response and time grid of one pass over a stretch."""

    n_in: int  # samples of a block, transformed together
    n_block: int  # samples of its inverse transform
    n_valid: int  # of these, samples that are free of the block's ends
    n_out: int  # samples of the whole result
    guard: int  # samples of a block before the first valid one
    margin: int  # of these, samples that are faded
    start: float  # time of the first sample of the result, in samples of the input ...
    step: float  # ... and the time between two of them
    response: np.ndarray  # (bins that are kept,)
    top: float  # upper end of the pass band, radians a sample of the input


def _plan(steps: LinearSteps, n_times: int, resample: bool) -> _Plan:
    reach = sum(len(t) // 2 for t in taps_of(steps))
    margin = round((MARGIN_S if _is_clear(steps) else MARGIN_NYQUIST_S) * steps.sfreq) if resample else 0
    guard = reach + margin
    start, step = time_grid(n_times, steps.new_sfreq / steps.sfreq) if resample else (0.0, 1.0)
    n_out = steps.count(n_times) if resample else n_times
    around = 2 * guard + 8
    blocks = math.ceil(n_times / (max(_MIN_FFT, _FFT_PER_GUARD * guard) - around))
    n_in, n_block = _block_sizes(
        math.ceil(n_times / blocks) + around, steps.new_sfreq / steps.sfreq if resample else 1.0
    )
    response = _response(steps, n_in)[: min(n_in, n_block) // 2 + 1] * (n_block / n_in)
    if n_block != n_in:
        response[-1] *= 0.5 if n_block > n_in else 0.0  # the bin at Nyquist has no phase
    ratio = n_block / n_in
    n_valid = n_block - 2 * math.ceil(guard * ratio) - math.ceil(2 * ratio) - 1
    edges = [steps.sfreq / 2, *([steps.new_sfreq / 2] if resample else []), *([steps.h_freq] if steps.h_freq else [])]
    top = 2 * math.pi * min(edges) / steps.sfreq
    return _Plan(n_in, n_block, n_valid, n_out, guard, margin, start, step, response, top)


def _block_sizes(least: int, ratio: float) -> tuple[int, int]:
    """Even lengths of the transforms there and back, quick to compute, with a quotient close to `ratio`."""
    from scipy.fft import next_fast_len

    best: tuple[float, int, int] | None = None
    n_in = least
    while best is None or n_in < 1.25 * least:
        n_in = next_fast_len(n_in, real=True)
        n_block = round(n_in * ratio)
        quick = n_in % 2 == 0 and n_block % 2 == 0 and next_fast_len(n_block, real=True) == n_block
        if quick or n_in > 4 * least:
            found = (round(abs(n_block - n_in * ratio), 9), n_in, n_block)
            best = min(best, found) if best else found
        n_in += 1
    return best[1:]


@lru_cache(maxsize=16)
def _response(steps: LinearSteps, n_fft: int) -> np.ndarray:
    """Product of the (real, zero-phase) frequency responses, (n_fft // 2 + 1,)."""
    from scipy.fft import rfft

    response = np.ones(n_fft // 2 + 1)
    for taps in taps_of(steps):
        half = len(taps) // 2
        around_zero = np.zeros(n_fft)
        around_zero[: half + 1], around_zero[n_fft - half :] = taps[half:], taps[:half]
        response *= rfft(around_zero).real
    return response


def _run(read: Read, n_times: int, plan: _Plan, rows: slice) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The blocks of a pass, (C', at most n_valid) each in the precision of the samples, and their times."""
    ratio = plan.n_block / plan.n_in
    fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(plan.margin) + 0.5) / max(plan.margin, 1))
    for done in range(0, plan.n_out, plan.n_valid):
        count = min(plan.n_valid, plan.n_out - done)
        time = plan.start + plan.step * np.arange(done, done + count)
        begin = math.floor(time[0]) - plan.guard
        first = round((time[0] - begin) * ratio)
        late = time - begin - np.arange(first, first + count) / ratio  # the grid asked for against the block's own
        window = _window(read, n_times, begin, begin + plan.n_in, rows)
        if plan.margin:  # no jump where the block closes on itself
            window[:, : plan.margin] *= fade.astype(window.dtype)
            window[:, -plan.margin :] *= fade[::-1].astype(window.dtype)
        yield _transform(window, plan, slice(first, first + count), _shifts(late, plan.top)), time


def _shifts(late: np.ndarray, top: float) -> list[tuple[float, np.ndarray | None]]:
    """Shifts (samples of the input) and weights (T,) whose sum follows `late`.

    The delay changes by less than a sample over a block, so that a signal at a few fixed delays, the Chebyshev nodes of
    the range, gives it everywhere in between by polynomial interpolation.
    """
    middle, half = (late.max() + late.min()) / 2, (late.max() - late.min()) / 2
    n_nodes, angle = 1, half * top
    while angle**n_nodes / (2 ** (n_nodes - 1) * math.factorial(n_nodes)) > GRID_TOLERANCE:
        n_nodes += 1
    if n_nodes == 1:
        return [(middle, None)]
    nodes = middle + half * np.cos(np.pi * (np.arange(n_nodes) + 0.5) / n_nodes)
    weights = [np.ones(len(late)) for _ in nodes]
    for weight, node in zip(weights, nodes, strict=True):
        for other in nodes[nodes != node]:
            weight *= (late - other) / (node - other)
    return list(zip(nodes.tolist(), weights, strict=True))


def _transform(
    window: np.ndarray, plan: _Plan, keep: slice, shifts: list[tuple[float, np.ndarray | None]]
) -> np.ndarray:
    """Filter one block (C, n_in) and evaluate it at its shifts: (C, samples in `keep`)."""
    from scipy.fft import irfft, rfft

    operators = [_shifted(plan, shift, window.dtype) for shift, _ in shifts]
    weights = [None if weight is None else weight.astype(window.dtype) for _, weight in shifts]
    parts = []
    for first in range(0, len(window), ROWS):
        spectrum = rfft(window[first : first + ROWS])[:, : len(plan.response)]
        shifted = []
        for operator, weight in zip(operators, weights, strict=True):
            shifted.append(irfft(spectrum * operator, plan.n_block, overwrite_x=True)[:, keep])
            if weight is not None:
                shifted[-1] *= weight
        for part in shifted[1:]:
            shifted[0] += part
        parts.append(shifted[0])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _shifted(plan: _Plan, shift: float, dtype: np.dtype) -> np.ndarray:
    """Frequency response of filters and a shift (in samples of the input), real where there is no shift."""
    response = plan.response.astype(dtype)
    if abs(shift) < 1e-9:
        return response
    angle = (2 * np.pi / plan.n_in * shift * np.arange(len(response))).astype(dtype)
    operator = np.empty(len(response), np.result_type(dtype, np.complex64))
    operator.real, operator.imag = response * np.cos(angle), response * np.sin(angle)
    return operator


def _window(read: Read, n_times: int, start: int, stop: int, rows: slice) -> np.ndarray:
    """Samples [start, stop) of the stretch, reflected (odd) at its ends as often as needed."""
    before, after = max(-start, 0), max(stop - n_times, 0)
    if not before and not after:
        return read(start, stop, rows)
    first = 0 if before else max(min(start, n_times - 1 - after), 0)
    last = n_times if after else min(max(stop, before + 1), n_times)
    x = read(first, last, rows)
    if max(before, after) >= n_times:  # more than one reflection
        padded = np.pad(x, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
    else:
        padded = pad_reflected(x, before, after)
    return padded[:, start + before - first :][:, : stop - start]


def _piece(read: Read, n_times: int, steps: LinearSteps, span: tuple[int, int], rows: slice) -> np.ndarray:
    """Samples [start, stop) of the filtered stretch at its own rate."""
    from scipy.fft import irfft, next_fast_len, rfft

    reach = sum(len(t) // 2 for t in taps_of(steps))
    n_fft = 2 * next_fast_len((span[1] - span[0]) // 2 + reach + 1, real=True)
    window = _window(read, n_times, span[0] - reach, span[0] - reach + n_fft, rows)
    filtered = irfft(rfft(window) * _response(steps, n_fft).astype(window.dtype), n_fft)
    return filtered[:, reach : reach + span[1] - span[0]]


def _filter_short(x: np.ndarray, steps: LinearSteps) -> np.ndarray:
    """The filters on a stretch (C, T) shorter than half of one: MNE reflects once and takes zero beyond."""
    from scipy.signal import oaconvolve

    x = x.astype(np.float64)
    n_times = x.shape[1]
    for taps in taps_of(steps):
        edge = min(len(taps), n_times) - 1
        start = edge + len(taps) // 2
        x = oaconvolve(pad_reflected(x, edge, edge), taps[None], axes=1)[:, start : start + n_times]
    return x
