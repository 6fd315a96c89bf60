"""Commands on models: predict, calibrate, compare, judge, ratings. And the arguments that commands on models share."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuronarrator.commands.scores import write_json


def add_model_commands(commands: Any) -> None:
    """`predict`, `calibrate`, `compare`, `judge`, `ratings`."""
    predict = commands.add_parser("predict", help="write narratives of many recordings as JSON lines, resumable")
    data_arguments(predict)
    predict.add_argument("--out", required=True, type=Path, metavar="FILE.jsonl", help="goes on where it stopped")
    model_arguments(predict)
    predict.set_defaults(run=_predict)

    calibrate = commands.add_parser("calibrate", help="fit or test the confidence of a model")
    data_arguments(calibrate)
    calibrate.add_argument("--segments", type=int, default=12, metavar="N", help="of a recording (default: 12)")
    calibrate.add_argument("--risk", type=float, default=0.1, help="of a wrong narrative that goes out (default: 0.1)")
    calibrate.add_argument("--out", type=Path, metavar="DIR", help="fit, and write the file here, beside the model")
    calibrate.add_argument("--test", type=Path, metavar="DIR", help="test the file here, on other persons and on noise")
    model_arguments(calibrate)
    calibrate.set_defaults(run=_calibrate)

    compare = commands.add_parser("compare", help="narrators side by side on the same segments")
    compare.add_argument("--config", required=True, type=Path, metavar="FILE", help="experiments/compare/tiny.yaml")
    compare.add_argument("--out", required=True, type=Path, metavar="DIR", help="of tables, figure and page; goes on")
    compare.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")
    compare.set_defaults(run=_compare)

    judge = commands.add_parser("judge", help="let a language model compare narratives with references, blinded")
    _compared_arguments(judge)
    judge.add_argument("--base-url", required=True, help="of an OpenAI-compatible endpoint; key in OPENAI_API_KEY")
    judge.add_argument("--judge", required=True, metavar="NAME", help="of the language model there")
    judge.add_argument("--cache", required=True, type=Path, metavar="DIR", help="of its answers")
    judge.set_defaults(run=_judge)

    steps = commands.add_parser("ratings", help="sheets for experts").add_subparsers(required=True, metavar="STEP")
    export = steps.add_parser("export", help="write a blinded sheet and its key")
    _compared_arguments(export)
    export.add_argument("--sheet", required=True, type=Path, metavar="FILE.csv", help="for the experts")
    export.add_argument("--key", required=True, type=Path, metavar="FILE.csv", help="what it hides, not for them")
    export.set_defaults(run=_export_ratings)
    score = steps.add_parser("score", help="read sheets that are filled in")
    score.add_argument("sheets", nargs="+", type=Path, metavar="FILE.csv")
    score.add_argument("--key", required=True, type=Path, metavar="FILE.csv")
    score.set_defaults(run=_score_ratings)


def data_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read: recordings, a dataset or a corpus."""
    parser.add_argument(
        "--data", required=True, type=Path, metavar="PATH", help="folder of recordings, one file, or a corpus"
    )
    parser.add_argument("--dataset", metavar="NAME", help="PATH holds this dataset as published (corpus datasets)")
    parser.add_argument("--split", choices=("train", "val", "test"), help="one side of it (default: all)")


def _compared_arguments(parser: argparse.ArgumentParser) -> None:
    data_arguments(parser)
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        metavar="FILE",
        help="of predict, a model each",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="segments, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0)


def model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which narrator, and where it runs."""
    parser.add_argument("--model", default="tiny", metavar="NAME|PATH", help="default: tiny, which is shipped")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto)")


def load_model(args: argparse.Namespace) -> Any:
    """The narrator that the arguments name, in eval mode; one that reads signals."""
    from neuronarrator.narrator import Narrator

    return Narrator.from_pretrained(args.model, device=find_device(args.device))


def find_device(device: str) -> str:
    """The device that is meant by auto, or the one named, if this machine has it."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("got device cuda, expected one that this machine has: use --device cpu")
    return device


def _predict(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from neuronarrator.evaluate.sources import open_data
    from neuronarrator.models import load_narrator
    from neuronarrator.predict import predict

    narrator = load_narrator(args.model, find_device(args.device))
    items = open_data(args.data, args.dataset, args.split).items
    with tqdm(desc="predict", unit="segment") as bar:

        def show(count: int) -> None:
            bar.update(count - bar.n)

        skipped = predict(narrator, items, args.out, show)
    for name, why in skipped.items():
        print(f"skipped {name}: {why}", file=sys.stderr)
    print(args.out)
    return 0


def _compare(args: argparse.Namespace) -> int:
    from neuronarrator.compare import compare, comparison_page, comparison_png, format_comparison, read_config

    comparison = compare(read_config(args.config), args.out, find_device(args.device))
    table = format_comparison(comparison.scores)
    write_json(comparison.scores, args.out / "comparison.json")
    (args.out / "comparison.md").write_text(table + "\n", "utf-8")
    (args.out / "comparison.png").write_bytes(comparison_png(comparison.scores))
    (args.out / "comparison.html").write_text(comparison_page(comparison), "utf-8")
    print(table)
    print(args.out / "comparison.html")
    return 0


def _calibrate(args: argparse.Namespace) -> int:
    from neuronarrator.calibrate import Calibration
    from neuronarrator.evaluate.confidence import AS_RECORDED, evaluate_confidence, examples_of, fit_calibration
    from neuronarrator.evaluate.sources import open_data

    if (args.out is None) == (args.test is None):
        raise ValueError("got both or neither of --out and --test, expected one: --out DIR to fit, --test DIR to test")
    items = open_data(args.data, args.dataset, args.split).items
    narrator = load_model(args)
    found = examples_of(narrator, items, args.segments, altered=args.test is not None)
    if args.out is not None:
        calibration = fit_calibration(found[AS_RECORDED], args.risk)
        told = {**calibration.facts, "model": narrator.card, "data": [args.data.name, args.dataset, args.split]}
        file = replace(calibration, facts=told).save(args.out)
        print(json.dumps(told, indent=2))
        print(file)
        return 0
    loaded = Calibration.load(args.test)
    if loaded is None:
        raise FileNotFoundError(f"got no calibration in {args.test.name!r}, expected one: fit it by --out")
    print(json.dumps(evaluate_confidence(loaded, found), indent=2))
    return 0


def _compared(args: argparse.Namespace) -> Any:
    from neuronarrator.evaluate.blinding import comparisons_of
    from neuronarrator.evaluate.predictions import Predictions
    from neuronarrator.evaluate.sources import open_data

    systems = {str(path): Predictions(path) for path in args.predictions}
    return comparisons_of(systems, open_data(args.data, args.dataset, args.split).items, args.seed, args.limit)


def _judge(args: argparse.Namespace) -> int:
    from corpus.refine import Teacher
    from neuronarrator.evaluate.judge import judge

    teacher = Teacher(args.base_url, args.judge, temperature=0.0)
    compared = _compared(args)
    scores = judge(compared.comparisons, teacher, args.cache, args.seed)
    print(json.dumps(scores | {"n_missing": compared.n_missing, "skipped": compared.skipped}, indent=2))
    return 0


def _export_ratings(args: argparse.Namespace) -> int:
    from neuronarrator.evaluate.ratings import export_sheet

    compared = _compared(args)
    export_sheet(compared.comparisons, args.sheet, args.key, args.seed)
    for name, count in compared.n_missing.items():
        if count:
            print(f"{name}: {count} segments without a narrative, shown as the empty text", file=sys.stderr)
    for name, why in compared.skipped.items():
        print(f"skipped {name}: {why}", file=sys.stderr)
    print(args.sheet, args.key, sep="\n")
    return 0


def _score_ratings(args: argparse.Namespace) -> int:
    from neuronarrator.evaluate.ratings import score_sheets

    print(json.dumps(score_sheets(args.key, args.sheets), indent=2))
    return 0
