"""The file of predictions: one JSON line a segment, the format in which every model is compared.

What a line must hold is `REQUIRED`; a model of another kind writes these and its text.

    {"dataset": "workload", "recording": "Subject26_2", "start_s": 0.0, "segment": 0, "subject": "workload/Subject26",
     "text": "...", "confidence": 0.93, "log_prob": {"mean": -0.07, "min": -1.1, "tokens": 95},
     "facts": [["amplitude", "", "low"], ...], "model": "tiny 0f3c..."}
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.findings import Findings
from neuronarrator.evaluate.sources import Item

REQUIRED: dict[str, tuple[type, ...]] = {
    "dataset": (str,),
    "recording": (str,),
    "start_s": (int, float),
    "text": (str,),
}
Place = tuple[str, str, int]  # dataset, recording, start in milliseconds


@dataclass(frozen=True)
class Prediction:
    """What a model wrote of one segment; `confidence` is None where it gave none."""

    text: str
    confidence: float | None = None


MISSING = Prediction("")
"""In place of what a file lacks: the empty text, which is scored as one that says nothing."""


class Predictions:
    """The texts of a file of predictions, by the place of their segment; stands in for a narrator in evaluation.

    Attributes:
        card: name of the file and of the models in it, as `Narrator.card`.
        sure: every line has a confidence.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        lines, whole = read_lines(path)
        if not lines or whole != path.stat().st_size:
            raise ValueError(
                f"got predictions {path.name!r} that are empty or end within a line, expected whole JSON lines; run "
                "the command that wrote them again, it goes on where it stopped"
            )
        self._told = {place(line): Prediction(line["text"], line.get("confidence")) for line in lines}
        self.sure = all(isinstance(line.get("confidence"), int | float) for line in lines)
        models = ", ".join(sorted({str(line.get("model", "no name")) for line in lines}))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.card = {"name": path.stem, "version": "", "sha256": digest, "description": f"predictions of {models}"}

    def __len__(self) -> int:
        return len(self._told)

    def of(self, item: Item, findings: Sequence[Findings]) -> list[Prediction]:
        """The texts of segments of a recording; a segment that the file lacks has `MISSING`."""
        return [self._told.get(place_of(item, f), MISSING) for f in findings]


def recording_of(item: Item) -> tuple[str, str]:
    """Dataset and recording: the same for a recording of a dataset and for that recording in a corpus."""
    return item.dataset, item.name.removeprefix(f"{item.dataset}/")


def check_recordings(items: Iterable[Item]) -> None:
    """Raise ValueError where two recordings have one name, so that a file could not tell their segments apart."""
    seen = set()
    for item in items:
        if (where := recording_of(item)) in seen:
            raise ValueError(
                f"got two recordings {where[1]!r} of {where[0]}, expected names that differ: put their folders into "
                "one and name that, name each dataset, or rename one"
            )
        seen.add(where)


def place_of(item: Item, findings: Findings) -> Place:
    """Where a segment is."""
    return *recording_of(item), round(1000 * findings.segment.start_s)


def place(line: Mapping[str, Any]) -> Place:
    """The place that a line names."""
    return line["dataset"], line["recording"], round(1000 * line["start_s"])


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines of a file, and up to which byte they are whole: a process that was killed leaves half a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a whole line is no prediction.
    """
    if not path.is_file():
        raise FileNotFoundError(f"got no file {path.name!r}, expected predictions: correct --predictions")
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    lines = []
    for number, text in enumerate(content[:whole].decode("utf-8").split("\n")[:-1], 1):
        try:
            line = json.loads(text)
            good = all(isinstance(line[name], kind) for name, kind in REQUIRED.items())
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            raise ValueError(
                f"got line {number} of {path.name} that is no prediction, expected JSON with {', '.join(REQUIRED)}; "
                "correct it"
            )
        lines.append(line)
    return lines, whole
