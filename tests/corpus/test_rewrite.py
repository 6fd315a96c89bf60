"""A corpus rewritten by a teacher that runs on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from corpus.build import build_corpus
from corpus.claims import facts_of
from corpus.refine import Teacher
from corpus.rewrite import findings_of, refine_corpus
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.store import CorpusReader, verify


class Echo(BaseHTTPRequestHandler):
    """Answers the first question with the reference text, every other one with nonsense."""

    answers: dict[str, str]
    asked: int

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        template = body["messages"][-1]["content"]
        type(self).asked += 1
        text = next((t for key, t in self.answers.items() if key in template), "Nothing to see here.")
        reply = {
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        }
        blob = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(blob)))
        self.end_headers()
        self.wfile.write(blob)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Echo.answers, Echo.asked = {}, 0
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/v1"
    httpd.shutdown()


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_edf(simulate(SimulationPreset(duration_s=32.0), seed=1).recording, tmp_path / "in" / "one.edf")
    build_corpus([("folder", tmp_path / "in")], tmp_path / "corpus")
    return tmp_path / "corpus"


def test_good_answers_replace_narratives_bad_ones_do_not_and_nothing_is_asked_twice(
    corpus: Path, server: str, tmp_path: Path
) -> None:
    reader = CorpusReader(corpus)
    rows = [reader[i].row for i in range(3)]
    power = f"{rows[0].features.channel_power_uv2.max():.4f}"
    Echo.answers = {power: rows[0].text.narrative}
    teacher = Teacher(server, "parrot", retries=0)
    manifest = refine_corpus(corpus, tmp_path / "out", teacher)
    told = manifest["config"]["refine"]["datasets"]["folder"]
    assert (told["segments"], told["accepted"], told["rejected"], told["requests"]) == (3, 1, 2, 3)
    assert verify(tmp_path / "out") == []
    new = CorpusReader(tmp_path / "out")
    assert [new[i].row.text.source for i in range(3)] == ["parrot", "writer", "writer"]
    assert all(facts_of(new[i].row.text.narrative) == set(new[i].row.facts) for i in range(3))
    assert (new[1].signal_uv == reader[1].signal_uv).all()
    refine_corpus(corpus, tmp_path / "out", teacher)
    assert Echo.asked == 3


def test_a_corpus_is_not_written_onto_itself(corpus: Path) -> None:
    with pytest.raises(ValueError, match="got one folder for both"):
        refine_corpus(corpus, corpus, Teacher("http://127.0.0.1:1/v1", "m"))


def test_stored_rows_give_the_same_facts_back(corpus: Path) -> None:
    row = CorpusReader(corpus)[2].row
    assert findings_of(row).facts == set(row.facts)
