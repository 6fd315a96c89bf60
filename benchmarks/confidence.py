"""Confidence of a narrator: fitted on the training side, tested on held-out persons and on altered signals.

Run: python benchmarks/confidence.py [--model tiny] [--data ../shared/data] [--out DIR] [--json FILE]
Fitted on segments of the recordings that experiments/narrate/tiny.yaml trains on, with persons left out in turn; tested
on those of benchmarks/quality.py, which no training uses. The peer is the mean token probability, in the same run.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from quality import HELD_OUT

from neuronarrator.compare import Chosen
from neuronarrator.evaluate.confidence import AS_RECORDED, evaluate_confidence, examples_of, fit_calibration
from neuronarrator.evaluate.sources import Item
from neuronarrator.narrator import Narrator

RECIPE = Path(__file__).parents[1] / "experiments" / "narrate" / "tiny.yaml"


def training_items(data: Path) -> list[Item]:
    """The training recordings of the recipe, as far as they are at hand."""
    sources = yaml.safe_load(RECIPE.read_text("utf-8"))["data"]["init_args"]["sources"]
    found = []
    for source in sources:
        root, dataset = data / Path(source["root"]).name, source.get("dataset")
        if root.is_dir():
            found += Chosen(str(root), dataset, "train" if dataset else None, tuple(source.get("train", ()))).items()
    return found


def table(scores: dict[str, Any]) -> str:
    """Markdown."""
    rows = ["| | calibrated | mean token probability |", "|---|---|---|"]
    ours, theirs = scores["narratives"], scores["token_probability"]
    rows += [f"| {name} | {ours[name]:.3f} | {theirs[name]:.3f} |" for name in ("ece", "brier", "aurc")]
    for name, found in scores["altered"].items():
        fall, other = found["fall"], found["token_probability_fall"]
        rows.append(f"| fall for {name} | {fall['mean']:.3f} | {other['mean']:.3f} |")
    referral = scores["referral"]
    share, wrong = 100 * referral["go_out"]["mean"], 100 * referral["go_out_wrong"]["mean"]
    rows.append(f"\nAt risk {referral['risk']:g}: {share:.0f} % go out, {wrong:.1f} % of all go out wrong.")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--segments", type=int, default=6, help="of a recording")
    parser.add_argument("--risk", type=float, default=0.1)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the calibration here, beside a model")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"got no folder {args.data.name!r}, expected the recordings: pass --data")
    narrator = Narrator.from_pretrained(args.model)
    fitted = fit_calibration(examples_of(narrator, training_items(args.data), args.segments)[AS_RECORDED], args.risk)
    told = {**fitted.facts, "model": narrator.card, "data": f"training side of {RECIPE.parent.name}/{RECIPE.name}"}
    fitted = replace(fitted, facts=told)
    held_out = [item for name in HELD_OUT.values() for item in name.items(args.data)]
    scores = evaluate_confidence(fitted, examples_of(narrator, held_out, args.segments, altered=True))
    print(f"fitted on {told['narratives']} narratives of {told['persons']} persons, tested on {scores['n_narratives']}")
    print(table(scores))
    if args.out is not None:
        print(fitted.save(args.out))
    if args.json is not None:
        args.json.write_text(json.dumps({"fit": told, "test": scores}, indent=2) + "\n")


if __name__ == "__main__":
    main()
