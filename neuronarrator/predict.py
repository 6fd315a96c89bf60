"""Narratives of many recordings as one file of predictions, written so that a killed run can go on."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from corpus.claims import facts_of
from corpus.findings import Findings
from neuronarrator.calibrate import Confidence
from neuronarrator.evaluate.material import Material, Recorded
from neuronarrator.evaluate.predictions import Place, check_recordings, place, read_lines, recording_of
from neuronarrator.evaluate.sources import Item, none_usable, usable
from neuronarrator.language.generation import Generation
from neuronarrator.models import AnyNarrator
from neuronarrator.narrate import generate_batches
from neuronarrator.stream import find_in_parts, plan_segments


def predict(
    narrator: AnyNarrator,
    items: Iterable[Item],
    out: str | Path,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """Narrate recordings into a file; a run that was killed goes on where it stopped, to the same bytes.

    Where the narrator has a calibration, each line has "calibrated", the probability that all claims are supported,
    "familiarity" of the input and "refer", whether a human should read it.

    Args:
        narrator: in eval mode.
        items: from `evaluate.sources.open_data`, the same on each run.
        out: JSON lines; written a batch at a time, each flushed to the disk. A line that was cut off is written anew.
        on_progress: called with the number of segments in the file after each batch.

    Returns:
        The recordings that could not be used, with the reason of each.

    Raises:
        RecordingError: no recording can be used.
        ValueError: the file is of another model, or two recordings have one name.
    """
    items, out = list(items), Path(out)
    check_recordings(items)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    lines, whole = read_lines(out)
    model = f"{narrator.card['name']} {narrator.card['sha256'][:16]}"
    if others := {line.get("model") for line in lines} - {model}:
        raise ValueError(f"got {out.name} with narratives of {min(map(str, others))!r}, expected {model!r}: rename it")
    os.truncate(out, whole)
    done = {place(line) for line in lines}
    complete = {where[:2] for where in done} - {place(line)[:2] for line in lines[-1:]}  # a later one was begun
    todo = [item for item in items if recording_of(item) not in complete]
    skipped: dict[str, str] = {}
    count = len(done)
    with out.open("a", encoding="utf-8") as file:
        for item, material in usable(todo, skipped):
            for part in _narrated(narrator, item, material, done):
                _append(file, [{**line, "model": model} for line in part])
                count += len(part)
                if on_progress is not None:
                    on_progress(count)
    if count == 0:
        raise none_usable(skipped)
    return skipped


def _narrated(
    narrator: AnyNarrator, item: Item, material: Material, done: set[Place]
) -> Iterator[list[dict[str, Any]]]:
    """The lines of one recording that are not written yet, a batch at a time; batches are those of a whole run."""
    starts_s, examples, findings = _measured(material)
    calibration = narrator.calibration
    dataset, recording = recording_of(item)
    wheres = [{"dataset": dataset, "recording": recording, "start_s": start_s} for start_s in starts_s]
    wanted = [example and place(where) not in done for where, example in zip(wheres, examples, strict=True)]
    for numbers, batch, generations in generate_batches(narrator, findings, wanted=wanted):
        lines = []
        for row, (i, told) in enumerate(zip(numbers, generations, strict=True)):
            if wanted[i]:
                sure = {} if calibration is None else _calibrated(calibration.confidence(told, batch, row))
                lines.append(wheres[i] | _told(material, i, told) | sure)
        yield lines


def _measured(material: Material) -> tuple[list[float], list[bool], Iterable[Findings]]:
    """Where the segments begin, which of them are examples, and their findings: of a recording measured on the way."""
    if isinstance(material, Recorded):
        plan = plan_segments(material.recording)
        return [s.start_s for s in plan], [True] * len(plan), find_in_parts(material.recording, plan)
    findings, examples = material.findings()
    return [f.segment.start_s for f in findings], examples, findings


def _calibrated(confidence: Confidence) -> dict[str, Any]:
    told = {"calibrated": confidence.value, "familiarity": confidence.familiarity}
    return {name: round(value, 6) for name, value in told.items()} | {"refer": confidence.refer}


def _told(material: Material, number: int, told: Generation) -> dict[str, Any]:
    """What a line says beside its place."""
    log_probs = told.log_probs or (0.0,)
    return {
        "segment": number,
        "subject": material.subject,
        "text": told.text,
        "confidence": round(told.confidence, 6),
        "log_prob": {
            "mean": round(sum(log_probs) / len(log_probs), 6),
            "min": round(min(log_probs), 6),
            "tokens": len(told.tokens),
        },
        "facts": sorted(facts_of(told.text)),
    }


def _append(file: TextIO, lines: Sequence[dict[str, Any]]) -> None:
    file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    file.flush()
    os.fsync(file.fileno())
