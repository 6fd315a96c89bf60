"""The audit: planted overlaps, duplicates and identity are caught, and a clean corpus is clean."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpus.audit import audit, exposure, find_words
from corpus.duplicates import Sample, find_duplicates
from corpus.recording import RecordingError
from corpus.store import BuildInfo, Row, assemble, write_part

Rows = Callable[..., list[Row]]
CH_NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")


@pytest.fixture
def build(tmp_path: Path, rows_of: Rows) -> Callable[..., Path]:
    """A corpus of two recordings on two sides, and of the rows given."""

    def make(*recordings: list[Row], info: BuildInfo | None = None) -> Path:
        parts = [rows_of("r1", "S1", 1), rows_of("r2", "S2", 2, split="test"), *recordings]
        for i, rows in enumerate(parts):
            write_part(rows, tmp_path / "parts" / f"{i}.arrow")
        assemble(sorted((tmp_path / "parts").iterdir()), tmp_path / "out", info or BuildInfo())
        return tmp_path / "out"

    return make


def kinds(out: Path) -> list[str]:
    return [problem.kind for problem in audit(out).problems]


def test_a_clean_corpus_is_clean(build: Callable[..., Path], card_of: Callable) -> None:
    cards = [card_of("demo"), card_of("tuar", "TUH"), card_of("sd", aliases=("SEED-IV",))]
    report = audit(build(info=BuildInfo(cards=cards)), ["Mustermann", "1980-05-03"])
    assert report.clean, report.text()
    assert (report.compared, report.blank) == (8, 0)
    assert report.text().startswith("Audit: clean\n")
    assert [m.model for m in report.seen["tuar"]] == ["LaBraM", "CBraMod", "NeuroLM"]
    assert [m.model for m in report.seen["sd"]] == ["LaBraM"]
    assert "demo" not in report.seen
    assert "tuar: LaBraM" in report.text()


def test_a_person_on_two_sides_is_caught_across_a_family(build: Callable[..., Path], rows_of: Rows) -> None:
    one = rows_of("a", "aaaaaaab", 3, dataset="tuab", family="TUH")
    two = rows_of("b", "aaaaaaab", 4, dataset="tuar", family="TUH", split="val")
    report = audit(build(one, two))
    assert [p.kind for p in report.problems] == ["subject"]
    assert report.problems[0].text == "TUH/aaaaaaab is in train, val (tuab, tuar)"
    assert "FAILED: no person stands on two sides" in report.text()


def test_a_recording_on_two_sides_is_caught(build: Callable[..., Path], rows_of: Rows) -> None:
    halves = rows_of("r3", "S3", 3)
    halves[2:] = [replace(row, split="test", subject="demo/S4") for row in halves[2:]]
    texts = [p.text for p in audit(build(halves)).problems if p.kind == "recording"]
    assert [text.split(" is in ")[1] for text in texts] == ["test, train (demo)"] * 2  # by id and by file
    assert texts[0].startswith("demo/r3 ")


def test_one_file_under_two_names_is_caught(build: Callable[..., Path], rows_of: Rows) -> None:
    one, two = (rows_of(f"r{i}", f"S{i}", i, split=side, sha256="ab" * 32) for i, side in ((3, "train"), (4, "val")))
    assert kinds(build(one, two)) == ["recording"]


def test_parts_of_one_file_are_different_recordings(build: Callable[..., Path], rows_of: Rows) -> None:
    facts = {"sha256": "ab" * 32}
    one, two = (
        rows_of(f"r{i}", f"S{i}", i, split=side, part=str(i), **facts) for i, side in ((3, "train"), (4, "val"))
    )
    assert kinds(build(one, two)) == []


def test_a_scaled_noisy_copy_is_caught(build: Callable[..., Path], rows_of: Rows, signal_of: Callable) -> None:
    signal = signal_of(1)  # of r1
    noise = 0.1 * signal.std() * np.random.default_rng(0).standard_normal(signal.shape)
    report = audit(build(rows_of("copy", "S9", signal_uv=0.3 * (signal + noise), split="val")))
    assert {p.kind for p in report.problems} == {"duplicate"}
    texts = [problem.text.split(":")[0] for problem in report.problems]
    assert texts == [f"demo/copy/{i} (val) is demo/r1/{i} (train)" for i in range(4)]


def test_damage_ends_the_audit(build: Callable[..., Path]) -> None:
    out = build()
    (out / "data" / "demo-00000.parquet").unlink()
    report = audit(out)
    assert [p.text for p in report.problems] == ["data/demo-00000.parquet is missing"]


# -- duplicates


def cut(signal: np.ndarray, side: str, ch_names: tuple[str, ...] = CH_NAMES) -> list[Sample]:
    starts = range(0, signal.shape[1] - 1999, 2000)
    return [Sample(f"{side}{i}", side, signal[:, s : s + 2000], 200.0, ch_names) for i, s in enumerate(starts)]


def pairs(*samples: Sample) -> dict[tuple[str, str], float]:
    by_name = {sample.name: sample for sample in samples}
    found = find_duplicates(samples, Counter(sample.side for sample in samples), by_name.__getitem__)
    return {(d.first, d.second): d.lag_s for d in found.duplicates}


@pytest.fixture
def signal(signal_of: Callable) -> np.ndarray:
    return signal_of(5, 60.0, len(CH_NAMES))


def resampled(signal: np.ndarray) -> np.ndarray:
    from scipy.signal import resample

    return resample(resample(signal, signal.shape[1] * 128 // 200, axis=1), signal.shape[1], axis=1)


def with_artifact(signal: np.ndarray) -> np.ndarray:
    changed = signal.copy()
    changed[2, 700::2000] = 45_000.0
    return changed


@pytest.mark.parametrize(
    "change",
    [lambda s: -0.2 * s, resampled, with_artifact, lambda s: s - s[3], lambda s: s[::-1]],
    ids=["inverted", "resampled", "artifact", "reference", "other order of names"],
)
def test_changed_copies_are_found(signal: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> None:
    copy = change(signal)
    names = CH_NAMES[::-1] if np.array_equal(copy, signal[::-1]) else CH_NAMES
    found = pairs(*cut(signal, "train"), *cut(copy, "val", names))
    assert found == {(f"train{i}", f"val{i}"): 0.0 for i in range(6)}


@pytest.mark.parametrize("offset", [666, 1001, 1500])
def test_copies_cut_at_another_time_are_found(signal: np.ndarray, offset: int) -> None:
    found = pairs(*cut(signal, "train"), *cut(signal[:, offset:], "val"))
    for i in range(5):  # whichever of its two neighbours shares more with it
        near = {(f"train{i}", f"val{i}"): offset / 200, (f"train{i + 1}", f"val{i}"): (offset - 2000) / 200}
        hits = {pair: lag for pair, lag in found.items() if pair in near}
        assert hits
        assert all(lag == pytest.approx(near[pair], abs=0.011) for pair, lag in hits.items())
    assert all(second == f"val{int(first[5:])}" or second == f"val{int(first[5:]) - 1}" for first, second in found)


def test_copies_without_common_electrode_names_are_found(signal: np.ndarray) -> None:
    other = tuple(f"EEG{i}" for i in range(len(CH_NAMES)))
    found = pairs(*cut(signal, "train"), *cut(2 * signal, "val", other))
    assert found == {(f"train{i}", f"val{i}"): 0.0 for i in range(6)}


def test_copies_on_one_side_are_nobodys_business(signal: np.ndarray) -> None:
    first, second = cut(signal, "train"), [replace(s, name=f"again{s.name}") for s in cut(signal, "train")]
    assert pairs(*first, *second, *cut(signal[::-1].copy() * 0, "val")) == {}


def test_blank_segments_are_counted(signal: np.ndarray) -> None:
    samples = [*cut(signal, "train"), *cut(0 * signal, "val")]
    found = find_duplicates(samples, Counter(train=6, val=6), {s.name: s for s in samples}.__getitem__)
    assert (found.compared, found.blank, found.duplicates) == (6, 6, ())


def test_shared_rhythm_is_no_duplicate(signal_of: Callable) -> None:
    time = np.arange(12000) / 200
    rhythm = 60 * np.sin(2 * np.pi * 10 * time) * np.linspace(-1, 1, len(CH_NAMES))[:, None]
    one, two = (signal_of(seed, 60.0, len(CH_NAMES)) + rhythm for seed in (1, 2))
    assert pairs(*cut(one, "train"), *cut(two, "val")) == {}


def test_real_recordings_are_no_duplicates_but_a_copy_is(shared_data: Path) -> None:
    from corpus.preprocess import load_recording

    samples = []
    for side, name in (("train", "Subject03_2"), ("val", "Subject04_2"), ("test", "Subject05_2")):
        try:
            recording = load_recording(shared_data / "eegmat" / f"{name}.edf")
        except RecordingError:
            pytest.skip("EEGMAT is not in shared/data")
        samples += cut(recording.signal_uv, side, recording.ch_names)
    assert pairs(*samples) == {}
    first = samples[0].signal_uv
    noise = 0.2 * first.std(1, keepdims=True) * np.random.default_rng(0).standard_normal(first.shape)
    copy = replace(samples[0], name="copy", side="test", signal_uv=4 * (first + noise))
    assert pairs(*samples, copy) == {("train0", "copy"): 0.0}


# -- identity


def test_identity_is_found_wherever_it_stands(build: Callable[..., Path], rows_of: Rows, tmp_path: Path) -> None:
    rows = rows_of("r3", "S3", 3)
    label = replace(rows[0].labels[0], source="remark by Dr. Grünbaum")
    rows[0] = replace(rows[0], text=replace(rows[0].text, narrative="EEG of ERIKA MUSTERMANN."), labels=(label,))
    rows[1] = replace(rows[1], source_file="hosp-4711.edf")
    out = build(rows, info=BuildInfo(config={"note": "born 1980-05-03"}))
    words = ["Erika Mustermann", "grünbaum", "4711", "1980-05-03", "Beethoven"]
    hits = find_words(out, words)
    places = {(hit.split()[1], hit.split(", ")[1]) for hit in hits}
    assert {("1", "column narrative"), ("2", "column labels"), ("3", "column source_file"), ("4", "its text")} <= places
    assert not any(hit.startswith("word 5") for hit in hits)
    assert not any(word.lower() in hit.lower() for word in words for hit in hits)
    assert {p.kind for p in audit(out, words).problems} == {"identity"}


def test_checksums_name_nobody(build: Callable[..., Path], rows_of: Rows) -> None:
    out = build(rows_of("r3", "S3", 3, sha256="4711" + "ab" * 30), info=BuildInfo(config={"sum": "0815" + "cd" * 30}))
    assert find_words(out, ["4711", "0815"]) == []


def test_short_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"words \[2\] of less than 4 bytes"):
        find_words(tmp_path, ["Mustermann", "Bo"])


def test_exposure_knows_names_aliases_and_families() -> None:
    facts = {"name": "Motor Imagery", "family": "", "aliases": []}
    assert [known.model for known in exposure(facts)] == ["LaBraM", "EEGPT"]
    assert exposure(facts | {"name": "eegmat"}) == ()
    assert all(known.source for known in exposure(facts))
