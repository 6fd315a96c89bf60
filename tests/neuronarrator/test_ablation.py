"""Ablations: what each file changes, and runs of a miniature budget in one table."""

import argparse
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch.cli import LightningCLI
from transformers import PreTrainedTokenizerBase

from corpus.simulate import random_preset, simulate, write_edf
from neuronarrator.ablation import AblationOptions, format_ablations, items_of, train_run
from neuronarrator.commands.ablate import add_ablate
from neuronarrator.narrator import Narrator

ROOT = Path(__file__).parents[2]
BASE = ROOT / "experiments" / "narrate" / "tiny.yaml"
CHANGES = {path.stem: path for path in sorted((ROOT / "experiments" / "ablate").glob("*.yaml"))}
EXPECTED: dict[str, dict[str, Any]] = {  # what differs from the base, by the path to it
    "no_alignment": {"alignment_checkpoint": "runs/topomap-tiny.safetensors", "recipe.train_dual": True},
    "no_topomap": {"narrator.modalities": ("history", "signal", "spectrum")},
    "no_history": {"narrator.modalities": ("signal", "topomap", "spectrum"), "narrator.history_k": 0},
    "no_spectrum": {"narrator.modalities": ("history", "signal", "topomap"), "recipe.spectrum_steps": 0},
    "match_norms": {"narrator.match_norms": True},
    "time_tokens": {"narrator.time_tokens": True},
    "k1": {"narrator.history_k": 1},
    "k3": {"narrator.history_k": 3},
    "k4": {"narrator.history_k": 4},
    "tokens_2": {"narrator.tokens_per_segment": 2},
    "tokens_4": {"narrator.tokens_per_segment": 4},
    "trained_encoder": {"recipe.train_dual": True},
    "band_powers": {"recipe.train_dual": True, "recipe.band_power_weight": 0.1},
}


@lru_cache
def merged(*files: Path) -> dict[str, Any]:
    """What the command line makes of several files, before anything is built."""
    words = [word for file in files for word in ("--config", str(file))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LightningCLI, "instantiate_classes", lambda self: None)
        return LightningCLI(args=words, run=False, save_config_callback=None).config.as_dict()


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def test_every_ablation_of_the_issue_has_a_file() -> None:
    assert CHANGES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_change_changes_what_it_says_and_nothing_else(name: str) -> None:
    base, change = merged(BASE), merged(BASE, CHANGES[name])
    before, after = flat(base["model"]["init_args"]), flat(change["model"]["init_args"])
    differs = {key: after.get(key) for key in before | after if before.get(key) != after.get(key)}
    assert differs.pop("save_to") == f"runs/ablate/{name}/model"
    assert differs == EXPECTED[name]
    data = {key: value for key, value in flat(change["data"]).items() if flat(base["data"]).get(key) != value}
    assert data == ({"init_args.history_k": int(name[1])} if name in ("k3", "k4") else {})
    where = change["trainer"]["logger"]["init_args"]
    assert (where["save_dir"], where["name"]) == ("runs/ablate", name)
    assert change["trainer"]["callbacks"] == []  # none that writes to the folder of the shipped model
    assert change["trainer"]["max_epochs"] == base["trainer"]["max_epochs"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerBase) -> Path:
    """The tiny recipe with a small language model, on simulated files with a validation side of two persons."""
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("train", "val_a", "val_b")):
        write_edf(simulate(random_preset(seed, duration_s=30.0), seed).recording, folder / f"{name}.edf")
    config = yaml.safe_load(BASE.read_text())
    source = {"root": str(folder), "train": ["train.edf"], "val": ["val_*.edf"]}
    config["data"]["init_args"] |= {"sources": [source], "simulated": 0, "batch_size": 2, "batches_per_epoch": 1}
    config["data"]["init_args"]["num_workers"] = 0
    model = config["model"]["init_args"]
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    model["narrator"]["llm"] |= {**small, "head_dim": 16, "intermediate_size": 48}
    model["narrator"]["max_new_tokens"] = 12
    tokenizer.save_pretrained(folder / "tokenizer")
    model |= {"alignment_checkpoint": None, "tokenizer": str(folder / "tokenizer")}
    config["trainer"] |= {"max_epochs": 2, "enable_progress_bar": False, "enable_model_summary": False}
    (folder / "base.yaml").write_text(yaml.safe_dump(config))
    return folder / "base.yaml"


def test_one_command_trains_and_scores_runs_in_one_table(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    add_ablate(parser.add_subparsers())
    changes = [str(CHANGES[name]) for name in ("no_history", "tokens_2")]
    words = ["ablate", *changes, "--base", str(base), "--out", "out", "--json", "scores.json"]
    args = parser.parse_args([*words, "--fit=--trainer.max_epochs 1"])
    assert args.run(args) == 0
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in table[-5:]] == ["run", "---", "reference", "no_history", "tokens_2"]
    assert table[-3][1:3] == ["6", "2"]
    scores = json.loads(Path("scores.json").read_text())
    assert scores["skipped"] == {}
    for name, run in scores["runs"].items():
        assert set(run) >= {"fact_f1", "fact_f1_without_trends", "rouge_l", "contradicted"}
        assert len(run["rouge_l"]["ci"]) == 2
        assert (run["difference"] is None) == (name == "reference")
    ours, theirs = scores["runs"]["reference"]["rouge_l"], scores["runs"]["tokens_2"]
    assert theirs["difference"]["rouge_l"]["mean"] == pytest.approx(theirs["rouge_l"]["mean"] - ours["mean"])
    ks = {name: Narrator.from_pretrained(Path("out", name, "model")).config for name in scores["runs"]}
    assert [(ks[n].history_k, ks[n].tokens_per_segment) for n in ks] == [(2, 1), (0, 1), (2, 2)]
    logs = {name: yaml.safe_load(Path("out", name, "log", "config.yaml").read_text()) for name in ks}
    assert {log["seed_everything"] for log in logs.values()} == {0}
    assert {log["trainer"]["max_epochs"] for log in logs.values()} == {1}
    stamp = Path("out/tokens_2/model/model.safetensors").stat().st_mtime_ns
    again = train_run("tokens_2", base, CHANGES["tokens_2"], Path("out"), AblationOptions(words=args_words(args)))
    assert (again / "model.safetensors").stat().st_mtime_ns == stamp  # the very run was there


def args_words(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(args.fit.split())


def test_the_items_are_those_of_the_validation_side(base: Path, tmp_path: Path) -> None:
    data = yaml.safe_load(base.read_text())["data"]
    assert [item.name for item in items_of(data, "val")] == ["val_a.edf", "val_b.edf"]
    data["init_args"]["sources"][0]["val"] = []
    with pytest.raises(ValueError, match="got no recording on side 'val' of 1 sources"):
        items_of(data, "val")


def test_the_table_shows_intervals_and_signs() -> None:
    spread = {"mean": 0.5, "ci": [0.4, 0.6]}
    run = dict.fromkeys(("fact_f1", "fact_f1_without_trends", "rouge_l"), spread) | {"n_segments": 9, "n_subjects": 2}
    run |= {"contradicted": {"share": 0.051, "ci": [0.01, 0.1]}, "difference": None}
    other = run | {
        "difference": {"fact_f1": {"mean": 0.1, "ci": [-0.05, 0.25]}},
        "contradicted": {"share": 0, "ci": None},
    }
    lines = format_ablations({"runs": {"reference": run, "k1": other}}).splitlines()
    assert lines[2].endswith("| 0.500 (0.400 to 0.600) | 5.1 (1.0 to 10.0) | - |")
    assert lines[3].endswith("| 0.0 | +0.100 (-0.050 to +0.250) |")
