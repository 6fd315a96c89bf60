"""Text to claims: what a narrative says about bands, trends, channels, regions, tiers, symmetry and artifacts.

A small rule parser over one lexicon. It reads every wording of `corpus.describe` and the common paraphrases of it;
what it does not understand it does not report, so an unread sentence can never count as supported.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from corpus.features import BANDS
from corpus.findings import Fact
from corpus.montage import ELECTRODE_NAMES

_INCREASE = r"(?:increas\w*|ris(?:es|e|ing)|rose|gain\w*|build[- ]?up|grow\w*)"
_DECREASE = r"(?:decreas\w*|fall(?:s|ing)?|fell|drop\w*|declin\w*|attenuat\w*|reduc\w*)"
_MARKED = r"(?:marked|sharp|significant|strong|pronounced|substantial)(?:ly)?"
_SEEN = r"(?:clearly )?(?:seen|found|present|observed|evident|noted|detected|visible|identified|apparent)"
_MODERATE = r"(?:moderate|mild|slight|noticeable|modest|gradual)(?:ly)?"


def _graded(grade: str, change: str) -> str:
    return rf"{grade}\s+{change}|{change}\s+{grade}"


_CHANNELS = "|".join(sorted((re.escape(n) for n in ELECTRODE_NAMES), key=len, reverse=True))
_LEXICON: dict[str, dict[str, str]] = {
    "denied": {"": rf"(?:not|never|nowhere) {_SEEN}|absent"},
    "negation": {"": r"no|not|without|absence of|neither|nor|free of|free from|lack(?:s|ing|ed| of)?"},
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
    "less": {"": r"lower|lowest|less|least|weak\w*|attenuated|diminished|suppressed|reduced"},
    "rest": {"": r"then|with"},
    "clause": {"": r";|\bwhile\b|\bwhereas\b|\bbut\b|\bfollowed by\b"},
}
# Where two patterns begin at one place the earlier kind is read.
_ORDER: tuple[str, ...] = (
    *(
        "artifact",
        "denied",
        "negation",
        "band",
        "trend",
        "dominant",
        "top",
        "tier",
        "tier_extent",
        "region",
        "asymmetry",
    ),
    *("amplitude", "channel", "less", "rest", "clause"),
)
_GROUPS = (  # kinds that make one claim together
    {"band", "trend", "dominant"},
    {"top", "tier", "tier_extent", "channel"},
    *({kind} for kind in ("region", "asymmetry", "amplitude", "artifact")),
)
_GROUP_OF = {kind: number for number, group in enumerate(_GROUPS) for kind in group}


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
    negated: bool = False


def parse_claims(text: str) -> list[Claim]:
    """Every claim of a text, in order; repeated claims are reported once."""
    claims: dict[tuple[Fact, bool], Claim] = {}
    for sentence in _SENTENCE.finditer(text):
        for clause in _clauses(_tokens(sentence.group(), sentence.start())):
            for kind, subject, value, span, negated in _read(clause):
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


def _clauses(tokens: list[_Token]) -> Iterator[list[_Token]]:
    """The tokens of each clause, denied where a negation reaches them, without those that only deny."""
    clause: list[_Token] = []
    for token in [*tokens, _Token("clause", "", (0, 0))]:
        if token.kind != "clause":
            clause.append(token)
            continue
        denied = _denied(clause)
        kept = [(replace(t, negated=i in denied)) for i, t in enumerate(clause) if t.kind not in ("negation", "denied")]
        yield kept
        clause = []


def _denied(clause: list[_Token]) -> set[int]:
    """Which tokens of a clause are denied: by a negation the words of one group behind it, or else before it."""
    found: set[int] = set()
    for i, token in enumerate(clause):
        if token.kind not in ("negation", "denied"):
            continue
        reached = _same_group(clause, range(i + 1, len(clause))) if token.kind == "negation" else []
        found.update(reached or _same_group(clause, range(i - 1, -1, -1)))
    return found


def _same_group(clause: list[_Token], way: range) -> list[int]:
    """The first tokens along the way that claim something, as long as they are of one group."""
    found: list[int] = []
    for i in way:
        group = _GROUP_OF.get(clause[i].kind)
        if group is None:
            if clause[i].kind in ("negation", "denied"):
                break
        elif found and group != _GROUP_OF[clause[found[0]].kind]:
            break
        else:
            found.append(i)
    return found


def _read(clause: list[_Token]) -> Iterator[_Read]:
    """What one clause claims; words apply to the bands or channels before them, else to those after."""
    yield from _spectral(clause)
    yield from _spatial(clause)
    yield from _plain(clause)


def _spectral(clause: list[_Token]) -> Iterator[_Read]:
    bands: list[_Token] = []
    pending: _Token | None = None
    for token in clause:
        if token.kind == "rest":
            pending = None
        elif token.kind == "band":
            bands.append(token)
            if pending is not None:
                yield from _of_bands(pending, [token])
                bands = [] if pending.kind == "trend" else bands
        elif token.kind in ("trend", "dominant"):
            yield from _of_bands(token, bands)
            pending = None if bands else token
            bands = [] if token.kind == "trend" else bands


def _of_bands(word: _Token, bands: list[_Token]) -> Iterator[_Read]:
    for band in bands:
        span, negated = _span(word, band), word.negated or band.negated
        for name in BANDS if band.value == "all" else (band.value,):
            if word.kind == "trend":
                yield "trend", name, word.value, span, negated
            elif band.value != "all":
                yield "dominant_band", "", name, span, negated


def _spatial(clause: list[_Token]) -> Iterator[_Read]:
    channels = [i for i, token in enumerate(clause) if token.kind == "channel"]
    at = {kind: [i for i, token in enumerate(clause) if token.kind == kind] for kind in ("top", "tier", "tier_extent")}
    top = None
    if at["top"] and channels:
        (word, *_) = at["top"]
        top = word - 1 if word - 1 in channels else next((i for i in channels if i > word), channels[0])
        token, channel = clause[word], clause[top]
        yield "top_channel", "", channel.value, _span(token, channel), token.negated or channel.negated
    for i in channels:
        if at["tier"] and i != top:
            tier, channel = clause[_tier_of(i, at["tier"], channels)], clause[i]
            yield "tier", channel.value, tier.value, channel.span, tier.negated or channel.negated
    for i in at["tier_extent"][:1]:
        yield "tier_extent", "", clause[i].value, clause[i].span, clause[i].negated


def _tier_of(channel: int, tiers: list[int], channels: list[int]) -> int:
    """Where the tier of a channel stands: behind its channels where a channel comes first, else before them."""
    if channels[0] < tiers[0]:
        return next((tier for tier in tiers if tier > channel), tiers[-1])
    return [tier for tier in tiers if tier < channel][-1]


def _plain(clause: list[_Token]) -> Iterator[_Read]:
    kinds = {token.kind for token in clause}
    for token in clause:
        if token.kind == "artifact":
            yield "artifact", "", token.value, token.span, token.negated and token.value != "none"
        elif token.kind == "amplitude":
            yield "amplitude", "", token.value, token.span, token.negated
        elif "less" in kinds:
            continue  # where there is less, the most is elsewhere
        elif token.kind == "asymmetry" or (token.kind == "region" and "artifact" not in kinds):
            yield token.kind, "", token.value, token.span, token.negated


def _span(one: _Token, other: _Token) -> tuple[int, int]:
    return min(one.span[0], other.span[0]), max(one.span[1], other.span[1])
