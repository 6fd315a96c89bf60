"""The records that describe one EEG recording, and its time axis when it has gaps."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np


class RecordingError(ValueError):
    """A recording that cannot be used. One line: got X, expected Y, do Z. Never quotes a header or a full path."""


@dataclass(frozen=True)
class SetAside:
    """A channel of the file that is not used, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Annotation:
    """A remark in the file, on the time axis of the signal (seconds from its first sample)."""

    start_s: float
    duration_s: float
    description: str


@dataclass(frozen=True)
class Defect:
    """A stretch of one channel whose samples are not measurements, e.g. "missing samples"."""

    ch_name: str
    start_s: float
    duration_s: float
    why: str


@dataclass(frozen=True)
class Subject:
    """All that may leave about a person: whole years at the recording (capped at 90) and sex ("F" or "M")."""

    age_years: int | None = None
    sex: str | None = None


@dataclass(frozen=True)
class Provenance:
    """Where a recording comes from (base name or code of the file, its SHA-256 and rate) and what was done."""

    file: str
    format: str
    sha256: str
    sfreq: float
    steps: tuple[str, ...] = ()


Rows = slice | np.ndarray | list[int]  # of channels


class SignalReader:
    """Samples that are read when they are needed; takes the place of `Recording.signal_uv` for long recordings.

    It slices like an array, always by channels and times: `reader[rows, start:stop]`.

    Args:
        read: (start, stop) -> (C, stop - start) microvolts; NaN where a sample is missing.
        shape: (C, T).
        rows: channels of what `read` returns that this reader has; None: all.
    """

    def __init__(
        self, read: Callable[[int, int], np.ndarray], shape: tuple[int, int], rows: np.ndarray | None = None
    ) -> None:
        self._read, self._rows = read, rows
        self.shape = shape if rows is None else (len(rows), shape[1])

    def __getitem__(self, key: tuple[Rows, slice]) -> np.ndarray:
        rows, times = key
        start, stop, _ = times.indices(self.shape[1])
        block = np.asarray(self._read(start, stop))
        return (block if self._rows is None else block[self._rows])[rows]

    def select(self, rows: list[int]) -> "SignalReader":
        """The same samples of some of the channels."""
        chosen = np.arange(self.shape[0])[rows] if self._rows is None else self._rows[rows]
        return SignalReader(self._read, self.shape, chosen)

    def beside(self, other: "SignalReader") -> "SignalReader":
        """The channels of this reader, then those of another of the same length."""
        shape = (self.shape[0] + other.shape[0], self.shape[1])
        return SignalReader(lambda a, b: np.concatenate([self[:, a:b], other[:, a:b]]), shape)


@dataclass(frozen=True, eq=False)
class Recording:
    """A continuous signal with its facts, free of identity.

    Attributes:
        signal_uv: (C, T), microvolts; NaN where a sample is missing or no number. Of a recording as it was read, and
            longer than `corpus.recording.read.MAX_LOADED_BYTES`, a `SignalReader`.
        sfreq: samples per second.
        ch_names: C unique names.
        breaks_s: times on the signal's own axis where it is not continuous.
        warnings: stated degradations, one sentence each, to be shown in the report.
        timeline: where the signal lies in the time of the file; None: it is the same.

    Raises:
        RecordingError: if the array is not (C, T) with one unique name per row.
    """

    signal_uv: Any = field(repr=False)
    sfreq: float
    ch_names: tuple[str, ...]
    annotations: tuple[Annotation, ...] = ()
    breaks_s: tuple[float, ...] = ()
    defects: tuple[Defect, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    subject: Subject = Subject()
    provenance: Provenance | None = None
    warnings: tuple[str, ...] = ()
    timeline: "Timeline | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape, names = np.shape(self.signal_uv), self.ch_names
        if len(shape) != 2 or shape[0] != len(names) or len(set(names)) != len(names):
            raise RecordingError(
                f"got a signal of shape {shape} with {len(names)} names ({len(set(names))} different), "
                "expected (channels, samples) and one unique name per channel; correct ch_names or transpose"
            )

    @property
    def duration_s(self) -> float:
        """Length of the signal, seconds."""
        return self.signal_uv.shape[1] / self.sfreq

    @property
    def n_chans(self) -> int:
        """Number of channels."""
        return self.signal_uv.shape[0]

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Samples [start, stop) of every continuous stretch, in order."""
        n_times = self.signal_uv.shape[1]
        cuts = {min(max(round(t * self.sfreq), 0), n_times) for t in self.breaks_s} | {0, n_times}
        return list(pairwise(sorted(cuts)))

    def to_signal(self, time_s: float) -> float:
        """A time of the file, as tables beside it state it, on the axis of the signal, whose gaps are cut out."""
        return time_s if self.timeline is None else self.timeline.to_signal(time_s)

    def with_step(self, text: str, **changes: Any) -> "Recording":
        """A new recording with `changes` applied and `text` added to what was done (`provenance.steps`)."""
        origin = self.provenance or Provenance(file="", format="array", sha256="", sfreq=self.sfreq)
        return replace(self, provenance=replace(origin, steps=(*origin.steps, text)), **changes)


@dataclass
class Contents:
    """What a reader hands over: microvolts on one time axis, and identity still inside."""

    format: str
    signal_uv: Any
    sfreq: float
    ch_names: list[str]
    annotations: list[Annotation]
    breaks_s: list[float]
    set_aside: list[SetAside]
    subject: Subject
    identity: tuple[str, ...]  # header texts that name a person, a patient number, a hospital
    warnings: list[str]
    timeline: "Timeline | None" = None


@dataclass(frozen=True)
class Timeline:
    """Pieces of continuous signal: when each began (file time) and where it lies (signal time), seconds."""

    file_s: np.ndarray
    signal_s: np.ndarray
    length_s: np.ndarray

    @property
    def breaks_s(self) -> list[float]:
        """Where one piece ends and the next begins, on the signal's axis."""
        return [float(t) for t in self.signal_s[1:]]

    def to_signal(self, time_s: float) -> float:
        """A file time on the signal's axis; a time inside a gap falls on its break."""
        piece = max(int(np.searchsorted(self.file_s, time_s + 1e-6, side="right")) - 1, 0)
        within = time_s - self.file_s[piece]
        if piece < len(self.file_s) - 1:
            within = min(within, self.length_s[piece])
        return float(self.signal_s[piece] + within)

    def place(self, annotation: Annotation) -> Annotation:
        """An annotation moved from file time to signal time."""
        start_s = self.to_signal(annotation.start_s)
        duration_s = self.to_signal(annotation.start_s + annotation.duration_s) - start_s
        return replace(annotation, start_s=start_s, duration_s=duration_s)


def timeline_of(starts: np.ndarray, stops: np.ndarray) -> Timeline:
    """Pieces [start, stop) in file time, in order, laid end to end."""
    lengths = stops - starts
    return Timeline(starts, np.concatenate([[0.0], np.cumsum(lengths)[:-1]]), lengths)
