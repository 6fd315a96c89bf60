"""Training of the narrators that the signal-native one is compared with: by pages, by text, or by nothing."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import lightning as L
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.functional.text import rouge_score

from corpus.dataset import Batch
from neuronarrator.hub import model_card
from neuronarrator.language.tokenizer import complete_tokenizer, load_or_train_tokenizer
from neuronarrator.metrics import FactF1
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine
from neuronarrator.run_facts import TrainingCount, run_facts
from neuronarrator.text_narrator import TextConfig, TextNarrator
from neuronarrator.vlm import VlmConfig, VlmNarrator

Part = Literal["vision", "projector", "llm"]
VOCAB_SIZE = 1000  # of a SentencePiece vocabulary that is trained where none is given
TEXT_OPTIMIZER = OptimizerOptions(weight_decay=0.01)
VLM_OPTIMIZER = OptimizerOptions(learning_rate=1e-5, weight_decay=0.0)


class WritingTask(L.LightningModule):
    """Trains parts of a narrator by the negative log-likelihood of the answers; its children say of which kind.

    Args:
        narrator: with `part`, a loss from `forward(batch)`, and `generate`.
        train: the parts that learn.
        stop_after: share of the planned steps after which training ends, with the schedule of all of them.
        save_to: directory for the trained narrator and its model card, written when training ends.
        optimizer: learning rate, weight decay, warm-up, learning-rate groups.
        start_from: directory of the narrator of an earlier stage, where there is one.
        llm: where its LLM has its weights from, if it was made with any.

    Raises:
        ValueError: a share of no steps, or of more than all.
    """

    def __init__(
        self,
        narrator: VlmNarrator | TextNarrator,
        train: Sequence[str],
        stop_after: float,
        save_to: str | None,
        optimizer: OptimizerOptions,
        start_from: str | None = None,
        llm: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 < stop_after <= 1:
            raise ValueError(f"got stop_after={stop_after}, expected a share above 0 and at most 1; correct it")
        self.narrator, self.options, self.stop_after, self.save_to = narrator, optimizer, stop_after, save_to
        self.parts, self.start_from, self.llm = tuple(train), start_from, llm
        narrator.requires_grad_(False)
        for name in train:
            narrator.part(name).requires_grad_(True)
        self.fact_f1 = FactF1()
        self.rouge_l = MeanMetric()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean negative log-likelihood of the answer tokens."""
        loss = self.narrator(batch).loss
        self.log("train/nll_loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def on_train_batch_end(self, *args: Any) -> None:
        """End a stage that is stopped early."""
        if self.global_step >= self.stop_after * self.trainer.estimated_stepping_batches:
            self.trainer.should_stop = True

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss, and the scores of generated narratives."""
        self.log("val/nll_loss", self.narrator(batch).loss, batch_size=len(batch), on_epoch=True, sync_dist=True)
        texts = [generation.text for generation in self.narrator.generate(batch)]
        self.fact_f1.update(texts, batch.facts)
        for text, reference in zip(texts, batch.narratives, strict=True):
            self.rouge_l.update(rouge_score(text, reference, rouge_keys="rougeL")["rougeL_fmeasure"])

    def on_validation_epoch_end(self) -> None:
        """Log Fact-F1 and ROUGE-L."""
        self.log_dict({"val/fact_f1": self.fact_f1.compute(), "val/rouge_l": self.rouge_l.compute()}, prog_bar=True)
        self.fact_f1.reset()
        self.rouge_l.reset()

    def configure_callbacks(self) -> list[L.Callback]:
        """Count what training sees, for comparisons."""
        return [TrainingCount(self.start_from, llm=self.llm)]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)

    def on_train_end(self) -> None:
        """Save the narrator with a model card of the run."""
        if self.save_to is None:
            return
        state = self.trainer.strategy.lightning_module_state_dict()
        if self.trainer.is_global_zero:
            chosen = {**asdict(self.options), "train": self.parts, "stop_after": self.stop_after}
            facts, card = run_facts(self.trainer, chosen), self.narrator.card
            self.narrator.model_card = model_card(card["name"], card["description"], facts)
            own = {key.removeprefix("narrator."): v for key, v in state.items() if key.startswith("narrator.")}
            self.narrator.save_pretrained(self.save_to, own)


class VlmTask(WritingTask):
    """The image path (CerebraGloss, Sec. 3.3).

    The paper's stages: 1, captions, `train: [projector]`, `stop_after: 0.05`; 2, the mixture of instructions,
    `train: [projector, llm]`, one epoch. A model from random weights first learns to see: `start_from` is what
    `page_pretraining.PageReadingTask` saved, its stage 0.

    Args:
        narrator: its configuration.
        tokenizer: directory or Hugging Face model of a tokenizer; None takes that of a VLM given by name, or else
            trains a SentencePiece vocabulary on the offline writer's narratives.
        start_from: directory of the narrator of an earlier stage, whose model and tokenizer this one continues from.
        save_to: see `WritingTask`.
        train: the parts that learn.
        stop_after: see `WritingTask`.
        optimizer: see `WritingTask`.
    """

    def __init__(
        self,
        narrator: VlmConfig,
        tokenizer: str | None = None,
        start_from: str | None = None,
        save_to: str | None = None,
        train: tuple[Part, ...] = ("projector", "llm"),
        stop_after: float = 1.0,
        optimizer: OptimizerOptions = VLM_OPTIMIZER,
    ) -> None:
        if start_from is not None:
            earlier = VlmNarrator.from_pretrained(start_from)
            vocabulary = complete_tokenizer(earlier.tokenizer)  # questions and captions have other characters
            embeddings: Any = earlier.vlm.get_input_embeddings()
            if embeddings.num_embeddings < len(vocabulary):
                earlier.vlm.resize_token_embeddings(len(vocabulary), mean_resizing=False)
            shape = VlmConfig(earlier.vlm.config.to_dict(), narrator.page, narrator.max_new_tokens, narrator.name)
            model = VlmNarrator(shape, vocabulary, earlier.images)
            model.load_state_dict(earlier.state_dict())
        else:
            if tokenizer is None and isinstance(narrator.vlm, str):
                tokenizer = narrator.vlm
            model = VlmNarrator(narrator, load_or_train_tokenizer(tokenizer, VOCAB_SIZE))
        llm = narrator.vlm if start_from is None and isinstance(narrator.vlm, str) else None
        super().__init__(model, train, stop_after, save_to, optimizer, start_from, llm)


class TextTask(WritingTask):
    """The baselines without encoders: an LLM that reads the template, or nothing but the instruction.

    Args:
        narrator: its configuration.
        tokenizer: directory or Hugging Face model of a tokenizer; None takes that of an LLM given by name, or else
            trains a SentencePiece vocabulary on the offline writer's narratives.
        save_to: see `WritingTask`.
        optimizer: see `WritingTask`.
    """

    def __init__(
        self,
        narrator: TextConfig,
        tokenizer: str | None = None,
        save_to: str | None = None,
        optimizer: OptimizerOptions = TEXT_OPTIMIZER,
    ) -> None:
        if tokenizer is None and isinstance(narrator.llm, str):
            tokenizer = narrator.llm
        model = TextNarrator(narrator, load_or_train_tokenizer(tokenizer, VOCAB_SIZE))
        llm = narrator.llm if isinstance(narrator.llm, str) else None
        super().__init__(model, ("llm",), 1.0, save_to, optimizer, llm=llm)
