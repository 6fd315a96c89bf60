"""The whole recording at a glance: band powers over time, flags and annotations, as one inline SVG with links."""

import math
from typing import Any

from neuronarrator.report.measures import power_decades
from neuronarrator.report.words import band_label, clock, count_of, escape, interval, number

WIDTH, LEFT, RIGHT = 1400, 112, 92
PLOT_TOP, PLOT_HEIGHT = 8, 170
LANE_HEIGHT = 18
BAND_COLOURS = ("#3b3f8f", "#0f7c8a", "#b45309", "#5a8f29", "#9d3b8a", "#7a7a7a")
TICKS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
LETTER_PX = 5.6  # width of a letter of the annotation font, for keeping labels apart
MAX_LABEL = 28


class Scale:
    """Seconds to horizontal and powers to vertical pixels of the timeline."""

    def __init__(self, document: dict[str, Any]):
        ends = [s["start_s"] + s["duration_s"] for s in document["segments"]]
        self.duration_s = max([document["recording"]["duration_s"] or 0.0, *ends, 1.0])
        self.low, self.high = power_decades(document["segments"])

    def x(self, seconds: float) -> float:
        """Horizontal position of a time."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self.duration_s, 0), 1), 1)

    def y(self, power: float) -> float:
        """Vertical position of a power in µV²."""
        share = (math.log10(max(power, 10.0**self.low)) - self.low) / (self.high - self.low)
        return round(PLOT_TOP + PLOT_HEIGHT * (1 - min(share, 1)), 1)


def render_timeline(document: dict[str, Any], breaks_s: tuple[float, ...]) -> str:
    """The timeline of a document as an SVG element; each segment is a link to its place on the page."""
    segments, scale = document["segments"], Scale(document)
    lanes = [*_artifact_lanes(segments), ("contradicted", _contradicted(segments, scale))]
    body = [*_power_axis(scale), *_breaks(breaks_s, scale), *_band_lines(segments, scale)]
    top = PLOT_TOP + PLOT_HEIGHT + 8
    for label, marks in lanes:
        drawn = marks if isinstance(marks, str) else _spans(marks, scale)
        body.append(_lane(label, drawn, top))
        top += LANE_HEIGHT
    annotations = document["recording"]["annotations"]
    if annotations:
        body.append(_lane("annotations", _annotations(annotations, scale), top))
        top += LANE_HEIGHT
    body += [*_time_axis(scale, top + 4), *_links(segments, scale, top)]
    label = f"Band powers, flags and annotations over {clock(scale.duration_s)}"
    return (
        f'<svg class="timeline" viewBox="0 0 {WIDTH} {top + 26}" role="group" aria-label="{label}">'
        f"{''.join(body)}</svg>"
    )


def _power_axis(scale: Scale) -> list[str]:
    lines = []
    for exponent in range(scale.low, scale.high + 1):
        y = scale.y(10.0**exponent)
        text = f"{10.0**exponent:g}"
        lines.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        lines.append(f'<text class="axis" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{text}</text>')
    middle = PLOT_TOP + PLOT_HEIGHT / 2
    lines.append(f'<text class="lane" x="0" y="{middle - 4}">band power</text>')
    lines.append(f'<text class="axis" x="0" y="{middle + 11}">µV², log scale</text>')
    return lines


def _band_lines(segments: list[dict[str, Any]], scale: Scale) -> list[str]:
    if not segments:
        return []
    lines, ends = [], []
    for band, colour in zip(segments[0]["features"]["band_power_uv2"], BAND_COLOURS, strict=False):
        path, last = "", None
        for segment in segments:
            power = segment["features"]["band_power_uv2"].get(band)
            if power is None:
                last = None
                continue
            start, stop = segment["start_s"], segment["start_s"] + segment["duration_s"]
            joined = last is not None and abs(last - start) < 0.01
            path += f"{'V' if joined else f'M{scale.x(start)} '}{scale.y(power)}H{scale.x(stop)}"
            last = stop
        lines.append(f'<path class="band" stroke="{colour}" d="{path}"/>')
        powers = [s["features"]["band_power_uv2"].get(band) for s in segments]
        ends.append((scale.y(next((p for p in reversed(powers) if p is not None), 0.0)), band, colour))
    return lines + _band_names(ends)


def _band_names(ends: list[tuple[float, str, str]]) -> list[str]:
    names, lowest = [], PLOT_TOP - 8.0
    ends = sorted(ends)
    for rank, (y, band, colour) in enumerate(ends):
        most = PLOT_TOP + PLOT_HEIGHT - 13 * (len(ends) - 1 - rank)
        lowest = min(max(y, lowest + 13), most)
        names.append(
            f'<text class="band-name" x="{WIDTH - RIGHT + 8}" y="{lowest + 4:.1f}" fill="{colour}">'
            f"{escape(band_label(band))}</text>"
        )
    return names


def _breaks(breaks_s: tuple[float, ...], scale: Scale) -> list[str]:
    bottom = PLOT_TOP + PLOT_HEIGHT
    return [
        f'<path class="break" d="M{scale.x(at)} {PLOT_TOP}V{bottom}"/>'
        f'<text class="axis" x="{scale.x(at) + 3}" y="{PLOT_TOP + 10}">break</text>'
        for at in breaks_s
    ]


def _artifact_lanes(segments: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    lanes: dict[str, list[dict[str, Any]]] = {}
    for segment in segments:
        for artifact in segment["artifacts"]:
            lanes.setdefault(artifact["kind"], []).append(artifact)
    return list(lanes.items())


def _spans(artifacts: list[dict[str, Any]], scale: Scale) -> str:
    """Thin bars, those that touch merged into one."""
    merged: list[list[float]] = []
    for start, stop in sorted((a["start_s"], a["start_s"] + a["duration_s"]) for a in artifacts):
        left, right = scale.x(start), max(scale.x(stop), scale.x(start) + 2)
        if merged and left <= merged[-1][1] + 0.5:
            merged[-1][1] = max(merged[-1][1], right)
        else:
            merged.append([left, right])
    return "".join(f"M{left} 5h{right - left:.1f}v8h-{right - left:.1f}z" for left, right in merged)


def _contradicted(segments: list[dict[str, Any]], scale: Scale) -> str:
    marks = ""
    for segment in segments:
        count = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
        if count:
            middle = scale.x(segment["start_s"] + segment["duration_s"] / 2)
            marks += (
                f'<text class="cross" x="{middle}" y="14" text-anchor="middle">✗{count if count > 1 else ""}</text>'
            )
    return marks


def _annotations(annotations: list[dict[str, Any]], scale: Scale) -> str:
    marks, free = "", 0.0
    for item in sorted(annotations, key=lambda a: a["start_s"]):
        x = scale.x(item["start_s"])
        text = str(item["description"])
        text = text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"
        marks += f'<path class="note" d="M{x} 2V16"/>'
        if x >= free and x + LETTER_PX * len(text) < WIDTH:
            marks += f'<text class="note" x="{x + 3}" y="13">{escape(text)}</text>'
            free = x + LETTER_PX * len(text) + 8
    return marks


def _lane(label: str, drawn: str, top: float) -> str:
    shape = f'<path class="flag" d="{drawn}"/>' if drawn.startswith("M") else drawn
    line = f'<path class="grid" d="M{LEFT} {LANE_HEIGHT}H{WIDTH - RIGHT}"/>'
    return f'<g transform="translate(0 {top})">{line}<text class="lane" x="0" y="13">{escape(label)}</text>{shape}</g>'


def _time_axis(scale: Scale, y: float) -> list[str]:
    step = next((tick for tick in TICKS_S if scale.duration_s / tick <= 14), TICKS_S[-1])
    ticks = []
    for index in range(int(scale.duration_s // step) + 1):
        x = scale.x(index * step)
        ticks.append(f'<path class="tick" d="M{x} {y}v4"/>')
        ticks.append(f'<text class="axis" x="{x}" y="{y + 16}" text-anchor="middle">{clock(index * step)}</text>')
    return ticks


def _links(segments: list[dict[str, Any]], scale: Scale, bottom: float) -> list[str]:
    links = []
    for position, segment in enumerate(segments):
        left, right = scale.x(segment["start_s"]), scale.x(segment["start_s"] + segment["duration_s"])
        wrong = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
        facts = [f"Segment {segment['index']}, {interval(segment)}"]
        facts += [f"{band_label(b)} {number(v)} µV²" for b, v in segment["features"]["band_power_uv2"].items()]
        facts += [count_of(len(segment["artifacts"]), "artifact")] if segment["artifacts"] else []
        facts += [count_of(wrong, "contradicted claim")] if wrong else []
        links.append(
            f'<a href="#segment-{position}" tabindex="-1"><title>{escape(" · ".join(facts))}</title><rect class="hit" '
            f'data-segment="{position}" x="{left}" y="{PLOT_TOP}" width="{max(right - left, 1):.1f}" '
            f'height="{bottom - PLOT_TOP}"/></a>'
        )
    return links
