"""Text to claims: what a narrative says about bands, trends, channels, regions, tiers, symmetry and artifacts.

A small rule parser over one lexicon. It reads every wording of `corpus.describe` and the common paraphrases of it;
what it does not understand it does not report, so an unread sentence can never count as supported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from corpus.features import BANDS
from corpus.findings import Fact
from corpus.montage import ELECTRODE_NAMES

_INCREASE = r"(?:increas\w*|ris(?:es|e|ing)|rose|gain\w*|build[- ]?up|grow\w*)"
_DECREASE = r"(?:decreas\w*|fall(?:s|ing)?|fell|drop\w*|declin\w*|attenuat\w*|reduc\w*)"
_MARKED = r"(?:marked|sharp|significant|strong|pronounced|substantial)(?:ly)?"
_MODERATE = r"(?:moderate|mild|slight|noticeable|modest|gradual)(?:ly)?"


def _graded(grade: str, change: str) -> str:
    return rf"{grade}\s+{change}|{change}\s+{grade}"


_CHANNELS = "|".join(sorted((re.escape(n) for n in ELECTRODE_NAMES), key=len, reverse=True))
_LEXICON: dict[str, dict[str, str]] = {
    "negation": {"not": r"no|not|without|absence of|neither"},
    "band": {
        "high_gamma": r"high[- ]gamma",
        **{band: rf"(?<!high[- ]){band}" for band in BANDS if band != "high_gamma"},
        "all": r"(?:all|every)(?: frequency)? bands?",
    },
    "trend": {
        "marked increase": _graded(_MARKED, _INCREASE),
        "marked decrease": _graded(_MARKED, _DECREASE),
        "moderate increase": _graded(_MODERATE, _INCREASE),
        "moderate decrease": _graded(_MODERATE, _DECREASE),
        "stable": r"stable|unchanged|steady|constant",
    },
    "dominant": {"": r"dominates|dominated by|dominant band|highest power|most power|dominant rhythm|predominant"},
    "top": {"": r"highest[- ]energy channel|peaking at|highest[- ]power channel|maximal at|maximum at"},
    "tier": {tier: rf"{tier}[- ]energy (?:tier|channels?)" for tier in ("high", "medium", "low")},
    "tier_extent": {"widespread": r"widespread"},
    "region": {
        "frontal": r"(?:pre)?front(?:al|o)(?:ly)?",
        "central": r"centr(?:al|o)(?:ly)?",
        "temporal": r"tempor(?:al|o)(?:ly)?",
        "parietal": r"pariet(?:al|o)(?:ly)?",
        "occipital": r"occipit(?:al|o)(?:ly)?",
    },
    "asymmetry": {
        "symmetric": r"symmetric(?:al)?",
        "left": r"left(?:[- ]hemispher(?:e|ic)(?: predominance)?|-sided predominance)",
        "right": r"right(?:[- ]hemispher(?:e|ic)(?: predominance)?|-sided predominance)",
    },
    "amplitude": {v: rf"amplitude (?:is|remains) {v}|{v}[- ]amplitude|{v} voltage" for v in ("low", "medium", "high")},
    "artifact": {
        "none": r"no artifacts?|free of artifacts?|artifact[- ]free|without artifacts?",
        "blink": r"(?:eye[- ])?blinks?",
        "muscle": r"muscle(?: artifacts?)?|myogenic|EMG",
        "electrode": r"electrode (?:artifacts?|pops?)|bad contact",
        "flat": r"flat channels?",
        "missing": r"missing samples",
    },
    "channel": {"": _CHANNELS},
    "clause": {"": r";|\bwhile\b|\bwhereas\b|\bbut\b"},
}
# Where two patterns begin at one place the earlier kind is read.
_ORDER: tuple[str, ...] = (
    *("artifact", "negation", "band", "trend", "dominant", "top", "tier", "tier_extent", "region", "asymmetry"),
    *("amplitude", "channel", "clause"),
)


def _compile() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    groups: list[str] = []
    meaning: dict[str, tuple[str, str]] = {}
    for kind in _ORDER:
        for value, pattern in _LEXICON[kind].items():
            name = f"g{len(meaning)}"
            meaning[name] = (kind, value)
            before = r"(?<!\w)" if kind == "region" else r"(?<![\w-])"  # fronto-central names two regions
            guarded = pattern if kind == "clause" else rf"{before}(?:{pattern})(?!\w)"
            groups.append(f"(?P<{name}>{guarded})")
    return re.compile("|".join(groups), re.IGNORECASE), meaning


_PATTERN, _MEANING = _compile()
_SPELLING = {name.lower(): name for name in ELECTRODE_NAMES}
_SENTENCE = re.compile(r"[^.!?\n]+(?:\.(?=\d)[^.!?\n]*)*[.!?]?")


@dataclass(frozen=True)
class Claim:
    """One statement of a text.

    Attributes:
        kind: as `Finding.kind`.
        value: what is claimed, such as "delta", "stable" or "C4".
        subject: band of a trend, electrode of a tier, else "".
        text: the sentence that says it.
        span: character offsets of the words that say it.
        negated: the text denies it.
    """

    kind: str
    value: str
    subject: str
    text: str
    span: tuple[int, int]
    negated: bool = False

    @property
    def fact(self) -> Fact:
        """Comparable with `Finding.fact`."""
        return self.kind, self.subject, f"not {self.value}" if self.negated else self.value

    @property
    def ch_names(self) -> tuple[str, ...]:
        """Electrodes the claim is about."""
        return tuple(n for n in ((self.subject,) if self.kind == "tier" else (self.value,)) if n.lower() in _SPELLING)


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    span: tuple[int, int]


def parse_claims(text: str) -> list[Claim]:
    """Every claim of a text, in order; repeated claims are reported once."""
    claims: dict[tuple[Fact, bool], Claim] = {}
    for sentence in _SENTENCE.finditer(text):
        tokens = _tokens(sentence.group(), sentence.start())
        for kind, subject, value, span, negated in _Reader(tokens).read():
            claim = Claim(kind, value, subject, sentence.group().strip(), span, negated)
            claims.setdefault((claim.fact, negated), claim)
    return list(claims.values())


def facts_of(text: str) -> set[Fact]:
    """The facts a text states."""
    return {claim.fact for claim in parse_claims(text)}


def _tokens(sentence: str, offset: int) -> list[_Token]:
    found = []
    for match in _PATTERN.finditer(sentence):
        kind, value = _MEANING[match.lastgroup or ""]
        if kind == "channel":
            value = _SPELLING[match.group().lower()]
        found.append(_Token(kind, value, (match.start() + offset, match.end() + offset)))
    return found


_Read = tuple[str, str, str, tuple[int, int], bool]


@dataclass
class _Reader:
    """Reads the tokens of one sentence: words apply to the bands or channels before them, else to those after."""

    tokens: list[_Token]
    negated: bool = False
    bands: list[_Token] = field(default_factory=list)
    pending: _Token | None = None

    def read(self) -> Iterator[_Read]:
        yield from self._spectral()
        yield from self._spatial()
        yield from self._plain()

    def _spectral(self) -> Iterator[_Read]:
        for token in self.tokens:
            if token.kind == "clause":
                self.negated, self.bands, self.pending = False, [], None
            elif token.kind == "negation":
                self.negated = True
            elif token.kind == "band":
                self.bands.append(token)
                if self.pending is not None:
                    yield from self._apply(self.pending, [token])
                    self.bands = [] if self.pending.kind == "trend" else self.bands
            elif token.kind in ("trend", "dominant"):
                yield from self._apply(token, self.bands)
                self.pending = None if self.bands else token
                self.bands = [] if token.kind == "trend" else self.bands

    def _apply(self, word: _Token, bands: list[_Token]) -> Iterator[_Read]:
        for band in bands:
            span = (min(word.span[0], band.span[0]), max(word.span[1], band.span[1]))
            for name in BANDS if band.value == "all" else (band.value,):
                if word.kind == "trend":
                    yield "trend", name, word.value, span, self.negated
                elif band.value != "all":
                    yield "dominant_band", "", name, span, self.negated

    def _spatial(self) -> Iterator[_Read]:
        kinds = [token.kind for token in self.tokens]
        channels = [i for i, kind in enumerate(kinds) if kind == "channel"]
        negated = "negation" in kinds
        top = None
        if "top" in kinds and channels:
            at = kinds.index("top")
            before = [i for i in channels if i == at - 1]
            top = before[0] if before else next((i for i in channels if i > at), channels[0])
            yield "top_channel", "", self.tokens[top].value, self._span(at, top), negated
        if "tier" in kinds:
            at = kinds.index("tier")
            for i in channels:
                if i != top:
                    token = self.tokens[i]
                    yield "tier", token.value, self.tokens[at].value, token.span, negated
        if "tier_extent" in kinds:
            token = self.tokens[kinds.index("tier_extent")]
            yield "tier_extent", "", token.value, token.span, negated

    def _plain(self) -> Iterator[_Read]:
        kinds = {token.kind for token in self.tokens}
        negated = False
        for token in self.tokens:
            if token.kind == "negation":
                negated = True
            elif token.kind == "clause":
                negated = False
            elif token.kind in ("amplitude", "asymmetry") or (token.kind == "region" and "artifact" not in kinds):
                yield token.kind, "", token.value, token.span, negated
            elif token.kind == "artifact":
                yield "artifact", "", token.value, token.span, negated and token.value != "none"

    def _span(self, first: int, second: int) -> tuple[int, int]:
        a, b = self.tokens[first].span, self.tokens[second].span
        return min(a[0], b[0]), max(a[1], b[1])
