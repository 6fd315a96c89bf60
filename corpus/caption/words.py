"""Events in words: where they are, when they are, and one sentence of both."""

import random
from collections.abc import Sequence

from corpus.areas import join_names, place
from corpus.artifacts import Artifact
from corpus.findings import Finding, Findings

MAX_TIMES = 3  # more events than these are counted, not listed
SHORT_S = 0.5  # shorter events are timed to 0.01 s
_ONE = frozenset({"loss of the EEG", "electrode artifact", "a flat signal", "muscle artifact", "high-frequency noise"})
_SEEN = ("{name} {is_} seen {where} {when}.", "there {is_} {name} {where} {when}.", "{name} {appear} {where} {when}.")


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
