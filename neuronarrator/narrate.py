"""A recording in, a verified narrative out: the path that the command line, notebooks and evaluation share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpus.dataset import Batch, segment_batches
from corpus.findings import Findings, find_recording
from corpus.preprocess import load_recording
from corpus.recording import Recording, RecordingError, SetAside
from corpus.topomap import TopomapRenderer, median_potential
from encoders.labram import CHANNEL_NAMES, CHANNEL_ROWS
from neuronarrator.calibrate import Confidence
from neuronarrator.document import build_document
from neuronarrator.language.generation import Generation
from neuronarrator.models import AnyNarrator
from neuronarrator.narrator import Narrator
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
    """A recording, its narrated segments, their topomaps (S, 224, 224, 3) uint8, and the report document."""

    recording: Recording
    segments: list[NarratedSegment]
    topomaps: np.ndarray
    document: dict[str, Any]


def load_for_model(path: str | Path) -> Recording:
    """Read and preprocess a recording; electrodes the encoder has no row for are set aside.

    Raises:
        RecordingError: the file cannot be narrated; one line says why and what to do.
    """
    return for_model(load_recording(path))


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
    return replace(
        recording,
        signal_uv=recording.signal_uv[rows],
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
    """Measure, narrate and verify every segment of a preprocessed recording.

    Args:
        narrator: in eval mode.
        recording: from `load_for_model`.
        batch_size: segments a generation batch.
        on_progress: called with the number of segments done and of all segments after each batch.

    Raises:
        RecordingError: no continuous stretch holds a whole segment.
    """
    findings = find_recording(recording)
    if not findings:
        raise RecordingError(
            f"got {recording.duration_s:.1f} s of signal in stretches below 10 s, expected at least one continuous "
            "stretch of 10 s; use a longer or less interrupted recording"
        )
    segments: list[NarratedSegment] = []
    for numbers, batch, generations in generate_batches(narrator, findings, batch_size):
        for row, (i, told) in enumerate(zip(numbers, generations, strict=True)):
            sure = None if narrator.calibration is None else narrator.calibration.confidence(told, batch, row)
            segments.append(NarratedSegment(findings[i], told, verify_narrative(told.text, findings[i]), sure))
        if on_progress is not None:
            on_progress(len(segments), len(findings))
    potential = np.stack([median_potential(f.segment.signal_uv) for f in findings])
    topomaps = np.asarray(TopomapRenderer(recording.ch_names)(potential))
    return NarratedRecording(recording, segments, topomaps, build_document(recording, segments, narrator.card))


def generate_batches(
    narrator: AnyNarrator,
    findings: Sequence[Findings],
    batch_size: int = BATCH_SIZE,
    wanted: Sequence[bool] | None = None,
) -> Iterator[tuple[range, Batch, list[Generation]]]:
    """The segments of one recording in order, a batch at a time: their numbers, what the model reads, what it wrote.

    Everything that narrates comes through here, so that the same segments give the same text everywhere.

    Args:
        narrator: in eval mode.
        findings: of every segment.
        batch_size: segments a batch.
        wanted: batches without a wanted segment are passed over; the others stay as they are. None: all.
    """
    for i, batch in enumerate(segment_batches(findings, batch_size, history_k=narrator.config.history_k)):
        numbers = range(i * batch_size, i * batch_size + len(batch))
        if wanted is None or any(wanted[number] for number in numbers):
            yield numbers, batch, narrator.generate(batch.to(narrator.device))
