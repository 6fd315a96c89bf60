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


def resample_padded(padded: np.ndarray, before: int, ratio: float, result: np.ndarray) -> None:
    """MNE's resampling by one Fourier transform of the padded stretch, into `result`."""
    from scipy.fft import irfft, rfft

    n_padded = padded.shape[1]
    n_new = max(round(ratio * n_padded), 1)
    spectrum = rfft(padded, overwrite_x=True)
    nyquist, odd = divmod(min(n_padded, n_new), 2)
    if not odd:
        spectrum[:, nyquist : nyquist + 1] *= 2 if n_new < n_padded else 0.5
    start = round(ratio * before)
    resampled = irfft(spectrum, n_new, overwrite_x=True)[:, start : start + result.shape[1]]
    np.multiply(resampled, n_new / n_padded, out=result, casting="same_kind")


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


def find_ringing(piece: Callable[[int, int], np.ndarray], n_times: int, sfreq: float, new_sfreq: float) -> Ringing:
    """Measure the jump, for a lower rate: MNE pads by the odd reflection of the filtered stretch, zero at its ends.

    Args:
        piece: (start, stop) -> (C, stop - start) microvolts, samples of the filtered stretch at its own rate; it must
            hold nothing at the cut-off frequency itself.
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
    right = piece(before - n_fade + 1, before + 1)[:, ::-1] @ turn
    left = piece(n_times - 1 - after, n_times - 1 - after + n_fade) @ turn.conj()
    return Ringing(-right - left * np.exp(1j * rate), n_times + after, rate, padded)
