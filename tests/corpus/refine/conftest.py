"""A teacher for tests: a real HTTP server on loopback that answers what it is told to, and simulated findings."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from corpus.describe import write_narrative
from corpus.findings import Findings, find_recording
from corpus.refine import build_messages, client
from corpus.simulate import random_preset, simulate

Answered = tuple[int, dict[str, str], bytes]  # status, headers, content
Reply = Callable[["FakeTeacher", int, dict[str, Any]], Answered]


def completion(text: str | None) -> bytes:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}).encode()


class FakeTeacher(ThreadingHTTPServer):
    """Answers with the texts it was given; `reply` may do something else to request number n (from 0)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, texts: dict[str, str], reply: Reply | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.texts, self.reply = texts, reply
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.active = self.most_active = 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def asked(self) -> list[str]:
        return [json.loads(body)["messages"][1]["content"] for body in self.bodies]

    def good(self, body: dict[str, Any]) -> Answered:
        """The text of the segment that the request is about."""
        return 200, {}, completion(self.texts[body["messages"][1]["content"]])

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *args: object) -> None:
        """A client that hung up is what some of these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeTeacher

    def do_POST(self) -> None:
        server = self.server
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with server.lock:
            n = len(server.bodies)
            server.bodies.append(raw)
            server.headers.append(dict(self.headers))
            server.times.append(time.monotonic())
            server.active += 1
            server.most_active = max(server.most_active, server.active)
        try:
            status, headers, content = self.answer(n, json.loads(raw))
        finally:
            with server.lock:
                server.active -= 1
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        pieces = [content[i : i + 1] for i in range(len(content))] if "X-Trickle" in headers else [content]
        for piece in pieces:
            self.wfile.write(piece)
            if len(pieces) > 1 and server.closing.wait(0.1):
                return

    def answer(self, n: int, body: dict[str, Any]) -> Answered:
        if self.path != "/v1/chat/completions":
            return 404, {}, b'{"error": "no such route"}'
        if self.server.reply is not None:
            return self.server.reply(self.server, n, body)
        return self.server.good(body)

    def log_message(self, *args: object) -> None:
        pass


def texts_of(findings: list[Findings]) -> dict[str, str]:
    return {build_messages(item)[1]["content"]: write_narrative(item, 7) for item in findings}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeTeacher]]:
    """Start a server that has a narrative for each of the findings (the writer's, seed 7)."""
    started: list[FakeTeacher] = []

    def start(findings: list[Findings], reply: Reply | None = None, port: int = 0) -> FakeTeacher:
        started.append(FakeTeacher(texts_of(findings), reply, port))
        return started[-1]

    yield start
    for server in started:
        if not server.closing.is_set():
            server.close()


@pytest.fixture(scope="session")
def found() -> list[Findings]:
    return find_recording(simulate(random_preset(0, duration_s=60.0), 0).recording)
