"""The records of a bench: a segment with a description, a choice, a question and boxes, each of which may be missing.

A bench is a folder: `bench.json` (facts about it), `items.jsonl` (one record a segment) and `signals/ID.npy`, (C, T)
float32 microvolts. An id is a hash of the record and of its signal, so a bench that was changed is noticed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpus.instruct.record import LETTERS
from corpus.segment import Segment
from corpus.waveforms import Waveform

FORMAT_VERSION = 1
FACTS_FILE, ITEMS_FILE, SIGNALS = "bench.json", "items.jsonl", "signals"
PARTS = ("description", "choice", "qa", "boxes")
"""The four formats of CerebraGloss-Bench (CerebraGloss, Sec. 5)."""


@dataclass(frozen=True)
class Choice:
    """One right statement among others.

    Attributes:
        stem: the question.
        options: statements, in the order of `LETTERS`.
        answer: letter of the right one.
        topic: what is asked: "feature", "pattern", or the kind of finding.
        votes: how many experts chose each option, by its letter, where experts voted.
        n_votes: all votes, those for options that are not offered among them.

    Raises:
        ValueError: the answer is no letter of an option.
    """

    stem: str
    options: tuple[str, ...]
    answer: str
    topic: str = ""
    votes: tuple[tuple[str, int], ...] = ()
    n_votes: int = 0

    def __post_init__(self) -> None:
        letters = LETTERS[: len(self.options)]
        if len(self.answer) != 1 or self.answer not in letters or len(set(self.options)) < len(self.options):
            raise ValueError(
                f"got answer {self.answer!r} to {len(self.options)} options, expected a letter of {letters} and "
                "options that differ; correct the record"
            )

    @property
    def question(self) -> str:
        """As a model is asked: the stem, then one option a line."""
        listed = (f"{letter}) {option}" for letter, option in zip(LETTERS, self.options, strict=False))
        return "\n".join((self.stem, *listed))


@dataclass(frozen=True)
class Question:
    """A question, or the instruction to describe, with its reference answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class BenchItem:
    """One segment with what is asked of it.

    Attributes:
        subject: pseudonym of the person, for intervals.
        dataset: where the segment is from; "simulated".
        source: who knows the answers: "simulator", "experts" (votes; texts by rules), or "published".
        category: "background", "artifact", "sleep", "epileptiform" or "pattern"; "" where nobody says.
        topics: what the segment shows, the one that it was chosen for first.
        description: instruction and reference.
        choice: of one among several statements.
        qa: a question in words and its reference.
        boxes: true waveforms, one electrode each, seconds from the start; None where nobody marked any.
        ch_names: electrodes of the signal.
        sfreq: of the signal, Hz.
        reference: of the signal, "" where it is not known.
        image: file of a picture, relative to the folder, "" for none.
        signal_sha256: of the samples, "" for an item without a signal.
        item_id: set by `identify`.
    """

    subject: str
    dataset: str
    source: str
    category: str = ""
    topics: tuple[str, ...] = ()
    description: Question | None = None
    choice: Choice | None = None
    qa: Question | None = None
    boxes: tuple[Waveform, ...] | None = None
    ch_names: tuple[str, ...] = ()
    sfreq: float = 200.0
    reference: str = ""
    image: str = ""
    signal_sha256: str = ""
    item_id: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Which of `PARTS` it has."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    def question(self, part: str) -> str:
        """What a model is asked for a part in words.

        Raises:
            ValueError: the item has no such part.
        """
        asked: Any = getattr(self, part, None) if part != "boxes" else None
        if asked is None:
            raise ValueError(f"got part {part!r} of an item that has {', '.join(self.parts)}, expected one in words")
        return asked.question

    def reference_of(self, part: str) -> str:
        """The reference of a description or of a question."""
        told: Any = getattr(self, part)
        return told.answer


def identify(item: BenchItem, signal_uv: np.ndarray | None) -> BenchItem:
    """The item with the hash of its signal and with its id."""
    digest = "" if signal_uv is None else _digest(signal_uv)
    item = replace(item, signal_sha256=digest, item_id="")
    content = json.dumps(asdict(item), sort_keys=True, ensure_ascii=False)
    return replace(item, item_id=hashlib.sha256(content.encode()).hexdigest()[:16])


def pseudonym(subject: str) -> str:
    """A person of a bench: a hash of the qualified code, which those who hold the dataset can make again."""
    return hashlib.sha256(f"bench/{subject}".encode()).hexdigest()[:12]


def _digest(signal_uv: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(signal_uv, np.float32).tobytes()).hexdigest()


@dataclass(frozen=True)
class Bench:
    """Items, where their signals are, and facts about the whole."""

    root: Path
    items: tuple[BenchItem, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def segment(self, item: BenchItem) -> Segment:
        """The signal of an item, without history.

        Raises:
            ValueError: it has none, or another than it was made with.
        """
        file = self.root / SIGNALS / f"{item.item_id}.npy"
        if not item.signal_sha256 or not file.is_file():
            raise ValueError(
                f"got item {item.item_id} without a signal, expected {SIGNALS}/{file.name}: a bench of pictures is "
                "scored by the answers of a model that reads them, evaluate bench --answers FILE"
            )
        signal = np.load(file, allow_pickle=False)
        if _digest(signal) != item.signal_sha256:
            raise ValueError(f"got other samples in {file.name} than the item was made with; make the bench again")
        return Segment(0, 0.0, signal.shape[1] / item.sfreq, signal, item.sfreq, item.ch_names)


def write_bench(
    root: str | Path, made: Sequence[tuple[BenchItem, np.ndarray]], facts: Mapping[str, Any]
) -> tuple[BenchItem, ...]:
    """Write a bench to a folder; files of an earlier one there are replaced.

    Args:
        root: folder, made where it does not exist.
        made: items with their signals, (C, T) microvolts.
        facts: for `bench.json`, beside the version, the counts and the hash of the items.

    Returns:
        The items with their ids.
    """
    root = Path(root)
    (root / SIGNALS).mkdir(parents=True, exist_ok=True)
    for old in (root / SIGNALS).glob("*.npy"):
        old.unlink()
    items = []
    for item, signal_uv in made:
        items.append(identify(item, signal_uv))
        np.save(root / SIGNALS / f"{items[-1].item_id}.npy", np.ascontiguousarray(signal_uv, np.float32))
    lines = "".join(json.dumps(_to_json(item), ensure_ascii=False) + "\n" for item in items)
    (root / ITEMS_FILE).write_text(lines, "utf-8")
    told = {"version": FORMAT_VERSION, "n_items": len(items), "parts": _count(items)}
    told["items_sha256"] = hashlib.sha256(lines.encode()).hexdigest()
    (root / FACTS_FILE).write_text(json.dumps({**told, **facts}, indent=2) + "\n", "utf-8")
    return tuple(items)


def read_bench(root: str | Path) -> Bench:
    """A bench of `write_bench`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: of another version, or changed since it was written.
    """
    root = Path(root)
    if not (root / FACTS_FILE).is_file() or not (root / ITEMS_FILE).is_file():
        raise FileNotFoundError(
            f"got {root.name!r} without {FACTS_FILE} and {ITEMS_FILE}, expected a bench; make one with bench make"
        )
    facts = json.loads((root / FACTS_FILE).read_text("utf-8"))
    if facts.get("version") != FORMAT_VERSION:
        raise ValueError(f"got a bench of version {facts.get('version')}, expected {FORMAT_VERSION}; make it again")
    lines = (root / ITEMS_FILE).read_text("utf-8").splitlines()
    return Bench(root, tuple(_from_json(json.loads(line)) for line in lines), facts)


def _count(items: Iterable[BenchItem]) -> dict[str, int]:
    parts = [part for item in items for part in item.parts]
    return {part: parts.count(part) for part in PARTS}


def _to_json(item: BenchItem) -> dict[str, Any]:
    told = {"id": item.item_id, **asdict(item)}
    del told["item_id"]
    return told


def _from_json(record: Mapping[str, Any]) -> BenchItem:
    told = dict(record)
    item_id, choice, boxes = told.pop("id"), told.pop("choice"), told.pop("boxes")
    asked: dict[str, Any] = {part: told.pop(part) for part in ("description", "qa")}
    asked = {part: None if one is None else Question(**one) for part, one in asked.items()}
    for name in ("topics", "ch_names"):
        told[name] = tuple(told[name])
    item = BenchItem(
        **told,
        **asked,
        choice=None if choice is None else _choice(choice),
        boxes=None if boxes is None else tuple(Waveform(**{**b, "ch_names": tuple(b["ch_names"])}) for b in boxes),
    )
    content = json.dumps(asdict(item), sort_keys=True, ensure_ascii=False)
    if hashlib.sha256(content.encode()).hexdigest()[:16] != item_id:
        raise ValueError(f"got item {item_id} that was changed since it was written; make the bench again")
    return replace(item, item_id=item_id)


def _choice(record: Mapping[str, Any]) -> Choice:
    votes = tuple((letter, count) for letter, count in record["votes"])
    return Choice(**{**record, "options": tuple(record["options"]), "votes": votes})
