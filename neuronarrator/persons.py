"""Who was in the training of a model, by codes that name nobody, so that evaluation can tell."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

KEY = "persons"
CODE_CHARS = 16


def code_of(subject: str) -> str:
    """The code of a person, from the qualified name that `corpus.splits.subject_key` gives."""
    return hashlib.sha256(subject.encode()).hexdigest()[:CODE_CHARS]


def codes_of(subjects: Iterable[str]) -> list[str]:
    """The codes of several, sorted."""
    return sorted(set(map(code_of, subjects)))


def stages_of(model: Any) -> list[dict[str, Any]]:
    """What the stages of the training of a model saw; none where it does not say."""
    return getattr(model, "stages", [])


def seen_in_training(stages: Iterable[Mapping[str, Any]], subjects: Iterable[str]) -> list[str] | None:
    """Those of the subjects that some stage of a training saw; None where no stage says whom it saw.

    Args:
        stages: of a model, as `hub.read_stages` reads them.
        subjects: as evaluation names them.
    """
    told = [stage[KEY] for stage in stages if KEY in stage]
    if not told:
        return None
    codes = {code for stage in told for code in stage}
    return sorted(subject for subject in set(subjects) if code_of(subject) in codes)
