"""A question about the segments of a recording, each answer checked against the signal."""

from collections.abc import Iterator
from dataclasses import dataclass

from corpus.background import complete_alone
from corpus.noise_audit import check_against_findings
from corpus.recording import Recording, RecordingError
from neuronarrator.narrate import read_batches
from neuronarrator.narrator import Narrator
from neuronarrator.stream import find_in_parts, plan_segments
from neuronarrator.verify import CONTRADICTED, SUPPORTED, UNVERIFIABLE


@dataclass(frozen=True)
class Answer:
    """What the narrator says of one segment.

    Attributes:
        start_s: where it begins in the recording.
        end_s: where it ends.
        text: the answer.
        verdict: "contradicted" if the signal contradicts a sentence of it, "supported" if it bears one out and
            contradicts none, else "unverifiable".
    """

    start_s: float
    end_s: float
    text: str
    verdict: str


def answer_question(
    narrator: Narrator, recording: Recording, question: str, at_s: float | None = None
) -> Iterator[Answer]:
    """Ask about every segment of a recording in order, or about the one at a time.

    Args:
        narrator: in eval mode, one that answers questions.
        recording: from `narrate.load_for_model`.
        question: in plain words.
        at_s: a time within the segment to ask about, seconds from the start of the recording; None: all segments.

    Yields:
        The answers; no more than a batch of segments is held.

    Raises:
        RecordingError: no whole segment, or none at that time.
        ValueError: the narrator only narrates, or the question is empty.
    """
    plan = plan_segments(recording)
    asked = [at_s is None or s.start_s <= at_s < s.start_s + s.duration_s for s in plan]
    if not any(asked):
        where = "" if at_s is None else f" at {at_s:g} s"
        raise RecordingError(
            f"got no segment of ten seconds{where} in a recording of {recording.duration_s:.1f} s, expected one; "
            "choose a time within a continuous stretch"
        )
    needed = plan[: len(asked) - asked[::-1].index(True)]
    for numbers, found, batch in read_batches(find_in_parts(recording, needed), narrator.config.history_k):
        chosen = [i for i, number in enumerate(numbers) if asked[number]]
        told = narrator.ask(batch.rows(chosen), question) if chosen else []
        for i, answer in zip(chosen, told, strict=True):
            segment, text = found[i].segment, answer.text
            verdicts = {checked.verdict for checked in check_against_findings(text, complete_alone(found[i]))}
            verdict = next((v for v in (CONTRADICTED, SUPPORTED) if v in verdicts), UNVERIFIABLE)
            yield Answer(segment.start_s, segment.start_s + segment.duration_s, text, verdict)
