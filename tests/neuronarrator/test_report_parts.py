"""The parts of the report: coded traces, order of the channels, marked claims, numbers, strict JSON values."""

import ast
import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuronarrator.report
from corpus.recording import Recording
from neuronarrator.report.document import plain
from neuronarrator.report.markdown import escape_markdown
from neuronarrator.report.narrative import list_contradictions, mark_narrative
from neuronarrator.report.order import page_rows
from neuronarrator.report.traces import LADDER, at_rate, cut_out, encode_block, encode_traces
from neuronarrator.report.words import clock, interval, number, quantity

REPORT_FOLDER = Path(neuronarrator.report.__file__).parent
CHAINS = "Fp1 F7 T3 T5 O1 / F3 C3 P3 / Fz Cz Pz / F4 C4 P4 / Fp2 F8 T4 T6 O2"
TEN_TWENTY = tuple(sorted(CHAINS.replace("/ ", "").split(" ")))
NARRATIVE = "Alpha dominates. Delta shows a marked increase over C4. The patient appears drowsy. No artifact is seen."


def make_claims() -> list[dict[str, Any]]:
    rows = (
        ("Alpha dominates", "dominant_band", "alpha", "supported", 47.3, "µV²"),
        ("Delta shows a marked increase", "trend", "marked increase", "contradicted", 0.71, "ratio"),
        ("drowsy", "state", "drowsy", "unverifiable", None, ""),
    )
    claims = []
    for text, kind, value, verdict, measured, unit in rows:
        start = NARRATIVE.index(text)
        claim = {"text": text, "kind": kind, "value": value, "channels": [], "verdict": verdict}
        claims.append(claim | {"measured": {"value": measured, "unit": unit}, "span": [start, start + len(text)]})
    return claims


def decode_block(block: bytes, rows: int, samples: int) -> np.ndarray:
    """The format of `encode_block`, read one bit at a time."""
    bits = iter(np.unpackbits(np.frombuffer(block[rows:], np.uint8)).tolist())
    out = np.zeros((rows, samples), np.int64)
    for row in range(rows):
        for i in range(samples):
            value = 0
            while not next(bits):
                value += 1
            for _ in range(block[row] & 31):
                value = 2 * value + next(bits)
            out[row, i] = -(value + 1) // 2 if value % 2 else value // 2
        for _ in range(block[row] >> 5 & 3):
            out[row] = out[row].cumsum()
        if block[row] & 128:
            out[row] += out[row - 1]
    return out


def make_steps() -> np.ndarray:
    rng = np.random.default_rng(2)
    walk = rng.integers(-3, 4, (5, 400)).cumsum(1)
    walk[1] = walk[0] + rng.integers(-1, 2, 400)
    walk[2, 100:110] = 30000
    walk[3] = 0
    return walk


def test_traces_are_coded_without_loss() -> None:
    steps = make_steps()
    block = encode_block(steps)
    np.testing.assert_array_equal(decode_block(block, *steps.shape), steps)
    assert len(block) < steps.size
    assert block[1] & 128  # the second row is predicted from the first


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed: the page's decoder is not run")
def test_the_page_decodes_what_python_encodes() -> None:
    steps = make_steps()
    text = base64.b64encode(encode_block(steps)).decode()
    source = (REPORT_FOLDER / "decode.js").read_text("utf-8")
    call = f"decodeTraces('{text}', 5, 400, 0.5).map((row) => Array.from(row))"
    result = subprocess.run(
        ["node", "-e", f"{source}\nconsole.log(JSON.stringify({call}))"], capture_output=True, check=True, text=True
    )
    np.testing.assert_array_equal(np.array(json.loads(result.stdout)), steps * 0.5)


def test_display_rate_keeps_rhythms_and_drops_what_would_alias() -> None:
    times = np.arange(6000) / 200
    signal = np.stack([50 * np.sin(2 * np.pi * 10 * times), 50 * np.sin(2 * np.pi * 70 * times)])
    piece = at_rate(cut_out(Recording(signal, 200.0, ("C3", "C4")), [0, 1], 10.0, 10.0), 100.0)
    assert piece.shape == (2, 1000)
    np.testing.assert_allclose(piece[0], 50 * np.sin(2 * np.pi * 10 * np.arange(1000) / 100), atol=0.05)
    assert np.abs(piece[1]).max() < 0.5


def test_budget_decides_the_rate() -> None:
    noise = 20 * np.random.default_rng(0).standard_normal((3, 6000))
    recording = Recording(noise, 200.0, ("C3", "Cz", "C4"))
    spans = [(0.0, 10.0), (10.0, 10.0), (25.0, 10.0)]
    rich, poor = (encode_traces(recording, [0, 1, 2], spans, budget) for budget in (10**7, 1))
    assert (rich.rate, rich.step_uv, rich.lengths) == (200.0, 0.5, (2000, 2000, 1000))
    assert (poor.rate, poor.step_uv) == LADDER[-1]


def test_rows_follow_the_chains_of_a_referential_page() -> None:
    text = " ".join(("/ " if row.starts_chain else "") + row.name for row in page_rows(TEN_TWENTY))
    assert text == CHAINS
    sides = [row.side for row in page_rows(("C4", "Cz", "CP5", "T9", "X1", "E-2"))]
    assert sides == ["left", "left", "midline", "right", "other", "other"]


def test_spans_are_marked_by_verdict() -> None:
    marked = mark_narrative(NARRATIVE, make_claims(), position=4)
    assert re.search(
        r'<mark class="supported" title="supported: dominant band: alpha; measured 47.3 µV²">Alpha dom', marked
    )
    assert re.search(
        r'<mark class="contradicted" title="[^"]*measured ×0.71">Delta [^<]*</mark><sup><a href="#claim-4-2"', marked
    )
    assert '<mark class="unverifiable"' in marked
    assert re.sub(r"<sup>.*?</sup>|<[^>]+>", "", marked) == NARRATIVE
    assert 'id="claim-4-2"' in list_contradictions(make_claims(), position=4)


def test_overlapping_and_misplaced_spans() -> None:
    claims = make_claims()
    claims[0]["span"], claims[1]["span"], claims[2]["span"] = [0, 8], [4, 12], [90, 999]
    marked = mark_narrative("<a> b & c…d", claims)
    assert marked.count("<mark") == 1  # [4, 12] lies outside the text of 11 characters
    claims[1]["span"] = [4, 10]
    marked = mark_narrative("<a> b & c…d", claims)
    assert re.findall(r'class="(\w+)"', marked) == ["supported", "contradicted", "contradicted"]
    assert re.sub(r"<sup>.*?</sup>|<[^>]+>", "", marked) == "&lt;a&gt; b &amp; c…d"


def test_numbers_and_times() -> None:
    numbers = [number(value) for value in (None, 103.26, 39.87, 0.0813, 0.0076, -0.5, 0.0)]
    assert numbers == ["–", "103", "39.9", "0.0813", "0.0076", "−0.5", "0"]
    assert [clock(t) for t in (0, 59.96, 3661.5)] == ["0:00", "1:00", "1:01:01.5"]
    assert interval({"start_s": 50.0, "duration_s": 10.0}) == "0:50–1:00"
    assert [quantity(v, "Hz") for v in (["F3", "C3"], True, "left")] == ["F3, C3 Hz", "yes Hz", "left Hz"]


def test_markdown_escapes_its_own_signs() -> None:
    assert [escape_markdown(text) for text in ("0.1.0", "1. a", "-5")] == ["0.1.0", "1\\. a", "-5"]
    assert escape_markdown("- a|b\n# *c* <d>") == "\\- a\\|b \\# \\*c\\* &lt;d&gt;"


def test_plain_is_strict() -> None:
    assert plain({"a": (np.float32(0.1), np.int64(2), float("inf"), np.array([1.0, np.nan]))}) == {
        "a": [0.1, 2, None, [1.0, None]]
    }
    assert plain(86390.2512345) == 86390.251
    assert plain(1.23456789e-7) == 1.23457e-7
    with pytest.raises(TypeError, match="expected JSON values"):
        plain({"a": Path("x")})


def test_the_report_stands_on_little() -> None:
    allowed = re.compile(r"^(numpy|PIL|corpus\.recording|neuronarrator\.report)(\.|$)")
    standard = sys.stdlib_module_names
    for path in REPORT_FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(allowed.match(name) or name.split(".")[0] in standard for name in names), path.name
