"""Stage 2: the narrator learns to write the reference narrative (NeuroNarrator, Sec. 3.4.2)."""

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.functional.text import rouge_score

from corpus.dataset import Batch
from neuronarrator.alignment import load_dual
from neuronarrator.hub import model_card
from neuronarrator.llm import Tuning, merge_adapters, tune
from neuronarrator.metrics import FactF1
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.optim import adamw_with_cosine
from neuronarrator.run_facts import run_facts
from neuronarrator.tokenizer import load_or_train_tokenizer


class NarrationTask(L.LightningModule):
    """Trains a `Narrator` by the negative log-likelihood of the reference narratives.

    Args:
        narrator: its configuration.
        tokenizer: directory or Hugging Face model of a tokenizer; None takes that of an LLM given by name, or else
            trains a SentencePiece vocabulary on the offline writer's narratives.
        vocab_size: of that vocabulary.
        alignment_checkpoint: of stage 1; None starts from random encoders.
        save_to: directory for the trained narrator (`Narrator.from_pretrained` reads it) and its model card, written
            when training ends.
        train_dual: encoders and projectors learn too, as in the paper; else they stay as stage 1 left them, which
            keeps their retrieval as it was.
        spectrum_steps: first steps, in which the prompt holds the spectrum tokens alone: the model learns to copy names
            from them, which takes it longest, at half the cost of a step. 0 for a pretrained LLM, as in the paper.
        learning_rate: peak, after a linear warm-up; a cosine leads to zero.
        weight_decay: on matrices only.
        warmup_steps: of the linear warm-up.
        tuning: what of the LLM learns, and how; None: all of it, as in the paper.
    """

    def __init__(
        self,
        narrator: NarratorConfig,
        tokenizer: str | None = None,
        vocab_size: int = 1000,
        alignment_checkpoint: str | None = None,
        save_to: str | None = None,
        train_dual: bool = True,
        spectrum_steps: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup_steps: int = 100,
        tuning: Tuning | None = None,
    ) -> None:
        super().__init__()
        if spectrum_steps and "spectrum" not in narrator.modalities:
            raise ValueError(
                f"got spectrum_steps={spectrum_steps} for modalities {narrator.modalities}, expected spectrum among "
                "them: use spectrum_steps: 0"
            )
        self.save_hyperparameters(ignore=["narrator", "tuning"])  # plain values: a checkpoint holds no classes
        self.tuning = tuning or Tuning()
        if tokenizer is None and isinstance(narrator.llm, str):
            tokenizer = narrator.llm
        self.narrator = Narrator(narrator, load_or_train_tokenizer(tokenizer, vocab_size))
        if alignment_checkpoint is not None:
            self.narrator.dual.load_state_dict(load_dual(alignment_checkpoint))
        if not train_dual:
            self.narrator.dual.requires_grad_(False)
        elif self.tuning.variant == "projectors":
            self.narrator.dual.encoders.requires_grad_(False)
        tune(self.narrator.llm, self.tuning)
        self.fact_f1 = FactF1()
        self.rouge_l = MeanMetric()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of the answer tokens."""
        modalities = ("spectrum",) if self.global_step < self.hparams["spectrum_steps"] else None
        loss = self.narrator(batch, modalities).loss
        self.log("train/nll_loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss, and the scores of generated narratives."""
        self.log("val/nll_loss", self.narrator(batch).loss, batch_size=len(batch), on_epoch=True)
        texts = [generation.text for generation in self.narrator.generate(batch)]
        self.fact_f1.update(texts, batch.facts)
        for text, reference in zip(texts, batch.narratives, strict=True):
            self.rouge_l.update(rouge_score(text, reference, rouge_keys="rougeL")["rougeL_fmeasure"])

    def on_validation_epoch_end(self) -> None:
        """Log Fact-F1 and ROUGE-L."""
        self.log_dict({"val/fact_f1": self.fact_f1.compute(), "val/rouge_l": self.rouge_l.compute()}, prog_bar=True)
        self.fact_f1.reset()
        self.rouge_l.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self)

    def on_train_end(self) -> None:
        """Save the narrator, adapters merged, with a model card of the run."""
        if self.hparams["save_to"] is None:
            return
        merge_adapters(self.narrator.llm)
        state = self.trainer.strategy.lightning_module_state_dict()  # of all processes together
        if self.trainer.is_global_zero:
            name, description = self.narrator.config.name, self.narrator.card["description"]
            facts = run_facts(self.trainer, {**self.hparams, "variant": self.tuning.variant})
            self.narrator.model_card = model_card(name, description, facts)
            own = {key.removeprefix("narrator."): v for key, v in state.items() if key.startswith("narrator.")}
            self.narrator.save_pretrained(self.hparams["save_to"], own)
