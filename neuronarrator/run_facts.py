"""What a training run can say about itself, for the model card: data, steps, seeds, validation scores, versions."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L

from neuronarrator.version import __version__

PACKAGES = ("torch", "lightning", "transformers")
OPTIONS = (
    "learning_rate", "weight_decay", "warmup_steps", "factors", "spectrum_steps", "band_power_weight", "train_dual",
    "variant", "train", "stop_after",
)  # fmt: skip


def run_facts(trainer: L.Trainer, options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Facts by section of a card; of paths only the last part is told.

    Args:
        trainer: at the end of its run.
        options: of the task, of which those in `OPTIONS` are told.
    """
    data = getattr(trainer, "datamodule", None)
    scores = {k: f"{float(v):.4f}" for k, v in sorted(trainer.callback_metrics.items()) if k.startswith("val/")}
    training = {
        "optimiser steps": trainer.global_step,
        "epochs": trainer.current_epoch,
        "processes": trainer.world_size,
        "precision": trainer.precision,
        "accumulated batches": trainer.accumulate_grad_batches,
        "seed of the run": os.environ.get("PL_GLOBAL_SEED", "not set"),
        **{name: options[name] for name in OPTIONS if name in options},
    }
    packages = {name: version(name) for name in PACKAGES}
    return {
        "Data": data_facts(data),
        "Training": training,
        "Validation": scores,
        "Versions": {"neuronarrator": __version__, "python": platform.python_version(), **packages},
    }


def data_facts(data: L.LightningDataModule | None) -> dict[str, Any]:
    """Sources with their adapters or patterns, and the settings of a data module, its seed among them."""
    if data is None:
        return {}
    facts: dict[str, Any] = {"module": type(data).__name__}
    for source in getattr(data, "sources", ()):
        chosen = source.dataset or f"training {', '.join(source.train)}; validation {', '.join(source.val) or 'none'}"
        facts[f"source {Path(source.root).name}"] = chosen
    for key, value in data.hparams.items():
        facts[key] = Path(value).name if isinstance(value, str) else value
    return facts
