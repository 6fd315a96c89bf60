"""One record for every kind of instruction, and files of them: one JSON object a line."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from corpus.findings import Findings

Task = Literal["description", "choice", "yes_no", "conversation", "question"]
Source = Literal["rules", "teacher", "repaired"]
SCHEMA_VERSION = 1
LETTERS = "ABCD"


@dataclass(frozen=True)
class Turn:
    """What one side says: "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True, eq=False)
class Material:
    """What items of one segment are made from.

    Attributes:
        findings: of `corpus.background.find_complete`, or the narrator's alone.
        dataset: registry name.
        subject: pseudonym of the person.
        recording: pseudonym of the recording.
        description: what an expert wrote about this segment, "" if nobody did.
        state: stage of sleep or waking that the dataset gives, "" if none.
    """

    findings: Findings = field(repr=False)
    dataset: str = ""
    subject: str = ""
    recording: str = ""
    description: str = ""
    state: str = ""


@dataclass(frozen=True)
class Item:
    """One instruction with its answer, and where it comes from.

    Attributes:
        task: "description", "choice", "yes_no", "conversation" or "question".
        turns: question and answer in turn, beginning with the user; several rounds in a conversation.
        options: the four statements of a choice, in the order of `LETTERS`.
        answer: the letter of a choice, "yes" or "no"; "" for texts.
        topic: kind of finding that a question is about.
        source: "rules", "teacher", or "repaired" where sentences of a teacher were dropped.
        model: name of the teacher, "" for rules.
        prompt_version: of the teacher's prompts, "" for rules.
        seed: that chose wording and order.
        dataset: registry name.
        subject: pseudonym of the person, for splits.
        recording: pseudonym of the recording.
        segment: index in the recording.
        start_s: of the segment in the recording, seconds.
        duration_s: of the segment, seconds.
    """

    task: Task
    turns: tuple[Turn, ...]
    options: tuple[str, ...] = ()
    answer: str = ""
    topic: str = ""
    source: Source = "rules"
    model: str = ""
    prompt_version: str = ""
    seed: int = 0
    dataset: str = ""
    subject: str = ""
    recording: str = ""
    segment: int = 0
    start_s: float = 0.0
    duration_s: float = 0.0

    @property
    def answers(self) -> tuple[str, ...]:
        """What the assistant says, round by round."""
        return tuple(turn.text for turn in self.turns if turn.role == "assistant")

    @property
    def item_id(self) -> str:
        """Hash of the content: equal items have one id on every machine."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The record as it stands in a file."""
        told = asdict(self)
        told["messages"] = [{"role": turn.role, "content": turn.text} for turn in self.turns]
        del told["turns"]
        return {"version": SCHEMA_VERSION, "id": self.item_id, **told}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> "Item":
        """The item of a record.

        Raises:
            ValueError: if it is not one of ours, or was changed since.
        """
        if record.get("version") != SCHEMA_VERSION or record.get("task") not in get_args(Task):
            raise ValueError(
                f"got a record of version {record.get('version')} and task {record.get('task')!r}, expected version "
                f"{SCHEMA_VERSION} and one of {', '.join(get_args(Task))}; make the file again"
            )
        fields = {key: value for key, value in record.items() if key not in ("version", "id", "messages")}
        turns = tuple(Turn(turn["role"], turn["content"]) for turn in record["messages"])
        item = cls(turns=turns, **(fields | {"options": tuple(fields["options"])}))
        if item.item_id != record.get("id"):
            raise ValueError(f"got a record with id {record.get('id')}, expected {item.item_id}; make the file again")
        return item


def of_segment(material: Material) -> dict[str, Any]:
    """The fields of an item that say which segment it is about."""
    segment = material.findings.segment
    return {
        "dataset": material.dataset,
        "subject": material.subject,
        "recording": material.recording,
        "segment": segment.index,
        "start_s": float(segment.start_s),
        "duration_s": float(segment.duration_s),
    }


def write_items(items: Iterable[Item], path: str | Path) -> int:
    """Write items to a JSONL file; returns how many."""
    count = 0
    with Path(path).open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item.to_json(), ensure_ascii=False) + "\n")
            count += 1
    return count


def read_items(path: str | Path) -> Iterator[Item]:
    """Items of a JSONL file, in order; see `Item.from_json` for errors."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            yield Item.from_json(json.loads(line))
