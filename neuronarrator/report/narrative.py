"""The narrative with the verdict on each of its claims."""

from itertools import groupby, pairwise
from typing import Any

from neuronarrator.report.words import VERDICT_SIGNS, claimed, count_of, escape, join_channels, quantity

VERDICT_RANK = ("supported", "unverifiable", "contradicted")  # the worst verdict colours words that carry several


def mark_narrative(narrative: str, claims: list[dict[str, Any]], position: int = 0) -> str:
    """The narrative as HTML with the words of each claim marked by verdict; spans may overlap.

    Args:
        narrative: the text the spans count in, in characters.
        claims: claims with `span` [start, end]; a claim whose span lies outside the text is left unmarked.
        position: place of the segment on the page, for the links from contradicted words to their correction.
    """
    spans = [(*span, order) for order, claim in enumerate(claims) if (span := _span(claim, narrative))]
    cuts = sorted({0, len(narrative), *(s[0] for s in spans), *(s[1] for s in spans)})
    marked = ""
    for begin, end in pairwise(cuts):
        text = escape(narrative[begin:end])
        covering = [claims[order] for start, stop, order in spans if start <= begin and end <= stop]
        if covering:
            verdict = max((claim["verdict"] for claim in covering), key=VERDICT_RANK.index)
            title = escape("\n".join(_remark(claim) for claim in covering))
            text = f'<mark class="{verdict}" title="{title}">{text}</mark>'
        ended = [order for _, stop, order in spans if stop == end and claims[order]["verdict"] == "contradicted"]
        marked += text + "".join(_reference(order, position) for order in ended)
    return marked


def _reference(order: int, position: int) -> str:
    label = f"contradicted, see claim {order + 1}"
    return f'<sup><a href="#claim-{position}-{order + 1}" aria-label="{label}">✗{order + 1}</a></sup>'


def _span(claim: dict[str, Any], narrative: str) -> tuple[int, int] | None:
    start, stop = claim["span"] or (0, 0)
    return (start, stop) if 0 <= start < stop <= len(narrative) else None


def _remark(claim: dict[str, Any]) -> str:
    return f"{claim['verdict']}: {claimed(claim)}; {_evidence(claim)}"


def _evidence(claim: dict[str, Any]) -> str:
    value = _measured(claim)
    return f"measured {value}" if value else "nothing was measured"


def _measured(claim: dict[str, Any]) -> str:
    measured = claim["measured"] or {}
    value, found = measured.get("value"), measured.get("found")
    number = "" if value is None else quantity(value, measured.get("unit"))
    return ", ".join(part for part in (found, number) if part)


def list_contradictions(claims: list[dict[str, Any]], position: int) -> str:
    """What the signal says instead, for each contradicted claim, as a list; nothing where there is none."""
    rows = "".join(
        f'<li id="claim-{position}-{order}"><b>✗{order}</b> '
        f"{escape(claimed(claim))}{_channels_of(claim)}, <b>{escape(_evidence(claim))}</b></li>"
        for order, claim in enumerate(claims, start=1)
        if claim["verdict"] == "contradicted"
    )
    return f'<ul class="contradictions" aria-label="Contradicted by the signal">{rows}</ul>' if rows else ""


def _channels_of(claim: dict[str, Any]) -> str:
    """The channels a claim is about, where it does not name them already."""
    names = [name for name in claim["channels"] if name not in (claim["value"], claim.get("subject"))]
    return f"; {escape(join_channels(names))}" if names else ""


def claims_table(claims: list[dict[str, Any]]) -> str:
    """Every claim under its sentence, with the measured value and the verdict, collapsed."""
    if not claims:
        return '<p class="quiet">No checkable claim was found in the narrative.</p>'
    counts = " · ".join(
        f"{VERDICT_SIGNS[verdict]} {sum(claim['verdict'] == verdict for claim in claims)} {verdict}"
        for verdict in VERDICT_SIGNS
        if any(claim["verdict"] == verdict for claim in claims)
    )
    body = ""
    numbered = enumerate(claims, start=1)
    for text, group in groupby(numbered, key=lambda item: item[1]["text"]):
        body += f'<tbody><tr><th colspan="4" scope="rowgroup">{escape(text)}</th></tr>'
        body += "".join(_claim_row(order, claim) for order, claim in group) + "</tbody>"
    return (
        f'<details class="claims"><summary>{count_of(len(claims), "claim")}: {counts}</summary><table><thead><tr>'
        '<th scope="col">#</th><th scope="col">claimed</th><th scope="col">measured</th>'
        f'<th scope="col">verdict</th></tr></thead>{body}</table></details>'
    )


def _claim_row(order: int, claim: dict[str, Any]) -> str:
    verdict = claim["verdict"]
    return (
        f'<tr class="{verdict}"><td>{order}</td>'
        f"<td>{escape(claimed(claim))}{_channels_of(claim)}</td><td>{escape(_measured(claim)) or 'nothing'}</td>"
        f"<td>{VERDICT_SIGNS[verdict]} {verdict}</td></tr>"
    )
