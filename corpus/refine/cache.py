"""Answers of teachers on disk: one small file an answer, named by the content of the question."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a teacher answered, unchecked, and the tokens it was billed for."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


def content_key(question: Mapping[str, Any]) -> str:
    """SHA-256 of a question: prompt version, model, parameters and messages, in any order of the keys."""
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


class AnswerCache:
    """A folder of answers that being killed cannot damage and that several processes can share.

    An answer is written to a file of another name, flushed to the disk, and then renamed: a file with the name of a
    key is always whole. A file that cannot be read (a damaged disk) counts as missing and is written again.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Answer | None:
        """The answer stored under a key, or None."""
        try:
            return Answer(**json.loads(self._path(key).read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def put(self, key: str, answer: Answer) -> None:
        """Store an answer; when this returns it is on the disk."""
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:  # json escapes everything else
                json.dump(asdict(answer), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"
