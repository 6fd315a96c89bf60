"""Findings to a caption of five aspects: montage, artifacts, sleep, epileptiform activity, background.

The aspects are those of CerebraGloss, Sec. 3.2; the wording is ours. A caption states what the findings hold and
nothing else: what was not looked for (waveforms without a detector, symmetry without pairs) is not mentioned. Times are
seconds from the start of the segment.
"""

import random
from collections.abc import Callable, Sequence

from corpus.areas import join_names, place
from corpus.artifacts import Artifact
from corpus.findings import Finding, Findings, artifact_finding
from corpus.waveforms import EPILEPTIFORM, SLEEP

ASPECTS = ("montage", "artifacts", "sleep", "epileptiform", "background")
MAX_TIMES = 3  # more events than these are counted, not listed
SHORT_S = 0.5  # shorter events are timed to 0.01 s
WAVEFORM_NAMES = {
    "spike": "spikes",
    "sharp": "sharp waves",
    "spsw": "spike-and-slow-wave complexes",
    "Kcomplex": "K-complexes",
    "spindle": "sleep spindles",
    "hfnoise": "high-frequency noise",
    "eyem": "eye blinks",
    "eyer+": "lateral eye movements (positive)",
    "eyer-": "lateral eye movements (negative)",
}
_ARTIFACTS = {  # in the order of the caption
    "global_bad": "loss of the EEG",
    "extreme": "extreme amplitudes",
    "electrode": "electrode artifact",
    "missing": "missing samples",
    "flat": "a flat signal",
    "muscle": "muscle artifact",
    "blink": "eye blinks",
    "eye_left": "eye movements to the left",
    "eye_right": "eye movements to the right",
    "respiration": "a slow respiratory rhythm",
}
_ONE = frozenset({"loss of the EEG", "electrode artifact", "a flat signal", "muscle artifact", "high-frequency noise"})
_SAME_AS = {"eyem": ("blink",), "eyer+": ("eye_left", "eye_right"), "eyer-": ("eye_left", "eye_right")}
_MONTAGE = (
    "{count} electrodes of the {system} system{reference}.",
    "The montage has {count} electrodes of the {system} system{reference}.",
    "Recorded are {count} electrodes of the {system} system{reference}.",
)
_FEW = ("The montage has {count}: {names}{reference}.", "A recording of {count} ({names}){reference}.")
_QUALITY = (
    "Data quality is {value}.",
    "The quality of the data is {value}.",
    "The data are of {value} quality.",
)
_CLEAN = ("No artifact is found.", "The segment is free of artifacts.")
_SEEN = ("{name} {is_} seen {where} {when}.", "there {is_} {name} {where} {when}.", "{name} {appear} {where} {when}.")
_NO_SLEEP = ("No K-complex or spindle is seen.", "Sleep graphoelements are absent.")
_NO_DISCHARGE = ("No epileptiform discharge is seen.", "Epileptiform activity is absent.")
_DIPOLE = (
    "They form a dipole, negative {negative} and positive {positive}.",
    "Their field is a dipole with its negative pole {negative} and its positive pole {positive}.",
)
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


def write_caption(findings: Findings, seed: int = 0) -> str:
    """The five aspects as one text; the seed chooses among equivalent wordings.

    Args:
        findings: of `corpus.background.find_complete`.
        seed: the same findings and seed give the same text.

    Raises:
        ValueError: if the findings hold no details.
    """
    return " ".join(text for text in caption_parts(findings, seed).values() if text)


def caption_parts(findings: Findings, seed: int = 0) -> dict[str, str]:
    """The text of each aspect in `ASPECTS`, "" where nothing was looked for; see `write_caption`."""
    if not findings.of("montage"):
        raise ValueError("got findings without details, expected those of find_complete; derive the findings with it")
    rng = random.Random(seed)
    writers: tuple[Callable[[Findings, random.Random], list[str]], ...] = (
        _montage,
        _artifacts,
        _sleep,
        _epileptiform,
        _background,
    )
    parts = {}
    for aspect, write in zip(ASPECTS, writers, strict=True):
        parts[aspect] = " ".join(text[0].upper() + text[1:] for text in write(findings, rng) if text)
    return parts


def where(ch_names: Sequence[str], findings: Findings) -> str:
    """Electrodes in words, see `corpus.areas.place`."""
    return place(ch_names, findings.segment.ch_names)


def when(items: Sequence[Finding | Artifact], findings: Findings) -> str:
    """Times of events: "throughout", "during 1.2-1.5 s and 3.0-3.4 s", "7 times"."""
    segment = findings.segment
    if all(item.duration_s >= segment.duration_s for item in items):
        return "throughout"
    if len(items) > MAX_TIMES:
        return f"{len(items)} times"
    spans = []
    for item in items:
        start = max(item.start_s - segment.start_s, 0.0)
        end = min(item.start_s + item.duration_s - segment.start_s, segment.duration_s)
        digits = 1 if end - start >= SHORT_S else 2
        spans.append(f"{start:.{digits}f}-{end:.{digits}f} s")
    return "during " + join_names(spans)


def _montage(findings: Findings, rng: random.Random) -> list[str]:
    found = findings.of("montage")[0]
    told = findings.of("reference")
    reference = f", {told[0].value} reference" if told else ""
    count = round(found.measured or 0)
    if found.value != "few":
        return [rng.choice(_MONTAGE).format(count=count, system=found.value, reference=reference)]
    number = "1 electrode" if count == 1 else f"{count} electrodes"
    return [rng.choice(_FEW).format(count=number, names=join_names(found.ch_names), reference=reference)]


def _artifacts(findings: Findings, rng: random.Random) -> list[str]:
    seen = [artifact_finding(artifact) for artifact in findings.artifacts] + findings.of("extended_artifact")
    kinds = {item.value for item in seen}
    noise = [item for item in findings.of("waveform") if item.value not in (*EPILEPTIFORM, *SLEEP)]
    noise = [item for item in noise if not kinds & set(_SAME_AS.get(item.value, ()))]
    sentences = [rng.choice(_QUALITY).format(value=item.value) for item in findings.of("quality")]
    for kind, name in (*_ARTIFACTS.items(), *WAVEFORM_NAMES.items()):
        same = [item for item in (*seen, *noise) if item.value == kind]
        if same:
            if kind == "respiration":
                name = f"{name} of {same[0].measured:.2g} Hz"
            sentences.append(_seen(name, same, findings, rng))
    return sentences if kinds or noise else [*sentences, rng.choice(_CLEAN)]


def _seen(name: str, same: Sequence[Finding], findings: Findings, rng: random.Random) -> str:
    """One sentence for all findings of a kind: what, where, when."""
    names = list(dict.fromkeys(n for item in same for n in item.ch_names))
    many = name not in _ONE and not name.startswith(("a slow", "paroxysmal"))
    return rng.choice(_SEEN).format(
        name=name,
        is_="are" if many else "is",
        appear="appear" if many else "appears",
        where=where(names, findings),
        when=when(same, findings),
    )


def _sleep(findings: Findings, rng: random.Random) -> list[str]:
    if not findings.of("search"):
        return []
    sentences = []
    for kind in SLEEP:
        same = [item for item in findings.of("waveform") if item.value == kind]
        if same:
            sentences.append(_seen(WAVEFORM_NAMES[kind], same, findings, rng))
    return sentences or [rng.choice(_NO_SLEEP)]


def _epileptiform(findings: Findings, rng: random.Random) -> list[str]:
    if not findings.of("search"):
        return []
    events = [item for item in findings.of("waveform") if item.value in EPILEPTIFORM]
    if not events:
        return [rng.choice(_NO_DISCHARGE)]
    names = join_names([WAVEFORM_NAMES[kind] for kind in EPILEPTIFORM if kind in {item.value for item in events}])
    period = findings.of("periodicity")
    if period:
        names = f"periodic {names} at approximately {period[0].measured:.1f} Hz"
    else:
        names = f"sporadic {names}"
    seen = where(list(dict.fromkeys(n for item in events for n in item.ch_names)), findings)
    time = when(period or events, findings)
    sentences = [f"{names} {rng.choice(('are seen', 'appear', 'are present'))} {seen} {time}."]
    poles = {item.value: where(item.ch_names, findings) for item in findings.of("dipole")}
    if poles:
        sentences.append(rng.choice(_DIPOLE).format(**poles))
    return sentences


def _background(findings: Findings, rng: random.Random) -> list[str]:
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
        sentences.append(_seen(f"paroxysmal {band} activity", same, findings, rng))
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
