"""A plain folder of recordings, in any format that can be read, without labels.

patient07/monday.edf     of the person "patient07"; so is patient07/ward/tuesday.edf
anna.edf                 of the person "anna"

Names of folders and files may identify somebody, so entries carry codes made from them. A code always belongs to the
same name; it hides the name from readers, not from somebody who tries out names. The code also stands for the name of
the file in the corpus and in errors, and words of the path are replaced wherever they occur in the recording.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Loaded
from corpus.recording import read_recording
from corpus.recording.read import FOLDER_FORMATS, FORMATS

_HEADERS = {".eeg": (".vhdr", ".ahdr"), ".dat": (".lay", ".dap")}  # read through the header beside it

CARD = DatasetCard(
    name="folder",
    title="A folder of recordings",
    role="extra",
    licence="as agreed with the owner of the recordings",
    access="a folder of one's own; everything below a folder in it is taken as one person, a file in it as another",
    citation="none",
    why_counts_differ="Not among the paper's datasets.",
    unit="as in the files",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every recording, sorted by code; ValueError where there is none."""
    entries = []
    for path in _recordings(root):
        parts = path.relative_to(root).parts
        person = parts[0] if len(parts) > 1 else path.name.split(".")[0]
        subject = _code("P", person)
        entries.append(Entry(f"{subject}/{_code('R', '/'.join(parts))}", subject, path))
    if not entries:
        raise ValueError(f"got a folder without recordings, expected files such as {', '.join(list(FORMATS)[:5])}")
    return sorted(entries, key=lambda entry: entry.id)


def _code(letter: str, name: str) -> str:
    return letter + hashlib.sha256(name.encode()).hexdigest()[:12]


def _load(entry: Entry) -> Loaded:
    """The recording under the code of its entry; RecordingError where it cannot be used."""
    path, code = entry.path, entry.id.split("/")[1]
    below = (path.parts[-n:] for n in range(1, len(path.parts) + 1))
    named = next((parts for parts in below if _code("R", "/".join(parts)) == code), path.parts)
    suffix = ".fif.gz" if path.name.lower().endswith(".fif.gz") else path.suffix.lower()
    return Loaded(read_recording(path, code + suffix, named), entry.labels)


def _recordings(folder: Path) -> Iterator[Path]:
    """Files, and folders that are one recording, below a folder; parts that belong to another file are left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = path.suffix.lower()
        if path.is_dir():
            yield from (path,) if suffix in FOLDER_FORMATS else _recordings(path)
        elif (suffix in FORMATS or path.name.lower().endswith(".fif.gz")) and not _belongs_to_another(path):
            yield path


def _belongs_to_another(path: Path) -> bool:
    """Data beside their header, and the second part of a long FIF file ("a_raw-1.fif"): they are read with it."""
    first = path.with_name(re.sub(r"-\d+(?=\.fif(\.gz)?$)", "", path.name))
    headers = (path.with_suffix(header) for header in _HEADERS.get(path.suffix.lower(), ()))
    return any(other.exists() for other in headers) or (first != path and first.exists())


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
