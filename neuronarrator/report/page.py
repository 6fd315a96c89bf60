"""The report as one self-contained HTML page: nothing is loaded from anywhere, and a content policy forbids it."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from corpus.recording import Recording
from neuronarrator.report.header import footer, page_header, research_banner, summary, warnings
from neuronarrator.report.order import Row, page_rows
from neuronarrator.report.segment import render_segment
from neuronarrator.report.timeline import render_timeline
from neuronarrator.report.topomaps import Maps, png_data_uri
from neuronarrator.report.traces import Traces, encode_traces
from neuronarrator.report.words import clean, escape, is_contradicted, is_flagged, is_referred

MOST_SEGMENTS = 720  # on a page: two hours; the rest of a longer recording is in its timeline and the other files
PAGE_BYTES = 9_500_000  # aimed at for a whole page; the traces get what the rest leaves ...
LEAST_TRACE_BYTES_PER_S = 2_000  # ... but in long recordings never less than this, whatever the page grows to
SENSITIVITIES = (2, 3, 5, 7, 10, 15, 20, 30, 50, 100)  # µV/mm
PX_PER_MM = 96 / 25.4  # a CSS millimetre
PLOT_PX, ROW_PX = 540, (13, 28)  # height the rows share, and the least and most of one row
LEAST_TRACE_PX = 22  # traces of many channels may overlap rather than become flat
SCRIPTS = ("decode.js", "draw.js", "page.js")


def render_page(document: dict[str, Any], recording: Recording, topomaps: np.ndarray | Maps | None) -> str:
    """The page of a checked, plain document: at most `MOST_SEGMENTS` of its segments, all others in the timeline.

    Its size does not grow with a recording of more segments, but by what the file itself says (annotations).

    Args:
        document: the report document, plain JSON values.
        recording: the recording it describes; signal (C, T) in µV.
        topomaps: (S, H, W, 3) uint8 or None.
    """
    chosen = choose_segments(document["segments"])
    segments = [document["segments"][i] for i in chosen]
    places = {segment["index"]: position for position, segment in enumerate(segments)}
    maps = [None if topomaps is None else png_data_uri(topomaps[i]) for i in chosen]
    script = "\n".join(_asset(name) for name in SCRIPTS)
    parts = {
        "title": escape(document["recording"]["file"]),
        "style": _asset("page.css"),
        "script": script,
        "script_hash": f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'",
        "banner": research_banner(document),
        "header": page_header(document),
        "warnings": warnings(document),
        "summary": summary(document, places),
        "timeline": render_timeline(document, recording.breaks_s, places),
        "segments": _left_out(len(document["segments"]) - len(segments))
        + "".join(render_segment(segment, i, maps[i], places) for i, segment in enumerate(segments)),
        "toolbar": _toolbar(segments),
        "legend": _asset("legend.html"),
    }
    rows = page_rows(recording.ch_names)
    rest = sum(len(part.encode("utf-8", "replace")) for part in parts.values())
    spans = [(segment["start_s"], segment["duration_s"]) for segment in segments]
    all_shown = len(segments) == len(document["segments"])
    drawn_s = recording.duration_s if all_shown else sum(duration_s for _, duration_s in spans)
    budget = max(PAGE_BYTES - rest, round(LEAST_TRACE_BYTES_PER_S * drawn_s))
    traces = encode_traces(recording, [row.index for row in rows], spans, budget)
    parts["footer"] = footer(document, traces)
    parts["data"] = _embedded_json(_page_data(segments, document["recording"]["annotations"], rows, traces))
    parts["traces"] = "".join(
        f'<script type="text/plain" id="trace-{i}">{block}</script>\n' for i, block in enumerate(traces.blocks)
    )
    return re.sub(r"<!--(\w+)-->", lambda match: parts[match[1]], _asset("page.html"))


def choose_segments(segments: list[dict[str, Any]]) -> list[int]:
    """Which segments are on the page, in order: all, or of more than `MOST_SEGMENTS` that many.

    First those with a contradicted claim or of which the model is unsure, then others; of either, where there are too
    many, evenly over the recording.
    """
    first = [i for i, segment in enumerate(segments) if is_contradicted(segment) or is_referred(segment)]
    first = _evenly(first, MOST_SEGMENTS)
    others = sorted(set(range(len(segments))) - set(first))
    return sorted(first + _evenly(others, MOST_SEGMENTS - len(first)))


def _evenly(items: Sequence[int], most: int) -> list[int]:
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def _left_out(count: int) -> str:
    if not count:
        return ""
    return (
        f'<p class="where">This page shows {MOST_SEGMENTS} of {MOST_SEGMENTS + count} segments: first those with a '
        "contradicted claim or of which the model is unsure, then others evenly over the recording. All are in the "
        "timeline and the summary, and in the JSON and Markdown files.</p>"
    )


def _asset(name: str) -> str:
    return files("neuronarrator.report").joinpath(name).read_text("utf-8")


def _embedded_json(value: Any) -> str:
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _toolbar(segments: list[dict[str, Any]]) -> str:
    buttons = "".join(
        f'<button type="button" data-sensitivity="{value}" aria-pressed="false">{value}</button>'
        for value in SENSITIVITIES
    )
    flagged = sum(is_flagged(segment) for segment in segments)
    return (
        _asset("toolbar.html")
        .replace("<!--sensitivities-->", buttons)
        .replace("<!--flagged-->", f"{flagged} of {len(segments)}")
    )


def _page_data(
    segments: list[dict[str, Any]], notes: list[dict[str, Any]], rows: list[Row], traces: Traces
) -> dict[str, Any]:
    row_px = min(max(round(PLOT_PX / max(len(rows), 1)), ROW_PX[0]), ROW_PX[1])
    place = {row.name: position for position, row in enumerate(rows)}
    return {
        "rows": [{"name": clean(row.name), "side": row.side, "gap": row.starts_chain} for row in rows],
        "row_px": row_px,
        "rate": round(traces.rate, 3),
        "step_uv": traces.step_uv,
        "sensitivities": SENSITIVITIES,
        "sensitivity": _first_sensitivity(traces.extent_uv, row_px),
        "segments": [
            _segment_data(segment, length, notes, place)
            for segment, length in zip(segments, traces.lengths, strict=True)
        ],
    }


def _first_sensitivity(extent_uv: float, row_px: int) -> int:
    """The setting at which the middle 95 % of a typical channel fills its row."""
    wanted = extent_uv * PX_PER_MM / max(row_px, LEAST_TRACE_PX)
    return min(SENSITIVITIES, key=lambda value: abs(np.log(value / max(wanted, 0.1))))


def _segment_data(
    segment: dict[str, Any], length: int, notes: list[dict[str, Any]], place: dict[str, int]
) -> dict[str, Any]:
    start, stop = segment["start_s"], segment["start_s"] + segment["duration_s"]
    marks = [
        {
            "kind": clean(artifact["kind"]),
            "start_s": artifact["start_s"],
            "duration_s": artifact["duration_s"],
            "rows": [place[name] for name in artifact["channels"] if name in place],
        }
        for artifact in segment["artifacts"]
    ]
    return {
        "start_s": start,
        "duration_s": segment["duration_s"],
        "samples": length,
        "artifacts": marks,
        "annotations": [
            {"start_s": note["start_s"], "text": clean(note["description"])}
            for note in notes
            if start <= note["start_s"] < stop
        ],
    }
