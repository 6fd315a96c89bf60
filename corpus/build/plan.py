"""Every recording of every dataset with its side, before any is read."""

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from corpus.build.config import BuildConfig, plain_config
from corpus.build.task import Task
from corpus.datasets import EegDataset, Entry, get_dataset
from corpus.splits import plan_splits
from corpus.store import BuildInfo

PARTS = ".parts"  # below the output folder, until the corpus is complete


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
