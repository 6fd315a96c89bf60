"""Questions about what is measured: yes or no, a choice of four, and in words, asked of every segment.

Each segment gets one item of each kind (`corpus.instruct`), whose right answer is what was measured; a narrator that
answers certain questions only gets those in words. What the publisher calls a segment is not asked. An answer in words
is right if the findings support all of it and it is about what was asked. Intervals resample persons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpus.background import complete_alone
from corpus.findings import Findings, Labels
from corpus.instruct import Item, Material, make_items
from corpus.instruct.contrasts import find_contrasts
from corpus.instruct.record import Task
from corpus.noise_audit import check_against_findings, read_sentence, split_sentences
from neuronarrator.evaluate.bench_answers import parse_choice
from neuronarrator.evaluate.narratives import versions
from neuronarrator.evaluate.sources import none_usable, open_data, usable
from neuronarrator.metrics.bootstrap import LEVEL, bootstrap_means, percentiles
from neuronarrator.narrate import read_batches
from neuronarrator.narrator import Narrator
from neuronarrator.persons import seen_in_training, stages_of

KINDS: tuple[Task, ...] = ("yes_no", "choice", "question")
CHANCE = {"yes_no": 0.5, "choice": 0.25}
RESAMPLES = 1000


@dataclass(frozen=True)
class Answered:
    """One question with what the narrator said.

    Attributes:
        item: the question and its right answer.
        subject: code of the person.
        findings: of the segment.
        text: the answer.
    """

    item: Item
    subject: str
    findings: Findings
    text: str


def evaluate_questions(
    narrator: Narrator, data: str | Path, dataset: str | None = None, split: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Ask about every segment.

    Args:
        narrator: in eval mode, one that answers questions.
        data: recordings, a dataset or a corpus, as `sources.open_data` reads them.
        dataset: see there.
        split: see there.
        seed: of the questions and of resamples.

    Returns:
        For each of "kinds" what `score_answers` returns, "seen_in_training" (persons; None where nobody knows),
        "config" and "skipped" recordings.

    Raises:
        RecordingError: no recording can be used.
        ValueError: the narrator only narrates.
    """
    skipped: dict[str, str] = {}
    answered: list[Answered] = []
    for item, material in usable(open_data(data, dataset, split).items, skipped):
        findings, examples = material.findings()
        for kind in ("question",) if narrator.config.questions else KINDS:  # else it cannot be asked the others
            told = ask_all(narrator, findings, kind, f"{seed}/{item.name}")
            answered += [
                Answered(question, material.subject, complete, text)
                for (question, complete, text), example in zip(told, examples, strict=True)
                if example and question is not None
            ]
    if not answered:
        raise none_usable(skipped)
    kinds = {kind: [one for one in answered if one.item.task == kind] for kind in KINDS}
    config = {"model": narrator.card, "seed": seed, "resamples": RESAMPLES, "level": LEVEL, "versions": versions()}
    scores = {kind: score_answers(found, seed) for kind, found in kinds.items() if found}
    seen = seen_in_training(stages_of(narrator), [one.subject for one in answered])
    return {"kinds": scores, "seen_in_training": seen, "config": config, "skipped": skipped}


def ask_all(
    narrator: Narrator, findings: Sequence[Findings], kind: Task, name: str
) -> list[tuple[Item | None, Findings, str]]:
    """One item of a kind for each segment, None where nothing can be asked, its complete findings, and the answer.

    Args:
        narrator: one that answers.
        findings: of one recording.
        kind: of the items.
        name: of the recording; it chooses topics and wordings.
    """
    complete = [replace(complete_alone(found), labels=Labels()) for found in findings]
    items = [next(make_items([Material(found, recording=name)], tasks=(kind,)), None) for found in complete]
    unasked = (*narrator.config.questions, "Which band?")[0]  # its answer is not used
    asked = [item.turns[0].text if item else unasked for item in items]
    texts: list[str] = []
    for _, _, batch in read_batches(findings, narrator.config.history_k):
        texts += [answer.text for answer in narrator.ask(batch, asked[len(texts) : len(texts) + len(batch)])]
    return list(zip(items, complete, texts, strict=True))


def score_answers(answered: Sequence[Answered], seed: int) -> dict[str, Any]:
    """How many answers of one kind are right.

    Returns:
        "accuracy" with its "ci" over persons, "invalid_rate" (nothing that answers the question, counted as wrong),
        "chance" (1/2 and 1/4; of questions in words, the answers given to other persons on the same topic, None where
        there are none), "topics" (number and accuracy of each), "n" and "n_subjects".
    """
    right = [is_right(one, one.text) for one in answered]
    hits = np.array([bool(value) for value in right], float)
    subjects = [one.subject for one in answered]
    edges = (
        percentiles(bootstrap_means(hits[:, None], subjects, RESAMPLES, seed))[0] if len(set(subjects)) > 1 else None
    )
    topics: dict[str, list[float]] = {}
    for one, hit in zip(answered, hits.tolist(), strict=True):
        topics.setdefault(_class_of(one), []).append(hit)
    return {
        "accuracy": float(hits.mean()),
        "ci": edges,
        "invalid_rate": float(np.mean([value is None for value in right])),
        "chance": CHANCE.get(answered[0].item.task) or _answers_of_others(answered),
        "topics": {name: {"n": len(own), "accuracy": float(np.mean(own))} for name, own in sorted(topics.items())},
        "n": len(hits),
        "n_subjects": len(set(subjects)),
    }


def is_right(one: Answered, text: str) -> bool | None:
    """Whether an answer is right; None where it answers nothing that was asked."""
    if one.item.task == "yes_no":
        said = text.split(".")[0].split(",")[0].strip().lower()
        return said == one.item.answer if said in ("yes", "no") else None
    if one.item.task == "choice":
        letter = parse_choice(text, one.item.options)
        return None if letter is None else letter == one.item.answer
    asked = next(c for c in find_contrasts(one.findings) if c.topic == one.item.topic)
    if not _about(text) & {about for option in (asked.right, *asked.wrong) for about in _about(option)}:
        return None
    return {checked.verdict for checked in check_against_findings(text, one.findings)} == {"supported"}


def _about(text: str) -> set[tuple[str, str]]:
    """What the sentences of a text are about: kinds of claims and their subjects."""
    said = [statement for sentence in split_sentences(text) for statement in read_sentence(sentence)]
    return {(s.claim.kind, s.claim.subject) if s.claim is not None else (s.kind, "") for s in said}


def _class_of(one: Answered) -> str:
    return one.item.topic.split(" ")[0] if " + " not in one.item.topic else "two at once"


def _answers_of_others(answered: Sequence[Answered]) -> float | None:
    """The share of answers that would be right of the next person who was asked about the same topic."""
    hits = []
    for topic in {one.item.topic for one in answered}:
        own = [one for one in answered if one.item.topic == topic]
        for i, one in enumerate(own):
            others = [other for other in own[i + 1 :] + own[:i] if other.subject != one.subject]
            if others:
                hits.append(bool(is_right(one, others[0].text)))
    return float(np.mean(hits)) if hits else None


def format_questions(scores: dict[str, Any]) -> str:
    """The scores of `evaluate_questions` as text."""
    lines = ["kind        right    95 % interval   chance   invalid   questions"]
    for kind, own in scores["kinds"].items():
        edges = "-" if own["ci"] is None else f"{own['ci'][0]:.3f} to {own['ci'][1]:.3f}"
        chance = "-" if own["chance"] is None else f"{own['chance']:.3f}"
        rates = f"{chance:<5}    {own['invalid_rate']:.3f}"
        lines.append(f"{kind:<11} {own['accuracy']:.3f}    {edges:<14}  {rates}     {own['n']}")
        lines += [f"  {name:<16} {topic['accuracy']:.3f} of {topic['n']}" for name, topic in own["topics"].items()]
    return "\n".join(lines)
