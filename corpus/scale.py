"""How large a signal typically is: a wrong unit in a header is a factor of a thousand."""

import warnings
from functools import lru_cache

import numpy as np

from corpus.recording import SignalReader

WINDOW_S = 10.0
WINDOWS = 30  # at most, spread over the recording
SAMPLES = 250  # of each


def typical_deviation_uv(signal_uv: np.ndarray | SignalReader, sfreq: float) -> float:
    """Median over channels of the median absolute deviation, each from its own median in 10 s (drifts do not count).

    Mains does not count either: it may be a hundred times larger than the EEG.

    Args:
        signal_uv: (C, T) microvolts; a sample of it is read.
        sfreq: Hz.

    Returns:
        Microvolts; NaN where no sample is finite.
    """
    n_chans, n_times = signal_uv.shape
    n_window = max(min(round(WINDOW_S * sfreq), n_times), 1)
    starts = np.linspace(0, n_times - n_window, min(WINDOWS, -(-n_times // n_window))).astype(int)
    some = np.unique((np.arange(SAMPLES) * 0.6180339887 % 1 * n_window).astype(int))  # if even, mains looks slow
    windows = np.stack([signal_uv[:, s : s + n_window][:, some] for s in starts], axis=1)  # (C, windows, samples)
    windows = _without_mains(np.where(np.isfinite(windows), windows, np.nan), some / sfreq)
    deviation = np.abs(windows - _median(windows)[..., None]).reshape(n_chans, -1)
    return float(_median(_median(deviation)))


def _median(x: np.ndarray) -> np.ndarray:
    """Median along the last axis of what is there; NaN where nothing is."""
    if not np.isnan(x).any():
        return np.median(x, axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # windows without a single sample
        return np.nanmedian(x, axis=-1)


def _without_mains(windows: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Windows (C, W, T) less what fits 50 and 60 Hz of an amplitude and phase that change slowly (by least squares)."""
    n_times = len(time_s)
    basis = _mains_basis(tuple(time_s.tolist()))
    if n_times < 10 * basis.shape[1]:
        return windows
    gap = np.isnan(windows)
    filled = np.where(gap, _median(windows)[..., None], windows) if gap.any() else windows
    rest = windows - (np.nan_to_num(filled) @ basis) @ basis.T
    return rest * np.sqrt(n_times / (n_times - basis.shape[1]))  # noise keeps its deviation


@lru_cache(maxsize=4)
def _mains_basis(time_s: tuple[float, ...]) -> np.ndarray:
    """Orthonormal columns (T, n): a constant, and 50 and 60 Hz of slowly changing amplitude and phase."""
    angle = 2 * np.pi * np.multiply.outer(time_s, (50.0, 60.0))
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    slowly = np.linspace(-1, 1, len(time_s))[:, None, None] ** np.arange(3)[:, None]
    columns = np.column_stack([np.ones(len(time_s)), (waves[:, None] * slowly).reshape(len(time_s), -1)])
    basis, size, _ = np.linalg.svd(columns, full_matrices=False)
    return basis[:, size > 1e-6 * size[0]]
