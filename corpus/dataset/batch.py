"""The one typed object that crosses from `corpus` to the models, and how segments become one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from corpus.describe import write_narrative, write_template
from corpus.features import MIN_POWER_UV2, Features
from corpus.findings import Fact, Findings
from corpus.segment import HISTORY_K, Segment, stack_signals


@dataclass(eq=False)
class Batch:
    """B segments of one channel layout.

    Attributes:
        signal_uv: (B, C, T) float32, µV.
        history_uv: (B, K, C, T) float32, µV, oldest first; zeros where `history_mask` is false.
        history_mask: (B, K) true where that preceding segment exists.
        log_power: (B, K + 1, C, 7) natural logarithm of µV²: six bands and the variance, oldest segment first, the
            current one last; zeros where there is no history; no values (last axis 0) where nothing was measured.
        ch_names: C electrode names.
        narratives: B reference narratives (empty where none was asked for).
        facts: B sets of facts of the reference findings.
        templates: B structured texts of the reference findings (empty where none was asked for).
        chats: what each is asked and answers, in turn, where a model learns something else than its narrative; empty
            where it learns that.
        start_s: (B, K + 1) when each segment begins in its recording, seconds, oldest first, the current one last;
            zeros where there is no history. None where nobody says.
    """

    signal_uv: Tensor
    history_uv: Tensor
    history_mask: Tensor
    log_power: Tensor
    ch_names: tuple[str, ...]
    narratives: list[str]
    facts: list[set[Fact]]
    templates: list[str] = field(default_factory=list)
    chats: list[tuple[str, ...]] = field(default_factory=list)
    start_s: Tensor | None = None

    def __len__(self) -> int:
        return len(self.signal_uv)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch with its tensors on a device."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    def rows(self, picks: Sequence[int]) -> "Batch":
        """Some of the segments, in this order."""
        kept: dict[str, Any] = {}
        for name, value in ((f.name, getattr(self, f.name)) for f in fields(self)):
            if isinstance(value, Tensor):
                kept[name] = value[list(picks)]
            elif isinstance(value, list) and value:
                kept[name] = [value[i] for i in picks]
        return replace(self, **kept)


def collate(
    segments: Sequence[Segment], features: Sequence[Features] | None, picks: Sequence[int], history_k: int = HISTORY_K
) -> Batch:
    """A batch, still without text, of the segments at `picks`.

    Args:
        segments: segments of one layout; `Segment.history` indexes into this sequence.
        features: of each segment, or None for a batch that needs no log powers.
        picks: indices of the B segments of the batch.
        history_k: K.
    """
    signal = stack_signals(segments).astype(np.float32, copy=False)
    no_power = np.zeros((len(segments), signal.shape[1], 0), np.float32)
    power = no_power if features is None else np.stack([log_power(f) for f in features])
    history = np.full((len(picks), history_k), -1)
    for row, pick in enumerate(picks):
        known = segments[pick].history[-history_k:] if history_k else ()
        history[row, history_k - len(known) :] = known
    mask = history >= 0
    history_uv = np.where(mask[..., None, None], signal[history], np.float32(0))
    history_power = np.where(mask[..., None, None], power[history], np.float32(0))
    start_s = np.array([segment.start_s for segment in segments])
    starts = np.concatenate([np.where(mask, start_s[history], 0.0), start_s[list(picks)][:, None]], axis=1)
    return Batch(
        signal_uv=torch.from_numpy(signal[list(picks)]),
        history_uv=torch.from_numpy(history_uv),
        history_mask=torch.from_numpy(mask),
        log_power=torch.from_numpy(np.concatenate([history_power, power[list(picks)][:, None]], axis=1)),
        ch_names=segments[0].ch_names,
        narratives=[],
        facts=[],
        start_s=torch.from_numpy(starts.astype(np.float32)),
    )


def log_power(features: Features) -> np.ndarray:
    """(C, 7) float32: natural logarithm of the six band powers and of the variance of each channel, µV²."""
    power = np.concatenate([features.channel_band_power_uv2, features.channel_power_uv2[:, None]], axis=1)
    return np.log(power + MIN_POWER_UV2).astype(np.float32)


def segment_batches(
    findings: Sequence[Findings], batch_size: int, seed: int = 0, history_k: int = HISTORY_K
) -> Iterator[Batch]:
    """The segments of one recording in order, with reference narratives and facts; the last batch may be smaller."""
    for start in range(0, len(findings), batch_size):
        wanted = range(start, min(start + batch_size, len(findings)))
        first = min([start, *(h for i in wanted for h in findings[i].segment.history)])
        part = [_shifted(f, first) for f in findings[first : wanted.stop]]
        batch = collate([f.segment for f in part], [f.features for f in part], [i - first for i in wanted], history_k)
        batch.narratives = [write_narrative(findings[i], seed + i) for i in wanted]
        batch.facts = [findings[i].facts for i in wanted]
        batch.templates = [write_template(findings[i]) for i in wanted]
        yield batch


def _shifted(findings: Findings, offset: int) -> Findings:
    segment = findings.segment
    return replace(
        findings, segment=replace(segment, history=tuple(h - offset for h in segment.history if h >= offset))
    )
