"""Items against the findings of their segment: every answer sentence, and every wrong option."""

import re
from collections.abc import Sequence

from corpus.findings import Findings
from corpus.instruct.record import LETTERS, Item
from corpus.noise_audit import CheckedSentence, check_against_findings, check_against_truth
from corpus.simulate import Box

_MARK = re.compile(r"^(?:Yes|No)\. |^[A-D]\) ")


def statements_of(answer: str) -> str:
    """An answer without its "Yes.", "No." or letter."""
    return _MARK.sub("", answer)


def check_item(item: Item, findings: Findings) -> list[CheckedSentence]:
    """Every sentence of the answers, checked; for a choice also that the findings contradict each wrong option.

    A wrong option that they do not contradict is reported as contradicted itself: the item is ambiguous.
    """
    checked = [one for answer in item.answers for one in check_against_findings(statements_of(answer), findings)]
    for letter, option in zip(LETTERS, item.options, strict=False):
        verdicts = {one.verdict for one in check_against_findings(option, findings)}
        if letter != item.answer and "contradicted" not in verdicts:
            checked.append(CheckedSentence(option, "contradicted", "option not wrong"))
    return checked


def check_item_against_truth(item: Item, findings: Findings, boxes: Sequence[Box]) -> list[CheckedSentence]:
    """Every sentence of the answers about a simulated segment, see `corpus.noise_audit.check_against_truth`."""
    return [one for answer in item.answers for one in check_against_truth(statements_of(answer), findings, boxes)]
