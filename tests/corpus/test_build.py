import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest
from PIL import Image

from corpus.audit import audit, find_words
from corpus.build import PARTS, BuildConfig, Task, build_corpus, plan_build, process_recording
from corpus.build import recording as build_recording
from corpus.claims import facts_of
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.splits import SplitPolicy
from corpus.store import CorpusReader, read_manifest, verify
from corpus.topomap import TopomapRenderer, median_potential

pytest.importorskip("pyarrow")

N_FILES = 6
NAME, HOSPITAL_ID, BIRTHDAY = "Wilhelmina Ottersbach", "HX9731355", "04-MAR-1957"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six recordings of four persons; the header of each names somebody."""
    root = tmp_path_factory.mktemp("recordings")
    for i in range(N_FILES):
        folder = root / f"person{i % 4}"
        folder.mkdir(exist_ok=True)
        path = folder / f"visit{i}.edf"
        write_edf(simulate(SimulationPreset(duration_s=35.0 + 10 * (i % 2)), seed=i).recording, path)
        blob = bytearray(path.read_bytes())
        blob[8:88] = f"{HOSPITAL_ID} F {BIRTHDAY} {NAME.replace(' ', '_')}".ljust(80).encode()
        path.write_bytes(blob)
    return root


def content(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def corpus(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    build_corpus([("folder", recordings)], out)
    return out


def test_every_segment_of_every_recording_is_there_and_reads_back(corpus: Path) -> None:
    reader = CorpusReader(corpus)
    assert len(reader) == 3 * 3 + 3 * 4
    assert verify(corpus) == []
    assert not (corpus / PARTS).exists()
    for record in (reader[i] for i in range(len(reader))):
        assert record.signal_uv.shape == (len(record.row.ch_names), 2000)
        assert len(record.history) == min(record.row.segment_index, 2)
        assert facts_of(record.row.text.narrative) == set(record.row.facts)
        assert record.row.text.template.startswith("Event & clinical labels")


def test_a_map_beside_each_segment_when_asked_for(recordings: Path, corpus: Path, tmp_path: Path) -> None:
    build_corpus([("folder", recordings)], tmp_path, BuildConfig(topomap_size=64))
    drawn, plain = CorpusReader(tmp_path), CorpusReader(corpus)
    assert drawn.ids == plain.ids
    for one, other in zip(drawn, plain, strict=True):
        assert other.row.topomap is None
        assert one.row.topomap is not None
        picture = np.asarray(Image.open(io.BytesIO(one.row.topomap)).convert("RGB"))
        expected = TopomapRenderer(one.row.ch_names, 64)(median_potential(one.signal_uv)[None])[0]
        difference = np.abs(picture.astype(int) - expected)  # of the rounded signal
        assert difference.mean() < 0.5
        np.testing.assert_array_equal(one.signal_uv, other.signal_uv)


def test_a_map_that_shows_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got topomap_size 4, expected 16 or more"):
        BuildConfig(topomap_size=4)


def test_the_corpus_passes_its_audit_and_holds_no_identity(corpus: Path) -> None:
    words = [*NAME.split(), NAME, HOSPITAL_ID, BIRTHDAY, "1957"]
    assert audit(corpus, words).clean
    assert find_words(corpus, words) == []


def test_workers_change_nothing(recordings: Path, corpus: Path, tmp_path: Path) -> None:
    build_corpus([("folder", recordings)], tmp_path, workers=2)
    assert content(tmp_path) == content(corpus)


def test_a_build_killed_in_the_middle_ends_like_an_undisturbed_one(
    recordings: Path, corpus: Path, tmp_path: Path
) -> None:
    code = (
        "from pathlib import Path\nfrom corpus.build import build_corpus\n"
        f"build_corpus([('folder', Path({str(recordings)!r}))], Path({str(tmp_path)!r}))"
    )
    started = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while len(list((tmp_path / PARTS).glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / PARTS).glob("*.json")}
    assert 2 <= len(before) < N_FILES
    again: list[int] = []

    def note(outcome: object, done: int, total: int) -> None:
        again.append(sum(path.exists() and path.stat().st_mtime_ns == t for path, t in before.items()))

    build_corpus([("folder", recordings)], tmp_path, on_progress=note)
    assert again[-1] == len(before)  # what was done is not done again
    assert content(tmp_path) == content(corpus)


def test_a_part_that_a_loss_of_power_cut_short_is_made_anew(recordings: Path, corpus: Path, tmp_path: Path) -> None:
    tasks, _ = plan_build([("folder", recordings)], tmp_path, BuildConfig())
    whole, cut, lost = (process_recording(task) for task in tasks[:3])
    parts = [tmp_path / PARTS / outcome.part for outcome in (whole, cut, lost)]
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    parts[2].with_suffix(".json").write_bytes(b"")
    before = [path.stat().st_mtime_ns for path in parts]
    assert [process_recording(task) for task in tasks[:3]] == [whole, cut, lost]
    after = [path.stat().st_mtime_ns for path in parts]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, False]
    build_corpus([("folder", recordings)], tmp_path)
    assert content(tmp_path) == content(corpus)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_both_engines_build_the_same_bytes(recordings: Path, corpus: Path, tmp_path: Path) -> None:
    """On a cluster of two nodes, one of which dies in the middle."""
    ray = pytest.importorskip("ray", reason="engine ray needs the extra ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    done: list[int] = []

    def note(outcome: object, count: int, total: int) -> None:
        done.append(count)
        if count == 2:
            cluster.remove_node(second, allow_graceful=False)

    try:
        build_corpus([("folder", recordings)], tmp_path, engine="ray", on_progress=note)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert done == list(range(1, N_FILES + 1))
    assert content(tmp_path) == content(corpus)
    assert read_manifest(tmp_path)["content_sha256"] == read_manifest(corpus)["content_sha256"]


def test_a_finished_build_is_left_alone_and_another_configuration_builds_anew(recordings: Path, tmp_path: Path) -> None:
    build_corpus([("folder", recordings)], tmp_path)
    before = content(tmp_path)
    called: list[object] = []
    build_corpus([("folder", recordings)], tmp_path, on_progress=lambda *args: called.append(args))
    assert not called
    assert content(tmp_path) == before
    build_corpus([("folder", recordings)], tmp_path, BuildConfig(seed=1))
    after = content(tmp_path)
    assert after != before
    assert set(after) == set(before)


def test_a_bad_recording_is_listed_and_loses_no_other(recordings: Path, tmp_path: Path) -> None:
    root = tmp_path / "with-bad"
    for file in recordings.rglob("*.edf"):
        link = root / file.relative_to(recordings)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    (root / "person0" / "broken.edf").write_bytes(b"this is no EDF file at all")
    summary = build_corpus([("folder", root)], tmp_path / "out")
    (skipped,) = summary.skipped
    assert "expected an EDF/BDF header" in skipped.problem
    assert len(CorpusReader(tmp_path / "out")) == 21
    listed = (tmp_path / "out" / "skipped.json").read_text()
    assert (skipped.recording_id in listed, "broken" in listed) == (True, False)


def test_what_failed_is_tried_again_and_nothing_else(
    recordings: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_part, tried = build_recording._make_part, list[str]()
    (bad, *_), _ = plan_build([("folder", recordings)], tmp_path, BuildConfig())

    def fail(task: Task, part: Path) -> tuple[int, float]:
        tried.append(task.entry.id)
        if task.entry.id == bad.entry.id:
            raise MemoryError
        return make_part(task, part)

    monkeypatch.setattr(build_recording, "_make_part", fail)
    assert len(build_corpus([("folder", recordings)], tmp_path).skipped) == 1
    before = content(tmp_path)
    tried.clear()
    (skipped,) = build_corpus([("folder", recordings)], tmp_path).skipped
    assert tried == [bad.entry.id] == [skipped.recording_id]
    assert content(tmp_path) == before
    monkeypatch.undo()
    assert build_corpus([("folder", recordings)], tmp_path).skipped == ()
    assert content(tmp_path) == content(corpus)


def test_a_corpus_of_changed_labels_or_files_is_made_anew(recordings: Path, tmp_path: Path) -> None:
    root = tmp_path / "changing"
    root.mkdir()
    (root / "visit0.edf").symlink_to(recordings / "person0" / "visit0.edf")
    (root / "visit01.edf").symlink_to(recordings / "person1" / "visit1.edf")
    (root / "visit0.gone").symlink_to(recordings / "nowhere")

    def names() -> list[str]:
        tasks, info = plan_build([("folder", root)], tmp_path / "out", BuildConfig())
        return [info.config["recordings_sha256"], *sorted(task.name for task in tasks)]

    before = names()
    assert names() == before
    (root / "visit0.csv").write_text("seizure")
    beside = names()
    assert beside[0] != before[0]
    assert len(set(beside) & set(before)) == 1  # the part of the other recording
    (task, _), _ = plan_build([("folder", root)], tmp_path / "out", BuildConfig())
    told = replace(task, entry=replace(task.entry, diagnosis=("epilepsy",)))
    assert told.content != task.content
    assert told.name != task.name


def test_recordings_that_all_fail_give_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "broken.edf").write_bytes(b"this is no EDF file at all")
    for _ in range(2):
        assert len(build_corpus([("folder", tmp_path)], tmp_path / "out").skipped) == 1
        assert len(CorpusReader(tmp_path / "out")) == 0


def test_a_recording_without_a_segment_is_listed(tmp_path: Path) -> None:
    signal_v = np.random.default_rng(0).normal(0, 20e-6, (2, 12 * 200))
    raw = mne.io.RawArray(signal_v, mne.create_info(["Cz", "O1"], 200.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations(6.0, 0.0, "BAD boundary"))
    (tmp_path / "root").mkdir()
    raw.save(tmp_path / "root" / "short_raw.fif", verbose="ERROR")
    (skipped,) = build_corpus([("folder", tmp_path / "root")], tmp_path / "out").skipped
    assert skipped.problem.startswith("got no continuous stretch of 10 s between breaks, expected one")
    assert len(CorpusReader(tmp_path / "out")) == 0


def test_sides_hold_persons_apart_and_follow_the_policy(recordings: Path, tmp_path: Path) -> None:
    config = BuildConfig(split=SplitPolicy(seed=3, fractions=(0.5, 0.25, 0.25)))
    build_corpus([("folder", recordings)], tmp_path, config)
    sides: dict[str, set[str]] = {}
    for i in range(len(reader := CorpusReader(tmp_path))):
        sides.setdefault(reader[i].row.subject, set()).add(reader[i].row.split)
    assert sorted(len(found) for found in sides.values()) == [1, 1, 1, 1]
    assert {next(iter(found)) for found in sides.values()} == {"train", "val", "test"}
    manifest = read_manifest(tmp_path)
    assert (manifest["splits"]["seed"], manifest["seeds"]["split"]) == (3, 3)
    assert manifest["version"]


def test_history_k_and_the_cap_are_obeyed(recordings: Path, tmp_path: Path) -> None:
    everybody = SplitPolicy(fractions=(1.0, 0.0, 0.0))
    build_corpus([("folder", recordings)], tmp_path, BuildConfig(split=everybody, history_k=1, train_cap=5))
    reader = CorpusReader(tmp_path)
    assert len(reader) == 5
    assert all(len(reader[i].history) <= 1 for i in range(5))
    with_history = CorpusReader(tmp_path, targets=False)
    assert 5 <= len(with_history) <= 10


@pytest.mark.parametrize(
    ("change", "message"),
    [({"profile": "nobody"}, "got profile 'nobody'"), ({"label_visibility": "some"}, "got label_visibility 'some'")],
)
def test_a_wrong_configuration_is_named(change: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(BuildConfig(), **change)  # type: ignore[arg-type]


def test_wrong_jobs_are_named(recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        build_corpus([("folder", recordings), ("folder", recordings)], tmp_path)
    with pytest.raises(ValueError, match="got no folder 'nowhere'"):
        build_corpus([("folder", recordings / "nowhere")], tmp_path)
    with pytest.raises(ValueError, match="got dataset 'unheard-of'"):
        build_corpus([("unheard-of", recordings)], tmp_path)
