"""Recordings of any length: samples that are computed when they are read, segments that are measured part by part."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from corpus.artifacts import detect_in_all
from corpus.features import CHUNK, Features, extract_features
from corpus.findings import Findings, find
from corpus.preprocess import NEURONARRATOR, PreprocessPreset, pick_channels, preprocess, preprocess_stream
from corpus.recording import Recording, SignalReader, read_recording
from corpus.segment import Segment, segment_recording
from corpus.topomap import TopomapRenderer

HELD_VALUES = 1 << 25
"""Channels x samples that are held in memory, 128 MiB: 2.4 hours of 19 electrodes, 44 minutes of 64."""


def load_any_length(path: str | Path, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """As `corpus.preprocess.load_recording`, of a recording of any length: see `preprocess_any_length`.

    EDF and BDF files of one rate are read in pieces; files of other formats are held as they are read.

    Raises:
        RecordingError: whatever makes the file unusable, in one line.
    """
    return preprocess_any_length(*pick_channels(read_recording(path), preset))


def preprocess_any_length(recording: Recording, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """As `corpus.preprocess.preprocess`, in memory that does not grow with the recording.

    Up to `HELD_VALUES` the result is the same. Beyond, its `signal_uv` is a `SignalReader` that preprocesses what is
    read: going on in time costs one pass over the recording in all, going back starts the pass anew. Its samples are
    those of `corpus.preprocess.preprocess_stream`.

    Raises:
        RecordingError: as `preprocess`.
    """
    if recording.n_chans * recording.duration_s * preset.sfreq <= HELD_VALUES:
        return preprocess(recording, preset)
    stream = preprocess_stream(recording, preset)
    first = iter([stream.chunks])  # the signal was inspected for this pass; a later one has to do it again
    read = ForwardReader(lambda: next(first, None) or preprocess_stream(recording, preset).chunks)
    return replace(stream.head, signal_uv=SignalReader(read, (stream.head.n_chans, stream.n_times)))


class ForwardReader:
    """Samples [start, stop) of a signal that comes in chunks, kept only as long as later ones may need them.

    Args:
        begin: gives the chunks (C, n) from the first sample on; asked again where an earlier sample is wanted than the
            chunk holds in which the last read began.
    """

    def __init__(self, begin: Callable[[], Iterator[np.ndarray]]) -> None:
        self._begin = begin
        self._chunks: Iterator[np.ndarray] | None = None
        self._held: deque[np.ndarray] = deque()
        self._at = self._end = 0  # samples that `_held` begins and ends with

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """(C, stop - start), an array of its own."""
        if self._chunks is None or start < self._at:
            self._chunks, self._at, self._end = self._begin(), 0, 0
            self._held.clear()
        while self._end < stop or not self._held:
            self._held.append(next(self._chunks))
            self._end += self._held[-1].shape[1]
            self._drop(start)
        self._drop(start)
        first = self._at
        parts = []
        for chunk in self._held:
            parts.append(chunk[:, max(start - first, 0) : max(stop - first, 0)])
            first += chunk.shape[1]
        return np.concatenate(parts, axis=1)

    def _drop(self, start: int) -> None:
        """Forget the chunks that end before a sample, but the last."""
        while len(self._held) > 1 and self._at + self._held[0].shape[1] <= start:
            self._at += self._held.popleft().shape[1]


def plan_segments(recording: Recording) -> list[Segment]:
    """The segments of a recording in order, without their samples: nothing is read."""
    nothing = np.broadcast_to(np.float32(0), recording.signal_uv.shape)
    return segment_recording(replace(recording, signal_uv=nothing))


def samples_of(segment: Segment) -> slice:
    """Where a segment stands among the samples of its recording."""
    start = round(segment.start_s * segment.sfreq)
    return slice(start, start + round(segment.duration_s * segment.sfreq))


def find_in_parts(recording: Recording, plan: Sequence[Segment]) -> Iterator[Findings]:
    """As `corpus.findings.find_recording`, the same findings, in memory for `CHUNK` segments.

    Args:
        recording: preprocessed, of any length.
        plan: its segments, from `plan_segments`.

    Yields:
        The findings of one segment after another; `index` and `history` of the segments are those in the recording.
    """
    mean_band: dict[int, np.ndarray] = {}  # (6,) µV² of the segments that come next in somebody's history
    for first in range(0, len(plan), CHUNK):
        some = plan[first : first + CHUNK]
        segments = [replace(s, signal_uv=recording.signal_uv[:, samples_of(s)]) for s in some]
        features = _features(segments, mean_band)
        artifacts = detect_in_all(segments, features, recording.defects)
        for segment, own, found in zip(segments, features, artifacts, strict=True):
            yield find(segment, own, found)
        del segments  # before the next are read


def lengthen_history(findings: Iterable[Findings], history_k: int) -> Iterator[Findings]:
    """The findings of all segments of a recording, whose segments know up to `history_k` predecessors.

    What was measured of them stays: a trend is that of the reference, whatever a narrator sees of the past.
    """
    known, end_s = 0, 0.0
    for number, found in enumerate(findings):
        segment = found.segment
        near = abs(segment.start_s - end_s) < 1 / segment.sfreq  # else a corpus does not store what is between
        follows = near and number - 1 in segment.history
        known, end_s = min(known + 1, history_k) if follows else 0, segment.start_s + segment.duration_s
        yield replace(found, segment=replace(segment, history=tuple(range(number - known, number))))


def _features(segments: Sequence[Segment], mean_band: dict[int, np.ndarray]) -> list[Features]:
    """As `extract_features`; histories that begin in an earlier part are looked up in `mean_band`, which goes on."""
    first = segments[0].index
    alone = [replace(s, history=tuple(h - first for h in s.history if h >= first)) for s in segments]
    features = extract_features(alone)
    mean_band |= {s.index: f.channel_band_power_uv2.mean(0) for s, f in zip(segments, features, strict=True)}
    for i, segment in enumerate(segments):
        if segment.history and segment.history[0] < first:
            before = np.stack([mean_band[number] for number in segment.history]).mean(0)
            features[i] = replace(features[i], history_band_power_uv2=before)
    for number in [n for n in mean_band if n < first]:
        del mean_band[number]
    return features


def window(signal_uv: SignalReader, samples: slice) -> SignalReader:
    """Some of the samples, read when they are needed."""
    first, shape = samples.start, (signal_uv.shape[0], samples.stop - samples.start)
    return SignalReader(lambda start, stop: signal_uv[:, first + start : first + stop], shape)


class DrawnMaps:
    """Topomaps (S, 224, 224, 3) uint8 that are drawn when they are looked at, by index or slice.

    Args:
        ch_names: C electrode names.
        potential_uv: (S, C) µV.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, ch_names: Sequence[str], potential_uv: np.ndarray) -> None:
        self._renderer, self._potential_uv = TopomapRenderer(ch_names), potential_uv
        self.shape = (len(potential_uv), self._renderer.size, self._renderer.size, 3)

    def __len__(self) -> int:
        return len(self._potential_uv)

    def __getitem__(self, which: int | slice) -> np.ndarray:
        chosen = self._potential_uv[which]
        maps = np.asarray(self._renderer(np.atleast_2d(chosen)))
        return maps if chosen.ndim == 2 else maps[0]
