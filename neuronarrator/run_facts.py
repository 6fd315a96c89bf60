"""What a training run can say about itself: for the model card data, steps, seeds, validation scores and versions; for
comparisons what it saw.
"""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from neuronarrator import hub
from neuronarrator.language.llm import text_narrator_config
from neuronarrator.models import AnyNarrator
from neuronarrator.persons import KEY
from neuronarrator.version import __version__
from neuronarrator.vlm import VlmNarrator

PACKAGES = ("torch", "lightning", "transformers")
TEXT = "measured features as text (its LLM)"  # what a stage learns that an LLM is taken from
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
    for count in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(count, TrainingCount):
            training |= {"crops seen": count.crops, "tokens seen": count.tokens}
    packages = {name: version(name) for name in PACKAGES}
    return {
        "Data": data_facts(data),
        "Training": training,
        "Validation": scores,
        "Versions": {"neuronarrator": __version__, "python": platform.python_version(), **packages},
    }


def persons_of(trainer: L.Trainer) -> dict[str, list[str]]:
    """Codes of who was in the training, for a stage; nothing where the data do not tell."""
    persons = getattr(getattr(trainer, "datamodule", None), KEY, None)
    return {} if persons is None else {KEY: persons}


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


class TrainingCount(L.Callback):
    """Counts what the training of a narrator sees, and leaves it in `narrator.stages`, which is saved with the model.

    A stage has "learns" ("narratives"), "steps" of the optimiser, "crops" (segments with an answer), "tokens" of their
    prompts and answers without padding, "frozen" (the parts that did not learn), "start" (other runs whose weights
    it begins with and whose training is not told) and, where the data tell, "persons" (`persons.code_of` each). Counts
    are kept in checkpoints; on several processes they are of all of them, but what a resumed run saw before counts as
    the first process saw it.

    Args:
        start_from: the narrator that training continues from, whose stages come before; a checkpoint is looked up in
            its folder.
        others: files of further weights that training begins with.
        llm: where the weights of the LLM are from: a text narrator, whose stages come before as such, or another model.

    Attributes:
        crops: up to now.
        tokens: up to now.
    """

    def __init__(
        self, start_from: str | None = None, others: Sequence[str | None] = (), llm: str | None = None
    ) -> None:
        self.start_from, self.others, self.llm = start_from, [name for name in others if name], llm
        self.crops, self.tokens = 0, 0
        self._seen: Tensor | int = 0
        self._frozen: list[str] = []
        self._hook: RemovableHandle | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Begin to watch the language model."""
        self._frozen = frozen_parts(pl_module.narrator)
        self._hook = watch_tokens(pl_module.narrator, self._note)

    def _note(self, tokens: Tensor) -> None:
        if torch.is_grad_enabled():  # else it is validation
            self._seen = self._seen + tokens

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the crops of a batch."""
        self.crops += len(batch)

    def on_train_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Note the stage; the task saves its narrator after this."""
        if self._hook is not None:
            self._hook.remove()
        own = torch.tensor([self.crops, self._all_tokens()], device=pl_module.device)
        total: Any = trainer.strategy.reduce(own, reduce_op="sum")
        self.crops, self.tokens = total.tolist()
        read, named = _stages_of_llm(self.llm)
        earlier, start = _earlier_stages(self.start_from)
        earlier, start = [*read, *earlier], [*named, *start]
        stage = {
            "learns": "narratives",
            "steps": trainer.global_step,
            "crops": self.crops,
            "tokens": self.tokens,
            "frozen": self._frozen,
            "start": ["/".join(Path(name).parts[-2:]) for name in (*start, *self.others)],
        }
        pl_module.narrator.stages = [*earlier, stage | persons_of(trainer)]

    def _all_tokens(self) -> int:
        return self.tokens + int(self._seen)

    def state_dict(self) -> dict[str, int]:
        """Counts, for checkpoints."""
        return {"crops": self.crops, "tokens": self._all_tokens()}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on from the counts of a checkpoint."""
        self.crops, self.tokens = state_dict["crops"], state_dict["tokens"]


def _earlier_stages(start_from: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The stages of the narrator that a run continues from; or none, and its name."""
    if start_from is None:
        return [], []
    directory = Path(start_from).parent if Path(start_from).is_file() else hub.find_model(start_from)
    stages = hub.read_stages(directory)
    return stages, [] if stages else [start_from]


def _stages_of_llm(llm: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The stages of the text narrator that an LLM is from; or none, and its name."""
    if llm is None:
        return [], []
    stages = hub.read_stages(Path(llm)) if text_narrator_config(llm) else []
    return [{**stage, "learns": TEXT} for stage in stages], [] if stages else [llm]


def watch_tokens(narrator: AnyNarrator, note: Callable[[Tensor], None]) -> RemovableHandle:
    """Call `note` with how many tokens that are no padding the language model reads, whenever it reads."""
    model = narrator.vlm if isinstance(narrator, VlmNarrator) else narrator.llm

    def see(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if isinstance(mask := kwargs.get("attention_mask"), Tensor):
            note(mask.sum())
        else:  # while it writes, it may be told none
            ids = kwargs.get("input_ids")
            note(torch.tensor(kwargs["inputs_embeds"].shape[:2] if ids is None else ids.shape).prod())

    return model.register_forward_pre_hook(see, with_kwargs=True)


def frozen_parts(module: nn.Module, name: str = "") -> list[str]:
    """Names of the largest parts of a module in which nothing learns."""
    learns = [parameter.requires_grad for parameter in module.parameters()]
    if all(learns):  # also where there are no parameters
        return []
    if name and not any(learns):
        return [name]
    children = module.named_children()
    return [part for key, child in children for part in frozen_parts(child, f"{name}.{key}" if name else key)]
