"""The example of NeuroNarrator (Table 2): a segment of mental arithmetic, its figures, and the same kinds of facts.

The figures are those of the paper; powers that it does not print are chosen so that the printed tiers follow.
"""

from pathlib import Path

import numpy as np
import pytest

from corpus.build import BuildConfig, build_corpus
from corpus.describe import write_narrative, write_template
from corpus.features import BANDS, Features, energy_tiers
from corpus.findings import Findings, Labels, find
from corpus.refine.validate import check_answer
from corpus.segment import Segment
from corpus.store import CorpusReader

BAND_POWER_UV2 = (39.8676, 11.5915, 5.7254, 5.2747, 1.1490, 0.0810)
TRENDS = ("moderate decrease", "moderate increase", "marked decrease", "stable", "stable", "stable")
AGAINST_HISTORY = (0.7, 1.4, 0.4, 1.0, 1.0, 1.0)  # ratios that these words stand for
HIGH, MEDIUM = ("Fz", "C4", "Pz"), ("F3", "F4", "F8", "C3", "Cz", "P3", "P4", "T4", "T6")
LOW = ("F7", "O1", "O2", "T3", "T5")
TOP_POWER_UV2 = 103.2591


@pytest.fixture(scope="module")
def printed() -> Findings:
    """Findings of a segment with the printed figures."""
    names = (*HIGH, *MEDIUM, *LOW)
    power = np.array([90.0] * len(HIGH) + [55.0] * len(MEDIUM) + [20.0] * len(LOW))
    power[names.index("C4")] = TOP_POWER_UV2
    features = Features(
        ch_names=names,
        channel_band_power_uv2=np.tile(BAND_POWER_UV2, (len(names), 1)),
        channel_power_uv2=power,
        tiers=energy_tiers(power),
        dominant_hz=1.5,
        amplitude_uv=20.0,
        asymmetry_index=0.0,
        history_band_power_uv2=np.array(BAND_POWER_UV2) / AGAINST_HISTORY,
    )
    segment = Segment(2, 20.0, 10.0, np.zeros((len(names), 2000), np.float32), 200.0, names, history=(0, 1))
    return find(segment, features, labels=Labels(19, "F", "mental arithmetic"))


def test_template_states_the_printed_figures_in_three_parts(printed: Findings) -> None:
    labels, frequency, spatial = write_template(printed).splitlines()
    assert all(words in labels for words in ("19-year-old female subject", "mental arithmetic"))
    assert all(f"{power:.4f} µV²" in frequency for power in BAND_POWER_UV2)
    assert "delta (0-4 Hz): 39.8676" in frequency
    assert f"C4 ({TOP_POWER_UV2} µV²)" in spatial
    assert "High-energy channels: C4, Fz, Pz." in spatial
    assert f"Medium-energy channels: {', '.join(MEDIUM)}." in spatial
    assert f"Low-energy channels: {', '.join(LOW)}." in spatial


def test_findings_are_those_that_the_paper_tells(printed: Findings) -> None:
    assert ("dominant_band", "", "delta") in printed.facts
    assert {("trend", band, trend) for band, trend in zip(BANDS, TRENDS, strict=True)} <= printed.facts
    assert ("top_channel", "", "C4") in printed.facts


def test_the_offline_writer_passes_the_validator(printed: Findings) -> None:
    for seed in range(100):
        text = write_narrative(printed, seed)
        assert check_answer(text, printed).text == text


def test_a_real_segment_of_mental_arithmetic_tells_the_same_kinds_of_facts(shared_data: Path, tmp_path: Path) -> None:
    root = tmp_path / "eegmat"
    root.mkdir()
    for name in ("Subject02_2.edf", "subject-info.csv"):  # a woman of 19
        (root / name).symlink_to(shared_data / "eegmat" / name)
    build_corpus([("workload", root)], tmp_path / "corpus", BuildConfig(label_visibility="full"))
    reader = CorpusReader(tmp_path / "corpus")
    assert len(reader) == 6
    for row in (reader[i].row for i in range(len(reader))):
        labels, frequency, spatial = row.text.template.splitlines()
        assert all(words in labels for words in ("19-year-old female subject", "mental arithmetic"))
        assert frequency.count("µV²") == len(BANDS)
        assert all(f"{tier}-energy channels:" in spatial for tier in ("High", "Medium", "Low"))
        kinds = {kind for kind, _, _ in row.facts}
        assert {"dominant_band", "amplitude", "top_channel", "region", "asymmetry", "artifact"} <= kinds
        assert ("trend" in kinds) == bool(row.history)
        segment = Segment(row.segment_index, row.start_s, row.duration_s, row.signal_uv, row.sfreq, row.ch_names)
        told = find(segment, row.features, labels=Labels(19, "F", "mental arithmetic"))
        for seed in range(20):
            text = write_narrative(told, seed)
            assert check_answer(text, told).text == text
