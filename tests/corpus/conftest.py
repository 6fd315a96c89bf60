"""Rows of a small made-up corpus, through the same functions as a real one."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.datasets.base import DatasetCard, Entry, Label
from corpus.describe import write_narrative, write_template
from corpus.findings import find_recording
from corpus.recording import Provenance, Recording, Subject
from corpus.store import Origin, Row, Text, row_of

CH_NAMES = ("Fp1", "Fp2", "C3", "C4", "P3", "P4", "O1", "O2")
SFREQ = 200.0


def make_signal(seed: int, seconds: float = 40.0, n_chans: int = len(CH_NAMES)) -> np.ndarray:
    """Noise with the spectrum of EEG in channels that share half of it, (C, T) µV."""
    rng = np.random.default_rng(seed)
    n_times = round(seconds * SFREQ)
    white = rng.standard_normal((n_chans + 1, n_times))
    freqs = np.fft.rfftfreq(n_times, 1 / SFREQ)
    shaped = np.fft.irfft(np.fft.rfft(white) / np.sqrt(1 + (freqs / 3) ** 2), n_times)
    return 40 * (shaped[1:] + shaped[0]).astype(np.float32)


def make_card(dataset: str = "demo", family: str = "", **facts: Any) -> DatasetCard:
    return DatasetCard(dataset, f"{dataset} title", "CC0", "nowhere", "nobody 2026", "extra", family=family, **facts)


def make_rows(
    recording_id: str = "S1/r1", subject: str = "S1", seed: int = 0, signal_uv: np.ndarray | None = None, **facts: Any
) -> list[Row]:
    """The rows of one recording of 40 s; `facts` are dataset, family, split, diagnosis, labels, sha256, part, file."""
    signal_uv = make_signal(seed) if signal_uv is None else signal_uv
    card = make_card(facts.get("dataset", "demo"), facts.get("family", ""))
    entry = Entry(
        recording_id, subject, Path("unused.edf"), diagnosis=facts.get("diagnosis", ()), part=facts.get("part", "")
    )
    digest = facts.get("sha256", hashlib.sha256(f"{card.name}/{recording_id}".encode()).hexdigest())
    provenance = Provenance(facts.get("file", "r.edf"), "EDF", digest, 500.0, ("notch 50 Hz",))
    origin = Origin(entry, card, provenance, Subject(34, "F"), facts.get("split", "train"), 50.0)
    labels = facts.get("labels", (Label("task", "rest", "file", "folder name"),))
    found = find_recording(Recording(signal_uv, SFREQ, CH_NAMES[: len(signal_uv)]))
    return [row_of(origin, f, labels, Text(write_template(f), write_narrative(f, i))) for i, f in enumerate(found)]


@pytest.fixture
def rows_of() -> Callable[..., list[Row]]:
    return make_rows


@pytest.fixture
def signal_of() -> Callable[..., np.ndarray]:
    return make_signal


@pytest.fixture
def card_of() -> Callable[..., DatasetCard]:
    return make_card
