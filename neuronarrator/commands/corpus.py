"""`neuronarrator corpus`: build, count, show and audit a corpus."""

import argparse
import sys
from pathlib import Path
from typing import Any

NAME_METAVAR = "NAME"


def add_corpus_commands(commands: Any) -> None:
    """Add `corpus` with its own commands to the command line."""
    corpus = commands.add_parser("corpus", help="build, count, show and audit a corpus of segments and narratives")
    actions = corpus.add_subparsers(required=True, metavar="ACTION")

    build = actions.add_parser("build", help="recordings of published datasets to Parquet shards")
    build.add_argument("--dataset", action="append", default=[], metavar=NAME_METAVAR, help="may be given many times")
    build.add_argument("--root", action="append", default=[], type=Path, metavar="DIR", help="its own folder, each")
    build.add_argument("--out", required=True, type=Path, metavar="DIR")
    build.add_argument("--config", type=Path, metavar="FILE", help="YAML: datasets (name: root) and build options")
    build.add_argument("--engine", default="local", help="local or ray (default: local)")
    build.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one a core)")
    build.set_defaults(run=_build)

    datasets = actions.add_parser("datasets", help="what is known of every dataset, and what a folder of one holds")
    datasets.add_argument("--dataset", metavar=NAME_METAVAR)
    datasets.add_argument("--root", type=Path, metavar="DIR")
    datasets.set_defaults(run=_datasets)

    refine = actions.add_parser("refine", help="have the narratives rewritten by a model, each checked")
    refine.add_argument("corpus", type=Path, metavar="DIR")
    refine.add_argument("--out", required=True, type=Path, metavar="DIR")
    refine.add_argument("--base-url", required=True, metavar="URL", help="such as http://localhost:8000/v1")
    refine.add_argument("--model", required=True, metavar="NAME")
    refine.add_argument("--label-visibility", default="none", help="none, demographics or full (default: none)")
    refine.add_argument("--concurrency", type=int, default=8)
    refine.set_defaults(run=_refine)

    stats = actions.add_parser("stats", help="tables and the figure of a corpus's composition")
    stats.add_argument("corpus", type=Path, metavar="DIR")
    stats.add_argument("--figure", type=Path, metavar="FILE.png")
    stats.set_defaults(run=_stats)

    show = actions.add_parser("show", help="one segment as a picture and text")
    show.add_argument("corpus", type=Path, metavar="DIR")
    show.add_argument("segment", metavar="DATASET/RECORDING/INDEX")
    show.add_argument("--figure", type=Path, metavar="FILE.png")
    show.set_defaults(run=_show)

    audit = actions.add_parser("audit", help="prove that no person, recording or signal stands on two sides")
    audit.add_argument("corpus", type=Path, metavar="DIR")
    audit.add_argument("--words", type=Path, metavar="FILE", help="identities, one a line, that must occur nowhere")
    audit.set_defaults(run=_audit)


def _build(args: argparse.Namespace) -> int:
    import os

    from tqdm import tqdm

    from corpus.build import Outcome, build_corpus
    from corpus.stats import composition

    jobs, config = read_build_config(args.config)
    if len(args.dataset) != len(args.root):
        raise ValueError(
            f"got {len(args.dataset)} --dataset and {len(args.root)} --root, expected one --root for each --dataset"
        )
    jobs += list(zip(args.dataset, args.root, strict=True))
    if not jobs:
        raise ValueError("got no dataset, expected at least one: give --dataset NAME --root DIR, or --config FILE")
    if (args.out / "__init__.py").exists():
        raise ValueError(f"got --out {args.out.name!r}, a Python package, expected a folder of its own: take another")
    with tqdm(desc="recordings", unit="file") as bar:

        def show(outcome: Outcome, done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        workers = args.workers or os.cpu_count() or 1
        summary = build_corpus(jobs, args.out, config, args.engine, workers, on_progress=show)
    print(composition(summary.manifest))
    for outcome in summary.skipped:
        print(f"skipped {outcome.dataset}/{outcome.recording_id}: {outcome.problem}", file=sys.stderr)
    print(f"{len(summary.skipped)} recordings skipped; content {summary.manifest['content_sha256'][:16]}; {args.out}")
    return 0


def read_build_config(path: Path | None) -> tuple[list[tuple[str, Path]], Any]:
    """Datasets and `BuildConfig` of a YAML file; relative roots are relative to the file.

    Raises:
        ValueError: unknown keys or values.
    """
    from jsonargparse import ArgumentParser

    from corpus.build import BuildConfig

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--datasets", type=dict[str, str], default={})
    parser.add_class_arguments(BuildConfig, "build")
    try:
        found = parser.parse_path(path) if path is not None else parser.get_defaults()
    except Exception as error:  # jsonargparse has several; each text says what was wrong
        raise ValueError(f"{path}: {error}") from None
    root = path.parent if path is not None else Path()
    return [(name, root / folder) for name, folder in found.datasets.items()], parser.instantiate_classes(found).build


def _refine(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from corpus.refine import Teacher
    from corpus.rewrite import refine_corpus

    teacher = Teacher(args.base_url, args.model, concurrency=args.concurrency)
    with tqdm(unit="segment") as bar:

        def show(dataset: str, done: int, total: int) -> None:
            bar.set_description(dataset)
            bar.total = total
            bar.n = done
            bar.refresh()

        manifest = refine_corpus(args.corpus, args.out, teacher, args.label_visibility, show)
    for name, told in manifest["config"]["refine"]["datasets"].items():
        counts = ", ".join(f"{told[key]} {key}" for key in ("segments", "accepted", "repaired", "rejected", "requests"))
        print(f"{name}: {counts}; rejection rate {told['rejection_rate']:.1%}, cost {told['cost']:.4g}")
    return 0


def _datasets(args: argparse.Namespace) -> int:
    from corpus.datasets import all_datasets, get_dataset
    from corpus.datasets.summary import summarise

    if args.root is not None:
        if args.dataset is None:
            raise ValueError("got --root without --dataset, expected both: name the dataset")
        dataset = get_dataset(args.dataset)
        print(summarise(dataset, dataset.entries(args.root)))
        return 0
    for dataset in all_datasets() if args.dataset is None else [get_dataset(args.dataset)]:
        card = dataset.card
        print(f"{card.name} ({', '.join((card.role, *card.aliases))}): {card.title}. {card.licence}. {card.access}")
    return 0


def _stats(args: argparse.Namespace) -> int:
    from corpus.stats import composition, draw_composition, finding_counts, label_counts
    from corpus.store import read_manifest

    manifest = read_manifest(args.corpus)
    print(composition(manifest))
    for title, counts in (*label_counts(args.corpus).items(), *finding_counts(args.corpus).items()):
        print(f"\n{title}: " + ", ".join(f"{name} {count:,}" for name, count in counts.most_common()))
    if args.figure is not None:
        draw_composition(args.corpus).savefig(args.figure, dpi=120)
        print(args.figure)
    return 0


def _show(args: argparse.Namespace) -> int:
    from corpus.stats import describe_segment, draw_segment
    from corpus.store import CorpusReader

    try:
        record = CorpusReader(args.corpus).segment(args.segment)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    print(describe_segment(record))
    figure = args.figure or Path(f"{args.segment.replace('/', '_')}.png")
    draw_segment(record).savefig(figure, dpi=100)
    print(figure)
    return 0


def _audit(args: argparse.Namespace) -> int:
    from corpus.audit import audit

    words = args.words.read_text().split("\n") if args.words is not None else []
    report = audit(args.corpus, [word for word in words if word.strip()])
    print(report.text())
    return 0 if report.clean else 1
