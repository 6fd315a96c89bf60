"""Findings to text and back: the writer states the findings and nothing else, in every wording."""

import numpy as np
import pytest

from corpus.artifacts import ARTIFACT_KINDS, Artifact
from corpus.claims import facts_of, parse_claims
from corpus.describe import write_narrative, write_template
from corpus.features import BANDS, Features, asymmetry_index, energy_tiers
from corpus.findings import Findings, Labels, find
from corpus.montage import ELECTRODE_NAMES
from corpus.segment import Segment


def random_findings(seed: int, labels: Labels | None = None) -> Findings:
    rng = np.random.default_rng(seed)
    names = tuple(rng.permutation(ELECTRODE_NAMES)[: rng.integers(2, 32)].tolist())
    band_power = np.exp(rng.normal(1, 1.5, (len(names), 6)))
    power = band_power.sum(1)
    history = None if seed % 4 == 0 else band_power.mean(0) * np.exp(rng.normal(0, 0.6, 6))
    features = Features(
        names,
        band_power,
        power,
        energy_tiers(power),
        10.0,
        float(rng.uniform(5, 80)),
        float(asymmetry_index(power, names)),
        history,
    )
    kinds = rng.permutation(ARTIFACT_KINDS)[: rng.integers(0, 4)].tolist()
    artifacts = [Artifact(kind, names[:1], 0.0, 1.0, 1.0, "µV") for kind in kinds]
    return find(Segment(0, 0.0, 10.0, np.zeros((len(names), 0)), 200.0, names), features, artifacts, labels)


@pytest.mark.parametrize("seed", range(200))
def test_reading_a_narrative_gives_back_exactly_its_findings(seed: int) -> None:
    findings = random_findings(seed)
    for wording in range(3):
        text = write_narrative(findings, wording)
        assert facts_of(text) == findings.facts, text


def test_wording_varies_by_seed_and_is_deterministic() -> None:
    findings = random_findings(1)
    texts = [write_narrative(findings, seed) for seed in range(20)]
    assert len(set(texts)) > 10
    assert texts == [write_narrative(findings, seed) for seed in range(20)]


def test_claims_point_at_their_words() -> None:
    text = write_narrative(random_findings(3), 0)
    for claim in parse_claims(text):
        begin, end = claim.span
        assert 0 <= begin < end <= len(text)
        assert claim.text in text


def test_template_has_the_three_parts_of_the_paper() -> None:
    findings = random_findings(5, Labels(19, "F", "mental arithmetic"))
    labels, frequency, spatial = write_template(findings).splitlines()
    assert "19-year-old female subject" in labels
    assert "during mental arithmetic" in labels
    assert frequency.count("µV²") == len(BANDS)
    assert findings.features.top_channel in spatial
    for tier in ("High", "Medium", "Low"):
        assert f"{tier}-energy channels:" in spatial


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("The delta band exhibits the highest power.", ("dominant_band", "", "delta")),
        ("Theta activity shows a noticeable increase.", ("trend", "theta", "moderate increase")),
        ("The alpha band presents a significant decrease.", ("trend", "alpha", "marked decrease")),
        ("Stable readings are observed in both the beta and gamma bands.", ("trend", "gamma", "stable")),
        ("High-gamma power remains stable.", ("trend", "high_gamma", "stable")),
        ("C4 is the highest-energy channel.", ("top_channel", "", "C4")),
        ("Power is highest over the fronto-central region.", ("region", "", "central")),
        ("Fz and T3 belong to the high-energy tier.", ("tier", "T3", "high")),
        ("No muscle artifact is seen.", ("artifact", "", "not muscle")),
        ("There is no marked increase in theta.", ("trend", "theta", "not marked increase")),
    ],
)
def test_common_paraphrases_are_read(text: str, fact: tuple[str, str, str]) -> None:
    assert fact in facts_of(text)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("The segment is free of muscle artifact.", {("artifact", "", "not muscle")}),
        ("Eye blinks are not seen.", {("artifact", "", "not blink")}),
        ("Muscle artifact and blinks are absent.", {("artifact", "", "not muscle"), ("artifact", "", "not blink")}),
        (
            "Neither blinks nor muscle artifact is seen.",
            {("artifact", "", "not blink"), ("artifact", "", "not muscle")},
        ),
        (
            "No blinks are seen and delta dominates the spectrum.",
            {("artifact", "", "not blink"), ("dominant_band", "", "delta")},
        ),
        ("Cz is the highest-energy channel, not Fz.", {("top_channel", "", "Cz")}),
        ("The highest-energy channel is not Fz.", {("top_channel", "", "not Fz")}),
        (
            "Delta dominates without muscle artifact, peaking at Fz.",
            {("dominant_band", "", "delta"), ("artifact", "", "not muscle"), ("top_channel", "", "Fz")},
        ),
        ("The spectrum is dominated by delta, followed by theta and alpha.", {("dominant_band", "", "delta")}),
        (
            "C3 and C4 belong to the high-energy tier, O1 to the low-energy tier.",
            {("tier", "C3", "high"), ("tier", "C4", "high"), ("tier", "O1", "low")},
        ),
        (
            "The high-energy tier holds C3, the low-energy tier O1 and O2.",
            {("tier", "C3", "high"), ("tier", "O1", "low"), ("tier", "O2", "low")},
        ),
        ("Alpha and beta show no marked increase.", {("trend", b, "not marked increase") for b in ("alpha", "beta")}),
    ],
)
def test_words_reach_as_far_as_they_are_meant(text: str, facts: set[tuple[str, str, str]]) -> None:
    assert facts_of(text) == facts


@pytest.mark.parametrize(
    "text",
    [
        "Power is lower over the left hemisphere.",
        "The left hemisphere is weaker.",
        "Power is lowest over the frontal region.",
    ],
)
def test_where_there_is_less_nothing_is_claimed_to_be_most(text: str) -> None:
    assert parse_claims(text) == []


def test_a_clause_does_not_leak_into_the_next() -> None:
    facts = facts_of("Delta falls markedly, while theta rises moderately; alpha is unchanged.")
    assert facts == {
        ("trend", "delta", "marked decrease"),
        ("trend", "theta", "moderate increase"),
        ("trend", "alpha", "stable"),
    }


def test_text_without_claims_has_none() -> None:
    assert parse_claims("No preceding segment is available for comparison. The patient slept.") == []
