"""Stage 0 of the tiny models: train a small CLIP on topomaps and their spatial descriptions, then freeze its tower.

The paper takes OpenAI's ViT-L/14, which knows nothing of scalp maps but was trained on language. Our tiny tower
learns from words as well: from `corpus.topomap.describe_map`.
"""

import lightning as L
import open_clip
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from open_clip.loss import ClipLoss
from safetensors.torch import save_file
from torch import Tensor

from corpus.dataset import Batch
from corpus.topomap import TopomapRenderer, describe_map
from encoders.topomap import TINY_CLIP, TopomapEncoder, build_tiny_clip
from neuronarrator.optim import adamw_with_cosine


class MapPretrainingTask(L.LightningModule):
    """CLIP between maps at random instants of EEG segments and sentences that describe them.

    Args:
        save_to: safetensors file for the vision tower, written when training ends.
        maps_per_segment: instants drawn from each segment of a batch.
        learning_rate: peak, after a linear warm-up; a cosine leads to zero.
        weight_decay: on matrices only.
        warmup_steps: of the linear warm-up.
    """

    def __init__(
        self,
        save_to: str,
        maps_per_segment: int = 2,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.05,
        warmup_steps: int = 50,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.clip = build_tiny_clip()
        self.tokenize = open_clip.SimpleTokenizer(context_length=TINY_CLIP["text_cfg"]["context_length"])
        self.loss = ClipLoss()

    def _encode(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Unit-norm features of maps and of their descriptions, (B * maps_per_segment, 64) each."""
        count = self.hparams["maps_per_segment"]
        instants = torch.randint(batch.signal_uv.shape[-1], (len(batch), 1, count), generator=generator)
        index = instants.expand(-1, batch.signal_uv.shape[1], -1).to(self.device)
        potential = batch.signal_uv.gather(2, index).transpose(1, 2).flatten(0, 1)  # (B * count, C)
        maps = TopomapRenderer(batch.ch_names)(potential)
        seeds = torch.randint(2**31 - 1, (len(potential),), generator=generator).tolist()
        texts = [describe_map(p, batch.ch_names, s) for p, s in zip(potential.cpu().numpy(), seeds, strict=True)]
        pixels = self._preprocess(maps)
        tokens = self.tokenize(texts).to(self.device)
        return self.clip.encode_image(pixels, normalize=True), self.clip.encode_text(tokens, normalize=True)

    def _preprocess(self, maps: Tensor) -> Tensor:
        mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN, device=maps.device)[:, None, None]
        std = torch.tensor(open_clip.OPENAI_DATASET_STD, device=maps.device)[:, None, None]
        return (maps.permute(0, 3, 1, 2).float() / 255 - mean) / std

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """CLIP loss of one batch."""
        generator = torch.Generator().manual_seed(self.global_step)
        image, text = self._encode(batch, generator)
        loss = self.loss(image, text, self.clip.logit_scale.exp())
        recall = ((image @ text.T).argmax(1) == torch.arange(len(image), device=self.device)).float().mean()
        self.log_dict({"train/clip_loss": loss, "train/recall_at_1": recall}, prog_bar=True, batch_size=len(image))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """CLIP loss on validation segments, at fixed instants."""
        image, text = self._encode(batch, torch.Generator().manual_seed(batch_idx))
        self.log("val/clip_loss", self.loss(image, text, self.clip.logit_scale.exp()), batch_size=len(image))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self)

    def on_train_end(self) -> None:
        """Save the vision tower for `TopomapEncoder`."""
        tower = TopomapEncoder.from_clip(self.clip)
        save_file({k: v.contiguous().cpu() for k, v in tower.state_dict().items()}, self.hparams["save_to"])
