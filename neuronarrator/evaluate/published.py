"""What NeuroNarrator reports for its sixteen datasets: the rows to print beside one's own.

Retrieval is its Table 3, text its Table 4 (arXiv:2603.16880). The gallery of a row is the test set of its dataset, 90
to 1,466 segments (Table 1), so the rows do not compare with each other, and ours come from other recordings. "Overall"
weighs the datasets by the size of their test sets: its figures are the weighted means of the rows.
"""

from dataclasses import dataclass
from typing import Any

from corpus.datasets import get_dataset
from neuronarrator.metrics.retrieval import DIRECTIONS, MEANS

# dataset | signal → topomap: R@1 R@5 R@10 in percent, mean rank | topomap → signal | Fact-F1, ROUGE-L
_TABLE = """
AD-65            | 88.35 98.91 99.71 1.38 | 92.04 98.99 99.78 1.22  | 0.665 0.419
ADHD-Child       | 87.27 96.06 98.48 2.58 | 88.79 96.97 98.18 1.87  | 0.706 0.411
Grasp and Lift   | 74.72 93.96 97.32 2.19 | 77.63 95.19 97.87 1.88  | 0.737 0.365
MDD-64           | 85.95 97.82 99.11 1.50 | 87.65 98.29 99.05 1.51  | 0.747 0.386
Motor Imagery    | 71.45 91.94 95.89 2.94 | 75.82 93.70 96.47 2.54  | 0.692 0.353
PD31             | 77.42 93.55 95.85 2.64 | 77.88 92.63 94.93 2.47  | 0.683 0.397
SEED             | 63.05 84.57 91.14 9.01 | 64.48 87.33 93.05 8.50  | 0.741 0.385
Schizophrenia-28 | 92.50 98.82 99.85 1.19 | 94.71 99.26 100.00 1.12 | 0.629 0.397
TUAB             | 95.90 99.50 99.80 1.12 | 96.50 99.60 99.90 1.09  | 0.736 0.377
TUAR             | 87.75 94.80 96.30 9.60 | 87.75 94.91 96.42 9.41  | 0.672 0.365
TUEP             | 85.60 95.80 97.60 2.40 | 88.00 96.80 98.20 1.86  | 0.665 0.343
TUEV             | 91.40 98.70 99.50 1.31 | 92.30 98.80 99.40 1.28  | 0.694 0.359
TUSL             | 89.44 98.91 99.64 1.53 | 91.44 99.09 99.64 1.58  | 0.653 0.361
TUSZ             | 91.00 97.40 98.30 2.43 | 91.70 97.20 98.40 2.33  | 0.691 0.363
Workload         | 94.44 98.89 100.00 1.16 | 96.67 98.89 98.89 1.13 | 0.741 0.378
HMC              | 82.50 98.20 99.60 1.36 | 83.70 98.90 99.90 1.31  | 0.757 0.423
Overall          | 84.19 95.99 97.93 2.85 | 86.09 96.66 98.22 2.66  | 0.703 0.379
"""


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper.

    Attributes:
        name: as printed.
        retrieval: direction to `MEANS`, recall as a share.
        fact_f1: mean over samples, by its own, unpublished rules.
        rouge_l: mean over samples.
        gallery: segments of the test set; None for the average.
    """

    name: str
    retrieval: dict[str, dict[str, float]]
    fact_f1: float
    rouge_l: float
    gallery: int | None

    def as_json(self) -> dict[str, Any]:
        """The part on retrieval, as it stands in the scores."""
        return {"name": self.name, "n_segments": self.gallery, **self.retrieval}


def _read(line: str) -> PaperRow:
    name, *groups, text = (part.strip() for part in line.split("|"))
    retrieval = {}
    for direction, group in zip(DIRECTIONS, groups, strict=True):
        *recall, rank = map(float, group.split())
        retrieval[direction] = dict(zip(MEANS, [*(round(r / 100, 4) for r in recall), rank], strict=True))
    sizes = None if name == "Overall" else get_dataset(name).card.paper_segments
    fact_f1, rouge_l = map(float, text.split())
    return PaperRow(name, retrieval, fact_f1, rouge_l, sizes[1] if sizes else None)


def paper_rows() -> list[PaperRow]:
    """The sixteen rows and, last, the average."""
    return [_read(line) for line in _TABLE.strip().splitlines()]


def paper_row(dataset: str) -> PaperRow | None:
    """The row of a dataset, by its name or an alias; None where the paper has none."""
    try:
        name = get_dataset(dataset).card.name
    except ValueError:
        return None
    rows = paper_rows()[:-1]
    return next((row for row in rows if get_dataset(row.name).card.name == name), None)


# Table 5: name, then TUAB, TUEV, TUSL, SEED, HMC, Workload in percent; which accuracy it is, the paper does not state
_TABLE_5 = """
EEGNet          79.3 35.7 36.1 47.1 62.2 61.1
EEGConformer    80.1 32.1 44.9 44.9 49.5 75.5
SPaRCNet        79.8 31.4 40.0 48.6 66.0 73.2
ContraWR        82.3 42.2 39.9 56.4 69.8 63.3
CNN-Transformer 82.2 36.0 35.5 56.2 69.9 58.3
FFCL            82.0 34.5 45.2 48.7 65.0 59.6
ST-Transformer  80.5 30.2 36.5 42.0 58.9 66.2
BIOT            81.3 41.8 44.0 62.4 64.7 68.0
LaBraM-Base     83.5 37.7 40.0 57.6 63.6 68.2
NeuroLM-B       70.3 23.3 39.6 44.3 64.8 71.1
NeuroNarrator   70.8 19.2 31.5 61.7 75.0 58.4
"""
_LABELLED = ("tuab", "tuev", "tusl", "seed", "hmc", "workload")


def paper_accuracies(dataset: str) -> dict[str, float]:
    """What Table 5 reports for the labels of a dataset, by method, as shares; empty where it has no column."""
    if dataset not in _LABELLED:
        return {}
    rows = (line.split() for line in _TABLE_5.strip().splitlines())
    return {name: round(float(values[_LABELLED.index(dataset)]) / 100, 3) for name, *values in rows}
