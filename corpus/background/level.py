"""Voltage, fast activity, left and right, and how steady it all is."""

from collections.abc import Sequence

import numpy as np

from corpus.areas import pair_rows
from corpus.artifacts import Artifact
from corpus.background.rhythm import amplitude_word
from corpus.background.sketch import Sketch, quantile
from corpus.background.slowing import EYE_KINDS, SLOW_BANDS
from corpus.features import MIN_POWER_UV2
from corpus.findings import Finding
from corpus.montage import region_of
from corpus.spectra import median

VOLTAGE_LOW_UV, VOLTAGE_SUPPRESSED_UV = 20.0, 10.0  # peak-to-peak, as in the ACNS terminology of 2021
VOLTAGE_QUANTILE = 0.75  # of the channels stay below
FAST_UV = 10.0  # least amplitude of the sine with the beta power of the median channel ...
FAST_SHARE = 0.25  # ... and least share of beta in the power at 1-30 Hz
SIDES_MILD, SIDES_MARKED = 1.5, 2.0  # ratio of amplitudes of homologous electrodes
SIDES_UV = 3.0  # least amplitude (of the sine of that power) of the stronger side
STEADY_BANDS = ("delta", "theta", "alpha", "beta")  # gamma is left to muscle
VARIABLE_SD = 0.8  # standard deviation over the windows of a band's log power


def find_levels(sketch: Sketch, artifacts: Sequence[Sequence[Artifact]]) -> list[list[Finding]]:
    """Typical amplitude, low voltage or suppression, excess fast activity."""
    found: list[list[Finding]] = []
    typical = median(sketch.extent_uv)  # (S, C)
    half, upper = quantile(typical, sketch.good, 0.5) / 2, quantile(typical, sketch.good, VOLTAGE_QUANTILE)
    clean = _without_muscle(sketch, artifacts)
    beta = sketch.band_power[..., sketch.bands.names.index("beta")]
    share = beta / np.maximum(median(sketch.frame_slow + sketch.frame_fast), MIN_POWER_UV2)
    amplitudes = np.sqrt(2 * quantile(beta, clean, 0.5))
    shares = quantile(share, clean, 0.5)
    rule = "median over seconds and channels of half the peak-to-peak"
    for s, good in enumerate(sketch.good):
        if not good.any():
            found.append([])
            continue
        names, measured = sketch.names(s), float(half[s])
        own = [Finding("level", amplitude_word(measured), "", names, measured=measured, unit="µV", source=rule)]
        own += _voltage(float(upper[s]), names)
        if amplitudes[s] >= FAST_UV and shares[s] >= FAST_SHARE:
            own.append(_fast(tuple(sketch.ch_names[i] for i in np.flatnonzero(clean[s])), float(amplitudes[s])))
        found.append(own)
    return found


def _without_muscle(sketch: Sketch, artifacts: Sequence[Sequence[Artifact]]) -> np.ndarray:
    """Good channels without muscle artifact, (S, C)."""
    clean = sketch.good.copy()
    for own, found in zip(clean, artifacts, strict=True):
        for artifact in found:
            if artifact.kind == "muscle":
                own[[sketch.ch_names.index(name) for name in artifact.ch_names]] = False
    return clean


def _voltage(extent_uv: float, names: tuple[str, ...]) -> list[Finding]:
    if extent_uv >= VOLTAGE_LOW_UV:
        return []
    word = "suppressed" if extent_uv < VOLTAGE_SUPPRESSED_UV else "low"
    rule = "peak-to-peak in a second that three quarters of the channels stay below"
    return [Finding("voltage", word, "", names, measured=extent_uv, unit="µV", source=rule)]


def _fast(names: tuple[str, ...], amplitude_uv: float) -> Finding:
    rule = "amplitude of the sine with the beta power of the median channel without muscle artifact"
    return Finding("fast", "excess", "beta", names, measured=amplitude_uv, unit="µV", source=rule)


def find_sides(sketch: Sketch, artifacts: Sequence[Sequence[Artifact]]) -> list[list[Finding]]:
    """Asymmetry of each region and band: all its homologous pairs agree and their mean ratio reaches a threshold.

    Frontal slow bands are left out where eye movements were found, gamma always. A segment is symmetric where no region
    differs on average, whether or not its pairs agree, and no single pair markedly.
    """
    found: list[list[Finding]] = [[] for _ in sketch.good]
    pairs = pair_rows(sketch.ch_names)
    if not len(pairs):
        return found
    left, right = pairs.T
    bands = [sketch.bands.names.index(band) for band in STEADY_BANDS]
    power = sketch.band_power[..., bands] + MIN_POWER_UV2
    ratio = np.log(power[:, right] / power[:, left]) / 2  # (S, P, B), of amplitudes
    good = sketch.good[:, left] & sketch.good[:, right]
    loud = np.sqrt(2 * np.maximum(power[:, right], power[:, left])) >= SIDES_UV
    regions = np.array([region_of(sketch.ch_names[i]) for i in left])
    eyes = np.outer([_eyes_move(own) for own in artifacts], np.isin(STEADY_BANDS, SLOW_BANDS))  # (S, B)
    uneven = np.zeros(len(good), dtype=bool)
    rule = "ratio of amplitudes over homologous pairs, medians of two-second windows"
    for region in dict.fromkeys(regions.tolist()):
        own = np.flatnonzero(regions == region)
        used = good[:, own, None] & ~(eyes & (region == "frontal"))[:, None]
        count = used.sum(1)
        mean = np.where(used, ratio[:, own], 0).sum(1) / np.maximum(count, 1)
        agree = (np.where(used, np.sign(ratio[:, own]), 0).sum(1) == np.sign(mean) * count) & (count > 0)
        unlike, heard = np.abs(mean) >= np.log(SIDES_MILD), used & loud[:, own]
        uneven |= (unlike & heard.any(1)).any(1)
        uneven |= (heard & (np.abs(ratio[:, own]) >= np.log(SIDES_MARKED))).any((1, 2))
        for s, b in np.argwhere(agree & unlike & (heard | ~used).all(1)):
            factor = float(np.exp(abs(mean[s, b])))
            grade = "marked" if factor >= SIDES_MARKED else "mild"
            names = tuple(sketch.ch_names[i] for p in own if good[s, p] for i in pairs[p])
            word, subject = f"{grade} {'right' if mean[s, b] > 0 else 'left'}", f"{region} {STEADY_BANDS[b]}"
            found[s].append(Finding("sides", word, subject, names, measured=factor, unit="ratio", source=rule))
    for s in np.flatnonzero(good.any(1) & ~uneven):
        names = tuple(sketch.ch_names[i] for p in np.flatnonzero(good[s]) for i in pairs[p])
        largest = float(np.exp(np.abs(ratio[s, good[s]].mean(0)).max()))
        found[s].append(Finding("sides", "symmetric", "", names, measured=largest, unit="ratio", source=rule))
    return found


def _eyes_move(artifacts: Sequence[Artifact]) -> bool:
    return any(artifact.kind in EYE_KINDS for artifact in artifacts)


def find_variation(sketch: Sketch) -> list[list[Finding]]:
    """Variation within a segment: bands whose power changes from window to window, or a stable background."""
    found: list[list[Finding]] = []
    bands = [sketch.bands.names.index(band) for band in STEADY_BANDS]
    power = sketch.mean(sketch.frame_power[..., bands])  # (S, W, B)
    spread = np.log(np.maximum(power, MIN_POWER_UV2)).std(1)
    rule = "standard deviation over two-second windows of the log power"
    for s, own in enumerate(spread):
        if not sketch.good[s].any():
            found.append([])
            continue
        names = sketch.names(s)
        items = [
            Finding("variation", "variable", band, names, measured=float(sd), unit="log power", source=rule)
            for band, sd in zip(STEADY_BANDS, own, strict=True)
            if sd >= VARIABLE_SD
        ]
        largest = float(own.max())
        stable = Finding("variation", "stable", "", names, measured=largest, unit="log power", source=rule)
        found.append(items or [stable])
    return found
