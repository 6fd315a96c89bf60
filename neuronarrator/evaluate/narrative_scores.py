"""Scores of one narrative, and their means with intervals over subjects. N narratives, M scores."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from corpus.claims import facts_of
from corpus.findings import Fact
from neuronarrator.evaluate.references import Reference
from neuronarrator.metrics.axes import AXES, five_axes
from neuronarrator.metrics.bertscore import BertScorer
from neuronarrator.metrics.bootstrap import bootstrap_means, percentiles
from neuronarrator.metrics.facts import fact_score
from neuronarrator.metrics.text import rouge_scores
from neuronarrator.verify import CONTRADICTED, SUPPORTED, UNVERIFIABLE, verify_narrative

WITHOUT_TRENDS = "fact_f1_without_trends"
"""Fact-F1 of what a segment shows by itself: no page of it and no model without history can see a trend."""

MAIN = ("fact_f1", "signal_fact_f1", WITHOUT_TRENDS, "rouge_1", "rouge_l", "bertscore")
"""The scores that are compared with baselines; the last only with a model."""

_VERDICTS = (SUPPORTED, CONTRADICTED, UNVERIFIABLE)
Values = dict[str, float]


@dataclass(frozen=True, eq=False)
class Scored:
    """One narrative.

    Attributes:
        dataset: of its recording.
        subject: of its recording.
        values: name to score.
        kinds: how often each of (what, kind of fact): a verdict, "hallucinated" or "omitted".
    """

    dataset: str
    subject: str
    values: Values
    kinds: Counter[tuple[str, str]]


@dataclass(frozen=True)
class Scorer:
    """How narratives are scored and summed up.

    Attributes:
        resamples: of the subjects.
        seed: of the resamples.
        bert: for BERTScore; None leaves it out.
    """

    resamples: int
    seed: int
    bert: BertScorer | None = None

    def score(
        self, dataset: str, subject: str, texts: Sequence[str], references: Sequence[Reference], **more: Sequence[float]
    ) -> list[Scored]:
        """Score the narratives of one recording; `more` are further values of each."""
        found = []
        similar = self.bert.score(texts, [r.text for r in references]) if self.bert and texts else None
        for i, (text, reference) in enumerate(zip(texts, references, strict=True)):
            values, kinds = _score_text(text, reference)
            values |= {name: column[i] for name, column in more.items()}
            if similar is not None:
                values["bertscore"] = similar[i]
            found.append(Scored(dataset, subject, values, kinds))
        return found

    def spreads(self, rows: Sequence[tuple[str, Values]], number: int = 0) -> dict[str, dict[str, Any]]:
        """For each value its "mean", "sd" and "ci" (None for a single subject).

        Args:
            rows: the subject and the values of each narrative.
            number: of the group: makes its resamples independent of those of other groups.
        """
        if not rows:
            return {}
        names, subjects = list(rows[0][1]), [subject for subject, _ in rows]
        array = np.array([[values[name] for name in names] for _, values in rows])
        mean, sd = array.mean(axis=0).tolist(), array.std(axis=0).tolist()
        edges: Sequence[list[float] | None] = [None] * len(names)
        if len(set(subjects)) > 1:
            edges = percentiles(bootstrap_means(array, subjects, self.resamples, (self.seed, number)))
        return {n: {"mean": mean[i], "sd": sd[i], "ci": edges[i]} for i, n in enumerate(names)}

    def contradicted(self, rows: Sequence[Scored], number: int = 0) -> dict[str, Any]:
        """Share of all claims that are contradicted, with its interval: a ratio of means over narratives."""
        columns = np.array([[r.values[CONTRADICTED], sum(r.values[v] for v in _VERDICTS)] for r in rows])
        wrong, total = columns.sum(axis=0)
        subjects, edges = [r.subject for r in rows], None
        if len(set(subjects)) > 1 and total:
            drawn = bootstrap_means(columns, subjects, self.resamples, (self.seed, number))
            (edges,) = percentiles((drawn[:, 0] / np.maximum(drawn[:, 1], 1e-12))[:, None])
        return {"share": float(wrong / total) if total else 0.0, "ci": edges}


def _score_text(text: str, reference: Reference) -> tuple[Values, Counter[tuple[str, str]]]:
    stated = facts_of(text)
    score = fact_score(stated, reference.facts)
    axes = five_axes(stated, reference.facts)
    verdicts = [(claim.verdict, claim.claim.kind) for claim in verify_narrative(text, reference.measured)]
    kinds = Counter(verdicts)
    kinds.update(("hallucinated", kind) for kind, _, _ in score.hallucinations)
    kinds.update(("omitted", kind) for kind, _, _ in score.omissions)
    counts = Counter(verdict for verdict, _ in verdicts)
    return {
        "fact_f1": score.f1,
        "signal_fact_f1": fact_score(stated, reference.measured.facts).f1,
        WITHOUT_TRENDS: fact_score(_still(stated), _still(reference.facts)).f1,
        **rouge_scores(text, reference.text),
        **{f"axis_{name}": value for name, value in axes.items()},
        "axes_sum": sum(axes.values()),
        "hallucinated": score.hallucinated,
        "omitted": score.omitted,
        **{verdict: counts[verdict] for verdict in _VERDICTS},
    }, kinds


def _still(facts: set[Fact]) -> set[Fact]:
    return {fact for fact in facts if fact[0] != "trend"}


def summarise(rows: Sequence[Scored], scorer: Scorer, number: int = 0) -> dict[str, Any]:
    """Everything about N narratives of one model, pooled: one part of the scores of `evaluate_narratives`."""
    spreads = scorer.spreads([(r.subject, r.values) for r in rows], number)
    kinds: Counter[tuple[str, str]] = sum((r.kinds for r in rows), Counter())
    verdicts = {v: sum(n for (what, _), n in kinds.items() if what == v) for v in _VERDICTS}
    total, count = sum(verdicts.values()), len(rows)

    def errors(what: str) -> dict[str, Any]:
        by_kind = {kind: n for (found, kind), n in sorted(kinds.items()) if found == what}
        return {"total": sum(by_kind.values()), "per_segment": spreads[what], "by_kind": by_kind}

    return {
        **{name: spreads[name] for name in (*MAIN, "confidence") if name in spreads},
        "axes": {**{name: spreads[f"axis_{name}"] for name in AXES}, "sum": spreads["axes_sum"]},
        "hallucinated_per_segment": spreads["hallucinated"]["mean"],
        "omitted_per_segment": spreads["omitted"]["mean"],
        "hallucinations": errors("hallucinated"),
        "omissions": errors("omitted"),
        "claims": {"total": total, **{verdict: n / total for verdict, n in sorted(verdicts.items()) if n}},
        "contradicted": scorer.contradicted(rows, number),
        "claims_by_kind": _by_kind(kinds),
        "n_segments": count,
        "n_subjects": len({r.subject for r in rows}),
    }


def _by_kind(kinds: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Verdicts of the claims of each kind."""
    found: dict[str, dict[str, int]] = {}
    for (what, kind), count in sorted(kinds.items(), key=lambda item: item[0][::-1]):
        if what in _VERDICTS:
            found.setdefault(kind, {})[what] = count
    return found


def compare(rows: Sequence[Scored], others: Sequence[Scored], scorer: Scorer, number: int = 0) -> dict[str, Any]:
    """The scores of other texts for the same segments, and their "distance": other minus ours, by pairs."""
    names = [name for name in (*MAIN, "axes_sum") if rows and name in rows[0].values]

    def table(value: Callable[[Scored, Scored, str], float]) -> dict[str, Any]:
        pairs = zip(rows, others, strict=True)
        return scorer.spreads([(a.subject, {n: value(a, b, n) for n in names}) for a, b in pairs], number)

    return {
        **table(lambda _, other, name: other.values[name]),
        "distance": table(lambda ours, other, name: other.values[name] - ours.values[name]),
        "contradicted": scorer.contradicted(others, number) if others else None,
        "n_segments": len(rows),
    }
