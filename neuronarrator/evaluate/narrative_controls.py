"""Controls of narratives: does a narrator read the signal, and does it know when there is nothing to read?"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from corpus.claims import facts_of
from corpus.dataset import collate
from corpus.findings import Findings
from corpus.segment import Segment
from neuronarrator.evaluate.narrative_scores import Values
from neuronarrator.evaluate.references import excerpt, find_excerpt
from neuronarrator.language.generation import Generation
from neuronarrator.metrics.facts import fact_score
from neuronarrator.narrator import Narrator

CONTROLS = {
    "another_segment": "the narrative of another segment of the same recording, half the recording away: the floor, "
    "which a model reaches that knows the recording and does not look at the segment at hand",
    "time_shuffled": "the samples of each segment and of its history in random order, the same for all channels; band "
    "powers are measured anew from it, amplitude and topography stay",
    "noise": "white noise in place of each segment and its history, independent between channels, each as strong as "
    "the channel it replaces",
}
"""Each control, and what it does."""


def shuffle_time(segment: Segment, rng: np.random.Generator) -> Segment:
    """The samples in random order, the same for all channels."""
    order = rng.permutation(segment.signal_uv.shape[1])
    return replace(segment, signal_uv=np.ascontiguousarray(segment.signal_uv[:, order]))


def replace_by_noise(segment: Segment, rng: np.random.Generator) -> Segment:
    """White noise with the standard deviation of each channel."""
    signal = segment.signal_uv
    noise = rng.standard_normal(signal.shape) * signal.std(axis=1, keepdims=True)
    return replace(segment, signal_uv=noise.astype(np.float32))


ALTERED: dict[str, Callable[[Segment, np.random.Generator], Segment]] = {
    "time_shuffled": shuffle_time,
    "noise": replace_by_noise,
}


def control_numbers(numbers: Sequence[int], count: int) -> list[int]:
    """At most `count` neighbouring examples from the middle of a recording."""
    start = max(len(numbers) - count, 0) // 2
    return list(numbers[start : start + count])


def narrate_altered(
    narrator: Narrator,
    findings: Sequence[Findings],
    real: dict[int, Generation],
    rng: np.random.Generator,
) -> dict[str, list[Values]]:
    """What becomes of the narratives of some segments when their signals are altered.

    Args:
        narrator: in eval mode.
        findings: of all segments of a recording, as recorded.
        real: the narratives of some of them as recorded, by number.
        rng: draws what the controls need.

    Returns:
        For each of `ALTERED` and each narrative of `real`: "confidence", its "confidence_fall" from the real one
        and "less_confident", 0 or 1; "changed_text" and "changed_facts", 0 or 1; "fact_f1" against the signal as
        recorded, and "own_fact_f1" against the altered one.
    """
    segments, places = excerpt(findings, list(real), narrator.config.history_k)
    return {
        name: _narrate([change(segment, rng) for segment in segments], places, narrator, findings, real)
        for name, change in ALTERED.items()
    }


def _narrate(
    segments: Sequence[Segment],
    places: Sequence[int],
    narrator: Narrator,
    findings: Sequence[Findings],
    real: dict[int, Generation],
) -> list[Values]:
    altered = find_excerpt(segments)
    batch = collate(segments, [f.features for f in altered], places, narrator.config.history_k)
    found = []
    generations = zip(real.items(), places, narrator.generate(batch.to(narrator.device)), strict=True)
    for (number, before), place, after in generations:
        stated = facts_of(after.text)
        found.append(
            {
                "confidence": after.confidence,
                "confidence_fall": before.confidence - after.confidence,
                "less_confident": float(after.confidence < before.confidence),
                "changed_text": float(after.text != before.text),
                "changed_facts": float(stated != facts_of(before.text)),
                "fact_f1": fact_score(stated, findings[number].facts).f1,
                "own_fact_f1": fact_score(stated, altered[place].facts).f1,
            }
        )
    return found
