"""A comparison as one self-contained HTML page: the tables, and segments with what each narrator wrote of them."""

import base64
import io
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image

from corpus.page import PageRenderer, PageStyle
from corpus.segment import Segment
from corpus.topomap import TopomapRenderer, median_potential
from neuronarrator.compare.run import TABLE, Comparison, Shown
from neuronarrator.document import claim_values
from neuronarrator.report.narrative import mark_narrative
from neuronarrator.report.words import RESEARCH_ONLY, escape
from neuronarrator.verify import verify_narrative

STYLE = PageStyle(width=840, height=588)
MAP_SIZE = 120
GREYS = 16
TITLES = {"fact_f1": "Fact-F1", "signal_fact_f1": "Signal-Fact-F1", "rouge_l": "ROUGE-L"}


def comparison_page(comparison: Comparison) -> str:
    """The page: no script, and nothing is loaded from anywhere."""
    scores = comparison.scores
    page = files("neuronarrator.compare").joinpath("page.html").read_text("utf-8")
    parts = {
        "banner": escape(RESEARCH_ONLY),
        "first": escape(scores["first"]),
        "level": f"{scores['bootstrap']['level']:.0%}",
        "tables": "".join(_table(name, systems) for name, systems in scores["datasets"].items()),
        "segments": "".join(_segment(shown) for shown in comparison.shown),
    }
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    return page


def _table(dataset: str, systems: Mapping[str, Any]) -> str:
    count = next(iter(systems.values()))
    titles = "".join(f"<th>{TITLES[score]}</th>" for score in TABLE)
    rows = ""
    for name, found in systems.items():
        cells = "".join(f"<td>{_cell(found, score)}</td>" for score in TABLE)
        wrong = f"{100 * found['contradicted']['share']:.1f} % of {found['claims']['total']}"
        rows += f"<tr><th>{escape(name)}</th>{cells}<td>{wrong}</td></tr>"
    title = f"{escape(dataset)}: {count['n_segments']} segments of {count['n_subjects']} subjects"
    head = f"<thead><tr><th>system</th>{titles}<th>contradicted claims</th></tr></thead>"
    return f"<section><h3>{title}</h3><table>{head}<tbody>{rows}</tbody></table></section>"


def _cell(found: Mapping[str, Any], score: str) -> str:
    text, distance = f"{found[score]['mean']:.3f}", found.get("distance", {}).get(score)
    if distance is None:
        return text
    edges = "" if distance["ci"] is None else f", {distance['ci'][0]:+.3f} to {distance['ci'][1]:+.3f}"
    return f"{text} <small>({distance['mean']:+.3f}{edges})</small>"


def _segment(shown: Shown) -> str:
    findings = shown.reference.measured
    segment = findings.segment
    texts = {"reference": shown.reference.text, **shown.texts}
    rows = ""
    for name, text in texts.items():
        claims = [claim_values(claim) for claim in verify_narrative(text, findings)]
        rows += f"<tr><td>{escape(name)}</td><td>{mark_narrative(text, claims) or '–'}</td></tr>"
    where = f"{escape(shown.dataset)}, {escape(shown.recording)}, {segment.start_s:g} s"
    pictures = f'<img class="page" alt="EEG page of {where}" src="{_page(segment)}">'
    pictures += f'<br><img class="map" alt="scalp map at the middle" src="{_map(segment)}">'
    return f'<section><h3>{where}</h3><div class="segment"><div>{pictures}</div><table>{rows}</table></div></section>'


def _page(segment: Segment) -> str:
    picture = PageRenderer(segment.ch_names, segment.sfreq, segment.duration_s, STYLE)(segment.signal_uv)
    return _png(Image.fromarray(picture[..., 0]).quantize(GREYS))


def _map(segment: Segment) -> str:
    picture = TopomapRenderer(segment.ch_names, MAP_SIZE).png(np.asarray(median_potential(segment.signal_uv))[None])[0]
    return f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def _png(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
