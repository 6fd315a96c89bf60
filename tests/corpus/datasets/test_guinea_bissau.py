"""Guinea-Bissau on the real files, and a generated recording with every defect."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import welch

from corpus.datasets import get_dataset, guinea_bissau
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

DATASET = get_dataset("guinea-bissau")


def states(entry) -> list[tuple[str, float, float]]:
    return [(x.value, x.start_s, x.start_s + x.duration_s) for x in entry.labels if x.kind == "condition"]


def test_entries(shared_data: Path) -> None:
    entries = {e.subject: e for e in DATASET.entries(shared_data / "guinea_bissau")}
    assert sorted(map(int, entries)) == [*range(1, 13), 16, 18]
    assert Counter(e.diagnosis for e in entries.values()) == {("epilepsy",): 7, ("healthy control",): 7}
    assert states(entries["3"]) == [("eyes closed", 0, 180), ("eyes open", 180, 300)]
    assert states(entries["2"]) == [("eyes open", 0, 180), ("eyes closed", 180, 300)]
    assert states(entries["4"]) == [("eyes closed", 0, 180), ("eyes open", 180, 299)]  # it ends at 299 s
    assert "14:33" not in repr(entries["1"])  # start time
    assert "electrodes" not in repr(entries["1"])  # remark


def test_every_published_remark_is_known(shared_data: Path) -> None:
    with (shared_data / "guinea_bissau" / "metadata_guineabissau.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == DATASET.card.expected_recordings
    doubtful = {r["Remarks"] for r in rows if not guinea_bissau._schedule(r["Eyes.condition"], r["Remarks"])}
    assert doubtful == {"EEG restarted 3 times due to dreadlocks", "Stored in second dataset"}
    assert guinea_bissau._EXCEPTIONS.keys() | guinea_bissau._HARMLESS == {r["Remarks"] for r in rows} - doubtful
    for row in rows:  # a remark of "eyes open after X" belongs to an order that begins with closed ones
        schedule = guinea_bissau._schedule(row["Eyes.condition"], row["Remarks"])
        assert all(state == f"eyes {row['Eyes.condition'].split('-')[0]}" for state, start, _ in schedule if start == 0)


def test_recordings(shared_data: Path) -> None:
    for entry in DATASET.entries(shared_data / "guinea_bissau"):
        loaded = DATASET.load(entry)
        recording = loaded.recording
        assert recording.ch_names == DATASET.card.ch_names
        assert recording.sfreq == 128
        assert recording.duration_s == pytest.approx(entry.duration_s, abs=1)
        np.testing.assert_allclose(np.nanmedian(recording.signal_uv, axis=1), 0, atol=1e-9)
        assert 10 < np.nanmedian(np.abs(recording.signal_uv)) < 1000
        assert pick_eeg(recording).n_chans == 14
        posterior = np.nan_to_num(recording.signal_uv[[recording.ch_names.index(n) for n in ("O1", "O2", "P7", "P8")]])
        alpha = {}
        for label in loaded.labels:
            if label.kind == "condition":
                start, stop = (round(128 * t) for t in (label.start_s + 5, label.start_s + label.duration_s - 5))
                freqs, power = welch(posterior[:, start:stop], 128, nperseg=256, average="median")
                alpha[label.value] = np.median(power[:, (freqs >= 8) & (freqs <= 12)].mean(axis=1))
        assert alpha["eyes closed"] > alpha["eyes open"], entry.subject  # in all of them


def write(folder: Path, rows: np.ndarray, remark: str = "NA", seconds: int = 305) -> None:
    """A recording and its table in the published layout; columns in another order than ours."""
    names = [*reversed(guinea_bissau._CH_NAMES), "COUNTER", "INTERPOLATED", "GYROX", "CQ_CMS"]
    (folder / "EEGs_Guinea-Bissau").mkdir(exist_ok=True)
    with gzip.open(folder / "EEGs_Guinea-Bissau" / "signal-7.csv.gz", "wt") as stream:
        stream.write(",".join(f'"{name}"' for name in ("", *names)) + "\n")
        for i, row in enumerate(rows):
            stream.write(f'"{i + 1}",' + ",".join(f"{value:.6f}" for value in row) + "\n")
    head = "subject.id,Group,Eyes.condition,Remarks,recordedPeriod,startTime"
    row = f'7,Epilepsy,closed-3min-then-open-2min,"{remark}",{seconds},27-05-2020 14:33'
    (folder / "metadata_guineabissau.csv").write_text(f"{head}\n{row}\n")


@pytest.fixture
def rows() -> np.ndarray:
    rows = np.full((1408, 18), 4000.0)
    rows[:, 14:] = (0, 0, 1555, 4)
    rows[::2, :14] += 10 * np.arange(1, 15)  # reversed order: AF3 has 14
    return rows


def test_offset_dropouts_saturation_and_interpolation(tmp_path: Path, rows: np.ndarray) -> None:
    rows[100, 13], rows[101, 13], rows[102, 13] = 0.0, 8333.3, 8332.0  # AF3
    rows[103, 15] = 1
    write(tmp_path, rows)
    (entry,) = DATASET.entries(tmp_path)
    recording = DATASET.load(entry).recording
    af3, af4 = recording.signal_uv[:2]
    assert np.flatnonzero(np.isnan(af3)).tolist() == [100, 101, 103]
    assert np.flatnonzero(np.isnan(af4)).tolist() == [103]
    assert af3[102] == pytest.approx(8332 - 4000 - np.nanmedian(rows[:, 13] - 4000), abs=140)
    assert np.ptp(af3[:100]) == pytest.approx(140)
    assert np.ptp(af4[:100]) == pytest.approx(130)
    assert "14:33" not in repr(recording)


def test_a_dead_electrode_is_missing(tmp_path: Path, rows: np.ndarray) -> None:
    rows[:, 13] = 0.0
    write(tmp_path, rows)
    (entry,) = DATASET.entries(tmp_path)
    recording = DATASET.load(entry).recording
    assert np.isnan(recording.signal_uv[0]).all()
    assert np.isfinite(recording.signal_uv[1:]).all()


@pytest.mark.parametrize(
    ("remark", "seconds", "expected"),
    [
        ("30sec more eyes closed", 319, [("eyes closed", 0, 180), ("eyes open", 210, 300)]),
        ("After 5min eyes open", 422, [("eyes closed", 0, 300), ("eyes open", 300, 420)]),
        ("after 3:30 eyes open", 250, [("eyes closed", 0, 210), ("eyes open", 210, 250)]),
        ("became mute", 299, [("eyes closed", 0, 180), ("eyes open", 180, 299)]),
        ("EEG restarted 3 times due to dreadlocks", 316, []),
        ("something new about eyes", 316, []),
    ],
)
def test_remarks_decide_on_the_eyes(
    tmp_path: Path, rows: np.ndarray, remark: str, seconds: int, expected: list[tuple[str, int, int]]
) -> None:
    write(tmp_path, rows, remark, seconds)
    (entry,) = DATASET.entries(tmp_path)
    assert states(entry) == expected
    if not expected:
        assert any("in doubt" in warning for warning in DATASET.load(entry).recording.warnings)


def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, rows: np.ndarray) -> None:
    write(tmp_path, rows)
    file = tmp_path / "EEGs_Guinea-Bissau" / "signal-7.csv.gz"
    (entry,) = DATASET.entries(tmp_path)
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], b"x" * 500, gzip.compress(b""), gzip.compress(b'"","AF3"\n"1",3\n')):
        file.write_bytes(content)
        with pytest.raises(RecordingError, match=r"^signal-7\.csv\.gz: got a table.*copy it again$"):
            DATASET.load(entry)


def test_the_table_is_needed(tmp_path: Path, rows: np.ndarray) -> None:
    write(tmp_path, rows)
    (tmp_path / "metadata_guineabissau.csv").unlink()
    with pytest.raises(ValueError, match="metadata_guineabissau"):
        DATASET.entries(tmp_path)
