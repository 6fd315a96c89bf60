"""The commands on benches: `bench make`, and `evaluate bench`."""

import argparse
import json
from pathlib import Path
from typing import Any

from neuronarrator.commands.models import find_device, model_arguments
from neuronarrator.commands.scores import scores_argument, show_scores


def add_bench_command(commands: Any) -> None:
    """`bench make`."""
    steps = commands.add_parser("bench", help="benches in four formats").add_subparsers(required=True, metavar="STEP")
    make = steps.add_parser("make", help="make the open bench: simulated persons, and recordings with experts' votes")
    make.add_argument("--out", required=True, type=Path, metavar="DIR", help="an earlier bench there is replaced")
    make.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="dataset with votes of experts, as published: iiic=..., iiic-irr=... (may be repeated)",
    )
    make.add_argument("--items", type=int, default=90, metavar="N", help="of simulated persons (default: 90)")
    make.add_argument("--seed", type=int, default=0)
    make.set_defaults(run=_make)


def add_evaluate_bench(whats: Any) -> None:
    """Add `bench` to the subcommands of `evaluate`."""
    parser = whats.add_parser("bench", help="choices, descriptions, questions and boxes; or a clinical protocol")
    parser.add_argument("--bench", type=Path, metavar="DIR", help="of bench make, or CerebraGloss-Bench as published")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="score these answers (JSON lines), not --model's")
    parser.add_argument("--detector", default="tiny", metavar="NAME|PATH", help="of the boxes (default: tiny)")
    parser.add_argument("--protocol", choices=("tusz", "hmc"), help="score labels of --data by the paper's protocol")
    parser.add_argument("--data", type=Path, metavar="PATH", help="with --protocol: the dataset as published, a corpus")
    parser.add_argument("--base-url", help="OpenAI-compatible endpoint of a judge; key in OPENAI_API_KEY")
    parser.add_argument("--judge", metavar="NAME", help="of the language model there")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="of the judge's answers")
    scores_argument(parser)
    model_arguments(parser)
    parser.set_defaults(run=_evaluate)


def _make(args: argparse.Namespace) -> int:
    from corpus.bench import make_bench

    voted = {}
    for text in args.data:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise ValueError(f"got --data {text!r}, expected NAME=PATH such as iiic=recordings/iiic; correct it")
        voted[name] = path
    bench = make_bench(args.out, voted, args.items, args.seed)
    print(json.dumps(dict(bench.facts), indent=2))
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from neuronarrator.evaluate.bench import format_bench
    from neuronarrator.evaluate.bench_protocols import format_protocol

    if (args.bench is None) == (args.protocol is None) or (args.protocol is None) != (args.data is None):
        raise ValueError("got no task, or two, expected one: --bench DIR, or --protocol NAME with --data PATH")
    scores = _score_bench(args) if args.protocol is None else _score_protocol(args)
    shown = format_bench(scores) if args.protocol is None else format_protocol(scores)
    show_scores(scores, shown, args.json)
    return 0


def _score_protocol(args: argparse.Namespace) -> dict[str, Any]:
    from neuronarrator.evaluate.bench_protocols import evaluate_protocol
    from neuronarrator.models import load_narrator

    return evaluate_protocol(load_narrator(args.model, find_device(args.device)), args.data, args.protocol)


def _score_bench(args: argparse.Namespace) -> dict[str, Any]:
    from corpus.bench import Bench, open_bench
    from corpus.refine import Teacher
    from encoders.waveform import WaveformDetector
    from neuronarrator.evaluate.bench import evaluate_bench
    from neuronarrator.evaluate.bench_answers import answers_of, chance, marks_of, no_signal, oracle, read_answers
    from neuronarrator.evaluate.bench_judge import grade_bench
    from neuronarrator.models import load_narrator

    if len({args.base_url is None, args.judge is None, args.cache is None}) > 1:
        raise ValueError("got part of a judge, expected --base-url, --judge and --cache together: add what is missing")
    bench: Bench = open_bench(args.bench)
    if args.answers is not None:
        systems = [read_answers(args.answers, bench)]
    else:
        device = find_device(args.device)
        detector = WaveformDetector.from_pretrained(args.detector, device=device).eval()
        systems = [answers_of(load_narrator(args.model, device), bench, args.model)]
        systems.append(marks_of(detector, bench, f"detector {args.detector}"))
    systems += [no_signal(bench), chance(bench), oracle(bench)]
    scores = evaluate_bench(bench, systems)
    if args.judge is not None:
        teacher = Teacher(args.base_url, args.judge, temperature=0.0)
        for name, grades in grade_bench(bench, systems, teacher, args.cache).items():
            scores["systems"][name]["judge"] = grades
        scores["config"]["judge"] = teacher.body([])
    return scores
