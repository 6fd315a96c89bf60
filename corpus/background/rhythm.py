"""The dominant rhythm of the head and of each region, and the posterior dominant rhythm."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.fft import irfft, rfft

from corpus.areas import pair_rows
from corpus.background.sketch import Sketch, quantile
from corpus.bands import band_powers, peak_hz
from corpus.features import HIGH_AMPLITUDE_UV, LOW_AMPLITUDE_UV
from corpus.findings import Finding
from corpus.spectra import median

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
    density = np.nan_to_num(np.stack(list(sketch.region_density.values()), axis=1))
    best = band_powers(sketch.freqs, density, sketch.bands).argmax(-1)  # (S, 1 + regions): of the head first
    hertz = peak_hz(sketch.freqs, density, sketch.bands, best)
    for s in np.flatnonzero(sketch.good.any(1)).tolist():
        band, names = sketch.bands.names[best[s, 0]], sketch.names(s)
        found[s].append(Finding("rhythm", band, "", names, measured=float(hertz[s, 0]), unit="Hz", source=source))
    if len(sketch.regions) == 1:
        return found
    for r, (region, rows) in enumerate(sketch.regions.items(), start=1):
        for s in np.flatnonzero((best[:, r] != best[:, 0]) & sketch.good[:, rows].any(1)).tolist():
            band, names = sketch.bands.names[best[s, r]], sketch.names(s, rows)
            found[s].append(
                Finding("rhythm", band, region, names, measured=float(hertz[s, r]), unit="Hz", source=source)
            )
    return found


@dataclass(frozen=True, eq=False)
class PosteriorPeak:
    """The highest peak of the posterior spectrum of S segments: (S,) each; `height` over the power law."""

    present: np.ndarray
    hertz: np.ndarray
    height: np.ndarray


def posterior_region(sketch: Sketch) -> str | None:
    """Occipital; parietal where no occipital electrode was recorded; None without either."""
    return next((region for region in ("occipital", "parietal") if region in sketch.regions), None)


def find_posterior_rhythm(sketch: Sketch) -> list[list[Finding]]:
    """The posterior dominant rhythm: its frequency, amplitude and symmetry.

    It is present where the mean spectrum of the occipital (without any: parietal) electrodes has a local maximum at
    6-13 Hz that stands at least `PDR_RATIO` over a power law fitted to its flanks, and where the power around it is
    not higher over the frontal or the central electrodes. Without posterior electrodes nothing is said.
    """
    found: list[list[Finding]] = [[] for _ in sketch.good]
    region = posterior_region(sketch)
    if region is None:
        return found
    rows, peak = sketch.regions[region], posterior_peak(sketch, region)
    source = "peak of the posterior spectrum over a power law"
    for s in np.flatnonzero(sketch.good[:, rows].any(1)).tolist():
        names, height = sketch.names(s, rows), float(peak.height[s])
        if not peak.present[s]:
            found[s].append(Finding("pdr", "absent", "", names, measured=height, unit="ratio", source=source))
            continue
        hertz = float(peak.hertz[s])
        found[s].append(Finding("pdr", "present", "", names, measured=hertz, unit="Hz", source=source))
    sure = np.flatnonzero(peak.present)
    if len(sure):
        for s, amplitude in zip(sure.tolist(), _amplitude(sketch, rows, sure, peak.hertz[sure]), strict=True):
            names, rule = sketch.names(s, rows), "median over seconds of half the peak-to-peak, 2 Hz around the peak"
            word = amplitude_word(amplitude)
            found[s].append(Finding("pdr_amplitude", word, "", names, measured=amplitude, unit="µV", source=rule))
        _add_symmetry(found, sketch, rows, sure.tolist(), peak.hertz)
    return found


def posterior_peak(sketch: Sketch, region: str) -> PosteriorPeak:
    """Look for a peak in the mean spectrum of a region, smoothed over three bins."""
    freqs, raw = sketch.freqs, sketch.region_density[region]
    inside, flanks, predict = _power_law(freqs[1], len(freqs))
    with np.errstate(divide="ignore"):
        level = np.log(np.nan_to_num(_smooth(raw, flanks)))
        around = np.log(np.nan_to_num(_smooth(raw, np.arange(inside[0] - 1, inside[-1] + 2))))
    excess = np.maximum(around, -30.0) - np.maximum(level, -30.0) @ predict
    best = excess[:, 1:-1].argmax(1) + 1
    every = np.arange(len(level))
    below, top, above = excess[every, best - 1], excess[every, best], excess[every, best + 1]
    curved = np.minimum(below - 2 * top + above, -1e-9)
    hertz = freqs[inside[best - 1]] + np.clip((below - above) / (2 * curved), -0.5, 0.5) * sketch.step_hz
    height = np.exp(top)
    present = (top > below) & (top > above) & (height >= PDR_RATIO) & sketch.good[:, sketch.regions[region]].any(1)
    here = _power_around(sketch, np.nan_to_num(raw), hertz)
    for other in ("frontal", "central"):
        if other in sketch.regions:
            there = _power_around(sketch, sketch.region_density[other], hertz)
            present &= here >= PDR_ANTERIOR * np.nan_to_num(there)
    return PosteriorPeak(present, hertz, height)


@lru_cache(maxsize=16)
def _power_law(step_hz: float, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where a peak may be, where the spectrum has none, and how a power law leads from the one to the other.

    Returns:
        Bins of `PDR_HZ`; bins of `PDR_FLANKS_HZ`, (n,); (n, bins of `PDR_HZ` + 2) for their log density: times it,
        the power law in the bins of `PDR_HZ` and the two beside.
    """
    freqs = step_hz * np.arange(count)
    inside = np.flatnonzero((freqs >= PDR_HZ[0]) & (freqs <= PDR_HZ[1]))
    flanks = np.flatnonzero(
        np.logical_or.reduce([(freqs >= low) & (freqs <= high) for low, high in PDR_FLANKS_HZ]) & (freqs > 0)
    )
    law = np.stack([np.ones(count - 1), np.log(freqs[1:])], axis=1)
    wanted = law[inside[0] - 2 : inside[-1] + 1]
    return inside, flanks, np.linalg.pinv(law[flanks - 1]).T @ wanted.T


def _smooth(density: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Weighted mean of each of some inner bins and its two neighbours, (S, F) to (S, n)."""
    return (density[:, bins - 1] + 2 * density[:, bins] + density[:, bins + 1]) / 4


def _power_around(sketch: Sketch, density: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Power of (S, ..., F) within `PDR_HALF_WIDTH_HZ` of a frequency (S,) near `PDR_HZ`: (S, ...)."""
    reach = PDR_HALF_WIDTH_HZ + sketch.step_hz
    span = (sketch.freqs >= PDR_HZ[0] - reach) & (sketch.freqs <= PDR_HZ[1] + reach)
    near = np.abs(sketch.freqs[span] - hertz[:, None]) <= PDR_HALF_WIDTH_HZ
    return np.einsum("s...f,sf->s...", density[..., span], near) * sketch.step_hz


def _amplitude(sketch: Sketch, rows: np.ndarray, sure: np.ndarray, hertz: np.ndarray) -> list[float]:
    """Half the peak-to-peak of the signal around the peak: median over seconds and good electrodes, µV."""
    signal = sketch.signal_uv[np.ix_(sure, rows)]
    freqs = np.fft.rfftfreq(signal.shape[-1], 1 / sketch.sfreq)
    near = np.abs(freqs - hertz[:, None, None]) <= PDR_HALF_WIDTH_HZ
    narrow = irfft(rfft(signal) * near, signal.shape[-1])
    size = round(sketch.sfreq)
    seconds = narrow[..., : narrow.shape[-1] // size * size].reshape(*narrow.shape[:-1], -1, size)
    half = median(seconds.max(-1) - seconds.min(-1)) / 2
    return quantile(half, sketch.good[np.ix_(sure, rows)], 0.5).tolist()


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
