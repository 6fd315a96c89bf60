"""What is filtered, and the impulse responses of MNE's default zero-phase filters, without MNE.

Designs of MNE 1.13 (`mne.filter.filter_data`, `notch_filter`): firwin, Hamming window, 3.3 periods of the transition
band long. At 0.1 Hz that is 33 s, for the notch 6.6 s. The tests compare with `mne.filter.create_filter`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_HAMMING = 3.3  # length of a Hamming window design, in periods of its transition band
_NOTCH_TRANSITION_HZ = 0.5
CLEAR_OF_NYQUIST = 0.97  # content below this share of the new Nyquist frequency is clear of the cut


@dataclass(frozen=True)
class LinearSteps:
    """What is done to every continuous stretch, in this order.

    Attributes:
        sfreq: of the input, Hz.
        new_sfreq: of the result, Hz.
        l_freq: lower edge of the pass band, Hz.
        h_freq: upper edge, below Nyquist; None: high-pass only.
        notch: mains frequency to remove; None: nothing.
    """

    sfreq: float
    new_sfreq: float
    l_freq: float
    h_freq: float | None
    notch: float | None

    def count(self, n_times: int) -> int:
        """Samples that `n_times` samples of input become."""
        if self.sfreq == self.new_sfreq:
            return n_times
        return max(round(self.new_sfreq / self.sfreq * n_times), 1)

    @property
    def highest_hz(self) -> float:
        """Frequency above which nothing is left but the ripple of the stop band (-53 dB)."""
        return self.sfreq / 2 if self.h_freq is None else self.h_freq + _upper_transition(self.sfreq, self.h_freq)

    @property
    def is_clear(self) -> bool:
        """Whether nothing is left where resampling cuts the spectrum off."""
        return self.sfreq > self.new_sfreq and self.highest_hz < CLEAR_OF_NYQUIST * self.new_sfreq / 2


@lru_cache(maxsize=32)
def taps_of(steps: LinearSteps) -> tuple[np.ndarray, ...]:
    """Impulse responses of the filters of `steps`, in their order."""
    taps = bandpass_taps(steps.sfreq, steps.l_freq, steps.h_freq)
    return (taps, notch_taps(steps.sfreq, steps.notch)) if steps.notch else (taps,)


def reach_of(steps: LinearSteps) -> int:
    """Samples on either side that a filtered sample depends on."""
    return sum(len(taps) // 2 for taps in taps_of(steps))


def bandpass_taps(sfreq: float, l_freq: float, h_freq: float | None) -> np.ndarray:
    """Impulse response of MNE's default zero-phase band-pass (high-pass without `h_freq`), odd length, centred."""
    narrow = low = min(max(0.25 * l_freq, 2.0), l_freq)
    upper = np.ones(1)
    if h_freq is not None:
        high = _upper_transition(sfreq, h_freq)
        upper = _lowpass(sfreq, h_freq + high / 2, high)
        narrow = min(low, high)
    return _centred(sfreq, narrow, (1, upper), (-1, _lowpass(sfreq, l_freq - low / 2, low)))


def _upper_transition(sfreq: float, h_freq: float) -> float:
    return min(max(0.25 * h_freq, 2.0), sfreq / 2 - h_freq)


def notch_taps(sfreq: float, freq: float) -> np.ndarray:
    """Impulse response of MNE's default zero-phase notch: freq / 200 wide, with transitions of 0.5 Hz."""
    away = freq / 400 + _NOTCH_TRANSITION_HZ / 2
    low, high = (_lowpass(sfreq, cut, _NOTCH_TRANSITION_HZ) for cut in (freq - away, freq + away))
    return _centred(sfreq, _NOTCH_TRANSITION_HZ, (1, np.ones(1)), (-1, high), (1, low))


def _lowpass(sfreq: float, cutoff: float, transition: float) -> np.ndarray:
    from scipy.signal import firwin

    return firwin(round(_HAMMING * sfreq / transition) // 2 * 2 + 1, cutoff, window="hamming", fs=sfreq)


def _centred(sfreq: float, transition: float, *parts: tuple[int, np.ndarray]) -> np.ndarray:
    """Weighted sum of odd responses around the middle of one that is long enough for `transition`."""
    taps = np.zeros(math.ceil(_HAMMING / transition * sfreq) // 2 * 2 + 1)
    for weight, part in parts:
        beside = (len(taps) - len(part)) // 2
        taps[beside : len(taps) - beside] += weight * part
    return taps
