"""SEED and SEED-IV are read from miniatures of their folders; every expected value is worked out by hand."""

import numpy as np
import pytest
import scipy.io

from corpus.datasets.seed import DATASETS
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

SEED, SEED_IV = DATASETS
LABELS = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]


def trial(number, n_chans=62):
    """12 s whose amplitude tells trial and channel, microvolts."""
    wave = np.sin(2 * np.pi * 10 * np.arange(2400) / 200)
    return (100 * number + np.arange(n_chans))[:, None] * wave


def write(path, initials, numbers, n_chans=62):
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {f"{initials}_eeg{number}": trial(number, n_chans) for number in numbers})


@pytest.fixture
def seed(tmp_path):
    folder = tmp_path / "Preprocessed_EEG"
    write(folder / "1_20131027.mat", "djc", [1, 2, 11, 15])
    write(folder / "10_20131130.mat", "ww", [1])
    scipy.io.savemat(folder / "label.mat", {"label": np.array([LABELS])})
    (folder / "readme.txt").touch()
    write(tmp_path / "ExtractedFeatures/1_20131027.mat", "de_LDS", [1])
    write(tmp_path / "ExtractedFeatures/label.mat", "label", [1])
    return tmp_path


@pytest.fixture
def seed_iv(tmp_path):
    for session, file in (("1", "1_20160518"), ("2", "1_20161125"), ("3", "15_20161011")):
        write(tmp_path / f"eeg_raw_data/{session}/{file}.mat", "cz", [1, 24])
    write(tmp_path / "eeg_feature_smooth/1/1_20160518.mat", "cz", [1])
    write(tmp_path / "eye_raw_data/1_20160518.mat", "cz", [1])
    return tmp_path


def test_seed_entries(seed):
    entries = list(SEED.entries(seed))
    assert len(entries) == 30
    assert [(e.id, e.subject, e.part) for e in (entries[0], entries[14], entries[15])] == [
        ("Preprocessed_EEG/10_20131130/01", "10", "1"),
        ("Preprocessed_EEG/10_20131130/15", "10", "15"),
        ("Preprocessed_EEG/1_20131027/01", "1", "1"),
    ]
    assert [e.split for e in entries[15:]] == ["train"] * 9 + ["val"] * 3 + ["test"] * 3
    words = {1: "positive emotion", 0: "neutral emotion", -1: "negative emotion"}
    assert [e.labels[1].value for e in entries[15:]] == [words[code] for code in LABELS]
    task, emotion = entries[17].labels
    assert (task.kind, task.value) == ("task", "watching a film clip")
    assert (emotion.kind, emotion.value, emotion.granularity, emotion.source) == (
        "emotion",
        "negative emotion",
        "file",
        "label.mat",
    )
    inside = list(SEED.entries(seed / "Preprocessed_EEG"))
    assert inside[-1].id == "1_20131027/15"


def test_seed_labels_without_and_with_another_label_file(seed):
    given = [e.labels[1].value for e in SEED.entries(seed)]
    file = seed / "Preprocessed_EEG/label.mat"
    file.unlink()
    entries = list(SEED.entries(seed))
    assert [e.labels[1].value for e in entries] == given
    assert entries[0].labels[1].source == "published list of clips"
    scipy.io.savemat(file, {"label": np.array([LABELS[::-1]])})
    assert next(iter(SEED.entries(seed))).labels[1].value == "negative emotion"
    for damaged in ({"label": np.array([LABELS[:-1]])}, {"label": np.array([[2, *LABELS[1:]]])}, {"other": 1}):
        scipy.io.savemat(file, damaged)
        with pytest.raises(ValueError, match=r"label\.mat: got"):
            SEED.entries(seed)


def test_one_trial_in_microvolts(seed):
    loaded = SEED.load(list(SEED.entries(seed))[15])
    recording = loaded.recording
    assert (recording.sfreq, recording.duration_s, recording.n_chans) == (200, 12, 62)
    np.testing.assert_array_equal(recording.signal_uv, trial(1))
    picked = pick_eeg(recording)
    assert [aside.name for aside in picked.set_aside] == ["CB1", "CB2"]
    assert (picked.ch_names[:5], picked.ch_names[-3:]) == (("Fp1", "Fpz", "Fp2", "AF3", "AF4"), ("O1", "Oz", "O2"))
    assert picked.ch_names[27] == "Cz"
    np.testing.assert_array_equal(picked.signal_uv[picked.ch_names.index("Oz")], trial(1)[59])
    assert [label.value for label in loaded.labels] == ["watching a film clip", "positive emotion"]


def test_trial_11_is_not_trial_1(seed):
    recording = SEED.load(list(SEED.entries(seed))[25]).recording
    np.testing.assert_array_equal(recording.signal_uv, trial(11))


def test_initials_stay_inside(seed):
    entry = list(SEED.entries(seed))[15]
    assert "djc" not in repr(entry)
    assert "djc" not in repr(SEED.load(entry))


def test_seed_iv_entries(seed_iv):
    entries = list(SEED_IV.entries(seed_iv))
    assert len(entries) == 72
    assert [(e.id, e.subject, e.part, e.split) for e in (entries[0], entries[47], entries[71])] == [
        ("eeg_raw_data/1/1_20160518/01", "1", "1", None),
        ("eeg_raw_data/2/1_20161125/24", "1", "24", None),
        ("eeg_raw_data/3/15_20161011/24", "15", "24", None),
    ]
    values = [e.labels[1].value for e in entries]
    assert values[:6] == ["sadness", "fear", "happiness", "neutral emotion", "fear", "neutral emotion"]
    assert values[24:28] == ["fear", "sadness", "happiness", "neutral emotion"]
    assert values[48:52] == ["sadness", "fear", "fear", "sadness"]
    assert values[-3:] == ["neutral emotion", "sadness", "neutral emotion"]
    for session in range(3):  # each of four emotions six times a session
        part = values[24 * session : 24 * session + 24]
        assert {value: part.count(value) for value in part} == dict.fromkeys(
            set(SEED_IV.card.labels) - {"watching a film clip"}, 6
        )
    np.testing.assert_array_equal(SEED_IV.load(entries[71]).recording.signal_uv, trial(24))
    assert next(iter(SEED_IV.entries(seed_iv / "eeg_raw_data"))).id == "1/1_20160518/01"


def test_damaged_files_are_refused(seed):
    entries = list(SEED.entries(seed))
    with pytest.raises(RecordingError, match=r"got 0 arrays of clip 3"):
        SEED.load(entries[17])
    write(entries[15].path, "djc", [1], n_chans=60)
    with pytest.raises(RecordingError, match=r"shape \(60, 2400\) for 62 channels"):
        SEED.load(entries[15])
    entries[15].path.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(RecordingError, match="cannot be decoded"):
        SEED.load(entries[15])


def test_cards():
    cards = (SEED.card, SEED_IV.card)
    assert [(c.name, c.role, c.expected_recordings, c.expected_subjects) for c in cards] == [
        ("seed", "corpus", 675, 15),
        ("seed-iv", "zero-shot", 1080, 15),
    ]
    assert SEED.card.paper_segments == (8293, 1050)
    assert "not subject-disjoint" in SEED.card.why_counts_differ
    assert len(SEED.card.ch_names) == 62
