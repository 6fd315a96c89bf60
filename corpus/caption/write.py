"""Findings to a caption of five aspects: montage, artifacts, sleep, epileptiform activity, background.

The aspects are those of CerebraGloss, Sec. 3.2; the wording is ours. A caption states what the findings hold and
nothing else: what was not looked for (waveforms without a detector, symmetry without pairs) is not mentioned. Times are
seconds from the start of the segment.
"""

import random
from collections.abc import Callable

from corpus.areas import join_names
from corpus.caption.background import write_background
from corpus.caption.denial import may_deny_discharges, may_deny_sleep
from corpus.caption.words import seen_sentence, when, where
from corpus.findings import Finding, Findings, artifact_finding
from corpus.patterns import EPILEPTIFORM_PATTERNS, PATTERN_WORDS
from corpus.waveforms import EPILEPTIFORM, RUN_S, SLEEP

ASPECTS = ("montage", "artifacts", "sleep", "epileptiform", "background")
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
UNTIMED = ("muscle", "electrode")  # measured over the whole segment: nobody knows when in it
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
_NO_SLEEP = ("No K-complex or spindle is seen.", "Sleep graphoelements are absent.")
_NO_DISCHARGE = ("No epileptiform discharge is seen.", "Epileptiform activity is absent.")
_PATTERN = ("{name}{hertz} {is_} seen{where}.", "{name}{hertz} {is_} present{where}.")
_NO_PATTERN = (
    "No periodic or rhythmic pattern and no seizure is seen.",
    "Neither a periodic or rhythmic pattern nor a seizure is found.",
)
_DIPOLE = (
    "They form a dipole, negative {negative} and positive {positive}.",
    "Their field is a dipole with its negative pole {negative} and its positive pole {positive}.",
)


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
        write_background,
    )
    parts = {}
    for aspect, write in zip(ASPECTS, writers, strict=True):
        parts[aspect] = " ".join(text[0].upper() + text[1:] for text in write(findings, rng) if text)
    return parts


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
            sentences.append(seen_sentence(name, same, findings, rng, timed=kind not in UNTIMED))
    return sentences if kinds or noise else [*sentences, rng.choice(_CLEAN)]


def _sleep(findings: Findings, rng: random.Random) -> list[str]:
    if not findings.of("search"):
        return []
    sentences = []
    for kind in SLEEP:
        same = [item for item in findings.of("waveform") if item.value == kind]
        if same:
            sentences.append(seen_sentence(WAVEFORM_NAMES[kind], same, findings, rng))
    if sentences:
        return sentences
    denied = rng.choice(_NO_SLEEP)
    return [denied] if may_deny_sleep(findings.segment) else []


def _epileptiform(findings: Findings, rng: random.Random) -> list[str]:
    pattern, period = findings.of("acns_pattern"), findings.of("periodicity")
    told = any(item.value in EPILEPTIFORM_PATTERNS for item in pattern)
    sentences = [_pattern(item, findings, rng) for item in pattern[:1] if item.value != "none" or not period]
    events = [item for item in findings.of("waveform") if item.value in EPILEPTIFORM]
    if not findings.of("search"):
        return sentences
    if not events:
        denied = rng.choice(_NO_DISCHARGE)
        return sentences if told or not may_deny_discharges(findings.segment) else [denied, *sentences]
    names = join_names([WAVEFORM_NAMES[kind] for kind in EPILEPTIFORM if kind in {item.value for item in events}])
    if period:
        names = f"periodic {names} at approximately {period[0].measured:.1f} Hz"
    elif not told and all(item.duration_s < RUN_S for item in events):
        names = f"sporadic {names}"
    seen = where(list(dict.fromkeys(n for item in events for n in item.ch_names)), findings)
    time = when(period or events, findings)
    sentences.append(f"{names} {rng.choice(('are seen', 'appear', 'are present'))} {seen} {time}.")
    poles = {item.value: where(item.ch_names, findings) for item in findings.of("dipole")}
    if poles:
        sentences.append(rng.choice(_DIPOLE).format(**poles))
    return sentences


def _pattern(found: Finding, findings: Findings, rng: random.Random) -> str:
    """Its name, how often it repeats, and on which side."""
    if found.value == "none":
        return rng.choice(_NO_PATTERN)
    return rng.choice(_PATTERN).format(
        name=PATTERN_WORDS[found.value],
        hertz=f" at approximately {found.measured:.1f} Hz",
        is_="are" if found.value.endswith("PD") else "is",
        where=f" over the {found.subject} hemisphere" if found.subject else "",
    )
