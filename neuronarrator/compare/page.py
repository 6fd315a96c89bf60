"""A comparison as one self-contained HTML page: the tables, and segments with what each narrator wrote of them."""

import base64
import io
from importlib.resources import files

import numpy as np
from PIL import Image

from corpus.page import PageRenderer, PageStyle
from corpus.segment import Segment
from corpus.topomap import TopomapRenderer, median_potential
from neuronarrator.compare.figure import comparison_png
from neuronarrator.compare.run import Comparison, Shown
from neuronarrator.compare.tables import Table, budget_table, score_tables
from neuronarrator.document import claim_values
from neuronarrator.report.narrative import list_contradictions, mark_narrative
from neuronarrator.report.words import RESEARCH_ONLY, escape
from neuronarrator.verify import verify_narrative

STYLE = PageStyle(width=840, height=588)
MAP_SIZE = 120
GREYS = 16


def comparison_page(comparison: Comparison) -> str:
    """The page: no script, and nothing is loaded from anywhere."""
    scores = comparison.scores
    budgets, notes = budget_table(scores)
    page = files("neuronarrator.compare").joinpath("page.html").read_text("utf-8")
    parts = {
        "banner": escape(RESEARCH_ONLY),
        "first": escape(scores["first"]),
        "level": f"{scores['bootstrap']['level']:.0%}",
        "figure": _image(comparison_png(scores)),
        "tables": "".join(f"<section>{_table(table)}</section>" for table in score_tables(scores)),
        "budgets": _table(budgets) + "".join(f'<p class="quiet">{escape(note)}</p>' for note in notes),
        "segments": "".join(_segment(shown, i) for i, shown in enumerate(comparison.shown)),
    }
    for name, part in parts.items():
        page = page.replace(f"<!--{name}-->", part)
    return page


def _table(table: Table) -> str:
    rows = ""
    for name, cells in table.rows.items():
        small = [f" <small>({escape(cell.small)})</small>" if cell.small else "" for cell in cells]
        texts = (f"<td>{escape(cell.text)}{more}</td>" for cell, more in zip(cells, small, strict=True))
        rows += f"<tr><th>{escape(name)}</th>{''.join(texts)}</tr>"
    head = "".join(f"<th>{escape(title)}</th>" for title in table.head)
    return f"<h3>{escape(table.title)}</h3><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _segment(shown: Shown, number: int) -> str:
    findings = shown.reference.measured
    segment = findings.segment
    texts = {"reference": shown.reference.text, **shown.texts}
    rows = ""
    for position, (name, text) in enumerate(texts.items(), number * len(texts)):
        claims = [claim_values(claim) for claim in verify_narrative(text, findings)]
        marked = (mark_narrative(text, claims, position) or "–") + list_contradictions(claims, position)
        rows += f"<tr><td>{escape(name)}</td><td>{marked}</td></tr>"
    where = f"{escape(shown.dataset)}, {escape(shown.recording)}, {segment.start_s:g} s"
    pictures = f'<img class="page" alt="EEG page of {where}" src="{_page(segment)}">'
    pictures += f'<br><img class="map" alt="scalp map at the middle" src="{_map(segment)}">'
    return f'<section><h3>{where}</h3><div class="segment"><div>{pictures}</div><table>{rows}</table></div></section>'


def _page(segment: Segment) -> str:
    picture = PageRenderer(segment.ch_names, segment.sfreq, segment.duration_s, STYLE)(segment.signal_uv)
    return _png(Image.fromarray(picture[..., 0]).quantize(GREYS))


def _map(segment: Segment) -> str:
    picture = TopomapRenderer(segment.ch_names, MAP_SIZE).png(np.asarray(median_potential(segment.signal_uv))[None])[0]
    return _image(picture)


def _png(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return _image(stream.getvalue())


def _image(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
