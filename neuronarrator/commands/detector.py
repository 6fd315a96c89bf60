"""`neuronarrator evaluate detector`: the waveform detector on simulated persons or on recordings of experts."""

import argparse
from pathlib import Path
from typing import Any

from neuronarrator.commands.scores import scores_argument, show_scores


def add_detector_command(whats: Any) -> None:
    """Add `detector` to the subcommands of `evaluate`."""
    parser = whats.add_parser("detector", help="precision, errors and calibration of the waveform detector, by class")
    parser.add_argument(
        "--data", type=Path, metavar="PATH", help="recordings with waveforms marked by experts (default: simulate)"
    )
    parser.add_argument("--dataset", metavar="NAME", help="PATH holds this dataset as published, such as dreams")
    parser.add_argument("--persons", type=int, default=200, help="simulated persons, a minute each (default: 200)")
    scores_argument(parser)
    detector_arguments(parser)
    parser.set_defaults(run=_evaluate)


def detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Which waveform detector, and where it runs."""
    parser.add_argument(
        "--model", default="tiny", metavar="NAME|PATH", help="detector; default: tiny, which is shipped"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")


def _evaluate(args: argparse.Namespace) -> int:
    from encoders.waveform import WaveformDetector
    from neuronarrator.evaluate.detector import evaluate_detector, format_detector

    detector = WaveformDetector.from_pretrained(args.model, device=args.device)
    scores = evaluate_detector(detector, args.data, args.dataset, args.persons)
    show_scores(scores, format_detector(scores), args.json)
    return 0
