"""What stands above and below the segments: the recording, the model, warnings, summary and provenance."""

from typing import Any

from neuronarrator.report.traces import Traces
from neuronarrator.report.words import (
    RESEARCH_ONLY,
    VERDICT_SIGNS,
    clock,
    count_of,
    escape,
    interval,
    is_contradicted,
    number,
    research_statement,
    verdict_counts,
)

SHORT_SHA = 12
MAX_LINKS = 12  # contradictions linked in the summary; the timeline shows them all


def research_banner(document: dict[str, Any]) -> str:
    """The statement every page of the report carries."""
    statement = research_statement(document)
    return f"<strong>{RESEARCH_ONLY}</strong>" + (f" · {escape(statement)}" if statement else "")


def page_header(document: dict[str, Any]) -> str:
    """Facts of the recording and the model, and what may be unfolded: channels set aside, processing, annotations."""
    recording, model = document["recording"], document["model"]
    facts = [
        ("duration", f"{clock(recording['duration_s'])} in {count_of(len(document['segments']), 'segment')}"),
        ("channels", f"{len(recording['channels_used'])} used, {len(recording['channels_set_aside'])} set aside"),
        ("file", f"{escape(recording['format'])}, {number(recording['sfreq'])} Hz, sha256 {_sha(recording['sha256'])}"),
        ("subject", _subject(recording["subject"])),
        ("model", f"{escape(model['name'])} {escape(model['version'])}, sha256 {_sha(model['sha256'])}"),
    ]
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return f'<dl class="recording">{items}</dl><div class="folds">{_folds(document)}</div>'


def _sha(value: str | None) -> str:
    return f'<code title="{escape(value)}">{escape(value[:SHORT_SHA])}</code>' if value else "unknown"


def _subject(subject: dict[str, Any]) -> str:
    age = f"{subject['age_years']} years" if subject.get("age_years") is not None else "age unknown"
    sex = {"F": "female", "M": "male"}.get(subject.get("sex") or "", "sex unknown")
    return f"{age}, {sex}"


def _folds(document: dict[str, Any]) -> str:
    recording = document["recording"]
    aside = "".join(
        f"<tr><td><bdi>{escape(c['name'])}</bdi></td><td>{escape(c['why'])}</td></tr>"
        for c in recording["channels_set_aside"]
    )
    steps = "".join(f"<li>{escape(step)}</li>" for step in recording["processing"])
    notes = "".join(
        f"<tr><td>{clock(a['start_s'])}</td><td>{number(a['duration_s'])} s</td>"
        f"<td><bdi>{escape(a['description'])}</bdi></td></tr>"
        for a in recording["annotations"]
    )
    folds = [
        (count_of(len(recording["channels_set_aside"]), "channel") + " set aside", aside and f"<table>{aside}</table>"),
        (count_of(len(recording["processing"]), "processing step"), steps and f"<ol>{steps}</ol>"),
        (count_of(len(recording["annotations"]), "annotation") + " in the file", notes and f"<table>{notes}</table>"),
        ("About the model", f"<p>{escape(document['model']['description'] or 'No description was given.')}</p>"),
    ]
    return "".join(f"<details><summary>{title}</summary>{content}</details>" for title, content in folds if content)


def warnings(document: dict[str, Any]) -> str:
    """What limits this recording or its reading; nothing where there is nothing to warn of."""
    items = "".join(f"<li>{escape(text)}</li>" for text in document["recording"]["warnings"])
    return (
        f'<section class="warnings" aria-label="Warnings"><h2>Warnings</h2><ul>{items}</ul></section>' if items else ""
    )


def summary(document: dict[str, Any], places: dict[int, int]) -> str:
    """The summary of the document, and how its claims fared, with links to the contradictions.

    Args:
        document: the report document.
        places: place on the page of each segment index that is on it.
    """
    segments = document["segments"]
    counts = verdict_counts(segments)
    total = sum(counts.values())
    verdicts = "".join(
        f'<li class="{verdict}"><b>{VERDICT_SIGNS[verdict]} {count}</b> {verdict}</li>'
        for verdict, count in counts.items()
    )
    wrong = [segment for segment in segments if is_contradicted(segment)]
    linked = [s for s in wrong if s["index"] in places][:MAX_LINKS]
    links = ", ".join(f'<a href="#segment-{places[s["index"]]}">{escape(interval(s))}</a>' for s in linked)
    more = f" and in {count_of(len(wrong) - len(linked), 'more segment')}" if len(wrong) > len(linked) else ""
    where = f'<p class="where">Contradicted by the signal at {links}{more}.</p>' if wrong else ""
    return (
        f'<p class="summary">{escape(document["summary"])}</p><div class="verdicts"><p>'
        f"{count_of(total, 'claim')} found in the narratives:</p><ul>{verdicts}</ul></div>{where}"
    )


def footer(document: dict[str, Any], traces: Traces) -> str:
    """How the traces were drawn and what the page was made by."""
    model = document["model"]
    return (
        f"<p>Traces are drawn at {traces.rate:g} samples a second in steps of {traces.step_uv:g} µV, each channel of a "
        "segment with its median removed; millimetres are nominal (96 pixels an inch). Band powers, trends and flags "
        f"were computed from the signal at its full rate.</p><p>{escape(model['name'])} {escape(model['version'])} · "
        f"{escape(document['schema'])} · {research_banner(document)}</p>"
    )
