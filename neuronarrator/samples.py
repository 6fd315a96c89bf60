"""Narratives of a validation beside their references, for people who watch a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

SAMPLES_FILE = "samples.md"
TAG = "val/narratives"


@dataclass(frozen=True)
class Sample:
    """What the model wrote of a segment, and what it should have written."""

    written: str
    reference: str


@rank_zero_only
def log_samples(loggers: Iterable[Logger], samples: Sequence[Sample], step: int) -> None:
    """Log samples as text: to TensorBoard and W&B as theirs, else at the end of a file in the folder of the logger.

    Args:
        loggers: of the trainer.
        samples: in the same order each time.
        step: optimiser steps so far.
    """
    for logger in loggers if samples else ():
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(TAG, _markdown(samples), step)
        elif isinstance(logger, WandbLogger):
            rows: list[list[Any]] = [[i, sample.written, sample.reference] for i, sample in enumerate(samples)]
            logger.log_text(TAG, columns=["segment", "written", "reference"], data=rows, step=step)
        elif logger.log_dir is not None:
            folder = Path(logger.log_dir)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / SAMPLES_FILE).open("a", encoding="utf-8") as file:
                file.write(f"## Step {step}\n\n{_markdown(samples)}\n")


def _markdown(samples: Sequence[Sample]) -> str:
    lines = []
    for i, sample in enumerate(samples):
        lines += [f"**Segment {i}, written.** {sample.written}", "", f"**Reference.** {sample.reference}", ""]
    return "\n".join(lines)
