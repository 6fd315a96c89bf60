"""Resampling as MNE does it, by a Fourier transform of the whole stretch, and what is needed to do it in blocks.

MNE (`mne.filter.resample`, method "fft", npad="auto") pads a stretch to a power of two by an odd reflection, transforms
it, cuts or extends the spectrum, and transforms it back. Two things follow that a resampler in blocks has to know: the
new samples lie up to half a sample off the exact rate (`time_grid`), and the end of the padded stretch is joined to its
start, a jump that rings through the whole result at the cut-off frequency (`Ringing`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

INVISIBLE_UV = 3e-5  # ringing below this is left out
LANES = 4  # rows that scipy transforms at once, in single precision; one or two more cost less than a full set


def time_grid(n_times: int, ratio: float) -> tuple[float, float]:
    """Times of MNE's resampled samples, (first, step) in samples of the input.

    MNE pads to a power of two and rounds both the padded length and the padding at the new rate, so its samples lie up
    to half a sample off the exact rate.
    """
    padded, before = padding_of(n_times)
    new_padded = max(round(ratio * padded), 1)
    return round(ratio * before) * padded / new_padded - before, padded / new_padded


def padding_of(n_times: int) -> tuple[int, int]:
    """MNE's npad="auto": padded length and samples added in front."""
    padded = 1 << math.ceil(math.log2(n_times + 2 * min(n_times // 8, 100)))
    return padded, (padded - n_times) // 2


def pack(x: np.ndarray, before: int = 0, after: int = 0) -> np.ndarray:
    """Two channels as one complex signal, which one complex transform filters at the price of a single one.

    Args:
        x: (C, T) float32 or float64.
        before: samples to leave room for in front; their values are not set.
        after: samples to leave room for at the end; likewise.

    Returns:
        (P, before + T + after) complex: the first half of the channels is real, the second imaginary. P is C / 2,
        rounded up, or one more where a row of zeros is quicker than a set of transforms that is not full.
    """
    n_pairs, n_times = (len(x) + 1) // 2, x.shape[1]
    n_rows = n_pairs + (n_pairs % LANES == LANES - 1)
    packed = np.empty((n_rows, before + n_times + after), np.result_type(x.dtype, np.complex64))
    inner = packed[:, before : before + n_times]
    inner.real[:n_pairs], inner.real[n_pairs:] = x[:n_pairs], 0
    inner.imag[: len(x) - n_pairs], inner.imag[len(x) - n_pairs :] = x[n_pairs:], 0
    return packed


def unpack(packed: np.ndarray, result: np.ndarray) -> None:
    """Write the channels of `pack` (P, T) into `result` (C, T)."""
    n_pairs = (len(result) + 1) // 2
    result[:n_pairs] = packed.real[:n_pairs]
    result[n_pairs:] = packed.imag[: len(result) - n_pairs]


def resample_padded(padded: np.ndarray, before: int, ratio: float, count: int) -> np.ndarray:
    """MNE's resampling by one Fourier transform of the padded stretch, packed: `count` samples from `before` on.

    `padded` is overwritten.
    """
    from scipy.fft import fft, ifft

    n_new = max(round(ratio * padded.shape[1]), 1)
    start = round(ratio * before)
    spectrum = refit(fft(padded, overwrite_x=True, norm="forward"), n_new)
    return ifft(spectrum, overwrite_x=True, norm="forward")[:, start : start + count]


def refit(spectrum: np.ndarray, n_new: int) -> np.ndarray:
    """Spectra of `n_new` bins that hold the same frequencies; what one Nyquist bin held is shared, or added up."""
    n_old = spectrum.shape[1]
    nyquist, odd = divmod(min(n_old, n_new), 2)
    side = nyquist if odd else max(nyquist - 1, 0)  # bins of either sign
    result = np.empty((len(spectrum), n_new), spectrum.dtype)
    result[:, : side + 1] = spectrum[:, : side + 1]
    result[:, side + 1 : n_new - side] = 0
    result[:, n_new - side :] = spectrum[:, n_old - side :]
    if not odd and n_new >= n_old:  # MNE halves it even where nothing changes
        result[:, nyquist] = result[:, n_new - nyquist] = spectrum[:, nyquist] / 2
    elif not odd:
        result[:, nyquist] = spectrum[:, nyquist] + spectrum[:, n_old - nyquist]
    return result


def pad_reflected(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """`x` (C, T) with MNE's "reflect_limited" around it."""
    padded = np.empty((len(x), before + x.shape[1] + after), x.dtype)
    padded[:, before : before + x.shape[1]] = x
    fill_reflected(padded, before, x.shape[1])
    return padded


def fill_reflected(padded: np.ndarray, before: int, n_times: int) -> None:
    """Fill what lies around the samples [before, before + n_times): their odd reflection, and zeros beyond that."""
    x = padded[:, before : before + n_times]
    at = before + n_times
    left, right = min(before, n_times - 1), min(padded.shape[1] - at, n_times - 1)
    padded[:, : before - left] = 0
    np.subtract(2 * x[:, :1], x[:, left:0:-1], out=padded[:, before - left : before])
    np.subtract(2 * x[:, -1:], x[:, n_times - 2 :: -1][:, :right], out=padded[:, at : at + right])
    padded[:, at + right :] = 0


@dataclass(frozen=True, eq=False)
class Ringing:
    """Ringing at the cut-off frequency from the jump where the padded stretch closes on itself.

    MNE's interpolation weighs every sample with a Dirichlet kernel, sin(rate t) / sin(pi t / length). Around the jump
    the signal has content at the cut-off, `content`; seen from afar, the kernel's envelope is the same for all of it.
    """

    content: np.ndarray  # (C,) complex
    where: int  # time of the jump, samples
    rate: float  # of the cut-off, radians a sample
    length: int  # of the padded stretch

    def at(self, time: np.ndarray) -> np.ndarray | None:
        """(C, T) float32 microvolts at times in samples of the input; None where it cannot be seen."""
        away = time - self.where
        envelope = 1 / (self.length * np.sin(np.pi / self.length * away))
        if np.abs(self.content).max() * np.abs(envelope).max() < INVISIBLE_UV:
            return None
        phase = np.remainder(self.rate * away, 2 * np.pi).astype(np.float32)  # from large to small before rounding
        wave = np.stack([np.sin(phase), np.cos(phase)]) * envelope.astype(np.float32)
        return np.stack([self.content.real, self.content.imag], axis=1).astype(np.float32) @ wave


def find_ringing(
    total: Callable[[int, np.ndarray], np.ndarray],
    spread: Callable[[np.ndarray], np.ndarray],
    n_times: int,
    sfreq: float,
    new_sfreq: float,
) -> Ringing:
    """Measure the jump, for a lower rate: MNE pads by the odd reflection of the filtered stretch, zero at its ends.

    Args:
        total: (middle, weights) -> (C,) complex: sum of an odd number of weights around a sample times the stretch,
            microvolts.
        spread: weights of the filtered stretch to those of the stretch itself. The filters are symmetric, and leave
            nothing at the cut-off frequency itself.
        n_times: samples of the stretch.
        sfreq: of the stretch, Hz.
        new_sfreq: of the result, Hz.
    """
    padded, before = padding_of(n_times)
    after = padded - n_times - before
    n_new = max(round(new_sfreq / sfreq * padded), 1)
    n_fade = min(before, after, round(sfreq))
    rate = np.pi * (n_new // 2 * 2 + 1) / padded
    turn = np.exp(-1j * rate * np.arange(n_fade)) * np.cos(np.pi / 2 * (np.arange(n_fade) + 0.5) / n_fade) ** 2
    weights = spread(np.concatenate([np.zeros(n_fade - 1), turn]))
    right = total(before, weights[::-1])
    left = total(n_times - 1 - after, weights.conj())
    return Ringing(-right - left * np.exp(1j * rate), n_times + after, rate, padded)
