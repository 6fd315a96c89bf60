"""Welch spectra of many signals at once, and the median of short rows: what features and background share."""

import numpy as np
from scipy.fft import rfft

WELCH_WINDOW_S = 2.0
SPECTRA_ROWS = 16  # channels transformed together: what is between stays in the cache of a core


def frame_spectra(signal_uv: np.ndarray, sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """Periodograms of Hann windows of 2 s, half overlapping, each with its mean removed.

    Their mean is Welch's density (`spectrum`). The same numbers as `scipy.signal.welch`, several times as fast, because
    all windows go through one transform.

    Args:
        signal_uv: (..., T) microvolts.
        sfreq: Hz.

    Returns:
        Frequencies (F,) in Hz and densities (..., W, F) of the W windows in µV²/Hz, in the precision of the signal.
    """
    length = min(round(WELCH_WINDOW_S * sfreq), signal_uv.shape[-1])
    flat = signal_uv.reshape(-1, signal_uv.shape[-1])
    frames = np.lib.stride_tricks.sliding_window_view(flat, length, -1)[:, :: length - length // 2]
    window = np.hanning(length + 1)[:-1]
    window *= np.sqrt(2 / ((window**2).sum() * sfreq))  # 2: the other half of the spectrum
    window = window.astype(np.result_type(signal_uv, np.float32))
    density = np.empty((*frames.shape[:2], length // 2 + 1), window.dtype)
    for start in range(0, len(flat), SPECTRA_ROWS):
        own, part = frames[start : start + SPECTRA_ROWS], density[start : start + SPECTRA_ROWS]
        transform = rfft((own - own.mean(-1, keepdims=True)) * window, axis=-1)
        np.square(transform.real, out=part)
        part += np.square(transform.imag)
    density[..., 0] /= 2
    if length % 2 == 0:
        density[..., -1] /= 2
    return np.fft.rfftfreq(length, 1 / sfreq), density.reshape(*signal_uv.shape[:-1], *density.shape[1:])


def spectrum(signal_uv: np.ndarray, sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """Welch power spectral density: Hann windows of 2 s, half overlapping, each with its mean removed.

    Args:
        signal_uv: (..., T) microvolts.
        sfreq: Hz.

    Returns:
        Frequencies (F,) in Hz and density (..., F) in µV²/Hz, in the precision of the signal.
    """
    freqs, frames = frame_spectra(signal_uv, sfreq)
    return freqs, mean_density(frames, signal_uv.dtype)


def median(values: np.ndarray) -> np.ndarray:
    """The median over the last axis; for short axes, several times as quick as NumPy's, with the same result."""
    ordered = np.sort(values, axis=-1)
    count = values.shape[-1]
    middle = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    return np.where(np.isnan(ordered[..., -1]), np.nan, middle)  # NaN is sorted to the end


def mean_density(frames: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Welch's density (..., F) of the windows (..., W, F), in the precision of a signal of `dtype`."""
    return frames.mean(-2).astype(np.result_type(dtype, np.float32), copy=False)
