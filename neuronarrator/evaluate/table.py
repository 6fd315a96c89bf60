"""The scores of `evaluate_retrieval`, `evaluate_narratives` and `evaluate_labels` as text for a terminal."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from neuronarrator.metrics.retrieval import DIRECTIONS, MEANS

HEAD = ("", "pairs", "subjects", "R@1 %", "95 % interval", "R@5 %", "R@10 %", "mean rank", "median")
CONTROL_HEAD = ("", "pairs", *(f"{title} {what}" for title in ("map", "signal") for what in ("R@1 %", "mean rank")))
TITLES = {"signal_to_topomap": "Map of a signal (signal → topomap)", "topomap_to_signal": "Signal of a map"}
TEXT_TITLES = {
    "fact_f1": "Fact-F1",
    "signal_fact_f1": "Signal-Fact-F1",
    "rouge_1": "ROUGE-1",
    "rouge_l": "ROUGE-L",
    "bertscore": "BERTScore",
}
_LAST_TITLES = ("axes of 5", "contradicted %", "confidence")
_VERDICTS = ("supported", "contradicted", "unverifiable")
_ALTERED_TITLES = {
    "changed_text": "text changed",
    "changed_facts": "facts changed",
    "fact_f1": "Fact-F1 as recorded",
    "own_fact_f1": "Fact-F1 as altered",
    "confidence": "confidence",
    "less_confident": "less than real",
    "confidence_fall": "its fall",
}
_NONE = "-"


def format_retrieval(scores: dict[str, Any]) -> str:
    """Two tables of recall and ranks, one a direction, the paper's rows among them, and one of the controls."""
    size, repeats = scores["fixed_gallery"]["size"], scores["fixed_gallery"]["repeats"]
    told = (
        f"Pairs: {scores['n_segments']}. Subjects: {scores['n_subjects']}, {scores['subjects']}. Sides: "
        f"{scores['split']}. A window every {scores['stride_s']} s. Ties count against the model. Intervals resample "
        f"subjects. R@1 of {size}: mean ± SD over {repeats} random galleries of {size} pairs."
    )
    parts = [fill(told, 110)]
    parts += [f"{TITLES[d]}\n{_columns(_direction_rows(scores, d))}" for d in DIRECTIONS]
    parts.append(f"Controls, pooled gallery\n{_columns(_control_rows(scores))}")
    return "\n\n".join([*parts, *_skipped(scores)])


def format_narratives(scores: dict[str, Any]) -> str:
    """Tables of the scores with baselines and the paper's rows, of the five axes, of kinds of facts, of controls."""
    told = (
        f"Narratives: {scores['n_segments']}. Subjects: {scores['n_subjects']}. Sides: {scores.get('split', _NONE)}. "
        "Mean ± SD over narratives; intervals of 95 % resample subjects. Fact-F1 and ROUGE compare with the reference "
        "(stored in a corpus, else measured), Signal-Fact-F1 and contradicted claims with what the signal shows now."
    )
    if missing := scores.get("n_missing"):
        told += f" Segments without a narrative: {missing}, scored as the empty text."
    parts = [fill(told, 110), _columns(_narrative_rows(scores))]
    parts.append(f"Five axes, % of narratives\n{_columns(_axes_rows(scores))}")
    parts.append(f"Kinds of facts, all narratives\n{_columns(_kind_rows(scores))}")
    if altered := {n: part for n, part in scores["controls"].items() if "confidence_fall" in part}:
        parts.append(f"Controls: narratives of altered signals\n{_columns(_altered_rows(altered))}")
    parts.append("\n".join(f"{name}: {signature}" for name, signature in scores["config"]["metrics"].items()))
    return "\n\n".join([*parts, *_skipped(scores)])


def format_labels(scores: dict[str, Any]) -> str:
    """A table of the labels of each dataset, stated and probed, beside the paper's; then what is behind a row."""
    told = (
        f"Sides: {scores['split']}. Intervals of 95 % resample subjects. Stated: the label that the narrative states, "
        f"by rules; no label counts as wrong. Probe: {scores['config']['metrics']['probe']}; it says what the "
        "narrative carries about the label, not what it states."
    )
    rows: list[tuple[str, ...]] = [
        ("", "segments", "subjects", "accuracy %", "balanced %", "interval", "kappa", "weighted F1", "no label %")
    ]
    notes = []
    for name, part in scores["datasets"].items():
        for kind in ("stated", "probe"):
            if part[kind] is not None:
                rows.append(_label_row(f"{name}: {kind}", part[kind]))
        for method, accuracy in part["paper"].items():
            rows.append((f"  paper: {method}", _NONE, _NONE, f"{100 * accuracy:.1f}", *[_NONE] * 5))
        if part["probe"] is not None:
            notes.append(f"{name}: probe trained {part['probe']['trained']}")
        if part["votes"] is not None:
            share, most = part["votes"]["agreeing"], part["votes"]["ceiling"]
            notes.append(f"{name}: share of the experts who agree {share['mean']:.3f}, at most {most['mean']:.3f}")
        if part["n_unlabelled"]:
            notes.append(f"{name}: {part['n_unlabelled']} segments without one clear label are left out")
        if part["n_missing"]:
            notes.append(f"{name}: {part['n_missing']} segments without a narrative, scored as the empty text")
    return "\n\n".join([fill(told, 110), _columns(rows), "\n".join(notes), *_skipped(scores)])


def _label_row(title: str, part: dict[str, Any]) -> tuple[str, ...]:
    values = {name: part[name]["value"] for name in ("accuracy", "balanced_accuracy", "kappa", "weighted_f1")}
    edges = part["balanced_accuracy"]["ci"]
    return (
        title,
        str(part["n_segments"]),
        str(part["n_subjects"]),
        f"{100 * values['accuracy']:.1f}",
        f"{100 * values['balanced_accuracy']:.1f}",
        f"{100 * edges[0]:.1f} to {100 * edges[1]:.1f}" if edges else _NONE,
        _NONE if values["kappa"] is None else f"{values['kappa']:.3f}",
        f"{values['weighted_f1']:.3f}",
        f"{100 * part['parse_failure_rate']:.1f}",
    )


def _narrative_rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    """Each dataset above its row of the paper, all of them, then the baselines in the same run."""
    names = ["fact_f1", "signal_fact_f1", "rouge_1", "rouge_l", *(["bertscore"] if "bertscore" in scores else [])]
    rows = [("", "narratives", "subjects", "Fact-F1 interval", *(TEXT_TITLES[name] for name in names), *_LAST_TITLES)]
    for name, part in scores["datasets"].items():
        rows.append(_narrative_row(name, part, names))
        if part["paper"] is not None:
            rows.append(_paper_narratives(part["paper"], names))
    if len(scores["datasets"]) > 1:
        rows.append(_narrative_row("all", scores, names))
    rows.append(_paper_narratives(scores["paper"], names))
    oracle = scores["template_oracle"]
    baselines = {"template oracle": oracle, "  its distance": oracle["distance"]}
    if "another_segment" in scores["controls"]:
        baselines["floor: another segment"] = scores["controls"]["another_segment"]
    return rows + [_narrative_row(name, part, names) for name, part in baselines.items()]


def _narrative_row(title: str, part: dict[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    axes, wrong = part.get("axes_sum") or part["axes"]["sum"], part.get("contradicted")
    return (
        title,
        str(part.get("n_segments", _NONE)),
        str(part.get("n_subjects", _NONE)),
        _between(part["fact_f1"]["ci"]),
        *(f"{part[name]['mean']:.3f} ± {part[name]['sd']:.3f}" for name in names),
        f"{axes['mean']:.2f}",
        f"{100 * wrong['share']:.1f}" if wrong else _NONE,
        f"{part['confidence']['mean']:.3f}" if "confidence" in part else _NONE,
    )


def _paper_narratives(row: dict[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    cells = (f"{row[name]:.3f}" if name in row else _NONE for name in names)
    return (f"  paper: {row['name']}", str(row["n_segments"] or _NONE), _NONE, _NONE, *cells, _NONE, _NONE, _NONE)


def _axes_rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    names = [name for name in scores["axes"] if name != "sum"]
    rows = [("", *(name.replace("_", " ") for name in names), "sum of 5", "95 % interval")]
    pooled = {"all": scores} if len(scores["datasets"]) > 1 else {}
    for title, part in {**scores["datasets"], **pooled}.items():
        total = part["axes"]["sum"]
        shares = (f"{100 * part['axes'][name]['mean']:.1f}" for name in names)
        rows.append((title, *shares, f"{total['mean']:.2f}", _between(total["ci"])))
    return rows


def _kind_rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    """What is invented and what is left out, against the reference; the verdicts of claims, against the signal."""
    wrong, lost, claims = (scores[name] for name in ("hallucinations", "omissions", "claims_by_kind"))
    rows = [("", "hallucinated", "omitted", *_VERDICTS)]
    for kind in sorted({*wrong["by_kind"], *lost["by_kind"], *claims}):
        counts = [part["by_kind"].get(kind, 0) for part in (wrong, lost)]
        counts += [claims.get(kind, {}).get(verdict, 0) for verdict in _VERDICTS]
        rows.append((kind.replace("_", " "), *map(str, counts)))
    means = [f"{part['per_segment']['mean']:.2f}" for part in (wrong, lost)]
    return [*rows, ("mean of a narrative", *means, *(_NONE for _ in _VERDICTS))]


def _altered_rows(controls: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = [("", "narratives", *_ALTERED_TITLES.values(), "95 % interval")]
    for title, part in controls.items():
        cells = (f"{part[name]['mean']:.3f}" for name in _ALTERED_TITLES)
        between = _between(part["confidence_fall"]["ci"])
        rows.append((title.replace("_", " "), str(part["n_segments"]), *cells, between))
    return rows


def _between(edges: list[float] | None) -> str:
    return f"{edges[0]:.3f} to {edges[1]:.3f}" if edges else _NONE


def _skipped(scores: dict[str, Any]) -> list[str]:
    """One paragraph on the recordings that were not used, or none."""
    lines = [f"skipped {_named(name, why)}" for name, why in scores["skipped"].items()]
    return ["\n".join(lines)] if lines else []


def _named(name: str, why: str) -> str:
    """A reason with the name of its file, which a reader's own texts begin with."""
    return why if why.startswith(name.rpartition("/")[2]) else f"{name}: {why}"


def _direction_rows(scores: dict[str, Any], direction: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(*HEAD, f"R@1 of {scores['fixed_gallery']['size']}")]
    for name, part in scores["datasets"].items():
        rows.append(_gallery_row(name, part, direction))
        if part["paper"] is not None:
            rows.append(_paper_row(part["paper"], direction))
    if len(scores["datasets"]) > 1:
        rows.append(_gallery_row("one gallery of all", scores, direction))
        for name, average in scores["averages"].items():
            rows.append((f"{name} mean of datasets", "", "", *_score_cells(average[direction]), _NONE, _NONE))
    rows.append(_paper_row(scores["paper"], direction))
    return rows


def _gallery_row(name: str, part: dict[str, Any], direction: str) -> tuple[str, ...]:
    scores, fixed = part[direction], part["fixed_gallery"][direction]
    drawn = fixed and fixed["recall_at_1"]
    return (
        name,
        str(part["n_segments"]),
        str(part["n_subjects"]),
        *_score_cells(scores),
        f"{scores['median_rank']:g}",
        f"{100 * drawn['mean']:.1f} ± {100 * drawn['sd']:.1f}" if drawn else _NONE,
    )


def _paper_row(row: dict[str, Any], direction: str) -> tuple[str, ...]:
    pairs = str(row["n_segments"] or _NONE)
    return (f"  paper: {row['name']}", pairs, _NONE, *_score_cells(row[direction]), _NONE, _NONE)


def _score_cells(scores: dict[str, Any]) -> tuple[str, ...]:
    first, fifth, tenth, rank = (scores[name] for name in MEANS)
    edges = (scores.get("ci95") or {}).get("recall_at_1")
    between = f"{100 * edges[0]:.1f} to {100 * edges[1]:.1f}" if edges else _NONE
    return (f"{100 * first:.1f}", between, f"{100 * fifth:.1f}", f"{100 * tenth:.1f}", f"{rank:.2f}")


def _control_rows(scores: dict[str, Any]) -> list[tuple[str, ...]]:
    """The scores themselves, then what becomes of them."""
    controls = scores["controls"]
    parts = {"as recorded": scores} | {name: part for name, part in controls.items() if name != "chance"}
    rows = [CONTROL_HEAD]
    for name, part in parts.items():
        cells = [cell for d in DIRECTIONS for cell in _control_cells(part[d])]
        rows.append((name.replace("_", " "), str(part.get("n_segments", scores["n_segments"])), *cells))
    return [*rows, ("chance", str(scores["n_segments"]), *_control_cells(controls["chance"]) * 2)]


def _control_cells(scores: dict[str, float]) -> tuple[str, str]:
    return f"{100 * scores['recall_at_1']:.1f}", f"{scores['mean_rank']:.1f}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """The first column left, the others right aligned, under a rule."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
