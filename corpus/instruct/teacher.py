"""Items that a teacher writes, each answer checked sentence by sentence; where it fails the rules write the item."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.findings import Findings
from corpus.instruct.check import statements_of
from corpus.instruct.make import MAX_ROUNDS, MIN_ROUNDS, make_items
from corpus.instruct.prompts import PROMPT_VERSION, TEACHER_TASKS, TeacherTask, build_messages, measured_text
from corpus.instruct.record import LETTERS, Item, Material, Turn, of_segment
from corpus.noise_audit import check_against_findings, split_sentences
from corpus.refine.cache import AnswerCache, content_key
from corpus.refine.client import Teacher
from corpus.refine.run import Asking, run_asking
from corpus.refine.validate import check_answer

MIN_SENTENCES = 3  # of a description, after unsupported ones were dropped
_NAMES_INPUTS = re.compile(r"\b(?:expert|stage given|measured|marks?|sources?|bounding box\w*|json)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?")  # numbers, too
_GLUE = frozenset(
    re.findall(r"\w+", "a an and are as at also both in is it of on over the there this to together while with")
)
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")


@dataclass(frozen=True)
class TeachResult:
    """Items in the order of the materials, and what became of the teacher's answers.

    Attributes:
        items: one a segment and task.
        accepted: answers taken as they are.
        repaired: descriptions of which unsupported sentences were dropped.
        rejected: items that the rules wrote.
        reasons: why answers were repaired or rejected, and how often.
    """

    items: tuple[Item, ...]
    accepted: int
    repaired: int
    rejected: int
    reasons: dict[str, int]


def teach_items(
    materials: Sequence[Material],
    teacher: Teacher,
    cache_dir: str | Path,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> TeachResult:
    """Let a teacher write descriptions, complex choices and conversations, one to one to one, a segment each in turn.

    Answers are cached by content and checked on each run anew, as in `corpus.refine.refine`. An item whose answer
    cannot be used is written by the rules (`make_items`), of the same task.

    Args:
        materials: segments; the first gets a description, the second a choice, and so on.
        teacher: the endpoint.
        cache_dir: folder of the answers.
        seed: of wording.
        on_progress: called with the number of segments done and of all.

    Raises:
        TeacherError: if the endpoint cannot be used; what was answered is kept.
    """
    tasks = [TEACHER_TASKS[i % len(TEACHER_TASKS)] for i in range(len(materials))]
    asked = [build_messages(task, own, seed) for task, own in zip(tasks, materials, strict=True)]
    keys = [content_key(teacher.question(messages)) for messages in asked]
    asking = Asking(teacher, AnswerCache(cache_dir), Counter(keys), on_progress)
    run_asking(asking, dict(zip(keys, asked, strict=True)))
    items: list[Item] = []
    reasons: Counter[str] = Counter()
    for task, material, key in zip(tasks, materials, keys, strict=True):
        answer = asking.answer(key)
        item, why = read_answer(task, answer.text if answer else "", material, teacher.model, seed)
        reasons.update([why] if why else [])
        items += [item] if item is not None else make_items([material], seed, [task])
    sources = Counter(item.source for item in items)
    return TeachResult(
        tuple(items), sources["teacher"], sources["repaired"], sources["rules"], dict(reasons.most_common())
    )


def read_answer(task: TeacherTask, text: str, material: Material, model: str, seed: int) -> tuple[Item | None, str]:
    """The item of an answer, or None, and what was wrong with it ("" if nothing).

    Args:
        task: what was asked for.
        text: the answer.
        material: the segment.
        model: name of the teacher.
        seed: of the measured sentences in the prompt.
    """
    text = _FENCE.sub("", re.sub(r"^\s*<think>.*?</think>", "", text, flags=re.DOTALL).strip())
    if not text:
        return None, "no answer"
    if _NAMES_INPUTS.search(text if task == "description" else " ".join(re.findall(r'"([^"]*)"', text))):
        return None, "names its inputs"
    about: dict[str, Any] = {"model": model, "prompt_version": PROMPT_VERSION, "seed": seed, **of_segment(material)}
    try:
        if task == "description":
            return _description(text, material, about)
        content = json.loads(text)
        return _choice(content, material, about) if task == "choice" else _conversation(content, material, about)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None, "not the form asked for"


def supported(text: str, material: Material, seed: int) -> bool:
    """Whether each sentence of a text is the expert's, or supported by the findings.

    A sentence that `corpus.refine.validate` does not know (of waveforms, of the background) has to consist of the words
    and numbers of what was measured, too.
    """
    findings = material.findings
    known = set(map(str.lower, _WORD.findall(f"{measured_text(findings, seed)} {material.state}"))) | _GLUE
    said = split_sentences(material.description)
    return all(sentence in said or _sentence_holds(sentence, findings, known) for sentence in split_sentences(text))


def _sentence_holds(sentence: str, findings: Findings, known: set[str]) -> bool:
    verdict = check_against_findings(sentence, findings)[0].verdict
    if verdict == "supported" and set(map(str.lower, _WORD.findall(sentence))) <= known:
        return True
    return verdict != "contradicted" and not set(check_answer(sentence, findings).problems) - {"too few facts"}


def _description(text: str, material: Material, about: dict[str, Any]) -> tuple[Item | None, str]:
    sentences = split_sentences(text)
    kept = [sentence for sentence in sentences if supported(sentence, material, about["seed"])]
    if len(kept) < MIN_SENTENCES:
        return None, "too few supported sentences"
    dropped = len(kept) < len(sentences)
    turns = (Turn("user", "Describe this EEG segment."), Turn("assistant", " ".join(kept)))
    item = Item("description", turns, source="repaired" if dropped else "teacher", **about)
    return item, "unsupported sentence" if dropped else ""


def _choice(content: Any, material: Material, about: dict[str, Any]) -> tuple[Item | None, str]:
    options, at = [str(option) for option in content["options"]], int(content["answer"])
    if len(set(options)) != len(LETTERS) or not 0 <= at < len(LETTERS):
        return None, "not the form asked for"
    if not supported(options[at], material, about["seed"]):
        return None, "answer not supported"
    for option in (option for i, option in enumerate(options) if i != at):
        verdicts = {one.verdict for one in check_against_findings(statements_of(option), material.findings)}
        if "contradicted" not in verdicts:
            return None, "option not wrong"
    listed = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=True)]
    turns = (Turn("user", "\n".join((str(content["question"]), *listed))), Turn("assistant", listed[at]))
    return Item("choice", turns, tuple(options), LETTERS[at], source="teacher", **about), ""


def _conversation(content: Any, material: Material, about: dict[str, Any]) -> tuple[Item | None, str]:
    rounds = [(str(one["question"]), str(one["answer"])) for one in content]
    if not MIN_ROUNDS <= len(rounds) <= MAX_ROUNDS:
        return None, "not the form asked for"
    if not all(answer and supported(statements_of(answer), material, about["seed"]) for _, answer in rounds):
        return None, "answer not supported"
    turns = [turn for question, answer in rounds for turn in (Turn("user", question), Turn("assistant", answer))]
    return Item("conversation", tuple(turns), source="teacher", **about), ""
