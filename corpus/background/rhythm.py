"""The dominant rhythm of the head and of each region, and the posterior dominant rhythm."""

from dataclasses import dataclass

import numpy as np

from corpus.areas import pair_rows
from corpus.background.sketch import Sketch
from corpus.bands import band_powers, peak_hz
from corpus.features import HIGH_AMPLITUDE_UV, LOW_AMPLITUDE_UV
from corpus.findings import Finding

PDR_HZ = (6.0, 13.0)  # where its peak is looked for
PDR_FLANKS_HZ = ((2.0, 5.5), (14.5, 25.0))  # where the spectrum without rhythm, a power law, is fitted
PDR_RATIO = 2.5  # least height of the peak over that power law
PDR_HALF_WIDTH_HZ = 2.0  # its power is taken within this distance from the peak
PDR_ANTERIOR = 1.0  # least ratio of its power to that of frontal and of central electrodes, where recorded
PDR_ASYMMETRY = 1.5  # ratio of amplitudes of the two sides from which on they differ


def amplitude_word(amplitude_uv: float) -> str:
    """low, medium or high, with the limits of `corpus.features`."""
    if amplitude_uv < LOW_AMPLITUDE_UV:
        return "low"
    return "medium" if amplitude_uv < HIGH_AMPLITUDE_UV else "high"


def find_rhythms(sketch: Sketch) -> list[list[Finding]]:
    """The band with the highest power and its peak, of the head and of each region that differs from it."""
    source = f"highest power of the {sketch.bands.name} bands, peak of the density in it"
    found: list[list[Finding]] = [[] for _ in sketch.good]
    overall, overall_hz = _dominant(sketch, None)
    for s in np.flatnonzero(sketch.good.any(1)).tolist():
        band = sketch.bands.names[overall[s]]
        hertz = float(overall_hz[s])
        found[s].append(Finding("rhythm", band, "", sketch.names(s), measured=hertz, unit="Hz", source=source))
    if len(sketch.regions) == 1:
        return found
    for region, rows in sketch.regions.items():
        own, own_hz = _dominant(sketch, rows)
        for s in np.flatnonzero((own != overall) & sketch.good[:, rows].any(1)).tolist():
            band, names = sketch.bands.names[own[s]], sketch.names(s, rows)
            hertz = float(own_hz[s])
            found[s].append(Finding("rhythm", band, region, names, measured=hertz, unit="Hz", source=source))
    return found


def _dominant(sketch: Sketch, rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    density = np.nan_to_num(sketch.mean(sketch.density, rows))
    best = band_powers(sketch.freqs, density, sketch.bands).argmax(-1)
    return best, peak_hz(sketch.freqs, density, sketch.bands, best)


@dataclass(frozen=True, eq=False)
class PosteriorPeak:
    """The highest peak of the posterior spectrum of S segments: (S,) each; `height` over the power law."""

    present: np.ndarray
    hertz: np.ndarray
    height: np.ndarray


def posterior_rows(sketch: Sketch) -> np.ndarray | None:
    """Occipital electrodes; parietal ones where none was recorded; None without either."""
    return sketch.regions.get("occipital", sketch.regions.get("parietal"))


def find_posterior_rhythm(sketch: Sketch) -> list[list[Finding]]:
    """The posterior dominant rhythm: its frequency, amplitude and symmetry.

    It is present where the mean spectrum of the occipital (without any: parietal) electrodes has a local maximum at
    6-13 Hz that stands at least `PDR_RATIO` over a power law fitted to its flanks, and where the power around it is
    not higher over the frontal or the central electrodes. Without posterior electrodes nothing is said.
    """
    found: list[list[Finding]] = [[] for _ in sketch.good]
    rows = posterior_rows(sketch)
    if rows is None:
        return found
    peak = posterior_peak(sketch, rows)
    source = "peak of the posterior spectrum over a power law"
    for s in np.flatnonzero(sketch.good[:, rows].any(1)).tolist():
        names, height = sketch.names(s, rows), float(peak.height[s])
        if not peak.present[s]:
            found[s].append(Finding("pdr", "absent", "", names, measured=height, unit="ratio", source=source))
            continue
        hertz = float(peak.hertz[s])
        found[s].append(Finding("pdr", "present", "", names, measured=hertz, unit="Hz", source=source))
    sure = np.flatnonzero(peak.present).tolist()
    if sure:
        for s, amplitude in zip(sure, _amplitude(sketch, rows, sure, peak.hertz[sure]), strict=True):
            names, rule = sketch.names(s, rows), "median over seconds of half the peak-to-peak, 2 Hz around the peak"
            word = amplitude_word(amplitude)
            found[s].append(Finding("pdr_amplitude", word, "", names, measured=amplitude, unit="µV", source=rule))
        _add_symmetry(found, sketch, rows, sure, peak.hertz)
    return found


def posterior_peak(sketch: Sketch, rows: np.ndarray) -> PosteriorPeak:
    """Look for a peak in the mean spectrum of `rows`, smoothed over three bins."""
    freqs = sketch.freqs
    raw = sketch.mean(sketch.density, rows)
    density = raw.copy()
    density[:, 1:-1] = (raw[:, :-2] + 2 * raw[:, 1:-1] + raw[:, 2:]) / 4
    with np.errstate(divide="ignore"):
        level = np.log(np.nan_to_num(density))
    level = np.maximum(level, -30.0)
    law = np.stack([np.ones(len(freqs) - 1), np.log(freqs[1:])], axis=1)
    flanks = np.logical_or.reduce([(freqs[1:] >= low) & (freqs[1:] <= high) for low, high in PDR_FLANKS_HZ])
    fitted = level[:, 1:][:, flanks] @ np.linalg.pinv(law[flanks]).T @ law.T
    excess = level[:, 1:] - fitted  # of the frequencies from the second on
    inside = np.flatnonzero((freqs[1:] >= PDR_HZ[0]) & (freqs[1:] <= PDR_HZ[1]))
    best = inside[excess[:, inside].argmax(1)]
    every = np.arange(len(level))
    below, top, above = excess[every, best - 1], excess[every, best], excess[every, best + 1]
    curved = np.minimum(below - 2 * top + above, -1e-9)
    hertz = freqs[best + 1] + np.clip((below - above) / (2 * curved), -0.5, 0.5) * sketch.step_hz
    height = np.exp(top)
    present = (top > below) & (top > above) & (height >= PDR_RATIO) & sketch.good[:, rows].any(1)
    here = _power_around(sketch, np.nan_to_num(raw), hertz)
    for region in ("frontal", "central"):
        if region in sketch.regions:
            there = _power_around(sketch, sketch.mean(sketch.density, sketch.regions[region]), hertz)
            present &= here >= PDR_ANTERIOR * np.nan_to_num(there)
    return PosteriorPeak(present, hertz, height)


def _power_around(sketch: Sketch, density: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Power of (S, ..., F) within `PDR_HALF_WIDTH_HZ` of a frequency (S,): (S, ...)."""
    near = np.abs(sketch.freqs - hertz[:, None]) <= PDR_HALF_WIDTH_HZ
    return np.einsum("s...f,sf->s...", density, near) * sketch.step_hz


def _amplitude(sketch: Sketch, rows: np.ndarray, sure: list[int], hertz: np.ndarray) -> list[float]:
    """Half the peak-to-peak of the signal around the peak: median over seconds and good electrodes, µV."""
    signal = sketch.signal_uv[sure][:, rows]
    freqs = np.fft.rfftfreq(signal.shape[-1], 1 / sketch.sfreq)
    near = np.abs(freqs - hertz[:, None, None]) <= PDR_HALF_WIDTH_HZ
    narrow = np.fft.irfft(np.fft.rfft(signal) * near, signal.shape[-1])
    size = round(sketch.sfreq)
    seconds = narrow[..., : narrow.shape[-1] // size * size].reshape(*narrow.shape[:-1], -1, size)
    half = np.median(np.ptp(seconds, axis=-1) / 2, axis=-1)
    return [float(np.median(own[sketch.good[s, rows]])) for s, own in zip(sure, half, strict=True)]


def _add_symmetry(
    found: list[list[Finding]], sketch: Sketch, rows: np.ndarray, sure: list[int], hertz: np.ndarray
) -> None:
    pairs = [(i, j) for i, j in pair_rows(sketch.ch_names) if i in rows and j in rows]
    if not pairs:
        return
    left, right = np.array(pairs).T
    power = np.maximum(_power_around(sketch, sketch.density, np.nan_to_num(hertz)), 1e-12)
    for s in sure:
        good = sketch.good[s, left] & sketch.good[s, right]
        if not good.any():
            continue
        ratio = float(np.exp(np.log(power[s, right[good]] / power[s, left[good]]).mean() / 2))
        word = "symmetric"
        if max(ratio, 1 / ratio) >= PDR_ASYMMETRY:
            word = "right" if ratio > 1 else "left"
        names = tuple(sketch.ch_names[i] for pair in zip(left[good], right[good], strict=True) for i in pair)
        rule = "right over left amplitude around the peak, homologous pairs"
        found[s].append(Finding("pdr_symmetry", word, "", names, measured=ratio, unit="ratio", source=rule))
