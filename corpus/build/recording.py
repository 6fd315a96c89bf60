"""One recording to its part: read, preprocessed, measured, described and stored."""

import hashlib
import json
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

import numpy as np

from corpus.background import find_complete
from corpus.build.config import BuildConfig
from corpus.build.task import Outcome, Task
from corpus.caption import write_caption
from corpus.datasets import EegDataset, Label, get_dataset
from corpus.describe import write_narrative, write_template
from corpus.findings import Findings
from corpus.labels import labels_of_segment, words_of
from corpus.preprocess import PRESETS, Stream, pick_channels, preprocess_stream
from corpus.recording import RecordingError, Subject
from corpus.refine import visible_labels
from corpus.segment import SEGMENT_S, Segment, segment_stream
from corpus.store import Origin, Row, Text, atomic, row_of, write_part
from corpus.topomap import TopomapRenderer, median_potential

PIECE = 360  # segments that are measured at a time: an hour; findings about the recording are about the hour


def process_recording(task: Task) -> Outcome:
    """Read, preprocess, measure, describe and store one recording, or find that this was done before.

    A problem leaves neither part nor note: another run tries again.
    """
    part = task.parts / f"{task.name}.arrow"
    note = part.with_suffix(".json")
    if (before := _done_before(note, part)) is not None:
        return before
    done = Outcome(task.dataset, task.entry.id, part.name)
    try:
        n_segments, duration_s = _make_part(task, part)
    except RecordingError as error:
        return replace(done, problem=str(error))
    except Exception as error:  # one bad recording never loses the others; the error's own text may quote a header
        where = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"internal error, {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        return replace(done, problem=problem)
    done = replace(done, n_segments=n_segments, duration_s=duration_s, part_bytes=part.stat().st_size)
    with atomic(note, durable=False) as stream:
        stream.write(json.dumps(asdict(done)).encode())
    return done


def _done_before(note: Path, part: Path) -> Outcome | None:
    """What the note of an earlier run says, unless a loss of power cut it or its part short."""
    try:
        done = Outcome(**json.loads(note.read_text()))
        return done if part.stat().st_size == done.part_bytes else None
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _make_part(task: Task, part: Path) -> tuple[int, float]:
    dataset = get_dataset(task.dataset)
    loaded = dataset.load(task.entry)
    preset = replace(PRESETS[task.config.profile], notch=dataset.card.mains_hz or "auto")
    stream = preprocess_stream(*pick_channels(loaded.recording, preset))
    rows = _rows(task, dataset, stream, loaded.labels)
    first = next(rows, None)
    if first is None:
        raise RecordingError(
            f"got no continuous stretch of {SEGMENT_S:g} s between breaks, expected one at least; leave the recording "
            "out, or export it without interruptions"
        )
    n_segments = write_part(chain([first], rows), part)
    return n_segments, stream.n_times / stream.head.sfreq


def _rows(task: Task, dataset: EegDataset, stream: Stream, labels: tuple[Label, ...]) -> Iterator[Row]:
    entry, config, recording = task.entry, task.config, stream.head
    assert recording.provenance is not None  # every reader gives one
    stated, read = entry.facts, recording.subject
    age_years = read.age_years if stated.age_years is None else stated.age_years
    person = Subject(age_years, stated.sex or read.sex)
    origin = Origin(
        entry=entry,
        card=dataset.card,
        provenance=recording.provenance,
        subject=person,
        split=task.split,
        mains_hz=_removed_mains(recording.provenance.steps),
    )
    for found, topomap in _findings(stream, config):
        segment = found.segment
        own = labels_of_segment(labels, segment.start_s, segment.duration_s)
        told = replace(found, labels=words_of(person.age_years, person.sex, own))
        yield row_of(origin, told, own, _text(told, config, f"{task.dataset}/{entry.id}"), topomap)


def _findings(stream: Stream, config: BuildConfig) -> Iterator[tuple[Findings, bytes | None]]:
    """Of every segment, with its map, an hour at a time; history and index are those in the recording."""
    head = stream.head
    for segments, seen in segment_stream(head, stream.n_times, stream.chunks, PIECE, config.history_k):
        offset = segments[0].index
        maps = _draw_maps(segments[seen:], config.topomap_size)
        for found, topomap in zip(find_complete(segments, head.defects)[seen:], maps, strict=True):
            segment = found.segment
            history = tuple(h + offset for h in segment.history)
            yield replace(found, segment=replace(segment, history=history)), topomap


def _draw_maps(segments: Sequence[Segment], size: int | None) -> Sequence[bytes | None]:
    if size is None or not segments:
        return [None] * len(segments)
    renderer = TopomapRenderer(segments[0].ch_names, size)
    return renderer.png(np.stack([median_potential(segment.signal_uv) for segment in segments]))


def _text(findings: Findings, config: BuildConfig, recording: str) -> Text:
    allowed = replace(findings, labels=visible_labels(findings.labels, config.label_visibility))
    name = f"{config.seed}:{recording}:{findings.segment.index}"
    wording = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return Text(write_template(findings), write_narrative(allowed, wording), write_caption(allowed, wording))


def _removed_mains(steps: Sequence[str]) -> float | None:
    removed = [float(step.split()[1]) for step in steps if step.startswith("notch ")]
    return removed[0] if removed else None
