"""What can be asked of a segment: one true statement and others that the findings contradict."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from corpus.areas import area_rows, place
from corpus.artifacts import ARTIFACT_KINDS
from corpus.caption import WAVEFORM_NAMES
from corpus.describe import BAND_NAMES
from corpus.features import BANDS
from corpus.findings import Findings
from corpus.noise_audit import check_against_findings
from corpus.noise_audit.reader import LABEL_WORDS
from corpus.waveforms import EPILEPTIFORM

PDR_AWAY_HZ = (-3.5, -2.0, 2.0, 3.5)  # how far a wrong posterior rhythm is from the measured one
PDR_WRONG_HZ = (7.5, 9.0, 10.5)  # offered where there is none
_TRENDS = {
    "stable": "remains stable",
    "moderate increase": "shows a moderate increase",
    "marked increase": "shows a marked increase",
    "moderate decrease": "shows a moderate decrease",
    "marked decrease": "shows a marked decrease",
}
_SIDES = {
    "symmetric": "Power is symmetric between the two sides.",
    "left": "Power is higher over the left hemisphere.",
    "right": "Power is higher over the right hemisphere.",
}
_ARTIFACTS = {
    "none": "No artifact is detected.",
    "blink": "The segment contains eye blinks.",
    "muscle": "The segment contains muscle artifact.",
    "electrode": "The segment contains electrode artifact.",
    "flat": "The segment contains a flat channel.",
    "missing": "The segment contains missing samples.",
}
_TWINS = {  # a waveform is not offered as wrong where one of these artifacts was found: it may be the same event
    "hfnoise": ("muscle", "electrode"),
    "eyem": ("blink",),
    "eyer+": ("eye_left", "eye_right", "blink"),
    "eyer-": ("eye_left", "eye_right", "blink"),
}


@dataclass(frozen=True)
class Contrast:
    """One thing to ask.

    Attributes:
        topic: kind of finding, with its subject where it has one ("trend alpha").
        stem: the question.
        right: a sentence that the findings support.
        wrong: sentences that they contradict, at least one.
    """

    topic: str
    stem: str
    right: str
    wrong: tuple[str, ...]


def find_contrasts(findings: Findings, seed: int = 0) -> list[Contrast]:
    """Everything that can be asked of a segment, in a fixed order of topics.

    Each sentence is checked: a right one is supported by the findings, a wrong one contradicted.

    Args:
        findings: of the segment; with the details of `find_complete` there are more questions.
        seed: chooses stems and the order of wrong statements.
    """
    rng = random.Random(seed)
    found = []
    for topic, stems, right, wrong in (one for rule in _RULES for one in rule(findings)):
        false = [text for text in wrong if text != right and _verdict(text, findings) == "contradicted"]
        rng.shuffle(false)
        if false and _verdict(right, findings) == "supported":
            found.append(Contrast(topic, rng.choice(stems), right, tuple(false)))
    return found


def _verdict(sentence: str, findings: Findings) -> str:
    verdicts = {checked.verdict for checked in check_against_findings(sentence, findings)}
    return verdicts.pop() if len(verdicts) == 1 else "unread"


_Raw = tuple[str, Sequence[str], str, Sequence[str]]  # topic, stems, right, wrong


def _dominant(findings: Findings) -> Iterator[_Raw]:
    stems = ("Which frequency band holds the most power?", "What is the dominant band of this segment?")
    texts = {band: f"{BAND_NAMES[band].capitalize()} activity dominates the spectrum." for band in BANDS}
    yield "dominant_band", stems, texts[findings.of("dominant_band")[0].value], list(texts.values())


def _amplitude(findings: Findings) -> Iterator[_Raw]:
    stems = ("How large is the activity?", "What is the overall amplitude?")
    texts = {word: f"Overall amplitude is {word}." for word in ("low", "medium", "high")}
    yield "amplitude", stems, texts[findings.of("amplitude")[0].value], list(texts.values())


def _trends(findings: Findings) -> Iterator[_Raw]:
    for item in findings.of("trend"):
        band = BAND_NAMES[item.subject]
        texts = {word: f"{band.capitalize()} power {verb}." for word, verb in _TRENDS.items()}
        stems = (f"How has {band} power changed against the preceding segments?", f"What is the course of {band}?")
        yield f"trend {item.subject}", stems, texts[item.value], list(texts.values())


def _top(findings: Findings) -> Iterator[_Raw]:
    stems = ("Which electrode carries the most energy?", "Where is the signal strongest, electrode by electrode?")
    texts = {name: f"{name} is the highest-energy channel." for name in findings.segment.ch_names}
    yield "top_channel", stems, texts[findings.of("top_channel")[0].value], list(texts.values())


def _region(findings: Findings) -> Iterator[_Raw]:
    stems = ("Over which region is the power highest?", "Where on the scalp does the energy concentrate?")
    texts = {name: f"Energy concentrates over the {name} region." for name in findings.features.region_power_uv2}
    for item in findings.of("region"):
        yield "region", stems, texts[item.value], list(texts.values())


def _asymmetry(findings: Findings) -> Iterator[_Raw]:
    stems = ("How do the hemispheres compare?", "Is the power balanced between left and right?")
    for item in findings.of("asymmetry"):
        yield "asymmetry", stems, _SIDES[item.value], list(_SIDES.values())


def _artifacts(findings: Findings) -> Iterator[_Raw]:
    stems = ("What about artifacts?", "Are there artifacts?")
    seen = {item.value for item in findings.of("artifact")}
    marks = {item.value for item in findings.of("waveform")}
    twins = {own for mark, artifacts in _TWINS.items() if mark in marks for own in artifacts}
    wrong = [_ARTIFACTS[kind] for kind in ("none", *ARTIFACT_KINDS) if kind not in seen | twins]
    if seen:
        yield "artifact", stems, _ARTIFACTS[min(seen)], wrong


def _waveforms(findings: Findings) -> Iterator[_Raw]:
    if not findings.of("search"):
        return
    stems = ("Which graphoelement or transient is present?", "What stands out from the background?")
    seen = {item.value for item in findings.of("waveform")}
    artifacts = {item.value for item in (*findings.of("artifact"), *findings.of("extended_artifact"))}
    texts = {kind: f"{name[0].upper()}{name[1:]} are seen." for kind, name in WAVEFORM_NAMES.items()}
    texts["hfnoise"] = texts["hfnoise"].replace(" are ", " is ")
    wrong = [texts[k] for k in texts if k not in seen and not artifacts & set(_TWINS.get(k, ()))]
    for kind in (kind for kind in texts if kind in seen):
        yield f"waveform {kind}", stems, texts[kind], wrong
    if not seen & set(EPILEPTIFORM):
        stems = ("Is there epileptiform activity?", "What can be said of epileptiform discharges?")
        yield "epileptiform", stems, "No epileptiform discharge is seen.", [texts[kind] for kind in EPILEPTIFORM]


def _places(findings: Findings) -> Iterator[_Raw]:
    recorded = findings.segment.ch_names
    areas = {area: {recorded[i] for i in rows} for area, rows in area_rows(recorded).items()}
    for kind, name in WAVEFORM_NAMES.items():
        names = {n for item in findings.of("waveform") if item.value == kind for n in item.ch_names}
        if not names:
            continue
        verb = "is" if kind == "hfnoise" else "are"
        title = f"{name[0].upper()}{name[1:]} {verb} seen"
        away = [place(sorted(own), recorded) for own in areas.values() if not own & names]
        stems = (f"Where {verb} the {name} seen?", f"Over which electrodes {verb} the {name}?")
        right = f"{title} {place(sorted(names), recorded)}."
        yield f"place {kind}", stems, right, [f"{title} {where}." for where in dict.fromkeys(away)]


def _posterior(findings: Findings) -> Iterator[_Raw]:
    stems = ("Is there a posterior dominant rhythm?", "How fast is the posterior dominant rhythm?")
    for item in findings.of("pdr"):
        hertz = item.measured or 0.0
        nearby = PDR_WRONG_HZ if item.value == "absent" else tuple(hertz + away for away in PDR_AWAY_HZ)
        present = [f"A posterior dominant rhythm of {own:.1f} Hz is present." for own in (hertz, *nearby)]
        absent = "No posterior dominant rhythm stands out."
        right, wrong = (absent, present[1:]) if item.value == "absent" else (present[0], [absent, *present[1:]])
        yield "pdr", stems, right, wrong


def _quality(findings: Findings) -> Iterator[_Raw]:
    stems = ("How good are the data?", "What is the quality of this stretch of EEG?")
    texts = {word: f"Data quality is {word}." for word in ("good", "fair", "poor")}
    for item in findings.of("quality"):
        yield "quality", stems, texts[item.value], list(texts.values())


def _labels(findings: Findings) -> Iterator[_Raw]:
    """What the dataset says of the segment; only where it says one thing."""
    asked = {"stage": ("Which stage of sleep or waking is this?",), "pattern": ("Which pattern is this?",)}
    for family, words in LABEL_WORDS.items():
        label = findings.labels.condition or ""
        texts = {own: f"The {family} is {word.upper() if len(word) == 2 else word}." for own, word in words.items()}
        if label in words:
            yield family, asked[family], texts[label], list(texts.values())


_RULES: tuple[Callable[[Findings], Iterator[_Raw]], ...] = (
    *(_artifacts, _quality, _waveforms, _places, _posterior, _dominant),
    _labels,
    *(_amplitude, _top, _region, _asymmetry, _trends),
)
