"""Recordings to a corpus: one function for each recording, on one machine or on a Ray cluster.

Every recording becomes a part, written at once or not at all, and a note of how it went. A build that is started again
finds both and goes on; what it ends with depends on the recordings and on the configuration alone.
"""

import hashlib
import json
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import numpy as np

from corpus.background import find_complete
from corpus.caption import write_caption
from corpus.datasets import EegDataset, Entry, Label, get_dataset
from corpus.describe import write_narrative, write_template
from corpus.engines import Engine, run_tasks
from corpus.findings import Findings
from corpus.labels import labels_of_segment, words_of
from corpus.preprocess import PRESETS, Stream, pick_channels, preprocess_stream
from corpus.recording import RecordingError, Subject
from corpus.refine import Visibility, visible_labels
from corpus.segment import HISTORY_K, Segment, segment_stream
from corpus.splits import Split, SplitPolicy, cap_segments, plan_splits
from corpus.store import BuildInfo, Origin, Row, Text, assemble, atomic, read_candidates, read_manifest, row_of
from corpus.store import write_part as write_rows
from corpus.topomap import TopomapRenderer, median_potential

PARTS = ".parts"  # below the output folder, until the corpus is complete
SKIPPED = "skipped.json"
PIECE = 360  # segments that are measured at a time: an hour; findings about the recording are about the hour
PRELOAD = ("corpus.build", "pyarrow", "scipy.fft", "PIL.PngImagePlugin")  # what recordings need
SMALLEST_MAP = 16  # pixels
PART_FORMAT = 3  # another one is made anew


@dataclass(frozen=True)
class BuildConfig:
    """All that a corpus depends on, beside its recordings.

    Attributes:
        profile: of the preprocessing, a name of `PRESETS`.
        history_k: K.
        split: sides, their seed and shares.
        train_cap: the most training segments of a dataset; None keeps all (the paper: about 20,000).
        label_visibility: what the narratives may tell of labels; the templates tell all.
        seed: of the wording and of the cap.
        shard_rows: segments a shard.
        topomap_size: pixels of the scalp map that is stored beside each segment, as a PNG file (the encoders take 224);
            None stores none, as our training draws its maps itself, quicker than a picture is read.
    """

    profile: str = "neuronarrator"
    history_k: int = HISTORY_K
    split: SplitPolicy = field(default_factory=SplitPolicy)
    train_cap: int | None = 20_000
    label_visibility: Visibility = "none"
    seed: int = 0
    shard_rows: int = 1024
    topomap_size: int | None = None

    def __post_init__(self) -> None:
        if self.profile not in PRESETS:
            raise ValueError(f"got profile {self.profile!r}, expected one of {', '.join(PRESETS)}; correct it")
        if self.label_visibility not in get_args(Visibility):
            raise ValueError(f"got label_visibility {self.label_visibility!r}, expected one of {get_args(Visibility)}")
        if self.topomap_size is not None and self.topomap_size < SMALLEST_MAP:
            raise ValueError(
                f"got topomap_size {self.topomap_size}, expected {SMALLEST_MAP} or more, or none; correct it"
            )


@dataclass(frozen=True)
class Task:
    """One recording to process. Plain data: it crosses process borders."""

    dataset: str
    entry: Entry
    split: Split
    config: BuildConfig
    parts: Path

    @property
    def name(self) -> str:
        """Of its part and note: another file, side or configuration gives another name."""
        state = self.entry.path.stat()
        content = [PART_FORMAT, self.dataset, self.entry.id, self.split, state.st_size, state.st_mtime_ns]
        content.append(plain_config(self.config))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """How the processing of a recording went: segments, seconds of signal, size of the part, or what ended it."""

    dataset: str
    recording_id: str
    part: str
    n_segments: int = 0
    duration_s: float = 0.0
    part_bytes: int = 0
    problem: str = ""


def plain_config(config: BuildConfig) -> dict[str, Any]:
    """The configuration as JSON knows it."""
    return json.loads(json.dumps(asdict(config)))


def process_recording(task: Task) -> Outcome:
    """Read, preprocess, measure, describe and store one recording, or find that this was done before."""
    part = task.parts / f"{task.name}.arrow"
    note = part.with_suffix(".json")
    if (before := _done_before(note, part)) is not None:
        return before
    done = Outcome(task.dataset, task.entry.id, part.name)
    try:
        n_segments, duration_s = _write_part(task, part)
        done = replace(done, n_segments=n_segments, duration_s=duration_s, part_bytes=part.stat().st_size)
    except RecordingError as error:
        done = replace(done, problem=str(error))
    except Exception as error:  # one bad recording never loses the others; the error's own text may quote a header
        where = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"internal error, {type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        done = replace(done, problem=problem)
    with atomic(note, durable=False) as stream:
        stream.write(json.dumps(asdict(done)).encode())
    return done


def _done_before(note: Path, part: Path) -> Outcome | None:
    """What the note of an earlier run says, unless a loss of power cut it or its part short."""
    try:
        done = Outcome(**json.loads(note.read_text()))
        return done if done.problem or part.stat().st_size == done.part_bytes else None
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _write_part(task: Task, part: Path) -> tuple[int, float]:
    dataset = get_dataset(task.dataset)
    loaded = dataset.load(task.entry)
    preset = replace(PRESETS[task.config.profile], notch=dataset.card.mains_hz or "auto")
    stream = preprocess_stream(*pick_channels(loaded.recording, preset))
    n_segments = write_rows(_rows(task, dataset, stream, loaded.labels), part)
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


# -- the whole -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BuildSummary:
    """What a build did: its manifest, and every recording that was skipped with the reason."""

    manifest: dict[str, Any]
    skipped: tuple[Outcome, ...]


def build_corpus(
    jobs: Sequence[tuple[str, Path]],
    out: Path,
    config: BuildConfig | None = None,
    engine: Engine = "local",
    workers: int = 1,
    on_progress: Callable[[Outcome, int, int], None] | None = None,
) -> BuildSummary:
    """Build a corpus from the published folders of datasets.

    Memory does not grow with the length of a recording, because it is measured an hour at a time. So the findings about
    the whole recording ("variation" of "recording", "deviation") are about the hour that their segment lies in;
    recordings of up to an hour are measured as a whole.

    Args:
        jobs: dataset names with the root folder of each.
        out: folder of the corpus; must be on a file system that all nodes share where the engine is "ray".
        config: see there.
        engine: "local" processes, or "ray": an existing cluster (or one of this machine).
        workers: processes of one thread each.
        on_progress: called with each outcome, how many are done, and how many there are.

    Raises:
        ValueError: an unknown dataset, one given twice, a folder without recordings of the dataset.
    """
    config = config or BuildConfig()
    tasks, info = plan_build(jobs, out, config)
    if (finished := _finished(out, info)) is not None:
        return finished
    outcomes: dict[tuple[str, str], Outcome] = {}
    for task, outcome in run_tasks(process_recording, tasks, engine, workers, PRELOAD):
        outcome = outcome or _killed(task)
        outcomes[outcome.dataset, outcome.recording_id] = outcome
        if on_progress is not None:
            on_progress(outcome, len(outcomes), len(tasks))
    ordered = [outcomes[task.dataset, task.entry.id] for task in tasks]
    skipped = tuple(outcome for outcome in ordered if outcome.problem)
    parts = [out / PARTS / outcome.part for outcome in ordered if not outcome.problem]
    chosen = None
    if config.train_cap is not None:
        chosen = cap_segments(read_candidates(parts), {"train": config.train_cap}, config.seed)
    with atomic(out / SKIPPED) as stream:
        stream.write(_skipped_json(skipped))
    manifest = assemble(parts, out, info, chosen, config.shard_rows, workers)
    shutil.rmtree(out / PARTS)
    return BuildSummary(manifest, skipped)


def plan_build(jobs: Sequence[tuple[str, Path]], out: Path, config: BuildConfig) -> tuple[list[Task], BuildInfo]:
    """Every recording of every dataset with its side, in the order of the corpus, and what the manifest says of all."""
    found: dict[str, tuple[EegDataset, list[Entry]]] = {}
    for name, root in jobs:
        dataset = get_dataset(name)
        if dataset.card.name in found:
            raise ValueError(f"got dataset {dataset.card.name} twice, expected every dataset once; give one root each")
        if not root.is_dir():
            raise ValueError(f"got no folder {root.name!r}, expected the folder of {dataset.card.name}; correct --root")
        entries = list(dataset.entries(root))
        if not entries:
            raise ValueError(
                f"got no recording of {dataset.card.name} in {root.name!r}, expected its published layout; correct "
                f"--root. {dataset.card.access}"
            )
        found[dataset.card.name] = dataset, entries
    plan = plan_splits(((dataset.card, entries) for dataset, entries in found.values()), config.split)
    tasks = [
        Task(name, entry, plan.sides[name, entry.id], config, out / PARTS)
        for name, (_, entries) in sorted(found.items())
        for entry in entries
    ]
    content = [[task.dataset, task.entry.id, task.entry.path.stat().st_size] for task in tasks]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    info = BuildInfo(
        config={**plain_config(config), "recordings": len(tasks), "recordings_sha256": digest},
        cards=[dataset.card for dataset, _ in found.values()],
        seeds={"split": config.split.seed, "wording": config.seed, "cap": config.seed},
        splits=plan.summary(),
        version=version("neuronarrator"),
    )
    return tasks, info


def _finished(out: Path, info: BuildInfo) -> BuildSummary | None:
    """The corpus that is there already, if it is of the same recordings and configuration."""
    try:
        manifest = read_manifest(out)
    except (ValueError, FileNotFoundError):
        return None
    if manifest["config"] != json.loads(json.dumps(info.config)) or (out / PARTS).exists():
        return None
    skipped = tuple(Outcome(**item, part="") for item in json.loads((out / SKIPPED).read_text()))
    return BuildSummary(manifest, skipped)


def _killed(task: Task) -> Outcome:
    return Outcome(task.dataset, task.entry.id, "", problem="its process was killed (not enough memory?)")


def _skipped_json(skipped: Iterable[Outcome]) -> bytes:
    items = [{"dataset": o.dataset, "recording_id": o.recording_id, "problem": o.problem} for o in skipped]
    return json.dumps(items, indent=1, ensure_ascii=False).encode() + b"\n"
