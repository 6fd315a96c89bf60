"""The work on one recording, and what became of it: plain data, which crosses process borders."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from corpus.build.config import BuildConfig, plain_config
from corpus.datasets import Entry
from corpus.splits import Split

PART_FORMAT = 3  # another one is made anew


@dataclass(frozen=True)
class Task:
    """One recording to process."""

    dataset: str
    entry: Entry
    split: Split
    config: BuildConfig
    parts: Path

    @property
    def name(self) -> str:
        """Of its part and note: another file, side or configuration gives another name."""
        state = self.entry.path.stat()
        content = [PART_FORMAT, self.dataset, self.entry.id, self.split, state.st_size, state.st_mtime_ns]
        content.append(plain_config(self.config))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


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
