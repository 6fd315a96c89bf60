"""The IIIC samples on the real files, and the published folders."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg
from corpus.preprocess import preprocess
from corpus.recording import RecordingError

SPARCNET, IRR = get_dataset("iiic"), get_dataset("iiic-irr")


def votes(dataset, root: Path) -> dict[str, dict[str, int]]:
    return {e.subject: dict(e.labels[0].votes) for e in dataset.entries(root)}


def test_votes_of_sparcnet(shared_data: Path) -> None:
    entries = {e.id: e for e in SPARCNET.entries(shared_data / "iiic_sparcnet")}
    assert len(entries) == 18
    found = votes(SPARCNET, shared_data / "iiic_sparcnet")
    assert found["SZ_sample1"] == {"SZ": 3}
    assert found["GPD_sample2"] == {"Other": 5, "GPD": 13}
    assert found["LRDA_sample3"] == {"Other": 2, "SZ": 4, "LPD": 1, "LRDA": 13}
    assert found["GRDA_sample1"] == {"GRDA": 3}
    assert entries["Other_sample2"].labels[0].value == "SZ"  # the name follows the model, the label the experts
    assert entries["GRDA_sample3"].labels[0].value == "Other"
    for entry in entries.values():
        (label,) = entry.labels
        assert (label.kind, label.granularity) == ("pattern", "segment")
        assert (label.start_s, label.duration_s) == (20.0, 10.0)
        assert label.value in SPARCNET.card.labels


def test_votes_of_the_raters(shared_data: Path) -> None:
    entries = {e.id: e for e in IRR.entries(shared_data / "iiic_irr")}
    assert len(entries) == 12
    found = votes(IRR, shared_data / "iiic_irr")
    assert found["C_Sample03"] == {"SZ": 7, "LPD": 6}
    assert entries["C_Sample03"].labels[0].value == "SZ"
    assert found["L_Sample12"] == {"GPD": 9, "GRDA": 9}
    assert entries["L_Sample12"].labels[0].value == "tie"
    assert all(12 <= sum(counts.values()) <= 29 for counts in found.values())
    assert {(e.labels[0].start_s, e.labels[0].duration_s) for e in entries.values()} == {(0.0, 10.0)}


def test_a_sample_of_50_s(shared_data: Path) -> None:
    entry = next(e for e in SPARCNET.entries(shared_data / "iiic_sparcnet") if e.id == "GPD_sample1")
    recording = SPARCNET.load(entry).recording
    np.testing.assert_array_equal(recording.signal_uv, loadmat(entry.path)["seg"])
    assert (recording.sfreq, recording.duration_s) == (200.0, entry.duration_s)
    eeg = pick_eeg(recording)
    assert eeg.n_chans == 19
    assert [s.name for s in eeg.set_aside] == ["EKG"]
    assert 5 < np.median(eeg.signal_uv.std(axis=1)) < 300


def test_artifacts_of_40_mv_are_delivered_and_no_obstacle(shared_data: Path) -> None:
    entries = {e.id: e for e in SPARCNET.entries(shared_data / "iiic_sparcnet")}
    for name, highest in (("Other_sample1", 45_316.46), ("SZ_sample3", 39_880.34)):  # the first is all mains
        assert np.abs(SPARCNET.load(entries[name]).recording.signal_uv).max() == pytest.approx(highest, abs=0.01)
    recording = SPARCNET.load(entries["SZ_sample3"]).recording
    assert np.isfinite(preprocess(pick_eeg(recording)).signal_uv).all()


def test_all_samples_of_the_raters_load(shared_data: Path) -> None:
    for entry in IRR.entries(shared_data / "iiic_irr"):
        recording = IRR.load(entry).recording
        assert recording.signal_uv.shape == (20, 2000)
        assert recording.ch_names == tuple(np.load(entry.path)["ch_names"])


def test_published_folders(tmp_path: Path) -> None:
    samples, table = tmp_path / "Figure4to6" / "samples", tmp_path / "Figure3"
    for folder in (samples, table, tmp_path / "eFigure2"):
        folder.mkdir(parents=True)
    seg = np.random.default_rng(0).normal(0, 30, (20, 10000))
    savemat(samples / "LPD_sample4.mat", {"seg": seg})
    cell = np.empty((1, 3), object)
    cell[0] = ["LPD_sample4", np.array([[2, 0, 10, 0, 0, 0]], np.uint8), np.full((1, 6), 1 / 6)]
    lut = np.empty((6, 1), object)
    lut[:] = [[cell]] + [[np.empty((0, 3), object)]] * 5
    savemat(table / "samples.mat", {"LUT": lut})
    for folder in ("Figure2", "eFigure2"):
        (tmp_path / folder).mkdir(exist_ok=True)
        savemat(tmp_path / folder / "D_Sample04.mat", {"seg_10sec": seg[:, :2000], "vv": [[0, 8, 0, 7, 0, 0]]})

    (entry,) = SPARCNET.entries(tmp_path)
    assert (entry.id, entry.subject) == ("Figure4to6/samples/LPD_sample4", "LPD_sample4")
    assert (entry.labels[0].value, entry.labels[0].votes) == ("LPD", (("Other", 2), ("LPD", 10)))
    (entry,) = IRR.entries(tmp_path)
    assert (entry.labels[0].value, dict(entry.labels[0].votes)) == ("SZ", {"SZ": 8, "GPD": 7})
    assert IRR.load(entry).recording.duration_s == 10


def test_samples_without_votes_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "SZ_sample1.mat", {"seg": np.zeros((20, 10000))})
    with pytest.raises(ValueError, match=r"samples\.mat"):
        SPARCNET.entries(tmp_path)


def test_a_damaged_sample_does_not_lose_the_others(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "A_Sample01.npz").write_bytes(b"x" * 500)
    (tmp_path / "C_Sample03.npz").symlink_to(shared_data / "iiic_irr" / "C_Sample03.npz")
    damaged, whole = IRR.entries(tmp_path)
    assert whole.labels[0].value == "SZ"
    with pytest.raises(RecordingError, match=r"^A_Sample01\.npz: got content that cannot be decoded"):
        IRR.load(damaged)
