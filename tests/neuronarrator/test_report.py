"""The report: what is passed through, what is escaped, what is drawn, and how large the page gets."""

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.recording import Recording
from neuronarrator.report import page as pages
from neuronarrator.report import timeline, write_report
from neuronarrator.report.document import plain
from neuronarrator.report.measures import band_table
from neuronarrator.report.timeline import render_timeline

CHAINS = "Fp1 F7 T3 T5 O1 F3 C3 P3 Fz Cz Pz F4 C4 P4 Fp2 F8 T4 T6 O2"
TEN_TWENTY = tuple(CHAINS.split(" "))
BANDS = ("delta", "theta", "alpha", "beta", "gamma", "high_gamma")
NARRATIVE = "Alpha dominates. Delta shows a marked increase over C4. The patient appears drowsy. No artifact is seen."
HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'> | `b` \u202e <!--data-->"


def make_claims() -> list[dict[str, Any]]:
    rows = (
        ("Alpha dominates", "dominant_band", "alpha", "supported", 47.3, "µV²"),
        ("Delta shows a marked increase", "trend", "marked increase", "contradicted", 0.71, "ratio"),
        ("drowsy", "state", "drowsy", "unverifiable", None, ""),
    )
    claims = []
    for text, kind, value, verdict, measured, unit in rows:
        span = [NARRATIVE.index(text), NARRATIVE.index(text) + len(text)]
        claim = {"text": text, "kind": kind, "value": value, "channels": [], "verdict": verdict, "span": span}
        claims.append(claim | {"measured": {"value": measured, "unit": unit}})
    return claims


def make_segment(index: int, ch_names: tuple[str, ...], rng: np.random.Generator) -> dict[str, Any]:
    power = dict(zip(BANDS, (40.0 * rng.uniform(0.5, 2, 6) / 3.0 ** np.arange(6)).tolist(), strict=True))
    before = {band: value * 1.3 for band, value in power.items()} if index else None
    third = len(ch_names) // 3
    tiers = {"high": ch_names[:third], "medium": ch_names[third : 2 * third], "low": ch_names[2 * third :]}
    features = {
        "band_power_uv2": power,
        "history_band_power_uv2": before,
        "trend": dict.fromkeys(BANDS, "moderate decrease" if before else None),
        "trend_ratio": dict.fromkeys(BANDS, 0.769 if before else None),
        "channel_power_uv2": dict(zip(ch_names, rng.uniform(10, 200, len(ch_names)), strict=True)),
        "energy_tiers": tiers,
        "dominant_band": "alpha",
        "dominant_hz": 10.25,
        "top_channel": ch_names[0],
        "amplitude_uv": 31.4159265,
        "amplitude": "medium",
        "asymmetry": None,
        "asymmetry_index": float("nan"),
    }
    blink = {"kind": "blink", "channels": list(ch_names[:2]), "start_s": index * 10 + 3.2, "duration_s": 0.4}
    return {
        "index": index,
        "start_s": index * 10.0,
        "duration_s": 10.0,
        "history": list(range(max(index - 2, 0), index)),
        "narrative": NARRATIVE,
        "confidence": np.float32(0.8),
        "claims": make_claims() if index % 2 else [],
        "artifacts": [blink | {"value": 85.0, "unit": "µV"}] if index % 3 == 0 else [],
        "features": features,
    }


def make_document(count: int = 3, ch_names: tuple[str, ...] = TEN_TWENTY) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    recording = {
        "file": "night1.edf",
        "format": "EDF",
        "sha256": "ab" * 32,
        "duration_s": count * 10.0,
        "sfreq": 500.0,
        "channels_used": list(ch_names),
        "channels_set_aside": [{"name": "ECG", "why": "heart channel"}],
        "annotations": [{"start_s": 4.0, "duration_s": 0.0, "description": "eyes closed"}],
        "subject": {"age_years": 34, "sex": "F"},
        "processing": ["band-pass 0.1-75 Hz"],
        "warnings": ["no reference stated"],
    }
    return {
        "schema": "neuronarrator.report/1",
        "research_use_only": "Research use only - not for diagnosis",
        "recording": recording,
        "model": {"name": "tiny", "version": "0.1.0", "sha256": "cd" * 32, "description": "a test"},
        "summary": "Alpha background.",
        "segments": [make_segment(index, ch_names, rng) for index in range(count)],
    }


def make_recording(count: int = 3, ch_names: tuple[str, ...] = TEN_TWENTY) -> Recording:
    """Broadband noise of 5 µV under slower activity of about 25 µV and a common 10 Hz rhythm."""
    rng = np.random.default_rng(1)
    white = rng.standard_normal((len(ch_names), count * 2000 + 16), dtype=np.float32)
    total = np.cumsum(white, axis=1, dtype=np.float64)
    slow = (total[:, 16:] - total[:, :-16]) * 6
    alpha = 20 * np.sin(2 * np.pi * 10 * np.arange(count * 2000) / 200)
    return Recording((slow + 5 * white[:, 16:] + alpha).astype(np.float32), 200.0, ch_names)


def make_maps(count: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(-1, 1, 224), np.linspace(-1, 1, 224))
    turns = np.linspace(0, np.pi, count)[:, None, None]
    wave = np.sin(3 * x * np.cos(turns) + 2 * y + turns)
    maps = np.stack([127 + 127 * wave, 200 - 80 * wave**2, 127 - 127 * wave], axis=-1)
    return np.where((x**2 + y**2 <= 1)[None, ..., None], maps, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_report(make_document(), make_recording(), make_maps(3), tmp_path_factory.mktemp("report"))


def write_page(document: dict[str, Any], recording: Recording, directory: Path) -> str:
    maps = make_maps(len(document["segments"]))
    return write_report(document, recording, maps, directory, ("html",))["html"].read_text("utf-8")


class Page(HTMLParser):
    """Collects tags with their attributes and notes every end tag without its start."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.stray: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.stray.append(tag)


def test_files_are_named_after_the_recording(report: dict[str, Path]) -> None:
    assert {name: path.name for name, path in report.items()} == {n: f"night1.{n}" for n in ("html", "json", "md")}


def test_json_passes_the_document_through(report: dict[str, Path]) -> None:
    written = json.loads(report["json"].read_text("utf-8"))
    document = make_document()
    assert written["schema"] == "neuronarrator.report/1"
    assert written["recording"] == document["recording"]
    assert written["segments"][1]["claims"] == document["segments"][1]["claims"]
    assert written["segments"][0]["features"]["amplitude_uv"] == 31.4159
    assert written["segments"][0]["features"]["asymmetry_index"] is None
    assert list(written["segments"][0]) == list(document["segments"][0])


def test_page_asks_for_nothing(report: dict[str, Path]) -> None:
    text = report["html"].read_text("utf-8")
    assert not re.search(r"https?://|url\(|@import|src\s*=\s*[\"']?//", text)
    page = Page(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"link", "iframe", "object", "base", "form"})
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert (attributes.get("href") or "#").startswith("#")
    anchors = {attributes.get("id") for _, attributes in page.tags}
    assert all(a["href"][1:] in anchors for tag, a in page.tags if tag == "a" and a.get("href"))


def test_page_is_balanced_and_its_policy_admits_its_script_only(report: dict[str, Path]) -> None:
    text = report["html"].read_text("utf-8")
    page = Page(text)
    assert not page.stray
    assert not page.open
    script = re.search(r"<script>(.*)</script>\n</body>", text, re.DOTALL)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in text
    assert "default-src 'none'" in text


def test_page_states_what_a_reader_must_know(report: dict[str, Path]) -> None:
    text = report["html"].read_text("utf-8")
    for fact in (
        "Research use only - not for diagnosis",
        "night1.edf",
        "model confidence (uncalibrated)",
        "negative up",
    ):
        assert fact in text
    for fact in (
        "heart channel",
        "no reference stated",
        "eyes closed",
        "abababababab",
        "drawn at 200 samples a second",
    ):
        assert fact in text
    images = [attributes for tag, attributes in Page(text).tags if tag == "img"]
    assert len(images) == 3
    assert all("Scalp map" in (image["alt"] or "") for image in images)


@pytest.mark.parametrize("place", ["annotation", "channel", "set aside", "file", "narrative"])
def test_hostile_text_stays_text(place: str, tmp_path: Path) -> None:
    ch_names = (HOSTILE, *TEN_TWENTY[1:]) if place == "channel" else TEN_TWENTY
    document = make_document(2, ch_names)
    if place == "annotation":
        document["recording"]["annotations"][0]["description"] = HOSTILE
    elif place == "set aside":
        document["recording"]["channels_set_aside"][0]["name"] = HOSTILE
    elif place == "file":
        document["recording"]["file"] = HOSTILE.replace("/", "") + ".edf"
    elif place == "narrative":
        document["segments"][0]["narrative"] = HOSTILE
    paths = write_report(document, make_recording(2, ch_names), None, tmp_path)
    text = paths["html"].read_text("utf-8")
    page = Page(text)
    assert not page.stray
    assert [tag for tag, _ in page.tags].count("script") == 1 + 2 + 1
    assert "img" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "\u202e" not in text
    markdown = paths["md"].read_text("utf-8")
    assert "<script" not in markdown
    assert "<img" not in markdown


@pytest.mark.parametrize("n_chans", [19, 64])
def test_twenty_minutes_fit_ten_megabytes(n_chans: int, tmp_path: Path) -> None:
    digits = [f"{row}{digit}" for row in ("AF", "F", "FC", "C", "CP", "P", "PO", "O") for digit in (*range(1, 9), "z")]
    ch_names = TEN_TWENTY if n_chans == 19 else tuple(digits[:n_chans])
    assert len(ch_names) == n_chans
    recording = make_recording(120, ch_names)
    text = write_page(make_document(120, ch_names), recording, tmp_path)
    assert len(text.encode()) <= 10_000_000
    rate = float(re.search(r"drawn at ([\d.]+) samples a second", text)[1])
    assert rate >= (128 if n_chans == 19 else 64)


def test_no_history_and_nothing_measured() -> None:
    segment = plain(make_segment(0, TEN_TWENTY, np.random.default_rng(0)))
    assert "no history" in band_table(segment, {0: 0})
    segment["features"]["trend"] = segment["features"]["trend_ratio"] = None
    segment["features"]["band_power_uv2"] = dict.fromkeys(BANDS)
    assert "<svg" not in band_table(segment, {0: 0})
    segment["features"]["band_power_uv2"] = dict.fromkeys(BANDS, 0.0)
    assert band_table(segment, {0: 0}).count("<svg") == 6


def test_a_segment_of_which_the_model_is_unsure_says_so(tmp_path: Path) -> None:
    document = make_document(2)
    document["segments"][0] |= {"confidence": 0.21, "calibration": {"familiarity": 1.0, "refer": True}}
    document["segments"][1] |= {"confidence": 0.97, "calibration": {"familiarity": 1.0, "refer": False}}
    files = write_report(document, make_recording(2), make_maps(2), tmp_path)
    page, text = (files[kind].read_text("utf-8") for kind in ("html", "md"))
    assert page.count("for a human to read") == 1
    assert "probability that every claim holds <b>0.21</b>" in page
    assert "uncalibrated" not in page
    assert "Probability that every claim holds 0.21; unsure, for a human to read" in text
    assert "Probability that every claim holds 0.97\n" in text


def test_document_without_segments_or_maps(tmp_path: Path) -> None:
    document = make_document(0)
    paths = write_report(document, make_recording(1), None, tmp_path)
    assert "0 claims" in paths["html"].read_text("utf-8")
    assert render_timeline(plain(document), (3.0,), {}).count("break") == 2


def test_a_long_recording_shows_some_of_its_segments_and_tells_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_SEGMENTS", 20)
    document = make_document(60)
    for segment in document["segments"][:30]:  # from there on, every second one has a contradicted claim
        segment["claims"] = []
    document["segments"][3]["calibration"] = {"familiarity": 0.1, "refer": True}
    assert pages.choose_segments(document["segments"][:20]) == list(range(20))
    shown = pages.choose_segments(document["segments"])
    first = {3, *range(31, 60, 2)}
    assert len(shown) == 20
    assert first < set(shown)
    assert shown == sorted(shown)
    assert np.diff([0, *(i for i in shown if i not in first), 60]).max() < 25  # the others are spread evenly
    files = write_report(document, make_recording(60), make_maps(60), tmp_path)
    text = files["html"].read_text("utf-8")
    tags = Page(text).tags
    assert sum(tag == "article" for tag, _ in tags) == 20
    assert sum((attributes.get("id") or "").startswith("trace-") for _, attributes in tags) == 20
    anchors = {attributes.get("id") for _, attributes in tags}
    assert all((a.get("href") or "#")[1:] in {*anchors, ""} for tag, a in tags if tag == "a")
    assert "This page shows 20 of 60 segments" in text
    assert "45 claims found" in text  # of all segments
    (data,) = re.findall(r'id="page-data">(.*?)</script>', text)
    assert [segment["start_s"] for segment in json.loads(data)["segments"]] == [10.0 * i for i in shown]
    assert len(json.loads(files["json"].read_text("utf-8"))["segments"]) == 60
    assert files["md"].read_text("utf-8").count("### ") == 60
    monkeypatch.setattr(pages, "MOST_SEGMENTS", 5)
    assert pages.choose_segments(document["segments"]) == [3, 35, 41, 47, 53]  # too many of them: evenly


def test_the_page_of_a_long_recording_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_SEGMENTS", 6)
    monkeypatch.setattr(pages, "PAGE_BYTES", 0)
    monkeypatch.setattr(timeline, "MOST_BARS", 50)
    sizes = []
    for count in (100, 400):
        names = TEN_TWENTY[:3]
        files = write_report(make_document(count, names), make_recording(count, names), None, tmp_path, ("html",))
        sizes.append(files["html"].stat().st_size)
    assert sizes[1] < 1.1 * sizes[0]


def test_files_are_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "night1.json").write_text("before")

    def fail(source: Path, target: Path) -> None:
        assert Path(source).stat().st_size > 1000
        raise OSError("disk gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_report(make_document(), make_recording(), None, tmp_path, ("json",))
    assert [path.name for path in tmp_path.iterdir()] == ["night1.json"]
    assert (tmp_path / "night1.json").read_text() == "before"


@pytest.mark.parametrize(("file", "name"), [("../../x.edf", "x.json"), ("a\\b.set", "b.json"), ("n.1.edf", "n.1.json")])
def test_files_stay_in_the_directory(file: str, name: str, tmp_path: Path) -> None:
    document = make_document(1)
    document["recording"]["file"] = file
    assert write_report(document, make_recording(1), None, tmp_path, ("json",)) == {"json": tmp_path / name}


def test_what_cannot_be_reported_is_refused(tmp_path: Path) -> None:
    recording, maps = make_recording(), make_maps(2)
    with pytest.raises(ValueError, match="got format 'pdf'"):
        write_report(make_document(), recording, None, tmp_path, ("pdf",))
    with pytest.raises(ValueError, match="got schema 'other/1'"):
        write_report(make_document() | {"schema": "other/1"}, recording, None, tmp_path)
    with pytest.raises(ValueError, match=r"got topomaps uint8 \(2, 224, 224, 3\), expected uint8 \(3,"):
        write_report(make_document(), recording, maps, tmp_path)
    document = make_document()
    document["recording"]["file"] = ".."
    with pytest.raises(ValueError, match="expected a file name"):
        write_report(document, recording, None, tmp_path)
    assert not list(tmp_path.iterdir())
