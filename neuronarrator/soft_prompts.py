"""From EEG to embeddings that stand among those of the language model (NeuroNarrator, Sec. 3.3.1 and 3.4.1).

Shapes: B batch, K history segments, M tokens of a segment (its time among them), S soft prompts, D width of the
language model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from corpus.dataset import Batch
from encoders.clock import TimeEncoder
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.projector import Projector
from encoders.resampler import Resampler
from encoders.spectrum import SpectrumEncoder
from encoders.topomap import TopomapEncoder
from neuronarrator.dual_encoder import DualEncoder
from neuronarrator.narrator_config import NarratorConfig
from neuronarrator.spectrum_names import SpectrumNames, spectrum_layout


@dataclass(frozen=True, eq=False)
class SegmentTokens:
    """What `SoftPrompts.encode_segments` gives for a batch.

    Attributes:
        current: (B, M', D) of the current segments; M' is M without their times.
        history: (B, K, M', D) of those before, oldest first; of no meaning where there is none.
    """

    current: Tensor
    history: Tensor


class SoftPrompts(nn.Module):
    """The language model and everything that speaks to it.

    Args:
        config: sizes and modalities.
        llm: the language model.
        tokenizer: of it.
    """

    def __init__(self, config: NarratorConfig, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.config, self.llm = config, llm
        width, preset = llm.config.hidden_size, SIGNAL_ENCODER_PRESETS[config.encoder]
        self.dual = DualEncoder(SignalEncoder(preset), TopomapEncoder(config.encoder), width)
        self.missing_history = nn.Parameter(torch.randn(width))
        self.norms = nn.ModuleDict({name: nn.RMSNorm(width) for name in config.modalities})
        for weight in self.norms.parameters():  # soft prompts begin as large as the token embeddings they stand among
            nn.init.constant_(weight, self._start_scale())
        if "spectrum" in config.modalities:
            self.spectrum = SpectrumEncoder(config.spectrum_width, config.history_k)
            self.spectrum_projector = Projector(config.spectrum_width, width)
        if config.tokens_per_segment > 1:
            self.resampler = Resampler(preset.embed_dim, config.tokens_per_segment - 1, preset.num_heads)
            self.resampler_projector = Projector(preset.embed_dim, width)
        if config.time_tokens:
            self.times = nn.ModuleDict({"start": TimeEncoder(width), "gap": TimeEncoder(width)})
        self._names = SpectrumNames(tokenizer)
        self._freeze_unused()

    def _freeze_unused(self) -> None:
        """Parts of modalities that do not enter learn nothing: processes would wait for their gradients (DDP)."""
        if "topomap" not in self.config.modalities:
            self.dual.projectors["topomap"].requires_grad_(False)
        if "history" not in self.config.modalities:
            self.missing_history.requires_grad_(False)
            if self.config.time_tokens:
                self.times["gap"].requires_grad_(False)

    def _start_scale(self) -> float:
        """Root mean square of the values of a soft prompt before training."""
        if not self.config.match_norms:
            return self.llm.config.initializer_range
        embeddings: Any = self.llm.get_input_embeddings()
        norms = embeddings.weight.detach().float().norm(dim=1)
        return norms.mean().item() / embeddings.embedding_dim**0.5

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.missing_history.device

    def soft_prompts(
        self, batch: Batch, modalities: Sequence[str] | None = None, tokens: SegmentTokens | None = None
    ) -> Tensor:
        """The soft prompts of a batch in the order of the prompt, (B, S, D).

        Args:
            batch: segments with their history.
            modalities: which of the configured ones, in order; None: all.
            tokens: of these segments, where they are encoded already (`history.HistoryCache`).

        Raises:
            ValueError: the batch holds less history than the model reads, or no times for its time tokens.
        """
        modalities = modalities or self.config.modalities
        start_s = self._start_s(batch) if self.config.time_tokens else None
        batch = self._last_k(batch)
        parts = {}
        if "history" in modalities:
            parts["history"] = self._encode_history(batch, start_s, tokens.history if tokens else None)
        if "signal" in modalities:
            current = tokens.current if tokens else self.encode_segments(batch.signal_uv, batch.ch_names)
            parts["signal"] = current if start_s is None else self._tell_time(current, "start", start_s[:, -1])
        if "topomap" in modalities:
            parts["topomap"] = self.dual.encode_topomap(batch.signal_uv, batch.ch_names)[:, None]
        if "spectrum" in modalities:
            measured, ranking = self.spectrum(
                batch.log_power, batch.history_mask, spectrum_layout(batch.ch_names, self.device)
            )
            parts["spectrum"] = self.spectrum_projector(measured)
        parts = {name: self.norms[name](parts[name]) for name in modalities}
        if "spectrum" in parts:
            parts["spectrum"] = parts["spectrum"] + self._names(
                self.llm.get_input_embeddings(), ranking, batch.ch_names
            )
        return torch.cat(list(parts.values()), dim=1)

    def _last_k(self, batch: Batch) -> Batch:
        """The batch with the last K segments of its history."""
        held, k = batch.history_mask.shape[1], self.config.history_k
        if held < k:
            raise ValueError(
                f"got a batch with {held} segments of history, expected the {k} that the model reads; set history_k of "
                "the data"
            )
        if held == k:
            return batch
        return replace(
            batch,
            history_uv=batch.history_uv[:, held - k :],
            history_mask=batch.history_mask[:, held - k :],
            log_power=batch.log_power[:, held - k :],
        )

    def _start_s(self, batch: Batch) -> Tensor:
        """When the last K segments of the history and the current ones begin, (B, K + 1) seconds."""
        start_s = getattr(batch, "start_s", None)
        if start_s is None:
            raise ValueError("got a batch without start_s, expected it for time tokens; use time_tokens: false")
        return start_s[:, start_s.shape[1] - self.config.history_k - 1 :]

    def _tell_time(self, tokens: Tensor, kind: str, seconds: Tensor) -> Tensor:
        """Tokens (B, M - 1, D) of segments, and behind them that of their times (B,): (B, M, D)."""
        return torch.cat([tokens, self.times[kind](seconds)[:, None].to(tokens.dtype)], dim=1)

    def _encode_history(self, batch: Batch, start_s: Tensor | None, encoded: Tensor | None) -> Tensor:
        """Preceding segments, oldest first, (B, K * M, D); the learned vector where there is none."""
        known = batch.history_mask
        embeds = self.missing_history.expand(*known.shape, self._per_segment, -1).clone()
        if known.any():
            if encoded is None:
                tokens = self.encode_segments(batch.history_uv[known], batch.ch_names)
            else:
                tokens = encoded[known]
            if start_s is not None:
                tokens = self._tell_time(tokens, "gap", (start_s[:, -1:] - start_s[:, :-1])[known])
            embeds[known] = tokens.to(embeds.dtype)
        return embeds.flatten(1, 2)

    @property
    def _per_segment(self) -> int:
        """M."""
        return self.config.tokens_per_segment + self.config.time_tokens

    def encode_segments(self, signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        """Segments (B, C, T) in µV to tokens (B, M', D): the aligned vector, then what the resampler reads."""
        if self.config.tokens_per_segment == 1:
            return self.dual.encode_signal(signal_uv, ch_names)[:, None]
        encoder: Any = self.dual.encoders["signal"]
        tokens = encoder.forward_tokens(signal_uv, ch_names)
        pooled = self.dual.projectors["signal"](encoder.fc_norm(tokens.mean(dim=1)))  # `encode_signal`, encoded once
        read = self.resampler_projector(self.resampler(tokens))
        return torch.cat([pooled[:, None], read], dim=1)

    def count_soft_prompts(self, n_chans: int, modalities: Sequence[str]) -> dict[str, int]:
        """How many soft prompts each modality has for segments of so many channels."""
        counts = {"history": self.config.history_k * self._per_segment, "signal": self._per_segment, "topomap": 1}
        counts["spectrum"] = SpectrumEncoder.count_tokens(n_chans)
        return {name: counts[name] for name in modalities}

    def signal_tokens(self, soft_prompts: Tensor) -> Tensor:
        """The tokens of the current segment, but its time, among the soft prompts of all modalities (B, S, D)."""
        start = self.count_soft_prompts(0, self.config.modalities).get("history", 0)
        return soft_prompts[:, start : start + self.config.tokens_per_segment]
