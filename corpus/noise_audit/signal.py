"""Sentences against the signal itself: waveforms that a detector marked have to be visible there.

The findings hold what the detector said, so they cannot tell whether it was right. A waveform is visible where its
peak reaches the least amplitude of its class and stands out in the band of the class from the rest of the segment, by
the rules that the boxes of `corpus.simulate` have.
"""

from collections.abc import Sequence

import numpy as np
from scipy import fft

from corpus.findings import Finding, Findings
from corpus.noise_audit.check import CheckedSentence, describe, supports
from corpus.noise_audit.reader import Statement, read_sentence, split_sentences
from corpus.simulate import BOX_RULES
from corpus.simulate.boxes import CONTRAST

VISIBLE_SHARE = 0.5  # of the electrodes and of the events that a sentence names, at least
_RULES = {rule.kind: rule for rule in BOX_RULES.values()}
_RULES |= {"eyer+": _RULES["eyer"], "eyer-": _RULES["eyer"]}


def check_against_signal(text: str, findings: Findings) -> list[CheckedSentence]:
    """Check every sentence of a text: waveforms against the signal, all else against the findings measured from it.

    Args:
        text: generated of this segment.
        findings: of `find_complete` with the detector's marks.
    """
    return [_judge(sentence, findings) for sentence in split_sentences(text)]


def is_visible(item: Finding, findings: Findings) -> bool:
    """Whether a waveform stands out on at least `VISIBLE_SHARE` of its electrodes.

    On each, the peak during the event, in the band of its class, has to reach half the least amplitude of the class
    (a band takes some of it away) and `CONTRAST` times the median size of the segment there.
    """
    segment, rule = findings.segment, _RULES[item.value]
    rows = [segment.ch_names.index(name) for name in item.ch_names]
    low, high = rule.band_hz or (0.5, np.inf)
    spectrum = fft.rfft(np.asarray(segment.signal_uv, float)[rows], axis=-1)
    hz = fft.rfftfreq(segment.signal_uv.shape[1], 1 / segment.sfreq)
    band = fft.irfft(spectrum * ((hz >= min(low, 3.0)) & (hz <= high)), segment.signal_uv.shape[1], axis=-1)
    begin = max(round((item.start_s - segment.start_s) * segment.sfreq), 0)
    stop = max(round((item.start_s + item.duration_s - segment.start_s) * segment.sfreq), begin + 1)
    usual = 1.4826 * np.median(np.abs(band), axis=1)
    peak = np.abs(band[:, begin:stop]).max(1)
    return bool(((peak >= rule.least_uv / 2) & (peak >= CONTRAST * usual)).mean() >= VISIBLE_SHARE)


def _judge(sentence: str, findings: Findings) -> CheckedSentence:
    statements = read_sentence(sentence)
    if not statements:
        return CheckedSentence(sentence, "unread")
    for statement in statements:
        if not (supports(statement, findings, sentence) and _shows(statement, findings)):
            return CheckedSentence(sentence, "contradicted", describe(statement))
    return CheckedSentence(sentence, "supported")


def _shows(statement: Statement, findings: Findings) -> bool:
    """Whether most of the waveforms that a statement stands for are visible; rules' artifacts were measured already."""
    if statement.kind != "event" or _measured(statement.kinds, findings):
        return True
    events = [item for item in findings.of("waveform") if item.value in statement.kinds]
    seen = sum(is_visible(item, findings) for item in events)
    return seen >= VISIBLE_SHARE * len(events)


def _measured(kinds: Sequence[str], findings: Findings) -> bool:
    return any(artifact.kind in kinds for artifact in findings.artifacts)
