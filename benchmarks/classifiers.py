"""Classifiers of a dataset's labels, trained and scored on the same persons: the baselines of Table 5 and simple ones.

Run: python benchmarks/classifiers.py [--dataset workload] [--root ../shared/data/eegmat] [--only eegnet biot ...]
         [--model tiny] [--folds 5] [--epochs 20] [--size tiny] [--seed 0] [--json FILE]
Persons are dealt to folds; each fold is predicted by a model that saw none of its persons, for a number of epochs that
is set beforehand, and the predictions of all folds are scored together. No fold is used to choose anything. Intervals
of 95 % resample persons. A run that was cut off goes on with what is not yet in the file of `--json`.
"band powers" is a logistic regression on the natural logarithm of six band powers and of the variance of each channel
(scikit-learn's defaults, classes weighted); "majority" always names the most frequent class of training. "narrative" is
a logistic regression on the facts that the narratives of `--model` state (`neuronarrator.evaluate.labels`): the
narrator was given no label of any person, but signals of some of them are in its training. Seconds are CPU seconds of
training and prediction, all folds, narration among them. The paper's column is from other recordings of the dataset
with its own split; which accuracy it is, the paper does not state.
"""

import argparse
import json
import logging
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from corpus.dataset import log_power
from corpus.datasets import get_dataset
from corpus.features import extract_features
from corpus.segment import SEGMENT_S, Segment
from encoders.classifiers import CLASSIFIERS, Size
from neuronarrator.classification.data import (
    ClassificationDataModule,
    LabelledSegments,
    majority,
    read_segments,
    subject_folds,
)
from neuronarrator.classification.task import ClassificationTask
from neuronarrator.evaluate.labels import Labelled, collect, probe
from neuronarrator.evaluate.published import paper_accuracies
from neuronarrator.evaluate.sources import open_data
from neuronarrator.metrics.classification import label_scores
from neuronarrator.narrator import Narrator
from neuronarrator.optim import OptimizerOptions

FOLDERS = {"workload": "eegmat", "adhd-child": "adhd_child", "iiic": "iiic_sparcnet", "iiic-irr": "iiic_irr"}
SIMPLE = ("majority", "band-powers")
NARRATIVE = "narrative"
PERCENT = ("accuracy", "balanced_accuracy", "weighted_f1")
RESAMPLES = 2000


@dataclass(frozen=True)
class Settings:
    """Of the training of every network."""

    epochs: int
    size: Size
    seed: int
    soft_labels: bool
    learning_rate: float
    batch_size: int


Predict = Callable[[LabelledSegments, LabelledSegments], tuple[np.ndarray, int]]
"""From training and held-out segments to classes (N,) of the latter and the number of parameters."""


def majority_class(train: LabelledSegments, held_out: LabelledSegments) -> tuple[np.ndarray, int]:
    return np.full(len(held_out), train.votes.sum(axis=0).argmax()), 0


def band_powers(train: LabelledSegments, held_out: LabelledSegments) -> tuple[np.ndarray, int]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = majority(train.votes)
    decided = truth >= 0
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=5000))
    model.fit(_powers(train)[decided], truth[decided])
    return model.predict(_powers(held_out)), int(model[-1].coef_.size + model[-1].intercept_.size)


def _powers(segments: LabelledSegments) -> np.ndarray:
    where: dict[str, Any] = {"start_s": 0.0, "duration_s": SEGMENT_S, "sfreq": 200.0, "ch_names": segments.ch_names}
    cut = [Segment(index=i, signal_uv=signal_uv, **where) for i, signal_uv in enumerate(segments.signal_uv)]
    return np.stack([log_power(features).ravel() for features in extract_features(cut)])


def network(name: str, settings: Settings) -> Predict:
    """Train one architecture as `neuronarrator fit` does, on a CPU."""

    def predict(train: LabelledSegments, held_out: LabelledSegments) -> tuple[np.ndarray, int]:
        L.seed_everything(settings.seed, verbose=False)
        data = ClassificationDataModule("", "", batch_size=settings.batch_size)
        data.train_segments, data.held_out_segments = train, held_out  # divided before
        optimizer = OptimizerOptions(settings.learning_rate, weight_decay=0.01, warmup_steps=20)
        task = ClassificationTask(
            name, settings.size, soft_labels=settings.soft_labels, balance=True, optimizer=optimizer
        )
        trainer = L.Trainer(
            accelerator="cpu",
            logger=False,
            max_epochs=settings.epochs,
            limit_val_batches=0,
            gradient_clip_val=1.0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(task, datamodule=data)
        probabilities: Any = trainer.predict(task, data.val_dataloader())
        n_parameters = sum(p.numel() for p in task.parameters())
        return torch.cat(probabilities).argmax(dim=1).numpy(), n_parameters

    return predict


def score(predict: Predict, segments: LabelledSegments, folds: int, seed: int) -> dict[str, Any]:
    """Predictions of every fold, scored together."""
    predicted, n_parameters = np.zeros(len(segments), int), 0
    start = time.process_time()
    for fold in range(folds):
        data = ClassificationDataModule("", "", folds=folds, fold=fold, seed=seed)
        data.divide(segments)
        predicted[data.held_out], n_parameters = predict(data.train_segments, data.held_out_segments)
    seconds = time.process_time() - start
    truth = majority(segments.votes)
    decided = truth >= 0
    stated, true = ([segments.classes[i] for i in classes[decided]] for classes in (predicted, truth))
    scores = label_scores(true, stated, segments.subjects[decided].tolist(), RESAMPLES, seed)
    return scores | {"parameters": n_parameters, "cpu_s": round(seconds, 1)}


def score_narratives(
    narrator: Narrator, root: Path, segments: LabelledSegments, args: argparse.Namespace
) -> dict[str, Any]:
    """The labels that a probe reads from narratives, with the folds of the classifiers."""
    start = time.process_time()
    name = get_dataset(args.dataset).card.name
    written, _, _ = collect(narrator, open_data(root, args.dataset).items, {})
    folds = subject_folds(segments, args.folds, args.seed)
    fold_of = dict(zip(segments.subjects.tolist(), folds.tolist(), strict=True))  # who lacks an electrode is not in it
    rows = [row for row in written[name] if row.label in segments.classes and row.subject in fold_of]
    told: list[str | None] = []
    kept: list[Labelled] = []
    for fold in range(args.folds):
        held_out = [row for row in rows if fold_of[row.subject] == fold]
        labels, _ = probe(held_out, [row for row in rows if fold_of[row.subject] != fold], args.seed)
        told, kept = told + (labels or [None] * len(held_out)), kept + held_out
    scores = label_scores([row.label or "" for row in kept], told, [row.subject for row in kept], RESAMPLES, args.seed)
    n_parameters = sum(p.numel() for p in narrator.parameters())
    return scores | {"parameters": n_parameters, "cpu_s": round(time.process_time() - start, 1)}


def format_table(results: dict[str, dict[str, Any]], paper: dict[str, float]) -> str:
    """Markdown, one row a classifier; percent but for kappa. `paper` holds shares, by the paper's names."""
    head = ["classifier", "accuracy", "balanced accuracy", "kappa", "weighted F1", "parameters", "CPU s", "paper"]
    rows = [head, ["---"] * len(head)]
    published = {name.lower().removesuffix("-base"): f"{100 * share:.1f}" for name, share in paper.items()}
    for name, result in results.items():
        accuracy, balanced, f1 = (
            100 * result[key]["value"] for key in ("accuracy", "balanced_accuracy", "weighted_f1")
        )
        low, high = (100 * edge for edge in result["balanced_accuracy"]["ci"])
        kappa = result["kappa"]["value"]
        agreed = "-" if kappa is None else f"{kappa:.2f}"
        ours = [f"{accuracy:.1f}", f"{balanced:.1f} ({low:.1f} to {high:.1f})", agreed, f"{f1:.1f}"]
        size = [f"{result['parameters']:,}", f"{result['cpu_s']:.0f}"]
        rows.append([name, *ours, *size, published.get(name, "-")])
    for name in ("neurolm-b", "neuronarrator"):
        if name in published:
            rows.append([f"{name} (paper)", *["-"] * 6, published[name]])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def read_results(file: Path | None, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What an earlier run with the same settings wrote, which then is not trained again."""
    if file is None or not file.is_file():
        return {}
    found = json.loads(file.read_text())
    return found["results"] if found["config"] == json.loads(json.dumps(config)) else {}


def main() -> None:
    shared = Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="workload", help="name in corpus.datasets (default: workload)")
    parser.add_argument("--root", type=Path, help="its folder, or a corpus (default: that of the shared recordings)")
    parser.add_argument("--classes", nargs="+", help="labels to tell apart (default: those of the dataset)")
    names = [*SIMPLE, NARRATIVE, *CLASSIFIERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--model", default="tiny", help="narrator (default: tiny, which ships)")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--size", choices=("tiny", "base"), default="tiny")
    parser.add_argument("--soft-labels", action="store_true", help="learn all votes of the raters")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")  # Lightning's hints on workers, deprecations of others
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    root = args.root or shared / FOLDERS.get(args.dataset, args.dataset)
    segments = read_segments(root, args.dataset, args.classes)
    settings = Settings(args.epochs, args.size, args.seed, args.soft_labels, args.learning_rate, args.batch_size)
    simple: dict[str, Predict] = {"majority": majority_class, "band-powers": band_powers}
    counts = np.bincount(majority(segments.votes) + 1, minlength=len(segments.classes) + 1)
    config = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    config |= {"classes": segments.classes, "segments": counts.tolist()}
    del config["only"], config["json"]
    results = read_results(args.json, config)
    for name in [name for name in args.only if name not in results]:
        if name == NARRATIVE:
            results[name] = score_narratives(Narrator.from_pretrained(args.model), root, segments, args)
        else:
            results[name] = score(simple.get(name) or network(name, settings), segments, args.folds, args.seed)
        print(f"{name}: balanced accuracy {100 * results[name]['balanced_accuracy']['value']:.1f} %", flush=True)
        if args.json is not None:
            args.json.write_text(json.dumps({"config": config, "results": results}, indent=2) + "\n")
    told = ", ".join(f"{value} {n}" for value, n in zip(("tie", *segments.classes), counts, strict=True) if n)
    print(
        f"\n{args.dataset}: {len(segments)} segments of 10 s ({told}), {len(set(segments.subjects))} persons, "
        f"{len(segments.ch_names)} channels; {args.folds} folds by person, {args.epochs} epochs, size {args.size}, "
        f"seed {args.seed}; {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads\n"
    )
    print(format_table(results, paper_accuracies(get_dataset(args.dataset).card.name)))


if __name__ == "__main__":
    main()
