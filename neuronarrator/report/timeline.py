"""The whole recording at a glance: band powers over time, flags and annotations, as one inline SVG with links."""

import math
from statistics import median
from typing import Any

from neuronarrator.report.words import band_label, clock, count_of, escape, interval, number

WIDTH, LEFT, RIGHT = 1400, 112, 104
BAND_HEIGHT, LANE_HEIGHT = 32, 18
MAX_OCTAVES = 4  # a band lane spans at most a sixteenth to sixteen times the median
COUNT_PX = 24  # a segment at least this wide shows how many of its claims are contradicted
TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
LETTER_PX = 6.2  # width of a letter of the annotation font, for keeping labels apart
MAX_LABEL = 28
MOST_BARS = 1184  # of a lane, one a pixel: those of a longer recording are the means of neighbouring segments ...
CROSS_PX = 8  # ... and its crosses do not overlap


class Scale:
    """Seconds to horizontal pixels of the timeline."""

    def __init__(self, document: dict[str, Any]):
        ends = [s["start_s"] + s["duration_s"] for s in document["segments"]]
        self.duration_s = max([document["recording"]["duration_s"] or 0.0, *ends, 1.0])

    def x(self, seconds: float) -> float:
        """Horizontal position of a time."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self.duration_s, 0), 1), 1)


def render_timeline(document: dict[str, Any], breaks_s: tuple[float, ...], places: dict[int, int]) -> str:
    """The timeline of a document as an SVG element; each segment on the page is a link to its place there.

    Args:
        document: the report document.
        breaks_s: where the signal is not continuous.
        places: place on the page of each segment index that is on it.
    """
    segments, scale = document["segments"], Scale(document)
    body, top = _band_lanes(segments, scale)
    bands_bottom = top
    lanes = [(kind, _spans(items, scale)) for kind, items in _artifacts(segments).items()]
    lanes.append(("contradicted", _contradicted(segments, scale)))
    if document["recording"]["annotations"]:
        lanes.append(("annotations", _annotations(document["recording"]["annotations"], scale)))
    for label, drawn in lanes:
        line = f'<path class="grid" d="M{LEFT} {LANE_HEIGHT}H{WIDTH - RIGHT}"/>'
        name = f'<text class="lane" x="0" y="13">{escape(label)}</text>'
        body.append(f'<g transform="translate(0 {top})">{line}{name}{drawn}</g>')
        top += LANE_HEIGHT
    body += [
        *_breaks(breaks_s, scale, bands_bottom),
        *_time_axis(scale, top + 2),
        *_links(segments, scale, top, places),
    ]
    label = f"Band powers, flags and annotations over {clock(scale.duration_s)}"
    head = f'<svg class="timeline" viewBox="0 0 {WIDTH} {top + 22}" role="group" aria-label="{label}">'
    return f"{head}{''.join(body)}</svg>"


def _band_lanes(segments: list[dict[str, Any]], scale: Scale) -> tuple[list[str], float]:
    """One lane a band: power relative to its median over the recording, on one logarithmic scale for all lanes."""
    if not segments:
        return [], 0.0
    powers_of = [segment["features"]["band_power_uv2"] for segment in segments]
    rows = {band: [powers.get(band) for powers in powers_of] for band in powers_of[0]}
    usual = {band: median([power for power in powers if power] or [0.0]) for band, powers in rows.items()}
    octaves = {band: [math.log2(p / usual[band]) if p else None for p in powers] for band, powers in rows.items()}
    most = _octaves_shown([abs(value) for values in octaves.values() for value in values if value is not None])
    lanes = [f'<text class="axis" x="{WIDTH - RIGHT + 8}" y="10">median µV²</text>']
    lanes += [_end_mark(f"×{2**most}", 20), _end_mark(f"÷{2**most}", 14 + BAND_HEIGHT)]
    top = 14.0
    for band, values in octaves.items():
        middle = top + BAND_HEIGHT / 2
        lanes.append(f'<path class="grid" d="M{LEFT} {middle}H{WIDTH - RIGHT}"/>')
        lanes.append(f'<text class="lane" x="0" y="{middle + 4}">{escape(band_label(band))}</text>')
        lanes.append(_band_path(segments, values, scale, middle, most))
        lanes.append(f'<text class="lane" x="{WIDTH - RIGHT + 8}" y="{middle + 4}">{number(usual[band])}</text>')
        top += BAND_HEIGHT + 3
    return lanes, top + 3


def _end_mark(text: str, y: float) -> str:
    return f'<text class="end" x="{LEFT - 6}" y="{y}" text-anchor="end">{text}</text>'


def _octaves_shown(sizes: list[float]) -> int:
    """Whole octaves that hold 19 of 20 changes, so that one artifact does not flatten the rest."""
    usual = sorted(sizes)[int(0.95 * (len(sizes) - 1))] if sizes else 0.0
    return min(max(math.ceil(usual), 1), MAX_OCTAVES)


def _band_path(
    segments: list[dict[str, Any]], octaves: list[float | None], scale: Scale, middle: float, most: int
) -> str:
    """Bars around the median; those beyond the scale end in a cap."""
    bars, caps = "", ""
    size = math.ceil(len(segments) / MOST_BARS)
    for first in range(0, len(segments), size):
        known = [value for value in octaves[first : first + size] if value is not None]
        if not known:
            continue
        value, last = sum(known) / len(known), segments[min(first + size, len(segments)) - 1]
        left, right = scale.x(segments[first]["start_s"]), scale.x(last["start_s"] + last["duration_s"])
        y = round(middle - (BAND_HEIGHT / 2 - 1) * min(max(value / most, -1), 1), 1)
        bars += f"M{left} {middle}V{y}H{right}V{middle}z"
        caps += f"M{left} {y}H{right}" if abs(value) > most else ""
    return f'<path class="band" d="{bars}"/>' + (f'<path class="cap" d="{caps}"/>' if caps else "")


def _breaks(breaks_s: tuple[float, ...], scale: Scale, bottom: float) -> list[str]:
    return [
        f'<path class="break" d="M{scale.x(at)} 2V{bottom}"/>'
        f'<text class="axis" x="{scale.x(at) + 3}" y="10">break</text>'
        for at in breaks_s
    ]


def _artifacts(segments: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    kinds: dict[str, list[dict[str, Any]]] = {}
    for segment in segments:
        for artifact in segment["artifacts"]:
            kinds.setdefault(artifact["kind"], []).append(artifact)
    return kinds


def _spans(artifacts: list[dict[str, Any]], scale: Scale) -> str:
    """Thin bars, those that touch merged into one."""
    merged: list[list[float]] = []
    for start, stop in sorted((a["start_s"], a["start_s"] + a["duration_s"]) for a in artifacts):
        left, right = scale.x(start), max(scale.x(stop), scale.x(start) + 2)
        if merged and left <= merged[-1][1] + 0.5:
            merged[-1][1] = max(merged[-1][1], right)
        else:
            merged.append([left, right])
    bars = "".join(f"M{left} 5h{right - left:.1f}v8h-{right - left:.1f}z" for left, right in merged)
    return f'<path class="flag" d="{bars}"/>'


def _contradicted(segments: list[dict[str, Any]], scale: Scale) -> str:
    marks, before = "", -math.inf
    for segment in segments:
        count = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
        left, right = scale.x(segment["start_s"]), scale.x(segment["start_s"] + segment["duration_s"])
        middle = round((left + right) / 2, 1)
        if count and (middle >= before + CROSS_PX or len(segments) <= MOST_BARS):
            before = middle
            text = f"✗{count}" if count > 1 and right - left >= COUNT_PX else "✗"
            marks += f'<text class="cross" x="{middle}" y="14" text-anchor="middle">{text}</text>'
    return marks


def _annotations(annotations: list[dict[str, Any]], scale: Scale) -> str:
    marks, free = "", 0.0
    for item in sorted(annotations, key=lambda a: a["start_s"]):
        x = scale.x(item["start_s"])
        text = str(item["description"])
        text = text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
        end = x + 3 + LETTER_PX * len(text)
        marks += f'<path class="note" d="M{x} 2V16"/>'
        if x >= free and end < WIDTH:
            marks += f'<text class="note" x="{x + 3}" y="13">{escape(text)}</text>'
            free = end + 4
    return marks


def _time_axis(scale: Scale, y: float) -> list[str]:
    step = next((tick for tick in TICKS_S if scale.duration_s / tick <= 14), TICKS_S[-1])
    ticks = []
    for index in range(int(scale.duration_s // step) + 1):
        x = scale.x(index * step)
        ticks.append(f'<path class="tick" d="M{x} {y}v4"/>')
        ticks.append(f'<text class="axis" x="{x}" y="{y + 16}" text-anchor="middle">{clock(index * step)}</text>')
    return ticks


def _links(segments: list[dict[str, Any]], scale: Scale, bottom: float, places: dict[int, int]) -> list[str]:
    links = []
    for segment in (s for s in segments if s["index"] in places):
        left, right = scale.x(segment["start_s"]), scale.x(segment["start_s"] + segment["duration_s"])
        wrong = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
        facts = [f"{interval(segment)}, segment {segment['index']}"]
        facts += [f"{band_label(b)} {number(v)} µV²" for b, v in segment["features"]["band_power_uv2"].items()]
        facts += [count_of(len(segment["artifacts"]), "artifact")] if segment["artifacts"] else []
        facts += [count_of(wrong, "contradicted claim")] if wrong else []
        links.append(
            f'<a href="#segment-{places[segment["index"]]}" tabindex="-1"><title>{escape("; ".join(facts))}</title>'
            f'<rect class="hit" x="{left}" y="14" width="{max(right - left, 1):.1f}" height="{bottom - 14}"/></a>'
        )
    return links
