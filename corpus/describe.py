"""Findings to text: the paper's three-part template and a fluent writer, both deterministic.

The writer varies its wording by seed and states the findings, all of them and nothing else: `corpus.claims` reads
every variant back to the same facts, which a test proves.
"""

import random
from collections.abc import Sequence
from itertools import groupby

from corpus.areas import join_names as join_names
from corpus.features import BANDS, TIERS
from corpus.findings import Findings, Labels

BAND_NAMES = {band: band.replace("_", "-") for band in BANDS}
_SEXES = {"F": "female", "M": "male"}

_DOMINANT = (
    "{Band} activity ({range}) dominates the spectrum.",
    "The spectrum is dominated by {band} activity ({range}).",
    "The highest power lies in the {band} band ({range}).",
    "{Band} ({range}) is the dominant band.",
)
_AMPLITUDE = (
    "Overall amplitude is {value}.",
    "The background is of {value} amplitude.",
    "Amplitude is {value} throughout.",
)
_COMPARED = ("Compared with the preceding segments, ", "Relative to the recent history, ", "Against the last seconds, ")
_UNCOMPARED = ("No preceding segment is available for comparison.", "There is no history to compare with.")
_TREND_VERBS = {
    "stable": (("remains stable", "remain stable"), ("is unchanged", "are unchanged")),
    "moderate increase": (
        ("shows a moderate increase", "show a moderate increase"),
        ("rises moderately", "rise moderately"),
    ),
    "marked increase": (("shows a marked increase", "show a marked increase"), ("rises markedly", "rise markedly")),
    "moderate decrease": (
        ("shows a moderate decrease", "show a moderate decrease"),
        ("falls moderately", "fall moderately"),
    ),
    "marked decrease": (("shows a marked decrease", "show a marked decrease"), ("falls markedly", "fall markedly")),
}
_TOP_WITH_REGION = (
    "Power is highest over the {region} region, with {top} as the highest-energy channel.",
    "Energy concentrates over the {region} region; {top} is the highest-energy channel.",
    "The {region} region carries the most energy, peaking at {top}.",
)
_TOP_ALONE = ("{top} is the highest-energy channel.", "Energy is highest, peaking at {top}.")
_TIER_ONE = ("{names} also belongs to the high-energy tier.", "The high-energy tier also includes {names}.")
_TIER_MANY = ("{names} also belong to the high-energy tier.", "The high-energy tier also includes {names}.")
_WIDESPREAD = ("The high-energy tier is widespread.", "High energy is widespread across the scalp.")
_ASYMMETRY = {
    "symmetric": ("The two hemispheres are symmetric.", "Power is symmetric between left and right."),
    "left": ("Power is higher over the left hemisphere.", "There is a left-hemispheric predominance."),
    "right": ("Power is higher over the right hemisphere.", "There is a right-hemispheric predominance."),
}
_ARTIFACT_NAMES = {
    "blink": "eye blinks",
    "muscle": "muscle artifact",
    "electrode": "electrode artifact",
    "flat": "a flat channel",
    "missing": "a stretch of missing samples",
}
_ARTIFACT_FREE = ("No artifact is detected.", "The segment is free of artifacts.")
_ARTIFACTS = ("The segment contains {names}.", "Artifacts are present: {names}.")


def write_template(findings: Findings) -> str:
    """The structured three-part template: labels, frequency, spatial energy (NeuroNarrator, Table 2)."""
    features = findings.features
    powers = "; ".join(
        f"{BAND_NAMES[band]} ({low:g}-{high:g} Hz): {power:.4f} µV²"
        for (band, (low, high)), power in zip(BANDS.items(), features.band_power_uv2, strict=True)
    )
    trend = features.trend
    trends = "; ".join(f"{BAND_NAMES[b]}: {w}" for b, w in trend.items()) if trend else "no preceding segment"
    tiers = " ".join(
        f"{tier.capitalize()}-energy channels: {', '.join(features.tier(tier)) or 'none'}." for tier in TIERS
    )
    return "\n".join(
        [
            f"Event & clinical labels: {_labels_sentence(findings.labels)}"
            f" Artifacts: {', '.join(f.value for f in findings.of('artifact'))}.",
            f"Frequency-domain features: {powers}. Trend against history: {trends}. Dominant rhythm: "
            f"{BAND_NAMES[features.dominant_band]}, {features.dominant_hz:g} Hz.",
            f"Spatial energy distribution: highest-energy channel {features.top_channel} "
            f"({features.channel_power_uv2.max():.4f} µV²). {tiers}",
        ]
    )


def write_narrative(findings: Findings, seed: int = 0) -> str:
    """A fluent narrative that states every finding and nothing else; the seed chooses among equivalent wordings."""
    rng = random.Random(seed)
    sentences = [_labels_sentence(findings.labels)] if findings.labels != Labels() else []
    sentences += [_dominant(findings, rng), _one(findings, "amplitude", _AMPLITUDE, rng), _trends(findings, rng)]
    sentences += [_focus(findings, rng), _tier(findings, rng), _asymmetry(findings, rng), _artifacts(findings, rng)]
    return " ".join(sentence for sentence in sentences if sentence)


def _labels_sentence(labels: Labels) -> str:
    age = f"{labels.age_years}-year-old " if labels.age_years is not None else ""
    subject = f" from a {age}{_SEXES.get(labels.sex or '', '')} subject".replace("  ", " ") if age or labels.sex else ""
    during = f" during {labels.condition}" if labels.condition else ""
    return (
        f"This EEG segment{subject} was recorded{during}." if subject or during else "This EEG segment has no labels."
    )


def _one(findings: Findings, kind: str, variants: Sequence[str], rng: random.Random) -> str:
    return rng.choice(variants).format(value=findings.of(kind)[0].value)


def _dominant(findings: Findings, rng: random.Random) -> str:
    band = findings.of("dominant_band")[0].value
    low, high = BANDS[band]
    name = BAND_NAMES[band]
    return rng.choice(_DOMINANT).format(Band=name.capitalize(), band=name, range=f"{low:g}-{high:g} Hz")


def _trends(findings: Findings, rng: random.Random) -> str:
    trends = findings.of("trend")
    if not trends:
        return rng.choice(_UNCOMPARED)
    opening, style = rng.choice(_COMPARED), rng.randrange(2)
    clauses = []
    for word, run in groupby(trends, key=lambda finding: finding.value):
        names = [BAND_NAMES[finding.subject] for finding in run]
        subject = "all bands" if len(names) == len(BANDS) else join_names(names)
        clauses.append(f"{subject} {_TREND_VERBS[word][style][len(names) > 1]}")
    return f"{opening}{'; '.join(clauses)}."


def _focus(findings: Findings, rng: random.Random) -> str:
    top, regions = findings.of("top_channel")[0].value, findings.of("region")
    if not regions:
        return rng.choice(_TOP_ALONE).format(top=top)
    return rng.choice(_TOP_WITH_REGION).format(region=regions[0].value, top=top)


def _tier(findings: Findings, rng: random.Random) -> str:
    names = [finding.subject for finding in findings.of("tier")]
    if names:
        return rng.choice(_TIER_MANY if len(names) > 1 else _TIER_ONE).format(names=join_names(names))
    return rng.choice(_WIDESPREAD) if findings.of("tier_extent") else ""


def _asymmetry(findings: Findings, rng: random.Random) -> str:
    found = findings.of("asymmetry")
    return rng.choice(_ASYMMETRY[found[0].value]) if found else ""


def _artifacts(findings: Findings, rng: random.Random) -> str:
    kinds = [finding.value for finding in findings.of("artifact")]
    if kinds == ["none"]:
        return rng.choice(_ARTIFACT_FREE)
    return rng.choice(_ARTIFACTS).format(names=join_names([_ARTIFACT_NAMES[kind] for kind in kinds]))
