"""The segments of one recording, just read or in a corpus: as windows for retrieval, with findings for narratives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from corpus.artifacts import Artifact
from corpus.datasets.base import Label
from corpus.findings import Findings, find_recording, find_segments
from corpus.labels import labels_of_segment
from corpus.recording import Recording, RecordingError
from corpus.rewrite import findings_of
from corpus.segment import SEGMENT_S
from corpus.store import CorpusReader, Row
from neuronarrator.narrate import known_rows
from neuronarrator.stream import plan_segments


class Material(Protocol):
    """The segments of one recording."""

    @property
    def subject(self) -> str:
        """Code of the person."""

    @property
    def ch_names(self) -> tuple[str, ...]:
        """C electrodes of the windows."""

    def windows(self, stride_s: float, size: int) -> Iterator[np.ndarray]:
        """Windows of ten seconds in order, at most `size` at a time, (B, C, T) float32 microvolts."""

    def findings(self) -> tuple[list[Findings], list[bool]]:
        """All segments, and which of them are examples (the others are only the history of one)."""

    def labels(self) -> list[tuple[Label, ...]]:
        """What the publisher says of each of these segments."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording as it was read and preprocessed (`Material`); `read_labels` asks its publisher."""

    subject: str
    recording: Recording
    read_labels: Callable[[], Sequence[Label]] = tuple

    def __post_init__(self) -> None:
        if not self._starts(SEGMENT_S):
            raise RecordingError(
                f"got {self.recording.duration_s:.1f} s of signal in stretches below 10 s, expected at least one "
                "continuous stretch of 10 s; use a longer or less interrupted recording"
            )

    @property
    def ch_names(self) -> tuple[str, ...]:
        """C electrodes."""
        return self.recording.ch_names

    def _starts(self, stride_s: float) -> list[int]:
        """First samples of the windows; none spans a break."""
        sfreq = self.recording.sfreq
        length, stride = round(SEGMENT_S * sfreq), max(round(stride_s * sfreq), 1)
        return [s for start, stop in self.recording.stretches for s in range(start, stop - length + 1, stride)]

    def windows(self, stride_s: float, size: int) -> Iterator[np.ndarray]:
        """A window begins every `stride_s` seconds of a continuous stretch."""
        length = round(SEGMENT_S * self.recording.sfreq)
        starts = self._starts(stride_s)
        for first in range(0, len(starts), size):
            yield np.stack([self.recording.signal_uv[:, s : s + length] for s in starts[first : first + size]])

    def findings(self) -> tuple[list[Findings], list[bool]]:
        """Every segment is an example."""
        found = find_recording(self.recording)
        return found, [True] * len(found)

    def labels(self) -> list[tuple[Label, ...]]:
        """The labels that touch each segment."""
        labels = self.read_labels()
        return [labels_of_segment(labels, s.start_s, s.duration_s) for s in plan_segments(self.recording)]


@dataclass(frozen=True, eq=False)
class Stored:
    """A recording in a corpus (`Material`): the numbers of its examples in the reader, in order of time."""

    reader: CorpusReader
    numbers: Sequence[int]

    def __post_init__(self) -> None:
        known_rows(self._first.ch_names)

    @cached_property
    def _first(self) -> Row:
        return self.reader[self.numbers[0]].row

    @property
    def subject(self) -> str:
        """As in the corpus: qualified by the family of the dataset."""
        return self._first.subject

    @property
    def ch_names(self) -> tuple[str, ...]:
        """C electrodes that the encoder knows."""
        names = self._first.ch_names
        return tuple(names[i] for i in known_rows(names))

    def windows(self, stride_s: float, size: int) -> Iterator[np.ndarray]:
        """The examples as they are stored, one every ten seconds; ValueError for any other stride."""
        if stride_s != SEGMENT_S:
            raise ValueError(
                f"got windows every {stride_s:g} s of a corpus, expected {SEGMENT_S:g} s, as its segments are stored; "
                "evaluate the recordings themselves for another stride"
            )
        rows = known_rows(self._first.ch_names)
        for first in range(0, len(self.numbers), size):
            records = [self.reader[number] for number in self.numbers[first : first + size]]
            yield np.stack([record.signal_uv[rows] for record in records])

    def findings(self) -> tuple[list[Findings], list[bool]]:
        """As stored, with the segments that are the history of an example.

        Where the encoder does not know every electrode they are measured again, on those it knows.
        """
        rows = self._rows()
        places = {index: place for place, index in enumerate(rows)}
        found = [_restored(rows[index], places) for index in places]
        if len(self.ch_names) < len(self._first.ch_names):
            known = known_rows(self._first.ch_names)
            segments = [replace(f.segment, signal_uv=f.segment.signal_uv[known], ch_names=self.ch_names) for f in found]
            found = find_segments(segments)
        return found, [rows[index].target for index in places]

    def labels(self) -> list[tuple[Label, ...]]:
        """As stored."""
        return [row.labels for row in self._rows().values()]

    def _rows(self) -> dict[int, Row]:
        """The examples and their histories by number of the segment, in order."""
        rows: dict[int, Row] = {}
        for record in map(self.reader.__getitem__, self.numbers):
            rows |= {row.segment_index: row for row in (*record.history, record.row)}
        return dict(sorted(rows.items()))


def _restored(row: Row, places: dict[int, int]) -> Findings:
    """The findings of a row; `history` becomes places in the list that they stand in."""
    found = findings_of(row)
    stated = [item for item in found.of("artifact") if item.value != "none"]
    artifacts = [
        Artifact(item.value, item.ch_names, item.start_s, item.duration_s, item.measured or 0.0, item.unit)
        for item in stated
    ]
    history = tuple(places[index] for index in row.history if index in places)
    segment = replace(found.segment, index=places[row.segment_index], history=history)
    return replace(found, segment=segment, artifacts=tuple(artifacts))
