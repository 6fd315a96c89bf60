"""Random crops of recordings in memory, for training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from torch.utils.data import Dataset, Sampler

from corpus.artifacts import detect_in_all
from corpus.dataset.batch import Batch, collate
from corpus.dataset.mixture import Mixture, mixed_targets
from corpus.describe import write_narrative, write_template
from corpus.features import extract_features
from corpus.findings import find
from corpus.montage import electrode_positions, mirror_of
from corpus.recording import Recording
from corpus.segment import HISTORY_K, SEGMENT_S, Segment

SCALP_RADIUS_M = 0.08  # of the electrodes of the head's equator
ALIKE_S = 40.0  # shorter recordings hold too few crops that differ


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
        alike: the crops are of one recording of at least `ALIKE_S` seconds and undergo the same: they differ by their
            moment alone, as the segments of a recording do that are told apart when it is read.
        mix: a stretch of another recording of the same layout is added, at most as strong: potentials add up, so this
            is a head that nobody has, and its map is the sum of both maps.
        mirror: left and right are exchanged, where the layout has both electrodes of every pair.
    """

    no_history: float = 0.1
    drop_channels: float = 0.3
    min_channels: int = 8
    subsets: int = 4
    whole_below: int = 16
    channel_gain: float = 0.3
    spatial_gain: float = 0.0
    band_gain: float = 0.4
    alike: float = 0.0
    mix: float = 0.0
    mirror: float = 0.0


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
        narrate: measure the crops and write reference narratives; False: a batch holds signals only; a mixture: the
            crops are asked other things as well (`Batch.chats`).
        augmentation: None for crops as recorded.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        batch_size: int,
        n_batches: int,
        seed: int = 0,
        history_k: int = HISTORY_K,
        narrate: bool | Mixture = True,
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
        drawn = rng.choice(len(parts), size=self.batch_size, p=self._part_probability[layout])
        alike = self._are_alike(rng, parts[drawn[0]])
        fate = int(rng.integers(2**31)) if alike else None
        for part in drawn[:1].repeat(self.batch_size) if alike else drawn:
            segments += self._crop(rng, (layout, part), kept, names, len(segments), fate)
            picks.append(len(segments) - 1)
        if not self.narrate:
            return collate(segments, None, picks, self.history_k)
        recent = [replace(s, history=s.history[-HISTORY_K:]) for s in segments]  # targets state one trend for any K
        features = extract_features(recent)
        batch = collate(segments, features, picks, self.history_k)
        chosen, measured = [segments[i] for i in picks], [features[i] for i in picks]
        artifacts = detect_in_all(chosen, measured)
        found = [find(*parts) for parts in zip(chosen, measured, artifacts, strict=True)]
        batch.narratives = [write_narrative(f, int(rng.integers(2**31))) for f in found]
        batch.facts = [f.facts for f in found]
        batch.templates = [write_template(f) for f in found]
        if isinstance(self.narrate, Mixture):
            batch.chats = mixed_targets(found, batch.narratives, self.narrate, rng)
        return batch

    def _are_alike(self, rng: np.random.Generator, part: tuple[np.ndarray, int, int]) -> bool:
        """Whether a batch is to be of one recording, and this one is long enough."""
        if self.augmentation is None or not self.augmentation.alike:
            return False
        return bool(rng.random() < self.augmentation.alike) and part[2] - part[1] >= ALIKE_S * self._sfreq

    def _pick_channels(self, rng: np.random.Generator, layout: int) -> np.ndarray:
        aug, count = self.augmentation, len(self._layouts[layout][0])
        if aug is None or count < aug.whole_below or rng.random() >= aug.drop_channels:
            return np.arange(count)
        subset = np.random.default_rng([self.seed, layout, int(rng.integers(aug.subsets))])
        return np.sort(subset.permutation(count)[: subset.integers(aug.min_channels, count)])

    def _crop(
        self,
        rng: np.random.Generator,
        where: tuple[int, int],
        kept: np.ndarray,
        names: tuple[str, ...],
        offset: int,
        fate: int | None,
    ) -> list[Segment]:
        """A random crop behind its history, as segments from index `offset` on; `fate` seeds what it undergoes."""
        layout, part = where
        _, start, stop = self._layouts[layout][1][part]
        aug, length = self.augmentation, self._length
        depth = min(self.history_k, (stop - start) // length - 1)
        if aug is not None and rng.random() < aug.no_history:
            depth = int(rng.integers(0, depth + 1))
        begin = int(rng.integers(start, stop - (depth + 1) * length + 1))
        windows = self._windows(where, begin, depth + 1, kept)
        if aug is not None:
            own = rng if fate is None else np.random.default_rng(fate)
            if aug.mix and own.random() < aug.mix:
                windows = self._mix(own, rng, layout, windows, kept)
            if aug.mirror and own.random() < aug.mirror:
                windows = windows[list(_mirrored(names))]
            windows = _augment(own, windows, aug, self._sfreq, names)
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

    def _windows(self, where: tuple[int, int], begin: int, count: int, kept: np.ndarray) -> np.ndarray:
        """Consecutive windows of some channels of a recording, (C, count, T) in µV."""
        signal = self._layouts[where[0]][1][where[1]][0]
        return signal[kept, begin : begin + count * self._length].reshape(len(kept), count, self._length)

    def _mix(
        self, own: np.random.Generator, rng: np.random.Generator, layout: int, windows: np.ndarray, kept: np.ndarray
    ) -> np.ndarray:
        """Windows (C, K + 1, T) with those of another recording added: `own` says of which one and how strong."""
        parts, count = self._layouts[layout][1], windows.shape[1]
        other, share = int(own.choice(len(parts), p=self._part_probability[layout])), own.uniform(0.0, 1.0)
        _, start, stop = parts[other]
        room = stop - start - count * self._length
        if room < 0:
            return windows
        added = self._windows((layout, other), start + int(rng.integers(room + 1)), count, kept)
        return windows + share * windows.std() / max(float(added.std()), 1e-6) * added


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


@lru_cache(maxsize=256)
def _mirrored(ch_names: tuple[str, ...]) -> tuple[int, ...]:
    """For each channel the row of its homologue; all stay where they are if one has none."""
    index = {name: row for row, name in enumerate(ch_names)}
    rows = tuple(index.get(mirror_of(name) or name, -1) for name in ch_names)
    return tuple(range(len(ch_names))) if -1 in rows else rows


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
