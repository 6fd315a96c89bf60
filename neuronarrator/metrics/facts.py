"""Fact-F1: set F1 between the facts of a text and those of a reference (NeuroNarrator, Sec. 5.2, after HotpotQA)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from corpus.claims import facts_of
from corpus.findings import Fact


@dataclass(frozen=True)
class FactScore:
    """Comparison of two sets of facts.

    Attributes:
        f1: harmonic mean of precision and recall; 1 where both sets are empty.
        hallucinated: facts stated that the reference does not hold.
        omitted: facts of the reference that are not stated.
    """

    f1: float
    hallucinated: int
    omitted: int


def fact_score(stated: set[Fact], reference: set[Fact]) -> FactScore:
    """F1, hallucinations and omissions of one text."""
    shared = len(stated & reference)
    total = len(stated) + len(reference)
    f1 = 1.0 if total == 0 else 2 * shared / total
    return FactScore(f1, len(stated) - shared, len(reference) - shared)


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
