"""A corpus whose narratives a teacher model has rewritten: the same segments, each text checked."""

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from corpus.build import PARTS
from corpus.datasets import get_dataset
from corpus.findings import Findings
from corpus.labels import words_of
from corpus.refine import Teacher, Visibility, refine
from corpus.segment import Segment
from corpus.store import BuildInfo, CorpusReader, Row, assemble, read_manifest, write_part

CACHE = ".answers"  # below the new corpus; kept, so that a later run asks only what is new


def refine_corpus(
    source: Path,
    out: Path,
    teacher: Teacher,
    visibility: Visibility = "none",
    on_progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Let a teacher rewrite the narratives of a corpus; the result is a corpus of its own.

    Started again after a kill, it asks nothing twice: answers are cached in `out`.

    Args:
        source: folder of a corpus.
        out: folder of the new one.
        teacher: the endpoint.
        visibility: what prompts may tell of labels.
        on_progress: called with the dataset, the segments done in it, and their number.

    Returns:
        The manifest of the new corpus; `config.refine` holds how many answers were accepted, repaired and rejected.

    Raises:
        TeacherError: the endpoint cannot be used; what it answered is kept.
        ValueError: `out` is `source`, or `source` is no corpus.
    """
    if source.resolve() == out.resolve():
        raise ValueError("got one folder for both corpora, expected another for the new one; correct --out")
    manifest = read_manifest(source)
    parts, summaries = [], {}
    for name in manifest["counts"]:
        reader = CorpusReader(source, dataset=name, targets=False)
        rows = [reader[i].row for i in range(len(reader))]

        def progress(done: int, total: int, name: str = name) -> None:
            if on_progress is not None:
                on_progress(name, done, total)

        result = refine([findings_of(row) for row in rows], teacher, out / CACHE, visibility, progress)
        texts = zip(rows, result.texts, result.sources, strict=True)
        parts.append(out / PARTS / f"{name}.arrow")
        write_part((_retold(row, text, kind, teacher.model) for row, text, kind in texts), parts[-1])
        summaries[name] = asdict(result.summary) | {"rejection_rate": result.summary.rejection_rate}
    made = {"model": teacher.model, "temperature": teacher.temperature, "visibility": visibility, "datasets": summaries}
    info = BuildInfo(
        config={**manifest["config"], "refine": made},
        cards=[get_dataset(name).card for name in manifest["cards"]],
        seeds=manifest["seeds"],
        splits=manifest["splits"],
        version=manifest["version"],
    )
    done = assemble(parts, out, info)
    shutil.rmtree(out / PARTS)
    return done


def _retold(row: Row, narrative: str, kind: str, model: str) -> Row:
    source = row.text.source if kind == "offline" else model
    return replace(row, text=replace(row.text, narrative=narrative, source=source))


def findings_of(row: Row) -> Findings:
    """The findings that a row was made from, as far as texts need them."""
    segment = Segment(
        row.segment_index, row.start_s, row.duration_s, row.signal_uv, row.sfreq, row.ch_names, row.history
    )
    facts = set(row.facts)
    items = tuple(finding for finding in row.findings if finding.fact in facts)
    return Findings(segment, row.features, labels=words_of(row.age_years, row.sex, row.labels), items=items)
