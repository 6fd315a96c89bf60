"""Narrators side by side on simulated persons."""

import json
import re
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.compare import (
    Chosen,
    CompareConfig,
    Comparison,
    compare,
    comparison_page,
    comparison_png,
    format_comparison,
    read_config,
)
from neuronarrator.compare import config as compare_config
from neuronarrator.compare.config import ORACLE, check_systems
from neuronarrator.compare.run import Rows, score_part
from neuronarrator.evaluate.narrative_scores import MAIN, Scored, Scorer
from neuronarrator.metrics.axes import AXES
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.persons import codes_of
from neuronarrator.source import Source
from neuronarrator.text_narrator import TextConfig, TextNarrator

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "compare"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people")
    for i in range(3):
        write_edf(simulate(SimulationPreset(duration_s=42.0), seed=20 + i).recording, root / f"person{i}.edf")
    return root


@pytest.fixture(scope="module")
def systems(
    recordings: Path,
    tokenizer: PreTrainedTokenizerBase,
    small_llm: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """An untrained narrator of signals, and one of nothing that saw the third person."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    Narrator(NarratorConfig(llm=small_llm, max_new_tokens=8), tokenizer).save_pretrained(root / "signals")
    nothing = TextNarrator(TextConfig("nothing", small_llm, max_new_tokens=8), tokenizer)
    persons = codes_of(Source(str(recordings), train=("person2*",)).persons("train"))
    nothing.stages = [{"learns": "narratives", "steps": 1, "crops": 8, "persons": persons}]
    nothing.save_pretrained(root / "nothing")
    return {"signal-native": str(root / "signals"), "no signal": str(root / "nothing")}


@pytest.fixture(scope="module")
def config(recordings: Path, systems: dict[str, str]) -> CompareConfig:
    return CompareConfig([Chosen(str(recordings), files=("person[01]*", "person2*"))], systems, resamples=50, shown=4)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def comparison(config: CompareConfig, out: Path) -> Comparison:
    return compare(config, out)


def test_every_system_narrates_the_same_segments(comparison: Comparison) -> None:
    (systems,) = comparison.scores["datasets"].values()
    assert list(systems) == ["signal-native", "no signal", ORACLE]
    assert {found["n_segments"] for found in systems.values()} == {12}
    assert {found["n_subjects"] for found in systems.values()} == {3}


def test_the_oracle_is_right_and_differences_are_by_pairs(comparison: Comparison) -> None:
    (systems,) = comparison.scores["datasets"].values()
    first, oracle = systems["signal-native"], systems[ORACLE]
    assert oracle["fact_f1"]["mean"] == 1.0
    assert oracle["contradicted"]["share"] == 0.0
    distance = oracle["distance"]["fact_f1"]
    assert distance["mean"] == pytest.approx(1 - first["fact_f1"]["mean"])
    assert distance["ci"][0] <= distance["mean"] <= distance["ci"][1]
    assert "distance" not in first


def test_a_second_run_reads_the_predictions_of_the_first(
    config: CompareConfig, comparison: Comparison, out: Path
) -> None:
    files = sorted((out / "predictions").iterdir())
    assert [file.name for file in files] == ["no-signal.jsonl", "signal-native.jsonl"]
    content = [file.read_bytes() for file in files]
    assert compare(config, out).scores == comparison.scores
    assert [file.read_bytes() for file in files] == content
    assert [part.count(b"\n") for part in content] == [12, 12]


def test_files_of_predictions_take_the_place_of_a_model(
    config: CompareConfig, comparison: Comparison, out: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.jsonl"
    theirs.write_bytes((out / "predictions" / "signal-native.jsonl").read_bytes())
    told = CompareConfig(config.data, {"theirs": str(theirs)}, resamples=20)
    scores = compare(told, tmp_path / "again").scores
    (systems,) = scores["datasets"].values()
    assert list(systems) == ["theirs", ORACLE]
    assert scores["budgets"] == {"theirs": None, ORACLE: None}
    assert "| theirs | – |" in format_comparison(scores)
    lines = theirs.read_text().splitlines(keepends=True)
    theirs.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(ValueError, match=r"got system 'theirs' without 1 of the 4 segments of person0\.edf"):
        compare(told, tmp_path / "again")


def test_persons_whom_a_training_saw_are_told(comparison: Comparison) -> None:
    seen = comparison.scores["seen_in_training"]
    assert seen["signal-native"] is None  # it says nothing
    (person,) = seen["no signal"]
    assert person.endswith("person2")
    assert f"Warning: 1 of these persons were in the training of no signal: {person}" in format_comparison(
        comparison.scores
    )


def test_table_and_page_show_every_system(comparison: Comparison) -> None:
    table, page = format_comparison(comparison.scores), comparison_page(comparison)
    for name in ("signal-native", "no signal", ORACLE):
        assert f"| {name} |" in table
        assert name in page
    assert len(comparison.shown) == 4
    assert page.count('class="page"') == 4
    assert "Research use only" in page
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert "<!--" not in page.replace("<!doctype html>", "")


def test_the_command_writes_all_of_it(
    recordings: Path, systems: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {"data": [{"root": str(recordings), "files": ["person0*"]}], "systems": systems, "resamples": 20}
    (tmp_path / "c.yaml").write_text(json.dumps(text))
    assert (
        main(["compare", "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    )
    assert "| no signal |" in capsys.readouterr().out
    scores = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert scores["first"] == "signal-native"
    assert (tmp_path / "out" / "comparison.html").stat().st_size > 10_000
    assert Image.open(tmp_path / "out" / "comparison.png").width == 1800
    budget = scores["budgets"]["no signal"]
    assert budget["training"]["crops"] == 8
    assert scores["budgets"]["signal-native"]["training"] is None
    assert budget["parameters"] == budget["llm_parameters"] == scores["budgets"]["signal-native"]["llm_parameters"]


def test_the_comparison_of_the_experiments_can_be_read() -> None:
    config = read_config(EXPERIMENTS / "tiny.yaml")
    assert list(config.systems) == [
        "signal-native", "image (VLM)", "image (VLM), paper's tasks", "text features", "no signal",
        "signal-native, shipped",
    ]  # fmt: skip
    assert config.data[2] == Chosen("../shared/data/adhd_child", "adhd-child", "test")


def test_wrong_configurations_say_what_to_do(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        CompareConfig([], {})
    with pytest.raises(ValueError, match="got no recording that fits"):
        Chosen(str(recordings), files=("nobody*",)).items()
    (tmp_path / "c.yaml").write_text("systems: {a: tiny}\ndata: []\ncolour: red\n")
    with pytest.raises(ValueError, match="colour"):
        read_config(tmp_path / "c.yaml")
    with pytest.raises(ValueError, match="expected names that differ"):
        CompareConfig([], {"a b": "tiny", "a (b)": "tiny"})


def test_all_systems_are_looked_for_before_the_first_one_narrates(
    recordings: Path, systems: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuronarrator.compare.run.load_narrator", lambda *args: pytest.fail("began to narrate"))
    (tmp_path / "detector").mkdir()
    (tmp_path / "detector" / "config.json").write_text('{"anchors": [1, 2]}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    wrong = {name: str(tmp_path / name) for name in ("nowhere", "detector", "broken")} | {"theirs": "none.jsonl"}
    with pytest.raises(ValueError, match="got 4 of 6 systems that cannot narrate") as error:
        compare(CompareConfig([Chosen(str(recordings))], {**systems, **wrong}), tmp_path / "out")
    assert all(f"{name!r}: got " in str(error.value) for name in wrong)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    check_systems(systems | {"shipped": "tiny"})


def test_folders_that_hold_the_same_names_are_refused(
    recordings: Path, systems: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuronarrator.compare.run.load_narrator", lambda *args: pytest.fail("began to narrate"))
    (tmp_path / "person1.edf").write_bytes((recordings / "person0.edf").read_bytes())
    with pytest.raises(ValueError, match=r"got two recordings 'person1\.edf' of recordings"):
        compare(CompareConfig([Chosen(str(recordings)), Chosen(str(tmp_path))], systems), tmp_path / "out")


def test_a_model_whose_weights_are_missing_is_told(systems: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((Path(systems["no signal"]) / "config.json").read_text())
    with pytest.raises(ValueError, match="which holds no narrator"):
        check_systems({"half": str(tmp_path)})
    assert set(compare_config._CONFIGS) == set(compare_config.KINDS)


def scored(subject: str, value: float, dataset: str = "a") -> Scored:
    names = (*MAIN[:-1], *(f"axis_{name}" for name in AXES), "axes_sum")
    counts = dict.fromkeys(("hallucinated", "omitted", "contradicted", "unverifiable"), 0.0) | {"supported": 1.0}
    return Scored(dataset, subject, dict.fromkeys(names, value) | counts, Counter())


def two_systems(ours: list[tuple[str, float]], gain: list[float]) -> Rows:
    rows = Rows()
    rows.add("ours", [scored(subject, value) for subject, value in ours])
    rows.add("theirs", [scored(subject, value + more) for (subject, value), more in zip(ours, gain, strict=True)])
    return rows


def test_a_constant_difference_is_sure_however_much_subjects_differ() -> None:
    ours = [(subject, value) for subject, value in (("p", 0.1), ("q", 0.5), ("r", 0.9)) for _ in range(4)]
    found = score_part(two_systems(ours, [0.05] * 12), Scorer(200, 0), None, 0)
    low, high = found["theirs"]["fact_f1"]["ci"]
    assert high - low > 0.3  # its own interval says nothing of the difference
    distance = found["theirs"]["distance"]["fact_f1"]
    assert [distance["mean"], *distance["ci"]] == pytest.approx([0.05] * 3)


def test_differences_are_resampled_by_subject_with_all_their_segments() -> None:
    """Two subjects of 3 and 1 segments: a resample is one of them twice (a quarter each) or both."""
    ours = [("p", 0.2), ("p", 0.3), ("p", 0.4), ("q", 0.9)]
    gain = [0.1, 0.2, 0.3, -0.4]
    found = score_part(two_systems(ours, gain), Scorer(400, 0), None, 0)["theirs"]["distance"]["fact_f1"]
    assert found["mean"] == pytest.approx(sum(gain) / 4)
    assert found["ci"] == pytest.approx([-0.4, 0.2])  # the means of q alone and of p alone
    single = score_part(two_systems(ours[:3], gain[:3]), Scorer(400, 0), None, 0)["theirs"]["distance"]["fact_f1"]
    assert single["ci"] is None


def test_systems_on_other_segments_are_not_compared() -> None:
    rows = two_systems([("p", 0.1), ("q", 0.2)], [0.0, 0.0])
    rows.add("theirs", [scored("q", 0.3)])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        score_part(rows, Scorer(10, 0), None, 0)


def test_the_figure_shows_what_the_scores_say(comparison: Comparison) -> None:
    png = comparison_png(comparison.scores)
    assert png == comparison_png(comparison.scores)
    moved = json.loads(json.dumps(comparison.scores))
    (systems,) = moved["datasets"].values()
    systems[ORACLE]["distance"]["fact_f1"]["ci"][0] -= 0.3
    assert comparison_png(moved) != png
    alone = {"datasets": {"a": {"only": systems["signal-native"]}}, "first": "only", "bootstrap": {"level": 0.95}}
    assert Image.open(BytesIO(comparison_png(alone))).width == 1800
