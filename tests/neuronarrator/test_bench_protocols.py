"""The two clinical protocols: truth of a segment, what an answer states, miniatures in the published layout."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import edfio
import numpy as np
import pytest
import torch

from corpus.dataset import Batch
from corpus.datasets import Label
from neuronarrator.evaluate.bench_protocols import PROTOCOLS, evaluate_protocol, format_protocol
from neuronarrator.language.generation import Generation


class Talker:
    """Answers every question with one word; notes what it was asked, and whether segments had a history."""

    device = torch.device("cpu")

    def __init__(self, word: str) -> None:
        self.card = {"name": "talker", "version": "", "sha256": "", "description": ""}
        self.config = SimpleNamespace(history_k=2)
        self.word, self.saw_history = word, False
        self.asked: list[str] = []

    def ask(self, batch: Batch, question: str) -> list[Generation]:
        self.saw_history |= bool(batch.history_mask.any())
        self.asked.append(question)
        return [Generation(self.word, (), ())] * len(batch)


def test_truth_of_a_seizure_and_of_four_stages() -> None:
    tusz, hmc = PROTOCOLS["tusz"], PROTOCOLS["hmc"]

    def labels(*values: str, kind: str = "event") -> list[Label]:
        return [Label(kind, value, "event", "") for value in values]

    assert tusz.truth(labels("bckg", "fnsz")) == tusz.truth(labels("seiz")) == "seizure"
    assert tusz.truth(labels("bckg")) == "no seizure"
    assert tusz.truth(labels("bckg", "nesz")) is None
    assert tusz.truth([]) is None
    assert [hmc.truth(labels(stage, kind="stage")) for stage in ("W", "N3", "R")] == ["W", "N3", None]
    assert hmc.truth(labels("N1", "N2", kind="stage")) is None


@pytest.mark.parametrize(
    ("name", "text", "asked", "told"),
    [
        ("tusz", "A", True, "seizure"),
        ("tusz", "**B** No.", True, "no seizure"),
        ("tusz", "No, there is no seizure.", True, "no seizure"),
        ("tusz", "There is no artifact.", False, None),
        ("tusz", "An electrographic seizure is seen.", False, "seizure"),
        ("tusz", "No electrographic seizure is seen.", False, "no seizure"),
        ("hmc", "C) NREM2", True, "N2"),
        ("hmc", "NREM3", True, "N3"),
        ("hmc", "This is stage N1.", True, "N1"),
        ("hmc", "REM sleep.", True, None),
    ],
)
def test_what_an_answer_states(name: str, text: str, asked: bool, told: str | None) -> None:
    assert PROTOCOLS[name].parse(text, asked) == told


def write_night(folder: Path, name: str, stages: tuple[str, ...]) -> None:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(len(stages))
    names = ("EEG F4-M1", "EEG C4-M1", "EEG O2-M1", "EEG C3-M2", "EMG chin", "EOG E1-M2", "EOG E2-M2", "ECG")
    signals = [edfio.EdfSignal(30 * rng.standard_normal(256 * 30 * len(stages)), 256, label=n, physical_dimension="uV")
               for n in names]  # fmt: skip
    edfio.Edf(signals).write(str(folder / f"{name}.edf"))
    remarks = [edfio.EdfAnnotation(30 * i, 30, f"Sleep stage {stage}") for i, stage in enumerate(stages)]
    edfio.Edf([], annotations=remarks).write(str(folder / f"{name}_sleepscoring.edf"))


def test_four_stages_on_the_published_side(tmp_path: Path) -> None:
    write_night(tmp_path / "recordings", "SN140", ("W", "N2", "R"))
    write_night(tmp_path / "recordings", "SN150", ("N2", "N2", "N1"))
    write_night(tmp_path / "recordings", "SN001", ("N3", "N3", "N3"))  # of the training side
    sleeper: Any = Talker("C")
    scores = evaluate_protocol(sleeper, tmp_path, "hmc", resamples=20)
    assert (scores["n_segments"], scores["n_left_out"], scores["n_subjects"]) == (15, 3, 2)
    assert scores["confusion"] == {"W": {"N2": 3}, "N1": {"N2": 3}, "N2": {"N2": 9}}
    assert scores["balanced_accuracy"]["value"] == pytest.approx(1 / 3)
    assert sleeper.asked[0].endswith("A) Wake\nB) NREM1\nC) NREM2\nD) NREM3")
    assert sleeper.saw_history
    assert "balanced_accuracy    0.333" in format_protocol(scores)
    with pytest.raises(ValueError, match="expected one of tusz, hmc"):
        evaluate_protocol(sleeper, tmp_path, "seed")
    with pytest.raises(ValueError, match="published side val"):
        evaluate_protocol(sleeper, tmp_path, "hmc", split="val")
