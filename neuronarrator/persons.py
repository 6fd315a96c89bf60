"""Who was in the training of a model, by codes that name nobody, so that evaluation can tell."""

import hashlib
from collections.abc import Iterable
from typing import Any

KEY = "persons"
CODE_CHARS = 16


def code_of(subject: str) -> str:
    """The code of a person, from the qualified name that `corpus.splits.subject_key` gives."""
    return hashlib.sha256(subject.encode()).hexdigest()[:CODE_CHARS]


def codes_of(subjects: Iterable[str]) -> list[str]:
    """The codes of several, sorted."""
    return sorted(set(map(code_of, subjects)))


def seen_in_training(model: Any, subjects: Iterable[str]) -> list[str] | None:
    """Those of the subjects that some stage of a training saw; None where no stage says whom it saw.

    Args:
        model: whose `stages` are those of `hub.read_stages`; without them nobody knows.
        subjects: as evaluation names them.
    """
    told = [stage[KEY] for stage in getattr(model, "stages", ()) if KEY in stage]
    if not told:
        return None
    codes = {code for stage in told for code in stage}
    return sorted(subject for subject in set(subjects) if code_of(subject) in codes)
