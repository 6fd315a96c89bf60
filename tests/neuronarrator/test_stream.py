"""Recordings that are not held: the samples, findings, narratives and page of one that is, in bounded memory."""

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from corpus.dataset import Batch, segment_batches
from corpus.findings import Findings, find_recording
from corpus.recording import Recording, SignalReader
from corpus.simulate import SimulationPreset, simulate
from corpus.topomap import TopomapRenderer
from neuronarrator import stream
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.sources import Item
from neuronarrator.language.generation import Generation
from neuronarrator.narrate import generate_batches, load_for_model, narrate_recording
from neuronarrator.narrator import Narrator
from neuronarrator.predict import predict
from neuronarrator.report import write_report
from neuronarrator.report.document import plain
from neuronarrator.stream import DrawnMaps, ForwardReader, find_in_parts, lengthen_history, plan_segments

SFREQ = 250.0
UNKNOWN = "TP10h"


class Stub:
    """Says what its batch shows, at once, and often wrongly."""

    def __init__(self) -> None:
        self.config, self.device, self.calibration = SimpleNamespace(history_k=2), "cpu", None
        self.card = {"name": "stub", "version": "1", "sha256": "0" * 64, "description": "a stub"}

    def generate(self, batch: Batch) -> list[Generation]:
        told = []
        for power, mask in zip(batch.log_power, batch.history_mask, strict=True):
            level, known = float(power[-1].mean()), int(mask.sum())
            trend = f" Alpha remains stable against {known} segments, {float(power[:-1].mean()):.4f}." if known else ""
            text = f"Alpha is the dominant band, by {level:.4f}.{trend} No artifacts are present."
            told.append(Generation(text, (1, 2), (-0.1, -0.2), ((0, 5), (5, 9)), (((1, -0.1),), ((2, -0.2),))))
        return told


@pytest.fixture
def stub() -> Any:
    return Stub()


@pytest.fixture(scope="module")
def raw() -> Recording:
    """Seven minutes at 250 Hz with mains, a break, an extreme stretch and missing samples.

    More than one block of the filters, and more than one part of the findings, so that both have borders inside.
    """
    recording = simulate(SimulationPreset(duration_s=85.0, sfreq=SFREQ), seed=3).recording
    signal_uv = np.tile(recording.signal_uv.astype(np.float64), 5)
    times = np.arange(signal_uv.shape[1]) / SFREQ
    signal_uv += 8 * np.sin(2 * np.pi * 50 * times)
    signal_uv[5, round(100 * SFREQ) : round(100.2 * SFREQ)] = 30_000.0
    signal_uv[7, round(319 * SFREQ) : round(323 * SFREQ)] = np.nan  # across the border of two parts, at 321 s
    return replace(recording, signal_uv=signal_uv, breaks_s=(61.0,))


@pytest.fixture
def both(raw: Recording, monkeypatch: pytest.MonkeyPatch) -> tuple[Recording, Recording]:
    """The recording held and not held."""
    monkeypatch.setattr(stream, "read_recording", lambda path: raw)
    held = load_for_model("x.edf")
    monkeypatch.setattr(stream, "HELD_VALUES", 0)
    return held, load_for_model("x.edf")


def same(a: Findings, b: Findings) -> None:
    assert (a.segment.index, a.segment.start_s, a.segment.history) == (
        b.segment.index,
        b.segment.start_s,
        b.segment.history,
    )
    assert (a.items, a.artifacts, a.facts) == (b.items, b.artifacts, b.facts)
    for field in fields(a.features):
        np.testing.assert_array_equal(getattr(a.features, field.name), getattr(b.features, field.name))


def test_a_reader_gives_what_the_chunks_hold_and_begins_anew_only_to_go_back() -> None:
    whole = np.arange(200.0).reshape(2, 100)
    begun = []

    def begin() -> Iterator[np.ndarray]:
        begun.append(1)
        yield from np.split(whole, [7, 8, 40, 90], axis=1)

    read = ForwardReader(begin)
    for start, stop in [(0, 3), (2, 20), (10, 41), (39, 45), (60, 60), (61, 100), (99, 100)]:
        np.testing.assert_array_equal(read(start, stop), whole[:, start:stop])
    assert len(begun) == 1
    np.testing.assert_array_equal(read(5, 12), whole[:, 5:12])
    assert len(begun) == 2
    read(0, 1)[:] = -1  # an array of its own
    np.testing.assert_array_equal(read(0, 9), whole[:, :9])


def test_the_signal_and_all_facts_are_those_of_the_recording_read_whole(both: tuple[Recording, Recording]) -> None:
    held, not_held = both
    assert isinstance(held.signal_uv, np.ndarray)
    assert isinstance(not_held.signal_uv, SignalReader)
    np.testing.assert_array_equal(not_held.signal_uv[:, :], held.signal_uv)
    np.testing.assert_array_equal(not_held.signal_uv[[3, 1], 40_000:50_000], held.signal_uv[[3, 1], 40_000:50_000])
    for field in fields(Recording):
        if field.name != "signal_uv":
            assert getattr(not_held, field.name) == getattr(held, field.name), field.name
    assert held.provenance is not None
    assert "notch 50 Hz" in held.provenance.steps
    assert {defect.why for defect in held.defects} >= {"missing samples"}
    assert len(held.breaks_s) == 1


def test_findings_in_parts_are_those_of_the_whole(both: tuple[Recording, Recording]) -> None:
    held, not_held = both
    whole = find_recording(held)
    parts = list(find_in_parts(not_held, plan_segments(not_held)))
    assert len(whole) == len(parts) > 32
    for a, b in zip(whole, parts, strict=True):
        same(a, b)
        np.testing.assert_array_equal(a.segment.signal_uv, b.segment.signal_uv)
    assert parts[32].segment.history == (30, 31)  # across the border of two parts
    assert parts[32].features.trend is not None
    assert parts[6].segment.history == ()  # after the break
    assert parts[32].segment.start_s == 321.0
    for found in parts[31:33]:
        assert "missing" in {artifact.kind for artifact in found.artifacts}
    assert "electrode" in {artifact.kind for artifact in parts[9].artifacts}


def test_a_batch_is_that_of_all_findings_together(both: tuple[Recording, Recording], stub: Any) -> None:
    held, not_held = both
    parts = find_in_parts(not_held, plan_segments(not_held))
    batches = [batch for _, batch, _ in generate_batches(stub, parts, 5)]
    for got, expected in zip(batches, segment_batches(find_recording(held), 5), strict=True):
        for name in ("signal_uv", "history_uv", "history_mask", "log_power", "start_s"):
            np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
        assert (got.templates, got.ch_names) == (expected.templates, expected.ch_names)


def test_history_grows_to_k_and_ends_at_a_break(both: tuple[Recording, Recording]) -> None:
    findings = find_recording(both[0])
    starts = {i for i, found in enumerate(findings) if not found.segment.history}
    assert len(starts) == 2
    for i, (found, longer) in enumerate(zip(findings, lengthen_history(findings, 4), strict=True)):
        first = max(start for start in starts if start <= i)
        assert longer.segment.history == tuple(range(max(first, i - 4), i))
        assert longer.facts == found.facts  # trends stay those of the reference
    same = lengthen_history(findings, 2)
    assert [found.segment.history for found in same] == [found.segment.history for found in findings]
    kept = [*findings[:2], *(replace(f, segment=replace(f.segment, history=(1,))) for f in findings[3:4])]
    assert [found.segment.history for found in lengthen_history(kept, 4)] == [(), (0,), ()]  # the third is not stored


@pytest.mark.parametrize("size", [3, 32])
def test_a_narrator_reads_as_many_predecessors_as_it_has_learnt_with(
    size: int, both: tuple[Recording, Recording], stub: Any
) -> None:
    stub.config.history_k = 4
    findings = list(find_in_parts(both[1], plan_segments(both[1])))
    batches = [batch for _, batch, _ in generate_batches(stub, findings, size)]
    mask = np.concatenate([batch.history_mask.numpy() for batch in batches])
    assert mask.sum(1).tolist() == [0, 1, 2, 3, 4, 4, 0, 1, 2, 3, *[4] * (len(findings) - 10)]
    signal_uv = np.concatenate([batch.signal_uv.numpy() for batch in batches])
    history_uv = np.concatenate([batch.history_uv.numpy() for batch in batches])
    np.testing.assert_array_equal(history_uv[20], signal_uv[16:20])
    narrated = narrate_recording(stub, both[1], size).segments
    assert narrated[5].findings.segment.history == (3, 4)  # what is reported is measured over two


def test_narration_and_page_are_the_same(both: tuple[Recording, Recording], stub: Any, tmp_path: Path) -> None:
    told = [narrate_recording(stub, recording) for recording in both]
    assert plain(told[0].document) == plain(told[1].document)
    assert "contradicts 0," not in told[0].document["summary"]
    assert isinstance(told[0].topomaps, np.ndarray)
    np.testing.assert_array_equal(told[1].topomaps[:], told[0].topomaps)
    files = [write_report(t.document, t.recording, t.topomaps, tmp_path / str(i), stem="r") for i, t in enumerate(told)]
    for name in ("html", "json", "md"):
        assert files[0][name].read_bytes() == files[1][name].read_bytes(), name


def test_of_a_recording_that_is_not_held_no_signal_is_kept(both: tuple[Recording, Recording], stub: Any) -> None:
    held, not_held = (narrate_recording(stub, recording) for recording in both)
    for a, b in zip(held.segments, not_held.segments, strict=True):
        assert isinstance(b.findings.segment.signal_uv, SignalReader)
        assert a.generation.alternatives
        assert not b.generation.alternatives
        assert a.generation.text == b.generation.text
    last = -1
    np.testing.assert_array_equal(
        not_held.segments[last].findings.segment.signal_uv[2:4, 100:300],
        held.segments[last].findings.segment.signal_uv[2:4, 100:300],
    )


def test_electrodes_the_encoder_does_not_know_are_left_out_of_a_reader(
    raw: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(raw.ch_names)
    names[4] = UNKNOWN
    monkeypatch.setattr(stream, "read_recording", lambda path: replace(raw, ch_names=tuple(names)))
    monkeypatch.setattr("neuronarrator.narrate._KNOWN", {name.upper() for name in names} - {UNKNOWN.upper()})
    monkeypatch.setattr("corpus.montage.pick_eeg", lambda recording: recording)
    monkeypatch.setattr("corpus.preprocess.pipeline.pick_eeg", lambda recording: recording)
    held = load_for_model("x.edf")
    monkeypatch.setattr(stream, "HELD_VALUES", 0)
    not_held = load_for_model("x.edf")
    assert UNKNOWN not in not_held.ch_names
    assert not_held.ch_names == held.ch_names
    assert not_held.set_aside == held.set_aside != ()
    np.testing.assert_array_equal(not_held.signal_uv[:, 1000:3000], held.signal_uv[:, 1000:3000])


def test_few_chunks_are_alive_at_a_time(stub: Any) -> None:
    """Forty chunks of 70 s: the narrator and the report never hold more of them than the last read needs."""
    n_chans, n_times, count = 4, 14_000, 40
    rng, alive, most = np.random.default_rng(0), [], []

    def begin() -> Iterator[np.ndarray]:
        for _ in range(count):
            chunk = rng.standard_normal((n_chans, n_times)).astype(np.float32) * 20
            alive.append(weakref.ref(chunk))
            most.append(sum(one() is not None for one in alive))
            yield chunk

    signal = SignalReader(ForwardReader(begin), (n_chans, n_times * count))
    told = narrate_recording(stub, Recording(signal, 200.0, ("C3", "C4", "O1", "O2")))
    assert len(told.segments) == n_times * count // 2000
    assert len(most) == count  # one pass
    assert max(most) <= 3


def test_predictions_of_a_recording_that_is_not_held(
    both: tuple[Recording, Recording], stub: Any, tmp_path: Path
) -> None:
    for name, recording in zip("ab", both, strict=True):
        loaded = Recorded("one", recording)
        predict(stub, [Item("workload", "r", lambda loaded=loaded: loaded)], tmp_path / name)  # type: ignore[misc]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""


def test_maps_are_drawn_when_they_are_looked_at() -> None:
    names, potential_uv = ("F3", "F4", "O1", "O2"), np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    maps, expected = DrawnMaps(names, potential_uv), TopomapRenderer(names)(potential_uv)
    assert maps.shape == expected.shape
    assert len(maps) == len(list(maps)) == 5  # type: ignore[call-overload]
    np.testing.assert_array_equal(maps[-1], expected[-1])
    np.testing.assert_array_equal(maps[1:3], expected[1:3])


def tokens_of(generations: Sequence[Generation]) -> list[tuple[int, ...]]:
    return [generation.tokens for generation in generations]


def test_the_shipped_model_writes_the_same_with_and_without_a_cache(simulated: Recording) -> None:
    tiny = Narrator.from_pretrained("tiny")
    findings = find_recording(simulated)
    cached = [told for _, _, part in generate_batches(tiny, findings, 4) for told in part]
    alone = [told for batch in segment_batches(findings, 4) for told in tiny.generate(batch)]
    assert tokens_of(cached) == tokens_of(alone)
    assert [told.confidence for told in cached] == pytest.approx([told.confidence for told in alone], abs=1e-5)
