"""The shipped model on real recordings of every format at hand."""

from pathlib import Path

import numpy as np
import pytest

from corpus.recording import read_recording
from neuronarrator.narrator import Narrator

SAMPLE = ("eegmat/Subject28_2.edf", "eegmmidb/S050R02.edf", "eeglab_sample/eeglab_data.set")
FEW_ELECTRODES = "sleep_samples/data_resting_EO_200Hz_raw.fif"


@pytest.fixture(scope="module")
def tiny() -> Narrator:
    return Narrator.from_pretrained("tiny")


def check(narrator: Narrator, path: Path) -> None:
    result = narrator.narrate(path)
    segments = result.document["segments"]
    assert len(segments) == int(read_recording(path).duration_s // 10)
    assert result.topomaps.shape == (len(segments), 224, 224, 3)
    for segment in segments:
        assert segment["narrative"]
        assert np.isfinite(list(segment["features"]["band_power_uv2"].values())).all()


@pytest.mark.parametrize("file", [*SAMPLE, FEW_ELECTRODES])
def test_a_sample_of_real_recordings_is_narrated(tiny: Narrator, shared_data: Path, file: str) -> None:
    check(tiny, shared_data / file)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_real_recording_is_narrated(tiny: Narrator, shared_data: Path) -> None:
    files = [p for p in sorted(shared_data.rglob("*")) if p.suffix in (".edf", ".bdf", ".fif", ".set")]
    assert len(files) > 70
    for path in files:
        check(tiny, path)


@pytest.mark.parametrize("file", SAMPLE)
def test_the_shipped_model_says_what_the_signal_shows(tiny: Narrator, shared_data: Path, file: str) -> None:
    """A bar well below the figures of the model card: a broken model fails it, a new edition need not move it."""
    segments = tiny.narrate(shared_data / file).segments
    verdicts = [claim.verdict for segment in segments for claim in segment.claims]
    assert len(verdicts) > 8 * len(segments)
    assert verdicts.count("contradicted") < 0.2 * len(verdicts)


def test_a_report_holds_no_identity(tiny: Narrator, shared_data: Path) -> None:
    """EEGMAT headers carry a name, a birthday and a date."""
    document = tiny.narrate(shared_data / "eegmat/Subject28_2.edf").document
    assert "birth" not in str(document).lower()
    assert set(document["recording"]["subject"]) == {"age_years", "sex"}
