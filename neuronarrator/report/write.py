"""Writes the report of one recording in the formats asked for."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from corpus.recording import Recording
from neuronarrator.report.document import check_document, dump_json, plain
from neuronarrator.report.markdown import render_markdown
from neuronarrator.report.page import render_page
from neuronarrator.report.topomaps import Maps

FORMATS = ("html", "json", "md")


def write_report(
    document: dict[str, Any],
    recording: Recording,
    topomaps: np.ndarray | Maps | None,
    directory: Path,
    formats: tuple[str, ...] = FORMATS,
    stem: str | None = None,
) -> dict[str, Path]:
    """Write the report of a recording as `<stem>.html`, `<stem>.json` and `<stem>.md`.

    Each file replaces its predecessor in one step, and none before all of them are complete.

    Args:
        document: the report document, schema `neuronarrator.report/1`.
        recording: the preprocessed recording the document describes; signal (C, T) in µV.
        topomaps: (S, H, W, 3) uint8, one scalp map a segment, or None for a report without maps.
        directory: where the files go; made if missing.
        formats: any of "html", "json", "md".
        stem: name of the files without suffix; None takes that of the recording's file.

    Returns:
        The path of each file by its format.

    Raises:
        ValueError: an unknown format or schema, a document without a usable file name, or maps that do not match.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"got format {unknown[0]!r}, expected one of {', '.join(FORMATS)}; drop or correct it")
    clean = plain(document)
    check_document(clean, topomaps)
    stem = stem or _stem(clean["recording"]["file"])
    renderers: dict[str, Callable[[], Iterable[str]]] = {
        "html": lambda: [render_page(clean, recording, topomaps)],
        "json": lambda: dump_json(clean),
        "md": lambda: [render_markdown(clean)],
    }
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: directory / f"{stem}.{name}" for name in formats}
    complete: dict[Path, Path] = {}
    try:
        for name, path in paths.items():
            complete[path] = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            _write(complete[path], renderers[name]())
        for path, temporary in complete.items():
            os.replace(temporary, path)
    except BaseException:
        for temporary in complete.values():
            temporary.unlink(missing_ok=True)
        raise
    return paths


def _stem(file: str) -> str:
    stem = PureWindowsPath(str(file)).stem  # knows both kinds of separator, so no part of a path survives
    if not stem.strip(". "):
        raise ValueError(f"got recording file {file!r}, expected a file name such as 'night1.edf'; set recording.file")
    return stem


def _write(path: Path, pieces: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        stream.writelines(pieces)
        stream.flush()
        os.fsync(stream.fileno())
