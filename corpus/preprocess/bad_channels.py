"""Electrodes that measure something else than the head most of the time: a poor contact, a moving cable.

Damage (`damage`) is what no brain makes at any moment; this is what no head makes for long. Potentials spread: whatever
is three times as strong at one electrode as at most others, brain, eyes or heart, is seen by some other electrode as
well. An electrode that is that strong alone shows its contact. PREP has the same two criteria, amplitude and
correlation, each by itself (Bigdely-Shamlo et al. 2015, doi:10.3389/fninf.2015.00016); here both have to hold, so that
neither blinks nor a focus count. Muscle does not spread: it is left out by looking below `BAND_HZ[1]` only.
"""

import numpy as np

from corpus.preprocess.repair import CleanSignal

STRONG = 3.0  # times the median electrode; next in 215 recordings of eight sources: 2.9
STRONG_UV = 40.0  # and beyond it, root mean square; the four that were found there have 55 and more
LIVE_UV = 1.0  # an electrode below it is not connected, and no measure for the others
ALONE = 0.6  # correlation with other electrodes below it
BAND_HZ = (1.0, 20.0)
EXCERPT_S = 10
EXCERPTS = 30  # spread over a recording that is longer than that
MIN_ELECTRODES = 8  # with fewer, the next one may be too far to see the same
_LIKE_MOST = 0.98  # quantile of the correlations with others, as in PREP


def find_bad_channels(clean: CleanSignal, rows: np.ndarray, sfreq: float) -> dict[int, float]:
    """Electrodes that are strong and alone, in the median over seconds.

    Args:
        clean: the recording.
        rows: channels to look at.
        sfreq: Hz.

    Returns:
        For each of them, by its row in the recording, its amplitude as a multiple of the median electrode's. Nothing
        for fewer than `MIN_ELECTRODES` that are connected, or less than a second.
    """
    second = round(sfreq)
    pieces = _excerpts(clean, second)
    if not len(rows) or not pieces:
        return {}
    size = np.median(np.concatenate([_seconds(clean, piece, rows, second)[1] for piece in pieces]), axis=0)
    live = size > LIVE_UV
    if np.count_nonzero(live) < MIN_ELECTRODES:
        return {}
    usual = np.median(size[live])
    strong = np.flatnonzero(size > max(STRONG * usual, STRONG_UV))
    if not len(strong):
        return {}
    alike = np.concatenate([_likeness(_seconds(clean, piece, rows, second)[0], strong) for piece in pieces])
    bad = strong[np.median(alike, axis=0) < ALONE]
    return {int(rows[i]): float(size[i] / usual) for i in bad}


def _excerpts(clean: CleanSignal, second: int) -> list[tuple[int, int]]:
    """Samples [start, stop) of pieces of whole seconds, at most `EXCERPTS`, each within one stretch."""
    pieces = []
    for stretch in clean.stretches:
        starts = range(stretch.start, stretch.stop - second + 1, EXCERPT_S * second)
        lengths = (min(EXCERPT_S, (stretch.stop - start) // second) * second for start in starts)
        pieces += [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    spread = np.linspace(0, len(pieces) - 1, min(len(pieces), EXCERPTS)).round().astype(int)
    return [pieces[i] for i in spread]


def _seconds(
    clean: CleanSignal, piece: tuple[int, int], rows: np.ndarray, second: int
) -> tuple[np.ndarray, np.ndarray]:
    """A piece in `BAND_HZ`, in seconds of unit amplitude (S, C, T), and their amplitudes (S, C) in µV."""
    signal_uv = clean.read(*piece, rows)
    ramp = np.linspace(-1, 1, signal_uv.shape[1], dtype=signal_uv.dtype)
    spectrum = np.fft.rfft(signal_uv - (signal_uv @ ramp / (ramp @ ramp))[:, None] * ramp)  # without its drift
    hz = np.fft.rfftfreq(signal_uv.shape[1], 1 / second)
    spectrum[:, (hz < BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    x = np.fft.irfft(spectrum, signal_uv.shape[1]).reshape(len(rows), -1, second).transpose(1, 0, 2)
    x = x - x.mean(axis=2, keepdims=True)
    size = np.sqrt((x**2).mean(axis=2))
    return x / np.maximum(size, 1e-9)[..., None], size


def _likeness(x: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """How much the chosen channels correlate with those of (S, C, T) that they are most alike, (S, chosen)."""
    others = np.abs(x[:, chosen] @ x.transpose(0, 2, 1)) / x.shape[2]
    others[:, np.arange(len(chosen)), chosen] = np.nan
    return np.nanquantile(others, _LIKE_MOST, axis=2)
