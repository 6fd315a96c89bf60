"""A whole build: every recording to its part, on one of the engines, and the parts to a corpus."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.build.config import BuildConfig
from corpus.build.plan import PARTS, plan_build
from corpus.build.recording import process_recording
from corpus.build.task import Outcome, Task
from corpus.engines import Engine, run_tasks
from corpus.splits import cap_segments
from corpus.store import BuildInfo, assemble, atomic, read_candidates, read_manifest

_Key = tuple[str, str]  # dataset, recording
SKIPPED = "skipped.json"
PRELOAD = ("corpus.build", "pyarrow", "scipy.fft", "PIL.PngImagePlugin")  # what recordings need


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

    A corpus that is there already is left as it is, but for recordings that were skipped: they are tried again, and
    where one of them can be used now, the corpus is made anew.

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
    outcomes: dict[_Key, Outcome] = {}

    def process(some: Sequence[Task]) -> None:
        for task, outcome in run_tasks(process_recording, some, engine, workers, PRELOAD) if some else ():
            outcomes[_key(task)] = outcome = outcome or _killed(task)
            if on_progress is not None:
                on_progress(outcome, len(outcomes), len(tasks))

    if (finished := _finished(out, info)) is not None:
        failed = {(outcome.dataset, outcome.recording_id) for outcome in finished.skipped}
        process([task for task in tasks if _key(task) in failed])
        if all(outcome.problem for outcome in outcomes.values()):
            shutil.rmtree(out / PARTS, ignore_errors=True)
            return BuildSummary(finished.manifest, _write_skipped(out, tasks, outcomes) if failed else ())
    process([task for task in tasks if _key(task) not in outcomes])
    return _collect(out, tasks, outcomes, info, config, workers)


def _collect(
    out: Path,
    tasks: Sequence[Task],
    outcomes: Mapping[_Key, Outcome],
    info: BuildInfo,
    config: BuildConfig,
    workers: int,
) -> BuildSummary:
    """The parts of all recordings as a corpus."""
    parts = [out / PARTS / outcomes[_key(task)].part for task in tasks if not outcomes[_key(task)].problem]
    chosen = None
    if config.train_cap is not None:
        chosen = cap_segments(read_candidates(parts), {"train": config.train_cap}, config.seed)
    skipped = _write_skipped(out, tasks, outcomes)
    manifest = assemble(parts, out, info, chosen, config.shard_rows, workers)
    shutil.rmtree(out / PARTS, ignore_errors=True)  # where every recording was skipped there is none
    return BuildSummary(manifest, skipped)


def _finished(out: Path, info: BuildInfo) -> BuildSummary | None:
    """The corpus that is there already, if it is of the same recordings, configuration and version."""
    try:
        manifest = read_manifest(out)
    except (ValueError, FileNotFoundError):
        return None
    same = (manifest["config"], manifest["version"]) == (json.loads(json.dumps(info.config)), info.version)
    if not same or (out / PARTS).exists():
        return None
    skipped = tuple(Outcome(**item, part="") for item in json.loads((out / SKIPPED).read_text()))
    return BuildSummary(manifest, skipped)


def _killed(task: Task) -> Outcome:
    return Outcome(task.dataset, task.entry.id, "", problem="its process was killed (not enough memory?)")


def _key(task: Task) -> _Key:
    return task.dataset, task.entry.id


def _write_skipped(out: Path, tasks: Iterable[Task], outcomes: Mapping[_Key, Outcome]) -> tuple[Outcome, ...]:
    """List what was skipped, in the order of the corpus."""
    ordered = (outcomes[_key(task)] for task in tasks if _key(task) in outcomes)
    skipped = tuple(outcome for outcome in ordered if outcome.problem)
    items = [{"dataset": o.dataset, "recording_id": o.recording_id, "problem": o.problem} for o in skipped]
    with atomic(out / SKIPPED) as stream:
        stream.write(json.dumps(items, indent=1, ensure_ascii=False).encode() + b"\n")
    return skipped
