"""`neuronarrator ask`: a question about a recording, its answers checked against the signal."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neuronarrator.commands.models import load_model, model_arguments
from neuronarrator.commands.scores import write_json


def add_ask(commands: Any) -> None:
    """Add `ask`."""
    ask = commands.add_parser("ask", help="ask a question about a recording; answers are checked against the signal")
    ask.add_argument("recording", type=Path, metavar="FILE")
    ask.add_argument("question", metavar="QUESTION", help='such as "Is there a posterior dominant rhythm?"')
    ask.add_argument("--at", type=float, metavar="S", help="of the segment at this second (default: of all)")
    ask.add_argument("--json", type=Path, metavar="FILE", help="write the answers here as well")
    model_arguments(ask)
    ask.set_defaults(run=_ask)


def _ask(args: argparse.Namespace) -> int:
    from neuronarrator.answer import answer_question
    from neuronarrator.narrate import load_for_model

    narrator = load_model(args)
    answers = []
    for answer in answer_question(narrator, load_for_model(args.recording), args.question, args.at):
        print(f"{answer.start_s:7.1f} - {answer.end_s:.1f} s   {answer.verdict:<13} {answer.text}", flush=True)
        answers.append(asdict(answer))
    if args.json is not None:
        write_json({"question": args.question, "model": narrator.card, "answers": answers}, args.json)
    return 0
