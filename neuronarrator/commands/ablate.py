"""The command `ablate`."""

import argparse
import shlex
from pathlib import Path
from typing import Any

from neuronarrator.commands.scores import scores_argument, show_scores


def add_ablate(commands: Any) -> None:
    """`ablate`."""
    parser = commands.add_parser("ablate", help="train changes of a recipe alike, score them in a table")
    parser.add_argument("changes", nargs="+", type=Path, metavar="CHANGE.yaml", help="as in experiments/ablate")
    parser.add_argument("--base", type=Path, default=Path("experiments/narrate/tiny.yaml"), metavar="RECIPE.yaml")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="runs that it holds already are kept")
    parser.add_argument("--seed", type=int, default=0, help="of every run (default: 0)")
    parser.add_argument("--side", choices=("val", "test"), default="val", help="to score on (default: val)")
    parser.add_argument("--fit", default="", metavar="WORDS", help='of every run, as --fit="--trainer.max_epochs 2"')
    scores_argument(parser)
    parser.set_defaults(run=ablate)


def ablate(args: argparse.Namespace) -> int:
    """Run the command."""
    from neuronarrator.ablation import AblationOptions, format_ablations, run_ablations

    options = AblationOptions(args.seed, args.side, words=tuple(shlex.split(args.fit)))
    scores = run_ablations(args.base, args.changes, args.out, options)
    show_scores(scores, format_ablations(scores), args.json)
    return 0
