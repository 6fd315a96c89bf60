"""Whether a caption may say that something is absent: only where nothing in the signal could be it.

A detector that marks nothing may have missed something; a denial is left out where a burst or a transient stands out.
"""

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

from corpus.segment import Segment

SPINDLE_HZ, SPINDLE_UV, SPINDLE_S = (11.0, 16.0), 10.0, 0.5  # AASM: 11-16 Hz, half a second or longer
SHARP_HZ, SHARP_UV = (3.0, 40.0), 25.0
SPINDLE_CONTRAST, SHARP_CONTRAST = 2.0, 6.0  # over the median of the channel, robust standard deviations


def may_deny_sleep(segment: Segment) -> bool:
    """Whether no channel holds half a second of 11-16 Hz that stands out."""
    size = np.abs(_band(segment, SPINDLE_HZ)) * np.pi / 2  # of a sine, the mean of this is its amplitude
    size = uniform_filter1d(size, round(SPINDLE_S * segment.sfreq), axis=1)
    return not ((size.max(1) >= SPINDLE_UV) & (size.max(1) >= SPINDLE_CONTRAST * np.median(size, axis=1))).any()


def may_deny_discharges(segment: Segment) -> bool:
    """Whether no channel holds a transient that stands out."""
    size = np.abs(_band(segment, SHARP_HZ))
    usual = 1.4826 * np.median(size, axis=1)
    return not ((size.max(1) >= SHARP_UV) & (size.max(1) >= SHARP_CONTRAST * usual)).any()


def _band(segment: Segment, band_hz: tuple[float, float]) -> np.ndarray:
    count = segment.signal_uv.shape[1]
    hz = fft.rfftfreq(count, 1 / segment.sfreq)
    spectrum = fft.rfft(np.asarray(segment.signal_uv, np.float32), axis=1)
    passed: np.ndarray = fft.irfft(spectrum * ((hz >= band_hz[0]) & (hz <= band_hz[1])), count, axis=1)
    return passed
