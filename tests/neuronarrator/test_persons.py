"""Who was in a training: named as evaluation names them, kept as codes, and told where they are scored."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from corpus.simulate import random_preset, simulate, write_edf
from neuronarrator.commands.scores import show_scores
from neuronarrator.datamodule import CropDataModule
from neuronarrator.evaluate.sources import open_data
from neuronarrator.narrator import Narrator
from neuronarrator.persons import KEY, code_of, codes_of, seen_in_training, stages_of
from neuronarrator.source import Source


@pytest.fixture(scope="module")
def eegmat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "eegmat"
    folder.mkdir()
    (folder / "subject-info.csv").write_text("Subject,Age,Gender\nSubject00,21,F\nSubject01,18,F\n")
    for seed, name in enumerate(("Subject00_1", "Subject00_2", "Subject01_1")):
        write_edf(simulate(random_preset(seed, duration_s=20.0), seed).recording, folder / f"{name}.edf")
    return folder


def test_sources_name_persons_as_evaluation_does(eegmat: Path) -> None:
    scored = {item.load().subject for item in open_data(eegmat).items}
    source = Source(str(eegmat), train=("Subject00*.edf",), val=("Subject01*.edf",))
    assert source.persons("train") | source.persons("val") == scored
    assert source.persons("train") == {"workload/Subject00"}
    assert CropDataModule([source]).persons == [code_of("workload/Subject00")]
    adapter = Source(str(eegmat), dataset="workload")
    assert set().union(*(adapter.persons(side) for side in ("train", "val", "test"))) == scored


def test_files_of_nobody_knows_whom_are_persons_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.edf").touch()
    assert Source(str(tmp_path), train=("**/*.edf",)).persons("train") == {"a/one"}


def test_codes_name_nobody_and_tell_who_was_seen() -> None:
    stages = [{"steps": 1}, {KEY: codes_of(["clinic/Anna", "clinic/Ben"])}]
    assert "Anna" not in str(stages)
    assert seen_in_training(stages, ["clinic/Ben", "clinic/Eve", "clinic/Ben"]) == ["clinic/Ben"]
    assert seen_in_training(stages[:1], ["clinic/Ben"]) is None
    assert stages_of(SimpleNamespace()) == []


def test_scores_of_persons_in_training_are_shown_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    show_scores({"seen_in_training": ["clinic/Ben"]}, "table", None)
    assert "warning: 1 of these persons were in the training of the model: clinic/Ben" in capsys.readouterr().err
    for nothing in ([], None):
        show_scores({"seen_in_training": nothing}, "table", None)
        assert "warning" not in capsys.readouterr().err


def test_the_shipped_model_says_whom_it_saw() -> None:
    tiny = Narrator.from_pretrained("tiny")
    held_out = [f"workload/Subject{number}" for number in range(26, 31)] + ["motor-imagery/S038", "adhd-child/v109"]
    assert seen_in_training(stages_of(tiny), held_out) == []
    assert seen_in_training(stages_of(tiny), [*held_out, "workload/Subject03", "adhd-child/v107"]) == [
        "adhd-child/v107",
        "workload/Subject03",
    ]
