"""Which mains frequency stands out of a spectrum."""

import numpy as np

from corpus.preprocess.repair import CleanSignal

MAINS_RATIO = 4.0  # real recordings: 5 and more with mains, 2.7 and less without; noise of 10 s stays below 4
MAINS_WINDOWS = 60  # of 4 s, spread over a recording that is longer than that


def detect_mains(signal_uv: np.ndarray, sfreq: float) -> float | None:
    """50.0 or 60.0 where mains stands out of the spectrum, None where neither does.

    Welch spectrum, 4 s Hann windows. For each channel the peak within 0.5 Hz of mains over the median of 2 to 5 Hz away
    on both sides; a quarter of the channels must reach `MAINS_RATIO`. The frequency that stands out more wins.

    Args:
        signal_uv: (C, T) without NaN, microvolts.
        sfreq: Hz.
    """
    from scipy.signal import welch

    freqs, power = welch(signal_uv, sfreq, nperseg=min(round(4 * sfreq), signal_uv.shape[1]))
    return _mains_of(freqs, power, sfreq)


def find_mains(clean: CleanSignal, rows: np.ndarray, sfreq: float) -> float | None:
    """`detect_mains` of a whole recording, or of windows spread over a long one.

    Args:
        clean: the recording.
        rows: channels to look at.
        sfreq: Hz.
    """
    from scipy.signal import welch

    n_window, n_times = round(4 * sfreq), clean.stretches[-1].stop
    if n_times <= MAINS_WINDOWS * n_window:
        return detect_mains(clean.read(0, n_times, rows), sfreq)
    starts = np.linspace(0, n_times - n_window, MAINS_WINDOWS).astype(int)
    spectra = [welch(clean.read(start, start + n_window, rows), sfreq, nperseg=n_window) for start in starts]
    return _mains_of(spectra[0][0], np.mean([power for _, power in spectra], axis=0), sfreq)


def _mains_of(freqs: np.ndarray, power: np.ndarray, sfreq: float) -> float | None:
    ratios = {}
    for mains in (50.0, 60.0):
        distance = np.abs(freqs - mains)
        if mains + 1 < sfreq / 2:
            near = np.median(power[:, (distance >= 2) & (distance <= 5)], axis=1)
            ratio = power[:, distance <= 0.5].max(axis=1) / np.maximum(near, 1e-12)
            ratios[mains] = float(np.quantile(ratio, 0.75))
    best = max(ratios, key=ratios.__getitem__, default=None)
    return best if best and ratios[best] >= MAINS_RATIO else None
