"""Stage 0 of the tiny models: train a small CLIP on topomaps and their spatial descriptions, then freeze its tower.

The paper takes OpenAI's ViT-L/14, which knows nothing of scalp maps but was trained on language. Our tiny tower
learns from words as well: from `corpus.topomap.describe_map`. Words alone let it forget most of a map (its features
fall to about two dimensions), so a linear head must also be able to redraw the map from them, coarsely.
"""

from collections.abc import Sequence

import lightning as L
import open_clip
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from open_clip.loss import ClipLoss
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from corpus.dataset import Batch
from corpus.topomap import TopomapRenderer, describe_map
from encoders.topomap import TINY_CLIP, TopomapEncoder, build_tiny_clip
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine

OPTIMIZER = OptimizerOptions(warmup_steps=50)
COARSE_SIZE = 16  # pixels a side of the map that the features must be able to redraw


class MapPretrainingTask(L.LightningModule):
    """CLIP between maps at random instants of EEG segments and sentences that describe them.

    Args:
        save_to: safetensors file for the vision tower, written when training ends.
        maps_per_segment: instants drawn from each segment of a batch.
        redraw_weight: of the mean squared error of the redrawn map, beside the CLIP loss.
        optimizer: learning rate, weight decay, warm-up.
    """

    def __init__(
        self,
        save_to: str,
        maps_per_segment: int = 2,
        redraw_weight: float = 20.0,
        optimizer: OptimizerOptions = OPTIMIZER,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["optimizer"])
        self.save_hyperparameters({"optimizer": optimizer.plain()})
        self.options = optimizer
        self.clip = build_tiny_clip()
        self.redraw = nn.Linear(TINY_CLIP["vision_cfg"]["width"], COARSE_SIZE**2)
        self.tokenize = open_clip.SimpleTokenizer(context_length=TINY_CLIP["text_cfg"]["context_length"])
        self.loss = ClipLoss()

    def _losses(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """CLIP loss, error of the redrawn maps, and recall@1, at instants that depend on the seed alone."""
        generator = torch.Generator().manual_seed(seed)
        potential = self._draw_instants(batch, generator)
        texts = [
            describe_map(row, batch.ch_names, int(torch.randint(2**31 - 1, (), generator=generator)))
            for row in potential.cpu().numpy()
        ]
        pixels = self._preprocess(TopomapRenderer(batch.ch_names)(potential))
        image, tokens = self._encode_maps(pixels)
        text = self.clip.encode_text(self.tokenize(texts).to(self.device), normalize=True)
        return {
            "clip_loss": self.loss(image, text, self.clip.logit_scale.exp()),
            "redraw_loss": mse_loss(self.redraw(tokens.mean(1)), self._coarse(potential, batch.ch_names)),
            "recall_at_1": ((image @ text.T).argmax(1) == torch.arange(len(image), device=self.device)).float().mean(),
        }

    def _draw_instants(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Potentials at random instants, (B * maps_per_segment, C) in µV."""
        shape = (len(batch), 1, self.hparams["maps_per_segment"])
        index = torch.randint(batch.signal_uv.shape[-1], shape, generator=generator).to(self.device)
        return batch.signal_uv.gather(2, index.expand(-1, batch.signal_uv.shape[1], -1)).transpose(1, 2).flatten(0, 1)

    def _encode_maps(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-norm image features (N, 64) and patch tokens (N, 49, 128)."""
        output = self.clip.visual.forward_intermediates(
            pixels, indices=1, normalize_intermediates=True, output_fmt="NLC"
        )
        return normalize(output["image_features"], dim=-1), output["image_intermediates"][0]

    def _coarse(self, potential: Tensor, ch_names: Sequence[str]) -> Tensor:
        """The potential on a coarse grid, each map scaled to [-1, 1], (N, COARSE_SIZE²)."""
        operator = torch.tensor(TopomapRenderer(ch_names, size=COARSE_SIZE).operator, device=self.device)
        coarse = potential @ operator.T
        return coarse / coarse.abs().amax(dim=1, keepdim=True).clamp_min(1e-6)

    def _preprocess(self, maps: Tensor) -> Tensor:
        mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN, device=maps.device)[:, None, None]
        std = torch.tensor(open_clip.OPENAI_DATASET_STD, device=maps.device)[:, None, None]
        return (maps.permute(0, 3, 1, 2).float() / 255 - mean) / std

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """CLIP loss plus the weighted error of the redrawn maps."""
        losses = self._losses(batch, seed=self.global_step)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=len(batch))
        return losses["clip_loss"] + self.hparams["redraw_weight"] * losses["redraw_loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The same losses on validation segments."""
        losses = self._losses(batch, seed=batch_idx)
        self.log_dict({f"val/{name}": value for name, value in losses.items()}, batch_size=len(batch))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)

    def on_train_end(self) -> None:
        """Save the vision tower for `TopomapEncoder`."""
        tower = TopomapEncoder.from_clip(self.clip)
        save_file({k: v.contiguous().cpu() for k, v in tower.state_dict().items()}, self.hparams["save_to"])
