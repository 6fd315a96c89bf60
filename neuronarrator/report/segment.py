"""One segment of the page: its traces, scalp map, measurements, narrative and the verdict on each claim."""

from typing import Any

from neuronarrator.report.measures import band_table, facts_list, topomap_figure
from neuronarrator.report.narrative import claims_table, list_contradictions, mark_narrative
from neuronarrator.report.words import (
    artifact_groups,
    clock,
    confidence_words,
    count_of,
    escape,
    interval,
    is_flagged,
    is_referred,
    join_channels,
    quantity,
)

MAX_TIMES_LISTED = 4


def render_segment(segment: dict[str, Any], position: int, map_uri: str | None, places: dict[int, int]) -> str:
    """One segment as an article.

    Args:
        segment: an entry of the document's segments.
        position: its place on the page, which names its anchors.
        map_uri: data URI of its scalp map, or None.
        places: place on the page of each segment index, for the links to the history.
    """
    kind = "segment flagged" if is_flagged(segment) else "segment"
    times, claims = escape(interval(segment)), segment["claims"]
    return f"""<article class="{kind}" id="segment-{position}" tabindex="-1" aria-labelledby="title-{position}">
<header><h3 id="title-{position}">{times} <span class="index">segment {segment["index"]}</span></h3>
{_flags(segment)}
<p class="confidence">{" <b>".join(confidence_words(segment))}</b></p></header>
<div class="columns">
<figure class="eeg"><canvas data-segment="{position}" role="img" aria-label="EEG traces, {times}"></canvas>
<figcaption></figcaption></figure>
<div class="reading">
<p class="narrative">{mark_narrative(segment["narrative"], claims, position)}</p>
{list_contradictions(claims, position)}{claims_table(claims)}
{band_table(segment, places)}
<div class="space">{topomap_figure(segment, map_uri)}{facts_list(segment)}</div>
</div></div></article>
"""


def _flags(segment: dict[str, Any]) -> str:
    flags = [_artifact_flag(kind, items, segment) for kind, items in artifact_groups(segment).items()]
    wrong = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
    if wrong:
        flags.append(f'<li class="wrong">✗ {count_of(wrong, "contradicted claim")}</li>')
    if is_referred(segment):
        flags.append("<li><b>unsure</b> for a human to read</li>")
    return f'<ul class="flags" aria-label="Flags">{"".join(flags)}</ul>' if flags else ""


def _artifact_flag(kind: str, items: list[dict[str, Any]], segment: dict[str, Any]) -> str:
    channels = list(dict.fromkeys(name for item in items for name in item["channels"]))
    whole = all(item["duration_s"] >= segment["duration_s"] for item in items)
    times = [clock(item["start_s"]) for item in items]
    when = (
        "" if whole else " at " + ", ".join(times[:MAX_TIMES_LISTED]) + ("…" if len(times) > MAX_TIMES_LISTED else "")
    )
    values = [item["value"] for item in items if item["value"] is not None]
    size = f", {quantity(max(values), items[0]['unit'])}" if values else ""
    counted = f" ×{len(items)}" if len(items) > 1 else ""
    detail = f"{join_channels(channels)}{when}{size}"
    return f"<li><b>{escape(kind)}{counted}</b> {escape(detail)}</li>"
