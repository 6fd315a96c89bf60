"""`neuronarrator evaluate patterns`: captions against experts who voted on periodic and rhythmic patterns."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_patterns(subcommands: Any) -> None:
    """Add `patterns` to the subcommands of `evaluate`."""
    parser = subcommands.add_parser("patterns", help="periodic discharges, rhythmic delta and seizures in captions")
    parser.add_argument(
        "--data", type=Path, nargs="+", default=(), metavar="PATH", help="samples with votes (default: simulate)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="how PATH is published (default: as the folder is called)")
    parser.add_argument("--persons", type=int, default=10, help="simulated segments of each pattern (default: 10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")
    parser.add_argument(
        "--model", default="tiny", metavar="NAME|PATH", help="detector; default: tiny, which is shipped"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from encoders.waveform import WaveformDetector
    from neuronarrator.evaluate.patterns import evaluate_patterns, format_patterns

    detector = WaveformDetector.from_pretrained(args.model, device=args.device)
    scores = evaluate_patterns(detector, args.data, args.dataset, args.persons)
    print(format_patterns(scores), file=sys.stderr if args.json is None else sys.stdout)
    text = json.dumps(scores, indent=2)
    if args.json is None:
        print(text)
    else:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text + "\n")
    return 0
