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


STAGE_2 = ("yes_no",) * 2 + ("choice",) * 2 + ("description",) * 2 + ("narrative", "conversation")


@dataclass(frozen=True)
class Mixture:
    """What the crops of a batch are asked.

    The default is stage 2 of CerebraGloss (Sec. 3.3) by its counts: 100,000 questions by rules (yes or no, and half of
    our choices), 50,000 captions, and 94,000 texts of a teacher, of descriptions (here the narrative), compound choices
    (the other half) and conversations as many each. Its 50,000 pictures without any EEG are left out.

    Attributes:
        tasks: each as often as the others; "narrative" is the reference narrative, the others are those of
            `corpus.instruct`.

    Raises:
        ValueError: no task, or an unknown one.
    """

    tasks: Sequence[str] = STAGE_2

    def __post_init__(self) -> None:
        known = {*get_args(Task), "narrative"}
        if not self.tasks or set(self.tasks) - known:
            raise ValueError(
                f"got tasks {', '.join(self.tasks) or 'none'}, expected some of {', '.join(sorted(known))}"
            )


def mixed_targets(
    found: Sequence[Findings], narratives: Sequence[str], mixture: Mixture, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    """Questions and answers about each segment, in turn: one round, or all rounds of a conversation.

    Where the findings allow no item of the task that was drawn, it is a description. The answers state what
    `find_complete` finds without a detector's marks.

    Args:
        found: B findings, as a narrative needs them.
        narratives: B reference narratives, the answers of the task "narrative".
        mixture: the tasks.
        rng: of tasks and wordings.
    """
    chats = []
    for one, narrative in zip(found, narratives, strict=True):
        task, seed = str(rng.choice(mixture.tasks)), int(rng.integers(2**31))
        asked = (NARRATE, narrative) if task == "narrative" else tuple(t.text for t in _item(one, task, seed).turns)
        chats.append(asked)
    return chats


def _item(found: Findings, task: str, seed: int) -> Item:
    material = Material(complete_alone(found))
    wanted: Task = task  # type: ignore[assignment]  # checked by Mixture
    return next(iter([*make_items([material], seed, (wanted,)), *make_items([material], seed, ("description",))]))
