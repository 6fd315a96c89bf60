"""Answers to the questions of a bench, graded by a language model from 1 to 10 beside their references.

The criteria are those of CerebraGloss, Sec. 6.2 (helpfulness, relevance, accuracy, detail); its prompt is not published
and the words are ours. Any OpenAI-compatible endpoint. The judge does not see who answered.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpus.bench import Bench, BenchItem
from corpus.refine import Teacher
from corpus.refine.cache import AnswerCache, content_key
from corpus.refine.run import Asking, run_asking
from neuronarrator.evaluate.bench_answers import Answers
from neuronarrator.metrics.bootstrap import bootstrap_means, percentiles

CRITERIA = ("helpfulness", "relevance", "accuracy", "detail")
LEAST, MOST = 1, 10
_SYSTEM = f"""\
You grade an answer to a question about ten seconds of EEG. You do not see the EEG: take the reference answer for \
right. Give whole numbers from {LEAST} (useless or wrong) to {MOST} (as good as the reference) for: helpfulness, does \
it help who asked; relevance, does it keep to the question; accuracy, does it agree with the reference and state \
nothing against it; detail, does it give what the reference gives, such as places, times and numbers. Answer with one \
JSON object and nothing else, with the keys {", ".join(CRITERIA)}."""
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_OBJECT = re.compile(r"\{[^{}]*\}")


def grade_messages(item: BenchItem, answer: str) -> list[dict[str, str]]:
    """The chat messages about one answer."""
    shown = f"Question:\n{item.question('qa')}\n\nReference answer:\n{item.reference_of('qa')}\n\nAnswer:\n{answer}"
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": shown}]


def parse_grades(text: str) -> dict[str, int] | None:
    """A grade for each criterion; None where an answer is anything else."""
    found = _OBJECT.search(_THINKING.sub("", text))
    try:
        values = json.loads(found.group()) if found else {}
    except ValueError:
        return None
    if set(values) != set(CRITERIA):
        return None
    good = all(isinstance(v, int) and not isinstance(v, bool) and LEAST <= v <= MOST for v in values.values())
    return {name: values[name] for name in CRITERIA} if good else None


def grade_bench(
    bench: Bench, systems: Sequence[Answers], teacher: Teacher, cache: str | Path, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any] | None]:
    """Let a judge grade every answer to a question; what it said is cached by content.

    Args:
        bench: with the references.
        systems: what was answered; an item without an answer gets the least grade, unasked.
        teacher: the judge; a temperature of 0 repeats best.
        cache: folder of its answers.
        resamples: of the persons.
        seed: of the resamples.

    Returns:
        For each system "overall" (the mean over criteria) and each criterion with "mean" and "ci", "n_graded" and
        "n_failed" (no answer of the judge, or none that is grades); None for a system without such answers.

    Raises:
        TeacherError: the endpoint cannot be used; what was answered stays in the cache.
        ImportError: aiohttp is missing.
    """
    items = [item for item in bench.items if item.qa is not None]
    asked = {
        (system.name, item.item_id): grade_messages(item, text)
        for system in systems
        for item in items
        if (text := system.texts.get((item.item_id, "qa"), "").strip())
    }
    keys = {place: content_key(teacher.body(messages)) for place, messages in asked.items()}
    asking = Asking(teacher, AnswerCache(cache), Counter(keys.values()), None)
    run_asking(asking, {keys[place]: messages for place, messages in asked.items()})
    grades: dict[tuple[str, str], dict[str, int] | None] = {}
    for place, key in keys.items():
        answer = asking.answer(key)
        grades[place] = None if answer is None else parse_grades(answer.text)
    return {system.name: _summary(items, system, grades, resamples, seed) for system in systems}


def _summary(
    items: Sequence[BenchItem],
    system: Answers,
    grades: Mapping[tuple[str, str], Mapping[str, int] | None],
    resamples: int,
    seed: int,
) -> dict[str, Any] | None:
    if not any(part == "qa" for _, part in system.texts):
        return None
    silent = dict.fromkeys(CRITERIA, LEAST)
    own = [(item.subject, grades.get((system.name, item.item_id), silent)) for item in items]
    good = [(subject, found) for subject, found in own if found is not None]
    told: dict[str, Any] = {"n_graded": len(good), "n_failed": len(own) - len(good), "overall": None}
    if not good:
        return told
    subjects = [subject for subject, _ in good]
    values = np.array([[*(found[name] for name in CRITERIA), np.mean(list(found.values()))] for _, found in good])
    edges: Sequence[list[float] | None] = [None] * values.shape[1]
    if len(set(subjects)) > 1:
        edges = percentiles(bootstrap_means(values, subjects, resamples, seed))
    means = values.mean(0).tolist()
    return told | {
        name: {"mean": mean, "ci": ci} for name, mean, ci in zip((*CRITERIA, "overall"), means, edges, strict=True)
    }
