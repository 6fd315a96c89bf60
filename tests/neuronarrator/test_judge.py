"""Blinding, a judge on loopback, rating sheets, agreement."""

import csv
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.recording import Recording, RecordingError
from corpus.refine import Teacher, TeacherError, client
from neuronarrator.evaluate.blinding import QUESTIONS, Comparison, blind, comparisons_of
from neuronarrator.evaluate.judge import judge, judge_messages, parse_verdict
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.predictions import Predictions
from neuronarrator.evaluate.ratings import export_sheet, read_key, read_sheet, score_sheets
from neuronarrator.evaluate.sources import Item
from neuronarrator.metrics.agreement import cohen_kappa, fleiss_kappa

REFERENCE = "Alpha is the dominant band. The frontal region carries the most energy. No artifact is detected."
WRONG = REFERENCE.replace("Alpha", "Delta")
YES = dict.fromkeys(QUESTIONS, 1)


def comparison(system: str, number: int, text: str) -> Comparison:
    return Comparison(system, "workload", f"r{number}", 10.0 * number, f"s{number % 3}", text, REFERENCE)


COMPARISONS = [comparison("good", i, f"{REFERENCE} ") for i in range(6)] + [
    comparison("bad", i, WRONG) for i in range(6)
]


class Judge(ThreadingHTTPServer):
    """Answers with what a function makes of the two descriptions."""

    daemon_threads = True

    def __init__(self, answer: Callable[[str, str], tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.bodies = answer, []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        first, second = body["messages"][1]["content"].removeprefix("Description 1:\n").split("\n\nDescription 2:\n")
        status, text = self.server.answer(first, second)
        content = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


def fair(first: str, second: str) -> tuple[int, str]:
    return 200, json.dumps({**YES, "dominant_band": int(("Alpha" in first) == ("Alpha" in second))})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Judge]]:
    monkeypatch.setattr(client, "BACKOFF_S", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started: list[Judge] = []

    def start(answer: Callable[[str, str], tuple[int, str]] = fair) -> Judge:
        started.append(Judge(answer))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def ask(server: Judge, cache: Path, **more: Any) -> dict[str, Any]:
    return judge(COMPARISONS, Teacher(server.url, "m", temperature=0.0, **more), cache, seed=1, resamples=50)


# Blinding


def test_the_order_is_seeded_balanced_and_hides_who_wrote_what() -> None:
    shown = blind(COMPARISONS, 1)
    assert shown == blind(COMPARISONS, 1) != blind(COMPARISONS, 2)
    assert sorted(item.comparison.recording + item.comparison.system for item in shown) == sorted(
        c.recording + c.system for c in COMPARISONS
    )
    assert sum(item.swapped for item in shown) == 6
    for item in shown:
        assert item.texts[item.swapped] == item.comparison.text
        assert item.texts[not item.swapped] == REFERENCE
        sent = json.dumps(judge_messages(item))
        assert not any(name in sent for name in ("good", "bad", "workload", "r0", "s1", "candidate", "eference"))


def test_systems_are_compared_on_the_same_drawn_segments(simulated: Recording, tmp_path: Path) -> None:
    items = [Item("workload", "a", lambda: Recorded("one", simulated))]
    systems = {}
    for name in ("x", "y"):
        lines = [{"dataset": "workload", "recording": "a", "start_s": 10.0 * i, "text": f"{name}{i}"} for i in range(6)]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        systems[name] = Predictions(tmp_path / name)
    found = comparisons_of(systems, items, seed=0, limit=2).comparisons  # type: ignore[arg-type]
    assert len(found) == 4
    for one, two in zip(found[::2], found[1::2], strict=True):
        assert (one.system, two.system) == ("x", "y")
        assert one.text[1:] == two.text[1:] == f"{one.start_s / 10:.0f}"
        assert one.reference == two.reference != ""
    assert len(comparisons_of(systems, items).comparisons) == 12  # type: ignore[arg-type]


def test_what_a_system_lacks_is_counted_and_one_without_texts_is_refused(simulated: Recording, tmp_path: Path) -> None:
    def bad() -> Recorded:
        raise RecordingError("no EEG")

    items = [Item("workload", "a", lambda: Recorded("one", simulated)), Item("workload", "b", bad)]
    systems: dict[str, Any] = {}
    for name, count in (("whole", 6), ("half", 3)):
        lines = [{"dataset": "workload", "recording": "a", "start_s": 10.0 * i, "text": ""} for i in range(count)]
        (tmp_path / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        systems[name] = Predictions(tmp_path / name)
    found = comparisons_of(systems, items)
    assert found.n_missing == {"whole": 0, "half": 3}
    assert found.skipped == {"b": "no EEG"}
    (tmp_path / "other").write_text('{"dataset": "recordings", "recording": "a", "start_s": 0, "text": ""}\n')
    with pytest.raises(ValueError, match="got 'other' without any of the 6 segments"):
        comparisons_of({**systems, "other": Predictions(tmp_path / "other")}, items)


# The judge


def test_verdicts_are_put_back_to_their_systems_and_agree_with_the_rules(
    serve: Callable[..., Judge], tmp_path: Path
) -> None:
    server = serve()
    found = ask(server, tmp_path)
    good, bad = found["systems"]["good"], found["systems"]["bad"]
    assert (good["sum"]["mean"], bad["sum"]["mean"], bad["dominant_band"]["mean"]) == (5.0, 4.0, 0.0)
    assert good["rules"]["sum"]["mean"] == 5.0
    assert bad["rules"]["dominant_band"] == {"mean": 0.0, "sd": 0.0, "ci": [0.0, 0.0]}
    assert (good["n_judged"], good["n_failed"]) == (6, 0)
    assert found["agreement"]["dominant_band"] == {"share": 1.0, "kappa": 1.0}
    assert found["agreement"]["event"]["kappa"] is None  # always the same
    assert {body["temperature"] for body in server.bodies} == {0.0}
    assert len(server.bodies) == 4  # equal questions are asked once
    ask(server, tmp_path)
    assert len(server.bodies) == 4  # and never again


def test_a_judge_that_prefers_a_place_is_seen(serve: Callable[..., Judge], tmp_path: Path) -> None:
    def first_wins(first: str, second: str) -> tuple[int, str]:
        return 200, json.dumps(YES if first == REFERENCE else dict.fromkeys(QUESTIONS, 0))

    assert ask(serve(first_wins), tmp_path)["by_order"] == {"reference second": 0.0, "reference first": 5.0}


def test_answers_that_are_no_verdict_fail_and_failed_requests_are_tried_again(
    serve: Callable[..., Judge], tmp_path: Path
) -> None:
    tries = []

    def moody(first: str, second: str) -> tuple[int, str]:
        tries.append(first)
        if "Delta" in first + second:
            return 200, "They seem similar."
        return (503, "") if len(tries) < 3 else fair(first, second)

    found = ask(serve(moody), tmp_path, concurrency=1)
    assert (found["systems"]["bad"]["n_judged"], found["systems"]["bad"]["n_failed"]) == (0, 6)
    assert found["systems"]["good"]["n_judged"] == 6
    assert "dominant_band" not in found["systems"]["bad"]


def test_a_judge_that_cannot_be_used_ends_the_run(serve: Callable[..., Judge], tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="set the key"):
        ask(serve(lambda *_: (401, "")), tmp_path)


def test_a_judge_that_never_answers_is_given_up(serve: Callable[..., Judge], tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="no answer between them"):
        ask(serve(lambda *_: (400, "")), tmp_path)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (json.dumps(YES), YES),
        (f"<think>{{1}}</think> ```json\n{json.dumps(YES)}\n```", YES),
        (json.dumps({**YES, "event": True}), YES),
        (json.dumps({**YES, "event": 2}), None),
        (json.dumps({**YES, "more": 1}), None),
        ('{"event": 1}', None),
        ("{event: 1}", None),
        ("", None),
    ],
)
def test_verdicts_are_read_strictly(answer: str, expected: dict[str, int] | None) -> None:
    assert parse_verdict(answer) == expected


# Sheets


def fill(sheet: Path, out: Path, verdict: Callable[[dict[str, str]], dict[str, Any]]) -> Path:
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    with out.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | verdict(row) for row in rows)
    return out


def honest(row: dict[str, str]) -> dict[str, Any]:
    return {**YES, "dominant_band": int("Delta" not in row["description_1"] + row["description_2"])}


def test_sheets_come_back_with_what_they_hid(tmp_path: Path) -> None:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.csv"
    export_sheet(COMPARISONS, sheet, key, seed=3)
    shown = sheet.read_text("utf-8-sig")
    assert not any(word in shown for word in ("good", "bad", "workload", "swapped"))
    assert read_key(key) == {item.number: item for item in blind(COMPARISONS, 3)}
    one = fill(sheet, tmp_path / "one.csv", honest)
    two = fill(sheet, tmp_path / "two.csv", lambda row: honest(row) if row["item"] != "0" else {})
    harsh = fill(sheet, tmp_path / "harsh.csv", lambda row: dict.fromkeys(QUESTIONS, 0))
    found = score_sheets(key, [one, two])
    assert found["systems"]["bad"]["dominant_band"] == 0
    assert found["systems"]["good"]["sum"] == 5
    assert found["n_items"] == {"one.csv": 12, "two.csv": 11}
    assert found["cohen"]["one.csv, two.csv"]["dominant_band"] == found["fleiss"]["dominant_band"] == 1.0
    assert found["rules"]["one.csv"]["dominant_band"] == {"share": 1.0, "kappa": 1.0}
    apart = score_sheets(key, [one, harsh])
    assert apart["cohen"]["one.csv, harsh.csv"]["dominant_band"] == 0.0
    assert apart["fleiss"]["event"] == -1.0  # on every item one says yes and one no
    assert score_sheets(key, [one])["fleiss"]["event"] is None


def test_sheets_of_one_name_in_two_folders_are_two_experts(tmp_path: Path) -> None:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.csv"
    export_sheet(COMPARISONS, sheet, key, seed=3)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    one = fill(sheet, tmp_path / "one" / "sheet.csv", honest)
    two = fill(sheet, tmp_path / "two" / "sheet.csv", lambda row: honest(row) if row["item"] != "0" else {})
    three = fill(sheet, tmp_path / "three.csv", honest)
    found = score_sheets(key, [one, two, three])
    assert found["n_items"] == {str(one): 12, str(two): 11, "three.csv": 12}


def test_sheets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.csv"
    export_sheet(COMPARISONS, sheet, key)
    with pytest.raises(ValueError, match="which exists"):
        export_sheet(COMPARISONS, sheet, key)
    with pytest.raises(ValueError, match="without a rating"):
        score_sheets(key, [sheet])
    hidden = read_key(key)
    for change, message in (
        ({"description_1": "other"}, "give its own key"),
        ({"item": "99"}, "give its own key"),
        ({"event": "yes"}, "expected 1, 0 or nothing"),
    ):
        wrong = fill(sheet, tmp_path / "wrong.csv", lambda row, change=change: change)  # type: ignore[misc]
        with pytest.raises(ValueError, match=message):
            read_sheet(wrong, hidden)
    with pytest.raises(ValueError, match="without column"):
        read_sheet(key, hidden)


# Agreement


def test_fleiss_is_that_of_a_published_table_and_of_one_worked_by_hand() -> None:
    """Fourteen raters, ten items, five categories: 0.210 (Fleiss 1971). Two raters: (1/2 - 1/2) / (1 - 1/2)."""
    table = (
        "0 0 0 0 14, 0 2 6 4 2, 0 0 3 5 6, 0 3 9 2 0, 2 2 8 1 1, 7 7 0 0 0, 3 2 6 3 0, 2 5 3 2 2, 6 5 2 1 0, 0 2 2 3 7"
    )
    counts = np.array([[int(n) for n in row.split()] for row in table.split(",")])
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)
    assert fleiss_kappa(np.array([[2, 0], [0, 2], [1, 1], [1, 1]])) == pytest.approx(0.0)
    assert fleiss_kappa(np.array([[2, 0], [2, 0]])) is None
    for bad in ([[1, 0]], [[2, 0], [1, 2]]):
        with pytest.raises(ValueError, match="as many on each, two at least"):
            fleiss_kappa(np.array(bad))


def test_cohen_is_worked_by_hand() -> None:
    """Agreement 3/4, by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2."""
    assert cohen_kappa([1, 1, 0, 0], [1, 1, 1, 0]) == pytest.approx(0.5)
    assert cohen_kappa([1, 1], [1, 1]) is None


def test_a_comparison_knows_its_five_axes() -> None:
    assert COMPARISONS[0].rules == YES
    assert replace(COMPARISONS[0], text=WRONG).rules == {**YES, "dominant_band": 0}
