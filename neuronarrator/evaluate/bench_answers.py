"""What systems answer to a bench: models that are asked, detectors, files, and three that know nothing or everything.

A model that can be asked answers every question in its own words, and a letter is read from them by rules that also
know "no letter" (`parse_choice`). A model that only narrates is taken at its narrative: that is its description and its
answer to the question, and of a choice it takes the one option that the narrative states (`stated_option`).
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpus.background import find_complete
from corpus.bench import Bench, BenchItem, references
from corpus.caption import write_caption
from corpus.claims import facts_of
from corpus.dataset import Batch, segment_batches
from corpus.findings import find_segments
from corpus.instruct.record import LETTERS
from corpus.noise_audit import split_sentences
from corpus.recording import Recording
from corpus.waveforms import Waveform
from encoders.waveform import WaveformDetector
from neuronarrator.detection.marks import find_marks
from neuronarrator.detection.task import LEAST_SCORE
from neuronarrator.language.generation import Generation
from neuronarrator.models import AnyNarrator

TEXT_PARTS = ("description", "choice", "qa")
BATCH_SIZE = 16
ORACLE, CHANCE, NO_SIGNAL = "oracle", "chance", "no signal"
_LISTED = re.compile(r"(?:^|\n)[\s*_(\[]*([A-D])(?:[\s*_]*[).\]:,;]|[*_]+|\s*(?:\n|$))")
_A_LETTER = r"[B-D]\b|A\b(?!\s+(?!(?:is|or|and)\b)[a-z])"  # not the article
_NAMED = re.compile(rf"\b(?:[Aa]nswer|[Oo]ption|[Cc]hoice)\b(?:\s+is)?[\s:*_(\[]*({_A_LETTER})")
_WORDS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Answers:
    """What one system answered.

    Attributes:
        name: of the system, in the table.
        texts: by id of the item and part; a missing one counts as empty.
        marks: by id of the item; None for a system that marks nothing.
        how: how the answers came about, in words.
    """

    name: str
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    marks: Mapping[str, Sequence[Waveform]] | None = None
    how: str = ""


def parse_choice(text: str, options: Sequence[str]) -> str | None:
    """The letter that an answer chooses; None, the invalid class, where it chooses none, or several.

    In this order: the only letter that is named as the answer ("The answer is B"), the only letter that a line begins
    with ("B) ...", "**B.**"), the only option whose words the answer holds.
    """
    letters = LETTERS[: len(options)]
    for pattern in (_NAMED, _LISTED):
        found = {letter for letter in pattern.findall(text) if letter in letters}
        if found:
            return found.pop() if len(found) == 1 else None
    said, spoken = _plain(text), [_plain(option) for option in options]
    held = [i for i, words in enumerate(spoken) if words.strip() and words in said]
    whole = [i for i in held if not any(spoken[i] != spoken[k] and spoken[i] in spoken[k] for k in held)]
    return letters[whole[0]] if len(whole) == 1 else None


def _plain(text: str) -> str:
    return f" {_WORDS.sub(' ', text.lower()).strip()} "


def stated_option(text: str, options: Sequence[str]) -> str | None:
    """The letter of the only option all of whose facts a narrative states; None where it states none, or several."""
    told = facts_of(text)
    stated = [letter for letter, option in zip(LETTERS, options, strict=False) if (f := facts_of(option)) and f <= told]
    return stated[0] if len(stated) == 1 else None


def can_ask(narrator: AnyNarrator) -> bool:
    """Whether a model answers any question, or only narrates, or answers only what it has learnt."""
    config: Any = narrator.config
    knows_all = "ask" in getattr(config, "instructions", ("ask",)) and not getattr(config, "questions", ())
    return hasattr(narrator, "ask") and knows_all


def answers_of(narrator: AnyNarrator, bench: Bench, name: str = "") -> Answers:
    """The answers of a model in eval mode to every question of a bench; segments stand alone, without history.

    Raises:
        ValueError: items without signals.
    """
    name = name or narrator.card["name"]
    texts: dict[tuple[str, str], str] = {}
    if can_ask(narrator):
        asked: dict[str, list[tuple[BenchItem, str]]] = defaultdict(list)
        for item in bench.items:
            for part in (part for part in item.parts if part in TEXT_PARTS):
                asked[item.question(part)].append((item, part))
        for question, pairs in asked.items():
            told = ask_all(narrator, bench, [item for item, _ in pairs], question)
            texts |= {(item.item_id, part): text for (item, part), text in zip(pairs, told, strict=True)}
        return Answers(name, texts, how="asked")
    for item, text in zip(bench.items, ask_all(narrator, bench, bench.items, None), strict=True):
        letter = stated_option(text, item.choice.options) if item.choice else None
        own = {"description": text, "qa": text, "choice": letter or ""}
        texts |= {(item.item_id, part): own[part] for part in item.parts if part in TEXT_PARTS}
    return Answers(name, texts, how="narratives; of a choice the one option that the narrative states, by rules")


def ask_all(narrator: AnyNarrator, bench: Bench, items: Sequence[BenchItem], question: str | None) -> list[str]:
    """The answers to one question about several items, or their narratives, in the order of the items."""
    layouts: dict[tuple[tuple[str, ...], float], list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        layouts[item.ch_names, item.sfreq].append(number)
    texts = [""] * len(items)
    for numbers in layouts.values():
        batches = _batches(bench, [items[n] for n in numbers], narrator.config.history_k)
        told = (one.text for batch in batches for one in _tell(narrator, batch, question))
        for number, text in zip(numbers, told, strict=True):
            texts[number] = text
    return texts


def _batches(bench: Bench, items: Sequence[BenchItem], history_k: int) -> Iterator[Batch]:
    segments = [replace(bench.segment(item), index=number) for number, item in enumerate(items)]
    return segment_batches(find_segments(segments), BATCH_SIZE, history_k=history_k)


def _tell(narrator: AnyNarrator, batch: Batch, question: str | None) -> Sequence[Generation]:
    model: Any = narrator  # of any kind; `can_ask` tells whether it answers questions
    batch = batch.to(narrator.device)
    return model.generate(batch) if question is None else model.ask(batch, question)


def marks_of(detector: WaveformDetector, bench: Bench, name: str = "detector") -> Answers:
    """The marks of a detector in eval mode on every item with boxes, down to `LEAST_SCORE`, none of them joined."""
    marks: dict[str, list[Waveform]] = {}
    layouts: dict[tuple[tuple[str, ...], float], list[BenchItem]] = defaultdict(list)
    for item in bench.items:
        if item.boxes is not None:
            layouts[item.ch_names, item.sfreq].append(item)
    for (ch_names, sfreq), items in layouts.items():  # as one recording with breaks: many windows at a time
        segments = [bench.segment(item) for item in items]
        ends = np.cumsum([segment.duration_s for segment in segments])
        joined = np.concatenate([segment.signal_uv for segment in segments], axis=1)
        marks |= {item.item_id: [] for item in items}
        recording = Recording(joined, sfreq, ch_names, breaks_s=tuple(ends[:-1].tolist()))
        for mark in find_marks(detector, recording, LEAST_SCORE):
            number = int(np.searchsorted(ends, mark.start_s + mark.duration_s / 2))
            start_s = float(mark.start_s - (ends[number] - segments[number].duration_s))
            marks[items[number].item_id].append(replace(mark, start_s=start_s))
    return Answers(name, marks=marks, how=f"marks of scores from {LEAST_SCORE:g}")


def read_answers(path: str | Path, bench: Bench) -> Answers:
    """Answers from a file of JSON lines, of any model: {"id": ..., "part": "choice", "text": "B"}.

    The id is that of the item, or the path of its picture. Boxes are {"id": ..., "part": "boxes", "boxes": [[kind,
    channel, start, end, score], ...]}.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is none of these, or about no item of the bench.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"got no file {path.name!r}, expected answers as JSON lines: correct --answers")
    known = {name: item.item_id for item in bench.items for name in (item.item_id, item.image) if name}
    texts: dict[tuple[str, str], str] = {}
    marks: dict[str, list[Waveform]] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            item_id, part = known[record["id"]], record["part"]
            if part == "boxes":
                marks[item_id] = [Waveform(k, (c,), s, e - s, score) for k, c, s, e, score in record["boxes"]]
            elif part in TEXT_PARTS and isinstance(record["text"], str):
                texts[item_id, part] = record["text"]
            else:
                raise ValueError(part)
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'got line {number} of {path.name} that is no answer, expected {{"id": an item of the bench, "part": '
                f'one of {", ".join(TEXT_PARTS)} with "text", or boxes with "boxes"}}; correct it'
            ) from None
    return Answers(path.stem, texts, marks or None, how="file")


def oracle(bench: Bench, seed: int = 0) -> Answers:
    """Everything right, in other words: the upper bound of each score."""
    texts: dict[tuple[str, str], str] = {}
    for number, item in enumerate(bench.items):
        told = _reworded(bench, item, random.Random(f"{seed}/{number}").randrange(2**31))
        texts |= {(item.item_id, part): told[part] for part in item.parts if part in TEXT_PARTS}
    marks = {item.item_id: item.boxes for item in bench.items if item.boxes is not None}
    return Answers(ORACLE, texts, marks or None, how="the truth, its texts written again by rules in other words")


def _reworded(bench: Bench, item: BenchItem, seed: int) -> dict[str, str]:
    """The right answers; texts as references where they are not by our rules."""
    told: dict[str, str] = {part: item.reference_of(part) for part in ("description", "qa") if part in item.parts}
    if item.choice:
        told["choice"] = item.choice.answer
    if item.source == "published" or "description" not in told:
        return told
    findings = find_complete([bench.segment(item)], waveforms=item.boxes, reference=item.reference or None)[0]
    if item.source == "simulator":
        description, answer = references(findings, item.category, seed)
        return told | {"description": description, "qa": answer}
    return told | {"description": f"{write_caption(findings, seed)} {split_sentences(told['description'])[-1]}"}


def chance(bench: Bench, seed: int = 0) -> Answers:
    """A letter at random for every choice."""
    rng = random.Random(f"chance/{seed}")
    rows = [(item.item_id, item.choice) for item in bench.items if item.choice]
    return Answers(CHANCE, {(i, "choice"): rng.choice(LETTERS[: len(c.options)]) for i, c in rows}, how="at random")


def no_signal(bench: Bench, seed: int = 0) -> Answers:
    """What is known without looking: the option that is right most often elsewhere, texts and boxes of another person.

    "Elsewhere" are the items of other persons; texts are, where there are any, answers to the same question.
    """
    rng = random.Random(f"no signal/{seed}")
    texts: dict[tuple[str, str], str] = {}
    marks: dict[str, Sequence[Waveform]] = {}
    for item in bench.items:
        others = [other for other in bench.items if other.subject != item.subject]
        if item.choice:
            texts[item.item_id, "choice"] = _usual(item, others, rng)
        for part in ("description", "qa"):
            told = [other for other in others if part in other.parts and part in item.parts]
            alike = [other for other in told if other.question(part) == item.question(part)] or told
            if alike:
                texts[item.item_id, part] = rng.choice(alike).reference_of(part)
        boxed = [other.boxes for other in others if other.boxes is not None]
        if item.boxes is not None and boxed:
            marks[item.item_id] = rng.choice(boxed)
    return Answers(NO_SIGNAL, texts, marks or None, how="items of other persons")


def _usual(item: BenchItem, others: Sequence[BenchItem], rng: random.Random) -> str:
    """The letter of the option that is right most often where it is offered to others."""
    assert item.choice is not None
    offered, right = Counter[str](), Counter[str]()
    for choice in (other.choice for other in others if other.choice):
        offered.update(choice.options)
        right[choice.options[LETTERS.index(choice.answer)]] += 1
    rates = [(right[o] + 1) / (offered[o] + len(item.choice.options)) for o in item.choice.options]
    best = [letter for letter, rate in zip(LETTERS, rates, strict=False) if rate == max(rates)]
    return rng.choice(best)
