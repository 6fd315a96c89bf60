"""Boxes of the simulator, class by class, against what each event adds to the signal; and what must not move."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt, welch

from corpus.simulate import (
    BOX_KINDS,
    BOX_RULES,
    EVENT_KINDS,
    SIXTY_FOUR,
    STATES,
    TEN_TWENTY,
    Box,
    Simulation,
    SimulationPreset,
    detector_preset,
    random_preset,
    simulate,
)
from corpus.simulate.boxes import CONTRAST
from corpus.simulate.preset import EVENT_STATES
from corpus.simulate.recording import _own_stream
from corpus.simulate.rhythms import typical_alpha_hz, typical_alpha_uv, typical_slow_waking
from corpus.waveforms import WAVEFORM_KINDS

SFREQ = 200.0
FIRST_KINDS = (
    "blink", "gaze_left", "gaze_right", "muscle", "pop", "flat", "spindle", "k_complex", "spike", "sharp_wave",
    "spike_slow_wave", "spike_wave", "seizure",
)  # fmt: skip
CLASS_OF = {
    "spike": {"spike"},
    "sharp_wave": {"sharp"},
    "spike_slow_wave": {"spsw"},
    "spike_wave": {"spsw"},
    "k_complex": {"Kcomplex"},
    "spindle": {"spindle"},
    "muscle": {"hfnoise"},
    "chewing": {"hfnoise"},
    "electrode_noise": {"hfnoise"},
    "blink": {"eyem"},
    "gaze_left": {"eyer+", "eyer-"},
    "gaze_right": {"eyer+", "eyer-"},
    "slow_eye": {"eyer+", "eyer-"},
    "respiration": {"respiration"},
    "pop": {"electrode"},
    "extreme": {"extreme"},
}


def only(kind: str, rate: float = 6.0, seed: int = 7, **changes) -> tuple[Simulation, np.ndarray]:
    """A varied recording with one kind of event, and what that kind alone added to it (C, T)."""
    fields = {"states": (EVENT_STATES[kind][0],), "events": {kind: rate}, "varied": True, "focus": "T7"} | changes
    preset = SimulationPreset(**({"duration_s": 60.0} | fields))
    simulation, without = simulate(preset, seed), simulate(replace(preset, events={}), seed)
    assert not without.boxes
    return simulation, simulation.recording.signal_uv - without.recording.signal_uv


def quiet(kind: str, rate: float = 6.0, **changes) -> tuple[Simulation, np.ndarray]:
    """The same with next to no background, so that amplitude, polarity and length alone decide."""
    return only(kind, rate, **({"background_uv": 0.1, "alpha_uv": 0.1} | changes))


def samples(box: Box) -> slice:
    return slice(round(box.start_s * SFREQ), round((box.start_s + box.duration_s) * SFREQ))


def on(simulation: Simulation, name: str) -> list[Box]:
    return [box for box in simulation.boxes if box.ch_name == name]


def own(added: np.ndarray, box: Box) -> np.ndarray:
    return added[TEN_TWENTY.index(box.ch_name), samples(box)]


def peak_hz(signal_uv: np.ndarray, low: float, high: float) -> float:
    hz = np.fft.rfftfreq(8192, 1 / SFREQ)
    spectrum = np.abs(np.fft.rfft(signal_uv - signal_uv.mean(), 8192))
    return float(hz[(spectrum * ((hz >= low) & (hz <= high))).argmax()])


@pytest.mark.parametrize(
    ("preset", "seed", "expected"),
    [
        (SimulationPreset(duration_s=20), 1, "0d5d4d0da8a5a773"),
        (random_preset(3, duration_s=20), 3, "38ea0b9caaf13608"),
        (
            SimulationPreset(
                duration_s=30,
                states=STATES,
                events=dict.fromkeys(FIRST_KINDS, 6.0) | {"seizure": 0.7, "spike_wave": 1.0},
                mains_hz=50.0,
            ),
            2,
            "33b28406d2d69544",
        ),
    ],
)
def test_signals_of_earlier_versions_stay(preset, seed, expected):
    """Training sets and other tests were made with these seeds."""
    tenths = np.round(simulate(preset, seed).recording.signal_uv * 10).astype(np.int32)
    assert hashlib.sha256(tenths.tobytes()).hexdigest()[:16] == expected


def test_the_classes_are_those_of_the_waveform_marks():
    assert set(BOX_KINDS[:9]) == set(WAVEFORM_KINDS)
    assert set(CLASS_OF) == set(BOX_RULES)
    assert set(EVENT_KINDS) - set(BOX_RULES) == {"flat", "seizure", "vertex_wave", "mu"}


@pytest.mark.parametrize("varied", [True, False])
@pytest.mark.parametrize("kind", list(BOX_RULES))
def test_boxes_hold_what_reaches_each_channel(kind, varied):
    """Without background a channel has a box exactly where the event's own peak reaches the least amplitude."""
    rule, (simulation, added) = BOX_RULES[kind], quiet(kind, varied=varied)
    events = [event for event in simulation.events if event.kind == kind]
    assert events
    assert simulation.boxes
    for event in events:
        span = slice(round(event.start_s * SFREQ), round((event.start_s + event.duration_s) * SFREQ))
        for row, name in enumerate(TEN_TWENTY):
            wave = added[row, span]
            peak = np.abs(wave).max()
            sign = 1 if wave.max() >= -wave.min() else -1
            held = np.flatnonzero(np.abs(wave) >= rule.edge * peak)
            long = (held[-1] - held[0] + 1) / SFREQ >= rule.least_s - 1e-9
            found = [b for b in on(simulation, name) if span.start <= samples(b).start < span.stop]
            if abs(peak - rule.least_uv) < 0.01:
                continue
            assert bool(found) == (peak >= rule.least_uv and rule.polarity in (0, sign) and long)
            for box in found:
                assert box.kind in CLASS_OF[kind]
                assert box.event == kind
                assert box.kind[4:] not in ("+", "-") or box.kind[4:] == ("+" if sign > 0 else "-")
                assert box.amplitude_uv == pytest.approx(peak, abs=2e-3)
                assert samples(box).start == pytest.approx(span.start + held[0], abs=1)
                assert samples(box).stop == pytest.approx(span.start + held[-1] + 1, abs=1)


def test_a_loud_background_hides_what_does_not_stand_out():
    low, (calm, _) = 12.0, quiet("k_complex", 10.0)
    loud, added = only("k_complex", 10.0, background_uv=14.0)
    assert 0 < len(loud.boxes) < len(calm.boxes)
    assert all(box.contrast >= CONTRAST for box in loud.boxes)
    passband = butter(4, (0.5, 8.0), "bandpass", fs=SFREQ, output="sos")
    others = sosfiltfilt(passband, loud.recording.signal_uv - added)
    ratios = []
    for box in loud.boxes:
        around = slice(max(samples(box).start - 200, 0), samples(box).stop + 200)
        expected = box.amplitude_uv / others[TEN_TWENTY.index(box.ch_name), around].std()
        assert 1.2 < expected < low * CONTRAST
        ratios.append(box.contrast / expected)
    assert np.median(ratios) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(
    ("kind", "shortest", "longest"), [("spike", 0.020, 0.070), ("sharp_wave", 0.070, 0.200), ("k_complex", 0.5, 1.7)]
)
def test_durations_of_transients(kind, shortest, longest):
    simulation, _ = quiet(kind, 20.0)
    lengths = [box.duration_s for box in simulation.boxes]
    assert shortest - 1e-9 <= min(lengths) < max(lengths) <= longest + 1e-9
    assert max(lengths) > 1.4 * min(lengths)


@pytest.mark.parametrize("kind", ["spike", "sharp_wave", "spike_slow_wave"])
def test_discharges_are_mostly_negative_at_the_focus(kind):
    simulation, added = quiet(kind, 30.0, reference="ears", focus="C4")
    waves = [own(added, box) for box in on(simulation, "C4")]
    negative = [wave[np.abs(wave).argmax()] < 0 for wave in waves]
    assert len(waves) > 0.6 * len([event for event in simulation.events if event.kind == kind])
    assert 0.7 < np.mean(negative) <= 1
    assert len(on(simulation, "C4")) > 2 * len(on(simulation, "O1"))


def test_complex_of_spike_and_slow_wave_is_one_box():
    simulation, added = quiet("spike_slow_wave", 15.0, reference="ears")
    boxes = on(simulation, "T7")
    assert all(0.15 <= box.duration_s <= 0.45 for box in boxes)
    for box in boxes:
        wave = own(added, box)
        assert np.abs(wave[: len(wave) // 2]).max() > 0.3 * box.amplitude_uv
        assert np.abs(wave[len(wave) // 2 :]).max() > 0.15 * box.amplitude_uv


def test_runs_of_spike_and_wave_repeat_at_2_5_to_4_hertz():
    simulation, added = quiet("spike_wave", 4.0, reference="ears")
    boxes = on(simulation, "Fz")
    assert boxes
    assert max(box.duration_s for box in boxes) > 2
    for box in boxes:
        assert 2.4 <= peak_hz(own(added, box), 1.5, 5.0) <= 4.1


def test_spindles_are_central_or_frontal_sigma_of_half_a_second_or_more():
    simulation, added = quiet("spindle", 12.0, reference="ears")
    count = sum(event.kind == "spindle" for event in simulation.events)
    middle = {name: len(on(simulation, name)) for name in ("Fz", "Cz", "O1", "Fp1")}
    assert middle["Cz"] > 0.8 * count
    assert middle["Cz"] > middle["O1"]
    for box in simulation.boxes:
        assert 0.5 <= box.duration_s <= 2.6
        assert 11 <= peak_hz(own(added, box), 2, 30) <= 16


def test_k_complexes_are_frontocentral_and_negative_first():
    simulation, added = quiet("k_complex", 10.0, reference="ears")
    assert len(on(simulation, "Fz")) >= 0.9 * sum(event.kind == "k_complex" for event in simulation.events)
    assert len(on(simulation, "Fz")) > len(on(simulation, "O1"))
    for box in on(simulation, "Fz"):
        wave = own(added, box)
        assert wave.argmin() < wave.argmax()
        assert wave.max() > 0.3 * box.amplitude_uv


def test_blinks_are_frontal_and_positive():
    simulation, added = quiet("blink", 20.0)
    blinks = sum(event.kind == "blink" for event in simulation.events)
    assert len(on(simulation, "Fp1")) >= 0.95 * blinks
    assert not on(simulation, "O1")
    assert not on(simulation, "Pz")
    for box in simulation.boxes:
        wave = own(added, box)
        assert wave.max() == pytest.approx(box.amplitude_uv, abs=2e-3)
        assert box.duration_s <= 0.5


@pytest.mark.parametrize(("kind", "left", "right"), [("gaze_left", "eyer+", "eyer-"), ("gaze_right", "eyer-", "eyer+")])
def test_gaze_has_opposite_classes_at_f7_and_f8(kind, left, right):
    simulation, _ = quiet(kind)
    assert {box.kind for box in on(simulation, "F7")} == {left}
    assert {box.kind for box in on(simulation, "F8")} == {right}
    assert len(on(simulation, "F7")) == len(on(simulation, "F8")) == 6


def test_fast_noise_is_fast_and_chewing_comes_in_bursts():
    simulation, added = quiet("muscle")
    for box in simulation.boxes:
        hz, density = welch(own(added, box), SFREQ, nperseg=min(64, round(box.duration_s * SFREQ)))
        assert density[hz >= 17].sum() > 0.8 * density.sum()
    chewing, added = quiet("chewing", 3.0)
    loudest = max(chewing.boxes, key=lambda box: box.amplitude_uv)
    assert loudest.ch_name in ("T7", "T8", "F7", "F8")
    assert 2.5 <= loudest.duration_s <= 12
    fast = sosfiltfilt(butter(4, 25, "highpass", fs=SFREQ, output="sos"), own(added, loudest))
    assert 0.9 <= peak_hz(fast**2, 0.7, 4.0) <= 2.2
    assert {side for box in chewing.boxes if (side := box.ch_name) in ("T7", "T8")} == {"T7", "T8"}


def test_noise_of_an_electrode_keeps_to_it():
    simulation, added = quiet("electrode_noise")
    for box in simulation.boxes:
        others = np.delete(np.abs(added[:, samples(box)]).max(1), TEN_TWENTY.index(box.ch_name))
        assert others.max() < 1e-3


def test_respiration_is_slow_and_extreme_is_no_eeg():
    breathing, added = quiet("respiration", 3.0)
    assert {box.kind for box in breathing.boxes} == {"respiration"}
    for box in breathing.boxes:
        assert 0.15 <= peak_hz(own(added, box), 0.05, 5) <= 0.45
    assert all(box.amplitude_uv > 1000 for box in quiet("extreme")[0].boxes)


@pytest.mark.parametrize("kind", ["vertex_wave", "mu", "seizure"])
def test_look_alikes_have_no_box(kind):
    simulation, added = quiet(kind, 4.0)
    assert kind in {event.kind for event in simulation.events}
    assert np.abs(added).max() > 10
    assert not simulation.boxes


def test_flat_stretches_have_boxes_and_hide_others():
    preset = SimulationPreset(
        duration_s=30.0, ch_names=("T7",), focus="T7", events={"flat": 6.0, "spike": 90.0}, varied=True
    )
    simulation = simulate(preset, 1)
    flats = [box for box in simulation.boxes if box.kind == "flat"]
    assert flats
    for flat in flats:
        assert np.ptp(simulation.recording.signal_uv[0, samples(flat)]) == 0
        for box in simulation.boxes:
            overlap = min(box.start_s + box.duration_s, flat.start_s + flat.duration_s) - max(box.start_s, flat.start_s)
            assert box.kind == "flat" or overlap <= 1e-9


@pytest.mark.parametrize("names", [("Cz",), ("C3", "F7"), TEN_TWENTY[:7], SIXTY_FOUR[:33], SIXTY_FOUR])
def test_montages_of_1_to_64_electrodes(names):
    preset = replace(detector_preset(1, duration_s=20.0), ch_names=names, states=STATES)
    preset = replace(preset, events=dict.fromkeys([kind for kind in EVENT_KINDS if kind != "seizure"], 8.0))
    simulation = simulate(preset, 1)
    assert simulation.recording.signal_uv.shape == (len(names), 4000)
    assert np.isfinite(simulation.recording.signal_uv).all()
    assert simulation.boxes
    for box in simulation.boxes:
        assert box.ch_name in names
        assert box.kind in BOX_KINDS
        assert box.start_s >= 0
        assert box.duration_s > 0
        assert box.start_s + box.duration_s <= 20 + 1e-9
    assert list(simulation.boxes) == sorted(
        simulation.boxes, key=lambda box: (box.start_s, names.index(box.ch_name), box.kind)
    )


def test_montages_agree_on_a_common_electrode():
    few = ("Cz", "Fz", "Pz", "F3", "F4", "C3", "C4")
    small, large = (only("spindle", 10.0, ch_names=names, reference="ears")[1] for names in (few, SIXTY_FOUR))
    np.testing.assert_allclose(small[0], large[SIXTY_FOUR.index("Cz")], atol=2e-3)


def test_sampling_rates_agree_on_boxes():
    spans = [
        [(box.start_s, box.duration_s) for box in quiet("k_complex", sfreq=sfreq)[0].boxes if box.ch_name == "Fz"]
        for sfreq in (200.0, 250.0)
    ]
    assert len(spans[0]) == len(spans[1])
    np.testing.assert_allclose([d for _, d in spans[0]], [d for _, d in spans[1]], atol=0.015)


def test_seeds_reproduce_and_kinds_do_not_disturb_each_other():
    preset = detector_preset(5, duration_s=20.0)
    assert preset == detector_preset(5, duration_s=20.0) != detector_preset(6, duration_s=20.0)
    first, again, other = simulate(preset, 5), simulate(preset, 5), simulate(preset, 6)
    np.testing.assert_array_equal(first.recording.signal_uv, again.recording.signal_uv)
    assert first.boxes == again.boxes != other.boxes
    alone, both = (
        SimulationPreset(duration_s=20.0, states=("awake_eyes_open",), varied=True, events=events)
        for events in ({"spike": 12.0}, {"spike": 12.0, "blink": 12.0, "muscle": 6.0})
    )
    draws = {_own_stream(1, kind).random() for kind in EVENT_KINDS} | {_own_stream(2, "spike").random()}
    assert len(draws) == len(EVENT_KINDS) + 1
    spikes = [[event for event in simulate(preset, 1).events if event.kind == "spike"] for preset in (alone, both)]
    assert spikes[0] == spikes[1] != []


def test_new_kinds_leave_the_plain_ones_alone():
    events = {"blink": 12.0, "spike": 6.0, "pop": 3.0}
    preset = SimulationPreset(duration_s=30.0, states=("awake_eyes_open",), events=events)
    more = replace(preset, events=events | {"electrode_noise": 2.0, "respiration": 2.0, "chewing": 2.0})
    before, after = (
        [event for event in simulate(p, 3).events if event.kind in (*events, "flat")] for p in (preset, more)
    )
    assert before == after


def test_detector_presets_cover_ages_states_montages_and_every_class():
    presets = [detector_preset(seed, duration_s=20.0) for seed in range(60)]
    kinds = {box.kind for seed, preset in enumerate(presets[:25]) for box in simulate(preset, seed).boxes}
    assert kinds >= set(WAVEFORM_KINDS)
    assert {kind for preset in presets for kind in preset.events} == set(EVENT_KINDS) - {"seizure"}
    ages, sizes = [preset.age_years for preset in presets], [len(preset.ch_names) for preset in presets]
    assert min(ages) < 8
    assert max(ages) > 75
    assert min(sizes) <= 2
    assert max(sizes) == 64
    assert {state for preset in presets for state in preset.states} == set(STATES)
    assert all(preset.reference == "ears" for preset in presets if len(preset.ch_names) < 8)


def test_posterior_rhythm_and_slow_activity_follow_age():
    hz, uv, theta = [], [], []
    for age in (5, 35, 85):
        preset = SimulationPreset(
            duration_s=120.0,
            states=("awake_eyes_closed",),
            events={},
            age_years=age,
            alpha_uv=typical_alpha_uv(age),
            slow_waking=typical_slow_waking(age),
        )
        signal = simulate(preset, 2).recording.signal_uv
        f, density = welch(signal, SFREQ, nperseg=800)
        back = density[TEN_TWENTY.index("O1")]
        alpha = (f >= 6) & (f <= 12)
        hz.append(f[alpha][back[alpha].argmax()])
        uv.append(np.sqrt(2 * back[alpha].sum() * f[1]))
        theta.append(density[TEN_TWENTY.index("Fz"), (f >= 4) & (f < 6.5)].sum())
    assert hz == pytest.approx([typical_alpha_hz(age) for age in (5, 35, 85)], abs=1.0)
    assert hz[0] < 9 < 9.3 < hz[1] > hz[2]
    assert uv[0] > uv[1] > uv[2]
    assert theta[0] > 2 * theta[1]


def test_fast_scales_beta_alone():
    plain, fast = (
        welch(simulate(SimulationPreset(duration_s=60.0, events={}, fast=f), 1).recording.signal_uv, SFREQ, nperseg=400)
        for f in (1.0, 3.0)
    )
    row, hz = TEN_TWENTY.index("Fz"), plain[0]
    ratio = fast[1][row] / plain[1][row]
    assert ratio[(hz >= 18) & (hz <= 22)].mean() > 3
    assert ratio[(hz >= 4) & (hz <= 7)].mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["slow_waking", "fast"])
def test_negative_rhythms_are_refused(name):
    with pytest.raises(ValueError, match=rf"got {name} -1.0, expected 0 or more"):
        SimulationPreset(**{name: -1.0})
