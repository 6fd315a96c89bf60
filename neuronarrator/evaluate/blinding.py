"""Narratives beside their references for a judge or an expert, who knows neither which is which nor who wrote them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpus.claims import facts_of
from neuronarrator.evaluate.narratives import narratives_of
from neuronarrator.evaluate.predictions import Predictions, place_of
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


def blind(comparisons: Sequence[Comparison], seed: int) -> list[Blinded]:
    """The comparisons of all systems in random order, the reference first in a random half of them."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(comparisons)).tolist()
    swapped = rng.permutation(np.arange(len(comparisons)) % 2 == 1).tolist()
    return [Blinded(i, swapped[i], comparisons[place]) for i, place in enumerate(order)]


def comparisons_of(
    systems: Mapping[str, Narrator | Predictions], items: Iterable[Item], seed: int = 0, limit: int | None = None
) -> list[Comparison]:
    """The narratives of several systems of the same segments, with the references of evaluation.

    Args:
        systems: by name.
        items: recordings.
        seed: of the wording of references and of the draw.
        limit: segments, drawn at random; each is compared for every system. None: all.

    Raises:
        RecordingError: no recording can be used.
    """
    segments: list[list[Comparison]] = []
    skipped: dict[str, str] = {}
    for item, material in usable(items, skipped):
        findings, examples = material.findings()
        references = references_of(material, findings, examples, seed)
        told = {name: narratives_of(system, item, findings) for name, system in systems.items()}
        for number, reference in references.items():
            dataset, recording, _ = place_of(item, findings[number])
            where = (dataset, recording, findings[number].segment.start_s, material.subject)
            segments.append([Comparison(name, *where, told[name][number].text, reference.text) for name in systems])
    if not segments:
        raise none_usable(skipped)
    chosen = np.random.default_rng(seed).permutation(len(segments))[:limit].tolist()
    return [comparison for place in sorted(chosen) for comparison in segments[place]]
