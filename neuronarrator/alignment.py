"""Stage 1: align signals with their topomaps by a SigLIP loss (NeuroNarrator, Sec. 3.3.2)."""

import math
from itertools import islice
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from open_clip.loss import SigLipLoss
from torch import Tensor, nn
from torch.nn.functional import normalize

from corpus.dataset import Batch
from encoders.labram import PATCH_SAMPLES, SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.topomap import TopomapEncoder
from neuronarrator.dual_encoder import DualEncoder
from neuronarrator.metrics import RetrievalRecall
from neuronarrator.optim import adamw_with_cosine


class AlignmentTask(L.LightningModule):
    """Signal encoder and both projectors learn; the topomap encoder is frozen by construction.

    Args:
        encoder: size of both encoders, "tiny" or "base".
        width: D of the shared space, the hidden width of the LLM that follows (2560 in the paper).
        batch_size: B of one loss; the bias starts at -log(B - 1), where a random model is indifferent. With -10, the
            value for B of about 22,000, small batches do not learn.
        topomap_weights: safetensors or checkpoint of the topomap encoder; None leaves it random.
        start_from: checkpoint of an earlier alignment whose weights this one continues from, scale and bias included.
        whiten_batches: training batches from whose maps the whitening of the frozen vectors is estimated before
            training; 0 leaves them as they are, as in the paper.
        short_steps: first steps, in which the signal encoder sees only the two seconds around the mapped sample, in
            their own rows of the time table. From scratch it has to find one sample among the tokens of ten seconds,
            and finds it much sooner among those of two. 0 for a pretrained encoder, as in the paper.
        learning_rate: peak, after a linear warm-up; a cosine leads to zero.
        weight_decay: on matrices only, never on scale and bias.
        warmup_steps: of the linear warm-up.
    """

    def __init__(
        self,
        encoder: str = "tiny",
        width: int = 2560,
        batch_size: int = 32,
        topomap_weights: str | None = None,
        start_from: str | None = None,
        whiten_batches: int = 0,
        short_steps: int = 0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 100,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        signal = SignalEncoder(SIGNAL_ENCODER_PRESETS[encoder])
        self.dual = DualEncoder(signal, TopomapEncoder(encoder, weights=topomap_weights), width)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.logit_bias = nn.Parameter(torch.tensor(-math.log(max(batch_size - 1, 1))))
        if start_from is not None:
            self.load_state_dict(torch.load(start_from, map_location="cpu", weights_only=True)["state_dict"])
        self.loss = SigLipLoss()
        self.recall = RetrievalRecall()

    def on_fit_start(self) -> None:
        """Estimate the whitening, once: a resumed run brings its own."""
        if self.hparams["whiten_batches"] and not self.dual.whitening.is_fitted:
            loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            batches = islice(loader, self.hparams["whiten_batches"])
            self.dual.whitening.fit(torch.cat([self._map_features(batch.to(self.device)) for batch in batches]))

    def _map_features(self, batch: Batch) -> Tensor:
        """Vectors of the maps at eight instants of each segment, (8 B, D_topomap)."""
        instants = torch.linspace(0, batch.signal_uv.shape[-1] - 1, 8).long()
        potential = batch.signal_uv[..., instants].transpose(1, 2).flatten(0, 1)
        return self.dual.topomap_features(potential, batch.ch_names)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """z_signal and z_topomap, (B, D) each, unit norm."""
        z_signal = self.dual.encode_signal(batch.signal_uv, batch.ch_names)
        z_topomap = self.dual.encode_topomap(batch.signal_uv, batch.ch_names)
        return normalize(z_signal, dim=-1), normalize(z_topomap, dim=-1)

    def _encode_short(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As `encode`, with one second before and one second from the mapped sample on."""
        middle = batch.signal_uv.shape[-1] // 2 // PATCH_SAMPLES
        window = batch.signal_uv[..., (middle - 1) * PATCH_SAMPLES : (middle + 1) * PATCH_SAMPLES]
        z_signal = self.dual.encode_signal(window, batch.ch_names, first_patch=middle - 1)
        z_topomap = self.dual.encode_topomap(batch.signal_uv, batch.ch_names)
        return normalize(z_signal, dim=-1), normalize(z_topomap, dim=-1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """SigLIP loss of one batch."""
        short = self.global_step < self.hparams["short_steps"]
        z_signal, z_topomap = self._encode_short(batch) if short else self.encode(batch)
        loss = self.loss(z_signal, z_topomap, self.logit_scale.exp(), self.logit_bias)
        accuracy = ((z_signal @ z_topomap.T).argmax(1).cpu() == torch.arange(len(batch))).float().mean()
        self.log_dict({"train/siglip_loss": loss, "train/recall_at_1": accuracy}, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect embeddings: the gallery is the whole validation set."""
        self.recall.update(*self.encode(batch))

    def on_validation_epoch_end(self) -> None:
        """Log recall@K and mean rank of both directions."""
        self.log_dict({f"val/{name}": value for name, value in self.recall.compute().items()})
        self.recall.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self)


def load_dual(path: str | Path) -> dict[str, Tensor]:
    """The weights of the dual encoder in an alignment checkpoint."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix("dual."): value for name, value in state.items() if name.startswith("dual.")}
