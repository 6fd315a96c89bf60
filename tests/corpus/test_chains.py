"""Electrodes from bipolar derivations: the potentials that made the differences come back, against their average."""

import numpy as np
import pytest

from corpus.chains import solve_chains
from corpus.datasets.tuh_labels import TCP_CHANNELS
from corpus.montage import pick_eeg
from corpus.recording import Recording, RecordingError, SignalReader

LABELS = """
    Fp1-F7 F7-T7 T7-P7 P7-O1 Fp2-F8 F8-T8 T8-P8 P8-O2 P7-T7 T7-FT9 FT9-FT10 FT10-T8 T8-P8-0 Fz-Cz
"""
LINKED = LABELS.split()
ELECTRODES = ("Fp1", "F7", "T7", "P7", "O1", "Fp2", "F8", "T8", "P8", "O2", "FT9", "FT10")


def derivations(labels: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Signals of the derivations, and potentials of `ELECTRODES` against their average, (channels, 1000) each, uV."""
    rng = np.random.default_rng(0)
    known = (*ELECTRODES, "Fz", "Cz", "F3", "C3")
    potential = dict(zip(known, 20 * rng.standard_normal((len(known), 1000)), strict=True))
    signal = np.stack([potential[a] - potential[b] for a, b in (label.split("-")[:2] for label in labels)])
    wanted = np.stack([potential[name] for name in ELECTRODES])
    return signal, wanted - wanted.mean(0)


def test_linked_chains_give_the_electrodes_against_their_average() -> None:
    signal, wanted = derivations(LINKED)
    done = pick_eeg(Recording(np.vstack([signal, signal[:1]]), 200.0, (*LINKED, "ECG")))
    assert done.ch_names == ELECTRODES
    np.testing.assert_allclose(done.signal_uv, wanted, atol=1e-9)
    assert {aside.name: aside.why for aside in done.set_aside} == {
        "Fz-Cz": "bipolar derivation Fz-Cz",
        "ECG": "heart channel (ECG)",
    }
    assert any("their own average" in warning for warning in done.warnings)


@pytest.mark.parametrize("pattern", ["{}", "EEG {}"])
def test_chains_that_end_at_the_ears_give_their_electrodes(pattern: str) -> None:
    rng = np.random.default_rng(0)
    potential = {name: 20 * rng.standard_normal(1000) for pair in TCP_CHANNELS for name in pair.split("-")}
    signal = np.stack([potential[a] - potential[b] for a, b in (label.split("-") for label in TCP_CHANNELS)])
    done = pick_eeg(Recording(signal, 200.0, tuple(pattern.format(label) for label in TCP_CHANNELS)))
    wanted = np.stack([potential[name.upper()] for name in done.ch_names])
    assert done.n_chans == 17
    np.testing.assert_allclose(done.signal_uv, wanted - wanted.mean(0), atol=1e-9)
    assert {aside.name: aside.why for aside in done.set_aside} == {
        pattern.format("A1-T3"): "bipolar derivation A1-T3",
        pattern.format("T4-A2"): "derivation against an ear",
    }


@pytest.mark.parametrize(
    "labels", [("C3-A2", "C4-A1", "Fz-Cz"), ("C3-REF", *LINKED), (*(f"{e}-A2" for e in ELECTRODES[:4]), *LINKED)]
)
def test_electrodes_are_kept_where_chains_give_no_more(labels: tuple[str, ...]) -> None:
    signal = np.random.default_rng(0).normal(0, 20, (len(labels), 1000))
    done = pick_eeg(Recording(signal, 200.0, labels))
    assert done.ch_names == tuple(label.split("-")[0] for label in labels if label.endswith(("A1", "A2", "REF")))


def test_a_long_recording_is_computed_piece_by_piece() -> None:
    signal, wanted = derivations(LINKED)
    reader = SignalReader(lambda start, stop: signal[:, start:stop], signal.shape)
    done = pick_eeg(Recording(reader, 200.0, tuple(LINKED)))
    assert isinstance(done.signal_uv, SignalReader)
    np.testing.assert_allclose(done.signal_uv[:, 100:300], wanted[:, 100:300], atol=1e-9)


def test_a_gap_of_one_derivation_is_a_gap_of_all_electrodes() -> None:
    signal, wanted = derivations(LINKED)
    signal[3, 10:20] = np.nan
    done = pick_eeg(Recording(signal, 200.0, tuple(LINKED)))
    assert np.isnan(done.signal_uv[:, 10:20]).all()
    np.testing.assert_allclose(done.signal_uv[:, 20:], wanted[:, 20:], atol=1e-9)


def test_chains_that_leave_the_sides_apart_are_refused() -> None:
    labels = [label for label in LINKED if label != "FT9-FT10"]
    with pytest.raises(RecordingError, match="derivations that link those of both sides"):
        pick_eeg(Recording(derivations(labels)[0], 200.0, tuple(labels)))


def test_a_constant_derivation_links_nothing() -> None:
    signal, _ = derivations(LINKED)
    signal[LINKED.index("FT9-FT10")] = 0.0
    with pytest.raises(RecordingError, match="derivations that link"):
        pick_eeg(Recording(signal, 200.0, tuple(LINKED)))


def test_the_largest_part_is_solved() -> None:
    names, weights = solve_chains([("Fz", "Cz"), ("F3", "C3"), ("C3", "P3")])
    assert names == ("F3", "C3", "P3")
    np.testing.assert_allclose(weights @ [9.0, 3.0, 6.0], [4.0, 1.0, -5.0], atol=1e-12)
