"""Recordings too long for memory: read, preprocessed and cut piece by piece, with the same result."""

from dataclasses import replace
from pathlib import Path

import edfio
import numpy as np
import pytest

from corpus.datasets import get_dataset
from corpus.montage import pick_eeg
from corpus.preprocess import CEREBRAGLOSS, pick_channels, preprocess, preprocess_stream
from corpus.recording import Recording, SignalReader, edf, read_recording
from corpus.segment import segment_recording, segment_stream
from corpus.simulate import SimulationPreset, simulate, write_edf


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "rec.edf"
    recording = simulate(SimulationPreset(duration_s=95.0, sfreq=250.0), seed=3).recording
    signal_uv = recording.signal_uv.copy()
    signal_uv[4] = 7.0  # a channel that never changes
    write_edf(replace(recording, signal_uv=signal_uv), path)
    return path


@pytest.fixture
def lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    monkeypatch.setattr(edf, "BLOCK_BYTES", 20_000)


def test_a_long_recording_is_read_when_it_is_sliced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_recording(file)
    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    pieces = read_recording(file)
    assert isinstance(pieces.signal_uv, SignalReader)
    assert pieces.signal_uv.shape == whole.signal_uv.shape
    assert replace(pieces, signal_uv=whole.signal_uv).provenance == whole.provenance
    assert pieces.annotations == whole.annotations
    for rows, start, stop in ((slice(None), 0, 10), (slice(2, 5), 251, 1777), (slice(None), 23_000, 23_750)):
        np.testing.assert_array_equal(pieces.signal_uv[rows, start:stop], whole.signal_uv[rows, start:stop])


def test_other_rates_of_a_long_recording_lose_no_electrode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*channels: tuple[str, int]) -> Recording:
        rng = np.random.default_rng(0)
        signals = [
            edfio.EdfSignal(rng.normal(0, 20, 20 * rate), rate, label=label, physical_dimension="uV")
            for label, rate in channels
        ]
        edfio.Edf(signals).write(tmp_path / "a.edf")
        return read_recording(tmp_path / "a.edf")

    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    recording = read(("ECG", 512), ("EEG C3-REF", 200), ("FFC1h", 200), ("EMG", 1))
    assert isinstance(recording.signal_uv, SignalReader)
    assert recording.ch_names == ("EEG C3-REF", "FFC1h")
    assert [(aside.name, aside.why) for aside in recording.set_aside] == [
        ("ECG", "recorded at 512 Hz, the EEG of a long recording at 200 Hz"),
        ("EMG", "recorded at 1 Hz, the EEG of a long recording at 200 Hz"),
    ]
    for electrode in ("FFC1h", "EEGO1", "POL C4"):  # of another rate
        assert read(("Cz", 200), (electrode, 100), ("ECG", 512)).ch_names == ("Cz", electrode, "ECG")


def test_channels_are_picked_and_signals_preprocessed_alike(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = preprocess(pick_eeg(read_recording(file)))
    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    picked = pick_eeg(read_recording(file))
    assert isinstance(picked.signal_uv, SignalReader)
    assert any("constant" in aside.why for aside in picked.set_aside)
    pieces = preprocess(picked)
    assert pieces.ch_names == whole.ch_names
    assert (pieces.set_aside, pieces.defects, pieces.warnings) == (whole.set_aside, whole.defects, whole.warnings)
    np.testing.assert_allclose(pieces.signal_uv, whole.signal_uv, atol=1e-4)


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
@pytest.mark.parametrize("history_k", [0, 1, 2])
def test_segments_of_a_stream_are_those_of_the_recording(piece: int, history_k: int) -> None:
    rng = np.random.default_rng(0)
    signal_uv = rng.normal(size=(3, 20 * 1000)).astype(np.float32)
    recording = Recording(signal_uv, 200.0, ("Fz", "Cz", "Pz"), breaks_s=(33.0, 61.5))
    expected = segment_recording(recording, history_k=history_k)
    head = replace(recording, signal_uv=signal_uv[:, :0])
    cuts = np.sort(rng.integers(0, 20_000, 9))
    found = []
    for part, seen in segment_stream(head, 20_000, iter(np.split(signal_uv, cuts, axis=1)), piece, history_k):
        assert len(part) - seen <= piece
        offset = part[0].index
        found += [(s, tuple(h + offset for h in s.history)) for s in part[seen:]]
    assert len(found) == len(expected)
    for (segment, history), wanted in zip(found, expected, strict=True):
        assert (segment.index, segment.start_s, history) == (wanted.index, wanted.start_s, wanted.history)
        np.testing.assert_array_equal(segment.signal_uv, wanted.signal_uv)


@pytest.mark.parametrize("ears", [("A1", "A2"), ("EEG A1-REF",)])
def test_ears_of_a_long_recording_become_its_reference(
    ears: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = simulate(SimulationPreset(duration_s=20.0, sfreq=250.0, ch_names=("C3", "C4", "O1", "O2")), 3).recording
    write_edf(replace(recording, ch_names=("C3", "C4", *ears, "Fz")[:4]), tmp_path / "a.edf")
    preset = replace(CEREBRAGLOSS, reference="ears")
    whole = preprocess(*pick_channels(read_recording(tmp_path / "a.edf"), preset))
    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    picked, _ = pick_channels(read_recording(tmp_path / "a.edf"), preset)
    assert isinstance(picked.signal_uv, SignalReader)
    pieces = preprocess(picked, preset)
    assert pieces.ch_names == whole.ch_names
    np.testing.assert_allclose(pieces.signal_uv, whole.signal_uv, atol=1e-3)


def test_channels_of_a_long_recording_are_excluded_by_bids(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mne_bids", reason="needs the extra `bids`")
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    path = folder / "sub-01_task-rest_eeg.edf"
    path.write_bytes(file.read_bytes())
    names = read_recording(file).ch_names
    table = "".join(f"{name}\tEEG\tuV\t{'bad' if name == names[1] else 'good'}\n" for name in names)
    (folder / "sub-01_task-rest_channels.tsv").write_text("name\ttype\tunits\tstatus\n" + table)
    dataset = get_dataset("bids")
    (entry,) = dataset.entries(tmp_path)
    whole = dataset.load(entry).recording
    monkeypatch.setattr(edf, "MAX_LOADED_BYTES", 0)
    pieces = dataset.load(entry).recording
    assert isinstance(pieces.signal_uv, SignalReader)
    assert pieces.ch_names == whole.ch_names == (names[0], *names[2:])
    np.testing.assert_array_equal(pieces.signal_uv[:, 500:900], whole.signal_uv[:, 500:900])


def test_a_stream_of_a_file_on_disk_gives_the_same_signal(file: Path, lazily: None) -> None:
    picked = pick_eeg(read_recording(file))
    stream = preprocess_stream(picked)
    signal_uv = np.concatenate(list(stream.chunks), axis=1)
    assert signal_uv.shape == (stream.head.n_chans, stream.n_times)
    np.testing.assert_allclose(signal_uv, preprocess(picked).signal_uv, atol=1e-3)
