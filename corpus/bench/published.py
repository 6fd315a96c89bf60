"""CerebraGloss-Bench as its authors publish it: pictures named N_av.jpg, with texts and boxes about them.

What the paper shows (CerebraGloss, Table 1, App. D and N): a folder `img` with pictures `N_av.jpg`, av for the average
reference; a choice as one text with its options "A) ..." on it and an answer key such as "**C.** why"; descriptions
and questions as texts; boxes as a dictionary from a kind to [channel, start, end] with channels such as "FP1-AV" and
times in seconds. What it does not show: names and number of the annotation files, the names of their fields, and
whether signals come along. Here: every JSON or JSON Lines file of the folder is read; a record belongs to the picture
whose number its `FIELDS["picture"]` gives; its parts go by `FIELDS`. A record of nothing but a question and an answer
belongs to the part that the name of its file or its `FIELDS["task"]` says (`PART_WORDS`).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from corpus.bench.items import Bench, BenchItem, Choice, Question, identify
from corpus.instruct.record import LETTERS
from corpus.simulate import TEN_TWENTY
from corpus.waveforms import WAVEFORM_KINDS, Waveform

DATASET = "cerebragloss-bench"
FIELDS: Mapping[str, tuple[str, ...]] = {
    "picture": ("image", "img", "image_path", "file", "filename", "id", "question_id", "index"),
    "description": ("description", "desc", "caption"),
    "choice": ("mcq", "multiple_choice", "choice"),
    "qa": ("qa", "conversation", "vqa"),
    "boxes": ("bboxes", "bbox", "boxes", "annotations", "waveforms"),
    "task": ("task", "type", "category"),
    "question": ("question", "instruction", "prompt", "user", "text"),
    "options": ("options", "choices"),
    "answer": ("answer", "answer_key", "gt", "ground_truth", "reference", "response", "assistant"),
}
"""What a field may be called; the first that a record has counts. Our choice, see above."""

PART_WORDS = {"description": ("desc", "caption"), "choice": ("mcq", "choice"), "qa": ("qa", "conv", "question")}
BOX_FIELDS = (("kind", "label", "class", "type"), ("channel", "ch_name"), ("start", "start_s"), ("end", "end_s"))
DESCRIBE = "Describe this EEG."  # as in Table 1
_NUMBER = re.compile(r"(\d+)(?=_av\b|\D*$)")
_OPTION = re.compile(r"(?:^|(?<=\s))[*(\s-]*([A-D])[).:]\s*")
_KEY = re.compile(r"^[\s*(]*([A-D])\b")
_KINDS = {kind.lower(): kind for kind in WAVEFORM_KINDS} | {"hfnnoise": "hfnoise"}  # so spelt in an example
_ELECTRODES = {name.lower(): name for name in TEN_TWENTY}
_OLD = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}
_PICTURES = (".jpg", ".jpeg", ".png")
_REFERENCE = re.compile(r"-(?:AV|AVG|REF)$", re.IGNORECASE)


def read_published(root: str | Path) -> Bench:
    """The published bench as items without signals; subjects are not published, so each picture counts as one.

    Args:
        root: its folder, with `img`.

    Raises:
        FileNotFoundError: no picture there.
        ValueError: a record that cannot be read, or no part of any picture.
    """
    root = Path(root)
    pictures = {_number(path.name): path for path in sorted(root.rglob("*_av.*")) if path.suffix.lower() in _PICTURES}
    if not pictures:
        raise FileNotFoundError(
            f"got {root.name!r} without a picture N_av.jpg, expected img/4_av.jpg and others: name the folder that "
            "holds img"
        )
    found: dict[str, dict[str, Any]] = {}
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".json", ".jsonl"))
    for path in files:
        for key, record in _records(path):
            number = _number(str(_get(record, "picture") if _get(record, "picture") is not None else key))
            if number in pictures:
                found.setdefault(number, {}).update(_parts(record, path))
    if not found:
        names = ", ".join(path.name for path in files) or "none"
        raise ValueError(
            f"got annotation files {names} with nothing about the {len(pictures)} pictures, expected JSON records with "
            f"one of the fields {', '.join(FIELDS['picture'])}; rename the fields to those of corpus.bench.published"
        )
    items = [_item(number, pictures[number], root, found[number]) for number in sorted(found, key=int)]
    return Bench(root, tuple(items), {"dataset": DATASET, "n_pictures": len(pictures)})


def _number(text: str) -> str:
    found = _NUMBER.search(Path(text).stem)
    return str(int(found[1])) if found else ""


def _get(record: Mapping[str, Any], name: str) -> Any:
    return next((record[field] for field in FIELDS[name] if record.get(field) is not None), None)


def _records(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The records of a file, each with the key that it stands under, if any."""
    text = path.read_text("utf-8")
    try:
        lines = [json.loads(line) for line in text.splitlines() if line.strip()] if path.suffix == ".jsonl" else None
        content = json.loads(text) if lines is None else lines
    except ValueError:
        raise ValueError(f"got {path.name} that is no JSON, expected the published file; copy it again") from None
    keyed: Iterable[tuple[str, Any]] = content.items() if isinstance(content, dict) else (("", one) for one in content)
    for key, record in keyed:
        if isinstance(record, dict):
            yield key, record
        elif isinstance(record, str) and key:  # number -> text
            yield key, {"answer": record}


def _parts(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The parts of one record."""
    found: dict[str, Any] = {}
    for part, make in (("description", _described), ("choice", _choice), ("qa", _question), ("boxes", _boxes)):
        told = _get(record, part)
        if told is not None:
            found[part] = make(told, path)
    if found or _get(record, "answer") is None:
        return found or _bare_boxes(record, path)
    told = f"{path.stem} {_get(record, 'task') or ''}".lower()
    asked = next((part for part, words in PART_WORDS.items() if any(word in told for word in words)), None)
    if asked is None:
        raise ValueError(
            f"got a record of {path.name} that does not say which format it is of, expected {', '.join(PART_WORDS)} in "
            "the name of the file or in a field task; rename it"
        )
    return {asked: {"description": _described, "choice": _choice, "qa": _question}[asked](record, path)}


def _bare_boxes(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A record that is itself a dictionary of kinds, artifacts of other rules among them."""
    return {"boxes": _boxes(record, path)} if any(str(key).lower() in _KINDS for key in record) else {}


def _described(told: Any, path: Path) -> Question:
    if isinstance(told, str):
        return Question(DESCRIBE, told)
    return Question(str(_get(told, "question") or DESCRIBE), _text(told, "answer", path))


def _question(told: Any, path: Path) -> Question:
    return Question(_text(told, "question", path), _text(told, "answer", path))


def _text(told: Any, name: str, path: Path) -> str:
    value = _get(told, name) if isinstance(told, dict) else None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"got a record of {path.name} without {name}, expected one of the fields {', '.join(FIELDS[name])}; rename "
            "its field"
        )
    return value.strip()


def _choice(told: Any, path: Path) -> Choice:
    """Options in a field of their own, or on the question as it is printed."""
    text, key = _text(told, "question", path), _KEY.match(_text(told, "answer", path))
    options = _get(told, "options")
    if isinstance(options, dict):
        options = [options[letter] for letter in sorted(options)]
    if options is None:
        text, options = split_options(text)
    if key is None or not 2 <= len(options) <= len(LETTERS) or key[1] not in LETTERS[: len(options)]:
        raise ValueError(
            f"got a choice in {path.name} with {len(options)} options and no letter of one as its answer, expected "
            '"A) ..." to "D) ..." and an answer that begins with a letter; correct the record'
        )
    return Choice(text, tuple(_OPTION.sub("", str(option), count=1).strip() for option in options), key[1])


def split_options(text: str) -> tuple[str, list[str]]:
    """A question as it is printed, "Which? A) ... B) ...", to the stem and the options in order."""
    kept: list[re.Match[str]] = []
    for mark in _OPTION.finditer(text):
        if len(kept) < len(LETTERS) and mark[1] == LETTERS[len(kept)]:
            kept.append(mark)
    ends = [*(mark.start() for mark in kept[1:]), len(text)]
    options = [text[mark.end() : end].strip(" \n\t-*") for mark, end in zip(kept, ends, strict=True)] if kept else []
    return (text[: kept[0].start()] if kept else text).strip(" \n\t-*"), options


def _boxes(told: Any, path: Path) -> tuple[Waveform, ...]:
    """Boxes of the nine classes; others, which are artifacts of other rules, are left out."""
    try:
        if isinstance(told, dict):  # kind -> [[channel, start, end], ...]
            rows = [(kind, *row) for kind, own in told.items() for row in own]
        else:
            rows = [tuple(_first(row, names) for names in BOX_FIELDS) for row in told]
        known = [(_KINDS[str(kind).lower()], *row) for kind, *row in rows if str(kind).lower() in _KINDS]
        return tuple(
            Waveform(kind, (_electrode(channel),), float(start), float(end) - float(start))
            for kind, channel, start, end in known
        )
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"got boxes in {path.name} that cannot be read ({error}), expected kind -> [channel, start, end] in "
            "seconds, such as FP1-AV, 0.0, 8.9; correct the record"
        ) from None


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next(row[name] for name in names if name in row)


def _electrode(channel: str) -> str:
    name = _REFERENCE.sub("", channel.strip()).lower()
    return _ELECTRODES[_OLD.get(name, name)]


def _item(number: str, picture: Path, root: Path, parts: Mapping[str, Any]) -> BenchItem:
    item = BenchItem(
        subject=f"{DATASET}/{number}",
        dataset=DATASET,
        source="published",
        ch_names=TEN_TWENTY,
        reference="average",
        image=picture.relative_to(root).as_posix(),
        **parts,
    )
    return identify(item, None)
