"""Ablations: changes of one recipe, trained with the same seed and budget, and scored in one table.

Each run is `fit` with the file of the recipe, that of the change and one of the folders it writes to. It is scored on
the side of the data that nobody trained on, one run after the other, so that each narrative has its pair in every run:
intervals of the differences resample subjects by pairs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from neuronarrator.cli import run_trainer
from neuronarrator.evaluate.narrative_scores import WITHOUT_TRENDS, Scored, Scorer, compare, summarise
from neuronarrator.evaluate.narratives import narratives_of
from neuronarrator.evaluate.references import references_of
from neuronarrator.evaluate.sources import Item, none_usable, open_data, usable
from neuronarrator.narrator import Narrator
from neuronarrator.source import Source

REFERENCE = "reference"
"""Name of the run without a change."""

COLUMNS = {"fact_f1": "Fact-F1", WITHOUT_TRENDS: "Fact-F1 without trends", "rouge_l": "ROUGE-L"}


@dataclass(frozen=True)
class AblationOptions:
    """How ablations are trained and scored.

    Attributes:
        seed: of every run, and of resamples and wordings of its scores.
        side: of the data to score on, "val" or "test"; files chosen by patterns have only their validation side.
        resamples: of the subjects, for intervals.
        words: further ones for each fit, such as ("--trainer.max_epochs", "2").
    """

    seed: int = 0
    side: str = "val"
    resamples: int = 1000
    words: tuple[str, ...] = field(default=())


def run_ablations(
    base: Path, changes: Sequence[Path], out: Path, options: AblationOptions | None = None
) -> dict[str, Any]:
    """Train the recipe and each change of it, unless `out` holds that very run, and score them all.

    Args:
        base: YAML of the recipe, of `NarrationTask`.
        changes: YAML files with what differs; their stems are the names of the runs.
        out: folder; each run has one in it, with its log and its narrator ("model").
        options: seed, budget, side.

    Returns:
        "runs": for each its scores (`narrative_scores.summarise`) and its "difference" from the reference: run minus
        reference, by pairs (None for the reference); "seed", "side", "words" and "skipped" recordings.

    Raises:
        ValueError: two changes of one name, or none of the data can be used.
    """
    options = options or AblationOptions()
    files = {REFERENCE: None, **{path.stem: path for path in changes}}
    if len(files) != len(changes) + 1:
        names = [path.stem for path in changes]
        raise ValueError(f"got changes {names}, expected names that differ, and none {REFERENCE!r}; rename a file")
    models = {name: train_run(name, base, change, out, options) for name, change in files.items()}
    items = items_of(yaml.safe_load((out / REFERENCE / "log" / "config.yaml").read_text())["data"], options.side)
    scorer, skipped = Scorer(options.resamples, options.seed), {}  # type: ignore[var-annotated]
    rows = {name: score_run(model, items, scorer, skipped) for name, model in models.items()}
    if not rows[REFERENCE]:
        raise none_usable(skipped)
    runs = {name: {**summarise(found, scorer), "difference": None} for name, found in rows.items()}
    for name in list(files)[1:]:
        runs[name]["difference"] = compare(rows[REFERENCE], rows[name], scorer)["distance"]
    return {"runs": runs, "skipped": skipped, **{key: getattr(options, key) for key in ("seed", "side", "words")}}


def train_run(name: str, base: Path, change: Path | None, out: Path, options: AblationOptions) -> Path:
    """Train one run, or find it in `out` as it would be; returns the folder of its narrator."""
    folder, files = out / name, [base, *([change] if change else [])]
    told = [file.read_text("utf-8") for file in files]
    settings = json.dumps({"files": told, "seed": options.seed, "words": options.words}, indent=2)
    model, note = folder / "model", folder / "settings.json"
    if note.is_file() and note.read_text("utf-8") == settings:
        return model
    folder.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger"}
    where = {"save_dir": str(out), "name": name, "version": "log"}
    own = {
        "seed_everything": options.seed,
        "model": {"init_args": {"save_to": str(model)}},
        "trainer": {"logger": {**logger, "init_args": where}, "callbacks": [], "enable_checkpointing": False},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(own), "utf-8")
    configs = [word for file in [*files, folder / "run.yaml"] for word in ("--config", str(file))]
    run_trainer(["fit", *configs, *options.words])
    note.write_text(settings, "utf-8")  # last: a run that was cut off is trained again
    return model


def items_of(data: dict[str, Any], side: str) -> list[Item]:
    """The recordings of one side of a data section.

    Args:
        data: class path and arguments of `NarrationDataModule` or `CorpusDataModule`.
        side: "val" or "test".

    Raises:
        ValueError: there are none.
    """
    args, found = data["init_args"], {}
    if "corpus" in args:
        return list(open_data(args["corpus"], split=side).items)
    for source in (Source(**fields) for fields in args["sources"]):
        found.update({(item.dataset, item.name): item for item in _items(source, side)})
    if not found:
        raise ValueError(f"got no recording on side {side!r} of {len(args['sources'])} sources, expected some; add val")
    return list(found.values())


def _items(source: Source, side: Any) -> list[Item]:
    entries = source.entries(side)
    if not entries:
        return []
    if source.dataset is not None:
        return list(open_data(source.root, source.dataset, side).items)
    names = {entry.path.relative_to(source.root).as_posix() for entry in entries}
    return [item for item in open_data(source.root).items if item.name in names]


def score_run(model: Path, items: Sequence[Item], scorer: Scorer, skipped: dict[str, str]) -> list[Scored]:
    """The scores of each narrative that a run writes, in an order that is the same for all runs."""
    narrator = Narrator.from_pretrained(model, "cuda" if torch.cuda.is_available() else "cpu")
    rows: list[Scored] = []
    for item, material in usable(items, skipped):
        findings, examples = material.findings()
        references = references_of(material, findings, examples, scorer.seed)
        written, told = narratives_of(narrator, item, findings), list(references.values())
        rows += scorer.score(item.dataset, material.subject, [written[i].text for i in references], told)
    return rows


def format_ablations(scores: dict[str, Any]) -> str:
    """One Markdown table: means with intervals over subjects, and the paired difference of Fact-F1."""
    head = ["run", "narratives", "subjects", *COLUMNS.values(), "contradicted %", "Fact-F1 minus reference"]
    lines = [head, ["---"] * len(head)]
    for name, run in scores["runs"].items():
        cells = [_cell(run[key]["mean"], run[key]["ci"]) for key in COLUMNS]
        wrong = run["contradicted"]
        cells.append(_cell(100 * wrong["share"], wrong["ci"] and [100 * edge for edge in wrong["ci"]], digits=1))
        difference = run["difference"] and run["difference"]["fact_f1"]
        cells.append(_cell(difference["mean"], difference["ci"], sign="+") if difference else "-")
        lines.append([name, str(run["n_segments"]), str(run["n_subjects"]), *cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: float, edges: Sequence[float] | None, digits: int = 3, sign: str = "") -> str:
    shown = f"{value:{sign}.{digits}f}"
    return f"{shown} ({edges[0]:{sign}.{digits}f} to {edges[1]:{sign}.{digits}f})" if edges else shown
