"""A recording in, a verified narrative out: the path that the command line, notebooks and evaluation share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, tee
from pathlib import Path
from typing import Any

import numpy as np

from corpus.dataset import Batch, collate
from corpus.describe import write_template
from corpus.findings import Findings
from corpus.recording import Recording, RecordingError, SetAside, SignalReader
from corpus.topomap import median_potential
from encoders.labram import CHANNEL_NAMES, CHANNEL_ROWS
from neuronarrator.calibrate import Confidence
from neuronarrator.document import build_document
from neuronarrator.history import history_cache
from neuronarrator.language.generation import Generation
from neuronarrator.models import AnyNarrator
from neuronarrator.narrator import Narrator
from neuronarrator.stream import (
    DrawnMaps,
    find_in_parts,
    lengthen_history,
    load_any_length,
    plan_segments,
    samples_of,
    window,
)
from neuronarrator.verify import VerifiedClaim, verify_narrative

BATCH_SIZE = 32
_KNOWN = {name.upper() for name in CHANNEL_NAMES[:CHANNEL_ROWS]}


@dataclass(frozen=True, eq=False)
class NarratedSegment:
    """A segment's findings, what the narrator wrote about it, the verdict on each of its claims, and how sure it is.

    `confidence` is None for a narrator without calibration.
    """

    findings: Findings
    generation: Generation
    claims: list[VerifiedClaim]
    confidence: Confidence | None = None


@dataclass(frozen=True, eq=False)
class NarratedRecording:
    """A recording, its narrated segments, their topomaps (S, 224, 224, 3) uint8, and the report document.

    Nothing that is as large as the signal is kept of a recording whose `signal_uv` is a `SignalReader`: the samples of
    its segments are such readers too, its maps are drawn when they are looked at, and its generations have no
    alternatives, once the confidence has used them.
    """

    recording: Recording
    segments: list[NarratedSegment]
    topomaps: np.ndarray | DrawnMaps
    document: dict[str, Any]


def load_for_model(path: str | Path) -> Recording:
    """Read and preprocess a recording; electrodes the encoder has no row for are set aside.

    The signal of a long one (`stream.HELD_VALUES`) is not held, but read in parts: see `stream.load_any_length`.

    Raises:
        RecordingError: the file cannot be narrated; one line says why and what to do.
    """
    return for_model(load_any_length(path))


def for_model(recording: Recording) -> Recording:
    """A preprocessed recording on the electrodes that the encoder knows; the others are set aside.

    Raises:
        RecordingError: it knows none of them.
    """
    rows = known_rows(recording.ch_names)
    if len(rows) == recording.n_chans:
        return recording
    why = "the encoder does not know this electrode"
    unknown = [SetAside(name, why) for i, name in enumerate(recording.ch_names) if i not in rows]
    signal_uv = recording.signal_uv
    return replace(
        recording,
        signal_uv=signal_uv.select(rows) if isinstance(signal_uv, SignalReader) else signal_uv[rows],
        ch_names=tuple(recording.ch_names[i] for i in rows),
        set_aside=(*recording.set_aside, *unknown),
    )


def known_rows(ch_names: Sequence[str]) -> list[int]:
    """Indices of the electrodes that the encoder has a row for; RecordingError where it has one for none of them."""
    rows = [i for i, name in enumerate(ch_names) if name.upper() in _KNOWN]
    if not rows:
        raise RecordingError(
            f"got electrodes {', '.join(ch_names[:8])}, expected at least one of the encoder's vocabulary (10-20 or "
            "10-10 names); rename the channels"
        )
    return rows


def narrate_recording(
    narrator: Narrator,
    recording: Recording,
    batch_size: int = BATCH_SIZE,
    on_progress: Callable[[int, int], None] | None = None,
) -> NarratedRecording:
    """Measure, narrate and verify every segment of a preprocessed recording, in one pass over its signal.

    Args:
        narrator: in eval mode.
        recording: from `load_for_model`.
        batch_size: segments a generation batch.
        on_progress: called with the number of segments done and of all segments after each batch.

    Raises:
        RecordingError: no continuous stretch holds a whole segment.
    """
    plan = plan_segments(recording)
    if not plan:
        raise RecordingError(
            f"got {recording.duration_s:.1f} s of signal in stretches below 10 s, expected at least one continuous "
            "stretch of 10 s; use a longer or less interrupted recording"
        )
    segments: list[NarratedSegment] = []
    potential_uv = np.empty((len(plan), recording.n_chans), np.float32)
    measured, again = tee(find_in_parts(recording, plan))  # what a batch has read is held until it is narrated
    for numbers, batch, generations in generate_batches(narrator, measured, batch_size):
        for row, (i, told, found) in enumerate(zip(numbers, generations, again, strict=False)):
            sure = None if narrator.calibration is None else narrator.calibration.confidence(told, batch, row)
            potential_uv[i] = median_potential(found.segment.signal_uv)
            narrated = NarratedSegment(found, told, verify_narrative(told.text, found), sure)
            segments.append(_without_signal(narrated, recording))
        if on_progress is not None:
            on_progress(len(segments), len(plan))
    maps = DrawnMaps(recording.ch_names, potential_uv)
    topomaps = maps if isinstance(recording.signal_uv, SignalReader) else maps[:]
    return NarratedRecording(recording, segments, topomaps, build_document(recording, segments, narrator.card))


def _without_signal(narrated: NarratedSegment, recording: Recording) -> NarratedSegment:
    """As it is kept: see `NarratedRecording`."""
    if not isinstance(recording.signal_uv, SignalReader):
        return narrated
    segment = narrated.findings.segment
    signal_uv: Any = window(recording.signal_uv, samples_of(segment))  # slices as an array does
    segment = replace(segment, signal_uv=signal_uv)
    told = replace(narrated.generation, alternatives=())
    return replace(narrated, findings=replace(narrated.findings, segment=segment), generation=told)


def generate_batches(
    narrator: AnyNarrator,
    findings: Iterable[Findings],
    batch_size: int = BATCH_SIZE,
    wanted: Sequence[bool] | None = None,
) -> Iterator[tuple[range, Batch, list[Generation]]]:
    """The segments of one recording in order, a batch at a time: their numbers, what the model reads, what it wrote.

    Everything that narrates comes through here, so that the same segments give the same text everywhere. No more than
    a batch is held, and each segment is encoded once (`history.HistoryCache`).

    Args:
        narrator: in eval mode.
        findings: of every segment; a history is the last segments before.
        batch_size: segments a batch.
        wanted: batches without a wanted segment are passed over; the others stay as they are. None: all.
    """
    cache = history_cache(narrator)
    for numbers, new, batch in read_batches(findings, narrator.config.history_k, batch_size):
        if wanted is not None and not any(wanted[number] for number in numbers):
            continue
        there = batch.to(narrator.device)
        tokens: dict[str, Any] = {}
        if cache is not None:
            tokens["tokens"] = cache(there, numbers, [found.segment.history for found in new])
        yield numbers, batch, narrator.generate(there, **tokens)


def read_batches(
    findings: Iterable[Findings], history_k: int, batch_size: int = BATCH_SIZE
) -> Iterator[tuple[range, list[Findings], Batch]]:
    """The segments of one recording in order, a batch at a time: their numbers, their findings, what a model reads.

    Args:
        findings: of every segment; a history is the last segments before, up to K whatever they were measured with.
        history_k: K.
        batch_size: segments a batch; no more than these and their history are held.
    """
    coming, start = lengthen_history(findings, history_k), 0
    before: list[Findings] = []
    while new := list(islice(coming, batch_size)):
        part = [*before, *new]
        yield range(start, start + len(new)), new, _collate(part, len(before), start, history_k)
        before, start = part[max(len(part) - history_k, 0) :], start + len(new)


def _collate(part: Sequence[Findings], n_before: int, start: int, history_k: int) -> Batch:
    """The batch of the segments behind the first `n_before`, which are their history; `start` is its first number."""
    first = start - n_before
    segments = [replace(f.segment, history=tuple(h - first for h in f.segment.history if h >= first)) for f in part]
    batch = collate(segments, [f.features for f in part], range(n_before, len(part)), history_k)
    batch.templates = [write_template(f) for f in part[n_before:]]
    return batch
