"""What the tasks share: options of the optimiser, parameter groups and the learning-rate schedule."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class OptimizerOptions:
    """How the weights of a task move.

    Attributes:
        learning_rate: peak, after a linear warm-up; a cosine leads to zero.
        weight_decay: on matrices only.
        warmup_steps: of the linear warm-up.
        factors: learning-rate groups: name of a part to the factor of its learning rate. A part is one or more
            neighbouring names of the path to a weight, such as encoders, projectors, llm or encoders.signal; 0 holds it
            where it is. Weights of no named part have the factor 1.

    Raises:
        ValueError: a factor below 0.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    factors: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := {part: factor for part, factor in self.factors.items() if factor < 0}:
            raise ValueError(f"got factors={wrong}, expected factors of 0 or more; correct them")

    def plain(self) -> dict[str, Any]:
        """As plain values, which a checkpoint may hold."""
        return asdict(self)


def parameter_groups(module: nn.Module, weight_decay: float, undecayed: tuple[str, ...] = ()) -> list[dict]:
    """Two groups of the trainable parameters: matrices with weight decay; vectors and scalars without.

    Args:
        module: whose parameters.
        weight_decay: of the first group.
        undecayed: ends of the names of further parameters without weight decay.
    """
    trainable = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    decayed = [p for name, p in trainable if p.ndim >= 2 and not name.endswith(undecayed)]
    free = [p for name, p in trainable if p.ndim < 2 or name.endswith(undecayed)]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def scale_groups(groups: list[dict], module: nn.Module, options: OptimizerOptions) -> list[dict]:
    """Split groups by the parts of `factors`, each with its learning rate; unchanged where there are none.

    Raises:
        ValueError: a part that no parameter belongs to, or two that share one.
    """
    part_of = _parts(module, options.factors)
    scaled = []
    for group in groups:
        for part in [None, *options.factors]:
            params = [p for p in group["params"] if part_of.get(id(p)) == part]
            if params or part is None:
                rate = options.learning_rate * (1.0 if part is None else options.factors[part])
                scaled.append({**group, "params": params, "lr": rate})
    return scaled


def _parts(module: nn.Module, factors: Mapping[str, float]) -> dict[int, str]:
    """The part that each parameter of a named part belongs to, by identity."""
    found: dict[int, str] = {}
    names = [(f".{name}.", p) for name, p in module.named_parameters()]
    for part in factors:
        members = [(name, id(p)) for name, p in names if f".{part}." in name]
        if not members:
            known = sorted({word for name, _ in names for word in name.split(".")[1:4] if not word.isdigit()} - {""})
            raise ValueError(f"got a factor for {part!r}, expected a part such as {', '.join(known)}; correct its name")
        for name, member in members:
            if member in found:
                raise ValueError(
                    f"got factors for {found[member]!r} and {part!r}, expected parts that share no weight, and both "
                    f"hold {name.strip('.')}; name smaller parts"
                )
            found[member] = part
    return found


def cosine_with_warmup(warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: linear from 0 over the warm-up, then a half cosine to 0."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return factor


def adamw_with_cosine(
    task: L.LightningModule,
    options: OptimizerOptions,
    betas: tuple[float, float] = BETAS,
    undecayed: tuple[str, ...] = (),
) -> OptimizerLRScheduler:
    """AdamW with warm-up and cosine, stepped each batch; `undecayed` as in `parameter_groups`."""
    groups = scale_groups(parameter_groups(task, options.weight_decay, undecayed), task, options)
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=betas)
    factor = cosine_with_warmup(options.warmup_steps, int(task.trainer.estimated_stepping_batches))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
