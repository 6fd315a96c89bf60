"""How commands that score something show it."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def scores_argument(parser: argparse.ArgumentParser) -> None:
    """Where the scores go."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here")


def show_scores(scores: Any, table: str, file: Path | None) -> None:
    """Print the table and write the scores to a file; without one print both, the table to standard error."""
    text = json.dumps(scores, indent=2)
    if file is None:
        print(table, file=sys.stderr)
        print(text)
    else:
        print(table)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
