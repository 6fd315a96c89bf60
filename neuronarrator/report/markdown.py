"""The report as short Markdown text."""

import re
from typing import Any

from neuronarrator.report.words import (
    NOTHING,
    RESEARCH_ONLY,
    VERDICT_SIGNS,
    artifact_groups,
    band_label,
    claimed,
    clean,
    clock,
    confidence_words,
    count_of,
    interval,
    is_referred,
    join_channels,
    number,
    quantity,
    research_statement,
    verdict_counts,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|!~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape_markdown(value: Any) -> str:
    """Untrusted text on one line, without Markdown or HTML of its own."""
    text = re.sub(r"\s+", " ", clean(value)).strip()
    text = _SPECIAL.sub(r"\\\1", re.sub("[&<>]", lambda match: _ENTITIES[match[0]], text))
    return re.sub(r"^(\d*)([-+.)])(?=\s)", r"\1\\\2", text)


def render_markdown(document: dict[str, Any]) -> str:
    """The report of a checked, plain document, in Markdown."""
    blocks = [*_head(document), *_timeline(document["segments"])]
    for segment in document["segments"]:
        blocks += _segment(segment)
    return "\n\n".join(blocks) + "\n"


def _head(document: dict[str, Any]) -> list[str]:
    recording, model = document["recording"], document["model"]
    subject = recording["subject"]
    age = subject.get("age_years")
    facts = [
        f"Duration {clock(recording['duration_s'])}, {count_of(len(document['segments']), 'segment')}",
        f"File: {escape_markdown(recording['format'])}, {number(recording['sfreq'])} Hz, sha256 {recording['sha256']}",
        f"Channels used: {escape_markdown(' '.join(recording['channels_used']))}",
        f"Subject: age {'unknown' if age is None else age}, sex {subject.get('sex') or 'unknown'}",
        f"Model: {escape_markdown(model['name'])} {escape_markdown(model['version'])}, sha256 {model['sha256']}",
    ]
    facts += [f"Processing: {escape_markdown(step)}" for step in recording["processing"]]
    facts += [
        f"Set aside: {escape_markdown(c['name'])}, {escape_markdown(c['why'])}" for c in recording["channels_set_aside"]
    ]
    blocks = [
        f"# {escape_markdown(recording['file'])}",
        f"> **{RESEARCH_ONLY}.** {escape_markdown(research_statement(document))}",
    ]
    blocks += [_bullets(facts)]
    if recording["warnings"]:
        blocks += ["## Warnings", _bullets([escape_markdown(text) for text in recording["warnings"]])]
    counts = verdict_counts(document["segments"])
    checked = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    blocks += [
        "## Summary",
        escape_markdown(document["summary"]),
        f"{count_of(sum(counts.values()), 'claim')}: {checked}.",
    ]
    notes = [f"{clock(a['start_s'])} {escape_markdown(a['description'])}" for a in recording["annotations"]]
    return blocks + (["## Annotations", _bullets(notes)] if notes else [])


def _timeline(segments: list[dict[str, Any]]) -> list[str]:
    if not segments:
        return []
    bands = list(segments[0]["features"]["band_power_uv2"])
    head = ["time", *(band_label(band) for band in bands), "artifacts", "contradicted"]
    rows = [head, ["---"] * len(head)]
    for segment in segments:
        power = segment["features"]["band_power_uv2"]
        kinds = ", ".join(f"{kind} ×{len(items)}" for kind, items in artifact_groups(segment).items())
        wrong = sum(claim["verdict"] == "contradicted" for claim in segment["claims"])
        row = [interval(segment), *(number(power.get(b)) for b in bands), escape_markdown(kinds) or NOTHING]
        rows.append([*row, str(wrong) if wrong else NOTHING])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return ["## Recording over time", "Band power in µV², mean of the channels.", table, "## Segments"]


def _segment(segment: dict[str, Any]) -> list[str]:
    features, claims = segment["features"], segment["claims"]
    tiers = "; ".join(
        f"{tier} {escape_markdown(' '.join(names)) or 'none'}" for tier, names in features["energy_tiers"].items()
    )
    dominant = f"{band_label(features['dominant_band'] or NOTHING)}, {quantity(features['dominant_hz'], 'Hz')}"
    amplitude = f"{features['amplitude'] or NOTHING}, {quantity(features['amplitude_uv'], 'µV')}"
    top = escape_markdown(features["top_channel"] or NOTHING)
    facts = [
        f"Dominant {dominant}; amplitude {amplitude}; asymmetry {features['asymmetry'] or NOTHING}; top channel {top}",
        f"Band power, µV²: {_bands(features)}",
        f"Energy tiers: {tiers}",
    ]
    facts += [_artifact(kind, items) for kind, items in artifact_groups(segment).items()]
    counts = ", ".join(f"{sum(claim['verdict'] == verdict for claim in claims)} {verdict}" for verdict in VERDICT_SIGNS)
    what, value = confidence_words(segment)
    unsure = "; unsure, for a human to read" if is_referred(segment) else ""
    facts.append(f"Claims: {counts}. {what[0].upper()}{what[1:]} {value}{unsure}")
    blocks = [f"### {interval(segment)} (segment {segment['index']})", escape_markdown(segment["narrative"])]
    wrong = [_correction(claim) for claim in claims if claim["verdict"] == "contradicted"]
    return [*blocks, *([_bullets(wrong)] if wrong else []), _bullets(facts)]


def _bands(features: dict[str, Any]) -> str:
    ratios, trends = features["trend_ratio"] or {}, features["trend"] or {}
    texts = []
    for band, power in features["band_power_uv2"].items():
        change = f" ({trends[band]}, ×{number(ratios.get(band))})" if trends.get(band) else ""
        texts.append(f"{band_label(band)} {number(power)}{change}")
    return "; ".join(texts)


def _artifact(kind: str, items: list[dict[str, Any]]) -> str:
    channels = list(dict.fromkeys(name for item in items for name in item["channels"]))
    times = ", ".join(clock(item["start_s"]) for item in items[:4]) + ("…" if len(items) > 4 else "")
    return f"Artifact: {escape_markdown(kind)} ×{len(items)} at {times}, {escape_markdown(join_channels(channels))}"


def _correction(claim: dict[str, Any]) -> str:
    measured = claim["measured"] or {}
    number = quantity(measured.get("value"), measured.get("unit"))
    value = escape_markdown(", ".join(part for part in (measured.get("found"), number) if part))
    return f"✗ **contradicted:** {escape_markdown(claimed(claim))}; measured {value}"


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
