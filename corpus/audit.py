"""Proof that a corpus on disk does not leak: persons, recordings and signals on one side only, and no identity.

Also says what it cannot prove away: which datasets the encoders saw in their own pretraining.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus.duplicates import Sample, find_duplicates
from corpus.store import CorpusReader, decode, read_manifest, verify

if TYPE_CHECKING:
    import pyarrow as pa

MIN_WORD = 4  # bytes; shorter words stand in any file by chance
MIN_RAW_WORD = 6  # bytes; shorter words stand in compressed data by chance
_CHECKSUM = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")  # holds short numbers by chance
LISTED = 10  # examples of a problem in the printed report


@dataclass(frozen=True)
class Pretraining:
    """What an encoder saw before any split of ours.

    Attributes:
        model: its name.
        datasets: names in small letters and digits; "tuh" is every dataset of that family.
        with_labels: whether the labels were seen too.
        source: of this statement.
    """

    model: str
    datasets: tuple[str, ...]
    with_labels: bool
    source: str


# fmt: off
_EEGMMIDB = ("eegmmidb", "motorimagery", "physionetmi")
PRETRAINING: tuple[Pretraining, ...] = (
    Pretraining(
        "LaBraM",
        (
            *_EEGMMIDB, "bciiv1", "emobrain", "graspandlift", "waygal", "inriabci", "rawtrujillo2020",
            "restingstate2017", "seed", "seediv", "seedger", "seedfra", "siena", "spis", "targetversusnontarget",
            "tuar", "tuep", "tusz", "tusl",
        ),
        False,
        "Jiang et al. 2024, arXiv:2405.18765, appendix D; TUAB, TUEV and SEED-V were left out",
    ),
    Pretraining(
        "BIOT",
        ("tuab", "tuev", "chbmit", "iiic", "iiicsparcnet"),
        True,
        "Yang et al. 2023, arXiv:2305.10351, the checkpoint of six datasets: training sides",
    ),
    Pretraining(
        "CBraMod", ("tuh",), False, "Wang et al. 2024, arXiv:2412.07236: TUEG, of which the TUH corpora are parts"
    ),
    Pretraining(
        "NeuroLM", ("tuh",), False, "TUEG, evaluation sides included: github.com/935963004/NeuroLM issue 5, 2025-05-21"
    ),
    Pretraining("EEGPT", (*_EEGMMIDB, "seed", "m3cv", "hgd", "tsu"), False, "Wang et al. 2024, NeurIPS"),
)
# fmt: on
"""Encoders whose pretraining overlaps with datasets of this library."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: kind "file", "subject", "recording", "duplicate" or "identity", and a sentence."""

    kind: str
    text: str


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes:
        problems: all of them.
        counts: dataset → split → numbers, as in the manifest.
        compared: segments whose signals were compared.
        blank: segments without a signal to compare.
        seen: dataset → encoders that saw it in their pretraining.
        words: number of identity words that were searched.
    """

    problems: tuple[Problem, ...]
    counts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    compared: int
    blank: int
    seen: Mapping[str, tuple[Pretraining, ...]]
    words: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def text(self) -> str:
        """The report to print."""
        lines = ["Audit: clean" if self.clean else f"Audit: {len(self.problems)} problems"]
        checks = {
            "file": "files are complete and as the manifest says",
            "subject": "no person stands on two sides",
            "recording": "no recording stands on two sides",
            "duplicate": f"no signal stands on two sides ({self.compared} segments compared, {self.blank} blank)",
        }
        if self.words:
            checks["identity"] = f"none of {self.words} words occurs in any file"
        for kind, statement in checks.items():
            found = [problem.text for problem in self.problems if problem.kind == kind]
            lines.append(f"  {'FAILED' if found else 'ok'}: {statement}")
            lines += [f"    {text}" for text in found[:LISTED]]
            lines += [f"    and {len(found) - LISTED} more"] if len(found) > LISTED else []
        lines.append("Seen by encoders in their own pretraining:")
        for dataset, models in self.seen.items():
            lines += [f"  {dataset}: {m.model}{' (with labels)' if m.with_labels else ''}: {m.source}" for m in models]
        return "\n".join(
            lines if self.seen else [*lines[:-1], "No dataset is known to stand in an encoder's pretraining."]
        )


def audit(out: str | Path, words: Sequence[str] = ()) -> AuditReport:
    """Check a corpus.

    Args:
        out: folder of the corpus.
        words: names, birthdays, patient numbers that must not occur in it.

    Raises:
        ValueError: no complete corpus there, or words too short to search.
    """
    out = Path(out)
    manifest = read_manifest(out)
    problems = [Problem("file", text) for text in verify(out)]
    seen = {name: exposure(card) for name, card in manifest["cards"].items() if exposure(card)}
    if problems:  # damaged files cannot be read
        return AuditReport(tuple(problems), manifest["counts"], 0, 0, seen, 0)
    paths = [out / entry["path"] for entry in manifest["files"]]
    problems += _overlaps(paths)
    reader = CorpusReader(out, targets=False)
    sides = Counter(side for path in paths for side in _column(path, "split"))

    def load(name: str) -> Sample:
        row = reader.segment(name).row
        return Sample(name, row.split, row.signal_uv, row.sfreq, row.ch_names)

    found = find_duplicates(_samples(paths), sides, load)
    problems += [
        Problem(
            "duplicate",
            f"{d.first} ({load(d.first).side}) is {d.second} ({load(d.second).side}): "
            f"correlation {d.correlation:.2f} at a shift of {d.lag_s:g} s",
        )
        for d in found.duplicates
    ]
    problems += [Problem("identity", hit) for hit in find_words(out, words)]
    return AuditReport(tuple(problems), manifest["counts"], found.compared, found.blank, seen, len(words))


def exposure(card: Mapping[str, Any]) -> tuple[Pretraining, ...]:
    """The encoders that saw a dataset in their pretraining, by its card as it stands in a manifest."""
    names = {re.sub(r"[^a-z0-9]", "", name.lower()) for name in (card["name"], card["family"], *card["aliases"])}
    return tuple(known for known in PRETRAINING if names & set(known.datasets))


def find_words(out: str | Path, words: Sequence[str]) -> list[str]:
    """Where words occur in the files of a corpus, one sentence each that does not repeat the word.

    Every text column of every shard is searched decompressed and without regard to case, and so are other files and
    the footers; the compressed bytes are searched for words of at least six bytes, as shorter ones occur by chance.

    Args:
        out: folder; every file below it is searched.
        words: at least four bytes each.

    Raises:
        ValueError: a shorter word.
    """
    if short := [number for number, word in enumerate(words, 1) if len(word.encode()) < MIN_WORD]:
        raise ValueError(f"got words {short} of less than {MIN_WORD} bytes, expected longer ones; leave them out")
    found = []
    for path in sorted(p for p in Path(out).rglob("*") if p.is_file()) if words else ():
        for where, text in _texts(path):
            lowered = text.lower() if where == "compressed bytes" else _CHECKSUM.sub(b"", text.lower())
            for number, word in enumerate(words, 1):
                if where == "compressed bytes" and len(word.encode()) < MIN_RAW_WORD:
                    continue
                if any(form in lowered for form in _forms(word)):
                    found.append(f"word {number} of {len(words)} occurs in {path.relative_to(out)}, {where}")
    return found


def _forms(word: str) -> set[bytes]:
    """A word as the bytes it may be written in, lower case as `bytes.lower` sees it."""
    encodings = ("utf-8", "latin-1", "utf-16-le")
    return {w.encode(code, "ignore").lower() for code in encodings for w in (word, word.lower(), word.upper())} - {b""}


def _texts(path: Path) -> Iterator[tuple[str, bytes]]:
    """(where, bytes) of a file: its name, its columns and footer if it is Parquet, and its raw bytes."""
    yield "its name", path.name.encode()
    raw = path.read_bytes()
    if raw[:4] == raw[-4:] == b"PAR1":
        import pyarrow.parquet as pq

        yield "footer", raw[-8 - int.from_bytes(raw[-8:-4], "little") :]
        with pq.ParquetFile(path) as file:
            columns = [name for name in file.schema_arrow.names if name != "signal"]
            for batch in file.iter_batches(columns=columns, use_threads=False):
                for name, column in zip(columns, batch.columns, strict=True):
                    yield f"column {name}", b"\n".join(_strings(column))
        yield "compressed bytes", raw
    else:
        yield "its text", raw


def _strings(column: "pa.Array") -> Iterator[bytes]:
    """All strings and binaries of an Arrow array, those in lists and structs too."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _strings(column.field(i))
    elif pa.types.is_list(kind):
        yield from _strings(column.values)
    elif pa.types.is_string(kind):
        yield from (text.encode() for text in column.unique().to_pylist() if text is not None)


def _overlaps(paths: Sequence[Path]) -> list[Problem]:
    """Persons and recordings on more than one side, over all datasets."""
    sides: dict[tuple[str, str], set[str]] = defaultdict(set)
    where: dict[tuple[str, str], set[str]] = defaultdict(set)
    columns = ("dataset", "recording_id", "subject", "split", "source_sha256", "source_part")
    rows = {row for path in paths for row in zip(*(_column(path, name) for name in columns), strict=True)}
    for dataset, recording, subject, split, digest, part in rows:
        keys = [("subject", subject), ("recording", f"{dataset}/{recording}")]
        keys += [("recording", f"file {digest}{' part ' + part if part else ''}")] if digest else []
        for key in keys:
            sides[key].add(split)
            where[key].add(dataset)
    return [
        Problem(kind, f"{name} is in {', '.join(sorted(of))} ({', '.join(sorted(where[kind, name]))})")
        for (kind, name), of in sorted(sides.items())
        if len(of) > 1
    ]


def _column(path: Path, name: str) -> list[str]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        return file.read([name], use_threads=False)[name].to_pylist()


def _samples(paths: Sequence[Path]) -> Iterator[Sample]:
    """The signals of all shards, one after another."""
    import pyarrow.parquet as pq

    columns = ["segment_id", "split", "signal", "sfreq", "ch_names"]
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(batch_size=16, columns=columns, use_threads=False):
                light = batch.drop_columns(["signal"]).to_pylist()
                for row, codes in zip(light, batch.column("signal"), strict=True):
                    names = tuple(row["ch_names"])
                    signal_uv = decode(codes.values.to_numpy()).reshape(len(names), -1)
                    yield Sample(row["segment_id"], row["split"], signal_uv, row["sfreq"], names)
