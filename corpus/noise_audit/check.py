"""Sentences against the findings of their segment, which were measured from its signal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from corpus.artifacts import Artifact
from corpus.caption.words import spans_of
from corpus.describe import write_narrative
from corpus.findings import Finding, Findings, artifact_finding
from corpus.noise_audit.reader import LABEL_WORDS, Statement, expand, read_sentence, split_sentences
from corpus.patterns import EPILEPTIFORM_PATTERNS
from corpus.waveforms import EPILEPTIFORM, SLEEP

Verdict = Literal["supported", "contradicted", "unread"]
SLACK_S = 0.06  # written times are rounded to 0.1 s, those of short events to 0.01 s
SAME_PLACE = 0.5  # least share of electrodes, of all that the words or the findings name, that both name
COVERED = 0.5  # of the segment, at least, for "throughout"


@dataclass(frozen=True)
class CheckedSentence:
    """A sentence and what the check says of it: "contradicted" is noise, "unread" is not trusted."""

    text: str
    verdict: Verdict
    why: str = ""


def check_against_findings(text: str, findings: Findings) -> list[CheckedSentence]:
    """Check every sentence of a text.

    Args:
        text: generated of this segment.
        findings: measured from its signal: of `find_complete` where the text states more than a narrative.
    """
    return [_judge(sentence, findings) for sentence in split_sentences(text)]


def _judge(sentence: str, findings: Findings) -> CheckedSentence:
    statements = read_sentence(sentence)
    if not statements:
        return CheckedSentence(sentence, "unread")
    wrong = next((s for s in statements if not supports(s, findings, sentence)), None)
    if wrong is None:
        return CheckedSentence(sentence, "supported")
    return CheckedSentence(sentence, "contradicted", describe(wrong))


def describe(statement: Statement) -> str:
    """A statement in a word or two, for a table of errors."""
    if statement.claim is not None:
        return statement.claim.kind
    return f"{statement.kind} {statement.value or ' '.join(statement.kinds)}".strip()


def supports(statement: Statement, findings: Findings, sentence: str = "") -> bool:
    """Whether the findings hold what a statement says."""
    if statement.claim is not None:
        claim = statement.claim
        return ((claim.kind, claim.subject, claim.value) in findings.facts) != claim.negated
    if statement.kind == "event":
        return _has_event(statement, findings)
    if statement.kind == "none":
        return not _denied(statement.value, findings)
    if statement.kind == "history":
        return not findings.of("trend")
    if statement.kind in LABEL_WORDS:
        words = LABEL_WORDS[statement.kind]
        return statement.value in {words.get(label) for label in (findings.labels.condition or "").split(" and ")}
    if statement.kind == "labels":
        return sentence in write_narrative(findings)
    return any(_equal(statement, item, findings) for item in findings.of(statement.kind))


def _equal(statement: Statement, item: Finding, findings: Findings) -> bool:
    if statement.value and item.value != statement.value and not _graded(statement.value, item.value):
        return False
    if statement.subject != item.subject and not (statement.kind == "variation" and not statement.subject):
        return False
    if statement.kind == "dipole":
        return same_place(statement.places, item.ch_names, findings.segment.ch_names)
    return not statement.number or rounds_to(item.measured or 0.0, statement.number)


def _graded(said: str, found: str) -> bool:
    """ "mildly left" is "mild left", "markedly left" any stronger grade."""
    if " " not in said or " " not in found:
        return False
    grade, side = said.split()
    return side == found.split()[1] and found.startswith("mild") == (grade == "mildly")


def rounds_to(value: float, written: str, slack: float = 1.0) -> bool:
    """Whether a value is the number that was written, within its last digit."""
    digits = len(written.partition(".")[2])
    return abs(value - float(written)) <= slack * 10.0**-digits


def same_place(places: Sequence[str], ch_names: Sequence[str], recorded: tuple[str, ...]) -> bool:
    """Whether words stand for these electrodes: mostly, as words of areas round up and down."""
    said, meant = expand(places, recorded), set(ch_names)
    return len(said & meant) >= SAME_PLACE * len(said | meant)


def events_of(findings: Findings) -> list[tuple[str, Finding]]:
    """Every event of a segment with its kind: artifacts, waveforms, bursts ("burst delta"), trains ("periodic")."""
    artifacts: Sequence[Artifact] = findings.artifacts
    seen = [artifact_finding(artifact) for artifact in artifacts]
    seen += findings.of("extended_artifact") + findings.of("waveform")
    listed = [(item.value, item) for item in seen]
    if not artifacts:  # findings that were stored keep their items only
        listed += [(item.value, item) for item in findings.of("artifact")]
    listed += [(item.value, item) for item in findings.of("periodicity")]
    return listed + [(f"burst {item.value}", item) for item in findings.of("burst")]


def _denied(group: str, findings: Findings) -> bool:
    """Whether there is an event of a class that a text denies."""
    if group == "artifacts":
        return any(item.value != "none" for item in findings.of("artifact"))
    if group == "epileptiform" and any(i.value in EPILEPTIFORM_PATTERNS for i in findings.of("acns_pattern")):
        return True
    kinds = SLEEP if group == "sleep" else EPILEPTIFORM
    return any(item.value in kinds for item in findings.of("waveform"))


def _has_event(statement: Statement, findings: Findings) -> bool:
    """Whether there is such an event; of words that stand for several kinds, one kind or all together have to fit."""
    listed = [(kind, item) for kind, item in events_of(findings) if kind in statement.kinds]
    if not statement.value:
        return bool(listed)
    groups = [[item for kind, item in listed if kind == own] for own in statement.kinds] + [[i for _, i in listed]]
    return any(group and _placed(statement, group, findings) for group in groups)


def _placed(statement: Statement, same: Sequence[Finding], findings: Findings) -> bool:
    segment, spans = findings.segment, spans_of(same, findings)
    names = tuple(dict.fromkeys(name for item in same for name in item.ch_names))
    if statement.places and not same_place(statement.places, names, segment.ch_names):
        return False
    return when_fits(statement, spans, segment.duration_s, exact=True)


def when_fits(
    statement: Statement, spans: Sequence[tuple[float, float]], duration_s: float, exact: bool = False
) -> bool:
    """Whether times of a statement are those of events.

    Args:
        statement: of events.
        spans: of the events, seconds from the start of the segment, in order and apart.
        duration_s: of the segment.
        exact: whether times and count have to be those of the spans; otherwise times that touch one will do, and a
            quarter of the spans may be missed or added.
    """
    if statement.throughout:
        covered = max((min(end, duration_s) - max(start, 0.0) for start, end in spans), default=0.0)
        return covered >= COVERED * duration_s
    if statement.count is not None:
        return abs(statement.count - len(spans)) <= (0 if exact else max(1.0, 0.25 * len(spans)))
    if exact and statement.spans:
        ends = zip(sorted(statement.spans), spans, strict=False)
        return len(statement.spans) == len(spans) and all(
            max(abs(a - start), abs(b - end)) <= SLACK_S for (a, b), (start, end) in ends
        )
    return all(any(a - SLACK_S <= end and start <= b + SLACK_S for start, end in spans) for a, b in statement.spans)
