import numpy as np
import pytest

from corpus.artifacts import Artifact
from corpus.features import extract_features
from corpus.findings import find
from corpus.segment import Segment, segment_recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, simulate
from corpus.waveforms import (
    WAVEFORM_KINDS,
    Waveform,
    confirm,
    find_dipole,
    join,
    mask,
    period_hz,
    prune,
    waveform_events,
)

ROW = {name: i for i, name in enumerate(TEN_TWENTY)}


def segment(signal_uv: np.ndarray | None = None, names: tuple[str, ...] = TEN_TWENTY) -> Segment:
    if signal_uv is None:
        signal_uv = np.random.default_rng(0).normal(0, 5, (len(names), 2000))
    return Segment(3, 30.0, 10.0, signal_uv, 200.0, names)


def marks(kind: str, names: str, start_s: float, duration_s: float = 0.2, confidence: float = 0.8) -> list[Waveform]:
    """One mark an electrode, as a detector of channel-wise boxes gives them."""
    return [Waveform(kind, (name,), start_s, duration_s, confidence) for name in names.split()]


def test_the_nine_classes_of_cerebragloss() -> None:
    assert sorted(WAVEFORM_KINDS) == sorted(
        ["sharp", "spike", "spsw", "Kcomplex", "spindle", "hfnoise", "eyem", "eyer+", "eyer-"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("spikes", ("C3",), 0.0, 1.0), "got waveform 'spikes', expected one of spike, sharp"),
        (("spike", (), 0.0, 1.0), "got a spike on 0 electrodes"),
        (("spike", ("C3",), 0.0, 0.0), "for 0.0 s"),
        (("spike", ("C3",), 0.0, 1.0, 1.2), "with confidence 1.2"),
    ],
)
def test_impossible_marks_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Waveform(*arguments)


def test_marks_of_one_kind_become_events() -> None:
    found = waveform_events(
        segment(),
        [
            *marks("spindle", "C3 Cz C4", 33.0, 1.0, 0.6),
            *marks("spindle", "Cz", 33.5, 1.0, 0.9),
            *marks("spindle", "C3 Cz", 36.0, 0.8),
            *marks("Kcomplex", "Fz Cz", 33.2, 1.0),
        ],
    )
    assert [(e.kind, e.ch_names, e.start_s, e.confidence) for e in found] == [
        ("spindle", ("C3", "Cz", "C4"), 33.0, 0.9),
        ("Kcomplex", ("Fz", "Cz"), 33.2, 0.8),
        ("spindle", ("C3", "Cz"), 36.0, 0.8),
    ]
    assert found[0].end_s == pytest.approx(34.5)


def test_marks_are_cut_at_the_edges_of_the_segment() -> None:
    noise = Waveform("hfnoise", ("T7", "P7"), 25.0, 40.0)
    late = Waveform("spindle", ("C3", "Cz"), 39.8, 1.0)  # 0.2 of 1 s are inside
    early = Waveform("Kcomplex", ("C3", "Cz"), 29.6, 1.0)  # 0.6 of 1 s
    found = waveform_events(segment(), [noise, late, early, *marks("spike", "C3 Cz", 41.0)])
    assert [(e.kind, e.start_s, pytest.approx(e.duration_s)) for e in found] == [
        ("Kcomplex", 30.0, 0.6),
        ("hfnoise", 30.0, 10.0),
    ]


def test_an_unknown_electrode_is_refused() -> None:
    with pytest.raises(ValueError, match="got a spike on Oz, expected an electrode of the recording"):
        waveform_events(segment(), marks("spike", "C3 Oz", 32.0))


@pytest.mark.parametrize(
    ("artifact", "kept"),
    [
        (Artifact("blink", ("Fp1", "Fp2"), 32.0, 0.4, 100.0, "µV"), ["spindle"]),
        (Artifact("electrode", ("C3",), 30.0, 10.0, 100.0, "µV"), ["sharp:C4"]),
        (Artifact("extreme", ("C3", "C4"), 32.0, 0.4, 45_000.0, "µV"), []),
        (Artifact("extreme", ("C3", "C4"), 32.0, 0.05, 45_000.0, "µV"), ["sharp:C3", "sharp:C4", "spindle"]),
        (Artifact("muscle", ("C3",), 30.0, 10.0, 50.0, "µV²"), ["sharp:C3", "sharp:C4", "spindle"]),
    ],
)
def test_artifacts_hide_waveforms(artifact: Artifact, kept: list[str]) -> None:
    found = mask([*marks("sharp", "C3 C4", 32.1), *marks("spindle", "C3", 32.05, 0.4)], [artifact])
    assert [f"sharp:{m.ch_names[0]}" if m.kind == "sharp" else m.kind for m in found] == kept


def test_waveforms_hide_those_of_lower_priority_on_their_electrode() -> None:
    spsw, spikes = marks("spsw", "F3", 32.0, 0.4), marks("spike", "F3 F4", 32.0, 0.06)
    k, sharp = marks("Kcomplex", "Cz", 35.0, 1.0), marks("sharp", "Cz", 35.2, 0.15)
    noise, other = marks("hfnoise", "T7", 37.0, 1.0), marks("eyem", "T7", 37.2, 0.3)
    kept = mask([*spsw, *spikes, *k, *sharp, *noise, *other], [])
    assert kept == [*spsw, spikes[1], *k, *noise, *other]


def test_isolated_electrodes_are_pruned() -> None:
    (event,) = join(marks("sharp", "T7 P7 F4", 32.0))
    assert prune(event, TEN_TWENTY) == Waveform("sharp", ("T7", "P7"), 32.0, event.duration_s, 0.8)
    (alone,) = join(marks("spike", "O2", 32.0))
    assert prune(alone, TEN_TWENTY) is None
    assert prune(alone, ("C3", "C4", "O1", "O2")) == alone  # too few electrodes to tell
    (noise,) = join(marks("hfnoise", "O2", 32.0))
    assert prune(noise, TEN_TWENTY) == noise


def discharges(times: list[float], kind: str = "spike") -> list[Waveform]:
    return [Waveform(kind, ("F3", "C3"), t, 0.1) for t in times]


def test_a_period_is_the_inverse_of_the_mean_interval() -> None:
    assert period_hz(discharges([31, 33, 35, 37, 39])) == pytest.approx(0.5)
    assert period_hz(discharges([31, 33.1, 34.9, 37, 39])) == pytest.approx(0.5)
    # one discharge that is a spike here and a sharp wave there counts once
    mixed = sorted(discharges([31, 33, 35, 37]) + discharges([31.05, 35.05], "sharp"), key=lambda e: e.start_s)
    assert period_hz(mixed) == pytest.approx(0.5, abs=0.01)


def test_what_is_no_period() -> None:
    assert period_hz([]) is None
    assert period_hz(discharges([31, 33, 35])) is None  # too few
    assert period_hz(discharges([31, 32, 36, 37, 39.5])) is None  # irregular
    assert period_hz([Waveform("spindle", ("C3", "Cz"), t, 1.0) for t in (31, 33, 35, 37)]) is None


def with_dipole(positive: float) -> Segment:
    signal = np.random.default_rng(2).normal(0, 2, (19, 2000))
    shape = np.exp(-0.5 * ((np.arange(2000) / 200 - 4.0) / 0.02) ** 2)
    signal[[ROW["T7"], ROW["P7"]]] -= 100 * shape
    signal[[ROW["F4"], ROW["C4"]]] += positive * shape
    return segment(signal)


def test_a_dipole_has_two_poles_of_similar_size() -> None:
    spike = [Waveform("spike", ("T7", "P7"), 33.9, 0.2)]
    dipole = find_dipole(with_dipole(80.0), spike)
    assert (set(dipole.negative), set(dipole.positive)) == ({"T7", "P7"}, {"F4", "C4"})
    assert (dipole.negative_uv, dipole.positive_uv) == pytest.approx((-100, 80), abs=12)
    assert find_dipole(with_dipole(30.0), spike) is None
    assert find_dipole(with_dipole(80.0), [Waveform("spindle", ("T7", "P7"), 33.9, 0.2)]) is None


def test_find_turns_waveforms_into_details_with_evidence() -> None:
    here = with_dipole(80.0)
    features = extract_features([here])[0]
    waveforms = [w for t in (32.0, 33.9, 35.8, 37.7) for w in marks("spike", "T7 P7", t, 0.2, 0.7)]
    plain, found = find(here, features), find(here, features, waveforms=waveforms)
    assert (plain.details, found.items, found.facts) == ((), plain.items, plain.facts)
    assert [item.fact for item in found.details] == [
        ("search", "", "waveforms"),
        *4 * [("waveform", "", "spike")],
        ("periodicity", "", "periodic"),
        ("dipole", "", "negative"),
        ("dipole", "", "positive"),
    ]
    search, first, *_, period, negative, _ = found.details
    assert search.measured == 4
    assert (first.ch_names, first.start_s, first.duration_s) == (("T7", "P7"), 32.0, pytest.approx(0.2))
    assert (first.measured, first.unit) == (0.7, "confidence")
    assert (period.measured, period.unit) == (pytest.approx(1 / 1.9), "Hz")
    assert (period.start_s, period.duration_s) == (32.0, pytest.approx(5.9))
    assert negative.unit == "µV"
    assert [item.kind for item in find(here, features, waveforms=()).details] == ["search"]


def test_marks_of_a_simulated_recording_come_back_as_its_events() -> None:
    preset = SimulationPreset(duration_s=60, states=("n2",), events={"spindle": 6.0, "k_complex": 3.0})
    simulation = simulate(preset, 3)
    kinds = {"spindle": "spindle", "k_complex": "Kcomplex"}
    true = [e for e in simulation.events if e.kind in kinds]
    waveforms = [Waveform(kinds[e.kind], (name,), e.start_s, e.duration_s) for e in true for name in e.channels]
    found = [e for s in segment_recording(simulation.recording) for e in waveform_events(s, waveforms)]
    inside = [e for e in true if e.start_s // 10 == (e.start_s + e.duration_s) // 10 and len(e.channels) > 1]
    assert len(inside) > 5
    for event in inside:
        same = [f for f in found if f.kind == kinds[event.kind] and f.start_s <= event.start_s + 0.01 <= f.end_s]
        assert same
        assert set(event.channels) <= set(same[0].ch_names)


def test_eye_movements_of_rules_need_a_mark_of_a_detector_that_looked() -> None:
    blink = Artifact("blink", ("Fp1",), 1.0, 0.4, 80.0, "µV")
    later = Artifact("blink", ("Fp1",), 5.0, 0.4, 80.0, "µV")
    gaze, muscle = (
        Artifact("eye_left", ("F7",), 3.0, 1.0, 50.0, "µV"),
        Artifact("muscle", ("T7",), 0.0, 10.0, 9.0, "µV²"),
    )
    seen = [
        Waveform("eyem", ("Fp2",), 1.2, 0.3),
        Waveform("eyer-", ("F8",), 3.5, 1.0),
        Waveform("Kcomplex", ("Cz",), 5.0, 1),
    ]
    assert confirm([blink, gaze, later, muscle], seen) == [blink, gaze, muscle]
    assert confirm([blink, gaze, later, muscle], []) == [muscle]
