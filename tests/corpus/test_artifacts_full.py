from collections.abc import Sequence

import numpy as np
import pytest

from corpus.artifacts import Artifact, detect_in_all
from corpus.artifacts_full import EXTENDED_KINDS, FULL_KINDS, bad_share, detect_artifacts_full
from corpus.features import extract_features
from corpus.recording import Defect
from corpus.segment import Segment, segment_recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, simulate

ROW = {name: i for i, name in enumerate(TEN_TWENTY)}
TIME = np.arange(2000) / 200


def quiet(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 4, (19, 2000)) + rng.normal(0, 4, 2000)


def detect(
    signal_uv: np.ndarray, names: tuple[str, ...] = TEN_TWENTY, defects: Sequence[Defect] = ()
) -> list[Artifact]:
    segment = Segment(2, 20.0, 10.0, signal_uv, 200.0, names)
    return detect_artifacts_full([segment], extract_features([segment]), defects)[0]


def held(at_s: float, for_s: float, size_uv: float) -> np.ndarray:
    """A saccade, a fixation and the saccade back."""
    edges = np.clip((np.abs(TIME - at_s) - for_s / 2) / 0.04, 0, 1)
    return size_uv * (1 - edges)


@pytest.mark.parametrize(("kind", "side"), [("eye_left", 1.0), ("eye_right", -1.0)])
def test_gaze_is_opposite_on_the_two_temples(kind: str, side: float) -> None:
    signal = quiet()
    signal[ROW["F7"]] += side * held(4.0, 0.9, 60.0)
    signal[ROW["F8"]] -= side * held(4.0, 0.9, 60.0)
    (found,) = detect(signal)
    assert (found.kind, found.ch_names, found.unit) == (kind, ("F7", "F8"), "µV")
    assert found.start_s == pytest.approx(23.55, abs=0.1)
    assert found.duration_s == pytest.approx(0.9, abs=0.15)
    assert found.value == pytest.approx(120, abs=20)


def test_what_is_no_gaze() -> None:
    same_sign, slow, everywhere = quiet(), quiet(), quiet()
    same_sign[[ROW["F7"], ROW["F8"]]] += np.stack([held(4, 0.9, 150.0), held(4, 0.9, 40.0)])
    wave = 60 * np.sin(2 * np.pi * 1.0 * TIME)
    slow[ROW["F7"]], slow[ROW["F8"]] = slow[ROW["F7"]] + wave, slow[ROW["F8"]] - wave
    for left, right in (("F7", "F8"), ("C3", "C4"), ("P3", "P4"), ("O1", "O2")):
        everywhere[ROW[left]] += held(4.0, 0.9, 60.0)
        everywhere[ROW[right]] -= held(4.0, 0.9, 60.0)
    for signal in (same_sign, slow, everywhere):
        assert [a.kind for a in detect(signal) if a.kind.startswith("eye")] == []


def test_gaze_falls_back_on_the_nearest_pair_and_needs_one() -> None:
    names = ("AF7", "AF8", "C3", "C4", "O1", "O2")
    signal = np.random.default_rng(1).normal(0, 4, (6, 2000))
    signal[0] += held(6.0, 1.0, 70.0)
    signal[1] -= held(6.0, 1.0, 70.0)
    assert [(a.kind, a.ch_names) for a in detect(signal, names)] == [("eye_left", ("AF7", "AF8"))]
    assert detect(signal, ("C3", "C4", "P3", "P4", "O1", "O2")) == []


def test_gaze_of_simulated_recordings_is_found_on_the_right_side() -> None:
    preset = SimulationPreset(duration_s=240, states=("awake_eyes_open",), events={"gaze_left": 5.0, "gaze_right": 5.0})
    true, found, right = 0, 0, 0
    for seed in range(2):
        simulation = simulate(preset, seed)
        segments = segment_recording(simulation.recording)
        every = [a for own in detect_artifacts_full(segments, extract_features(segments)) for a in own]
        gazes = [a for a in every if a.kind.startswith("eye_")]
        events = [e for e in simulation.events if e.kind.startswith("gaze_")]
        for event in events:
            near = [a for a in gazes if abs(a.start_s + a.duration_s / 2 - event.start_s - event.duration_s / 2) < 0.5]
            true += 1
            right += any(a.kind[4:] == event.kind[5:] for a in near)
        found += len(gazes)
    assert true > 50
    assert right / true > 0.7  # some are as small as the background
    assert right / found > 0.7


def test_respiration_is_slow_regular_and_on_several_channels() -> None:
    signal = quiet()
    breath = 30 * np.sin(2 * np.pi * 0.3 * TIME + 0.5)
    signal[[ROW["Fp1"], ROW["Fp2"], ROW["F7"]]] += breath
    (found,) = detect(signal)
    assert (found.kind, found.ch_names, found.unit) == ("respiration", ("Fp1", "Fp2", "F7"), "Hz")
    assert found.value == pytest.approx(0.3, abs=0.026)
    assert (found.start_s, found.duration_s) == (20.0, 10.0)


@pytest.mark.parametrize(
    "wave",
    [
        30 * np.sin(2 * np.pi * 1.0 * TIME),  # delta
        40 * (TIME / 10) ** 2,  # a drift
        60 * np.exp(-0.5 * ((TIME - 5) / 0.7) ** 2),  # one slow wave
        6 * np.sin(2 * np.pi * 0.3 * TIME),  # too small
        30 * np.sin(2 * np.pi * 0.3 * TIME) * (TIME > 5),  # in one half only
    ],
)
def test_other_slow_waves_are_no_respiration(wave: np.ndarray) -> None:
    signal = quiet()
    signal[:5] += wave
    assert "respiration" not in {a.kind for a in detect(signal)}


def test_respiration_on_a_single_channel_is_not_believed() -> None:
    signal = quiet()
    signal[0] += 30 * np.sin(2 * np.pi * 0.3 * TIME)
    assert detect(signal) == []


def test_extreme_stretches_are_timed_and_joined() -> None:
    signal = quiet()
    signal[3, 400:420] = 45_000.0
    signal[3, 460:470] = -2_000.0  # 0.2 s later: the same one
    signal[3, 1600:1610] = np.nan
    found = [a for a in detect(signal) if a.kind == "extreme"]
    assert [(a.ch_names, a.start_s, a.duration_s) for a in found] == [
        (("F3",), 22.0, pytest.approx(0.35)),
        (("F3",), 28.0, pytest.approx(0.05)),
    ]
    assert found[0].value == 45_000.0


def test_a_segment_is_bad_where_half_of_the_channels_are_bad_for_half_of_the_time() -> None:
    signal = quiet()
    signal[:10, 1000:] = 0.0
    found = {a.kind: a for a in detect(signal)}
    assert found["global_bad"].ch_names == TEN_TWENTY[:10]
    assert found["global_bad"].value == pytest.approx(10 / 19)
    signal = quiet()
    signal[:9, 1000:] = 0.0
    assert {a.kind for a in detect(signal)} == {"flat"}
    missing = [Defect(name, 0.0, 25.1, "missing samples") for name in TEN_TWENTY[:10]]
    assert "global_bad" in {a.kind for a in detect(quiet(), defects=missing)}


def test_bad_share_counts_overlapping_artifacts_once() -> None:
    segment = Segment(0, 20.0, 10.0, quiet(), 200.0, TEN_TWENTY)
    artifacts = [
        Artifact("flat", ("O1",), 18.0, 5.0, 0.5, "µV"),  # 20 to 23
        Artifact("extreme", ("O1", "O2"), 22.0, 2.0, 5000.0, "µV"),  # 22 to 24
        Artifact("blink", ("O1",), 25.0, 5.0, 100.0, "µV"),
    ]
    share = bad_share(segment, artifacts)
    assert (share[ROW["O1"]], share[ROW["O2"]], share.sum()) == pytest.approx((0.4, 0.2, 0.6))


def test_the_default_artifacts_are_among_them_unchanged() -> None:
    events = {"blink": 20.0, "muscle": 10.0, "pop": 6.0, "flat": 3.0, "gaze_left": 6.0}
    segments = segment_recording(simulate(SimulationPreset(duration_s=120, events=events), 4).recording)
    features = extract_features(segments)
    plain, full = detect_in_all(segments, features), detect_artifacts_full(segments, features)
    assert [[a for a in own if a.kind not in EXTENDED_KINDS] for own in full] == plain
    assert {a.kind for own in full for a in own} <= set(FULL_KINDS)
