import numpy as np
import pytest

from corpus.describe import write_narrative
from corpus.findings import find_segments
from corpus.segment import Segment
from neuronarrator.verify import verify_narrative

NAMES = ("Fp1", "Fp2", "C3", "C4", "O1", "O2")


def make_findings() -> list:
    rng = np.random.default_rng(0)
    t = np.arange(2000) / 200
    first = rng.normal(0, 5, (6, 2000))
    second = rng.normal(0, 5, (6, 2000)) + 30 * np.sin(2 * np.pi * 10 * t) * np.array([0, 0, 0, 0, 1, 1.2])[:, None]
    return find_segments(
        [
            Segment(0, 0.0, 10.0, first, 200.0, NAMES),
            Segment(1, 10.0, 10.0, second, 200.0, NAMES, (0,)),
        ]
    )


def verdict(text: str, index: int = 1) -> str:
    (verified,) = verify_narrative(text, make_findings()[index])
    return verified.verdict


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Alpha activity dominates the spectrum.", "supported"),
        ("Delta activity dominates the spectrum.", "contradicted"),
        ("Alpha shows a marked increase.", "supported"),
        ("Alpha is stable.", "contradicted"),
        ("There is no marked decrease in alpha.", "supported"),
        ("There is no marked increase in alpha.", "contradicted"),
        ("O2 is the highest-energy channel.", "supported"),
        ("O1 is the highest-energy channel.", "contradicted"),
        ("Pz is the highest-energy channel.", "contradicted"),
        ("Power is highest over the occipital region.", "supported"),
        ("Power is highest over the temporal region.", "unverifiable"),
        ("O2 belongs to the high-energy tier.", "supported"),
        ("Fp1 belongs to the high-energy tier.", "contradicted"),
        ("The segment is free of artifacts.", "supported"),
        ("Eye blinks are present.", "contradicted"),
    ],
)
def test_verdicts(text: str, expected: str) -> None:
    assert verdict(text) == expected


def test_trend_without_history_is_unverifiable() -> None:
    assert verdict("Alpha is stable.", index=0) == "unverifiable"


def test_the_measured_number_comes_with_the_verdict() -> None:
    findings = make_findings()[1]
    (claim,) = verify_narrative("Alpha shows a marked increase.", findings)
    assert (claim.measured.unit, claim.measured.found) == ("ratio", "marked increase")
    assert claim.measured.value == pytest.approx(findings.features.trend_ratio[2])


def test_a_contradiction_names_what_the_signal_shows() -> None:
    (claim,) = verify_narrative("O1 is the highest-energy channel.", make_findings()[1])
    assert claim.measured.found == "O2"


def test_the_offline_writer_is_never_contradicted() -> None:
    for findings in make_findings():
        for seed in range(20):
            verdicts = {claim.verdict for claim in verify_narrative(write_narrative(findings, seed), findings)}
            assert verdicts == {"supported"}
