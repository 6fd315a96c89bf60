"""Quality of a narrator on held-out subjects: retrieval in galleries of 90 windows and more, and narratives.

Run: python benchmarks/quality.py [--model tiny] [--data ../shared/data] [--only EEGMAT ...] [--json FILE]
Subjects: EEGMAT 26-30 and EEGMMIDB S038, S050, none of them in training by experiments/, but watched during
development; and the persons of ADHD-Child, Guinea-Bissau and IIIC that were on the test side when `tiny` was trained.
They are named here: sides of a small dataset depend on who is in the folder.
Windows of ten seconds begin every two seconds for retrieval (IIIC, few and short: every half a second), each has a map
of its own instant; every ten seconds for narratives. One gallery for each dataset, and one of everything. The peer is
the paper (NeuroNarrator, Tables 3 and 4); its rows come from other recordings of the same datasets.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuronarrator.evaluate import RetrievalOptions
from neuronarrator.evaluate.figures import write_figures
from neuronarrator.evaluate.narratives import score_narratives
from neuronarrator.evaluate.published import paper_row
from neuronarrator.evaluate.retrieval import Pairs, embed_items, score_pairs
from neuronarrator.evaluate.sources import Item, open_data
from neuronarrator.evaluate.table import format_retrieval
from neuronarrator.narrator import Narrator
from neuronarrator.persons import seen_in_training, stages_of


@dataclass(frozen=True)
class HeldOut:
    """Recordings that no training uses: files of a folder, or of a dataset, by their stems."""

    folder: str
    stems: tuple[str, ...]
    dataset: str | None = None
    stride_s: float = 2.0

    def items(self, data: Path) -> list[Item]:
        found = open_data(data / self.folder, self.dataset).items
        return [item for item in found if Path(item.name).stem in self.stems]


CHILDREN = ("v109", "v10p", "v120", "v129", "v14p", "v265", "v3p", "v44p", "v52p", "v8p")
HELD_OUT = {
    "EEGMAT": HeldOut("eegmat", tuple(f"Subject{number}_2" for number in range(26, 31))),
    "EEGMMIDB": HeldOut("eegmmidb", ("S038R01", "S038R02", "S050R01", "S050R02")),
    "ADHD-Child": HeldOut("adhd_child", CHILDREN, "adhd-child"),
    "Guinea-Bissau": HeldOut("guinea_bissau", ("signal-18",), "guinea-bissau"),
    "IIIC": HeldOut("iiic_sparcnet", ("GPD_sample3", "GRDA_sample3"), "iiic", 0.5),
}


def measure(
    narrator: Narrator, data: Path, names: Sequence[str], figures: Path | None, narrate: bool = True
) -> dict[str, Any]:
    """Retrieval of each dataset and of all in one gallery, and narratives of each dataset."""
    options = RetrievalOptions(stride_s=2.0)
    parts, narratives, skipped = [], {}, dict[str, str]()
    for name in names:
        items = HELD_OUT[name].items(data)
        part = embed_items(narrator, items, skipped, replace(options, stride_s=HELD_OUT[name].stride_s))
        parts.append(part)
        if narrate:
            narratives[items[0].dataset] = score_narratives(narrator, items)
    pairs = Pairs.join(parts)
    if figures is not None:
        write_figures(pairs, figures)
    strides = " / ".join(f"{HELD_OUT[name].stride_s:g}" for name in names)
    told = {"stride_s": strides, "split": "held out", "skipped": skipped, "model": narrator.card}
    if seen := seen_in_training(stages_of(narrator), pairs.subjects.tolist()):
        raise SystemExit(f"got {seen} in the training of {narrator.card['name']}, expected persons it never saw")
    subjects = "as the datasets publish them"
    return {"retrieval": score_pairs(pairs, options) | told | {"subjects": subjects}, "narratives": narratives}


def narrative_rows(narratives: dict[str, Any]) -> list[str]:
    """Markdown: the paper's row of the same dataset in brackets."""
    rows = ["| dataset | segments | Fact-F1 | ROUGE-L | contradicted claims |", "|---|---|---|---|---|"]
    for name, scores in narratives.items():
        paper = paper_row(name)
        fact, rouge = (f" ({value})" if value else "" for value in (paper and paper.fact_f1, paper and paper.rouge_l))
        rows.append(
            f"| {name} | {scores['n_segments']} | {scores['fact_f1']['mean']:.3f}{fact} "
            f"| {scores['rouge_l']['mean']:.3f}{rouge} "
            f"| {100 * scores['claims'].get('contradicted', 0.0):.1f} % of {scores['claims']['total']} |"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--only", nargs="+", choices=list(HELD_OUT), default=list(HELD_OUT), metavar="DATASET")
    parser.add_argument("--retrieval-only", action="store_true", help="no narratives")
    parser.add_argument("--figures", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.data.is_dir():
        print(f"skipped: got no folder {args.data.name!r}, expected the recordings: pass --data")
        return
    narrator = Narrator.from_pretrained(args.model)
    scores = measure(narrator, args.data, args.only, args.figures, not args.retrieval_only)
    print(format_retrieval(scores["retrieval"]))
    if scores["narratives"]:
        print("\nNarratives\n" + "\n".join(narrative_rows(scores["narratives"])))
    if args.json is not None:
        args.json.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    main()
