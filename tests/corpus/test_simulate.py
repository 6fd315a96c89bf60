"""The simulator against physics (MNE's forward model), physiology (where and how fast) and its own truth."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch

from corpus.montage import side_of
from corpus.recording import Annotation, Recording, RecordingError, read_recording
from corpus.simulate import (
    EVENT_KINDS,
    FIELD_FRACTION,
    STATES,
    TEN_TWENTY,
    SimulatedEvent,
    Simulation,
    SimulationPreset,
    random_preset,
    simulate,
    write_edf,
)
from corpus.simulate.forward import CENTRE_M, RADIUS_M, Head, lead_field, source_positions
from corpus.simulate.preset import EVENT_STATES
from corpus.simulate.rhythms import background, background_exponent, state_weights, typical_alpha_hz

ALL_EVENTS = dict.fromkeys(EVENT_KINDS, 6.0) | {"seizure": 0.7, "spike_wave": 1.0}


def row(simulation: Simulation, name: str) -> np.ndarray:
    return simulation.recording.signal_uv[simulation.recording.ch_names.index(name)]


def only(kind: str, rate: float = 6.0, **changes) -> tuple[Simulation, np.ndarray, list[SimulatedEvent]]:
    """A recording with one kind of event, what that kind alone added to it (C, T), and the events."""
    state = EVENT_STATES[kind][0]
    preset = SimulationPreset(**({"duration_s": 60.0, "states": (state,), "events": {kind: rate}} | changes))
    simulation = simulate(preset, seed=7)
    without = simulate(replace(preset, events={}), seed=7)
    added = simulation.recording.signal_uv - without.recording.signal_uv
    return simulation, added, [event for event in simulation.events if event.kind == kind]


def cut(added: np.ndarray, event: SimulatedEvent, sfreq: float = 200.0) -> np.ndarray:
    return added[:, round(event.start_s * sfreq) : round((event.start_s + event.duration_s) * sfreq)]


def band_power(signal_uv: np.ndarray, low: float, high: float, sfreq: float = 200.0) -> np.ndarray:
    hz, density = welch(signal_uv, sfreq, nperseg=min(400, signal_uv.shape[-1]))
    return density[..., (hz >= low) & (hz <= high)].sum(-1) * (hz[1] - hz[0])


def test_same_seed_same_samples():
    preset = SimulationPreset(duration_s=20, states=STATES, events=ALL_EVENTS, mains_hz=50.0)
    first, again, other = simulate(preset, 1), simulate(preset, 1), simulate(preset, 2)
    np.testing.assert_array_equal(first.recording.signal_uv, again.recording.signal_uv)
    assert first.events == again.events
    assert not np.array_equal(first.recording.signal_uv, other.recording.signal_uv)
    assert first.recording.signal_uv.shape == (19, 4000)
    assert random_preset(5) == random_preset(5) != random_preset(6)


def test_lead_field_matches_mne_for_one_dipole():
    import mne

    from corpus.montage import electrode_positions

    point, moment = 123, np.array([0.36, -0.48, 0.8])
    info = mne.create_info(list(TEN_TWENTY), 200.0, "eeg")
    positions = dict(zip(TEN_TWENTY, electrode_positions(TEN_TWENTY), strict=True))
    info.set_montage(mne.channels.make_dig_montage(positions, coord_frame="head"))
    sphere = mne.make_sphere_model(tuple(CENTRE_M), RADIUS_M, verbose="error")
    dipole = mne.Dipole([0.0], source_positions()[[point]], [1e-9], moment[None], [100.0])
    expected = mne.make_forward_dipole(dipole, sphere, info, verbose="error")[0]["sol"]["data"][:, 0] * 1e-9 * 1e6
    np.testing.assert_allclose(lead_field(TEN_TWENTY)[:, point] @ moment, expected, rtol=1e-4, atol=1e-7)


def test_field_is_smooth_and_the_same_on_every_montage():
    head = Head(TEN_TWENTY)
    covariance = head.background() @ head.background().T
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    at = TEN_TWENTY.index
    assert correlation[at("F3"), at("Fz")] > 0.5
    assert correlation[at("P3"), at("Pz")] > 0.5
    assert abs(correlation[at("F7"), at("P4")]) < correlation[at("F7"), at("F3")]
    small = Head(("O1", "AF3"))
    np.testing.assert_allclose(small.patch(("O1",), 0.3)[0], head.patch(("O1",), 0.3)[at("O1")], rtol=1e-9)
    assert head.patch(("T7",), 0.3).argmax() == at("T7")


@pytest.mark.parametrize("state", STATES)
def test_background_slope(state):
    preset = SimulationPreset(duration_s=300, states=(state,), age_years=60)
    weights = state_weights(preset, 60000)
    signal = background(Head(TEN_TWENTY), preset, weights, np.random.default_rng(0))
    hz, density = welch(signal, 200, nperseg=800)
    fit = (hz >= 3) & (hz <= 60)
    slope = np.polyfit(np.log(hz[fit]), np.log(density[:, fit].mean(0)), 1)[0]
    assert slope == pytest.approx(-background_exponent(60, state), abs=0.1)
    hz, density = welch(signal, 200, nperseg=6000)
    power = density[:, (hz >= 1) & (hz <= 40)].sum(1).mean() * hz[1]
    assert np.sqrt(power) == pytest.approx(preset.background_uv, rel=0.05)


def test_slope_flattens_with_age_and_steepens_with_sleep():
    assert background_exponent(5, "n2") > background_exponent(35, "n2") > background_exponent(80, "n2")
    assert np.all(np.diff([background_exponent(35, s) for s in ("awake_eyes_open", "drowsy", "n2", "n3")]) > 0)


def test_alpha_is_posterior_and_blocked_by_opening_the_eyes():
    simulation = simulate(SimulationPreset(duration_s=120, events={}, alpha_hz=9.5), seed=3)
    closed, opened = simulation.recording.signal_uv[:, :12000], simulation.recording.signal_uv[:, 12000:]
    power, blocked = band_power(closed, 8, 11), band_power(opened, 8, 11)
    back, front = [TEN_TWENTY.index(n) for n in ("O1", "O2")], [TEN_TWENTY.index(n) for n in ("Fp1", "Fp2", "F3", "F4")]
    assert power[back].mean() > 4 * power[front].mean()
    assert power[back].mean() > 6 * blocked[back].mean()
    hz, density = welch(closed[back].mean(0), 200, nperseg=800)
    assert hz[density.argmax()] == pytest.approx(9.5, abs=0.6)
    assert np.sqrt(2 * power[back].mean()) == pytest.approx(35, rel=0.3)


def test_states_differ_as_they_should():
    preset = SimulationPreset(duration_s=300, states=STATES, events={})
    parts = dict(zip(STATES, np.split(simulate(preset, 4).recording.signal_uv, 5, axis=1), strict=True))
    theta, delta, alpha = (
        {state: band_power(part[TEN_TWENTY.index(name)], *band) for state, part in parts.items()}
        for name, band in (("Fz", (4, 7.5)), ("Fz", (0.5, 3)), ("O1", (8, 12)))
    )
    assert theta["drowsy"] > 3 * theta["awake_eyes_closed"]
    assert alpha["drowsy"] < 0.5 * alpha["awake_eyes_closed"]
    assert delta["n3"] > 4 * delta["n2"] > 4 * delta["awake_eyes_closed"]
    slow = parts["n3"][TEN_TWENTY.index("Fz")]
    assert 75 < 2 * np.sqrt(2) * slow.std() < 250  # typical peak to peak, microvolts
    assert typical_alpha_hz(4) < 8.5 < 9.5 < typical_alpha_hz(30)


def test_spindles_at_the_annotated_times():
    simulation, added, events = only("spindle", rate=5)
    assert len(events) == 5
    centre = TEN_TWENTY.index("Cz")
    for event in events:
        assert 0.5 <= event.duration_s <= 2.0
        own = cut(added, event)[centre]
        hz = np.fft.rfftfreq(4096, 1 / 200)[np.abs(np.fft.rfft(own, 4096)).argmax()]
        assert 11 <= hz <= 16
        assert {"Cz", "C3", "C4"} & set(event.channels)
    during = np.mean([band_power(cut(simulation.recording.signal_uv, event)[centre], 11, 16) for event in events])
    assert during > 5 * band_power((simulation.recording.signal_uv - added)[centre], 11, 16)


def test_blink_is_frontal_and_positive():
    _, added, events = only("blink", rate=15)
    assert len(events) == 15
    for event in events:
        own = cut(added, event)
        peak = own[:, np.abs(own).max(0).argmax()]
        assert {"Fp1", "Fp2"} <= set(event.channels)
        assert peak[:2].min() > 40
        assert peak[:2].min() > 2 * np.abs(peak[TEN_TWENTY.index("F3")])
        assert 50 < event.amplitude_uv < 250


@pytest.mark.parametrize(("kind", "sign"), [("gaze_left", 1), ("gaze_right", -1)])
def test_lateral_gaze_is_opposite_at_f7_and_f8(kind, sign):
    _, added, events = only(kind)
    assert events
    for event in events:
        own = cut(added, event)
        assert sign * own[TEN_TWENTY.index("F7")].mean() > 15
        assert sign * own[TEN_TWENTY.index("F8")].mean() < -15
        assert {"F7", "F8"} <= set(event.channels)


@pytest.mark.parametrize(("focus", "side", "other"), [("T7", "left", "T8"), ("F8", "right", "F7")])
def test_seizure_lateralises_grows_and_slows(focus, side, other):
    _, added, events = only("seizure", rate=1, focus=focus)
    (event,) = events
    own = cut(added, event)
    thirds = np.array_split(own[TEN_TWENTY.index(focus)], 3)
    peaks = [np.fft.rfftfreq(4096, 1 / 200)[np.abs(np.fft.rfft(part, 4096)).argmax()] for part in thirds]
    assert peaks[0] > peaks[1] > peaks[2]
    assert 4 < peaks[0] < 9
    assert 1.5 < peaks[2] < 4.5
    assert thirds[0].std() < 0.6 * thirds[2].std()
    assert own[TEN_TWENTY.index(focus)].std() > 2 * own[TEN_TWENTY.index(other)].std()
    assert focus in event.channels
    assert side in {side_of(name) for name in event.channels} <= {side, "midline"}


@pytest.mark.parametrize(("kind", "shortest", "longest"), [("spike", 0.035, 0.075), ("sharp_wave", 0.075, 0.205)])
def test_focal_discharges_are_negative_at_the_focus(kind, shortest, longest):
    _, added, events = only(kind, focus="C4")
    assert events
    for event in events:
        own = cut(added, event)[TEN_TWENTY.index("C4")]
        assert shortest < event.duration_s < longest
        assert own.min() < -40
        assert own.max() < -0.5 * own.min()
        assert "C4" in event.channels


def test_spike_and_wave_is_generalised_at_three_hertz():
    _, added, events = only("spike_wave", rate=2)
    for event in events:
        own = cut(added, event)[TEN_TWENTY.index("Fz")]
        hz = np.fft.rfftfreq(8192, 1 / 200)
        spectrum = np.abs(np.fft.rfft(own - own.mean(), 8192))
        assert hz[(spectrum * ((hz > 1.5) & (hz < 4.5))).argmax()] == pytest.approx(3.0, abs=0.4)
        assert {side_of(name) for name in event.channels} == {"left", "midline", "right"}


def test_k_complex_is_a_large_biphasic_frontocentral_wave():
    _, added, events = only("k_complex", reference="ears")
    assert events
    for event in events:
        own = cut(added, event)[TEN_TWENTY.index("Fz")]
        assert own.argmin() < own.argmax()
        assert np.ptp(own) > 100
        assert 0.5 <= event.duration_s <= 1.5
        assert "Fz" in event.channels


def test_muscle_is_fast_and_temporal_or_frontal():
    _, added, events = only("muscle")
    assert events
    for event in events:
        own = cut(added, event)
        loudest = own.std(1).argmax()
        assert TEN_TWENTY[loudest] in ("T7", "T8", "F7", "F8", "Fp1", "Fp2")
        assert band_power(own[loudest], 20, 100) > 0.7 * own[loudest].var()


def test_pop_stays_on_its_channel():
    _, added, events = only("pop")
    assert events
    for event in events:
        own = np.abs(cut(added, event)).max(1)
        (name,) = event.channels
        assert event.amplitude_uv > 99
        assert own[TEN_TWENTY.index(name)] == pytest.approx(event.amplitude_uv, rel=1e-4)
        assert np.delete(own, TEN_TWENTY.index(name)).max() < 1e-3


def test_flat_channel_is_constant_in_its_interval():
    simulation, _, events = only("flat", rate=3, mains_hz=60.0)
    assert events
    for event in events:
        start, stop = round(event.start_s * 200), round((event.start_s + event.duration_s) * 200)
        samples = row(simulation, event.channels[0])
        assert np.ptp(samples[start:stop]) == 0
        assert np.ptp(samples[max(start - 20, 0) : start]) > 0 or start == 0
        assert stop - start >= 600
    hidden = SimulationPreset(duration_s=20, ch_names=("T7",), focus="T7", events={"flat": 6.0, "spike": 60.0})
    truth = simulate(hidden, 1).events
    flat = next(event for event in truth if event.kind == "flat")
    inside = [
        e for e in truth if e.kind == "spike" and flat.start_s <= e.start_s < flat.start_s + flat.duration_s - 0.1
    ]
    assert not inside


def test_mains_is_a_line_at_its_frequency():
    preset = SimulationPreset(duration_s=20, events={}, mains_hz=50.0)
    hz, density = welch(simulate(preset, 1).recording.signal_uv, 200, nperseg=400)
    assert np.median(density[:, hz == 50.0] / density[:, hz == 47.0]) > 5


@pytest.mark.parametrize("kind", [kind for kind in EVENT_KINDS if kind != "flat"])
def test_truth_is_exact(kind):
    """Nothing is added outside the annotated intervals; inside, channels and amplitude follow their definition."""
    simulation, added, events = only(kind, rate=1 if kind == "seizure" else 4, reference="ears")
    outside = np.ones(added.shape[1], bool)
    for event in events:
        start, stop = round(event.start_s * 200), round((event.start_s + event.duration_s) * 200)
        assert start / 200 == event.start_s
        assert np.all(outside[start:stop])
        outside[start:stop] = False
        peaks = np.abs(added[:, start:stop]).max(1)
        reached = {name for name, peak in zip(TEN_TWENTY, peaks, strict=True) if peak > FIELD_FRACTION * peaks.max()}
        assert set(event.channels) == reached
        assert event.amplitude_uv == pytest.approx(peaks.max(), rel=1e-3)
    assert events
    assert np.abs(added[:, outside]).max() < 1e-3
    noted = [Annotation(event.start_s, event.duration_s, event.kind) for event in simulation.events]
    assert list(simulation.recording.annotations) == noted


def test_events_keep_to_their_states_and_rates():
    preset = SimulationPreset(duration_s=300, states=STATES, events=ALL_EVENTS)
    simulation = simulate(preset, 2)
    intervals = {e.kind: (e.start_s, e.start_s + e.duration_s) for e in simulation.events if e.kind in STATES}
    assert list(intervals) == list(STATES)
    assert intervals["drowsy"] == (120.0, 180.0)
    for event in simulation.events:
        if event.kind in EVENT_KINDS and EVENT_STATES[event.kind] != STATES:
            homes = [intervals[state] for state in EVENT_STATES[event.kind]]
            assert any(start <= event.start_s and event.start_s + event.duration_s <= stop for start, stop in homes)
    counts = Counter(event.kind for event in simulation.events)
    assert counts["blink"] == 6  # one minute with open eyes
    assert counts["spindle"] == 12
    assert counts["gaze_left"] == 12


def test_montage_that_cannot_see_an_event_does_not_report_it():
    simulation, added, events = only("blink", ch_names=("O1", "O2", "Pz"))
    assert not events
    assert np.abs(added).max() < 1e-3
    assert simulation.recording.ch_names == ("O1", "O2", "Pz")


def test_random_presets_vary_and_simulate():
    presets = [random_preset(seed, duration_s=12.0) for seed in range(40)]
    for seed, preset in enumerate(presets):
        simulation = simulate(preset, seed)
        assert np.isfinite(simulation.recording.signal_uv).all()
        assert simulation.recording.ch_names == preset.ch_names
        for event in simulation.events:
            assert set(event.channels) <= set(preset.ch_names)
            assert event.channels
            assert event.start_s >= 0
            assert event.start_s + event.duration_s <= 12.0 + 1e-9
    assert len({preset.ch_names for preset in presets}) > 5
    assert {state for preset in presets for state in preset.states} == set(STATES)
    assert {preset.mains_hz for preset in presets} == {None, 50.0, 60.0}
    assert sum("spike" in preset.events for preset in presets) > 2


def test_edf_round_trip(tmp_path):
    preset = SimulationPreset(duration_s=20, states=("awake_eyes_open",), events={"blink": 20.0, "flat": 3.0})
    recording = simulate(preset, 5).recording
    path = tmp_path / "simulated.edf"
    write_edf(recording, path)
    again = read_recording(path)
    assert again.ch_names == recording.ch_names
    assert again.sfreq == recording.sfreq
    assert again.signal_uv.shape == recording.signal_uv.shape
    step = np.ptp(recording.signal_uv, axis=1, keepdims=True) / 65535
    assert np.all(np.abs(again.signal_uv - recording.signal_uv) <= 0.6 * step + 2e-4)
    assert [a.description for a in again.annotations] == [a.description for a in recording.annotations]
    times = [(a.start_s, a.duration_s) for a in recording.annotations]
    np.testing.assert_allclose([(a.start_s, a.duration_s) for a in again.annotations], times, atol=1e-6)
    header = path.read_bytes()[:256]
    assert header[8:88].decode().split() == ["X", "X", "X", "X"]
    assert header[88:168].decode().split() == ["Startdate", "X", "X", "X", "X"]


@pytest.mark.parametrize(
    ("sfreq", "n_times", "expected"), [(200.0, 2050, 2200), (128.5, 2570, 2570), (250.0, 2500, 2500)]
)
def test_edf_fills_the_last_record(tmp_path, sfreq, n_times, expected):
    signal = np.random.default_rng(0).normal(0, 20, (2, n_times))
    write_edf(Recording(signal, sfreq, ("C3", "C4")), tmp_path / "odd.edf")
    again = read_recording(tmp_path / "odd.edf")
    assert again.signal_uv.shape == (2, expected)
    np.testing.assert_allclose(again.signal_uv[:, :n_times], signal, atol=0.01)
    np.testing.assert_allclose(
        again.signal_uv[:, n_times:], np.repeat(signal[:, -1:], expected - n_times, 1), atol=0.01
    )


def test_edf_refuses_missing_samples(tmp_path):
    signal = np.full((1, 2000), np.nan)
    with pytest.raises(RecordingError, match=r"got missing or infinite samples in C3.*expected finite"):
        write_edf(Recording(signal, 200.0, ("C3",)), tmp_path / "broken.edf")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": ("asleep",)}, r"got state asleep, expected one of awake_eyes_closed"),
        ({"events": {"sneeze": 1.0}}, r"got event sneeze, expected one of blink"),
        ({"events": {"blink": -1.0}}, r"negative rate for \['blink'\]"),
        ({"mains_hz": 55.0}, r"mains_hz 55.0, expected None, 50 or 60"),
        ({"ch_names": ()}, r"no ch_names"),
        ({"reference": "nose"}, r"reference nose, expected one of average, ears"),
    ],
)
def test_impossible_presets_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SimulationPreset(**changes)


def test_unknown_electrode_is_refused():
    with pytest.raises(RecordingError, match="Qz"):
        simulate(SimulationPreset(ch_names=("Cz", "Qz")), 0)


def test_import_needs_neither_mne_nor_torch():
    code = "import sys, corpus.simulate; sys.exit(bool({'mne', 'torch', 'edfio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
