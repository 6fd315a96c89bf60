"""`neuronarrator evaluate patterns`: captions against experts who voted on periodic and rhythmic patterns."""

import argparse
from pathlib import Path
from typing import Any

from neuronarrator.commands.detector import detector_arguments
from neuronarrator.commands.scores import scores_argument, show_scores


def add_patterns(subcommands: Any) -> None:
    """Add `patterns` to the subcommands of `evaluate`."""
    parser = subcommands.add_parser("patterns", help="periodic discharges, rhythmic delta and seizures in captions")
    parser.add_argument(
        "--data", type=Path, nargs="+", default=(), metavar="PATH", help="samples with votes (default: simulate)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="how PATH is published (default: as the folder is called)")
    parser.add_argument("--persons", type=int, default=10, help="simulated segments of each pattern (default: 10)")
    scores_argument(parser)
    detector_arguments(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from encoders.waveform import WaveformDetector
    from neuronarrator.evaluate.patterns import evaluate_patterns, format_patterns

    detector = WaveformDetector.from_pretrained(args.model, device=args.device)
    scores = evaluate_patterns(detector, args.data, args.dataset, args.persons)
    show_scores(scores, format_patterns(scores), args.json)
    return 0
