"""`refine` from findings to texts: order, cost, resume, and what leaves the machine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.claims import facts_of
from corpus.describe import write_narrative
from corpus.findings import Findings, Labels, find_recording
from corpus.recording import Annotation, Provenance, Subject
from corpus.refine import Teacher, build_messages, refine
from corpus.simulate import random_preset, simulate

ROOT = Path(__file__).resolve().parents[3]
Serve = Callable[..., Any]  # the fixture of conftest


def question_of(findings: Findings) -> str:
    return build_messages(findings)[1]["content"]


def teacher(server: Any, **changes: Any) -> Teacher:
    return replace(Teacher(server.url, "teacher-1", concurrency=3, timeout_s=5, retries=2), **changes)


def test_good_answers_come_back_in_order_with_their_cost(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    def slower_first(server: Any, n: int, body: dict[str, Any]) -> Any:
        time.sleep(0.15 - 0.03 * min(n, 5))
        return server.good(body)

    server, progress = serve(found, slower_first), []
    asked = teacher(server, price_in=2.0, price_out=8.0)
    result = refine(found, asked, tmp_path, on_progress=lambda done, total: progress.append((done, total)))
    assert result.texts == tuple(write_narrative(item, 7) for item in found)
    assert result.sources == ("teacher",) * 6
    assert progress == [(done, 6) for done in range(7)]
    assert server.most_active == 3
    summary = result.summary
    assert (summary.segments, summary.accepted, summary.requests, summary.cached) == (6, 6, 6, 0)
    assert (summary.prompt_tokens, summary.completion_tokens) == (6000, 600)
    assert summary.cost == pytest.approx((6000 * 2 + 600 * 8) / 1e6)
    assert summary.rejection_rate == summary.repair_rate == 0
    body = json.loads(server.bodies[0])
    assert set(body) == {"model", "messages", "temperature", "max_tokens"}
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("teacher-1", 0.3, 400)


def test_nothing_is_asked_twice(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    server = serve(found)
    once = refine(found, teacher(server, price_in=1.0), tmp_path)
    again = refine([*found, *found], teacher(server, price_in=1.0), tmp_path)
    assert again.texts == once.texts * 2
    assert (again.summary.requests, again.summary.cached, again.summary.cost) == (0, 12, 0)
    assert again.summary.cached_cost == once.summary.cost == pytest.approx(6000 / 1e6)
    assert len(server.bodies) == 6
    refine([found[0], found[0]], teacher(server, temperature=0.7), tmp_path)  # another question, of two segments
    assert len(server.bodies) == 7


def test_unsupported_sentences_are_repaired_and_counted(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    server = serve(found)
    texts = list(server.texts.values())
    wrong = "There is a seizure."
    server.texts[question_of(found[1])] = f"{wrong} {texts[1]}"
    server.texts[question_of(found[4])] = "The patient slept well."
    result = refine(found, teacher(server), tmp_path)
    assert result.sources == ("teacher", "repaired", "teacher", "teacher", "offline", "teacher")
    assert result.texts[1] == texts[1]
    assert facts_of(result.texts[4]) == found[4].facts
    summary = result.summary
    assert (summary.accepted, summary.repaired, summary.rejected) == (4, 1, 1)
    assert summary.reasons == {"beyond the findings": 2, "too few facts": 1}
    assert summary.repair_rate == summary.rejection_rate == pytest.approx(1 / 6)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() + str(path).encode() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("visibility", "shown", "hidden"),
    [
        ("none", [], ["year-old", "female", "arithmetic"]),
        ("demographics", ["41-year-old female"], ["arithmetic"]),
        ("full", ["41-year-old female", "mental arithmetic"], []),
    ],
)
def test_identity_and_hidden_labels_leave_in_no_request(
    visibility: Any, shown: list[str], hidden: list[str], serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-planted")
    recording = simulate(random_preset(0, duration_s=60), 0).recording
    planted = replace(
        recording,
        annotations=(Annotation(1.0, 1.0, "Doe, Jane woke up"),),
        provenance=Provenance("Jane_Doe_19840229.edf", "EDF", "ab" * 32, 200.0),
        subject=Subject(41, "F"),
    )
    found = find_recording(planted, Labels(41, "F", "mental arithmetic"))
    server = serve(found)
    server.texts = {build_messages(item, visibility)[1]["content"]: write_narrative(item) for item in found}
    result = refine(found, teacher(server, api_key_env="TEACHER_KEY"), tmp_path, visibility)
    sent = b"\n".join(server.bodies).decode("unicode_escape")
    for word in ("Jane", "Doe", "19840229", "abab", "sk-planted", *hidden):
        assert word not in sent
        assert word not in "\n".join(result.texts)
    for text in shown:
        assert sent.count(text) == len(found)
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-planted"}
    assert b"sk-planted" not in everything_in(tmp_path)
    assert set(result.sources) == ({"repaired"} if hidden else {"teacher"})  # the fake teacher told all labels


def test_no_key_is_sent_where_none_is_set(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    server = serve(found)
    refine(found[:1], teacher(server), tmp_path)
    assert "Authorization" not in server.headers[0]


def test_it_runs_where_a_loop_already_runs(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    async def cell() -> tuple[str, ...]:
        return refine(found, teacher(serve(found)), tmp_path).sources

    assert asyncio.run(cell()) == ("teacher",) * 6


def test_no_segments_need_no_server(tmp_path: Path) -> None:
    result = refine([], Teacher("http://127.0.0.1:9/v1", "m"), tmp_path)
    assert (result.texts, result.sources, result.summary.rejection_rate) == ((), (), 0)


def test_a_missing_package_names_its_extra(
    found: list[Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ImportError, match=r"pip install 'neuronarrator\[teacher\]'"):
        refine(found, Teacher("http://127.0.0.1:9/v1", "m"), tmp_path)


def test_an_error_of_the_callback_is_the_callers_own(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyError("enough")

    server = serve(found)
    with pytest.raises(KeyError, match="enough"):
        refine(found, teacher(server, concurrency=1), tmp_path, on_progress=stop)
    assert refine(found, teacher(server), tmp_path).summary.cached == 3


@pytest.mark.parametrize(
    "wrong", [{"base_url": "localhost:8000"}, {"concurrency": 0}, {"retries": -1}, {"timeout_s": 0}, {"price_in": -1}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"got {next(iter(wrong))} .* correct it"):
        Teacher(**{"base_url": "http://127.0.0.1/v1", "model": "m", **wrong})


KILLED = """
import sys
from corpus.findings import find_recording
from corpus.refine import Teacher, refine
from corpus.simulate import random_preset, simulate
found = find_recording(simulate(random_preset(1, duration_s=200.0), 1).recording)
refine(found, Teacher(sys.argv[1], "teacher-1", concurrency=2), sys.argv[2])
"""


def test_killed_in_the_middle_it_goes_on_where_it_stopped(serve: Serve, tmp_path: Path) -> None:
    def slow(server: Any, n: int, body: dict[str, Any]) -> Any:
        time.sleep(0.05)
        return server.good(body)

    found = find_recording(simulate(random_preset(1, duration_s=200.0), 1).recording)
    server = serve(found, slow)
    command = [sys.executable, "-c", KILLED, server.url, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "NO_PROXY": "127.0.0.1"})
    deadline = time.monotonic() + 60
    while len(server.bodies) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = set(server.asked)
    stored = len(list(tmp_path.rglob("*.json")))
    assert 4 <= stored < 20
    server.bodies.clear()
    result = refine(found, Teacher(server.url, "teacher-1", concurrency=2), tmp_path)
    assert result.texts == tuple(write_narrative(item, 7) for item in found)
    assert result.summary.cached == stored
    assert len(server.asked) == len(set(server.asked)) == 20 - stored
    assert len(before & set(server.asked)) <= 2  # only what was under way is asked again
