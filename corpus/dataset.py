"""Batches for training and evaluation: the one typed object that crosses from `corpus` to the models."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from corpus.artifacts import detect_in_all
from corpus.describe import write_narrative
from corpus.features import MIN_POWER_UV2, Features, extract_features
from corpus.findings import Fact, Findings, find
from corpus.montage import electrode_positions
from corpus.recording import Recording
from corpus.segment import HISTORY_K, SEGMENT_S, Segment, stack_signals
from corpus.store import CorpusReader

SCALP_RADIUS_M = 0.08  # of the electrodes of the head's equator


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
    """

    signal_uv: Tensor
    history_uv: Tensor
    history_mask: Tensor
    log_power: Tensor
    ch_names: tuple[str, ...]
    narratives: list[str]
    facts: list[set[Fact]]

    def __len__(self) -> int:
        return len(self.signal_uv)

    def to(self, device: torch.device | str) -> "Batch":
        """The batch with its tensors on a device."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: v.to(device) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)


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
    return Batch(
        signal_uv=torch.from_numpy(signal[list(picks)]),
        history_uv=torch.from_numpy(history_uv),
        history_mask=torch.from_numpy(mask),
        log_power=torch.from_numpy(np.concatenate([history_power, power[list(picks)][:, None]], axis=1)),
        ch_names=segments[0].ch_names,
        narratives=[],
        facts=[],
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
        yield batch


def _shifted(findings: Findings, offset: int) -> Findings:
    segment = findings.segment
    return replace(
        findings, segment=replace(segment, history=tuple(h - offset for h in segment.history if h >= offset))
    )


@dataclass(frozen=True)
class Augmentation:
    """What a random crop undergoes; each probability is a batch's.

    Attributes:
        no_history: the crop stands at the start of a recording.
        drop_channels: a subset of at least `min_channels` electrodes is kept, one of `subsets` of the layout (few,
            because each layout has a topomap operator of its own).
        whole_below: layouts of fewer electrodes than this are kept whole.
        channel_gain: standard deviation of a log gain a channel, the same over a crop and its history.
        spatial_gain: standard deviation of a log gain at the edge of the scalp, which falls evenly to its opposite at
            the other edge, along a random direction: one side or region becomes stronger.
        band_gain: standard deviation of a log gain of the spectrum that changes between history and crop.
    """

    no_history: float = 0.1
    drop_channels: float = 0.3
    min_channels: int = 8
    subsets: int = 4
    whole_below: int = 16
    channel_gain: float = 0.3
    spatial_gain: float = 0.0
    band_gain: float = 0.4


class CropDataset(Dataset[Batch]):
    """Random ten-second crops with their history, a batch an item, from recordings in memory.

    Items have no end: item i depends on (seed, i) alone, and `EpochSampler` takes others each epoch.

    Args:
        recordings: preprocessed, long enough for a crop (shorter ones are left out).
        weights: of the recordings; a crop is drawn with a probability proportional to weight times length. None: 1.
        batch_size: B.
        n_batches: items an epoch.
        seed: of every random choice.
        history_k: K; crops of too short recordings have less history.
        narrate: measure the crops and write reference narratives; else a batch holds signals only.
        augmentation: None for crops as recorded.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        batch_size: int,
        n_batches: int,
        seed: int = 0,
        history_k: int = HISTORY_K,
        narrate: bool = True,
        augmentation: Augmentation | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.batch_size, self.n_batches, self.seed = batch_size, n_batches, seed
        self.history_k, self.narrate, self.augmentation = history_k, narrate, augmentation
        self._length = round(SEGMENT_S * recordings[0].sfreq) if recordings else 0
        layouts: dict[tuple[str, ...], list[tuple[np.ndarray, int, int]]] = {}
        shares: dict[tuple[str, ...], list[float]] = {}
        for recording, weight in zip(recordings, weights or [1.0] * len(recordings), strict=True):
            for start, stop in recording.stretches:
                if stop - start >= self._length:
                    layouts.setdefault(recording.ch_names, []).append((recording.signal_uv, start, stop))
                    shares.setdefault(recording.ch_names, []).append(weight * (stop - start))
        if not layouts:
            raise ValueError(
                f"got {len(recordings)} recordings without 10 s of signal, expected at least one that long"
            )
        self._sfreq = recordings[0].sfreq
        self._layouts = list(layouts.items())
        total = np.array([sum(shares[ch_names]) for ch_names, _ in self._layouts])
        self._layout_probability = total / total.sum()
        self._part_probability = [np.array(shares[ch_names]) / sum(shares[ch_names]) for ch_names, _ in self._layouts]

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, item: int) -> Batch:
        rng = np.random.default_rng([self.seed, item])
        layout = rng.choice(len(self._layouts), p=self._layout_probability)
        ch_names, parts = self._layouts[layout]
        kept = self._pick_channels(rng, layout)
        names = tuple(ch_names[i] for i in kept)
        segments: list[Segment] = []
        picks = []
        for part in rng.choice(len(parts), size=self.batch_size, p=self._part_probability[layout]):
            segments += self._crop(rng, parts[part], kept, names, len(segments))
            picks.append(len(segments) - 1)
        if not self.narrate:
            return collate(segments, None, picks, self.history_k)
        features = extract_features(segments)
        batch = collate(segments, features, picks, self.history_k)
        chosen, measured = [segments[i] for i in picks], [features[i] for i in picks]
        artifacts = detect_in_all(chosen, measured)
        found = [find(*parts) for parts in zip(chosen, measured, artifacts, strict=True)]
        batch.narratives = [write_narrative(f, int(rng.integers(2**31))) for f in found]
        batch.facts = [f.facts for f in found]
        return batch

    def _pick_channels(self, rng: np.random.Generator, layout: int) -> np.ndarray:
        aug, count = self.augmentation, len(self._layouts[layout][0])
        if aug is None or count < aug.whole_below or rng.random() >= aug.drop_channels:
            return np.arange(count)
        subset = np.random.default_rng([self.seed, layout, int(rng.integers(aug.subsets))])
        return np.sort(subset.permutation(count)[: subset.integers(aug.min_channels, count)])

    def _crop(
        self,
        rng: np.random.Generator,
        part: tuple[np.ndarray, int, int],
        kept: np.ndarray,
        names: tuple[str, ...],
        offset: int,
    ) -> list[Segment]:
        """A random crop behind its history, as segments whose indices begin at `offset`."""
        signal, start, stop = part
        aug, length = self.augmentation, self._length
        depth = min(self.history_k, (stop - start) // length - 1)
        if aug is not None and rng.random() < aug.no_history:
            depth = int(rng.integers(0, depth + 1))
        begin = int(rng.integers(start, stop - (depth + 1) * length + 1))
        windows = signal[kept, begin : begin + (depth + 1) * length].reshape(len(kept), depth + 1, length)
        if aug is not None:
            windows = _augment(rng, windows, aug, self._sfreq, names)
        return [
            Segment(
                index=offset + i,
                start_s=(begin + i * length) / self._sfreq,
                duration_s=SEGMENT_S,
                signal_uv=windows[:, i],
                sfreq=self._sfreq,
                ch_names=names,
                history=tuple(range(offset, offset + i)),
            )
            for i in range(depth + 1)
        ]


class NarrationDataset(Dataset[Batch]):
    """The segments of a corpus on disk as batches of one layout, in the order of the corpus.

    Args:
        corpus: folder of `neuronarrator corpus build`.
        split: "train", "val" or "test"; None: all.
        dataset: only of this dataset.
        batch_size: B; the last batch of a layout may be smaller.
        history_k: K, at most that of the corpus.
    """

    def __init__(
        self,
        corpus: str | Path,
        split: str | None = None,
        dataset: str | None = None,
        batch_size: int = 32,
        history_k: int = HISTORY_K,
    ) -> None:
        self.reader, self.history_k = CorpusReader(corpus, dataset, split), history_k
        layouts: dict[tuple[str, ...], list[int]] = {}
        for item, ch_names in enumerate(self.reader.layouts()):
            layouts.setdefault(ch_names, []).append(item)
        self._batches = [
            items[start : start + batch_size]
            for items in layouts.values()
            for start in range(0, len(items), batch_size)
        ]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, item: int) -> Batch:
        segments: list[Segment] = []
        features, picks, current = [], [], []
        for record in (self.reader[i] for i in self._batches[item]):
            rows = [*record.history[len(record.history) - min(self.history_k, len(record.history)) :], record.row]
            first = len(segments)
            for row in rows:
                history = tuple(range(first, len(segments)))
                where = (len(segments), row.start_s, row.duration_s, row.signal_uv, row.sfreq, row.ch_names)
                segments.append(Segment(*where, history=history))
                features.append(row.features)
            picks.append(len(segments) - 1)
            current.append(record.row)
        batch = collate(segments, features, picks, self.history_k)
        batch.narratives = [row.text.narrative for row in current]
        batch.facts = [set(row.facts) for row in current]
        return batch


class EpochSampler(Sampler[int]):
    """Items 0 to n - 1 in the first epoch, n to 2 n - 1 in the second, and so on; Lightning calls `set_epoch`."""

    def __init__(self, n_batches: int) -> None:
        self.n_batches, self.epoch = n_batches, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration is of."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.n_batches
        return iter(range(first, first + self.n_batches))


def _augment(
    rng: np.random.Generator, windows: np.ndarray, aug: Augmentation, sfreq: float, ch_names: tuple[str, ...]
) -> np.ndarray:
    """Gains a channel and, for the last of the windows (C, K + 1, T), a smooth random gain over the spectrum."""
    log_gain = rng.normal(0, 0.3) + rng.normal(0, aug.channel_gain, len(windows)) * (rng.random() < 0.5)
    if aug.spatial_gain and rng.random() < 0.5:
        direction = rng.normal(size=2)
        towards = electrode_positions(ch_names)[:, :2] @ (direction / np.linalg.norm(direction))
        log_gain = log_gain + rng.normal(0, aug.spatial_gain) * towards / SCALP_RADIUS_M
    windows = (windows * np.exp(log_gain)[:, None, None]).astype(np.float32)
    if rng.random() < 0.5:
        freqs = np.fft.rfftfreq(windows.shape[-1], 1 / sfreq)
        knots = np.array([1.0, 4.0, 8.0, 12.0, 30.0, 50.0, 75.0])
        log_gain = np.interp(np.log(np.maximum(freqs, 0.1)), np.log(knots), rng.normal(0, aug.band_gain, len(knots)))
        shaped = np.fft.rfft(windows[:, -1]) * np.exp(log_gain)
        windows[:, -1] = np.fft.irfft(shaped, windows.shape[-1])
    return windows
