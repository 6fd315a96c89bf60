"""Files of predictions: the text of `narrate`, a run that is killed, texts of other models, what is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corpus.dataset import Batch
from corpus.findings import find_recording
from corpus.recording import Recording, RecordingError
from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator import narrate
from neuronarrator.calibrate import Confidence
from neuronarrator.cli import main
from neuronarrator.evaluate import NarrativeOptions
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.narratives import score_narratives
from neuronarrator.evaluate.predictions import MISSING, Predictions
from neuronarrator.evaluate.sources import Item
from neuronarrator.evaluate.table import format_narratives
from neuronarrator.language.generation import Generation
from neuronarrator.predict import predict


class Narrator:
    """Says what its batch shows, at once."""

    def __init__(self) -> None:
        self.config, self.device, self.card = SimpleNamespace(history_k=2), "cpu", {"name": "small", "sha256": "0" * 64}
        self.calibration: Any = None

    def generate(self, batch: Batch) -> list[Generation]:
        powers = batch.log_power[:, -1].mean(dim=(1, 2)).tolist()
        texts = [f"{'Alpha' if power > 1 else 'Delta'} is the dominant band, by {power:.5f}." for power in powers]
        return [
            Generation(text, (1, 2, 3), (-0.1, -power / 10, -0.3)) for text, power in zip(texts, powers, strict=True)
        ]


@pytest.fixture
def narrator() -> Any:
    return Narrator()


def bad() -> Recorded:
    raise RecordingError("no EEG")


@pytest.fixture
def items(simulated: Recording) -> list[Item]:
    """Four segments, one that cannot be read, and three."""
    first = replace(simulated, signal_uv=simulated.signal_uv[:, :8500])
    second = replace(simulated, signal_uv=simulated.signal_uv[:, 4000:10400])
    return [
        Item("workload", "a", lambda: Recorded("one", first)),
        Item("workload", "bad", bad),
        Item("workload", "b", lambda: Recorded("two", second)),
    ]


@pytest.fixture
def written(narrator: Any, items: list[Item], tmp_path: Path) -> Path:
    file = tmp_path / "small.jsonl"
    assert predict(narrator, items, file) == {"bad": "no EEG"}
    return file


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n")[:-1]]


def test_a_line_a_segment_with_the_text_of_narrate(written: Path, narrator: Any, items: list[Item]) -> None:
    lines = lines_of(written)
    places = [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0), ("b", 1), ("b", 2)]
    assert [(line["recording"], line["segment"]) for line in lines] == places
    assert len({line["text"] for line in lines}) > 1
    recordings = [items[i].load().recording for i in (0, 2)]  # type: ignore[attr-defined]
    narrated = [s for recording in recordings for s in narrate.narrate_recording(narrator, recording).segments]
    for line, segment in zip(lines, narrated, strict=True):
        told = segment.generation
        assert line["text"] == told.text
        assert line["confidence"] == pytest.approx(told.confidence, abs=1e-6)
        assert line["log_prob"]["min"] == pytest.approx(min(told.log_probs), abs=1e-6)
        assert line["log_prob"]["mean"] == pytest.approx(sum(told.log_probs) / len(told.log_probs), abs=1e-6)
        assert line["log_prob"]["tokens"] == len(told.tokens)
        assert {tuple(fact) for fact in line["facts"]} == {claim.claim.fact for claim in segment.claims}
        assert line["start_s"] == segment.findings.segment.start_s


@pytest.mark.parametrize("kept", [0, 1, 4, 6])
def test_a_killed_run_goes_on_to_the_same_bytes(
    kept: int, narrator: Any, items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line is left behind; batches of two, so that the kill falls between and into them."""
    monkeypatch.setattr(narrate.generate_batches, "__defaults__", (2, None))
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    predict(narrator, items, whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    torn.write_bytes(b"".join(lines[:kept]) + lines[kept][:40])
    sizes, generate = [], narrator.generate
    monkeypatch.setattr(narrator, "generate", lambda batch: sizes.append(len(batch)) or generate(batch))
    counts: list[int] = []
    predict(narrator, items, torn, counts.append)
    assert torn.read_bytes() == whole.read_bytes()
    assert sizes == [2, 2, 2, 1][kept // 2 :]  # what was whole is not generated again
    assert counts[-1] == 7


def test_a_complete_recording_is_not_even_read_again(written: Path, narrator: Any, items: list[Item]) -> None:
    content = written.read_bytes()
    items[0] = Item("workload", "a", lambda: pytest.fail("read again"))
    assert predict(narrator, items, written) == {"bad": "no EEG"}
    assert written.read_bytes() == content


def test_a_file_scores_as_the_model_that_wrote_it(written: Path, narrator: Any, items: list[Item]) -> None:
    told = score_narratives(Predictions(written), items)
    live = score_narratives(narrator, items, NarrativeOptions(control_segments=0))
    for name in ("fact_f1", "signal_fact_f1", "rouge_l", "axes", "claims", "template_oracle", "controls", "skipped"):
        assert told[name] == live[name]
    assert told["confidence"]["mean"] == pytest.approx(live["confidence"]["mean"], abs=1e-6)
    assert set(told["controls"]) == {"another_segment"}  # nothing can be narrated anew
    assert told["n_missing"] == 0
    assert told["model"]["name"] == "small"


def test_another_model_needs_only_its_text_and_what_it_lacks_says_nothing(
    written: Path, items: list[Item], tmp_path: Path
) -> None:
    texts = ["Alpha\u2028dominates the spectrum."] * 6  # ends no line
    bare = [{name: line[name] for name in ("dataset", "recording", "start_s")} for line in lines_of(written)]
    lines = [json.dumps({**line, "text": text}, ensure_ascii=False) for line, text in zip(bare, texts, strict=False)]
    file = tmp_path / "vlm.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    scores = score_narratives(Predictions(file), items)
    assert (scores["n_segments"], scores["n_missing"], scores["claims"]["total"]) == (7, 1, 6)
    assert "confidence" not in scores
    sure = [{**line, "text": "", "confidence": 0.5} for line in bare[:5]]  # two segments of the last are missing
    file.write_text("".join(json.dumps(line) + "\n" for line in sure))
    assert score_narratives(Predictions(file), items)["confidence"]["mean"] == pytest.approx(0.5 * 5 / 7)
    assert "Segments without a narrative: 1" in " ".join(format_narratives(scores).split())


def test_predictions_of_a_dataset_fit_its_corpus(written: Path, simulated: Recording) -> None:
    stored = Item("workload", "workload/a", lambda: pytest.fail("is not read"))
    found = Predictions(written).of(stored, find_recording(simulated))
    assert [told is MISSING for told in found] == [False] * 4 + [True] * 2


def broken(text: str) -> Iterator[tuple[str, str]]:
    yield "", "empty or end within a line"
    yield text[:-5], "empty or end within a line"
    yield '{"dataset": "x"}\n', "line 1 of p.jsonl that is no prediction"
    yield text + "[]\n", "line 8 of p.jsonl that is no prediction"


def test_what_is_no_file_of_predictions_is_refused(
    written: Path, narrator: Any, items: list[Item], tmp_path: Path
) -> None:
    file = tmp_path / "p.jsonl"
    for text, message in broken(written.read_text("utf-8")):
        file.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=message):
            Predictions(file)
    with pytest.raises(FileNotFoundError, match="correct --predictions"):
        Predictions(tmp_path / "none.jsonl")
    file.write_text('{"dataset": "x", "recording": "a", "start_s": 0, "text": ""}\n')
    with pytest.raises(ValueError, match="got predictions of none of the 7 segments"):
        score_narratives(Predictions(file), items)
    with pytest.raises(ValueError, match="rename it"):
        predict(narrator, items, file)
    with pytest.raises(RecordingError, match="none of them usable"):
        predict(narrator, items[1:2], tmp_path / "empty.jsonl")


def test_two_recordings_of_one_name_are_refused(narrator: Any, items: list[Item], tmp_path: Path) -> None:
    """A folder has no more of a name than its own path below it, so two folders can hold the same."""
    twin = Item("workload", "workload/a", items[2].load)
    with pytest.raises(ValueError, match="got two recordings 'a' of workload"):
        predict(narrator, [*items, twin], tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_a_calibrated_model_says_how_sure_it_is(narrator: Any, items: list[Item], tmp_path: Path) -> None:
    rows: list[tuple[str, int]] = []

    def confidence(told: Generation, batch: Batch, row: int) -> Confidence:
        rows.append((told.text, row))
        return Confidence(0.25, (), 0.5, row > 0)

    narrator.calibration = SimpleNamespace(confidence=confidence)
    predict(narrator, items, tmp_path / "p.jsonl")
    lines = lines_of(tmp_path / "p.jsonl")
    assert [line["text"] for line in lines] == [text for text, _ in rows]
    assert {(line["calibrated"], line["familiarity"]) for line in lines} == {(0.25, 0.5)}
    assert [line["refer"] for line in lines] == [row > 0 for _, row in rows]


def test_the_commands_write_score_and_compare_a_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    write_edf(simulate(SimulationPreset(duration_s=12.0), seed=0).recording, tmp_path / "in" / "a.edf")
    file, scores = tmp_path / "tiny.jsonl", tmp_path / "scores.json"
    assert main(["predict", "--data", str(tmp_path / "in"), "--out", str(file)]) == 0
    words = ["--data", str(tmp_path / "in"), "--predictions", str(file), "--json", str(scores)]
    assert main(["evaluate", "narratives", *words]) == 0
    assert json.loads(scores.read_text())["n_segments"] == len(lines_of(file)) == 1
    where = ["--data", str(tmp_path / "in"), "--predictions", str(file)]
    sheet, key = tmp_path / "sheet.csv", tmp_path / "key.csv"
    assert main(["ratings", "export", *where, "--sheet", str(sheet), "--key", str(key)]) == 0
    assert main(["ratings", "score", str(sheet), "--key", str(key)]) == 1  # not filled in
    sheet.write_text(sheet.read_text("utf-8-sig").replace(",,,,,,", ",1,1,1,1,0,"), "utf-8-sig")
    capsys.readouterr()
    assert main(["ratings", "score", str(sheet), "--key", str(key)]) == 0
    assert json.loads(capsys.readouterr().out)["systems"][str(file)]["sum"] == 4
    endpoint = ["--base-url", "nowhere", "--judge", "m", "--cache", str(tmp_path / "cache")]
    assert main(["judge", *where, *endpoint]) == 1
    assert "got base_url 'nowhere'" in capsys.readouterr().err
    assert main(["calibrate", "--data", str(tmp_path / "in")]) == 1
    assert "--out DIR to fit" in capsys.readouterr().err
