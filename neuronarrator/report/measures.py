"""What was measured in a segment: scalp map, band powers against the history, rhythm, amplitude, energy tiers."""

import math
from typing import Any

from neuronarrator.report.words import NOTHING, band_label, clock, escape, number, quantity

TREND_SIGNS = {
    "stable": "=",
    "moderate increase": "▲",
    "marked increase": "▲▲",
    "moderate decrease": "▼",
    "marked decrease": "▼▼",
}
BAR_WIDTH, BAR_HEIGHT = 150, 14


def power_decades(segments: list[dict[str, Any]]) -> tuple[int, int]:
    """The whole powers of ten around all band powers and their histories: exponents of the axis, low < high."""
    powers = [
        value
        for segment in segments
        for key in ("band_power_uv2", "history_band_power_uv2")
        for value in (segment["features"][key] or {}).values()
        if value is not None and value > 0
    ]
    if not powers:
        return -1, 1
    low, high = math.floor(math.log10(min(powers))), math.ceil(math.log10(max(powers)))
    low = max(low, high - 6)
    return (low, high) if high > low else (low, low + 1)


def topomap_figure(segment: dict[str, Any], uri: str | None) -> str:
    """The scalp map with its caption; nothing without a map."""
    if uri is None:
        return ""
    middle = clock(segment["start_s"] + segment["duration_s"] / 2)
    alt = f"Scalp map of the potential at {middle}, front up; channel of highest power {segment['features']['top_channel']}"
    return (
        f'<figure class="map"><img src="{uri}" width="160" height="160" loading="lazy" alt="{escape(alt)}">'
        f"<figcaption>potential at {middle}, front up<br>red +, blue −, own scale</figcaption></figure>"
    )


def band_table(segment: dict[str, Any], decades: tuple[int, int], places: dict[int, int]) -> str:
    """Band powers as bars on one log axis, a tick at the mean of the history, ratio and trend.

    Args:
        segment: an entry of the document's segments.
        decades: exponents of the ends of the axis, µV².
        places: place on the page of each segment index, for the links to the history.
    """
    features = segment["features"]
    history = features["history_band_power_uv2"] or {}
    ratios, trends = features["trend_ratio"] or {}, features["trend"] or {}
    rows = ""
    for band, power in features["band_power_uv2"].items():
        before, ratio, trend = history.get(band), ratios.get(band), trends.get(band)
        change = f"×{number(ratio)}" if ratio is not None else NOTHING
        sign = f'<span aria-hidden="true">{TREND_SIGNS.get(trend, "")}</span> ' if trend else ""
        strength = "marked" if trend and "marked" in trend else "moderate" if trend and trend != "stable" else "stable"
        rows += (
            f'<tr><th scope="row">{escape(band_label(band))}</th><td class="bar">{_bar(power, before, decades)}</td>'
            f'<td class="n">{number(power)}</td><td class="n quiet">{number(before)}</td><td class="n">{change}</td>'
            f'<td class="{strength}">{sign}{escape(trend or NOTHING)}</td></tr>'
        )
    low, high = (f"{10.0**exponent:g}" for exponent in decades)
    return (
        f'<table class="bands"><caption>Band power, mean of the channels, µV² {_history(segment, places)}</caption><thead>'
        f'<tr><th></th><th class="axis"><span>{low}</span><span>log</span><span>{high}</span></th><th scope="col">now</th>'
        f'<th scope="col">before</th><th scope="col">ratio</th><th scope="col">trend</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _history(segment: dict[str, Any], places: dict[int, int]) -> str:
    if not segment["history"]:
        return "<span>no preceding segment to compare with</span>"
    links = (
        f'<a href="#segment-{places[index]}">{index}</a>' if index in places else str(index)
        for index in segment["history"]
    )
    return (
        f"<span>before = mean of {'segment' if len(segment['history']) == 1 else 'segments'} {', '.join(links)}</span>"
    )


def _bar(power: float | None, before: float | None, decades: tuple[int, int]) -> str:
    if power is None:
        return ""
    tick = f'<path d="M{_along(before, decades)} 0v{BAR_HEIGHT}"/>' if before is not None else ""
    return (
        f'<svg viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" aria-hidden="true">'
        f'<rect y="3" width="{_along(power, decades)}" height="8"/>{tick}</svg>'
    )


def _along(power: float, decades: tuple[int, int]) -> float:
    low, high = decades
    share = (math.log10(max(power, 10.0**low)) - low) / (high - low)
    return round(BAR_WIDTH * min(max(share, 0.01), 1.0), 1)


def facts_list(segment: dict[str, Any]) -> str:
    """Dominant rhythm, amplitude, asymmetry, strongest channel and energy tiers."""
    features = segment["features"]
    rhythm = f"{escape(band_label(features['dominant_band'] or NOTHING))}, {quantity(features['dominant_hz'], 'Hz')}"
    amplitude = f"{escape(features['amplitude'] or NOTHING)}, {quantity(features['amplitude_uv'], 'µV')}"
    power = features["channel_power_uv2"]
    top = features["top_channel"]
    facts = [
        ("dominant", rhythm),
        ("amplitude", amplitude),
        ("asymmetry", _asymmetry(features)),
        ("top channel", f"{escape(top or NOTHING)}, {quantity(power.get(top), 'µV²')}"),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    for tier in ("high", "medium", "low"):
        names = "".join(
            f'<span title="{escape(quantity(power.get(name), "µV²"))}">{escape(name)}</span>'
            for name in features["energy_tiers"].get(tier, [])
        )
        rows += f'<dt>{tier} energy</dt><dd class="tier {tier}">{names or "none"}</dd>'
    return f'<dl class="facts">{rows}</dl>'


def _asymmetry(features: dict[str, Any]) -> str:
    if features["asymmetry"] is None:
        return "not measurable"
    side = {"left": "left higher", "right": "right higher"}.get(features["asymmetry"], features["asymmetry"])
    index = features["asymmetry_index"]
    return f"{escape(side)}" + (f", index {index:+.2f}" if index is not None else "")
