"""Labels from narratives: texts that state them, texts that state facts alone, persons kept apart, votes."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corpus.datasets.base import Label
from corpus.labels import LABEL_TASKS
from corpus.recording import Recording
from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.evaluate import labels
from neuronarrator.evaluate.labels import Labelled, LabelOptions, collect, evaluate_labels, probe, score_labels
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.predictions import Predictions
from neuronarrator.evaluate.sources import Data, Item, open_data
from neuronarrator.evaluate.table import format_labels
from neuronarrator.language.generation import Generation

OPTIONS = LabelOptions(resamples=20)
WORKLOAD = LABEL_TASKS["workload"]


def rows(*told: tuple[str, str, str]) -> list[Labelled]:
    return [Labelled(subject, text, label) for subject, text, label in told]


def facts_follow_the_task(persons: range) -> list[Labelled]:
    """Alpha at rest, beta at work, and no word of either."""
    return rows(
        *(
            (f"s{i}", f"{band} is the dominant band.", label)
            for i in persons
            for band, label in (("Alpha", "rest"), ("Beta", "mental arithmetic"))
        )
    )


def test_a_narrative_of_facts_states_no_label_and_the_probe_reads_its_facts() -> None:
    scores = score_labels(WORKLOAD, facts_follow_the_task(range(10)), None, OPTIONS)
    assert scores["stated"]["parse_failure_rate"] == 1.0
    assert scores["stated"]["balanced_accuracy"] == {"value": 0.0, "ci": [0.0, 0.0]}
    assert scores["probe"]["balanced_accuracy"]["value"] == 1.0
    assert scores["probe"]["trained"] == "5 folds, no person in two"
    assert scores["votes"] is None


def test_a_probe_cannot_know_what_only_its_own_person_shows() -> None:
    """Each person has bands of its own for both classes: learnt by heart within a person, of no use for another."""
    told = []
    for i, name in enumerate(("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4")):
        other = ("F7", "F8", "O1", "O2", "T7", "T8", "Fz", "Cz")[i]
        for label, top in zip(("rest", "mental arithmetic"), (name, other), strict=True):
            told += [(f"s{i}", f"{top} is the highest-energy channel.", label)] * 5
    assert score_labels(WORKLOAD, rows(*told), None, OPTIONS)["probe"]["balanced_accuracy"]["value"] <= 0.5


def test_a_probe_of_a_side_is_trained_on_the_other_and_refuses_a_person_on_both() -> None:
    tested, trained = facts_follow_the_task(range(3)), facts_follow_the_task(range(3, 6))
    told, how = probe(tested, trained, 0)
    assert told == [row.label for row in tested]
    assert "3 persons" in how
    with pytest.raises(ValueError, match="got s2 on both sides"):
        probe(tested, facts_follow_the_task(range(2, 4)), 0)
    assert probe(tested, trained[::2], 0) == (None, "")  # one class
    assert probe(tested[:2], None, 0) == (None, "")  # one person


def test_stated_labels_are_scored_with_silence_against_them() -> None:
    told = rows(
        ("a", "Recorded at rest.", "rest"), ("a", "Alpha.", "rest"), ("b", "Mental arithmetic.", "mental arithmetic")
    )
    found = score_labels(WORKLOAD, told, None, LabelOptions(resamples=20, probe=False))
    assert found["probe"] is None
    assert found["stated"]["balanced_accuracy"]["value"] == 0.75
    assert found["stated"]["parse_failure_rate"] == pytest.approx(1 / 3)


def test_votes_of_experts_count_where_they_are_tied() -> None:
    told = [
        Labelled("a", "LPDs are seen.", "LPD", (("LPD", 3), ("Other", 1))),
        Labelled("b", "A seizure.", None, (("SZ", 2), ("GPD", 2))),
        Labelled("c", "Alpha.", "GRDA", (("GRDA", 4),)),
    ]
    found = score_labels(LABEL_TASKS["iiic"], told, None, LabelOptions(resamples=20, probe=False))
    assert found["stated"]["n_segments"] == 2
    assert found["votes"]["agreeing"]["mean"] == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert found["votes"]["ceiling"]["mean"] == pytest.approx((0.75 + 0.5 + 1) / 3)


class Teller:
    """Says of every segment that it is a generalized periodic discharge."""

    config, device, card = SimpleNamespace(history_k=2), "cpu", {"name": "teller"}

    def generate(self, batch: Any) -> list[Generation]:
        return [Generation("GPDs are seen.", (1,), (-0.1,))] * len(batch)


def test_only_the_labelled_segment_of_a_recording_counts(simulated: Recording) -> None:
    label = Label("pattern", "GPD", "segment", "votes", 20.0, 10.0, votes=(("GPD", 2), ("SZ", 1)))
    items = [
        Item("iiic", "a", lambda: Recorded("iiic/a", simulated, lambda: (label,))),
        Item("recordings", "b", lambda: pytest.fail("has no labels, so is not read")),
    ]
    found, unlabelled, missing = collect(Teller(), items, {})  # type: ignore[arg-type]
    assert found == {"iiic": [Labelled("iiic/a", "GPDs are seen.", "GPD", label.votes)]}
    assert unlabelled["iiic"] == 5
    assert missing["iiic"] == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two persons as EEGMAT publishes them, at rest and at work."""
    folder = tmp_path / "eegmat"
    folder.mkdir()
    write_edf(simulate(SimulationPreset(duration_s=12.0), seed=0).recording, folder / "Subject00_1.edf")
    for name in ("Subject00_2", "Subject01_1", "Subject01_2"):
        (folder / f"{name}.edf").write_bytes((folder / "Subject00_1.edf").read_bytes())
    return folder


def tell(items: Iterable[Item], file: Path) -> Path:
    """Predictions of the one segment of each recording."""
    texts = {"1": "Recorded at rest. Alpha dominates.", "2": "Beta dominates."}
    lines = [
        {"dataset": "workload", "recording": item.name, "start_s": 0.0, "text": texts[item.name[-1]]} for item in items
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_published_folder_is_scored_from_a_file_of_predictions(folder: Path, tmp_path: Path) -> None:
    file = tell(open_data(folder, "workload").items, tmp_path / "told.jsonl")
    where = ["--data", str(folder), "--dataset", "workload", "--predictions", str(file)]
    assert main(["evaluate", "labels", *where, "--json", str(tmp_path / "s.json")]) == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    part = scores["datasets"]["workload"]
    assert part["stated"]["confusion"] == {"mental arithmetic": {"invalid": 2}, "rest": {"rest": 2}}
    assert part["probe"]["balanced_accuracy"]["value"] == 1.0
    assert part["paper"]["NeuroNarrator"] == 0.584
    table = format_labels(scores)
    for words in ("workload: stated", "workload: probe", "paper: EEGConformer", "75.5", "2 folds, no person in two"):
        assert words in table


def test_missing_predictions_are_counted_and_those_of_a_whole_side_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first person is tested, the second trains the probe."""
    items = open_data(folder, "workload").items
    sides = {None: items, "test": items[:2], "train": items[2:]}
    monkeypatch.setattr(labels, "open_data", lambda data, dataset, split: Data(sides[split], ""))
    both = evaluate_labels(Predictions(tell(items, tmp_path / "both.jsonl")), folder, "workload", "test", OPTIONS)
    assert both["datasets"]["workload"]["probe"]["balanced_accuracy"]["value"] == 1.0
    assert both["datasets"]["workload"]["n_missing"] == 0
    tested = Predictions(tell(items[:2], tmp_path / "test.jsonl"))
    with pytest.raises(ValueError, match="without 2 segments of the training side"):
        evaluate_labels(tested, folder, "workload", "test", OPTIONS)
    scores = evaluate_labels(tested, folder, "workload", None, OPTIONS)
    assert scores["datasets"]["workload"]["n_missing"] == 2
    assert "workload: 2 segments without a narrative" in format_labels(scores)
    with pytest.raises(ValueError, match="got predictions of none of the 2 segments"):
        evaluate_labels(tested, folder, "workload", "train", OPTIONS)


def test_data_without_labels_is_refused(tmp_path: Path) -> None:
    write_edf(simulate(SimulationPreset(duration_s=12.0), seed=0).recording, tmp_path / "a.edf")
    with pytest.raises(ValueError, match="name the dataset by --dataset"):
        evaluate_labels(Teller(), tmp_path)  # type: ignore[arg-type]
