"""The command line: narrate recordings, evaluate models, simulate EEG, and train by the Lightning CLI."""

import argparse
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from corpus.recording import RecordingError
from neuronarrator.commands.ablate import add_ablate
from neuronarrator.commands.ask import add_ask
from neuronarrator.commands.bench import add_bench_command, add_evaluate_bench
from neuronarrator.commands.corpus import add_corpus_commands
from neuronarrator.commands.detector import add_detector_command
from neuronarrator.commands.models import add_model_commands, data_arguments, load_model, model_arguments
from neuronarrator.commands.patterns import add_patterns
from neuronarrator.commands.scores import scores_argument, show_scores
from neuronarrator.version import __version__

TRAINER_COMMANDS = ("fit", "validate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 where something failed, 2 where the words are off."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in TRAINER_COMMANDS:
        run_trainer(argv)
        return 0
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, FileNotFoundError) as error:  # every one of ours is a line that says what to do
        print(f"neuronarrator: {error}", file=sys.stderr)
        return 1


def run_trainer(argv: Sequence[str]) -> Any:
    """`neuronarrator fit --config experiments/...`: the whole of training is one LightningCLI."""
    from lightning.pytorch.cli import LightningCLI

    return LightningCLI(args=list(argv), seed_everything_default=0, save_config_kwargs={"overwrite": True})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neuronarrator",
        description="EEG recordings to clinical narratives, every claim checked against the signal. Research use only.",
        epilog="Training: neuronarrator fit --config experiments/align/tiny.yaml (and validate).",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    narrate = commands.add_parser("narrate", help="write a report of each recording")
    narrate.add_argument("recordings", nargs="+", type=Path, metavar="REC", help="files of any format MNE reads")
    narrate.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the reports")
    narrate.add_argument("--formats", default="html,json,md", help="any of html,json,md (default: all)")
    model_arguments(narrate)
    narrate.set_defaults(run=_narrate)

    add_ask(commands)
    add_model_commands(commands)
    add_ablate(commands)
    add_bench_command(commands)
    _add_evaluate(commands)
    add_corpus_commands(commands)

    simulate = commands.add_parser("simulate", help="write a simulated recording as EDF+")
    simulate.add_argument("file", type=Path, metavar="FILE.edf")
    simulate.add_argument("--duration", type=float, default=120.0, help="seconds (default: 120)")
    simulate.add_argument("--seed", type=int, default=0)
    simulate.set_defaults(run=_simulate)
    return parser


def _add_evaluate(commands: Any) -> None:
    """`evaluate retrieval`, `narratives`, `labels`, `questions` and more: what they share, and what is their own."""
    evaluate = commands.add_parser("evaluate", help="score a model on recordings or a corpus")
    whats = evaluate.add_subparsers(dest="what", required=True, metavar="WHAT")
    retrieval = whats.add_parser("retrieval", help="find the scalp map of a signal and the signal of a map")
    narratives = whats.add_parser("narratives", help="facts, wording and claims of generated narratives")
    labels = whats.add_parser(
        "labels", help="the dataset's label from the narrative: stated, and by a probe of its facts"
    )
    questions = whats.add_parser("questions", help="answers about what is measured: yes or no, a choice, in words")
    add_detector_command(whats)
    add_evaluate_bench(whats)
    add_patterns(whats)
    for parser in (retrieval, narratives, labels, questions):
        data_arguments(parser)
        scores_argument(parser)
        model_arguments(parser)
        parser.set_defaults(run=_evaluate)
    for parser in (narratives, labels):
        parser.add_argument(
            "--predictions",
            type=Path,
            metavar="FILE",
            help="score the narratives of this file (predict) instead",
        )
    retrieval.add_argument(
        "--gallery", type=int, default=90, metavar="N", help="pairs of a random gallery (default: 90)"
    )
    retrieval.add_argument("--stride-s", type=float, default=10.0, help="a window so often (default: every 10 s)")
    retrieval.add_argument("--figures", type=Path, metavar="DIR", help="pictures of the embedding space")
    narratives.add_argument(
        "--bertscore", type=Path, metavar="DIR", help="BERTScore by the model in this folder, such as roberta-large"
    )


def _narrate(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from neuronarrator.narrate import load_for_model, narrate_recording
    from neuronarrator.report.write import FORMATS, write_report

    formats = tuple(args.formats.split(","))
    if unknown := set(formats) - set(FORMATS):
        raise ValueError(f"got format {min(unknown)!r}, expected any of {','.join(FORMATS)}: correct --formats")
    narrator = load_model(args)
    failed = 0
    for path, stem in zip(args.recordings, _unique_stems(args.recordings), strict=True):
        try:
            recording = load_for_model(path)
            with tqdm(desc=path.name, unit="segment") as bar:

                def show(done: int, total: int, bar: tqdm = bar) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                narrated = narrate_recording(narrator, recording, on_progress=show)
            written = write_report(narrated.document, narrated.recording, narrated.topomaps, args.out, formats, stem)
            print(*written.values(), sep="\n")
        except RecordingError as error:
            failed += 1
            named = str(error).startswith(path.name)  # the reader names the file itself
            print(f"neuronarrator: {error if named else f'{path.name}: {error}'}", file=sys.stderr)
        except Exception as error:  # one recording that trips us must not cost the others
            failed += 1
            print(f"neuronarrator: {path.name}: internal error, {type(error).__name__}: {error}", file=sys.stderr)
    if failed:
        print(f"neuronarrator: {failed} of {len(args.recordings)} recordings failed", file=sys.stderr)
    return 1 if failed else 0


def _unique_stems(paths: Sequence[Path]) -> list[str]:
    """Names of the reports: the stems of the files; where one is taken, with the first number from 2 on that is not."""
    stems: list[str] = []
    for path in paths:
        names = chain([path.stem], (f"{path.stem}-{number}" for number in count(2)))
        stems.append(next(name for name in names if name not in stems))
    return stems


def _evaluate(args: argparse.Namespace) -> int:
    from neuronarrator import evaluate
    from neuronarrator.evaluate import table
    from neuronarrator.evaluate.predictions import Predictions

    where = {"dataset": args.dataset, "split": args.split}
    if args.what == "retrieval":
        options = evaluate.RetrievalOptions(stride_s=args.stride_s, gallery=args.gallery)
        scores = evaluate.evaluate_retrieval(
            load_model(args), args.data, **where, options=options, figures=args.figures
        )
        shown = table.format_retrieval(scores)
    elif args.what == "questions":
        scores = evaluate.evaluate_questions(load_model(args), args.data, **where)
        shown = evaluate.format_questions(scores)
    else:
        told = load_model(args) if args.predictions is None else Predictions(args.predictions)
        if args.what == "labels":
            scores = evaluate.evaluate_labels(told, args.data, **where)
            shown = table.format_labels(scores)
        else:
            chosen = evaluate.NarrativeOptions(bertscore=args.bertscore)
            scores = evaluate.evaluate_narratives(told, args.data, **where, options=chosen)
            shown = table.format_narratives(scores)
    show_scores(scores, shown, args.json)
    return 0


def _simulate(args: argparse.Namespace) -> int:
    from corpus.simulate import random_preset, simulate, write_edf

    simulation = simulate(random_preset(args.seed, duration_s=args.duration), args.seed)
    args.file.parent.mkdir(parents=True, exist_ok=True)
    write_edf(simulation.recording, args.file)
    print(args.file)
    return 0
