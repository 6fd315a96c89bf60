"""Recording to analysis-ready recording: filter, notch, resample, in the order of LaBraM's preprocessing.

Jiang et al. 2024 (LaBraM, arXiv:2405.18765) and its code: band-pass 0.1-75 Hz, notch, 200 Hz, with MNE's defaults
(zero-phase FIR, Hamming window; FFT resampling). Every continuous stretch is filtered by itself.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from corpus.montage import few_electrodes, pick_eeg
from corpus.recording import Defect, Recording, RecordingError, SetAside, read_recording

HIGH_GAMMA_HZ = (50.0, 75.0)
MAX_MISSING = 0.5  # a channel with more of its samples missing is set aside
MAINS_RATIO = 4.0  # real recordings: 5 and more with mains, 2.7 and less without; noise of 10 s stays below 4


@dataclass(frozen=True)
class PreprocessPreset:
    """What to do to a recording.

    Attributes:
        l_freq: lower edge of the pass band, Hz.
        h_freq: upper edge, Hz; without effect where it is not below Nyquist.
        sfreq: sampling rate of the result, Hz.
        notch: mains frequency to remove, Hz; "auto" takes what `detect_mains` finds; None removes nothing.
        reference: None keeps the recorded reference, "average" subtracts the mean of all channels.
    """

    l_freq: float = 0.1
    h_freq: float = 75.0
    sfreq: float = 200.0
    notch: float | Literal["auto"] | None = "auto"
    reference: Literal["average"] | None = None


NEURONARRATOR = PreprocessPreset()


def load_recording(path: str | Path, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """Read a file, keep its scalp EEG and preprocess it.

    Raises:
        RecordingError: whatever makes the file unusable, in one line.
    """
    return preprocess(pick_eeg(read_recording(path)), preset)


def preprocess(recording: Recording, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """Fill missing samples, filter, notch, resample and reference; the signal of the result is float32, microvolts.

    Missing samples (NaN) are interpolated and listed in `defects`. Times after a break may move by half a sample of the
    new rate, for each break.

    Raises:
        RecordingError: if every channel misses more than half of its samples, or an average reference is asked of less
            than two channels.
    """
    recording = _fill_missing(recording)
    if preset.reference == "average" and recording.n_chans < 2:
        raise RecordingError("got 1 channel, expected at least 2 for an average reference; use reference=None")
    nyquist = recording.sfreq / 2
    h_freq = preset.h_freq if preset.h_freq < nyquist else None
    notch = detect_mains(recording.signal_uv, recording.sfreq) if preset.notch == "auto" else preset.notch
    told = recording.warnings
    if h_freq is None:
        told += (_nyquist_warning(nyquist),)
    if notch and notch + 1 >= nyquist:
        told += (f"mains at {notch:g} Hz was not removed: the recording holds frequencies below {nyquist:g} Hz only",)
        notch = None
    edges = [0, *(round(t * recording.sfreq) for t in recording.breaks_s), recording.signal_uv.shape[1]]
    pieces = [
        _process(recording.signal_uv[:, start:stop], recording.sfreq, preset, h_freq, notch)
        for start, stop in pairwise(sorted(set(edges)))
    ]
    pieces = [piece for piece in pieces if piece.shape[1]]
    signal_uv = np.concatenate(pieces, axis=1)
    breaks_s = tuple(float(n) / preset.sfreq for n in np.cumsum([piece.shape[1] for piece in pieces])[:-1])
    band = f"band-pass {preset.l_freq:g}-{h_freq:g} Hz" if h_freq else f"high-pass {preset.l_freq:g} Hz"
    done = recording.with_step(
        f"{band} (zero-phase FIR)", signal_uv=signal_uv, sfreq=preset.sfreq, breaks_s=breaks_s, warnings=told
    )
    done = done.with_step(f"notch {notch:g} Hz" if notch else "no notch")
    if recording.sfreq != preset.sfreq:
        done = done.with_step(f"resampled from {recording.sfreq:g} to {preset.sfreq:g} Hz")
    if preset.reference == "average":
        signal_uv -= signal_uv.mean(axis=0, keepdims=True)
        done = done.with_step("average reference", signal_uv=signal_uv)
    return done


def _process(
    signal_uv: np.ndarray, sfreq: float, preset: PreprocessPreset, h_freq: float | None, notch: float | None
) -> np.ndarray:
    """One continuous stretch, (C, T) to (C, T') float32."""
    import mne

    x = np.asarray(signal_uv, dtype=np.float64)
    with mne.utils.use_log_level("ERROR"):  # a stretch shorter than the filter is filtered all the same
        x = mne.filter.filter_data(x, sfreq, preset.l_freq, h_freq)
        if notch:
            x = mne.filter.notch_filter(x, sfreq, notch)
        if sfreq != preset.sfreq:
            x = mne.filter.resample(x, up=preset.sfreq, down=sfreq, npad="auto")
    return x.astype(np.float32)


def _nyquist_warning(nyquist: float) -> str:
    low, high = HIGH_GAMMA_HZ
    if nyquist <= low:
        return f"high-gamma ({low:g}-{high:g} Hz) was not measured: the recording ends at {nyquist:g} Hz"
    return f"high-gamma ({low:g}-{high:g} Hz) was measured up to {nyquist:g} Hz only"


def _fill_missing(recording: Recording) -> Recording:
    """Interpolate NaN linearly, list it as defects, set aside channels that are mostly missing."""
    missing = ~np.isfinite(recording.signal_uv)
    if not missing.any():
        return recording
    share = missing.mean(axis=1)
    rows = [i for i in range(recording.n_chans) if share[i] <= MAX_MISSING]
    if not rows:
        raise RecordingError(
            f"got every channel with more than {MAX_MISSING:.0%} of its samples missing, expected a signal; "
            "check the export of the recording"
        )
    signal_uv = np.array(recording.signal_uv[rows], dtype=np.float64)
    defects = list(recording.defects)
    time = np.arange(signal_uv.shape[1])
    for row, i in enumerate(rows):
        bad = missing[i]
        if bad.any():
            signal_uv[row, bad] = np.interp(time[bad], time[~bad], signal_uv[row, ~bad])
            defects += _runs(bad, recording.ch_names[i], recording.sfreq)
    aside = tuple(
        SetAside(recording.ch_names[i], f"{share[i]:.0%} of its samples are missing")
        for i in range(recording.n_chans)
        if i not in rows
    )
    kept = tuple(recording.ch_names[i] for i in rows)
    return recording.with_step(
        "missing samples interpolated linearly",
        signal_uv=signal_uv,
        ch_names=kept,
        defects=tuple(d for d in defects if d.ch_name in kept),
        set_aside=recording.set_aside + aside,
        warnings=recording.warnings + (few_electrodes(len(kept)) if aside else ()),
    )


def _runs(bad: np.ndarray, ch_name: str, sfreq: float) -> list[Defect]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
    return [
        Defect(ch_name, float(start / sfreq), float((stop - start) / sfreq), "missing samples")
        for start, stop in edges.reshape(-1, 2)
    ]


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
    ratios = {}
    for mains in (50.0, 60.0):
        distance = np.abs(freqs - mains)
        if mains + 1 < sfreq / 2:
            near = np.median(power[:, (distance >= 2) & (distance <= 5)], axis=1)
            ratio = power[:, distance <= 0.5].max(axis=1) / np.maximum(near, 1e-12)
            ratios[mains] = float(np.quantile(ratio, 0.75))
    best = max(ratios, key=ratios.__getitem__, default=None)
    return best if best and ratios[best] >= MAINS_RATIO else None
