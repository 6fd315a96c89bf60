"""How commands that score something show it."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

MAX_NAMED = 5


def scores_argument(parser: argparse.ArgumentParser) -> None:
    """Where the scores go."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")


def show_scores(scores: Any, table: str, file: Path | None) -> None:
    """Print the table and write the scores to a file; without one print both, the table to standard error.

    Raises:
        ValueError: a score is NaN, which no JSON can hold.
    """
    if seen := scores.get("seen_in_training"):
        named = ", ".join(seen[:MAX_NAMED]) + (" ..." if len(seen) > MAX_NAMED else "")
        print(f"warning: {len(seen)} of these persons were in the training of the model: {named}", file=sys.stderr)
    if file is None:
        print(table, file=sys.stderr)
        print(json.dumps(scores, indent=2, allow_nan=False))
    else:
        print(table)
        write_json(scores, file)


def write_json(found: Any, file: Path) -> None:
    """Write what was found to a file, in a folder that is made where there is none; ValueError where it has a NaN."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
