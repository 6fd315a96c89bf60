"""What a corpus is made of: tables, the figure of its composition, and one segment as a picture and text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpus.datasets import get_dataset
from corpus.features import BANDS
from corpus.splits import SIDES
from corpus.store import Record, read_manifest
from corpus.topomap import TopomapRenderer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRACE_SPACING = 2.0  # distance of two traces, in units of the amplitude that 95 % of the samples stay below
BLUE, GREY, RED = "#33638d", "#9a9a9a", "#b5403a"


def composition(manifest: Mapping[str, Any]) -> str:
    """Table: each dataset with subjects, recordings, hours and segments of each side, beside the paper's Table 1."""
    head = ("dataset", "subjects", "recordings", "hours", *SIDES, "paper train/test")
    rows: list[tuple[str, ...]] = []
    totals: dict[str, float] = dict.fromkeys(("subjects", "recordings", "hours", *SIDES), 0)
    for name, sides in manifest["counts"].items():
        segments: dict[str, int] = {side: sides.get(side, {}).get("segments", 0) for side in SIDES}
        numbers: dict[str, float] = {k: sum(s[k] for s in sides.values()) for k in ("subjects", "recordings", "hours")}
        for key, value in (*segments.items(), *numbers.items()):
            totals[key] += value
        paper = get_dataset(name).card.paper_segments
        rows.append(_row(name, numbers, segments, f"{paper[0]:,}/{paper[1]:,}" if paper else "-"))
    rows.append(_row("all", totals, totals, ""))
    return _table([head, *rows])


def _row(name: str, numbers: Mapping[str, float], segments: Mapping[str, float], paper: str) -> tuple[str, ...]:
    counts = (f"{numbers['subjects']:,}", f"{numbers['recordings']:,}", f"{numbers['hours']:.2f}")
    return (name, *counts, *(f"{segments[side]:,}" for side in SIDES), paper)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text in columns, the first left, the others right aligned, under a rule."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *rest = zip(row, widths, strict=True)
        lines.append("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def label_counts(out: str | Path) -> dict[str, Counter[str]]:
    """Segments with each label, for each dataset: "kind value" to a number; a segment may have several."""
    counts: dict[str, Counter[str]] = {}
    for row in _rows(out, "dataset", "labels"):
        values = {f"{label['kind']} {label['value']}" for label in row["labels"]} or {"no label"}
        counts.setdefault(row["dataset"], Counter()).update(values)
    return counts


def finding_counts(out: str | Path) -> dict[str, Counter[str]]:
    """Segments by dominant band, region and artifact: kind to value to a number."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in ("dominant_band", "region", "artifact")}
    for row in _rows(out, "facts"):
        for fact in row["facts"]:
            if fact["kind"] in counts:
                counts[fact["kind"]][fact["value"]] += 1
    return counts


def _rows(out: str | Path, *columns: str) -> Iterator[dict[str, Any]]:
    """Some columns of every segment that is an example."""
    import pyarrow.parquet as pq

    for entry in read_manifest(out)["files"]:
        table = pq.read_table(Path(out) / entry["path"], columns=["target", *columns], use_threads=False)
        for batch in table.to_batches(max_chunksize=1024):
            yield from (row for row in batch.to_pylist() if row["target"])


def draw_composition(out: str | Path) -> "Figure":
    """The composition of the corpus: segments and hours by dataset and side, labels, dominant bands."""
    from matplotlib.figure import Figure

    manifest, labels, findings = read_manifest(out), label_counts(out), finding_counts(out)
    names = list(manifest["counts"])
    figure = Figure(figsize=(13, 1.6 + 0.42 * max(len(names), 10)), layout="constrained")
    axes = figure.subplots(1, 3, width_ratios=(1.2, 1.5, 0.8))
    left = np.zeros(len(names))
    for side, color in zip(SIDES, (BLUE, GREY, RED), strict=True):
        sizes = np.array([manifest["counts"][n].get(side, {}).get("segments", 0) for n in names], float)
        axes[0].barh(names, sizes, left=left, color=color, label=side)
        left += sizes
    axes[0].legend(frameon=False)
    axes[0].set_title("Segments of 10 s")
    flat = Counter({f"{n}: {value}": c for n, values in labels.items() for value, c in values.items()})
    shown = flat.most_common(max(len(names), 20))
    axes[1].barh([name for name, _ in shown], [count for _, count in shown], color=BLUE)
    axes[1].set_title("Segments with a label")
    bands = findings["dominant_band"]
    axes[2].barh(list(BANDS), [bands[band] for band in BANDS], color=BLUE)
    axes[2].set_title("Dominant band")
    for axis in axes:
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    return figure


def draw_segment(record: Record) -> "Figure":
    """Traces (negative up), topomap at the middle sample, and band powers against the history."""
    from matplotlib.figure import Figure

    row = record.row
    figure = Figure(figsize=(15, 2.5 + 0.28 * len(row.ch_names)), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1))
    traces = figure.add_subplot(grid[:, 0])
    spacing = TRACE_SPACING * max(float(np.quantile(np.abs(row.signal_uv), 0.95)), 1.0)
    time = row.start_s + np.arange(row.signal_uv.shape[1]) / row.sfreq
    offsets = spacing * np.arange(len(row.ch_names))
    traces.plot(time, row.signal_uv.T + offsets, color="black", linewidth=0.5)
    traces.set(yticks=offsets, yticklabels=row.ch_names, xlabel="s", title=f"{row.segment_id}, {spacing:.0f} µV a line")
    traces.margins(x=0)
    traces.invert_yaxis()  # negative up, the first channel on top
    picture = figure.add_subplot(grid[0, 1])
    middle = row.signal_uv[None, :, row.signal_uv.shape[1] // 2]
    picture.imshow(np.asarray(TopomapRenderer(row.ch_names)(middle))[0])
    picture.set_axis_off()
    picture.set_title("potential at the middle sample", fontsize=9)
    bands = figure.add_subplot(grid[1, 1])
    place, history = np.arange(len(BANDS)), row.features.history_band_power_uv2
    bands.bar(place - 0.2, row.features.band_power_uv2, 0.4, color=BLUE, label="segment")
    if history is not None:
        bands.bar(place + 0.2, history, 0.4, color=GREY, label="history")
    bands.set(xticks=place, xticklabels=[band.replace("_", "-") for band in BANDS], yscale="log", ylabel="µV²")
    bands.tick_params(labelsize=8)
    bands.tick_params(axis="x", rotation=30)
    bands.legend(frameon=False)
    return figure


def describe_segment(record: Record) -> str:
    """The segment in words: where it comes from, labels, template and narrative."""
    row = record.row
    person = ", ".join(
        str(value) for value in (row.subject, row.sex, row.age_years and f"{row.age_years} y", *row.diagnosis) if value
    )
    labels = [f"{label.kind} {label.value} ({label.granularity}, {label.source})" for label in row.labels] or ["none"]
    return "\n".join(
        [
            f"{row.segment_id}  {row.start_s:g}-{row.start_s + row.duration_s:g} s, {len(row.ch_names)} channels, "
            f"{row.split}",
            f"Subject: {person}",
            f"Labels: {'; '.join(labels)}",
            f"History: {', '.join(map(str, row.history)) or 'none'}",
            "",
            row.text.template,
            "",
            f"{row.text.narrative}  [{row.text.source}]",
        ]
    )
