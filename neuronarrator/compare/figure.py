"""The scores of a comparison as a picture: means above, differences by pairs below, intervals over subjects."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from neuronarrator.compare.tables import SCORES

INK, QUIET, LINE = "#1b2129", "#5c6470", "#dde1e7"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by the colour-blind
STEP = 0.15  # between datasets, in rows
DPI = 150


def comparison_png(scores: Mapping[str, Any]) -> bytes:
    """The picture as a PNG file.

    Each row is a system. Filled marks are all segments together, smaller open ones single datasets; a mark of a single
    subject has no interval.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    datasets = scores["datasets"]
    systems = list(next(iter(datasets.values())))
    others = [name for name in systems if name != scores["first"]]
    heights = [_height(systems, datasets), _height(others, datasets)]
    figure = Figure(figsize=(12, sum(heights) + 1.9), layout=ConstrainedLayoutEngine(hspace=0.06, wspace=0.04))
    panels = figure.subplots(2, len(SCORES), sharey="row", gridspec_kw={"height_ratios": heights}, squeeze=False)
    for (score, title), above, below in zip(SCORES.items(), *panels, strict=True):
        means = {label: {name: found[name][score] for name in systems} for label, found in datasets.items()}
        paired = {label: {n: found[n]["distance"][score] for n in others} for label, found in datasets.items()}
        _panel(above, means)
        above.set_title(title, fontsize=11, color=INK, pad=8)
        right = above.get_xlim()[1]
        above.set_xlim(0, 1.03 * right)  # room for marks without an interval
        _panel(below, paired)
        below.axvline(0, color=INK, linewidth=0.8, zorder=1)
        below.set_xlabel(f"minus {scores['first']}", color=QUIET)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, labelcolor=INK)
    level = f"{scores['bootstrap']['level']:.0%} intervals over subjects; differences by pairs of the same segments"
    figure.suptitle(level, fontsize=9.5, color=QUIET)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def _height(systems: Sequence[str], datasets: Mapping[str, Any]) -> float:
    """Inches of the rows of a panel."""
    return max(len(systems), 1) * (0.3 + 0.07 * len(datasets)) + 0.2


def _panel(axis: Any, found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Means with intervals; `found` by dataset and by system, the first dataset being all of them together."""
    names = list(next(iter(found.values())))
    for i, (label, systems) in enumerate(found.items()):
        pooled, rows = i == 0, [k + STEP * (i - (len(found) - 1) / 2) for k in range(len(names))]
        colour = INK if pooled else COLOURS[(i - 1) % len(COLOURS)]
        for row, name in zip(rows, names, strict=True):
            if (edges := systems[name]["ci"]) is not None:
                axis.plot(edges, [row, row], color=colour, linewidth=2.2 if pooled else 1.2, solid_capstyle="round")
        means = [systems[name]["mean"] for name in names]
        face, size = (colour, 36) if pooled else ("white", 20)
        axis.scatter(means, rows, s=size, facecolor=face, edgecolor=colour, linewidth=1.3, zorder=3, label=label)
    axis.set_yticks(range(len(names)), names, color=INK)
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.grid(axis="x", color=LINE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelcolor=INK)
    axis.spines[:].set_visible(False)
    for k in range(1, len(names)):
        axis.axhline(k - 0.5, color=LINE, linewidth=0.6)
