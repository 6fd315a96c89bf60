"""What may be evaluated: files, datasets as published, and a corpus, whose stored findings are those of the files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.build import build_corpus
from corpus.recording import RecordingError
from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.evaluate import evaluate_narratives, evaluate_retrieval
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.sources import Data, open_data, usable
from neuronarrator.narrator import Narrator
from neuronarrator.verify import verify_narrative

SIDES = ("train", "val", "test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four persons in a plain folder, one with blinks; and the corpus made of them."""
    root = tmp_path_factory.mktemp("sources")
    for i in range(4):
        file = root / "in" / f"person{i}" / "monday.edf"
        file.parent.mkdir(parents=True)
        write_edf(simulate(SimulationPreset(duration_s=42.0), seed=i).recording, file)
    build_corpus([("folder", root / "in")], root / "corpus")
    return root


def subjects(data: Data) -> list[str]:
    return [material.subject for _, material in usable(data.items, {})]


def test_each_plain_file_counts_as_a_subject(root: Path) -> None:
    data = open_data(root / "in")
    assert [item.name for item in data.items] == [f"person{i}/monday.edf" for i in range(4)]
    assert {item.dataset for item in data.items} == {"recordings"}
    assert subjects(data) == [f"person{i}/monday" for i in range(4)]
    assert "each file counts as one" in data.subjects


def test_a_folder_called_as_a_dataset_is_that_dataset_and_knows_its_subjects(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "EEGMMIDB"
    folder.mkdir()
    for name in ("S001R01", "S001R02", "S002R01", "extra"):
        (folder / f"{name}.edf").write_bytes((root / "in/person0/monday.edf").read_bytes())
    for data, below in ((open_data(folder), ""), (open_data(tmp_path), "EEGMMIDB/")):
        assert {item.dataset for item in data.items} == {"motor-imagery"}
        assert "publishes" in data.subjects
        known = ["motor-imagery/S001", "motor-imagery/S001", "motor-imagery/S002"]
        assert subjects(data) == [*known, f"{below}extra"]
    (one,) = open_data(folder / "S001R02.edf").items
    assert (one.dataset, one.load().subject) == ("motor-imagery", "motor-imagery/S001")


def test_sides_of_a_dataset_are_those_of_its_corpus(root: Path) -> None:
    for side in SIDES:
        published = open_data(root / "in", "folder", side)
        stored = open_data(root / "corpus", split=side)
        assert sorted(f"folder/{item.name}" for item in published.items) == sorted(item.name for item in stored.items)
        assert sorted(subjects(published)) == sorted(subjects(stored))
    assert len(open_data(root / "in", "folder").items) == len(open_data(root / "corpus").items) == 4


def test_windows_begin_as_often_as_asked_and_span_no_break(root: Path) -> None:
    recording = open_data(root / "in").items[0].load().recording  # type: ignore[attr-defined]
    stride = [len(list(Recorded("s", recording).windows(s, 1))) for s in (10.0, 5.0, 2.0)]
    assert stride == [4, 7, 17]  # 42 s hold 33 s of starts
    batches = list(Recorded("s", recording).windows(5.0, 3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(batches[1][0], recording.signal_uv[:, 3000:5000])
    broken = Recorded("s", replace(recording, breaks_s=(25.0,)))
    assert len(list(broken.windows(10.0, 1))) == 2 + 1
    with pytest.raises(RecordingError, match="below 10 s"):
        Recorded("s", replace(recording, breaks_s=tuple(np.arange(5.0, 42.0, 5.0))))


def test_a_stored_recording_is_the_recording(root: Path) -> None:
    fresh = {material.subject: material for _, material in usable(open_data(root / "in", "folder").items, {})}
    for _, stored in usable(open_data(root / "corpus").items, {}):
        other = fresh[stored.subject]
        for ours, theirs in zip(stored.windows(10.0, 3), other.windows(10.0, 3), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=0.05)
        (found, examples), (expected, _) = stored.findings(), other.findings()
        assert all(examples)
        for one, two in zip(found, expected, strict=True):
            assert (one.facts, one.segment.history) == (two.facts, two.segment.history)
            assert {a.kind for a in one.artifacts} == {a.kind for a in two.artifacts}
            claims = "A blink artifact is present. Delta activity dominates the spectrum. Alpha is stable."
            verdicts = [[claim.verdict for claim in verify_narrative(claims, findings)] for findings in (one, two)]
            assert verdicts[0] == verdicts[1]


def test_electrodes_that_the_encoder_does_not_know_are_set_aside_everywhere(tmp_path: Path) -> None:
    names = ("Fp1", "Fp2", "FFC3h", "C3", "C4", "O1", "O2")
    (tmp_path / "in").mkdir()
    preset = SimulationPreset(duration_s=32.0, ch_names=names)
    write_edf(simulate(preset, seed=9).recording, tmp_path / "in" / "dense.edf")
    build_corpus([("folder", tmp_path / "in")], tmp_path / "corpus")
    sources = (open_data(tmp_path / "in"), open_data(tmp_path / "in", "folder"), open_data(tmp_path / "corpus"))
    plain, published, stored = (data.items[0].load() for data in sources)
    for material in (plain, published, stored):
        assert material.ch_names == ("Fp1", "Fp2", "C3", "C4", "O1", "O2")
        assert next(material.windows(10.0, 8)).shape == (3, 6, 2000)
        assert [f.facts for f in material.findings()[0]] == [f.facts for f in plain.findings()[0]]


def test_a_corpus_scores_as_its_recordings_do(root: Path) -> None:
    narrator = Narrator.from_pretrained("tiny")
    plain, stored = (evaluate_retrieval(narrator, root / name) for name in ("in", "corpus"))
    assert plain["n_segments"] == stored["n_segments"] == 16
    assert set(stored["datasets"]) == {"folder"}
    for direction in ("signal_to_topomap", "topomap_to_signal"):
        assert abs(plain[direction]["mean_rank"] - stored[direction]["mean_rank"]) < 0.2
    one = evaluate_narratives(narrator, root / "corpus", split="test")
    two = evaluate_narratives(narrator, root / "in", dataset="folder", split="test")
    assert one["n_segments"] == two["n_segments"] == 4
    assert one["fact_f1"]["mean"] == pytest.approx(two["fact_f1"]["mean"], abs=0.05)
    assert one["split"] == "test"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"data": "in", "split": "test"}, "have no sides"),
        ({"data": "in", "dataset": "nonsense"}, "got dataset 'nonsense'"),
        ({"data": "corpus", "dataset": "workload"}, "got dataset 'workload'"),
        ({"data": "in/person0", "dataset": "folder", "split": "val"}, "on side val"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_one_line(root: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        open_data(root / words.pop("data"), **words)
    assert "\n" not in str(error.value)


def test_a_corpus_has_the_windows_it_has(root: Path) -> None:
    material = open_data(root / "corpus").items[0].load()
    with pytest.raises(ValueError, match="as its segments are stored"):
        next(material.windows(2.0, 8))


def test_a_recording_that_cannot_be_used_is_named_with_the_reason(root: Path, tmp_path: Path) -> None:
    (tmp_path / "good.edf").write_bytes((root / "in/person0/monday.edf").read_bytes())
    (tmp_path / "bad.edf").write_text("no EEG")
    skipped: dict[str, str] = {}
    assert [item.name for item, _ in usable(open_data(tmp_path).items, skipped)] == ["good.edf"]
    assert list(skipped) == ["bad.edf"]
    (tmp_path / "good.edf").unlink()
    with pytest.raises(RecordingError, match="none of them usable"):
        evaluate_retrieval(Narrator.from_pretrained("tiny"), tmp_path)
