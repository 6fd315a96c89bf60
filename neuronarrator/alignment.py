"""Stage 1: align signals with their topomaps by a SigLIP loss (NeuroNarrator, Sec. 3.3.2)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from open_clip.loss import SigLipLoss
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from corpus.dataset import Batch
from corpus.topomap import POTENTIALS
from encoders.labram import PATCH_SAMPLES, SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.topomap import TopomapEncoder
from encoders.weights import load_labram
from neuronarrator.dual_encoder import DualEncoder
from neuronarrator.map_cache import MapFeatureCache
from neuronarrator.metrics import RetrievalRecall
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine

OPTIMIZER = OptimizerOptions()


@dataclass
class MapOptions:
    """How maps are drawn and encoded.

    Attributes:
        tower: preset or open_clip name of the vision tower (`TopomapEncoder`); None: of the size of the signal encoder,
            "base" beside an encoder given by class.
        after_ln_post: whether patch tokens are averaged after the last layer norm of the tower or before it.
        potential: what a map shows, one of `corpus.topomap.POTENTIALS`.
        limit_uv: at the ends of one colour scale for all maps; None: each map its own, as in the paper.
        cache: folder for the vectors of maps, so that the tower sees each map of a fixed corpus once; useless with
            random crops. None: no cache.
        whiten_batches: training batches from whose maps the whitening of the frozen vectors is estimated before
            training; 0 leaves them as they are, as in the paper.
    """

    tower: str | None = None
    after_ln_post: bool = True
    potential: str = "median"
    limit_uv: float | None = None
    cache: str | None = None
    whiten_batches: int = 0

    def __post_init__(self) -> None:
        if self.potential not in POTENTIALS:
            raise ValueError(f"got potential={self.potential!r}, expected one of {', '.join(POTENTIALS)}; correct it")


@dataclass(frozen=True)
class AlignmentWeights:
    """Where the weights of stage 1 begin; None leaves a part random.

    Attributes:
        signal: published weights of the signal encoder (`labram-base.pth`).
        topomap: safetensors or checkpoint of the topomap encoder, or a tag of open_clip such as "openai".
        start_from: checkpoint of an earlier alignment whose weights this one continues from, scale and bias included.
    """

    signal: str | None = None
    topomap: str | None = None
    start_from: str | None = None


@dataclass
class StepOptions:
    """What changes the cost of a step and not its result.

    Attributes:
        chunk_size: segments that are encoded at a time, for batches whose activations do not fit: those of a chunk are
            thrown away and computed again in the backward pass, one chunk after the other, so memory grows with the
            chunk, and time by about a third (gradient caching, arXiv:2101.06983). 0: all at once.
        compile_backend: of torch.compile, such as "inductor", for the transformer blocks of both encoders; None: eager.
    """

    chunk_size: int = 0
    compile_backend: str | None = None


class AlignmentTask(L.LightningModule):
    """Signal encoder and both projectors learn; the topomap encoder is frozen by construction.

    Mixed precision and several devices are the trainer's: `precision: bf16-mixed`, `strategy: ddp`. The loss, its scale
    and its bias stay in float32. With W processes each of B segments, topomaps go round (open_clip's exchange), so each
    segment meets B * W of them, and the mean of the losses of all processes is the loss of the joint batch. Gradient
    accumulation (`accumulate_grad_batches`) averages gradients and adds no pairs to a loss; `StepOptions.chunk_size` is
    the way to larger batches on one device.

    Args:
        encoder: size of both encoders, "tiny" or "base", or a signal encoder as `class_path` and `init_args`: a module
            from (B, C, T) µV and electrode names to (B, D), with its D as `embed_dim`.
        width: D of the shared space, the hidden width of the LLM that follows (2560 in the paper).
        batch_size: topomaps that a segment meets in one loss, of all processes; the bias starts at
            -log(batch_size - 1), where a random model is indifferent. With -10, the value for about 22,000, small
            batches do not learn.
        short_steps: first steps, in which the signal encoder sees only the two seconds around the mapped sample, in
            their own rows of the time table. From scratch it has to find one sample among the tokens of ten seconds,
            and finds it much sooner among those of two. 0 for a pretrained encoder, as in the paper.
        weights: where they begin; by default random.
        optimizer: learning rate, weight decay, warm-up; scale and bias never decay.
        maps: how maps are drawn and encoded; None: as in the paper.
        step: cost of a step; None: everything at once, eager.

    Raises:
        ValueError: options that exclude each other.
    """

    def __init__(
        self,
        encoder: str | nn.Module = "tiny",
        width: int = 2560,
        batch_size: int = 32,
        short_steps: int = 0,
        weights: AlignmentWeights = AlignmentWeights(),
        optimizer: OptimizerOptions = OPTIMIZER,
        maps: MapOptions | None = None,
        step: StepOptions | None = None,
    ) -> None:
        super().__init__()
        classes = ["weights", "optimizer", "maps", "step"] + ["encoder"] * isinstance(encoder, nn.Module)
        self.save_hyperparameters(ignore=classes)
        self.save_hyperparameters({"optimizer": optimizer.plain()})
        self.options, self.maps, self.step = optimizer, maps or MapOptions(), step or StepOptions()
        signal = _build_signal(encoder, weights.signal, short_steps, self.maps)
        tower = self.maps.tower or (encoder if isinstance(encoder, str) else "base")
        topomap = TopomapEncoder(tower, weights.topomap, self.maps.after_ln_post)
        self.dual = DualEncoder(signal, topomap, width, self.maps.potential, self.maps.limit_uv)
        self.save_hyperparameters({"encoding": self.dual.encoding})  # `warm_start.load_dual` compares it
        self.logit_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.logit_bias = nn.Parameter(torch.tensor(-math.log(max(batch_size - 1, 1))))
        if weights.start_from is not None:
            self.load_state_dict(torch.load(weights.start_from, map_location="cpu", weights_only=True)["state_dict"])
        self.loss = SigLipLoss()
        self.recall = RetrievalRecall()

    def setup(self, stage: str) -> None:
        """Compile the blocks, in place: names of weights stay as they are."""
        if self.step.compile_backend is not None and stage == "fit":
            compile_blocks(self.dual, self.step.compile_backend)

    def on_fit_start(self) -> None:
        """Join the processes, open the cache, and estimate the whitening, once: a resumed run brings its own."""
        self.loss = SigLipLoss(rank=self.global_rank, world_size=self.trainer.world_size)
        if (factor := self.trainer.accumulate_grad_batches) > 1:
            rank_zero_info(
                f"Gradients of {factor} batches are averaged before a step. This adds no negatives: each loss compares "
                "the pairs of one batch, of all processes; for more of them raise the batch size and step.chunk_size."
            )
        topomap = self.dual.encoders["topomap"]
        if self.maps.cache is not None and isinstance(topomap, TopomapEncoder):
            fingerprint, limit_uv = topomap.fingerprint(), self.maps.limit_uv
            self.dual.map_cache = MapFeatureCache(
                self.maps.cache, fingerprint, topomap.width, limit_uv, self.global_rank
            )
        if self.maps.whiten_batches and not self.dual.whitening.is_fitted:
            loader = self.trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
            batches = islice(loader, self.maps.whiten_batches)
            self.dual.whitening.fit(torch.cat([self._map_features(batch.to(self.device)) for batch in batches]))

    def _map_features(self, batch: Batch) -> Tensor:
        """Vectors of the maps at eight instants of each segment, (8 B, D_topomap)."""
        instants = torch.linspace(0, batch.signal_uv.shape[-1] - 1, 8).long()
        potential = batch.signal_uv[..., instants].transpose(1, 2).flatten(0, 1)
        return self.dual.topomap_features(potential, batch.ch_names)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """z_signal and z_topomap, (B, D) each, float32, unit norm."""
        return self._encode(batch, batch.signal_uv, 0)

    def _encode_short(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As `encode`, with one second before and one second from the mapped sample on."""
        middle = batch.signal_uv.shape[-1] // 2 // PATCH_SAMPLES
        window = batch.signal_uv[..., (middle - 1) * PATCH_SAMPLES : (middle + 1) * PATCH_SAMPLES]
        return self._encode(batch, window, middle - 1)

    def _encode(self, batch: Batch, window_uv: Tensor, first_patch: int) -> tuple[Tensor, Tensor]:
        """Vectors of windows (B, C, t) that begin at a second, and of the maps of their segments."""
        chunk, ch_names = self.step.chunk_size or max(len(batch), 1), batch.ch_names
        signal = [self._encode_signal(part, ch_names, first_patch) for part in window_uv.split(chunk)]
        topomap = [self.dual.encode_topomap(part, ch_names) for part in batch.signal_uv.split(chunk)]
        return normalize(torch.cat(signal).float(), dim=-1), normalize(torch.cat(topomap).float(), dim=-1)

    def _encode_signal(self, window_uv: Tensor, ch_names: Sequence[str], first_patch: int) -> Tensor:
        if not (self.step.chunk_size and torch.is_grad_enabled()):
            return self.dual.encode_signal(window_uv, ch_names, first_patch)
        return checkpoint(self.dual.encode_signal, window_uv, ch_names, first_patch, use_reentrant=False)

    def siglip_loss(self, z_signal: Tensor, z_topomap: Tensor) -> Tensor:
        """Loss of unit vectors (B, D) in float32, also under autocast: bfloat16 has three digits for a logit of 10."""
        with torch.autocast(z_signal.device.type, enabled=False):
            return self.loss(z_signal.float(), z_topomap.float(), self.logit_scale.exp(), self.logit_bias)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """SigLIP loss of one batch."""
        batch = self._level(batch)
        short = self.global_step < self.hparams["short_steps"]
        z_signal, z_topomap = self._encode_short(batch) if short else self.encode(batch)
        loss = self.siglip_loss(z_signal, z_topomap)
        with torch.no_grad():
            found = (z_signal @ z_topomap.T).argmax(1)
            accuracy = (found == torch.arange(len(batch), device=found.device)).float().mean()
        self.log_dict({"train/siglip_loss": loss, "train/recall_at_1": accuracy}, prog_bar=True, batch_size=len(batch))
        return loss

    def _level(self, batch: Batch) -> Batch:
        """As many segments as the smallest batch among the processes, which exchange tensors of one shape."""
        if self.loss.world_size == 1:
            return batch
        size = torch.tensor(len(batch), device=self.device)
        torch.distributed.all_reduce(size, torch.distributed.ReduceOp.MIN)
        return replace(batch, signal_uv=batch.signal_uv[: int(size)])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect embeddings: the gallery is the whole validation set."""
        self.recall.update(*self.encode(batch))

    def on_validation_epoch_end(self) -> None:
        """Log recall@K and mean rank of both directions."""
        self.log_dict({f"val/{name}": value for name, value in self.recall.compute().items()})
        self.recall.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)


def _build_signal(encoder: str | nn.Module, weights: str | None, short_steps: int, maps: MapOptions) -> nn.Module:
    """The signal encoder that a task asks for."""
    if isinstance(encoder, nn.Module) and not isinstance(encoder, SignalEncoder):
        if weights is not None or short_steps:
            raise ValueError(
                "got an encoder by class with weights.signal or short_steps, expected neither: they belong to LaBraM; "
                "leave them out and let the class load its weights"
            )
        return encoder
    if short_steps and maps.potential != "median":
        raise ValueError(
            f"got short_steps={short_steps} and maps of {maps.potential}, expected one of them: two seconds do not "
            "show what a map of ten shows; use short_steps: 0"
        )
    signal = encoder if isinstance(encoder, SignalEncoder) else SignalEncoder(SIGNAL_ENCODER_PRESETS[encoder])
    if weights is not None:
        load_labram(signal, weights)
    return signal


def compile_blocks(dual: DualEncoder, backend: str) -> None:
    """Compile the transformer blocks of both encoders, in place; other signal encoders as a whole.

    Blocks take tensors only, so a new layout of electrodes costs no new compilation beyond one for its shape, and all
    blocks of an encoder share their code.
    """
    signal, topomap = dual.encoders["signal"], dual.encoders["topomap"]
    blocks: list[nn.Module] = [*signal.blocks] if isinstance(signal, SignalEncoder) else [signal]
    for block in [*blocks, *(topomap.blocks if isinstance(topomap, TopomapEncoder) else ())]:
        block.compile(backend=backend)
