from pathlib import Path

import pytest

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.commands.corpus import read_build_config

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("commands")
    for i in range(3):
        file = root / "in" / f"person{i}.edf"
        file.parent.mkdir(exist_ok=True)
        write_edf(simulate(SimulationPreset(duration_s=32.0), seed=i).recording, file)
    config = root / "build.yaml"
    config.write_text("datasets: {folder: in}\nbuild: {seed: 4, split: {fractions: [0.34, 0.33, 0.33]}}\n")
    assert main(["corpus", "build", "--config", str(config), "--out", str(root / "corpus"), "--workers", "1"]) == 0
    return root / "corpus"


def test_stats_show_and_audit_speak_of_the_corpus(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpus", "stats", str(corpus), "--figure", str(tmp_path / "stats.png")]) == 0
    told = capsys.readouterr().out
    assert "folder" in told
    assert "dominant_band" in told
    assert (tmp_path / "stats.png").read_bytes().startswith(b"\x89PNG")
    assert main(["corpus", "audit", str(corpus)]) == 0
    assert "Audit: clean" in capsys.readouterr().out
    from corpus.store import CorpusReader

    name = CorpusReader(corpus).ids[0]
    assert main(["corpus", "show", str(corpus), name, "--figure", str(tmp_path / "one.png")]) == 0
    assert "Frequency-domain features" in capsys.readouterr().out
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_the_configuration_comes_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "build.yaml"
    file.write_text("datasets: {workload: data/eegmat}\nbuild: {history_k: 1, train_cap: 100, split: {seed: 7}}\n")
    jobs, config = read_build_config(file)
    assert jobs == [("workload", tmp_path / "data" / "eegmat")]
    assert (config.history_k, config.train_cap, config.split.seed, config.split.published) == (1, 100, 7, False)
    file.write_text("build: {histroy_k: 1}\n")
    with pytest.raises(ValueError, match="histroy_k"):
        read_build_config(file)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["build", "--out", "x"], "got no dataset"),
        (["build", "--dataset", "workload", "--out", "x"], "one --root for each --dataset"),
        (["show", "nowhere", "a/b/0"], "expected a complete corpus"),
        (["datasets", "--root", "x"], "got --root without --dataset"),
        (["datasets", "--dataset", "unheard"], "got dataset 'unheard'"),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpus", *words]) == 1
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told


def test_a_corpus_is_not_built_into_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the checkout, `--out corpus` names the source."""
    (tmp_path / "__init__.py").touch()
    where = ["--dataset", "folder", "--root", str(tmp_path), "--out", str(tmp_path)]
    assert main(["corpus", "build", *where]) == 1
    assert "a Python package" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["__init__.py"]


def test_datasets_are_listed_with_licence_and_access(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "datasets"]) == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) >= 25
    assert "workload (corpus, eegmat" in told


def test_a_corpus_can_be_trained_on(corpus: Path) -> None:
    from neuronarrator.datamodule import CorpusDataModule

    data = CorpusDataModule(str(corpus), batch_size=4)
    sides = [data.train_dataloader(), data.val_dataloader(), data.test_dataloader()]
    assert [sum(len(batch) for batch in loader) for loader in sides] == [3, 3, 3]
    assert all(batch.narratives[0] for batch in sides[0])
