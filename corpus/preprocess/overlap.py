"""One pass over a stretch by overlap-save: the product of all filters, and where asked for MNE's new time grid.

A block is transformed, multiplied with the frequency response and transformed back at the new rate. MNE's samples drift
against the exact rate by less than one over a block: the block is evaluated at a few delays, and interpolated.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from corpus.preprocess.fir import LinearSteps, reach_of, taps_of
from corpus.preprocess.resampling import refit, time_grid

MARGIN_S = 1.0  # extra overlap of a block that is resampled: a sinc falls slowly ...
MARGIN_NYQUIST_S = 20.0  # ... and more so where there is content at the cut-off
GRID_TOLERANCE = 1e-5  # relative error allowed in following MNE's time grid
_MIN_FFT = 40_000
_FFT_PER_GUARD = 6  # a block is this many times its overlap on either side


@dataclass(frozen=True, eq=False)
class Plan:
    """Block sizes and time grid of one pass over a stretch."""

    steps: LinearSteps
    n_in: int  # samples of a block, transformed together
    n_block: int  # samples of its inverse transform
    n_valid: int  # of these, samples that are free of the block's ends
    n_out: int  # samples of the whole result
    guard: int  # samples of a block before the first valid one
    margin: int  # of these, samples that are faded
    start: float  # time of the first sample of the result, in samples of the input ...
    step: float  # ... and the time between two of them
    top: float  # upper end of the pass band, radians a sample of the input


@dataclass(frozen=True, eq=False)
class Block:
    """One block of a plan: where it begins, and how its part of the result is cut out of it."""

    plan: Plan
    start: int  # first sample of the input
    time: np.ndarray  # of the samples of the result, in samples of the input
    keep: slice  # of the inverse transform
    shifts: list[tuple[float, np.ndarray | None]]  # see `_shifts`


def plan_pass(steps: LinearSteps, n_times: int, resample: bool) -> Plan:
    """How to go over a stretch of `n_times` samples, at its own rate or (`resample`) at the new one."""
    margin = round((MARGIN_S if steps.is_clear else MARGIN_NYQUIST_S) * steps.sfreq) if resample else 0
    guard = reach_of(steps) + margin
    start, step = time_grid(n_times, steps.new_sfreq / steps.sfreq) if resample else (0.0, 1.0)
    n_out = steps.count(n_times) if resample else n_times
    around = 2 * guard + 8
    blocks = math.ceil(n_times / (max(_MIN_FFT, _FFT_PER_GUARD * guard) - around))
    n_in, n_block = _block_sizes(
        math.ceil(n_times / blocks) + around, steps.new_sfreq / steps.sfreq if resample else 1.0
    )
    ratio = n_block / n_in
    n_valid = n_block - 2 * math.ceil(guard * ratio) - math.ceil(2 * ratio) - 1
    edges = [steps.sfreq / 2, *([steps.new_sfreq / 2] if resample else []), *([steps.h_freq] if steps.h_freq else [])]
    top = 2 * math.pi * min(edges) / steps.sfreq
    return Plan(steps, n_in, n_block, n_valid, n_out, guard, margin, start, step, top)


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


def blocks_of(plan: Plan) -> Iterator[Block]:
    """The blocks of a pass, in order; together their times are all of the result."""
    ratio = plan.n_block / plan.n_in
    for done in range(0, plan.n_out, plan.n_valid):
        count = min(plan.n_valid, plan.n_out - done)
        time = plan.start + plan.step * np.arange(done, done + count)
        start = math.floor(time[0]) - plan.guard
        first = round((time[0] - start) * ratio)
        late = time - start - np.arange(first, first + count) / ratio  # the grid asked for against the block's own
        yield Block(plan, start, time, slice(first, first + count), _shifts(late, plan.top))


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
    nodes = np.cos(np.pi * (np.arange(n_nodes) + 0.5) / n_nodes)
    powers = np.ones((n_nodes, len(late)))
    np.cumprod(np.broadcast_to((late - middle) / half, (n_nodes - 1, len(late))), axis=0, out=powers[1:])
    weights = np.linalg.inv(np.vander(nodes, increasing=True).T) @ powers
    return list(zip((middle + half * nodes).tolist(), weights, strict=True))


def transform(window: np.ndarray, block: Block) -> np.ndarray:
    """Filter one packed block (P, n_in), overwritten, and evaluate it at its times: (P, T)."""
    from scipy.fft import fft, ifft

    plan = block.plan
    if plan.margin:  # no jump where the block closes on itself
        fade = (0.5 - 0.5 * np.cos(np.pi * (np.arange(plan.margin) + 0.5) / plan.margin)).astype(window.real.dtype)
        window[:, : plan.margin] *= fade
        window[:, -plan.margin :] *= fade[::-1]
    spectrum = fft(window, overwrite_x=True, norm="forward")
    if plan.n_block != plan.n_in:
        spectrum = refit(spectrum, plan.n_block)
    total: np.ndarray | None = None
    for i, (shift, weight) in enumerate(block.shifts, 1):
        operator = _operator(plan.steps, plan.n_in, plan.n_block, shift, window.dtype)
        product = np.multiply(spectrum, operator, out=spectrum if i == len(block.shifts) else None)
        part = ifft(product, overwrite_x=True, norm="forward")[:, block.keep]
        if weight is not None:
            part *= weight.astype(window.dtype)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None  # there is at least one shift
    return total


@lru_cache(maxsize=16)
def _operator(steps: LinearSteps, n_in: int, n_block: int, shift: float, dtype: np.dtype) -> np.ndarray:
    """Frequency response of the filters and a shift (in samples of the input), (n_block,) complex, of a real signal."""
    half = response_of(steps, n_in)[: min(n_in, n_block) // 2 + 1].astype(dtype)
    half *= np.exp(2j * np.pi / n_in * shift * np.arange(len(half)))
    if n_block < n_in:
        half[-1] = 0  # the bin at Nyquist has no phase
    whole = np.zeros(n_block, dtype)
    whole[: len(half)] = half
    whole[n_block - len(half) + 1 :] = half[:0:-1].conj()
    return whole


@lru_cache(maxsize=4)
def response_of(steps: LinearSteps, n_fft: int) -> np.ndarray:
    """Product of the (real, zero-phase) frequency responses, (n_fft // 2 + 1,)."""
    from scipy.fft import rfft

    response = np.ones(n_fft // 2 + 1)
    for taps in taps_of(steps):
        half = len(taps) // 2
        around_zero = np.zeros(n_fft)
        around_zero[: half + 1], around_zero[n_fft - half :] = taps[half:], taps[:half]
        response *= rfft(around_zero).real
    return response
