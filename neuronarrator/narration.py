"""Stage 2: the narrator learns to write the reference narrative (NeuroNarrator, Sec. 3.4.2)."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torchmetrics import MeanMetric
from torchmetrics.functional.text import rouge_score

from corpus.dataset import Batch
from encoders.topomap import TopomapEncoder
from neuronarrator.band_powers import BandPowerHead
from neuronarrator.hub import model_card
from neuronarrator.language.llm import Tuning, merge_adapters, tune
from neuronarrator.language.tokenizer import complete_tokenizer, load_or_train_tokenizer
from neuronarrator.metrics import FactF1
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine
from neuronarrator.run_facts import TrainingCount, run_facts
from neuronarrator.samples import Sample, log_samples
from neuronarrator.sharding import shard_narrator
from neuronarrator.warm_start import load_dual, start_narrator, tokenizer_of

OPTIMIZER = OptimizerOptions(weight_decay=0.01)


@dataclass(frozen=True)
class Recipe:
    """How the parts of a narrator learn.

    Attributes:
        train_dual: encoders and projectors learn too, as in the paper; else they stay as stage 1 left them, which
            keeps their retrieval as it was.
        spectrum_steps: first steps, in which the prompt holds the spectrum tokens alone: the model learns to copy names
            from them, which takes it longest, at half the cost of a step. 0 for a pretrained LLM, as in the paper.
        vocab_size: of the SentencePiece vocabulary that is trained on the offline writer's narratives where no
            tokenizer is given or found.
        band_power_weight: of an auxiliary loss that is added: the mean squared error of the log band powers of each
            region, read off the signal token by a head that no saved narrator keeps. 0: none, as in the paper.
        samples: validation batches whose first narrative is logged beside its reference, each time the same ones.
    """

    train_dual: bool = True
    spectrum_steps: int = 0
    vocab_size: int = 1000
    band_power_weight: float = 0.0
    samples: int = 4


class NarrationTask(L.LightningModule):
    """Trains a `Narrator` by the negative log-likelihood of the reference narratives.

    Args:
        narrator: its configuration.
        tokenizer: directory or Hugging Face model of a tokenizer; None takes that of an LLM given by name, or of
            `start_from`, or else trains one (`Recipe.vocab_size`).
        alignment_checkpoint: of stage 1: the weights of both encoders and projectors, also in place of those of
            `start_from`; of several with their shares the mean (`load_dual`). Safetensors of a topomap encoder (stage
            0) bring that tower alone. None: as they are.
        start_from: an earlier run of stage 2 whose weights this one continues from: its checkpoint, the narrator that
            it saved, or one that ships with the package. None: random weights, but for an LLM given by name.
        save_to: directory for the trained narrator (`Narrator.from_pretrained` reads it) and its model card, written
            when training ends.
        optimizer: learning rate, weight decay, warm-up, learning-rate groups.
        tuning: what of the LLM learns, and how; None: all of it, as in the paper.
        recipe: how the other parts learn.

    Raises:
        ValueError: options that exclude each other, or weights that do not fit.
    """

    def __init__(
        self,
        narrator: NarratorConfig,
        tokenizer: str | None = None,
        alignment_checkpoint: str | dict[str, float] | None = None,
        start_from: str | None = None,
        save_to: str | None = None,
        optimizer: OptimizerOptions = OPTIMIZER,
        tuning: Tuning | None = None,
        recipe: Recipe = Recipe(),
    ) -> None:
        super().__init__()
        _check(narrator, recipe)
        self.save_hyperparameters(ignore=["narrator", "tuning", "optimizer", "recipe"])
        self.save_hyperparameters({"optimizer": optimizer.plain(), "recipe": asdict(recipe)})  # no classes
        self.tuning, self.options, self.recipe = tuning or Tuning(), optimizer, recipe
        if tokenizer is None and isinstance(narrator.llm, str):
            tokenizer = narrator.llm
        elif tokenizer is None and start_from is not None:
            tokenizer = tokenizer_of(start_from)
        self._llm = narrator.llm if isinstance(narrator.llm, str) else None
        vocabulary = load_or_train_tokenizer(tokenizer, recipe.vocab_size)
        if "ask" in narrator.instructions:
            vocabulary = complete_tokenizer(vocabulary)
        self.narrator = Narrator(narrator, vocabulary)
        if start_from is not None:
            start_narrator(self.narrator, start_from)
        if alignment_checkpoint is not None:
            self._load_dual(alignment_checkpoint)
        if not recipe.train_dual:
            self.narrator.dual.requires_grad_(False)
        elif self.tuning.variant == "projectors":
            self.narrator.dual.encoders.requires_grad_(False)
        tune(self.narrator.llm, self.tuning)
        if recipe.band_power_weight:
            self.band_power_head = BandPowerHead(self.narrator.llm.config.hidden_size)
        self.fact_f1 = FactF1()
        self.rouge_l = MeanMetric()
        self._samples: list[Sample] = []

    def _load_dual(self, path: str | dict[str, float]) -> None:
        """Both encoders and projectors of a checkpoint of stage 1, or of the mean of several, or the tower alone."""
        if isinstance(path, str) and path.endswith(".safetensors"):
            tower = TopomapEncoder(self.narrator.config.encoder, path)
            self.narrator.dual.encoders["topomap"].load_state_dict(tower.state_dict())
        else:
            self.narrator.dual.load_state_dict(load_dual(path, self.narrator.dual.encoding))

    def setup(self, stage: str) -> None:
        """ValueError where a process would wait for gradients that do not come."""
        strategy: Any = self.trainer.strategy
        waits = type(strategy) is DDPStrategy and not strategy._ddp_kwargs.get("find_unused_parameters")
        if stage == "fit" and waits and (self.recipe.spectrum_steps or self.narrator.config.time_tokens):
            raise ValueError(
                "got strategy ddp with recipe.spectrum_steps or narrator.time_tokens, which leave parts of the "
                "narrator out of some steps, expected a strategy that allows for it: use "
                "--trainer.strategy ddp_find_unused_parameters_true"
            )

    def configure_model(self) -> None:
        """Shard what learns where the strategy has a mesh of devices (FSDP2)."""
        if self.device_mesh is not None:
            mesh = self.device_mesh["data_parallel"]
            shard_narrator(self.narrator, mesh)
            if self.recipe.band_power_weight:
                fully_shard(self.band_power_head, mesh=mesh)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of the answer tokens, and the weighted auxiliary loss where there is one."""
        alone = self.global_step < self.recipe.spectrum_steps
        output = self.narrator(batch, ("spectrum",) if alone else None)
        self.log("train/nll_loss", output.loss, prog_bar=True, batch_size=len(batch))
        if not self.recipe.band_power_weight or alone:
            return output.loss
        auxiliary = self.band_power_head.loss(self.narrator.signal_tokens(output.soft_prompts), batch)
        self.log("train/band_power_loss", auxiliary, batch_size=len(batch))
        return output.loss + self.recipe.band_power_weight * auxiliary

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Losses, and the scores of generated narratives."""
        output = self.narrator(batch)
        losses = {"val/nll_loss": output.loss}
        if self.recipe.band_power_weight:
            tokens = self.narrator.signal_tokens(output.soft_prompts)
            losses["val/band_power_loss"] = self.band_power_head.loss(tokens, batch)
        self.log_dict(losses, batch_size=len(batch), on_epoch=True, sync_dist=True)
        texts = [generation.text for generation in self.narrator.generate(batch)]
        self.fact_f1.update(texts, batch.facts)
        for text, reference in zip(texts, batch.narratives, strict=True):
            self.rouge_l.update(rouge_score(text, reference, rouge_keys="rougeL")["rougeL_fmeasure"])
        if batch_idx < self.recipe.samples:
            self._samples.append(Sample(texts[0], batch.narratives[0]))

    def on_validation_epoch_end(self) -> None:
        """Log Fact-F1, ROUGE-L and the samples."""
        self.log_dict({"val/fact_f1": self.fact_f1.compute(), "val/rouge_l": self.rouge_l.compute()}, prog_bar=True)
        self.fact_f1.reset()
        self.rouge_l.reset()
        if not self.trainer.sanity_checking:
            log_samples(self.trainer.loggers, self._samples, self.global_step)
        self._samples.clear()

    def configure_callbacks(self) -> list[L.Callback]:
        """Count what training sees, for comparisons."""
        aligned = self.hparams["alignment_checkpoint"]
        weights = [*aligned] if isinstance(aligned, dict) else [aligned]
        return [TrainingCount(self.hparams["start_from"], weights, self._llm)]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)

    def on_train_end(self) -> None:
        """Save the narrator, adapters merged, with a model card of the run."""
        if self.hparams["save_to"] is None:
            return
        merge_adapters(self.narrator.llm)
        state = self.trainer.strategy.lightning_module_state_dict()  # of all processes together
        if self.trainer.is_global_zero:
            name, description = self.narrator.config.name, self.narrator.card["description"]
            chosen = {**asdict(self.options), **asdict(self.recipe), "variant": self.tuning.variant}
            facts = run_facts(self.trainer, chosen)
            if self.hparams["start_from"] is not None:
                facts["Training"]["continued from"] = Path(self.hparams["start_from"]).name
            self.narrator.model_card = model_card(name, description, facts)
            own = {key.removeprefix("narrator."): v for key, v in state.items() if key.startswith("narrator.")}
            self.narrator.save_pretrained(self.hparams["save_to"], own)


def _check(narrator: NarratorConfig, recipe: Recipe) -> None:
    """ValueError where a recipe does not fit a narrator."""
    if recipe.spectrum_steps and "spectrum" not in narrator.modalities:
        raise ValueError(
            f"got spectrum_steps={recipe.spectrum_steps} for modalities {narrator.modalities}, expected spectrum among "
            "them: use spectrum_steps: 0"
        )
    if recipe.band_power_weight and not recipe.train_dual and narrator.tokens_per_segment == 1:
        raise ValueError(
            f"got band_power_weight={recipe.band_power_weight} with train_dual: false, expected a signal token that "
            "can learn: use train_dual: true, several tokens_per_segment, or band_power_weight: 0"
        )
