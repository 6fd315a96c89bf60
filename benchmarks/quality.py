"""Quality of a narrator on held-out subjects: retrieval in galleries of 90 windows and more, and narratives.

Run: python benchmarks/quality.py [--model tiny] [--data ../shared/data] [--only EEGMAT ...] [--json FILE]
Subjects: EEGMAT 26-30 and EEGMMIDB S038, S050, none of them in training by experiments/, but watched during
development; and the test sides of ADHD-Child, Guinea-Bissau and IIIC, as the adapters of these datasets give them.
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


@dataclass(frozen=True)
class HeldOut:
    """Recordings that no training uses: files of a folder, or the test side that the adapter of a dataset gives."""

    folder: str
    stems: tuple[str, ...] = ()
    dataset: str | None = None
    stride_s: float = 2.0

    def items(self, data: Path) -> list[Item]:
        found = open_data(data / self.folder, self.dataset, "test" if self.dataset else None).items
        return [item for item in found if not self.stems or Path(item.name).stem in self.stems]


HELD_OUT = {
    "EEGMAT": HeldOut("eegmat", tuple(f"Subject{number}_2" for number in range(26, 31))),
    "EEGMMIDB": HeldOut("eegmmidb", ("S038R01", "S038R02", "S050R01", "S050R02")),
    "ADHD-Child": HeldOut("adhd_child", dataset="adhd-child"),
    "Guinea-Bissau": HeldOut("guinea_bissau", dataset="guinea-bissau"),
    "IIIC": HeldOut("iiic_sparcnet", dataset="iiic", stride_s=0.5),
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
        raise SystemExit(f"got no folder {args.data.name!r}, expected the recordings: pass --data")
    narrator = Narrator.from_pretrained(args.model)
    scores = measure(narrator, args.data, args.only, args.figures, not args.retrieval_only)
    print(format_retrieval(scores["retrieval"]))
    if scores["narratives"]:
        print("\nNarratives\n" + "\n".join(narrative_rows(scores["narratives"])))
    if args.json is not None:
        args.json.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    main()
