"""Numbers, times and untrusted text as a reader should see them."""

import html
import re
from typing import Any

# Control characters, bidirectional overrides and lone surrogates can garble a page without being markup.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_RESEARCH_OPENING = re.compile(r"^research use only[\s.:–-]*(?:not for diagnosis(?:[.\s]+|$))?", re.IGNORECASE)
NOTHING = "–"
BAND_LABELS = {"high_gamma": "high gamma"}
VERDICT_SIGNS = {"supported": "✓", "contradicted": "✗", "unverifiable": "?"}
RESEARCH_ONLY = "Research use only - not for diagnosis"


def research_statement(document: dict[str, Any]) -> str:
    """What the document says about its use, beyond `RESEARCH_ONLY`."""
    return _RESEARCH_OPENING.sub("", (document["research_use_only"] or "").strip())


def clean(value: Any) -> str:
    """Text without control characters."""
    return _UNPRINTABLE.sub("\ufffd", str(value))


def escape(value: Any) -> str:
    """Text safe inside HTML elements and quoted attributes."""
    return html.escape(clean(value), quote=True)


def number(value: float | None) -> str:
    """Three significant digits without an exponent, two below 0.01; a dash for None."""
    if value is None:
        return NOTHING
    size = abs(value)
    if isinstance(value, int) or size >= 100:
        text = f"{value:.0f}"
    elif size >= 0.01 or value == 0:
        text = f"{value:.3g}"
    else:
        text = f"{value:.2g}" if size >= 0.0001 else f"{value:.0e}"
    return text.replace("-", "−")


def quantity(value: Any, unit: str | None = None) -> str:
    """A measured or claimed value of any kind with its unit."""
    if value is None:
        return NOTHING
    if isinstance(value, list):
        text = ", ".join(quantity(item) for item in value) or "none"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = number(value) if isinstance(value, int | float) else clean(value)
    if unit == "ratio":
        return f"×{text}"
    return f"{text} {clean(unit)}" if unit else text


def claimed(claim: dict[str, Any]) -> str:
    """What a claim says of what: kind, subject and value, with a denial where it denies."""
    kind, subject = (clean(claim.get(key) or "").replace("_", " ") for key in ("kind", "subject"))
    words = [subject, "not" if claim.get("negated") else "", quantity(claim["value"]).replace("_", " ")]
    return f"{kind}: {' '.join(word for word in words if word)}"


def band_label(band: str) -> str:
    """The name of a band in words."""
    return BAND_LABELS.get(band, band)


def clock(seconds: float) -> str:
    """m:ss or h:mm:ss, with tenths where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    second = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{second}" if hours else f"{minutes}:{second}"


def interval(item: dict[str, Any]) -> str:
    """The time a segment covers."""
    return f"{clock(item['start_s'])}–{clock(item['start_s'] + item['duration_s'])}"


def count_of(count: int, noun: str) -> str:
    """A counted noun: 1 claim, 2 claims."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def verdict_counts(segments: list[dict[str, Any]]) -> dict[str, int]:
    """How many claims got each verdict."""
    verdicts = [claim["verdict"] for segment in segments for claim in segment["claims"]]
    return {verdict: verdicts.count(verdict) for verdict in VERDICT_SIGNS}


def is_flagged(segment: dict[str, Any]) -> bool:
    """Whether a segment holds a contradicted claim or an artifact, or the model is unsure of it."""
    return bool(segment["artifacts"]) or is_contradicted(segment) or is_referred(segment)


def is_contradicted(segment: dict[str, Any]) -> bool:
    """Whether the signal contradicts a claim of a segment."""
    return any(claim["verdict"] == "contradicted" for claim in segment["claims"])


def is_referred(segment: dict[str, Any]) -> bool:
    """Whether the confidence is below the threshold of the stated risk."""
    return bool(segment.get("calibration") and segment["calibration"]["refer"])


def confidence_words(segment: dict[str, Any]) -> tuple[str, str]:
    """What the confidence of a segment is, and its number."""
    what = "probability that every claim holds" if segment.get("calibration") else "model confidence (uncalibrated)"
    return what, number(segment["confidence"])


def artifact_groups(segment: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The artifacts of a segment by kind, in order of appearance."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for artifact in segment["artifacts"]:
        groups.setdefault(artifact["kind"], []).append(artifact)
    return groups


def join_channels(names: list[str], most: int = 8) -> str:
    """Channel names in a row, the surplus counted."""
    shown = " ".join(clean(name) for name in names[:most])
    return f"{shown} +{len(names) - most}" if len(names) > most else shown
