"""Events in words: where they are, when they are, and one sentence of both."""

import random
from collections.abc import Sequence

from corpus.areas import join_names, place
from corpus.artifacts import Artifact
from corpus.findings import Finding, Findings
from corpus.spans import Span, join_spans

MAX_TIMES = 3  # more events than these are counted, not listed
SHORT_S = 0.5  # shorter events are timed to 0.01 s
_ONE = frozenset({"loss of the EEG", "electrode artifact", "a flat signal", "muscle artifact", "high-frequency noise"})
_SEEN = ("{name} {is_} seen {where} {when}.", "there {is_} {name} {where} {when}.", "{name} {appear} {where} {when}.")


def where(ch_names: Sequence[str], findings: Findings) -> str:
    """Electrodes in words, see `corpus.areas.place`."""
    return place(ch_names, findings.segment.ch_names)


def when(items: Sequence[Finding | Artifact], findings: Findings) -> str:
    """Times of events: "throughout", "during 1.2-1.5 s and 3.0-3.4 s", "7 times"; what overlaps is told once."""
    spans = spans_of(items, findings)
    if spans == [(0.0, findings.segment.duration_s)]:
        return "throughout"
    if len(spans) > MAX_TIMES:
        return f"{len(spans)} times"
    return "during " + join_names([f"{a:.{d}f}-{b:.{d}f} s" for a, b in spans for d in (1 if b - a >= SHORT_S else 2,)])


def spans_of(items: Sequence[Finding | Artifact], findings: Findings) -> list[Span]:
    """When there is at least one of the events, seconds from the start of the segment, in order."""
    segment = findings.segment
    return join_spans(
        (max(i.start_s - segment.start_s, 0.0), min(i.start_s + i.duration_s - segment.start_s, segment.duration_s))
        for i in items
    )


def seen_sentence(
    name: str, same: Sequence[Finding], findings: Findings, rng: random.Random, timed: bool = True
) -> str:
    """One sentence for all findings of a kind: what, where, when."""
    names = list(dict.fromkeys(n for item in same for n in item.ch_names))
    many = name not in _ONE and not name.startswith(("a slow", "paroxysmal"))
    told = rng.choice(_SEEN).format(
        name=name,
        is_="are" if many else "is",
        appear="appear" if many else "appears",
        where=where(names, findings),
        when=when(same, findings) if timed else "",
    )
    return told.replace(" .", ".")
