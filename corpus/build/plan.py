"""Every recording of every dataset with its side, before any is read."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from corpus.build.config import BuildConfig, plain_config
from corpus.build.task import Task, digest_of
from corpus.datasets import EegDataset, Entry, get_dataset
from corpus.splits import plan_splits
from corpus.store import BuildInfo

PARTS = ".parts"  # below the output folder, until the corpus is complete
LAST_CHARACTER = "\U0010ffff"


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
        Task(name, entry, plan.sides[name, entry.id], config, out / PARTS, files)
        for name, (_, entries) in sorted(found.items())
        for entry, files in zip(entries, _files_of(entries), strict=True)
    ]
    digest = digest_of([task.content for task in tasks])
    info = BuildInfo(
        config={**plain_config(config), "recordings": len(tasks), "recordings_sha256": digest},
        cards=[dataset.card for dataset, _ in found.values()],
        seeds={"split": config.split.seed, "wording": config.seed, "cap": config.seed},
        splits=plan.summary(),
        version=version("neuronarrator"),
    )
    return tasks, info


def _files_of(entries: Sequence[Entry]) -> Iterator[tuple[tuple[str, int, int], ...]]:
    """Of each entry: name, bytes and time of change of its file and of those that share the stem ("a.edf", "a.csv")."""
    recordings = {entry.path for entry in entries}
    folders: dict[Path, list[tuple[str, int, int]]] = {}
    for entry in entries:
        folder = entry.path.parent
        if folder not in folders:
            files = (path for path in folder.iterdir() if path.is_file() or (path in recordings and path.exists()))
            states = ((path.name, path.stat()) for path in files)
            folders[folder] = sorted((name, state.st_size, state.st_mtime_ns) for name, state in states)
        listed, stem = folders[folder], entry.path.stem.removesuffix("_eeg")  # BIDS: a_eeg.edf, a_events.tsv
        alike = listed[bisect_left(listed, (stem,)) : bisect_left(listed, (stem + LAST_CHARACTER,))]
        yield tuple(file for file in alike if not file[0][len(stem) :][:1].isalnum())
