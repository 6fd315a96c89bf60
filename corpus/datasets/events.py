"""Files of a published folder, and labels with a start and an end, brought onto the signal of their recording."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from corpus.datasets.base import Label, Loaded
from corpus.recording import Recording, RecordingError

TOLERANCE_S = 1.0  # published times are rounded: a label may end this much after the signal without a warning
SEIZURE_LABELS = {
    "seizure": "from the published onset to the published end of a seizure, all channels",
    "background": "the rest of a recording whose seizures the publisher lists; pre- and postictal time included",
}


def matching(root: Path, layout: str, ending: str = ".edf") -> list[tuple[Path, str, re.Match[str]]]:
    """Files below `root` whose path fits the layout: (path, path below the root without extension, match), by id.

    Args:
        root: folder to search.
        layout: regular expression of the whole path below the root, without extension, parts joined by "/".
        ending: of the files.

    Raises:
        ValueError: no file fits; a folder may be incomplete but not empty.
    """
    found = []
    for path in root.rglob(f"*{ending}"):
        name = path.relative_to(root).as_posix().removesuffix(ending)
        fits = re.fullmatch(layout, name)
        if fits and not path.name.startswith("."):
            found.append((path, name, fits))
    if not found:
        raise ValueError(
            f"got a folder {root.name!r} without a recording in the published layout, expected paths such as "
            f"{layout}{ending}; give the dataset's own folder"
        )
    return sorted(found, key=lambda item: item[1])


def beside(path: Path, endings: Sequence[str]) -> list[Path]:
    """Those of the files `path` without its extension plus an ending that exist, in the order of `endings`."""
    files = [path.with_name(path.stem + ending) for ending in endings]
    return [file for file in files if file.is_file()]


def read_lines(path: Path) -> list[str]:
    """Lines of a small text file without surrounding blanks.

    Raises:
        RecordingError: the file is missing.
    """
    if not path.is_file():
        raise RecordingError(f"got no file {path.name}, expected the published annotations; copy the whole folder")
    return [line.strip() for line in path.read_text("utf-8", errors="replace").splitlines()]


def on_signal(recording: Recording, labels: Iterable[Label]) -> list[Label]:
    """Labels in the time of the file brought onto the signal, whose gaps are cut out."""
    placed = []
    for label in labels:
        start_s, length_s = recording.to_signal(label.start_s), label.duration_s
        if length_s is not None:
            length_s = recording.to_signal(label.start_s + length_s) - start_s
        placed.append(replace(label, start_s=start_s, duration_s=length_s))
    return placed


def with_labels(recording: Recording, labels: Iterable[Label], warnings: Sequence[str] = ()) -> Loaded:
    """The recording with those labels that lie on its signal; what had to be cut is told in its warnings.

    Their times are those of the signal: `on_signal` brings published ones there. A label that ends after the signal is
    cut at its end; one that starts after it, or has no extent, is dropped.
    """
    kept, n_cut, n_dropped = [], 0, 0
    for label in labels:
        if label.duration_s is None:
            kept.append(label)
            continue
        room_s = recording.duration_s - label.start_s
        if room_s <= 0 or label.duration_s <= 0 or label.start_s < 0:
            n_dropped += 1
            continue
        n_cut += label.duration_s > room_s + TOLERANCE_S
        kept.append(replace(label, duration_s=min(label.duration_s, room_s)))
    told = list(warnings)
    if n_cut:
        told.append(f"{n_cut} published labels end after the signal and were cut at its end")
    if n_dropped:
        told.append(f"{n_dropped} published labels lie outside of the signal or have no extent and were dropped")
    return Loaded(replace(recording, warnings=recording.warnings + tuple(told)), tuple(kept))


def seizure_labels(seizures: Iterable[tuple[float, float]], duration_s: float, source: str) -> list[Label]:
    """A label for each seizure, and "background" for all time between them.

    Args:
        seizures: (start, end) of each, seconds from the first sample.
        duration_s: length of the recording.
        source: the published list.
    """
    spans = sorted(seizures)
    labels = [Label("event", "seizure", "event", source, start, end - start) for start, end in spans]
    free_s = 0.0
    for start, end in [*spans, (duration_s, duration_s)]:
        if start > free_s:
            rest = f"{source}: no seizure listed here"
            labels.append(Label("state", "background", "event", rest, free_s, start - free_s))
        free_s = max(free_s, end)
    return sorted(labels, key=lambda label: label.start_s)
