"""Sentences to statements that can be checked: those of five-aspect captions by patterns, the others by claims.

`corpus.claims` reads what narratives say; captions (`corpus.caption`) use the same words of other things (a spindle
over the central region), so their sentences are read here first.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from corpus.areas import area_rows
from corpus.caption import WAVEFORM_NAMES
from corpus.claims import Claim, parse_claims
from corpus.montage import side_of
from corpus.patterns import PATTERN_WORDS

EVENT_KINDS: dict[str, tuple[str, ...]] = {  # words -> kinds of findings that they may stand for
    **{name: (kind,) for kind, name in WAVEFORM_NAMES.items()},
    "eye blinks": ("eyem", "blink"),
    "loss of the EEG": ("global_bad",),
    "extreme amplitudes": ("extreme",),
    "electrode artifact": ("electrode",),
    "missing samples": ("missing",),
    "flat signal": ("flat",),
    "flat channel": ("flat",),
    "muscle artifact": ("muscle",),
    "eye movements to the left": ("eye_left",),
    "eye movements to the right": ("eye_right",),
    "slow respiratory rhythm": ("respiration",),
    "paroxysmal delta activity": ("burst delta",),
    "paroxysmal theta activity": ("burst theta",),
}
_EVENT = re.compile("|".join(sorted((re.escape(name) for name in EVENT_KINDS), key=len, reverse=True)), re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
LABEL_WORDS = {  # labels of datasets that a text may state: of sleep scorings, and of IIIC
    "stage": {"W": "wakefulness", "N1": "n1", "N2": "n2", "N3": "n3", "R": "rem sleep"},
    "pattern": {
        "SZ": "an electrographic seizure",
        "LPD": "lateralized periodic discharges",
        "GPD": "generalized periodic discharges",
        "LRDA": "lateralized rhythmic delta activity",
        "GRDA": "generalized rhythmic delta activity",
        "Other": "none of the periodic or rhythmic patterns",
    },
}
_VERB = r"\b(?:is|are|was|were|appears?|prevails?|var(?:y|ies)|dominates?)\b"
_HAS_VERB = re.compile(_VERB, re.IGNORECASE)
_AND = re.compile(rf"(?<=[^\W_])[,;]?\s+(?:and|while|whereas|but)\s+(?=[^,;]*{_VERB})", re.IGNORECASE)
_SPAN = re.compile(r"(\d+\.\d+)-(\d+\.\d+) s\b")
_TIMES = re.compile(r"\b(\d+) times\b")
_PERIODIC = re.compile(r"periodic .* at approximately ([\d.]+) Hz", re.IGNORECASE)
_AREA = re.compile(
    r"all regions|(?:left|right) hemisphere"
    r"|(?:left|right|bilateral|midline) (?:frontal|central|temporal|parietal|occipital)"
)
_POLES = re.compile(r"negative (?:pole )?((?:over|at) .*?) and (?:its )?positive (?:pole )?((?:over|at) .*)")
_ACNS = "|".join(words.removeprefix("an ") for words in PATTERN_WORDS.values())
_ACNS_KINDS = {words.removeprefix("an "): kind for kind, words in PATTERN_WORDS.items()}
_BAND = r"(delta|theta|alpha|beta|gamma)"
_LIST = r"[a-z]+(?:(?:, | and )[a-z]+)*"


@dataclass(frozen=True)
class Statement:
    """One thing that a sentence says.

    Attributes:
        kind: of the finding, a key of `LABEL_WORDS`, "event", "none" (a class of events is denied), "history",
            "labels" or "claim".
        value: of the finding; of a denied class its name.
        subject: of the finding.
        kinds: of an event, any of which it may be.
        places: words of the area ("left temporal", "all regions") and electrodes; empty if none is named.
        spans: seconds from the start of the segment.
        count: how often, where the sentence says it.
        throughout: the sentence says so.
        number: as it is written, "" if none is.
        claim: of a sentence that `corpus.claims` reads.
    """

    kind: str
    value: str = ""
    subject: str = ""
    kinds: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    spans: tuple[tuple[float, float], ...] = ()
    count: int | None = None
    throughout: bool = False
    number: str = ""
    claim: Claim | None = None


def split_sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [sentence for sentence in _END.split(" ".join(text.split())) if sentence]


@lru_cache(maxsize=8192)  # many sentences of a corpus are the same
def read_sentence(sentence: str) -> tuple[Statement, ...]:
    """What a sentence says; empty where nothing of it, or of one of several that "and" makes one, is understood."""
    parts = _parts(sentence)
    said = [_read_part(part) for part in parts]
    return tuple(statement for own in said for statement in own) if all(said) else ()


def _parts(sentence: str) -> list[str]:
    """The sentences that a conjunction joins: each has a verb of its own."""
    parts: list[str] = []
    for piece in _AND.split(sentence):
        if parts and not _HAS_VERB.search(parts[-1]):
            return [sentence]  # "spikes and sharp waves are seen" is one
        parts.append(piece)
    return parts


def _read_part(sentence: str) -> tuple[Statement, ...]:
    for pattern, build in _PATTERNS:
        if match := pattern.search(sentence):
            return tuple(build(match))
    found = _poles(sentence) or _events(sentence)
    return tuple(found or [Statement("claim", claim=claim) for claim in parse_claims(sentence)])


def expand(places: Sequence[str], recorded: tuple[str, ...]) -> set[str]:
    """The recorded electrodes that words stand for, the inverse of `corpus.areas.place`."""
    found: set[str] = set()
    areas = area_rows(recorded)
    for word in places:
        if word == "all regions":
            found |= set(recorded)
        elif word.endswith(" hemisphere"):
            found |= {name for name in recorded if side_of(name) == word.split()[0]}
        elif " " in word:
            side, region = word.split()
            for own in ("left", "right") if side == "bilateral" else (side,):
                found |= {recorded[i] for i in areas.get((own, region), ())}
        else:
            found |= {name for name in recorded if name.lower() == word.lower()}
    return found


def places_of(text: str) -> tuple[str, ...]:
    """Areas and electrodes that a text names, in the words of `corpus.areas.place`."""
    words: list[str] = []
    for phrase in re.findall(r"\b(?:over|at) (.*?)(?= during | throughout| \d+ times|\.$| is | are |$)", text):
        words += [match.group() for match in _AREA.finditer(phrase)]
        words += re.findall(r"[A-Za-z]+\d+h?|[A-Z][A-Za-z]*z\b", _AREA.sub(" ", phrase))
    return tuple(dict.fromkeys(words))


def _events(sentence: str) -> list[Statement]:
    named = [match.group().lower() for match in _EVENT.finditer(sentence)]
    if not named:
        return []
    by_name = {name.lower(): kinds for name, kinds in EVENT_KINDS.items()}
    periodic, times = _PERIODIC.search(sentence), _TIMES.search(sentence)
    spans = tuple((float(a), float(b)) for a, b in _SPAN.findall(sentence))
    place, kinds = places_of(sentence), tuple(kind for name in named for kind in by_name[name])
    kinds += ("periodic",) if periodic else ()
    when = {"spans": spans, "count": int(times[1]) if times else None, "throughout": "throughout" in sentence}
    found = [Statement("event", kinds=by_name[name]) for name in dict.fromkeys(named)]
    if place or spans or times or when["throughout"]:
        found.append(Statement("event", "placed", kinds=kinds, places=place, **when))  # type: ignore[arg-type]
    if periodic:
        found.append(Statement("periodicity", "periodic", number=periodic[1]))
    breath = re.search(r"respiratory rhythm of ([\d.]+) Hz", sentence)
    return [*found, *([Statement("extended_artifact", "respiration", number=breath[1])] if breath else [])]


def _poles(sentence: str) -> list[Statement]:
    match = _POLES.search(sentence)
    if match is None or "dipole" not in sentence:
        return []
    return [Statement("dipole", sign, places=places_of(match[i])) for i, sign in enumerate(("negative", "positive"), 1)]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.replace(" and ", " "))


def _rhythm(match: re.Match[str]) -> Iterator[Statement]:
    text = match.string
    band, hertz = re.search(_BAND, text, re.IGNORECASE), re.search(r"approximately ([\d.]+) Hz", text)
    level, uv = re.search(r"\b(low|medium|high)\b", text), re.search(r"([\d.]+) µV", text)
    if band and hertz:
        yield Statement("rhythm", band[1].lower(), number=hertz[1])
    if level and uv:
        yield Statement("level", level[1], number=uv[1])


def _pdr(match: re.Match[str]) -> Iterator[Statement]:
    text = match.string
    yield Statement("pdr", "present", number=match[1])
    level, uv = re.search(r"\b(low|medium|high) amplitude", text), re.search(r"([\d.]+) µV", text)
    if level and uv:
        yield Statement("pdr_amplitude", level[1], number=uv[1])
    if side := re.search(r"and (symmetric)\b|higher on the (left|right)", text):
        yield Statement("pdr_symmetry", side[1] or side[2])


def _regional(match: re.Match[str]) -> Iterator[Statement]:
    for region in _words(match[2]):
        yield Statement("rhythm", match[1].lower(), region)


def _sides(match: re.Match[str]) -> Iterator[Statement]:
    grade = match[2].lower()
    number = "" if match[5] else match[6]  # the largest of several is not that of each
    for band in _words(match[1].lower()):
        yield Statement("sides", f"{grade} {match[3]}", f"{match[4]} {band}", number=number)


def _vary(match: re.Match[str]) -> Iterator[Statement]:
    for band in _words(match[1].lower()):
        yield Statement("variation", "variable", band)


def _one(kind: str, value: str = "", subject: str = "", number: int = 0) -> Callable[[re.Match[str]], list[Statement]]:
    """A statement whose value, subject and number may be groups of the pattern ("$1")."""

    def build(match: re.Match[str]) -> list[Statement]:
        own_value, own_subject = (match[int(t[1:])].lower() if t.startswith("$") else t for t in (value, subject))
        return [Statement(kind, own_value, own_subject, number=match[number] if number else "")]

    return build


def _slowing(match: re.Match[str]) -> list[Statement]:
    area = f"{match[2]} " if match[2] else ""
    return [Statement("slowing", subject=f"{area}{match[1].lower()}")]


def _acns(match: re.Match[str]) -> list[Statement]:
    kind, side = _ACNS_KINDS[match[1].lower()], re.search(r"over the (left|right) hemisphere", match.string)
    return [Statement("acns_pattern", kind, side[1] if side else "", number=match[2])]


_Build = Callable[[re.Match[str]], list[Statement] | Iterator[Statement]]
_PATTERNS: list[tuple[re.Pattern[str], _Build]] = [
    (re.compile(pattern, re.IGNORECASE), build)
    for pattern, build in (
        (rf"({_ACNS}) at approximately ([\d.]+) Hz", _acns),
        (r"no periodic or rhythmic pattern|neither a periodic or rhythmic pattern", _one("acns_pattern", "none")),
        (r"(\d+) electrodes of the (\S+) system", _one("montage", "$2", number=1)),
        (r"(?:has|recording of) (\d+) electrodes?(?:: | \()", _one("montage", "few", number=1)),
        (r"quality (?:of the data )?is (good|fair|poor)", _one("quality", "$1")),
        (r"of (good|fair|poor) quality", _one("quality", "$1")),
        (r"no artifact is (?:found|detected)|free of artifacts", _one("none", "artifacts")),
        (r"no K-complex or spindle|sleep graphoelements are absent", _one("none", "sleep")),
        (r"no epileptiform discharge|epileptiform activity is absent", _one("none", "epileptiform")),
        (r"no posterior dominant rhythm|posterior dominant rhythm is not", _one("pdr", "absent")),
        (r"posterior dominant rhythm (?:of|is) ([\d.]+) Hz", _pdr),
        (rf"{_BAND} activity at approximately [\d.]+ Hz", _rhythm),
        (rf"{_BAND} prevails over the ({_LIST}) regions?", _regional),
        (r"background is of (low) voltage \(about (\d+)", _one("voltage", "$1", number=2)),
        (r"background is (suppressed) \(about (\d+)", _one("voltage", "$1", number=2)),
        (r"excess fast activity \((\w+), (\d+) µV", _one("fast", "excess", "$1", number=2)),
        (rf"continuous {_BAND} slowing is seen (?:diffusely|over the ([a-z ]+) region)", _slowing),
        (
            rf"({_LIST}) amplitude is (mildly|markedly) higher over the (left|right) (\w+) region \((up to )?([\d.]+)",
            _sides,
        ),
        (r"background is symmetric|no asymmetry between|two sides are symmetric", _one("sides", "symmetric")),
        (rf"({_LIST}) var(?:y|ies) over the segment", _vary),
        (r"background is stable over|background varies little", _one("variation", "stable")),
        (r"over the recording the amplitude is (variable|stable)", _one("variation", "$1", "recording")),
        (r"amplitude is (higher|lower) here than usual in the recording \(([\d.]+)", _one("deviation", "$1", number=2)),
        (r"no preceding segment|no history to compare", _one("history", "none")),
        (r"^the stage is (.+)\.$", _one("stage", "$1")),
        (r"^the pattern is (.+)\.$", _one("pattern", "$1")),
        (r"^this EEG segment .*(?:was recorded|has no labels)", _one("labels")),
    )
]
