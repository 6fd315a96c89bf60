"""What the tasks share: parameter groups and the learning-rate schedule."""

import math
from collections.abc import Callable

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups of the trainable parameters: matrices with weight decay; vectors and scalars without."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trainable if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim < 2], "weight_decay": 0.0},
    ]


def cosine_with_warmup(warmup_steps: int, total_steps: int) -> Callable[[int], float]:
    """Factor of the learning rate at a step: linear from 0 over the warm-up, then a half cosine to 0."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = (step - warmup_steps) / max(total_steps - warmup_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return factor


def adamw_with_cosine(task: L.LightningModule) -> OptimizerLRScheduler:
    """AdamW with warm-up and cosine, stepped each batch, from `learning_rate`, `weight_decay` and `warmup_steps`."""
    groups = parameter_groups(task, task.hparams["weight_decay"])
    optimizer = torch.optim.AdamW(groups, lr=task.hparams["learning_rate"], betas=(0.9, 0.98))
    factor = cosine_with_warmup(task.hparams["warmup_steps"], int(task.trainer.estimated_stepping_batches))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}
