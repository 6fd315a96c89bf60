"""Each segment of a recording is encoded once: the vectors of the current ones serve as the history of the next."""

from collections.abc import Sequence

import torch
from torch import Tensor

from corpus.dataset import Batch
from neuronarrator.soft_prompts import SegmentTokens, SoftPrompts


class HistoryCache:
    """Tokens of the latest K segments of one recording, across its batches.

    Args:
        narrator: whose encoder it is, in eval mode.
    """

    def __init__(self, narrator: SoftPrompts) -> None:
        self._narrator = narrator
        self._known: dict[int, Tensor] = {}

    @torch.inference_mode()
    def __call__(self, batch: Batch, numbers: Sequence[int], histories: Sequence[Sequence[int]]) -> SegmentTokens:
        """The tokens of a batch; a segment that was current in this or the last batch is not encoded again.

        Args:
            batch: on the device of the narrator; its last K preceding segments are read.
            numbers: of its segments in the recording.
            histories: numbers of the segments before each of them, oldest first; the last K count.
        """
        k = self._narrator.config.history_k
        current = self._narrator.encode_segments(batch.signal_uv, batch.ch_names)
        self._known |= dict(zip(numbers, current, strict=True))
        places = {
            (row, k - len(known) + i): number
            for row, known in enumerate(tuple(history)[-k:] for history in histories)
            for i, number in enumerate(known)
        }
        lost = {number: place for place, number in places.items() if number not in self._known}
        if lost:  # the batch before was passed over
            rows, slots = (list(part) for part in zip(*lost.values(), strict=True))
            history_uv = batch.history_uv[:, batch.history_uv.shape[1] - k :]
            self._known |= dict(
                zip(lost, self._narrator.encode_segments(history_uv[rows, slots], batch.ch_names), strict=True)
            )
        history = current.new_zeros(len(current), k, *current.shape[1:])
        for place, number in places.items():
            history[place] = self._known[number]
        self._known = {number: one for number, one in self._known.items() if number > numbers[-1] - k}
        return SegmentTokens(current, history)


def history_cache(narrator: object) -> HistoryCache | None:
    """A cache for one recording; None for a narrator whose history is empty or not made of encoded segments."""
    if not isinstance(narrator, SoftPrompts) or "history" not in narrator.config.modalities:
        return None
    return HistoryCache(narrator) if narrator.config.history_k else None
