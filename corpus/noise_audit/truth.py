"""Sentences against the truth of a simulation: what the boxes of its waveforms say, or the findings where none does."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from corpus.findings import Findings
from corpus.noise_audit.check import CheckedSentence, describe, supports, when_fits
from corpus.noise_audit.reader import Statement, expand, read_sentence, split_sentences
from corpus.simulate import Box
from corpus.spans import join_spans
from corpus.waveforms import EPILEPTIFORM, JOIN_S, RUN_S, SLEEP

TRUE_KINDS: dict[str, tuple[str, ...]] = {  # kind of an event in a text -> kinds of boxes that make it true
    **{kind: (kind,) for kind in (*EPILEPTIFORM, *SLEEP, "eyer+", "eyer-", "respiration", "extreme", "flat")},
    "hfnoise": ("hfnoise",),
    "muscle": ("hfnoise",),
    "eyem": ("eyem",),
    "blink": ("eyem",),
    "eye_left": ("eyer+", "eyer-"),
    "eye_right": ("eyer+", "eyer-"),
    "electrode": ("electrode", "extreme", "hfnoise"),  # a bad contact is noise on one electrode
}
STATED_ARTIFACTS = ("eyem", "hfnoise", "electrode", "flat", "extreme")  # "no artifact" denies these
RIGHT_PLACE = 0.5  # least share of the electrodes named that show it
VISIBLE_S = 0.3  # an event that the edge of the segment cuts to less than this is not asked for


def check_against_truth(text: str, findings: Findings, boxes: Sequence[Box]) -> list[CheckedSentence]:
    """Check every sentence of a text about a simulated segment.

    Statements about events are checked against the boxes, independently of any detector or rule; all others (rhythms,
    amplitudes, sides) against the findings, as the simulator does not know what its sum looks like. Nothing is rhythmic
    or periodic there but runs of spike-and-wave (seizures have no boxes: leave them out of the preset).

    Args:
        text: generated of this segment.
        findings: measured from its signal.
        boxes: of the whole simulated recording, seconds from its start.
    """
    segment = findings.segment
    own = [box for box in (_cut(box, segment.start_s, segment.duration_s) for box in boxes) if box is not None]
    return [_judge(sentence, findings, own) for sentence in split_sentences(text)]


def _cut(box: Box, start_s: float, duration_s: float) -> Box | None:
    """The part of a box inside a segment, in seconds from its start."""
    begin, end = max(box.start_s - start_s, 0.0), min(box.start_s + box.duration_s - start_s, duration_s)
    return replace(box, start_s=begin, duration_s=end - begin) if end > begin else None


def _judge(sentence: str, findings: Findings, boxes: Sequence[Box]) -> CheckedSentence:
    statements = read_sentence(sentence)
    if not statements:
        return CheckedSentence(sentence, "unread")
    for statement in _with_artifact_claims(statements):
        if not _holds(statement, findings, boxes, sentence):
            return CheckedSentence(sentence, "contradicted", describe(statement))
    return CheckedSentence(sentence, "supported")


def _with_artifact_claims(statements: Sequence[Statement]) -> Iterator[Statement]:
    """A claim of an artifact is one of an event."""
    for statement in statements:
        claim = statement.claim
        if claim is not None and claim.kind == "artifact" and not claim.negated:
            yield Statement("none", "artifacts") if claim.value == "none" else Statement("event", kinds=(claim.value,))
        else:
            yield statement


def _holds(statement: Statement, findings: Findings, boxes: Sequence[Box], sentence: str) -> bool:
    if statement.kind == "none":
        kinds = {"artifacts": STATED_ARTIFACTS, "sleep": SLEEP, "epileptiform": EPILEPTIFORM}[statement.value]
        return not any(box.kind in kinds and box.duration_s >= VISIBLE_S for box in boxes)
    if statement.kind == "acns_pattern" and statement.value != "none":
        runs = any(box.kind == "spsw" and box.duration_s >= RUN_S for box in boxes)
        return runs and supports(statement, findings, sentence)
    known = {kind for name in statement.kinds for kind in TRUE_KINDS.get(name, ())}
    if statement.kind != "event" or not known:
        return supports(statement, findings, sentence)
    true = [box for box in boxes if box.kind in known]
    if not true or not statement.value:
        return bool(true)
    if statement.places:
        said = expand(statement.places, findings.segment.ch_names)
        shown = {box.ch_name for box in true}
        if len(said & shown) < RIGHT_PLACE * len(said):
            return False
    spans = join_spans(((box.start_s, box.start_s + box.duration_s) for box in true), JOIN_S)
    return when_fits(statement, spans, findings.segment.duration_s)
