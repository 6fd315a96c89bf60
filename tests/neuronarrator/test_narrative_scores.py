"""Scores of narratives: hand-worked figures, narrators known to be right, wrong or blind, a corpus."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from corpus.build import build_corpus
from corpus.claims import facts_of
from corpus.dataset import Batch
from corpus.describe import write_narrative
from corpus.findings import Findings, find_recording, find_segments
from corpus.recording import Recording
from corpus.segment import Segment
from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.evaluate import NarrativeOptions
from neuronarrator.evaluate.material import Recorded, Stored
from neuronarrator.evaluate.narrative_controls import control_numbers, replace_by_noise, shuffle_time
from neuronarrator.evaluate.narrative_scores import Scorer, summarise
from neuronarrator.evaluate.narratives import score_narratives
from neuronarrator.evaluate.references import WRITTEN, Reference, excerpt, find_excerpt, references_of
from neuronarrator.evaluate.sources import Item, open_data
from neuronarrator.evaluate.table import format_narratives
from neuronarrator.metrics import AXES, five_axes, rouge_scores

SCORER = Scorer(resamples=200, seed=0)
OPTIONS = NarrativeOptions(resamples=200)


@dataclass
class Written:
    text: str
    confidence: float


class Teller:
    """A narrator that says what a function of the true findings says, sure of what is not white."""

    def __init__(self, tell: Callable[[Findings], str]) -> None:
        self.tell, self.config, self.device = tell, SimpleNamespace(history_k=2), "cpu"
        self.card = {"name": "teller", "sha256": "0"}

    def generate(self, batch: Batch) -> list[Written]:
        found = []
        for now, past, known in zip(batch.signal_uv, batch.history_uv, batch.history_mask, strict=True):
            signals = [*past[known].numpy(), now.numpy()]
            segments = [
                Segment(i, 10.0 * i, 10.0, signal, 200.0, batch.ch_names, tuple(range(i)))
                for i, signal in enumerate(signals)
            ]
            findings = find_segments(segments)[-1]
            white = findings.features.dominant_band in ("beta", "gamma", "high_gamma")
            found.append(Written(self.tell(findings), 0.5 if white else 0.9))
        return found


def score(teller: Teller, recording: Recording, **options: Any) -> dict[str, Any]:
    """The scores of one recording that stands for two subjects of two datasets."""
    items = [
        Item(dataset, "monday", lambda subject=subject: Recorded(subject, recording))  # type: ignore[misc]
        for dataset, subject in (("adhd-child", "a"), ("workload", "b"))
    ]
    return score_narratives(teller, items, replace(OPTIONS, **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def perfect(simulated: Recording) -> dict[str, Any]:
    return score(Teller(lambda findings: write_narrative(findings, 7)), simulated)


@pytest.fixture(scope="module")
def found(simulated: Recording) -> list[Findings]:
    return find_recording(simulated)


# The five axes, ROUGE, hand-worked scores

RIGHT = {
    ("dominant_band", "", "alpha"),
    ("region", "", "occipital"),
    ("top_channel", "", "O1"),
    ("artifact", "", "none"),
    *(("trend", band, "stable") for band in ("delta", "theta", "alpha", "beta", "gamma")),
}


@pytest.mark.parametrize(
    ("axis", "wrong", "right"),
    [
        ("event", ("artifact", "", "blink"), ("artifact", "", "none")),
        ("location", ("region", "", "frontal"), ("region", "", "occipital")),
        ("dominant_band", ("dominant_band", "", "beta"), ("dominant_band", "", "alpha")),
        ("dominant_trend", ("trend", "alpha", "marked increase"), ("trend", "alpha", "stable")),
        ("other_trends", ("trend", "beta", "marked increase"), ("trend", "beta", "stable")),
    ],
)
def test_each_axis_is_lost_by_its_own_facts_alone(axis: str, wrong: Any, right: Any) -> None:
    assert five_axes(RIGHT, RIGHT) == dict.fromkeys(AXES, 1)
    for stated in ((RIGHT - {right}) | {wrong}, RIGHT - {right}, RIGHT | {wrong}):
        assert five_axes(stated, RIGHT) == {**dict.fromkeys(AXES, 1), axis: 0}


def test_axes_without_a_region_ask_for_the_electrode_and_without_history_for_silence() -> None:
    bare = {("dominant_band", "", "alpha"), ("top_channel", "", "O1")}
    assert five_axes(bare, bare) == dict.fromkeys(AXES, 1)
    assert five_axes(bare - {("top_channel", "", "O1")}, bare)["location"] == 0
    assert five_axes(bare | {("trend", "alpha", "stable")}, bare)["dominant_trend"] == 0
    assert five_axes(set(), bare)["other_trends"] == 1


def test_rouge_is_that_of_googles_package_without_a_stemmer() -> None:
    text, reference = "Delta activity dominates; alpha rises.", "The dominating activity is delta; alpha is rising."
    theirs = RougeScorer(["rouge1", "rougeL"], use_stemmer=False).score(reference, text)
    ours = rouge_scores(text, reference)
    assert ours == pytest.approx({"rouge_1": theirs["rouge1"].fmeasure, "rouge_l": theirs["rougeL"].fmeasure})
    assert ours["rouge_1"] == pytest.approx(2 * 3 / (5 + 8))  # delta, activity, alpha: "dominates" is no "dominating"


def reference_of(findings: Findings, facts: set[Any] | None = None) -> Reference:
    text = write_narrative(findings, 0)
    return Reference(findings.facts if facts is None else facts, text, WRITTEN, findings, text)


def test_hallucinations_and_omissions_are_counted_apart_and_by_kind(found: list[Findings]) -> None:
    findings = found[2]
    (band,) = (item.value for item in findings.of("dominant_band"))
    other = next(name for name in ("delta", "alpha") if name != band)
    text = f"{other.capitalize()} is the dominant band. The segment contains a flat channel."
    (scored,) = SCORER.score("adhd-child", "a", [text], [reference_of(findings)])
    assert scored.values["hallucinated"] == 2
    assert scored.values["omitted"] == len(findings.facts)
    assert scored.values["contradicted"] == 2
    assert scored.kinds["hallucinated", "dominant_band"] == scored.kinds["hallucinated", "artifact"] == 1
    assert scored.kinds["omitted", "trend"] == len(findings.of("trend")) > 0
    summary = summarise([scored, scored], SCORER)
    assert summary["hallucinations"]["by_kind"] == {"artifact": 2, "dominant_band": 2}
    assert summary["hallucinations"]["total"] == 4
    assert summary["hallucinated_per_segment"] == 2
    assert summary["omissions"]["by_kind"]["dominant_band"] == 2
    assert summary["claims"] == {"total": 4, "contradicted": 1.0}
    assert summary["claims_by_kind"]["artifact"] == {"contradicted": 2}
    assert summary["fact_f1"] == {"mean": 0.0, "sd": 0.0, "ci": None}  # one subject


def test_stored_facts_and_the_signal_are_two_references(found: list[Findings]) -> None:
    findings = found[2]
    told = {("dominant_band", "", "gamma")}
    text = "Gamma activity dominates the spectrum."
    (scored,) = SCORER.score("adhd-child", "a", [text], [reference_of(findings, told)])
    assert (scored.values["fact_f1"], scored.values["signal_fact_f1"]) == (1.0, 0.0)


def test_a_score_without_trends_does_not_mind_what_is_said_of_them(found: list[Findings]) -> None:
    findings = found[2]
    still = [fact for fact in findings.facts if fact[0] != "trend"]
    (band,) = (item.value for item in findings.of("dominant_band"))
    right, wrong = f"{band.capitalize()} is the dominant band.", "Gamma is the dominant band. Alpha rises strongly."
    silent, told, false = SCORER.score("workload", "a", ["", right, wrong], [reference_of(findings)] * 3)
    assert band != "gamma"
    assert len(still) < len(findings.facts)
    assert silent.values["fact_f1_without_trends"] == false.values["fact_f1_without_trends"] == 0
    assert told.values["fact_f1_without_trends"] == pytest.approx(2 / (1 + len(still)))
    assert told.values["fact_f1"] == pytest.approx(2 / (1 + len(findings.facts)))


def test_intervals_resample_subjects_and_a_share_is_a_ratio(found: list[Findings]) -> None:
    """One subject is always right, with one claim; the other always wrong, with three narratives of one claim."""
    reference = reference_of(found[0])
    (band,) = (item.value for item in found[0].of("dominant_band"))
    right, wrong = f"{band} is the dominant band.", f"{'beta' if band != 'beta' else 'delta'} is the dominant band."
    rows = SCORER.score("x", "good", [right], [reference]) + SCORER.score("x", "bad", [wrong] * 3, [reference] * 3)
    assert SCORER.contradicted(rows) == {"share": 0.75, "ci": [0.0, 1.0]}
    spread = SCORER.spreads([(row.subject, row.values) for row in rows])["supported"]
    assert (spread["mean"], spread["ci"]) == (0.25, [0.0, 1.0])
    assert spread["sd"] == pytest.approx(np.std([1, 0, 0, 0]))
    same = SCORER.score("x", "good", [right], [reference]) + SCORER.score("x", "bad", [right], [reference])
    assert SCORER.contradicted(same)["ci"] == [0.0, 0.0]


# Narrators whose scores are known


def test_a_narrator_that_measures_scores_as_the_template_oracle(perfect: dict[str, Any]) -> None:
    assert perfect["fact_f1"] == perfect["signal_fact_f1"] == {"mean": 1.0, "sd": 0.0, "ci": [1.0, 1.0]}
    assert perfect["axes"]["sum"]["mean"] == 5
    assert perfect["hallucinations"]["by_kind"] == perfect["omissions"]["by_kind"] == {}
    assert perfect["claims"] == {"total": perfect["claims"]["total"], "supported": 1.0}
    assert perfect["contradicted"] == {"share": 0.0, "ci": [0.0, 0.0]}
    oracle = perfect["template_oracle"]
    assert oracle["fact_f1"]["mean"] == oracle["signal_fact_f1"]["mean"] == 1.0
    assert oracle["distance"]["fact_f1"]["mean"] == 0.0
    assert oracle["rouge_l"]["mean"] < 1.0  # the same facts in other words
    assert perfect["n_segments"] == 12
    assert perfect["n_subjects"] == 2


def test_each_dataset_stands_beside_its_row_of_the_paper(perfect: dict[str, Any]) -> None:
    assert list(perfect["datasets"]) == ["adhd-child", "workload"]
    child = perfect["datasets"]["adhd-child"]
    assert child["paper"] == {"name": "ADHD-Child", "n_segments": 330, "fact_f1": 0.706, "rouge_l": 0.411}
    assert (child["n_segments"], child["n_subjects"], child["fact_f1"]["ci"]) == (6, 1, None)
    assert perfect["paper"]["fact_f1"] == 0.703


def test_altered_signals_change_the_narrative_and_the_confidence(perfect: dict[str, Any]) -> None:
    for name in ("time_shuffled", "noise"):
        control = perfect["controls"][name]
        assert control["n_segments"] == 8
        assert control["changed_text"]["mean"] == control["changed_facts"]["mean"] == 1.0
        assert control["own_fact_f1"]["mean"] == 1.0  # it reads what it is given, history included
        assert control["fact_f1"]["mean"] < 0.8
        assert control["confidence"]["mean"] == 0.5
        assert control["confidence_fall"]["mean"] == pytest.approx(0.4)
        assert control["less_confident"]["mean"] == 1.0


def test_a_narrator_that_does_not_look_stays_at_the_floor(simulated: Recording) -> None:
    scores = score(Teller(lambda _: "Alpha is the dominant band. No artifact is detected."), simulated)
    floor = scores["controls"]["another_segment"]
    assert floor["fact_f1"] == scores["fact_f1"]
    assert floor["distance"]["fact_f1"]["mean"] == 0.0
    assert scores["template_oracle"]["distance"]["fact_f1"]["mean"] == pytest.approx(1 - scores["fact_f1"]["mean"])
    for name in ("time_shuffled", "noise"):
        assert scores["controls"][name]["changed_text"]["mean"] == 0.0
        assert scores["controls"][name]["changed_facts"]["mean"] == 0.0
    assert "trend" not in scores["hallucinations"]["by_kind"]
    assert scores["omissions"]["by_kind"]["trend"] > 0


def test_the_floor_is_another_segment(perfect: dict[str, Any]) -> None:
    assert perfect["controls"]["another_segment"]["n_segments"] == 12
    assert perfect["controls"]["another_segment"]["fact_f1"]["mean"] < 0.8


def test_the_same_seed_gives_the_same_scores_and_all_of_them_are_json(
    perfect: dict[str, Any], simulated: Recording
) -> None:
    again = score(Teller(lambda findings: write_narrative(findings, 7)), simulated)
    assert json.dumps(again) == json.dumps(perfect)
    other = score(Teller(lambda findings: write_narrative(findings, 7)), simulated, seed=1, control_segments=0)
    assert other["rouge_l"] != perfect["rouge_l"]  # references in other words
    assert set(other["controls"]) == {"another_segment"}


def test_the_configuration_names_all_that_a_score_depends_on(perfect: dict[str, Any], simulated: Recording) -> None:
    config = perfect["config"]
    assert config["model"]["sha256"] == "0"
    assert config["references"] == {WRITTEN: 12}
    assert config["seeds"] == {"wording": 0, "bootstrap": 0, "controls": 0}
    assert "stemmer:no" in config["metrics"]["rouge_l"]
    assert {"neuronarrator", "torch", "torchmetrics"} <= set(config["versions"])
    half = replace(simulated, signal_uv=simulated.signal_uv[:, :6000])
    shorter = score(Teller(lambda _: ""), half, control_segments=0)
    assert shorter["config"]["data"]["sha256"] != config["data"]["sha256"]
    assert shorter["fact_f1"]["mean"] == 0.0


def test_the_table_shows_model_paper_and_baselines(perfect: dict[str, Any]) -> None:
    table = format_narratives({**perfect, "split": "test", "skipped": {"bad.edf": "no EEG"}})
    for line in ("paper: ADHD-Child", "all ", "template oracle", "floor: another segment", "time shuffled", "its fall"):
        assert line in table
    assert "skipped bad.edf: no EEG" in table
    assert "BERTScore" not in table
    assert "0.703" in table


# Altered signals


def test_shuffling_keeps_every_sample_and_noise_its_strength(found: list[Findings]) -> None:
    segment, rng = found[0].segment, np.random.default_rng(0)
    shuffled, noise = shuffle_time(segment, rng).signal_uv, replace_by_noise(segment, rng).signal_uv
    np.testing.assert_allclose(np.sort(shuffled), np.sort(segment.signal_uv))
    covariance = np.cov(segment.signal_uv)
    np.testing.assert_allclose(np.cov(shuffled), covariance, rtol=1e-4, atol=1e-3)  # one order for all channels
    np.testing.assert_allclose(noise.std(1), segment.signal_uv.std(1), rtol=0.1)
    assert np.abs(np.corrcoef(noise) - np.eye(len(noise))).max() < 0.15


def test_an_excerpt_brings_the_history_along(found: list[Findings]) -> None:
    segments, places = excerpt(found, [3, 4])
    assert [s.start_s for s in segments] == [10.0, 20.0, 30.0, 40.0]
    assert places == [2, 3]
    assert [segments[i].history for i in places] == [(0, 1), (1, 2)]
    longer, places_of_longer = excerpt(found, [3, 4], history_k=4)
    assert [longer[i].history for i in places_of_longer] == [(0, 1, 2), (0, 1, 2, 3)]
    measured = find_excerpt(longer)
    assert [measured[i].facts for i in places_of_longer] == [found[i].facts for i in (3, 4)]
    assert control_numbers(range(10), 4) == [3, 4, 5, 6]
    assert control_numbers([1, 2], 4) == [1, 2]
    assert control_numbers([1, 2], 0) == []


# A corpus


def test_a_corpus_is_scored_against_what_it_stores_and_against_its_signal(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_edf(simulate(SimulationPreset(duration_s=42.0), seed=3).recording, tmp_path / "in" / "a.edf")
    build_corpus([("folder", tmp_path / "in")], tmp_path / "corpus")
    stored = open_data(tmp_path / "corpus").items[0].load()
    assert isinstance(stored, Stored)
    plain = references_of(stored, *stored.findings(), seed=0)
    for reference in plain.values():
        assert reference.source == "stored, by writer"
        assert facts_of(reference.text) == reference.facts == reference.measured.facts == facts_of(reference.oracle)

    told = stored.reader[3]  # the last: history of no other
    facts = (("dominant_band", "", "gamma"),)
    findings = tuple(replace(f, value="gamma") for f in told.row.findings if f.kind == "dominant_band")
    row = replace(told.row, facts=facts, findings=findings, text=replace(told.row.text, narrative="Gamma.", source="m"))
    reader: Any = {i: stored.reader[i] for i in stored.numbers} | {3: replace(told, row=row)}
    retold = Stored(reader, stored.numbers)
    reference = references_of(retold, *retold.findings(), seed=0)[3]
    assert (reference.facts, reference.text, reference.source) == (set(facts), "Gamma.", "stored, by m")
    assert reference.measured.facts == plain[3].measured.facts


def test_a_stored_text_on_electrodes_that_are_left_out_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    preset = SimulationPreset(duration_s=22.0, ch_names=("Fp1", "Fp2", "FFC3h", "C3", "C4", "O1", "O2"))
    write_edf(simulate(preset, seed=9).recording, tmp_path / "in" / "dense.edf")
    build_corpus([("folder", tmp_path / "in")], tmp_path / "corpus")
    stored = open_data(tmp_path / "corpus").items[0].load()
    for reference in references_of(stored, *stored.findings(), seed=0).values():
        assert reference.source == WRITTEN
        assert reference.facts == reference.measured.facts == facts_of(reference.text)
