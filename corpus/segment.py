"""Ten-second segments of a recording, each of which knows the segments that precede it (NeuroNarrator, Sec. 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
    for start, stop in continuous_stretches(recording):
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


def continuous_stretches(recording: Recording) -> list[tuple[int, int]]:
    """Sample ranges [start, stop) between the breaks of a recording."""
    n_times = recording.signal_uv.shape[1]
    cuts = sorted({min(max(round(t * recording.sfreq), 0), n_times) for t in recording.breaks_s} | {0, n_times})
    return list(pairwise(cuts))


def stack_signals(segments: Sequence[Segment]) -> np.ndarray:
    """Signals of segments of one layout as one array, (S, C, T) microvolts."""
    return np.stack([segment.signal_uv for segment in segments])
