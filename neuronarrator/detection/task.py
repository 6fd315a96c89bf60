"""Training of the waveform detector."""

from dataclasses import asdict

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from encoders.waveform import (
    DETECTOR_PRESETS,
    WAVEFORM_KINDS,
    DetectionLoss,
    Detections,
    WaveformDetector,
    select_boxes,
)
from neuronarrator.detection.data import DetectionBatch
from neuronarrator.metrics.detection import MAIN_IOU, DetectionScores, operating_points
from neuronarrator.metrics.marks import match_marks
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine
from neuronarrator.version import __version__

OPTIMIZER = OptimizerOptions(learning_rate=1e-4, weight_decay=0.0, warmup_steps=0)
BETAS = (0.9, 0.999)  # of Adam
LEAST_SCORE = 0.02  # marks below it count as absent when precision and recall are measured


class DetectionTask(L.LightningModule):
    """Train a `WaveformDetector`; validation measures the average precision of each class.

    Args:
        save_to: path without a suffix; the detector is written there when training ends, with the thresholds at
            which each class had its best F1 in the last validation.
        size: "tiny" or "base", see `encoders.waveform.presets`.
        loss: weights and kinds of the losses; None takes the paper's.
        optimizer: learning rate, weight decay, warm-up; without decay AdamW is the paper's Adam.
    """

    def __init__(
        self,
        save_to: str,
        size: str = "tiny",
        loss: DetectionLoss | None = None,
        optimizer: OptimizerOptions = OPTIMIZER,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["loss", "optimizer"])
        self.save_hyperparameters({"optimizer": optimizer.plain()})
        self.options = optimizer
        self.detector = WaveformDetector(DETECTOR_PRESETS[size])
        self.loss = loss or DetectionLoss()
        self.scores = DetectionScores(WAVEFORM_KINDS)

    def _losses(self, batch: DetectionBatch) -> tuple[dict[str, Tensor], Tensor]:
        predictions = self.detector(batch.signal_uv, batch.present)
        return self.loss(predictions, batch.packed_boxes, self.detector.slots), predictions

    def training_step(self, batch: DetectionBatch, batch_idx: int) -> Tensor:
        """The weighted sum of the losses."""
        losses, _ = self._losses(batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=len(batch))
        return losses["loss"]

    def validation_step(self, batch: DetectionBatch, batch_idx: int) -> None:
        """The same losses on validation segments, and what is found in them."""
        losses, predictions = self._losses(batch)
        self.log_dict({f"val/{name}": value for name, value in losses.items()}, batch_size=len(batch), sync_dist=True)
        least = torch.full((len(WAVEFORM_KINDS),), LEAST_SCORE)
        found = select_boxes(predictions.float(), batch.present, self.detector.slots, least)
        self.scores.update(as_table(found), batch.boxes, len(batch))

    def on_validation_epoch_end(self) -> None:
        """Log the average precisions, and set the thresholds of the detector where F1 is best."""
        self.log_dict({f"val/{name}": value for name, value in self.scores.compute().items()})
        found, true = self.scores.marks()
        for number, kind in enumerate(WAVEFORM_KINDS):
            mine, boxes = found.of(number), true.of(number)
            if len(mine) and len(boxes):
                hits = match_marks(mine, boxes, MAIN_IOU) >= 0
                self.detector.thresholds[kind] = operating_points(hits, mine.score, len(boxes), None).threshold
        self.scores.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options, betas=BETAS)

    def on_train_end(self) -> None:
        """Save the detector for `WaveformDetector.from_pretrained`."""
        if self.trainer.is_global_zero:
            facts = {"loss": asdict(self.loss), "optimizer": self.options.plain(), "steps": self.global_step}
            self.detector.save_pretrained(self.hparams["save_to"], trained=facts | {"version": __version__})


def as_table(found: Detections) -> Tensor:
    """(M, 6): window, electrode, class, start, end in seconds, score."""
    columns = (found.window, found.electrode, found.kind, found.start_s, found.end_s, found.score)
    return torch.stack([column.double() for column in columns], dim=1)
