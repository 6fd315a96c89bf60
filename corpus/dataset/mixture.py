"""Training targets that are not the reference narrative: one item of an instruction mixture for each crop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from corpus.background import complete_alone
from corpus.findings import Findings
from corpus.instruct import Item, Material, make_items
from corpus.instruct.record import Task

NARRATE = "Write the clinical narrative of the current EEG segment: frequency, space, artifacts."
"""What the task "narrative" asks, and what narrators are prompted with."""


@dataclass(frozen=True)
class Mixture:
    """What the crops of a batch are asked.

    Attributes:
        tasks: each as often as the others; "narrative" is the reference narrative, the others are those of
            `corpus.instruct`. Stage 2 of CerebraGloss mixes descriptions, choices and conversations one to one to one.

    Raises:
        ValueError: no task, or an unknown one.
    """

    tasks: tuple[str, ...] = ("description", "choice", "conversation")

    def __post_init__(self) -> None:
        known = {*get_args(Task), "narrative"}
        if not self.tasks or set(self.tasks) - known:
            raise ValueError(
                f"got tasks {', '.join(self.tasks) or 'none'}, expected some of {', '.join(sorted(known))}"
            )


def mixed_targets(
    found: Sequence[Findings], narratives: Sequence[str], mixture: Mixture, rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """A question and its answer for each segment.

    Of a conversation it is the first round. Where the findings allow no item of the task that was drawn, it is a
    description. The answers state what `find_complete` finds without a detector's marks.

    Args:
        found: B findings, as a narrative needs them.
        narratives: B reference narratives, the answers of the task "narrative".
        mixture: the tasks.
        rng: of tasks and wordings.

    Returns:
        B instructions and B answers.
    """
    instructions, answers = [], []
    for one, narrative in zip(found, narratives, strict=True):
        task, seed = str(rng.choice(mixture.tasks)), int(rng.integers(2**31))
        if task == "narrative":
            instructions.append(NARRATE)
            answers.append(narrative)
            continue
        item = _item(one, task, seed)
        instructions.append(item.turns[0].text)
        answers.append(item.turns[1].text)
    return instructions, answers


def _item(found: Findings, task: str, seed: int) -> Item:
    material = Material(complete_alone(found))
    wanted: Task = task  # type: ignore[assignment]  # checked by Mixture
    return next(iter([*make_items([material], seed, (wanted,)), *make_items([material], seed, ("description",))]))
