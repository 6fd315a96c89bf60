"""Answers read, scored and judged; the commands."""

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from corpus.bench import Bench, BenchItem, Choice, Question, make_bench, write_bench
from corpus.dataset import Batch
from corpus.recording import Recording
from corpus.refine import Teacher
from corpus.simulate import TEN_TWENTY
from corpus.waveforms import Waveform
from encoders.waveform import TINY_DETECTOR, Detections, WaveformDetector
from neuronarrator.commands.bench import add_bench_command, add_evaluate_bench
from neuronarrator.detection.marks import find_marks
from neuronarrator.detection.task import LEAST_SCORE
from neuronarrator.evaluate.bench import evaluate_bench, format_bench, rouge_1, score_boxes, score_choices
from neuronarrator.evaluate.bench_answers import (
    Answers,
    answers_of,
    chance,
    marks_of,
    no_signal,
    oracle,
    parse_choice,
    read_answers,
    stated_option,
)
from neuronarrator.evaluate.bench_judge import grade_bench, parse_grades
from neuronarrator.language.generation import Generation
from neuronarrator.narrator import Narrator

OPTIONS = ("Well-formed sleep spindles.", "A K-complex.", "Spikes.", "A posterior dominant alpha rhythm.")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"), n_items=8, seed=0)


# Letters


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("**B.** It has two phases.", "B"),
        ("b) no capital, no letter", None),
        ("(C) Spikes", "C"),
        ("The answer is D, as posterior rhythms go.", "D"),
        ("Answer: A", "A"),
        ("Option A is right.", "A"),
        ("The answer is not clear.", None),
        ("A posterior dominant alpha rhythm is seen.", "D"),  # the article is no letter
        ("I see spikes.", "C"),
        ("I see spikes and a K-complex.", None),
        ("A) Sleep\nB) Spikes", None),
        ("A) Sleep\nB) Spikes\nThe answer is B.", "B"),
        ("Either option A or option B.", None),
        ("E", None),
        ("", None),
        ("Nothing of that kind.", None),
    ],
)
def test_a_letter_is_read_or_the_answer_is_invalid(text: str, letter: str | None) -> None:
    assert parse_choice(text, OPTIONS) == letter


def test_letters_beyond_the_options_are_none_and_longer_options_win() -> None:
    assert parse_choice("C", ("Yes", "No")) is None
    assert parse_choice("Yes, there is.", ("Yes", "No")) == "A"
    assert parse_choice("Slow spikes.", ("Spikes", "Slow spikes", "x", "y")) == "B"


def test_a_narrative_chooses_the_only_option_that_it_states() -> None:
    options = ["Delta activity dominates the spectrum.", "Alpha activity dominates the spectrum.", "Sleep spindles."]
    told = "Alpha is the dominant band. The segment contains eye blinks."
    assert stated_option(told, options) == "B"
    assert stated_option("Nothing is known.", options) is None
    assert stated_option(told, [*options, "The segment contains eye blinks."]) is None  # two


# Scores, by hand


def items_of(*answers: str) -> list[BenchItem]:
    """One choice an item; two items a person."""
    return [
        BenchItem(f"p{i // 2}", "d", "experts", category="artifact" if i % 2 else "sleep", item_id=str(i),
                  choice=Choice("?", OPTIONS, answer, votes=(("A", 3), ("B", 1), ("C", 0), ("D", 0)), n_votes=5))
        for i, answer in enumerate(answers)
    ]  # fmt: skip


def test_accuracy_counts_what_is_invalid_as_wrong() -> None:
    items = items_of("A", "A", "A", "A")
    said = Answers("m", {("0", "choice"): "A", ("1", "choice"): "B", ("2", "choice"): "perhaps"})
    scores = score_choices(items, said, 200, 0)
    assert scores is not None
    assert (scores["accuracy"], scores["chance"], scores["invalid_rate"]) == (0.25, 0.25, 0.5)
    assert scores["wilson"] == pytest.approx([0.0456, 0.6994], abs=1e-4)  # 1 of 4
    assert scores["ci"] == [0.0, 0.5]  # of the two persons one has both wrong
    assert scores["answered"]["accuracy"] == 0.5
    assert scores["stated"] == {"A": 1, "B": 1, "invalid": 2}
    assert scores["votes"] == pytest.approx((0.6 + 0.2) / 4)
    assert scores["ceiling"] == 0.6
    assert scores["categories"]["artifact"]["accuracy"] == 0
    assert score_choices(items, Answers("silent"), 10, 0) is None
    assert score_choices(items[:2], said, 10, 0)["ci"] is None  # type: ignore[index]


def test_rouge_1_by_hand() -> None:
    f, recall = rouge_1("alpha waves dominate", "alpha dominates here and alpha stays")
    assert recall == pytest.approx(1 / 6)
    assert f == pytest.approx(2 / 9)
    assert rouge_1("", "alpha") == (0.0, 0.0)


def boxed(i: int, *boxes: Waveform) -> BenchItem:
    return BenchItem(f"p{i}", "d", "simulator", boxes=boxes, ch_names=TEN_TWENTY, item_id=str(i))


def test_average_precision_by_hand() -> None:
    spike, blink = Waveform("spike", ("Cz",), 1.0, 0.1), Waveform("eyem", ("Fp1",), 2.0, 0.4)
    items = [boxed(0, spike, blink), boxed(1, replace(spike, start_s=5.0))]
    half = {"0": [replace(spike, confidence=0.9), replace(blink, ch_names=("Fp2",))], "1": []}
    scores = score_boxes(items, Answers("m", marks=half), 100, 0)
    assert scores is not None
    assert scores["classes"]["spike"] == {"ap_50": 0.5, "n_true": 2, "n_found": 1}
    assert scores["classes"]["eyem"]["ap_50"] == 0.0  # the right time on another electrode
    assert scores["classes"]["spsw"]["ap_50"] is None
    assert scores["map_50"] == 0.25
    assert scores["ci"][0] == 0.0 < scores["ci"][1] <= 0.5
    assert score_boxes(items, Answers("m"), 10, 0) is None
    assert score_boxes([replace(items[0], boxes=None)], Answers("m", marks=half), 10, 0) is None


# The trivial systems: the scorer tells good from bad


def test_the_oracle_is_best_and_what_does_not_look_is_at_the_floor(bench: Bench) -> None:
    scores = evaluate_bench(bench, [oracle(bench), no_signal(bench), chance(bench)], resamples=50)
    best, floor = scores["systems"]["oracle"], scores["systems"]["no signal"]
    assert best["choice"]["accuracy"] == 1.0
    assert best["boxes"]["map_50"] == pytest.approx(1.0)
    assert 0.5 < best["description"]["rouge_1"]["mean"] < 1.0  # in other words
    for part in ("description", "qa"):
        assert best[part]["rouge_1"]["mean"] > floor[part]["rouge_1"]["mean"]
    assert floor["boxes"]["map_50"] < 0.1
    assert floor["choice"]["accuracy"] < 1.0
    assert scores["systems"]["chance"]["boxes"] is None
    shown = format_bench(scores)
    assert "1.000 (0.68-1.00)" in shown  # Wilson, 8 of 8
    assert "CerebraGloss-3B" in shown
    json.dumps(scores)


def test_nothing_of_a_person_tells_its_own_answers(bench: Bench) -> None:
    told = no_signal(bench)
    by_reference = {item.reference_of("description"): item.subject for item in bench.items}
    for item in bench.items:
        assert by_reference[told.texts[item.item_id, "description"]] != item.subject
    assert told == no_signal(bench)
    assert chance(bench, 1).texts != chance(bench, 2).texts


# Models


class Talker:
    """Answers every question with one word; notes what it was asked, and of how many segments."""

    device = torch.device("cpu")

    def __init__(self, say: Callable[[str], str]) -> None:
        self.card = {"name": "talker", "version": "", "sha256": "", "description": ""}
        self.config = SimpleNamespace(history_k=2)
        self.say = say
        self.asked: list[tuple[str, int]] = []
        self.saw_history = False

    def ask(self, batch: Batch, question: str) -> list[Generation]:
        self.saw_history |= bool(batch.history_mask.any())
        self.asked.append((question, len(batch)))
        return [Generation(self.say(question), (), ())] * len(batch)


def test_a_model_is_asked_every_question_in_words_once(bench: Bench) -> None:
    talker: Any = Talker(lambda question: "A" if "\nA) " in question else "Delta.")
    told = answers_of(talker, bench)
    wanted = [item.question(part) for item in bench.items for part in ("description", "choice", "qa")]
    assert sorted(q for question, count in talker.asked for q in [question] * count) == sorted(wanted)
    assert len(talker.asked) < len(wanted)  # equal questions go together
    assert told.how == "asked"
    assert not talker.saw_history
    scores = score_choices(bench.items, told, 10, 0)
    assert scores is not None
    assert scores["accuracy"] == 0.25  # letters are balanced
    assert scores["stated"] == {"A": 8}


def test_a_model_that_only_narrates_is_taken_at_its_word(narrator: Narrator, bench: Bench) -> None:
    small = replace(bench, items=bench.items[:2])
    told = answers_of(narrator, small, "small")
    assert told.how.startswith("narratives")
    assert set(told.texts) == {(item.item_id, part) for item in small.items for part in ("description", "choice", "qa")}
    assert all(told.texts[i.item_id, "description"] == told.texts[i.item_id, "qa"] for i in small.items)


def test_marks_of_many_segments_are_those_of_each_alone(bench: Bench) -> None:
    detector = WaveformDetector.from_pretrained("tiny").eval()
    small = replace(bench, items=bench.items[:3])
    told = marks_of(detector, small).marks
    assert told is not None
    for item in small.items:
        segment = small.segment(item)
        alone = find_marks(detector, Recording(segment.signal_uv, 200.0, segment.ch_names), LEAST_SCORE)
        together = sorted(told[item.item_id], key=lambda mark: (mark.start_s, mark.ch_names, mark.kind))
        assert [(m.kind, m.ch_names) for m in together] == [(m.kind, m.ch_names) for m in alone]
        assert [m.start_s for m in together] == pytest.approx([m.start_s for m in alone], abs=1e-3)


class TwiceDetector(WaveformDetector):
    """Marks the same spindle twice, a little apart, on the first electrode of every window."""

    def detect(self, signal_uv: torch.Tensor, present: torch.Tensor, threshold: Any = None) -> Detections:
        window = torch.arange(len(signal_uv)).repeat(2)
        row = present[0].int().argmax()
        starts = torch.tensor([4.0, 4.5]).repeat_interleave(len(signal_uv))
        scores = torch.tensor([0.9, 0.05]).repeat_interleave(len(signal_uv))
        return Detections(window, torch.full_like(window, row), torch.zeros_like(window), starts, starts + 1, scores)


def test_marks_that_overlap_stay_apart(bench: Bench) -> None:
    """A doubtful mark makes a sure one no longer."""
    small = replace(bench, items=bench.items[:2])
    told = marks_of(TwiceDetector(TINY_DETECTOR), small).marks
    assert told is not None
    for item in small.items:
        assert [(m.start_s, m.duration_s, m.confidence) for m in told[item.item_id]] == [
            (pytest.approx(4.0), pytest.approx(1.0), pytest.approx(0.9)),
            (pytest.approx(4.5), pytest.approx(1.0), pytest.approx(0.05)),
        ]


# Files


def test_answers_of_any_model_come_from_a_file(bench: Bench, tmp_path: Path) -> None:
    item = bench.items[0]
    file = tmp_path / "model.jsonl"
    lines = [
        {"id": item.item_id, "part": "choice", "text": "A"},
        {"id": item.item_id, "part": "boxes", "boxes": [["spike", "Cz", 1.0, 1.5, 0.7]]},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = read_answers(file, bench)
    assert (told.name, told.texts) == ("model", {(item.item_id, "choice"): "A"})
    assert told.marks == {item.item_id: [Waveform("spike", ("Cz",), 1.0, 0.5, 0.7)]}
    for wrong in (
        '{"id": "x", "part": "choice", "text": "A"}',
        '{"part": 1}',
        "A",
        f'{{"id": "{item.item_id}", "part": "qa"}}',
    ):
        file.write_text(wrong + "\n")
        with pytest.raises(ValueError, match=r"line 1 of model\.jsonl"):
            read_answers(file, bench)
    with pytest.raises(FileNotFoundError, match="--answers"):
        read_answers(tmp_path / "none", bench)


# The judge


class Judge(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.count = answer, 0
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    server: Judge

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.count += 1
        text = self.server.answer(body["messages"][1]["content"])
        content = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[str], str]], Judge]]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    started: list[Judge] = []

    def start(answer: Callable[[str], str]) -> Judge:
        started.append(Judge(answer))
        return started[-1]

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_a_judge_grades_answers_beside_their_references(
    serve: Callable[[Callable[[str], str]], Judge], tmp_path: Path
) -> None:
    pytest.importorskip("aiohttp")

    def fair(shown: str) -> str:
        reference, answer = shown.split("Reference answer:\n")[1].split("\n\nAnswer:\n")
        grade = 10 if reference == answer else 4
        return (
            "hm"
            if answer == "?"
            else json.dumps(dict.fromkeys(("helpfulness", "relevance", "accuracy", "detail"), grade))
        )

    items = tuple(
        BenchItem(f"p{i}", "d", "published", qa=Question("What?", f"alpha {i}"), item_id=str(i)) for i in range(4)
    )
    good = Answers("good", {(str(i), "qa"): f"alpha {i}" for i in range(4)})
    bad = Answers("bad", {("0", "qa"): "beta", ("1", "qa"): "beta", ("2", "qa"): "?"})
    server = serve(fair)
    teacher = Teacher(f"http://127.0.0.1:{server.server_port}/v1", "m", temperature=0.0)
    for _ in range(2):
        found = grade_bench(Bench(tmp_path, items), [good, bad, Answers("mute")], teacher, tmp_path, resamples=50)
        assert server.count == 7  # answers are kept; a silent item is not asked
    assert found["good"]["overall"] == {"mean": 10.0, "ci": [10.0, 10.0]}  # type: ignore[index]
    assert found["bad"]["overall"]["mean"] == pytest.approx(3.0)  # type: ignore[index]  # 4, 4 and 1 for silence
    assert (found["bad"]["n_graded"], found["bad"]["n_failed"]) == (3, 1)  # type: ignore[index]
    assert found["mute"] is None


def test_grades_are_whole_numbers_from_one_to_ten_on_every_criterion() -> None:
    good = '{"helpfulness": 1, "relevance": 10, "accuracy": 5, "detail": 5}'
    assert parse_grades(f"<think>{{}}</think>Here: {good}") == json.loads(good)
    for wrong in (good.replace("10", "11"), good.replace("1,", "0,"), good.replace("5", "5.5"), "{}", "fine", "{x}"):
        assert parse_grades(wrong) is None


# The commands


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_bench_command(commands)
    add_evaluate_bench(commands.add_parser("evaluate").add_subparsers())
    return parser.parse_args(words)


def test_a_bench_is_made_and_scored_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = parse("bench", "make", "--out", str(tmp_path / "b"), "--items", "2", "--seed", "5")
    assert made.run(made) == 0
    assert json.loads(capsys.readouterr().out)["n_items"] == 2
    (tmp_path / "a.jsonl").write_text("")
    out = tmp_path / "scores" / "s.json"
    args = parse(
        "evaluate", "bench", "--bench", str(tmp_path / "b"), "--answers", str(tmp_path / "a.jsonl"), "--json", str(out)
    )
    assert args.run(args) == 0
    scores = json.loads(out.read_text())
    assert list(scores["systems"]) == ["a", "no signal", "chance", "oracle"]
    assert scores["systems"]["oracle"]["choice"]["accuracy"] == 1.0
    assert "oracle" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bench", "make", "--out", "x", "--data", "iiic"), "NAME=PATH"),
        (("evaluate", "bench"), "expected one"),
        (("evaluate", "bench", "--protocol", "hmc"), "expected one"),
        (("evaluate", "bench", "--bench", "x", "--judge", "m"), "part of a judge"),
    ],
)
def test_words_that_do_not_fit(words: tuple[str, ...], message: str) -> None:
    args = parse(*words)
    with pytest.raises(ValueError, match=message):
        args.run(args)


def test_an_empty_bench_is_an_error(tmp_path: Path) -> None:
    write_bench(tmp_path, [], {})
    with pytest.raises(ValueError, match="without items"):
        evaluate_bench(Bench(tmp_path, ()), [])
