"""What a comparison is made of: recordings, and systems that must all be there before the first one narrates."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from neuronarrator import hub
from neuronarrator.evaluate.predictions import Predictions
from neuronarrator.evaluate.sources import Item, open_data
from neuronarrator.models import KINDS
from neuronarrator.narrator import NarratorConfig
from neuronarrator.text_narrator import TextConfig
from neuronarrator.vlm import VlmConfig

ORACLE = "template oracle"
PREDICTIONS = ".jsonl"
_CONFIGS: dict[str | None, Any] = {None: NarratorConfig, "vlm": VlmConfig, "text": TextConfig}


@dataclass(frozen=True)
class Chosen:
    """Recordings to compare on; none of them may have been in any training.

    Attributes:
        root: folder of recordings, of a dataset, or of a corpus.
        dataset: name of the dataset as published.
        split: its side; None: all.
        files: patterns of the names to take; none: all.
    """

    root: str
    dataset: str | None = None
    split: str | None = None
    files: tuple[str, ...] = ()

    def items(self) -> list[Item]:
        """The recordings.

        Raises:
            ValueError: there are none.
        """
        found = open_data(self.root, self.dataset, self.split).items
        kept = [item for item in found if not self.files or any(fnmatch(item.name, name) for name in self.files)]
        if not kept:
            raise ValueError(
                f"got no recording that fits {self.files} in {Path(self.root).name!r}; correct the patterns"
            )
        return kept


@dataclass(frozen=True)
class CompareConfig:
    """What is compared.

    Attributes:
        data: recordings.
        systems: name in the table to a model (shipped, directory, `owner/name`) or a file of predictions (.jsonl); the
            others are compared with the first.
        resamples: of the subjects.
        seed: of the resamples and of the wording of references.
        shown: segments of each dataset on the page.

    Raises:
        ValueError: no system, or names that cannot be told apart.
    """

    data: list[Chosen]
    systems: dict[str, str]
    resamples: int = 1000
    seed: int = 0
    shown: int = 6

    def __post_init__(self) -> None:
        if not self.systems or ORACLE in self.systems:
            raise ValueError(
                f"got systems {list(self.systems)}, expected at least one, none called {ORACLE!r}; correct it"
            )
        if len({file_name(name) for name in self.systems}) < len(self.systems):
            raise ValueError(
                f"got systems {list(self.systems)}, expected names that differ in letters or digits; rename one"
            )


def read_config(path: Path) -> CompareConfig:
    """A comparison from a YAML file; relative roots and models are relative to where the command runs.

    Raises:
        ValueError: unknown keys or values.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(CompareConfig)
    try:
        found = parser.instantiate_classes(parser.parse_path(path))
    except Exception as error:  # jsonargparse has several; each text says what was wrong
        raise ValueError(f"{path.name}: {error}") from None
    return CompareConfig(**vars(found))


def file_name(system: str) -> str:
    """Of the predictions of a system."""
    return re.sub(r"[^a-z0-9]+", "-", system.lower()).strip("-") + PREDICTIONS


def check_systems(systems: Mapping[str, str]) -> None:
    """See that every system is there and narrates, without loading weights.

    Raises:
        ValueError: one line with all that is wrong.
    """
    wrong = []
    for name, model in systems.items():
        try:
            _check(model)
        except (FileNotFoundError, ValueError) as error:
            wrong.append(f"{name!r}: {error}")
    if wrong:
        raise ValueError(
            f"got {len(wrong)} of {len(systems)} systems that cannot narrate, expected models or files of predictions "
            f"that are there; train them, or take them out. {'. '.join(wrong)}"
        )


def _check(model: str) -> None:
    if model.endswith(PREDICTIONS):
        Predictions(model)
        return
    directory = hub.find_model(model)
    try:
        config = json.loads((directory / hub.CONFIG_FILE).read_text("utf-8"))
        kind = config.pop("kind", None)
        narrates = kind in KINDS and set(config) <= {field.name for field in fields(_CONFIGS[kind])}
    except (ValueError, TypeError, AttributeError):
        narrates = False
    if not narrates or not (directory / hub.WEIGHTS_FILE).is_file():
        raise ValueError(
            f"got {directory.name!r}, which holds no narrator, expected {hub.CONFIG_FILE} and {hub.WEIGHTS_FILE} of one"
        )
    hub.read_stages(directory)
