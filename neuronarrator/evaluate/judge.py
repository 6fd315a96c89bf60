"""Narratives judged by a language model on five axes (NeuroNarrator, Sec. 5.2), blinded, beside the scores by rules.

Any OpenAI-compatible endpoint. The judge sees two descriptions, not which is the reference nor who wrote the other,
and says on each axis whether they agree; all systems stand in one random order.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus.refine.cache import Answer, AnswerCache, content_key
from corpus.refine.client import Teacher
from corpus.refine.run import Asking, run_asking
from neuronarrator.evaluate.blinding import QUESTIONS, Blinded, Comparison, blind
from neuronarrator.evaluate.narrative_scores import Scorer
from neuronarrator.metrics.agreement import cohen_kappa

_SYSTEM = """\
You compare two descriptions of the same ten seconds of an EEG. Judge only whether they say the same, not which is \
better written. Answer each question by 1 for yes or 0 for no; if only one of them speaks of the matter, the answer is \
0. Answer with one JSON object and nothing else, with these keys:
"""
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_OBJECT = re.compile(r"\{[^{}]*\}")


def judge_messages(shown: Blinded) -> list[dict[str, str]]:
    """The chat messages of one comparison: two texts and the questions, nothing else."""
    keys = "\n".join(f'"{name}": {question}' for name, question in QUESTIONS.items())
    first, second = shown.texts
    return [
        {"role": "system", "content": _SYSTEM + keys},
        {"role": "user", "content": f"Description 1:\n{first}\n\nDescription 2:\n{second}"},
    ]


def parse_verdict(answer: str) -> dict[str, int] | None:
    """0 or 1 on every axis; None where an answer is anything else."""
    found = _OBJECT.search(_THINKING.sub("", answer))
    try:
        values = json.loads(found.group()) if found else {}
    except ValueError:
        return None
    if set(values) != set(QUESTIONS) or any(value not in (0, 1) for value in values.values()):
        return None
    return {name: int(values[name]) for name in QUESTIONS}


def judge(
    comparisons: Sequence[Comparison], teacher: Teacher, cache_dir: str | Path, seed: int = 0, resamples: int = 1000
) -> dict[str, Any]:
    """Ask a judge about every comparison; answers are cached by content, so a run that stopped goes on.

    Args:
        comparisons: of one or several systems.
        teacher: the endpoint and its parameters; a temperature of 0 repeats best.
        cache_dir: of the answers.
        seed: of the order and of the resamples.
        resamples: of the subjects, for intervals.

    Returns:
        For each of "systems": each axis and "sum" with "mean", "sd", "ci", the same by rules under "rules",
        "n_judged" and "n_failed" (no answer, or one that is no verdict). "agreement": for each axis the share of
        verdicts that are those of the rules, and Cohen's kappa. "by_order": mean sums with the reference second and
        first, which a judge without a bias of place makes equal. "config".

    Raises:
        TeacherError: the endpoint cannot be used, or leaves several questions in a row without an answer; what was
            answered stays in the cache.
        ImportError: aiohttp is missing.
    """
    shown = blind(comparisons, seed)
    messages = [judge_messages(item) for item in shown]
    keys = [content_key(teacher.body(item)) for item in messages]
    asking = Asking(teacher, AnswerCache(cache_dir), Counter(keys), None)
    run_asking(asking, dict(zip(keys, messages, strict=True)))
    found = {item: _verdict(asking.answer(key)) for item, key in zip(shown, keys, strict=True)}
    judged = {item: verdict for item, verdict in found.items() if verdict is not None}
    scorer = Scorer(resamples, seed)
    systems = {}
    for name in dict.fromkeys(comparison.system for comparison in comparisons):
        part = {item: verdict for item, verdict in judged.items() if item.comparison.system == name}
        systems[name] = {
            **_spreads(part, scorer),
            "rules": _spreads({item: item.comparison.rules for item in part}, scorer),
            "n_judged": len(part),
            "n_failed": sum(item.comparison.system == name for item in shown) - len(part),
        }
    return {
        "systems": systems,
        "agreement": agreement(judged),
        "by_order": {
            order: _mean([sum(verdict.values()) for item, verdict in judged.items() if item.swapped is swapped])
            for order, swapped in (("reference second", False), ("reference first", True))
        },
        "config": {"judge": teacher.body([]) | {"messages": QUESTIONS}, "seed": seed, "resamples": resamples},
    }


def agreement(judged: Mapping[Blinded, Mapping[str, int]]) -> dict[str, dict[str, float | None]]:
    """How far verdicts are those of the rules: on each axis the share of equal ones, and Cohen's kappa."""
    found: dict[str, dict[str, float | None]] = {}
    for axis in QUESTIONS if judged else ():
        ours = [item.comparison.rules[axis] for item in judged]
        theirs = [verdict[axis] for verdict in judged.values()]
        same = _mean([float(a == b) for a, b in zip(ours, theirs, strict=True)])
        found[axis] = {"share": same, "kappa": cohen_kappa(ours, theirs)}
    return found


def _spreads(part: Mapping[Blinded, Mapping[str, int]], scorer: Scorer) -> dict[str, Any]:
    rows = [
        (item.comparison.subject, {**{k: float(v) for k, v in verdict.items()}, "sum": float(sum(verdict.values()))})
        for item, verdict in part.items()
    ]
    return scorer.spreads(rows)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _verdict(answer: Answer | None) -> dict[str, int] | None:
    return None if answer is None else parse_verdict(answer.text)
