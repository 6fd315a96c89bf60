"""The five axes on which the paper's judge scores a narrative, by rules on facts in place of a language model.

NeuroNarrator asks GPT-4.1 five yes/no questions about a narrative and its reference (Sec. 5.2) and prints the scores
in a figure only. Ours compare facts and are stricter than a reader: the words of a trend count with their strength.
"""

from collections.abc import Iterable

from corpus.findings import Fact

AXES = {
    "event": "the artifacts stated, or that there is none, are those of the reference",
    "location": "the region of the highest power is that of the reference; its electrode where the reference has none",
    "dominant_band": "the dominant band is that of the reference",
    "dominant_trend": "the trend of the reference's dominant band is the same, with its strength",
    "other_trends": "the trends of all other bands are the same, with their strength",
}
"""Each axis, and when it scores 1; a text that says two things where one holds scores 0."""

AXES_SIGNATURE = "five axes|rules on facts|exact sets|silence on what the reference lacks:1"


def five_axes(stated: set[Fact], reference: set[Fact]) -> dict[str, int]:
    """1 or 0 for each of `AXES`.

    An axis scores 1 where both sets hold the same facts of it; so a trend is right where a segment has no history and
    the text states none. Labels (age, condition) are no facts and take no part.
    """
    dominant = {value for kind, _, value in reference if kind == "dominant_band"}
    place = "region" if _of(reference, "region") else "top_channel"

    def same(kind: str, bands: Iterable[str] | None = None) -> int:
        return int(_of(stated, kind, bands) == _of(reference, kind, bands))

    others = {subject for kind, subject, _ in stated | reference if kind == "trend"} - dominant
    return {
        "event": same("artifact"),
        "location": same(place),
        "dominant_band": same("dominant_band"),
        "dominant_trend": same("trend", dominant),
        "other_trends": same("trend", others),
    }


def _of(facts: set[Fact], kind: str, subjects: Iterable[str] | None = None) -> set[Fact]:
    """The facts of a kind, of some subjects or of all."""
    wanted = None if subjects is None else set(subjects)
    return {fact for fact in facts if fact[0] == kind and (wanted is None or fact[1] in wanted)}
