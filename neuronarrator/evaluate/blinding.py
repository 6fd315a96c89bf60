"""Narratives beside their references for a judge or an expert, who knows neither which is which nor who wrote them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.claims import facts_of
from neuronarrator.evaluate.narratives import narratives_of
from neuronarrator.evaluate.predictions import MISSING, Predictions, place_of
from neuronarrator.evaluate.references import references_of
from neuronarrator.evaluate.sources import Item, none_usable, usable
from neuronarrator.metrics.axes import five_axes
from neuronarrator.narrator import Narrator

QUESTIONS = {
    "event": "Do both name the same artifacts or events, or both say that there is none?",
    "location": "Do both place the strongest activity in the same region, or at the same electrode?",
    "dominant_band": "Do both name the same dominant frequency band?",
    "dominant_trend": "Do both give the same change of the dominant band against the preceding segments, or both none?",
    "other_trends": "Do both give the same changes of all other bands, or both none?",
}
"""What is asked on each axis (NeuroNarrator, Sec. 5.2); the same for either order of the two texts."""


@dataclass(frozen=True)
class Comparison:
    """What a system wrote of a segment, and the reference.

    Attributes:
        system: who wrote the text; hidden.
        dataset: of the segment.
        recording: its name.
        start_s: of the segment, seconds.
        subject: the person.
        text: the narrative.
        reference: what it should say.
    """

    system: str
    dataset: str
    recording: str
    start_s: float
    subject: str
    text: str
    reference: str

    @property
    def rules(self) -> dict[str, int]:
        """The five axes by rules on the facts of both texts."""
        return five_axes(facts_of(self.text), facts_of(self.reference))


@dataclass(frozen=True)
class Blinded:
    """A comparison as it is shown: its number, and whether the reference stands first."""

    number: int
    swapped: bool
    comparison: Comparison

    @property
    def texts(self) -> tuple[str, str]:
        """The first and the second description."""
        text, reference = self.comparison.text, self.comparison.reference
        return (reference, text) if self.swapped else (text, reference)


@dataclass(frozen=True)
class Compared:
    """What there is to compare.

    Attributes:
        comparisons: of every system, segment by segment.
        n_missing: by system, of how many segments it has no narrative; these are compared as the empty text.
        skipped: recordings that could not be used, with the reason of each.
    """

    comparisons: list[Comparison]
    n_missing: dict[str, int]
    skipped: dict[str, str]


def blind(comparisons: Sequence[Comparison], seed: int) -> list[Blinded]:
    """The comparisons of all systems in random order, the reference first in a random half of them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(comparisons)).tolist()
    swapped = rng.permutation(np.arange(len(comparisons)) % 2 == 1).tolist()
    return [Blinded(i, swapped[i], comparisons[place]) for i, place in enumerate(order)]


def comparisons_of(
    systems: Mapping[str, Narrator | Predictions], items: Iterable[Item], seed: int = 0, limit: int | None = None
) -> Compared:
    """The narratives of several systems of the same segments, with the references of evaluation.

    Args:
        systems: by name.
        items: recordings.
        seed: of the wording of references and of the draw.
        limit: segments, drawn at random; each is compared for every system. None: all.

    Raises:
        RecordingError: no recording can be used.
        ValueError: a system has none of the segments.
    """
    segments: list[list[Comparison]] = []
    lacking: list[list[str]] = []  # systems, of each segment
    skipped: dict[str, str] = {}
    for item, material in usable(items, skipped):
        findings, examples = material.findings()
        references = references_of(material, findings, examples, seed)
        told = {name: narratives_of(system, item, findings) for name, system in systems.items()}
        for number, reference in references.items():
            dataset, recording, _ = place_of(item, findings[number])
            where = (dataset, recording, findings[number].segment.start_s, material.subject)
            segments.append([Comparison(name, *where, told[name][number].text, reference.text) for name in systems])
            lacking.append([name for name in systems if told[name][number] is MISSING])
    if not segments:
        raise none_usable(skipped)
    chosen = sorted(np.random.default_rng(seed).permutation(len(segments))[:limit].tolist())
    missing = Counter(name for place in chosen for name in lacking[place])
    if silent := [name for name in systems if missing[name] == len(chosen)]:
        raise ValueError(
            f"got {silent[0]!r} without any of the {len(chosen)} segments, expected predictions of --data: predict it, "
            "with the same --dataset"
        )
    comparisons = [comparison for place in chosen for comparison in segments[place]]
    return Compared(comparisons, {name: missing[name] for name in systems}, skipped)
