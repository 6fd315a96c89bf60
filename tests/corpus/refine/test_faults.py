"""`refine` against servers that answer garbage, refuse, fail, hang or are not there."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from corpus.claims import facts_of
from corpus.findings import Findings, find_recording
from corpus.refine import Teacher, TeacherError, build_messages, client, refine
from corpus.refine.client import parse_retry_after
from corpus.simulate import random_preset, simulate

Serve = Callable[..., Any]  # the fixture of conftest
Answered = tuple[int, dict[str, str], bytes]  # status, headers, content
Reply = Callable[[Any, int, dict[str, Any]], Answered]


def completion(text: str | None) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def always(status: int, content: bytes = b"", **headers: str) -> Reply:
    return lambda server, n, body: (status, headers, content)


def first(times: int, other: Reply) -> Reply:
    """`other` to the first requests, good answers from then on."""
    return lambda server, n, body: other(server, n, body) if n < times else server.good(body)


def for_one(content: str, other: Reply) -> Reply:
    """`other` to the requests for one segment, good answers to the rest."""
    return lambda server, n, body: (
        other(server, n, body) if content == body["messages"][1]["content"] else server.good(body)
    )


def hang(server: Any, n: int, body: dict[str, Any]) -> Answered:
    server.closing.wait(20)
    return 200, {}, completion("")


def question_of(findings: Findings) -> str:
    return build_messages(findings)[1]["content"]


def teacher(server: Any, **changes: Any) -> Teacher:
    return replace(Teacher(server.url, "teacher-1", concurrency=3, timeout_s=5, retries=2), **changes)


GARBAGE = {
    "no JSON": b"<html>busy</html>",
    "cut JSON": completion("Delta dominates.")[:-20],
    "no bytes": b"",
    "no UTF-8": b"\xff\xfe\xfa",
    "empty choices": b'{"choices": []}',
    "no choices": b'{"error": null}',
    "a list": b"[1, 2]",
    "null": b"null",
    "a text of numbers": b'{"choices": [{"message": {"content": 12}}]}',
    "deep nesting": b"[" * 100_000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_for_one_segment_costs_only_that_segment(
    content: bytes, serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    server = serve(found, for_one(question_of(found[2]), always(200, content)))
    result = refine(found, teacher(server), tmp_path)
    assert result.sources == ("teacher", "teacher", "offline", "teacher", "teacher", "teacher")
    assert facts_of(result.texts[2]) == found[2].facts
    assert result.summary.reasons == {"no answer": 1}
    assert len(server.bodies) == 5 + 3  # it was asked again twice


@pytest.mark.parametrize("text", [None, "", "\ud800", "活动", "no " * 5000, "{}"])
def test_a_useless_text_is_replaced_and_not_asked_for_again(
    text: str | None, serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    server = serve(found, for_one(question_of(found[2]), always(200, completion(text))))
    for requests in (6, 0):
        result = refine(found, teacher(server), tmp_path)
        assert result.sources[2] == "offline"
        assert (result.summary.rejected, result.summary.requests) == (1, requests)


def test_odd_usage_counts_nothing(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    def odd(server: Any, n: int, body: dict[str, Any]) -> Answered:
        answer = json.loads(server.good(body)[2])
        answer["usage"] = [None, "many", {"prompt_tokens": "9", "completion_tokens": None}][n % 3]
        return 200, {}, json.dumps(answer).encode()

    summary = refine(found, teacher(serve(found, odd), price_in=1.0), tmp_path).summary
    assert (summary.accepted, summary.prompt_tokens, summary.cost) == (6, 0, 0)


def test_retry_after_is_honoured_by_all_workers(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    def busy(server: Any, n: int, body: dict[str, Any]) -> Answered:
        if n == 0:
            return 429, {"Retry-After": "1"}, b"slow down"
        time.sleep(0.2 if n == 1 else 0)  # it was sent with the first, and is answered after the refusal is known
        return server.good(body)

    server = serve(found, busy)
    result = refine(found, teacher(server, concurrency=2), tmp_path)
    assert result.sources == ("teacher",) * 6
    assert min(server.times[2:]) - server.times[0] >= 1.0
    assert server.asked.count(server.asked[0]) == 2


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert parse_retry_after("3") == 3
    assert parse_retry_after("-3") == 0
    assert parse_retry_after(formatdate(time.time() + 30, usegmt=True)) == pytest.approx(30, abs=2)
    assert [parse_retry_after(value) for value in ("", "soon", "nan")] == [None] * 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_errors_that_pass_are_tried_again(status: int, serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    server = serve(found, first(4, always(status)))
    result = refine(found, teacher(server, concurrency=2), tmp_path)
    assert result.sources == ("teacher",) * 6
    assert result.summary.requests == len(server.bodies) == 10


def test_waits_grow_between_tries(
    serve: Serve, found: list[Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BACKOFF_S", 0.1)
    server = serve(found[:1], first(3, always(500)))
    refine(found[:1], teacher(server, retries=3), tmp_path)
    waits = [later - earlier for earlier, later in pairwise(server.times)]
    assert all(wait >= 0.05 * 2**attempt for attempt, wait in enumerate(waits))
    assert len(waits) == 3


def trickle(server: Any, n: int, body: dict[str, Any]) -> Answered:
    return 200, {"X-Trickle": "yes"}, completion("Delta dominates.")  # more than ten seconds of single bytes


@pytest.mark.parametrize("reply", [hang, trickle], ids=["silent", "trickling"])
def test_a_hanging_request_is_given_up_and_the_others_go_on(
    reply: Reply, serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    server = serve(found, for_one(question_of(found[0]), reply))
    begin = time.monotonic()
    result = refine(found, teacher(server, timeout_s=1.0, retries=1), tmp_path)
    assert time.monotonic() - begin < 15
    assert result.sources == ("offline", *["teacher"] * 5)
    assert server.asked.count(question_of(found[0])) == 2


def test_an_endless_response_is_cut(
    serve: Serve, found: list[Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 50_000)
    server = serve(found, for_one(question_of(found[0]), always(200, b"x" * 2_000_000)))
    assert refine(found, teacher(server), tmp_path).sources == ("offline", *["teacher"] * 5)


def test_no_server_is_one_clear_error_and_what_was_finished_stays(
    serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    server = serve(found)
    refine(found[:4], teacher(server), tmp_path)
    server.close()
    with pytest.raises(TeacherError, match=r"no connection \(.*\) from .* in 3 tries, .*start it or correct") as error:
        refine(found, teacher(server), tmp_path)
    assert "\n" not in str(error.value)
    again = serve(found, port=server.server_port)
    result = refine(found, teacher(again), tmp_path)
    assert result.sources == ("teacher",) * 6
    assert sorted(again.asked) == sorted(map(question_of, found[4:]))


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "TEACHER_KEY"),
        (403, "TEACHER_KEY"),
        (404, "correct base_url or model"),
        (302, "correct base_url or model"),
    ],
)
def test_errors_that_do_not_pass_end_the_run(
    status: int, advice: str, serve: Serve, found: list[Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-planted")
    server = serve(found, always(status, b"key sk-planted is\nnot known", Location="http://127.0.0.1:1/"))
    with pytest.raises(TeacherError, match=advice) as error:
        refine(found, teacher(server, concurrency=1, api_key_env="TEACHER_KEY"), tmp_path)
    assert len(server.bodies) == 1
    assert "sk-planted" not in str(error.value)
    assert f"HTTP {status} (key [key] is not known)" in str(error.value)


@pytest.mark.parametrize(
    ("reply", "message", "requests"),
    [
        (always(400, b"max_tokens is not supported"), r"HTTP 400 \(max_tokens is not supported\).* 5 segments", 5),
        (always(500), "HTTP 500 .* 5 segments", 15),
        (always(200, b"<html>"), "no chat completion .* 5 segments", 15),
        (always(429), "HTTP 429 .* in 3 tries, expected room in its quota", 3),
        (always(429, **{"Retry-After": "86400"}), "HTTP 429 .* in 1 tries, expected room in its quota", 1),
    ],
)
def test_an_endpoint_that_answers_nobody_ends_the_run(
    reply: Reply, message: str, requests: int, serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    server = serve(found, reply)
    with pytest.raises(TeacherError, match=message):
        refine(found, teacher(server, concurrency=1), tmp_path)
    assert len(server.bodies) == requests


def test_fewer_segments_than_the_limit_all_failing_is_an_error_too(
    serve: Serve, found: list[Findings], tmp_path: Path
) -> None:
    with pytest.raises(TeacherError, match="2 segments"):
        refine(found[:2], teacher(serve(found, always(500))), tmp_path)


def test_a_refused_segment_is_written_offline(serve: Serve, found: list[Findings], tmp_path: Path) -> None:
    server = serve(found, for_one(question_of(found[3]), always(400, b"content filter")))
    assert refine(found, teacher(server), tmp_path).sources[3] == "offline"
    assert len(server.bodies) == 6


def test_many_refused_segments_among_answered_ones_do_not_end_the_run(serve: Serve, tmp_path: Path) -> None:
    found = find_recording(simulate(random_preset(1, duration_s=140.0), 1).recording)
    refused = {question_of(item) for item in found[1::2]}

    def every_second(server: Any, n: int, body: dict[str, Any]) -> Answered:
        return (400, {}, b"") if body["messages"][1]["content"] in refused else server.good(body)

    result = refine(found, teacher(serve(found, every_second), concurrency=1), tmp_path)
    assert result.sources == ("teacher", "offline") * 7
