"""A corpus on disk as batches."""

import re
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from corpus.artifacts import detect_in_all
from corpus.dataset.batch import Batch, collate
from corpus.dataset.mixture import Mixture, mixed_targets
from corpus.findings import find
from corpus.segment import HISTORY_K, Segment
from corpus.store import CorpusReader

WORD = re.compile(r"\w+|[^\w\s]")  # or sign: nearly a token of any language model
POOL_BATCHES = 50  # that many batches are drawn at random, then sorted by length


def group_by_length(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Indices of batches of like lengths; each item is in one batch, and none but the last is smaller.

    Items are drawn in pools of `POOL_BATCHES` batches, so that batches differ from one draw to the next.

    Args:
        lengths: (N,) of the items.
        batch_size: B.
        rng: draws the pools.
    """
    drawn, pool = rng.permutation(len(lengths)), POOL_BATCHES * batch_size
    for start in range(0, len(drawn), pool):
        drawn[start : start + pool] = sorted(drawn[start : start + pool], key=lengths.__getitem__)
    return [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]


class NarrationDataset(Dataset[Batch]):
    """The segments of a corpus on disk as batches of one layout, in the order of the corpus.

    Grouped by length, items have no end: item i is batch i modulo its length of epoch i // length, each epoch has
    every segment once, and its batches, drawn anew, stand in random order; `EpochSampler` takes them.

    Args:
        corpus: folder of `neuronarrator corpus build`.
        split: "train", "val" or "test"; None: all.
        dataset: only of this dataset.
        batch_size: B; the last batch of a layout may be smaller.
        history_k: K, at most that of the corpus.
        group_by_length: batches of narratives of like length, which need less padding.
        seed: of the groups and their order, and of the mixture.
        mixture: what the segments are asked as well as their narratives (`Batch.chats`), the same each time unless they
            are grouped; None: nothing.
    """

    def __init__(
        self,
        corpus: str | Path,
        split: str | None = None,
        dataset: str | None = None,
        batch_size: int = 32,
        history_k: int = HISTORY_K,
        group_by_length: bool = False,
        seed: int = 0,
        mixture: Mixture | None = None,
    ) -> None:
        self.mixture = mixture
        self.reader, self.history_k = CorpusReader(corpus, dataset, split), history_k
        self.batch_size, self.seed = batch_size, seed
        layouts: dict[tuple[str, ...], list[int]] = {}
        for item, ch_names in enumerate(self.reader.layouts()):
            layouts.setdefault(ch_names, []).append(item)
        self._layouts = [np.array(items) for items in layouts.values()]
        self._batches = [
            items[start : start + batch_size] for items in self._layouts for start in range(0, len(items), batch_size)
        ]
        self._lengths = None
        if group_by_length:
            self._lengths = np.array([len(WORD.findall(text)) for text in self.reader.column("narrative")])
        self._epoch = -1  # of the batches, where they are grouped

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, item: int) -> Batch:
        if self._lengths is None:
            return self._read(self._batches[item], item)
        epoch, number = divmod(item, len(self))
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._group(epoch, self._lengths)
        return self._read(self._batches[number], item)

    def _group(self, epoch: int, lengths: np.ndarray) -> list[np.ndarray]:
        rng = np.random.default_rng([self.seed, epoch])
        batches = [
            items[group] for items in self._layouts for group in group_by_length(lengths[items], self.batch_size, rng)
        ]
        return [batches[i] for i in rng.permutation(len(batches))]

    def _read(self, items: np.ndarray, seed: int) -> Batch:
        segments: list[Segment] = []
        features, picks, current = [], [], []
        for record in (self.reader[i] for i in items):
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
        batch.templates = [row.text.template for row in current]
        if self.mixture is not None:
            chosen, measured = [segments[i] for i in picks], [features[i] for i in picks]
            parts = zip(chosen, measured, detect_in_all(chosen, measured), strict=True)
            rng = np.random.default_rng([self.seed, seed])
            batch.chats = mixed_targets([find(*part) for part in parts], batch.narratives, self.mixture, rng)
        return batch
