"""Fact-F1: set F1 between the facts of a text and those of a reference (NeuroNarrator, Sec. 5.2, after HotpotQA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from corpus.claims import facts_of
from corpus.findings import Fact

FACT_SIGNATURE = "F1 of sets of facts, mean over texts|parser:corpus.claims|negation:aware|empty/empty:1"


@dataclass(frozen=True)
class FactScore:
    """Comparison of two sets of facts.

    A fact with a wrong value ("alpha is stable" where it rises) is one hallucination and one omission.

    Attributes:
        f1: harmonic mean of precision and recall; 1 where both sets are empty.
        hallucinations: facts stated that the reference does not hold.
        omissions: facts of the reference that are not stated.
    """

    f1: float
    hallucinations: frozenset[Fact]
    omissions: frozenset[Fact]

    @property
    def hallucinated(self) -> int:
        """How many hallucinations."""
        return len(self.hallucinations)

    @property
    def omitted(self) -> int:
        """How many omissions."""
        return len(self.omissions)


def fact_score(stated: set[Fact], reference: set[Fact]) -> FactScore:
    """F1, hallucinations and omissions of one text."""
    total = len(stated) + len(reference)
    f1 = 1.0 if total == 0 else 2 * len(stated & reference) / total
    return FactScore(f1, frozenset(stated - reference), frozenset(reference - stated))


class FactF1(Metric):
    """Mean Fact-F1 over texts."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, texts: Sequence[str], references: Sequence[set[Fact]]) -> None:
        """Add generated texts and the facts each should state."""
        for text, reference in zip(texts, references, strict=True):
            self.total += fact_score(facts_of(text), reference).f1
            self.count += 1

    def compute(self) -> Tensor:
        """The mean, 0 before any text."""
        return self.total / self.count.clamp(min=1)
