"""The last aspect of a caption: rhythms, posterior rhythm, voltage, slowing, sides, variation."""

import random

from corpus.areas import join_names
from corpus.caption.words import seen_sentence
from corpus.findings import Finding, Findings

_RHYTHM = (
    "The background is dominated by {band} activity at approximately {hertz} Hz, of {level} amplitude ({uv} µV).",
    "{Band} activity at approximately {hertz} Hz dominates the background; its amplitude is {level} ({uv} µV).",
    "Background of {level} amplitude ({uv} µV) with predominant {band} activity at approximately {hertz} Hz.",
)
_PDR = (
    "A posterior dominant rhythm of {hertz} Hz and {level} amplitude ({uv} µV) is present{sides}.",
    "The posterior dominant rhythm is {hertz} Hz, of {level} amplitude ({uv} µV){sides}.",
)
_NO_PDR = ("No posterior dominant rhythm stands out.", "A posterior dominant rhythm is not found.")
_SYMMETRIC = ("The background is symmetric.", "No asymmetry between the hemispheres is found.")
_STABLE = ("The background is stable over the segment.", "The background varies little over time.")


def write_background(findings: Findings, rng: random.Random) -> list[str]:
    """The sentences of the background."""
    return [
        *_rhythms(findings, rng),
        *_posterior(findings, rng),
        *_levels(findings),
        *_slow(findings, rng),
        *_sides(findings, rng),
        *_variation(findings, rng),
    ]


def _rhythms(findings: Findings, rng: random.Random) -> list[str]:
    rhythms, level = findings.of("rhythm"), findings.of("level")
    if not rhythms or not level:
        return []
    first, others = rhythms[0], rhythms[1:]
    sentence = rng.choice(_RHYTHM).format(
        band=first.value,
        Band=first.value.capitalize(),
        hertz=f"{first.measured:.1f}",
        level=level[0].value,
        uv=f"{level[0].measured:.1f}",
    )
    regional = []
    for band in dict.fromkeys(item.value for item in others):
        regions = [item.subject for item in others if item.value == band]
        plural = "s" if len(regions) > 1 else ""
        regional.append(f"{band} prevails over the {join_names(regions)} region{plural}.")
    return [sentence, *regional]


def _posterior(findings: Findings, rng: random.Random) -> list[str]:
    found = findings.of("pdr")
    if not found:
        return []
    if found[0].value == "absent":
        return [rng.choice(_NO_PDR)]
    amplitude, symmetry = findings.of("pdr_amplitude")[0], findings.of("pdr_symmetry")
    sides = ""
    if symmetry:
        word = symmetry[0].value
        sides = " and symmetric" if word == "symmetric" else f" and higher on the {word}"
    hertz, uv = f"{found[0].measured:.1f}", f"{amplitude.measured:.1f}"
    return [rng.choice(_PDR).format(hertz=hertz, level=amplitude.value, uv=uv, sides=sides)]


def _levels(findings: Findings) -> list[str]:
    sentences = []
    for item in findings.of("voltage"):
        word = "of low voltage" if item.value == "low" else "suppressed"
        sentences.append(f"the background is {word} (about {item.measured:.0f} µV peak to peak).")
    for item in findings.of("fast"):
        sentences.append(f"excess fast activity ({item.subject}, {item.measured:.0f} µV) is present.")
    return sentences


def _slow(findings: Findings, rng: random.Random) -> list[str]:
    sentences = []
    for item in findings.of("slowing"):
        *area, band = item.subject.split()
        place = f"over the {' '.join(area)} region" if area else "diffusely"
        sentences.append(f"continuous {band} slowing is seen {place}.")
    bursts = findings.of("burst")
    for band in dict.fromkeys(item.value for item in bursts):
        same = [item for item in bursts if item.value == band]
        sentences.append(seen_sentence(f"paroxysmal {band} activity", same, findings, rng))
    return sentences


def _sides(findings: Findings, rng: random.Random) -> list[str]:
    found = findings.of("sides")
    if any(item.value == "symmetric" for item in found):
        uneven = any(item.value != "symmetric" for item in findings.of("pdr_symmetry"))
        return ["otherwise the two sides are symmetric."] if uneven else [rng.choice(_SYMMETRIC)]
    groups: dict[tuple[str, str], list[Finding]] = {}
    for item in found:
        groups.setdefault((item.subject.split()[0], item.value), []).append(item)
    sentences = []
    for (region, value), same in groups.items():
        bands = join_names([item.subject.split()[1] for item in same])
        grade, side = ("mildly" if value.startswith("mild") else "markedly"), value.split()[1]
        most = max(item.measured or 0.0 for item in same)
        ratio = f"{'up to ' if len(same) > 1 else ''}{most:.1f} times"
        sentences.append(f"{bands} amplitude is {grade} higher over the {side} {region} region ({ratio}).")
    return sentences


def _variation(findings: Findings, rng: random.Random) -> list[str]:
    inside = [item for item in findings.of("variation") if item.subject != "recording"]
    sentences = []
    bands = [item.subject for item in inside if item.value == "variable"]
    if bands:
        verb = "vary" if len(bands) > 1 else "varies"
        sentences.append(f"{join_names(bands)} {verb} over the segment.")
    elif inside:
        sentences.append(rng.choice(_STABLE))
    for item in findings.of("variation"):
        if item.subject == "recording":
            sentences.append(f"over the recording the amplitude is {item.value}.")
    for item in findings.of("deviation"):
        sentences.append(f"the amplitude is {item.value} here than usual in the recording ({item.measured:.1f} times).")
    return sentences
