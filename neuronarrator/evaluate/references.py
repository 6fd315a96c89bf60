"""What a narrative is compared with: the facts and the text of a reference, and what the signal itself shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corpus.artifacts import detect_in_all
from corpus.describe import write_narrative
from corpus.features import extract_features
from corpus.findings import Fact, Findings, Labels, find, find_segments
from corpus.segment import HISTORY_K, Segment
from neuronarrator.evaluate.material import Material, Stored
from neuronarrator.stream import lengthen_history

ORACLE_SEED = 1_000_003  # away from the seed of the references: other wordings of the same facts
WRITTEN = "written from the findings"


@dataclass(frozen=True, eq=False)
class Reference:
    """What a narrative of one segment is compared with.

    Attributes:
        facts: of the reference: those that a corpus stores, else the measured ones.
        text: the narrative that a corpus stores, else one written from the findings.
        source: of that text.
        measured: what the signal shows now.
        oracle: the template oracle: the rule writer given the measured findings, in a wording of its own.
    """

    facts: set[Fact]
    text: str
    source: str
    measured: Findings
    oracle: str


def references_of(
    material: Material, findings: Sequence[Findings], examples: Sequence[bool], seed: int
) -> dict[int, Reference]:
    """The reference of each example, by its number among the segments.

    Args:
        material: one recording.
        findings: of all of its segments, as `Material.findings` gives them.
        examples: which segments are examples.
        seed: of the wording of segment 0; segment i has `seed + i`.
    """
    numbers = [i for i, example in enumerate(examples) if example]
    stored: dict[int, tuple[str, str]] = {}
    measured = findings
    if isinstance(material, Stored):
        measured = _measured(findings)
        texts = [material.reader[number].row for number in material.numbers]
        if texts[0].ch_names == material.ch_names:  # else the stored text speaks of electrodes that are left out
            told = [(row.text.narrative, f"stored, by {row.text.source}") for row in texts]
            stored = {i: text for i, text in zip(numbers, told, strict=True) if text[0]}
    found = {}
    for i in numbers:
        text, source = stored.get(i) or (write_narrative(findings[i], seed + i), WRITTEN)
        oracle = write_narrative(replace(measured[i], labels=Labels()), seed + i + ORACLE_SEED)
        found[i] = Reference(findings[i].facts, text, source, measured[i], oracle)
    return found


def _measured(findings: Sequence[Findings]) -> list[Findings]:
    """The findings measured again from the stored signal.

    Missing samples were interpolated before the signal was stored: that artifact stays as the corpus states it.
    """
    segments = [f.segment for f in findings]
    features = extract_features(segments)
    seen = detect_in_all(segments, features)
    lost = [[a for a in f.artifacts if a.kind == "missing"] for f in findings]
    return [find(s, m, [*a, *b]) for s, m, a, b in zip(segments, features, seen, lost, strict=True)]


def excerpt(
    findings: Sequence[Findings], numbers: Sequence[int], history_k: int = HISTORY_K
) -> tuple[list[Segment], list[int]]:
    """Some segments with their history, as a recording of their own.

    Args:
        findings: of all segments of a recording.
        numbers: of those asked for.
        history_k: K of the narrator; a history is at least as long as `find_excerpt` needs.

    Returns:
        The segments, whose `history` indexes into them, and where those asked for stand.
    """
    all_segments = [found.segment for found in lengthen_history(findings, max(history_k, HISTORY_K))]
    wanted = sorted({*numbers, *(past for i in numbers for past in all_segments[i].history)})
    places = {number: place for place, number in enumerate(wanted)}
    segments = []
    for number in wanted:
        segment = all_segments[number]
        history = tuple(places[past] for past in segment.history if past in places)
        segments.append(replace(segment, index=places[number], history=history))
    return segments, [places[i] for i in numbers]


def find_excerpt(segments: Sequence[Segment]) -> list[Findings]:
    """The findings of an excerpt; a trend is over the last `HISTORY_K` segments, as it is for any narrator."""
    return find_segments([replace(segment, history=segment.history[-HISTORY_K:]) for segment in segments])
