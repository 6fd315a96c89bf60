"""Captions against votes on patterns: what is read of a caption, and how it is scored."""

from pathlib import Path

import pytest

from corpus.dataset.mixture import NARRATE
from corpus.datasets.base import Label
from corpus.recording import Recording, RecordingError
from encoders.waveform import WaveformDetector
from neuronarrator.evaluate import patterns
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.patterns import evaluate_patterns, format_patterns, stated_pattern
from neuronarrator.evaluate.sources import Data, Item
from neuronarrator.language.prompts import TASK_INSTRUCTION


@pytest.fixture(scope="module")
def detector() -> WaveformDetector:
    return WaveformDetector.from_pretrained("tiny")


def test_mixtures_ask_for_narratives_in_the_words_of_narrators() -> None:
    assert NARRATE == TASK_INSTRUCTION


@pytest.mark.parametrize(
    ("caption", "pattern"),
    [
        ("Lateralized periodic discharges at approximately 1.0 Hz are seen over the left hemisphere.", "LPD"),
        ("An electrographic seizure at approximately 5.0 Hz is present.", "SZ"),
        ("No periodic or rhythmic pattern and no seizure is seen.", "Other"),
        ("Neither a periodic or rhythmic pattern nor a seizure is found.", "Other"),
        ("The background is symmetric.", None),
    ],
)
def test_what_a_caption_states(caption: str, pattern: str | None) -> None:
    assert stated_pattern(caption) == pattern


def test_simulated_segments_are_scored(detector: WaveformDetector) -> None:
    scores = evaluate_patterns(detector, persons=1, resamples=10)
    assert scores["patterns"]["n_segments"] == 6
    assert sum(sum(row.values()) for row in scores["patterns"]["confusion"].values()) == 6
    assert "six patterns" in format_patterns(scores)


def test_a_label_without_votes_is_skipped(
    detector: WaveformDetector, simulated: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Label("pattern", "LPD", "segment", "one reader", 10.0, 10.0)
    voted = Label("pattern", "GPD", "segment", "votes", 20.0, 10.0, votes=(("GPD", 2), ("SZ", 1)))
    items = [
        Item("iiic", name, lambda label=label: Recorded(label.source, simulated, lambda: (label,)))  # type: ignore[misc]
        for name, label in (("a", bare), ("b", voted))
    ]
    monkeypatch.setattr(patterns, "open_data", lambda *_: Data(items, ""))
    scores = evaluate_patterns(detector, ["iiic"], resamples=10)
    assert [sample["name"] for sample in scores["samples"]] == ["b"]
    assert scores["skipped"] == {"a": "no votes on the pattern from 10 s on: name data with votes, such as iiic"}
    del items[1]
    with pytest.raises(RecordingError, match="no votes on the pattern from 10 s on"):
        evaluate_patterns(detector, ["iiic"], resamples=10)


def test_real_votes_are_read(detector: WaveformDetector, shared_data: Path) -> None:
    scores = evaluate_patterns(detector, [shared_data / "iiic_irr"], resamples=10)
    assert scores["votes"]["n_segments"] == 12
    assert scores["patterns"]["n_segments"] == 5  # the others are ties
