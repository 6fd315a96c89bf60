"""Ten-second segments of a recording, each of which knows the segments that precede it (NeuroNarrator, Sec. 3.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from corpus.recording import Recording

SEGMENT_S = 10.0
HISTORY_K = 2


@dataclass(frozen=True, eq=False)
class Segment:
    """A window of a recording.

    Attributes:
        index: position among the segments of its recording.
        start_s: start in the recording, seconds.
        duration_s: length, seconds.
        signal_uv: (C, T) microvolts, a view of the recording's array.
        sfreq: samples a second, Hz.
        ch_names: C electrode names.
        history: indices of the (at most K) segments that directly precede it, oldest first; a break in the signal
            ends the history.
    """

    index: int
    start_s: float
    duration_s: float
    signal_uv: np.ndarray
    sfreq: float
    ch_names: tuple[str, ...]
    history: tuple[int, ...] = ()


def segment_recording(recording: Recording, duration_s: float = SEGMENT_S, history_k: int = HISTORY_K) -> list[Segment]:
    """Cut a recording into non-overlapping segments; no segment and no history spans a break in the signal.

    Args:
        recording: the preprocessed recording.
        duration_s: length of a segment, seconds.
        history_k: K, the most predecessors a segment refers to (the paper does not state K; its segment counts fit 2).

    Returns:
        floor(duration / duration_s) segments a continuous stretch, in order of time.
    """
    length = round(duration_s * recording.sfreq)
    segments: list[Segment] = []
    for start, stop in recording.stretches:
        first = len(segments)
        for begin in range(start, stop - length + 1, length):
            index = len(segments)
            segments.append(
                Segment(
                    index=index,
                    start_s=begin / recording.sfreq,
                    duration_s=duration_s,
                    signal_uv=recording.signal_uv[:, begin : begin + length],
                    sfreq=recording.sfreq,
                    ch_names=recording.ch_names,
                    history=tuple(range(max(first, index - history_k), index)),
                )
            )
    return segments


def segment_stream(
    head: Recording, n_times: int, chunks: Iterator[np.ndarray], piece: int, history_k: int = HISTORY_K
) -> Iterator[tuple[list[Segment], int]]:
    """As `segment_recording`, of a signal that arrives in chunks, in memory for `piece` segments.

    Args:
        head: the recording without its samples.
        n_times: T, samples to come.
        chunks: (C, n) microvolts, in order, T samples in all.
        piece: segments at a time.
        history_k: K.

    Yields:
        Neighbouring segments, and how many of the first were in the piece before: the (at most K) predecessors of the
        others. `index` and `start_s` are those in the recording; `history` indexes into the segments of the piece.
    """
    nothing = np.broadcast_to(np.float32(0), (head.n_chans, n_times))
    plan = segment_recording(replace(head, signal_uv=nothing), history_k=history_k)
    signal = _Window(head.n_chans, chunks)
    known: list[Segment] = []
    for first in range(0, len(plan), piece):
        new = [replace(s, signal_uv=signal.take(_samples_of(s))) for s in plan[first : first + piece]]
        part = [*known[len(known) - min(history_k, len(known)) :], *new]
        offset = part[0].index
        yield (
            [replace(s, history=tuple(h - offset for h in s.history if h >= offset)) for s in part],
            len(part) - len(new),
        )
        known = part


def _samples_of(segment: Segment) -> tuple[int, int]:
    start = round(segment.start_s * segment.sfreq)
    return start, start + round(segment.duration_s * segment.sfreq)


class _Window:
    """Ranges of a signal that arrives in chunks; each range begins at or behind the end of the one before."""

    def __init__(self, n_chans: int, chunks: Iterator[np.ndarray]) -> None:
        self._chunks, self._held, self._at = chunks, np.empty((n_chans, 0), np.float32), 0

    def take(self, samples: tuple[int, int]) -> np.ndarray:
        """Samples [start, stop), (C, n), an array of its own."""
        start, stop = samples
        while self._at + self._held.shape[1] < stop:
            chunk = next(self._chunks)
            kept = self._held[:, max(start - self._at, 0) :]
            self._at = max(self._at, min(start, self._at + self._held.shape[1]))
            self._held = np.concatenate([kept, chunk], axis=1)
        return self._held[:, start - self._at : stop - self._at].copy()


def stack_signals(segments: Sequence[Segment]) -> np.ndarray:
    """Signals of segments of one layout as one array, (S, C, T) microvolts."""
    return np.stack([segment.signal_uv for segment in segments])
