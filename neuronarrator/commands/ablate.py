"""The command `ablate`."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any


def add_ablate(commands: Any) -> None:
    """`ablate`."""
    parser = commands.add_parser("ablate", help="train changes of a recipe alike, score them in a table")
    parser.add_argument("changes", nargs="+", type=Path, metavar="CHANGE.yaml", help="as in experiments/ablate")
    parser.add_argument("--base", type=Path, default=Path("experiments/narrate/tiny.yaml"), metavar="RECIPE.yaml")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="runs that it holds already are kept")
    parser.add_argument("--seed", type=int, default=0, help="of every run (default: 0)")
    parser.add_argument("--side", choices=("val", "test"), default="val", help="to score on (default: val)")
    parser.add_argument("--fit", default="", metavar="WORDS", help='of every run, as --fit="--trainer.max_epochs 2"')
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")
    parser.set_defaults(run=ablate)


def ablate(args: argparse.Namespace) -> int:
    """Run the command."""
    from neuronarrator.ablation import AblationOptions, format_ablations, run_ablations

    options = AblationOptions(args.seed, args.side, words=tuple(shlex.split(args.fit)))
    scores = run_ablations(args.base, args.changes, args.out, options)
    print(format_ablations(scores))
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(scores, indent=2) + "\n")
    return 0
