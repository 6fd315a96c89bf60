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
BAR_WIDTH, BAR_HEIGHT = 88, 14


def topomap_figure(segment: dict[str, Any], uri: str | None) -> str:
    """The scalp map with its caption; nothing without a map."""
    if uri is None:
        return ""
    middle = clock(segment["start_s"] + segment["duration_s"] / 2)
    top = segment["features"]["top_channel"]
    alt = f"Scalp map of the potential at {middle}, front up; highest power over the segment at {top}"
    return (
        f'<figure class="map"><img src="{uri}" width="160" height="160" loading="lazy" alt="{escape(alt)}">'
        f"<figcaption>potential at {middle}, front up<br>red +, blue −, own scale</figcaption></figure>"
    )


def band_table(segment: dict[str, Any], places: dict[int, int]) -> str:
    """Band powers as bars, a tick at the mean of the history, ratio and trend.

    The length of a bar is the square root of the power, so that neither the weak bands nor the changes vanish.

    Args:
        segment: an entry of the document's segments.
        places: place on the page of each segment index, for the links to the history.
    """
    features = segment["features"]
    history = features["history_band_power_uv2"] or {}
    ratios, trends = features["trend_ratio"] or {}, features["trend"] or {}
    most = max([p for p in (*features["band_power_uv2"].values(), *history.values()) if p is not None], default=0.0)
    rows = ""
    for band, power in features["band_power_uv2"].items():
        before, ratio = history.get(band), ratios.get(band)
        change = f"×{ratio:.2f}" if ratio is not None else NOTHING
        rows += (
            f'<tr><th scope="row">{escape(band_label(band))}</th><td>{_bar(power, before, most)}</td>'
            f'<td class="n">{number(power)}</td><td class="n quiet">{number(before)}</td><td class="n">{change}</td>'
            f"<td>{_trend(trends.get(band))}</td></tr>"
        )
    names = "".join(f'<th scope="col">{name}</th>' for name in ("√ scale", "now", "before", "ratio", "trend"))
    return (
        f'<table class="bands"><caption>Mean band power, µV²; {_history(segment, places)}</caption>'
        f"<thead><tr><th></th>{names}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _trend(trend: str | None) -> str:
    """A sign and the strength of a change, its direction in words for those who do not see the sign."""
    if trend is None:
        return NOTHING
    strength, _, direction = trend.partition(" ")
    sign = f'<span aria-hidden="true">{TREND_SIGNS.get(trend, "")}</span>'
    unseen = f'<span class="unseen"> {escape(direction)}</span>'
    return f'<span class="{escape(strength)}">{sign} {escape(strength)}{unseen}</span>'


def _history(segment: dict[str, Any], places: dict[int, int]) -> str:
    if not segment["history"]:
        return "no history"
    links = (f'<a href="#segment-{places[i]}">{i}</a>' if i in places else str(i) for i in segment["history"])
    return f"tick and before: {'mean of segments' if len(segment['history']) > 1 else 'segment'} {', '.join(links)}"


def _bar(power: float | None, before: float | None, most: float) -> str:
    if power is None:
        return ""
    tick = f'<path d="M{_length(before, most)} 0v{BAR_HEIGHT}"/>' if before is not None else ""
    return (
        f'<svg viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" aria-hidden="true">'
        f'<rect y="3" width="{_length(power, most)}" height="8"/>{tick}</svg>'
    )


def _length(power: float, most: float) -> float:
    return round(1 + (BAR_WIDTH - 2) * math.sqrt(max(power, 0.0) / most), 1) if most > 0 else 1.0


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
        names = " ".join(
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
    return escape(side) + (f" ({index:+.2f})" if index is not None else "")
