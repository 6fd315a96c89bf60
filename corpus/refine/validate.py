"""Answers against findings: sentences that the measurements do not support are dropped, useless answers rejected.

Claims are read by `corpus.claims`. What it cannot read is not trusted: a band or an electrode of which no claim was
read, or a sentence without claims in words that are not the template's, might carry anything into a corpus.
"""

import re
from dataclasses import dataclass

from corpus.claims import Claim, facts_of, parse_claims
from corpus.describe import write_narrative, write_template
from corpus.features import BANDS, TIERS
from corpus.findings import Findings
from corpus.montage import ELECTRODE_NAMES

MAX_WORDS = 220
MIN_COVERAGE = 0.5  # of the essential findings an answer must state, or it is rejected
ESSENTIAL = frozenset({"dominant_band", "trend", "top_channel", "artifact"})  # what the template shows of findings

_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)  # reasoning models begin with it
_PLAIN = str.maketrans({"\u2010": "-", "\u2011": "-", "\u00a0": " ", "\u202f": " ", "’": "'", "“": '"', "”": '"'})
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_NOT_PROSE = re.compile(r"[^\w\s.,;:!?()'\"/%&+±≈~×°≤≥–—-]|[^\W\d_a-zA-Zµμ²À-ÿ]|_")  # mark-up, or another script
_ABOUT_INPUTS = re.compile(
    r"\b(?:template|prompt|instructions?|as an ai|language model|i cannot|i can't|i am unable|sorry|as requested"
    r"|(?:provided|supplied|given|input|structured) (?:data|information|features|text|measurements|findings)"
    r"|clinical labels|frequency-domain features|spatial energy distribution|user|json|here is|here's|certainly|sure"
    r")\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z])")
_AGE = re.compile(r"\b(\d+)[- ]years?[- ]old|\baged? (?:of )?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![A-Za-z_\d.])\d+(?:\.\d+)?")
_BAND = re.compile(rf"\b(?:{'|'.join(sorted(BANDS, key=len, reverse=True)).replace('_', '[- ]')})\b", re.IGNORECASE)
_ELECTRODES = {name.lower(): name for name in ELECTRODE_NAMES}
_WORD = re.compile(r"[^\W\d_]+")
# Words that say what no finding can: read as claims nowhere, so they are allowed only where the labels say them.
_BEYOND = re.compile(
    r"\b(?:suggest\w*|impl(?:y|ies|ying)|consistent with|compatible with|due to|caused by|diagnos\w*|patholog\w*"
    r"|abnormal\w*|normal\w*|seizure\w*|ictal|interictal|postictal|epilep\w*|spik\w*|sharp waves?"
    r"|spindle\w*|k-complex\w*|complexes|burst\w*|discharge\w*|slowing|sleep\w*|asleep|drows\w*|awake\w*|wakeful\w*|alert\w*"
    r"|relax\w*|eyes|encephalo\w*|lesion\w*|tumou?r\w*|stroke|ischa?emi\w*|dement\w*|alzheimer\w*|parkinson\w*"
    r"|schizo\w*|depress\w*|anxi\w*|adhd|autis\w*|cogniti\w*|attenti\w*|emotion\w*|mental\w*|motor|medicat\w*|drug\w*"
    r"|sedat\w*|disease\w*|disorder\w*|dysfunction\w*|male|female|man|woman|boy|girl|child\w*|adult\w*|elderly"
    r"|infant\w*|he|she|his|hers?|year\w*)\b",
    re.IGNORECASE,
)
_GLUE = frozenset(
    _WORD.findall(
        "a an and are as at available be been by can compare compared comparison during earlier eeg exist exists for"
        " from has have history in is it no not obtained of on or preceding previous prior recorded recording segment"
        " segments subject such that the there therefore these this to trend trends was were which with"
    )
)


@dataclass(frozen=True)
class Checked:
    """An answer after the check.

    Attributes:
        text: what may stand in a corpus; None where the answer is rejected.
        problems: why sentences were dropped or the answer rejected, each reason once; empty where nothing was changed.
    """

    text: str | None
    problems: tuple[str, ...] = ()


def check_answer(answer: str, findings: Findings) -> Checked:
    """Keep the sentences of an answer that the findings support.

    Args:
        answer: what the teacher wrote.
        findings: of the same segment, with the labels that the teacher was shown and no others.

    Returns:
        The answer as it is (its white space made plain), or shortened, or none: where it is empty, too long, no prose,
        speaks of its instructions, or states less than half of the essential findings.
    """
    truth = _Truth(findings)
    answer = _THINKING.sub("", answer, count=1).translate(_PLAIN).replace("**", "")
    text = " ".join(answer.split()).strip('" ')
    if problem := _unusable(answer, text, truth.narrative):
        return Checked(None, (problem,))
    kept: list[str] = []
    problems: list[str] = []
    for sentence in _SENTENCE_END.split(text):
        problem = "repeated" if sentence in kept else truth.problem_of(sentence)
        if problem:
            problems.append(problem)
        else:
            kept.append(sentence)
    text = " ".join(kept)
    if truth.coverage(text) < MIN_COVERAGE:
        return Checked(None, (*dict.fromkeys(problems), "too few facts"))
    return Checked(text, tuple(dict.fromkeys(problems)))


def _unusable(answer: str, text: str, narrative: str) -> str:
    """Why a whole answer is of no use; empty if it is of use."""
    if not text:
        return "empty"
    if len(text.split()) > MAX_WORDS:
        return "too long"
    if _LIST.search(answer) or set(_NOT_PROSE.findall(text)) - set(narrative):
        return "no prose"
    if any(found.lower() not in narrative.lower() for found in _ABOUT_INPUTS.findall(text)):
        return "names its inputs"
    return ""


class _Truth:
    """What may be said of one segment."""

    def __init__(self, findings: Findings) -> None:
        features, self.narrative = findings.features, write_narrative(findings)
        reference = f"{write_template(findings)}\n{self.narrative}"
        self._written = set(_SENTENCE_END.split(self.narrative))  # of the labels, above all: true in any words
        self._ch_names = set(features.ch_names)
        # The writer's text adds what its sentence of labels is read as ("recorded during muscle artifact").
        self._facts = findings.facts | facts_of(self.narrative)
        self._facts |= {("tier", n, TIERS[t]) for n, t in zip(features.ch_names, features.tiers.tolist(), strict=True)}
        self._measured = {(kind, subject) for kind, subject, _ in self._facts}
        self._essential = {fact for fact in findings.facts if fact[0] in ESSENTIAL}
        self._words = set(map(str.lower, _WORD.findall(reference)))
        self._ages = set(_AGE.findall(reference))
        self._numbers = [*map(float, _NUMBER.findall(reference)), findings.segment.duration_s]

    def problem_of(self, sentence: str) -> str:
        """Why a sentence cannot stay; empty if it can."""
        if sentence in self._written:
            return ""
        claims = parse_claims(sentence)
        if sentence[-1] not in ".!?":
            return "unfinished"
        if not all(map(self._supports, claims)):
            return "unsupported claim"
        if not _named(sentence) <= {name for claim in claims for name in (claim.subject, claim.value)}:
            return "not read"
        if not (
            self._ages.issuperset(_AGE.findall(sentence)) and all(map(self._knows_number, _NUMBER.findall(sentence)))
        ):
            return "unsupported number"
        if not all(map(self._knows_word, (found.split()[0].lower() for found in _BEYOND.findall(sentence)))):
            return "beyond the findings"
        if not claims and not set(map(str.lower, _WORD.findall(sentence))) <= self._words | _GLUE:
            return "beyond the findings"
        return ""

    def coverage(self, text: str) -> float:
        """Share of the essential findings that a text states."""
        return len(self._essential & facts_of(text)) / max(len(self._essential), 1)

    def _supports(self, claim: Claim) -> bool:
        if not self._ch_names.issuperset(claim.ch_names):
            return False
        if claim.negated and (claim.kind, claim.subject) not in self._measured:
            return False
        return ((claim.kind, claim.subject, claim.value) in self._facts) != claim.negated

    def _knows_number(self, written: str) -> bool:
        """Whether a number of the template, rounded as it is written here, is this number."""
        tolerance = 0.5 * 10.0 ** -len(written.partition(".")[2]) * (1 + 1e-9)
        return any(abs(float(written) - number) <= tolerance for number in self._numbers)

    def _knows_word(self, word: str) -> bool:
        """Whether the template says a word, or a longer one of the same stem (epilepsy, epileptic)."""
        stem = word[:5] if len(word) > 5 else None
        return word in self._words or (stem is not None and any(known.startswith(stem) for known in self._words))


def _named(sentence: str) -> set[str]:
    """The bands and electrodes that a sentence names, spelt as in claims."""
    bands = {re.sub("[- ]", "_", found.lower()) for found in _BAND.findall(sentence)}
    return bands | {_ELECTRODES[word] for word in re.findall(r"\w+", sentence.lower()) if word in _ELECTRODES}
