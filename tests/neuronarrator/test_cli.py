import json
from pathlib import Path

import pytest

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import _unique_stems, main
from neuronarrator.commands.scores import show_scores
from neuronarrator.document import SCHEMA


@pytest.fixture(scope="module")
def recording_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "patient.edf"
    write_edf(simulate(SimulationPreset(duration_s=45.0), seed=1).recording, path)
    return path


def test_narrate_writes_every_format_for_every_good_file(recording_file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.edf"
    bad.write_text("this is not EEG")
    missing = tmp_path / "missing.edf"
    code = main(["narrate", str(bad), str(missing), str(recording_file), "--out", str(tmp_path / "out")])
    assert code == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["patient.html", "patient.json", "patient.md"]
    document = json.loads((tmp_path / "out" / "patient.json").read_text())
    assert document["schema"] == SCHEMA
    assert len(document["segments"]) == 4
    for segment in document["segments"]:
        assert segment["narrative"]
        assert segment["claims"]
        assert {claim["verdict"] for claim in segment["claims"]} <= {"supported", "contradicted", "unverifiable"}
        tiers = segment["features"]["energy_tiers"]
        assert sorted(n for tier in tiers.values() for n in tier) == sorted(document["recording"]["channels_used"])


def test_narrate_of_good_files_succeeds_in_the_formats_asked_for(recording_file: Path, tmp_path: Path) -> None:
    assert main(["narrate", str(recording_file), "--out", str(tmp_path), "--formats", "json"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["patient.json"]


def test_two_files_of_one_name_do_not_overwrite_each_other(recording_file: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "patient.edf"
    twin.parent.mkdir()
    write_edf(simulate(SimulationPreset(duration_s=20.0), seed=2).recording, twin)
    out = tmp_path / "out"
    assert main(["narrate", str(recording_file), str(twin), "--out", str(out), "--formats", "json"]) == 0
    lengths = {p.name: len(json.loads(p.read_text())["segments"]) for p in out.iterdir()}
    assert lengths == {"patient.json": 4, "patient-2.json": 2}


def test_reports_have_names_that_differ() -> None:
    paths = [Path(name) for name in ("x/a.edf", "y/a.edf", "z/a-2.edf", "z/b.edf", "z/a.bdf")]
    assert _unique_stems(paths) == ["a", "a-2", "a-2-2", "b", "a-3"]


def test_scores_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    for file in (None, tmp_path / "scores.json"):
        with pytest.raises(ValueError, match="JSON"):
            show_scores({"chance": float("nan")}, "", file)


@pytest.mark.parametrize("what", ["retrieval", "narratives"])
def test_evaluate_writes_its_scores(recording_file: Path, tmp_path: Path, what: str) -> None:
    file = tmp_path / "scores.json"
    assert main(["evaluate", what, "--data", str(recording_file.parent), "--json", str(file)]) == 0
    scores = json.loads(file.read_text())
    assert scores["n_segments"] == 4
    if what == "retrieval":
        for direction in ("signal_to_topomap", "topomap_to_signal"):
            assert 0 <= scores[direction]["recall_at_1"] <= scores[direction]["recall_at_5"] == 1.0
    else:
        assert 0 < scores["fact_f1"]["mean"] <= 1
        assert 0 < scores["rouge_l"]["mean"] <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "retrieval", "--data", "nowhere"], "without a recording"),
        (["narrate", "x.edf", "--out", "out", "--model", "nope"], "got model 'nope'"),
        (["narrate", "x.edf", "--out", "out", "--formats", "pdf"], "got format 'pdf'"),
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_simulate_writes_a_recording(tmp_path: Path) -> None:
    assert main(["simulate", str(tmp_path / "a" / "demo.edf"), "--duration", "12"]) == 0
    assert (tmp_path / "a" / "demo.edf").stat().st_size > 10_000
