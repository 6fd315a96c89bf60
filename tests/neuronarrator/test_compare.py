"""Narrators side by side on simulated persons."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.compare import CompareConfig, Comparison, compare, comparison_page, format_comparison, read_config
from neuronarrator.compare.run import ORACLE, Chosen
from neuronarrator.narrator import Narrator, NarratorConfig
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
    tokenizer: PreTrainedTokenizerBase, small_llm: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """An untrained narrator of signals, and one of nothing."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    Narrator(NarratorConfig(llm=small_llm, max_new_tokens=12), tokenizer).save_pretrained(root / "signals")
    TextNarrator(TextConfig("nothing", small_llm, max_new_tokens=12), tokenizer).save_pretrained(root / "nothing")
    return {"signal-native": str(root / "signals"), "no signal": str(root / "nothing")}


@pytest.fixture(scope="module")
def config(recordings: Path, systems: dict[str, str]) -> CompareConfig:
    return CompareConfig([Chosen(str(recordings), files=("person[01]*", "person2*"))], systems, resamples=50, shown=4)


@pytest.fixture(scope="module")
def comparison(config: CompareConfig, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(config, tmp_path_factory.mktemp("out"))


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


def test_a_second_run_reads_the_predictions_of_the_first(config: CompareConfig, tmp_path: Path) -> None:
    before = compare(config, tmp_path)
    files = sorted((tmp_path / "predictions").iterdir())
    assert [file.name for file in files] == ["no-signal.jsonl", "signal-native.jsonl"]
    content = [file.read_bytes() for file in files]
    after = compare(config, tmp_path)
    assert before.scores == after.scores
    assert [file.read_bytes() for file in files] == content
    assert [part.count(b"\n") for part in content] == [12, 12]


def test_files_of_predictions_take_the_place_of_a_model(config: CompareConfig, tmp_path: Path) -> None:
    compare(config, tmp_path)
    told = CompareConfig(config.data, {"theirs": str(tmp_path / "predictions" / "signal-native.jsonl")}, resamples=20)
    (systems,) = compare(told, tmp_path / "again").scores["datasets"].values()
    assert list(systems) == ["theirs", ORACLE]


def test_table_and_page_show_every_system(comparison: Comparison) -> None:
    table, page = format_comparison(comparison.scores), comparison_page(comparison)
    for name in ("signal-native", "no signal", ORACLE):
        assert f"| {name} |" in table
        assert name in page
    assert len(comparison.shown) == 4
    assert page.count('class="page"') == 4
    assert "Research use only" in page
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
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


def test_the_comparison_of_the_experiments_can_be_read() -> None:
    config = read_config(EXPERIMENTS / "tiny.yaml")
    assert list(config.systems) == ["signal-native", "image (VLM)", "text features", "no signal"]
    assert config.data[2] == Chosen("../shared/data/adhd_child", "adhd-child", "test")


def test_wrong_configurations_say_what_to_do(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        CompareConfig([], {})
    with pytest.raises(ValueError, match="got no recording that fits"):
        Chosen(str(recordings), files=("nobody*",)).items()
    (tmp_path / "c.yaml").write_text("systems: {a: tiny}\ndata: []\ncolour: red\n")
    with pytest.raises(ValueError, match="colour"):
        read_config(tmp_path / "c.yaml")
