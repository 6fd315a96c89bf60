"""Pretraining of the signal encoder on unlabelled recordings, as LaBraM's: first a tokenizer, then masked patches.

Jiang et al., arXiv:2405.18765, Sec. 2.2 and 2.3. Both tasks write files in the published layouts, `vqnsp.pth` and
`labram-base.pth`, so that a laboratory can take either step, or neither, from the published weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from torchmetrics import Metric

from corpus.dataset import Batch
from encoders.labram import PATCH_SAMPLES
from encoders.masked import MaskedSignalEncoder, random_mask
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.vqnsp import VQNSP_PRESETS, VqNsp, load_vqnsp
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine

POSITIONS = ("cls_token", "pos_embed", "time_embed")
"""Parameters without weight decay although they have several axes (published)."""

TOKENIZER_OPTIMIZER = OptimizerOptions(learning_rate=5e-5, weight_decay=1e-4)
MASKED_OPTIMIZER = OptimizerOptions(learning_rate=5e-4)


def crop_to_tokens(signal_uv: Tensor, max_tokens: int, start_patch: int | None = None) -> Tensor:
    """Cut windows (B, C, T) to as many whole seconds as give at most `max_tokens` patches, and at least one second.

    LaBraM pretrains on about 256 patches a window: 4 s of 64 channels, 8 s of 32.

    Args:
        signal_uv: at 200 Hz.
        max_tokens: of a window.
        start_patch: second at which the cut begins; None: a random one, the same for the batch.

    Returns:
        (B, C, at most T).
    """
    seconds = signal_uv.shape[2] // PATCH_SAMPLES
    kept = min(seconds, max(max_tokens // signal_uv.shape[1], 1))
    start = int(torch.randint(seconds - kept + 1, ())) if start_patch is None else start_patch
    return signal_uv[..., start * PATCH_SAMPLES : (start + kept) * PATCH_SAMPLES]


class CodeUsage(Metric):
    """How many codes are in use, and how evenly.

    Args:
        n_codes: K.
    """

    counts: Tensor

    def __init__(self, n_codes: int) -> None:
        super().__init__()
        self.add_state("counts", torch.zeros(n_codes), dist_reduce_fx="sum")

    def update(self, indices: Tensor) -> None:
        """Count codes, indices of any shape."""
        self.counts += indices.flatten().bincount(minlength=len(self.counts))

    def compute(self) -> dict[str, Tensor]:
        """`codes_used`: chosen at least once. `code_perplexity`: as many equally frequent codes vary as much."""
        share = self.counts / self.counts.sum().clamp_min(1)
        return {
            "codes_used": (self.counts > 0).sum().float(),
            "code_perplexity": torch.special.entr(share).sum().exp(),
        }


class TokenizerTask(L.LightningModule):
    """Train the neural tokenizer: amplitude, phase and commitment loss, added up.

    The codes start from a k-means of the first batch. Beside the losses, `CodeUsage` of each epoch is logged: a
    tokenizer that uses few codes tells patches apart poorly, however low its commitment loss.

    Args:
        save_to: torch file in the layout of `vqnsp.pth`, written when training ends.
        tokenizer: size, "tiny" or "base".
        max_tokens: patches a window at most, see `crop_to_tokens`.
        free_steps: first steps, in which vectors reach the decoder without becoming codes and without commitment loss;
            the k-means follows. From scratch on few recordings all vectors otherwise commit to one code before the
            decoder has any use for them, and stay there. 0 as published, for thousands of hours.
        optimizer: all matrices decay but the positions; LaBraM takes a learning rate of 5e-5 for every 128 windows of a
            step, so 4e-4 for its 1,024.
    """

    def __init__(
        self,
        save_to: str,
        tokenizer: str = "tiny",
        max_tokens: int = 256,
        free_steps: int = 0,
        optimizer: OptimizerOptions = TOKENIZER_OPTIMIZER,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["optimizer"])
        self.save_hyperparameters({"optimizer": optimizer.plain()})
        self.options = optimizer
        self.tokenizer = VqNsp(VQNSP_PRESETS[tokenizer])
        self.train_usage = CodeUsage(self.tokenizer.preset.n_codes)
        self.val_usage = CodeUsage(self.tokenizer.preset.n_codes)

    def _losses(self, signal_uv: Tensor, ch_names: Sequence[str], usage: CodeUsage) -> dict[str, Tensor]:
        output = self.tokenizer(signal_uv, ch_names)
        usage.update(output.indices)
        return {
            "loss": output.amplitude_loss + output.phase_loss + output.commitment_loss,
            "amplitude_loss": output.amplitude_loss,
            "phase_loss": output.phase_loss,
            "commitment_loss": output.commitment_loss,
        }

    def _free_losses(self, signal_uv: Tensor, ch_names: Sequence[str]) -> dict[str, Tensor]:
        vectors = normalize(self.tokenizer.encode(signal_uv, ch_names).float(), dim=-1)
        amplitude_loss, phase_loss = self.tokenizer.spectrum_losses(vectors, signal_uv, ch_names)
        return {
            "loss": amplitude_loss + phase_loss,
            "amplitude_loss": amplitude_loss,
            "phase_loss": phase_loss,
        }

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum of the three losses, and the codes move; in the free steps of the first two."""
        signal_uv = crop_to_tokens(batch.signal_uv, self.hparams["max_tokens"])
        if self.global_step < self.hparams["free_steps"]:
            losses = self._free_losses(signal_uv, batch.ch_names)
        else:
            losses = self._losses(signal_uv, batch.ch_names, self.train_usage)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=len(batch))
        return losses["loss"]

    def on_train_epoch_end(self) -> None:
        """Log how many codes the epoch used, and how evenly."""
        self._log_usage("train", self.train_usage)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The same losses on the first seconds of validation segments; none before the codes have their start."""
        if not self.tokenizer.quantize.embedding.initted:
            return
        signal_uv = crop_to_tokens(batch.signal_uv, self.hparams["max_tokens"], 0)
        losses = self._losses(signal_uv, batch.ch_names, self.val_usage)
        self.log_dict({f"val/{name}": value for name, value in losses.items()}, batch_size=len(batch), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log how many codes the validation segments use, and how evenly."""
        self._log_usage("val", self.val_usage)

    def _log_usage(self, side: str, usage: CodeUsage) -> None:
        if usage.update_called:  # not where the codes had no start yet
            self.log_dict({f"{side}/{name}": value for name, value in usage.compute().items()})
            usage.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`; betas and positions as published."""
        return adamw_with_cosine(self, self.options, betas=(0.9, 0.99), undecayed=POSITIONS)

    def on_train_end(self) -> None:
        """Save the tokenizer for `load_vqnsp`."""
        _save(self, self.tokenizer.state_dict())


class MaskedPretrainingTask(L.LightningModule):
    """Train a signal encoder to name the codes of the patches that are hidden from it.

    Args:
        tokenizer_weights: file in the layout of `vqnsp.pth`; the tokenizer is frozen.
        save_to: torch file in the layout of `labram-base.pth`, written when training ends.
        encoder: size of the signal encoder, see `encoders.presets`.
        tokenizer: size of the tokenizer, "tiny" or "base".
        mask_ratio: part of the patches hidden in the first pass; the second hides the others.
        max_tokens: patches a window at most, see `crop_to_tokens`.
        optimizer: all matrices decay but the positions.
    """

    def __init__(
        self,
        tokenizer_weights: str,
        save_to: str,
        encoder: str = "tiny",
        tokenizer: str = "tiny",
        mask_ratio: float = 0.5,
        max_tokens: int = 256,
        optimizer: OptimizerOptions = MASKED_OPTIMIZER,
    ) -> None:
        super().__init__()
        if not 0.0 < mask_ratio < 1.0:
            raise ValueError(f"got mask_ratio={mask_ratio}, expected more than 0 and less than 1: use 0.5")
        self.save_hyperparameters(ignore=["optimizer"])
        self.save_hyperparameters({"optimizer": optimizer.plain()})
        self.options = optimizer
        self.tokenizer = VqNsp(VQNSP_PRESETS[tokenizer]).requires_grad_(False).eval()
        load_vqnsp(self.tokenizer, tokenizer_weights)
        self.model = MaskedSignalEncoder(SIGNAL_ENCODER_PRESETS[encoder], self.tokenizer.preset.n_codes)

    def train(self, mode: bool = True) -> "MaskedPretrainingTask":
        """Set the mode of the encoder; the tokenizer stays in eval mode, or its codes would move."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def _losses(self, signal_uv: Tensor, batch: Batch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Cross-entropies of both passes added up, and the part of all patches whose code was named."""
        codes = self.tokenizer.code_indices(signal_uv, batch.ch_names)
        batch_size, n_tokens = codes.shape
        masked = random_mask(batch_size, n_tokens, self.hparams["mask_ratio"], generator).to(codes.device)
        logits = self.model(signal_uv, batch.ch_names, masked)
        loss = cross_entropy(logits[masked], codes[masked]) + cross_entropy(logits[~masked], codes[~masked])
        return {"masked_loss": loss, "masked_accuracy": (logits.argmax(-1) == codes).float().mean()}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a random half of the patches and of the other half."""
        losses = self._losses(crop_to_tokens(batch.signal_uv, self.hparams["max_tokens"]), batch)
        self.log_dict({f"train/{name}": value for name, value in losses.items()}, batch_size=len(batch))
        return losses["masked_loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The same on the first seconds of validation segments, with masks that depend on the batch's number alone."""
        signal_uv = crop_to_tokens(batch.signal_uv, self.hparams["max_tokens"], 0)
        losses = self._losses(signal_uv, batch, torch.Generator().manual_seed(batch_idx))
        self.log_dict({f"val/{name}": value for name, value in losses.items()}, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`; betas and positions as published."""
        return adamw_with_cosine(self, self.options, undecayed=POSITIONS)

    def on_train_end(self) -> None:
        """Save the encoder for `encoders.weights.load_labram`."""
        _save(self, self.model.published_state())


def _save(task: L.LightningModule, tensors: Mapping[str, Tensor]) -> None:
    """Write the weights under "model", as the published files have them, from the first process only."""
    if task.trainer.is_global_zero:
        path = Path(task.hparams["save_to"])
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model": {name: value.cpu() for name, value in tensors.items()}}, path)
