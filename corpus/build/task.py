"""The work on one recording, and what became of it: plain data, which crosses process borders."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corpus.build.config import BuildConfig, plain_config
from corpus.datasets import Entry
from corpus.splits import Split

PART_FORMAT = 4  # another one is made anew


@dataclass(frozen=True)
class Task:
    """One recording to process.

    Attributes:
        dataset: its name.
        entry: of the dataset.
        split: "train", "val" or "test".
        config: of the build.
        parts: folder of the parts.
        files: name, bytes and time of the last change (ns) of the recording and of the files that share its stem.
    """

    dataset: str
    entry: Entry
    split: Split
    config: BuildConfig
    parts: Path
    files: tuple[tuple[str, int, int], ...]

    @property
    def content(self) -> list[Any]:
        """What it is made from, the same on every machine: what the dataset says of it, and the sizes of its files."""
        said = asdict(self.entry) | {"path": ""}
        return [self.dataset, said, [[name, n_bytes] for name, n_bytes, _ in self.files]]

    @property
    def name(self) -> str:
        """Of its part and note: other files, labels, side, configuration or version give another name."""
        made_by = [PART_FORMAT, version("neuronarrator"), self.split, plain_config(self.config)]
        return digest_of([*made_by, self.content, self.files])[:32]


def digest_of(content: list[Any]) -> str:
    """SHA-256 of plain data."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """How the processing of a recording went: segments, seconds of signal, size of the part, or what ended it."""

    dataset: str
    recording_id: str
    part: str
    n_segments: int = 0
    duration_s: float = 0.0
    part_bytes: int = 0
    problem: str = ""
