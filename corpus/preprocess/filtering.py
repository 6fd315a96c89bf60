"""Band-pass, notch and resampling as MNE does them, in as few passes as possible.

MNE filters with the band-pass, then with the notch, each after an odd reflection of the signal at both ends, and then
resamples by one Fourier transform of the whole signal. A symmetric filter keeps an odd reflection odd, so both filters
are one: their product, applied to the reflected signal in one overlap-save pass, is exact at the ends as well.

Resampling goes one of two ways. *In blocks*: inside the filter's own pass, on MNE's time grid, plus the ringing that
MNE's transform of the whole adds; memory does not grow with the stretch, and the result meets MNE's to better than
1e-3 microvolts, ends included. *Whole*: by the same transform as MNE, to rounding; for short stretches, where that is
as quick, and where content reaches the cut-off of the resampling, so that every sample depends on all others.

Two channels are the real and the imaginary part of one complex signal, transformed together. Everything is computed in
the precision of the samples that are read: float32 is enough for 1e-3 microvolts where no channel exceeds two
millivolts. MNE is not needed here; the tests compare with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from corpus.preprocess.fir import LinearSteps, reach_of, taps_of
from corpus.preprocess.overlap import Block, blocks_of, plan_pass, response_of, transform
from corpus.preprocess.resampling import (
    fill_reflected,
    find_ringing,
    pack,
    pad_reflected,
    padding_of,
    resample_padded,
    unpack,
)

Read = Callable[[int, int, slice], np.ndarray]
"""(start, stop, channels) -> (C', stop - start) microvolts: samples of one continuous stretch, not written to."""

WHOLE_TIMES = 1 << 15  # stretches up to this many samples are resampled by one transform
STREAM_VALUES = 1 << 25  # channels x samples that streaming may hold of a stretch that ought to be resampled whole
ROWS = 8  # channels transformed together: spectra stay in the cache of a core


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
    whole = resample and (n_times <= WHOLE_TIMES or not steps.is_clear)
    if stream and n_times > WHOLE_TIMES and n_chans * n_times > STREAM_VALUES:
        whole = False
    if n_times <= max(len(t) // 2 for t in taps_of(steps)) or whole:
        if stream:  # a source may be slow to read for a few channels at a time
            everything = read(0, n_times, slice(0, n_chans))
            yield _whole(lambda start, stop, rows: everything[rows, start:stop], shape, steps)
        else:
            yield _whole(read, shape, steps)
    else:
        rows = slice(0, n_chans)
        ringing = None
        if resample and steps.is_clear:
            ringing = find_ringing(
                partial(_total, read, n_times, rows), partial(_spread, steps), n_times, steps.sfreq, steps.new_sfreq
            )
        for block in blocks_of(plan_pass(steps, n_times, resample)):
            chunk = _run(read, n_times, block, rows)
            if ringing and (added := ringing.at(block.time)) is not None:
                chunk += added
            yield chunk


def _whole(read: Read, shape: tuple[int, int], steps: LinearSteps) -> np.ndarray:
    """MNE's three steps on a stretch in memory, a few channels at a time: (C, T') float32."""
    n_chans, n_times = shape
    result = np.empty((n_chans, steps.count(n_times)), np.float32)
    resample = steps.sfreq != steps.new_sfreq
    n_padded, before = padding_of(n_times) if resample else (n_times, 0)
    fused = n_times > max(len(t) // 2 for t in taps_of(steps))
    plan = plan_pass(steps, n_times, resample=False) if fused else None
    blocks = list(blocks_of(plan)) if plan else None
    n_rows = ROWS if n_times <= 1 << 20 else 2
    for first in range(0, n_chans, n_rows):
        rows = slice(first, min(first + n_rows, n_chans))
        padded, done = None, before
        for chunk in _filter(read, n_times, steps, blocks, rows):
            padded = np.empty((len(chunk), n_padded), chunk.dtype) if padded is None else padded
            padded[:, done : done + chunk.shape[1]] = chunk
            done += chunk.shape[1]
        assert padded is not None  # a stretch has samples
        if resample:
            fill_reflected(padded, before, n_times)
            padded = resample_padded(padded, before, steps.new_sfreq / steps.sfreq, result.shape[1])
        unpack(padded, result[rows])
    return result


def _filter(
    read: Read, n_times: int, steps: LinearSteps, blocks: list[Block] | None, rows: slice
) -> Iterator[np.ndarray]:
    """The filtered stretch at its own rate, packed, piece by piece; without blocks, MNE's way with short ones."""
    if blocks is None:
        yield pack(_filter_short(read(0, n_times, rows), steps))
        return
    for block in blocks:
        around = _around(read, n_times, block.start, block.start + block.plan.n_in, rows)
        yield transform(around.packed(slice(None)), block)


def _run(read: Read, n_times: int, block: Block, rows: slice) -> np.ndarray:
    """The part of the result that one block gives, (C, T) float32."""
    around = _around(read, n_times, block.start, block.start + block.plan.n_in, rows)
    result = np.empty((len(around.signal), len(block.time)), np.float32)
    for first in range(0, len(result), ROWS):
        some = slice(first, first + ROWS)
        unpack(transform(around.packed(some), block), result[some])
    return result


@dataclass(frozen=True, eq=False)
class _Around:
    """What is needed of a stretch for some samples of it, reflected (odd) beyond its ends."""

    signal: np.ndarray  # (C, T)
    before: int  # samples to reflect in front ...
    after: int  # ... and at the end
    inner: slice  # the samples that were asked for, after that

    def packed(self, rows: slice) -> np.ndarray:
        """(P, samples asked for), an array of its own."""
        padded = pack(self.signal[rows], self.before, self.after)
        fill_reflected(padded, self.before, self.signal.shape[1])
        return padded[:, self.inner]


def _around(read: Read, n_times: int, start: int, stop: int, rows: slice) -> _Around:
    """Samples [start, stop) of the stretch, reflected at its ends as often as needed."""
    before, after = max(-start, 0), max(stop - n_times, 0)
    first = 0 if before else max(min(start, n_times - 1 - after), 0) if after else start
    last = n_times if after else min(max(stop, before + 1), n_times)
    x = read(first, last, rows)
    if max(before, after) >= n_times:  # more than one reflection
        x = np.pad(x, ((0, 0), (before, after)), mode="reflect", reflect_type="odd")
        return _Around(x, 0, 0, slice(0, stop - start))
    inner = start + before - first
    return _Around(x, before, after, slice(inner, inner + stop - start))


def _total(read: Read, n_times: int, rows: slice, middle: int, weights: np.ndarray) -> np.ndarray:
    """Sum of complex weights, of an odd number around a sample, times the stretch, (C,)."""
    start = middle - len(weights) // 2
    around = _around(read, n_times, start, start + len(weights), rows)
    window = pad_reflected(around.signal, around.before, around.after)[:, around.inner]
    return window @ weights.real.astype(window.dtype) + 1j * (window @ weights.imag.astype(window.dtype))


def _spread(steps: LinearSteps, weights: np.ndarray) -> np.ndarray:
    """Weights of the stretch, for weights of the filtered stretch; both of an odd number around the same sample."""
    from scipy.fft import fft, ifft, next_fast_len

    reach = reach_of(steps)
    n_fft = next_fast_len(len(weights) + 2 * reach, real=True)
    half = response_of(steps, n_fft)
    whole = np.concatenate([half, half[1 : (n_fft + 1) // 2][::-1]])
    return np.roll(ifft(fft(weights, n_fft) * whole), reach)[: len(weights) + 2 * reach]


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
