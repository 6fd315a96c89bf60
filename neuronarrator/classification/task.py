"""Classifiers trained on the labels of one dataset: the baselines beside which a narrator's labels are read."""

from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCohenKappa, MulticlassF1Score

from encoders.classifiers import Size, build_classifier
from neuronarrator.classification.data import ClassificationDataModule, majority
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine

OPTIMIZER = OptimizerOptions(1e-3, weight_decay=0.01, warmup_steps=20)


def majority_shares(votes: Tensor) -> Tensor:
    """Votes (B, K) to the class of most votes, as shares (B, K); classes with equally many share it."""
    most = (votes == votes.amax(dim=1, keepdim=True)).to(votes.dtype)
    return most / most.sum(dim=1, keepdim=True)


def vote_loss(logits: Tensor, votes: Tensor, soft_labels: bool, class_weights: Tensor | None = None) -> Tensor:
    """Cross-entropy, mean over the batch.

    Args:
        logits: (B, K).
        votes: (B, K), rows sum to 1.
        soft_labels: against all votes: the Kullback-Leibler divergence but for a constant, the entropy of the votes;
            else against the class of most votes.
        class_weights: (K,) of the classes; None: 1.
    """
    target = votes if soft_labels else majority_shares(votes)
    return cross_entropy(logits, target, weight=class_weights)


class ClassificationTask(L.LightningModule):
    """Train one classifier from scratch, or from a pretrained encoder, on a `ClassificationDataModule`.

    The network is built when the data is there: its channels and classes are those of the data module, and they are
    kept in the checkpoint. Scores are of segments whose votes have one winner; `neuronarrator.metrics.classification`
    adds intervals over persons.

    Args:
        classifier: name of the architecture, one of `encoders.classifiers.CLASSIFIERS`.
        size: "base" as published, or "tiny" for a CPU.
        weights: file of a pretrained encoder of that size, of "labram" and "biot"; None: from scratch.
        soft_labels: learn all votes of the raters instead of the class of most votes.
        balance: weigh classes against how often they occur in training.
        optimizer: learning rate, warm-up, weight decay.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        classifier: str = "eegnet",
        size: Size = "base",
        weights: str | None = None,
        soft_labels: bool = False,
        balance: bool = False,
        optimizer: OptimizerOptions = OPTIMIZER,
    ) -> None:
        super().__init__()
        self.options = OptimizerOptions(**optimizer) if isinstance(optimizer, dict) else optimizer  # of a checkpoint
        self.save_hyperparameters(ignore=["optimizer"])
        self.save_hyperparameters({"optimizer": self.options.plain()})
        self.layout: dict[str, Any] | None = None
        self.network: nn.Module | None = None
        self.register_buffer("class_weights", None, persistent=False)

    def configure_model(self) -> None:
        """Build the network for the channels and classes of the data; without a trainer, its checkpoint follows."""
        if self._trainer is None:
            return
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, ClassificationDataModule):
            if self.layout is None:
                raise ValueError(f"got data of {type(data).__name__}, expected a ClassificationDataModule")
            return
        segments = data.train_segments
        n_times = segments.signal_uv.shape[2]
        layout = {"ch_names": segments.ch_names, "classes": segments.classes, "n_times": n_times}
        self._build(layout, self.hparams["weights"])
        if self.hparams["balance"]:
            share = torch.from_numpy(segments.votes).mean(dim=0)
            self.class_weights = (1 / (share * len(share))).to(self.device)

    def _build(self, layout: dict[str, Any], weights: str | None) -> None:
        if self.layout is None:
            self.layout, wanted, n_classes = layout, self.hparams, len(layout["classes"])
            names, n_times = layout["ch_names"], layout["n_times"]
            self.network = build_classifier(wanted["classifier"], n_classes, names, n_times, wanted["size"], weights)
            self.scores = MetricCollection(
                {
                    "accuracy": MulticlassAccuracy(n_classes, average="micro"),
                    "balanced_accuracy": MulticlassAccuracy(n_classes, average="macro"),
                    "kappa": MulticlassCohenKappa(n_classes),
                    "weighted_f1": MulticlassF1Score(n_classes, average="weighted"),
                },
                prefix="val/",
            )
        elif self.layout != layout:
            raise ValueError(f"got data of {layout}, expected that of the classifier, {self.layout}")

    def forward(self, signal_uv: Tensor) -> Tensor:
        """Signals (B, C, T) in microvolts -> logits (B, K)."""
        if self.network is None:
            raise RuntimeError("got no network yet: train the task, or load it from a checkpoint")
        return self.network(signal_uv)

    def training_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of a batch."""
        signal_uv, votes = batch
        loss = vote_loss(self(signal_uv), votes, self.hparams["soft_labels"], self.class_weights)
        self.log("train/loss", loss, batch_size=len(votes))
        return loss

    def validation_step(self, batch: Sequence[Tensor], batch_idx: int) -> None:
        """Loss and divergence from the votes, accuracy, balanced accuracy, kappa and weighted F1."""
        signal_uv, votes = batch
        logits = self(signal_uv)
        divergence = (torch.special.xlogy(votes, votes) - votes * logits.log_softmax(dim=1)).sum(dim=1).mean()
        losses = {"val/loss": vote_loss(logits, votes, self.hparams["soft_labels"], self.class_weights)}
        self.log_dict(losses | {"val/kl_divergence": divergence}, batch_size=len(votes), sync_dist=True)
        truth = torch.from_numpy(majority(votes.cpu().numpy())).to(logits.device)
        decided = truth >= 0
        self.scores.update(logits.argmax(dim=1)[decided], truth[decided])
        self.log_dict(self.scores, on_step=False, on_epoch=True)

    def predict_step(self, batch: Sequence[Tensor], batch_idx: int) -> Tensor:
        """Probabilities of the classes (B, K)."""
        return self(batch[0]).softmax(dim=1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep channels and classes."""
        checkpoint["layout"] = self.layout

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the network of the checkpoint, or see that it is the one of the data."""
        self._build(checkpoint["layout"], weights=None)  # the checkpoint holds them
