"""A corpus on disk as batches."""

from pathlib import Path

from torch.utils.data import Dataset

from corpus.dataset.batch import Batch, collate
from corpus.segment import HISTORY_K, Segment
from corpus.store import CorpusReader


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
        batch.templates = [row.text.template for row in current]
        return batch
