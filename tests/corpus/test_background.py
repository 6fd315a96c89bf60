from pathlib import Path

import numpy as np
import pytest

from corpus.background import find_complete
from corpus.background.sketch import quantile
from corpus.bands import IFCN, NEURONARRATOR
from corpus.findings import Finding, Findings, Labels, find_segments
from corpus.montage import pick_eeg
from corpus.preprocess import preprocess
from corpus.recording import Defect, Recording, read_recording
from corpus.segment import segment_recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, simulate
from corpus.waveforms import Waveform

ROW = {name: i for i, name in enumerate(TEN_TWENTY)}


def rows(names: str) -> list[int]:
    return [ROW[name] for name in names.split()]


def sine(hertz: float, amplitude_uv: float, duration_s: float = 10.0) -> np.ndarray:
    return amplitude_uv * np.sin(2 * np.pi * hertz * np.arange(round(duration_s * 200)) / 200)


def pink(rms_uv: float = 8.0, duration_s: float = 10.0, seed: int = 0, n_chans: int = 19) -> np.ndarray:
    """Noise whose power falls with 1/f, flat below 1 Hz, the same level on all channels."""
    n_times = round(duration_s * 200)
    transform = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, (n_chans, n_times)))
    transform /= np.sqrt(np.maximum(np.fft.rfftfreq(n_times, 1 / 200), 1.0))
    transform[:, np.fft.rfftfreq(n_times, 1 / 200) > 70] = 0
    signal = np.fft.irfft(transform, n_times)
    return rms_uv * signal / signal.std(1, keepdims=True)


def found_in(signal_uv: np.ndarray, names: tuple[str, ...] = TEN_TWENTY, **options) -> list[Findings]:
    return find_complete(segment_recording(Recording(signal_uv, 200.0, names)), **options)


def one(signal_uv: np.ndarray, kind: str, names: tuple[str, ...] = TEN_TWENTY) -> list[Finding]:
    return found_in(signal_uv, names)[0].of(kind)


def facts(items: list[Finding]) -> list[tuple[str, str]]:
    return [(item.subject, item.value) for item in items]


def test_the_narratives_part_is_untouched() -> None:
    events = {"blink": 15.0, "muscle": 5.0, "pop": 2.0, "gaze_left": 5.0}
    recording = simulate(SimulationPreset(duration_s=200, events=events), 2).recording
    segments, defects = segment_recording(recording), (Defect("C3", 15.0, 2.0, "missing samples"),)
    plain = find_segments(segments, defects, Labels(30, "F", "rest"))
    complete = find_complete(segments, defects, Labels(30, "F", "rest"))
    assert [f.items for f in complete] == [f.items for f in plain]
    assert [f.artifacts for f in complete] == [f.artifacts for f in plain]
    assert [f.labels for f in complete] == [f.labels for f in plain]
    for mine, theirs in zip(complete, plain, strict=True):
        np.testing.assert_array_equal(mine.features.band_power_uv2, theirs.features.band_power_uv2)
    marked = find_complete(segments, defects, waveforms=())  # by a detector that saw no eye movement
    assert {a.kind for f in plain for a in f.artifacts} - {a.kind for f in marked for a in f.artifacts} == {"blink"}


def test_every_detail_has_its_evidence() -> None:
    recording = simulate(SimulationPreset(duration_s=60, states=("n2",)), 5).recording
    waveforms = [Waveform("spike", ("C3", "P3"), 3.0 + 2 * k, 0.1) for k in range(4)]
    for found in find_complete(segment_recording(recording), waveforms=waveforms, reference="average"):
        start, end = found.segment.start_s, found.segment.start_s + found.segment.duration_s
        for item in found.details:
            assert item.source, item
            assert item.kind == "reference" or (item.measured is not None and item.unit), item
            assert set(item.ch_names) <= set(TEN_TWENTY), item
            assert item.ch_names or item.kind in ("search", "quality"), item
            assert item.duration_s > 0, item
            if item.subject != "recording":
                assert start <= item.start_s < item.start_s + item.duration_s <= end + 1e-9, item


@pytest.mark.parametrize("hertz", [7.0, 8.6, 10.3, 11.75])
def test_posterior_rhythm_of_known_frequency_and_amplitude(hertz: float) -> None:
    signal = pink(6.0)
    signal[rows("O1 O2")] += sine(hertz, 30.0)
    found = found_in(signal)[0]
    (rhythm,), (amplitude,), (symmetry,) = found.of("pdr"), found.of("pdr_amplitude"), found.of("pdr_symmetry")
    assert (rhythm.value, rhythm.ch_names, rhythm.unit) == ("present", ("O1", "O2"), "Hz")
    assert rhythm.measured == pytest.approx(hertz, abs=0.1)
    assert amplitude.value == "medium"
    assert amplitude.measured == pytest.approx(30, rel=0.15)
    assert symmetry.value == "symmetric"


@pytest.mark.parametrize(("left", "right", "side"), [(30, 15, "left"), (15, 30, "right"), (25, 30, "symmetric")])
def test_posterior_rhythm_is_higher_on_one_side(left: float, right: float, side: str) -> None:
    signal = pink(3.0)
    signal[ROW["O1"]] += sine(10, left)
    signal[ROW["O2"]] += sine(10, right)
    (symmetry,) = one(signal, "pdr_symmetry")
    assert symmetry.value == side
    assert symmetry.measured == pytest.approx(right / left, rel=0.1)


def test_no_posterior_rhythm_without_a_peak_or_where_it_is_not_posterior() -> None:
    frontal = pink(6.0)
    frontal[rows("F3 Fz F4 O1 O2")] += sine(10, 20.0)
    frontal[rows("Fp1 Fp2 F7 F8 F3 Fz F4")] += sine(10, 20.0)
    central = pink(6.0)
    central[rows("O1 O2")] += sine(12.5, 15.0)
    central[rows("C3 Cz C4")] += sine(12.5, 30.0)  # a spindle that spreads
    beta = pink(6.0)
    beta[rows("O1 O2")] += sine(18, 30.0)
    for signal in (pink(6.0), pink(6.0, seed=1), frontal, central, beta):
        assert facts(one(signal, "pdr")) == [("", "absent")]
        assert one(signal, "pdr_amplitude") == []


def test_posterior_rhythm_needs_posterior_electrodes() -> None:
    names = ("Fp1", "Fp2", "C3", "C4", "P3", "P4")
    signal = pink(6.0, n_chans=6)
    signal[4:] += sine(10, 30.0)
    (rhythm,) = one(signal, "pdr", names)
    assert (rhythm.value, rhythm.ch_names) == ("present", ("P3", "P4"))
    assert one(signal, "pdr", ("Fp1", "Fp2", "C3", "C4", "T7", "T8")) == []


@pytest.mark.parametrize(
    ("states", "at_least", "at_most"),
    [(("awake_eyes_closed",), 0.95, 1.0), (("n2",), 0.0, 0.05), (("n3",), 0.0, 0.05)],
)
def test_posterior_rhythm_of_simulated_states(states: tuple[str, ...], at_least: float, at_most: float) -> None:
    present, off = [], []
    for seed, alpha_hz in enumerate((8.5, 9.5, 11.0)):
        preset = SimulationPreset(duration_s=100, states=states, alpha_hz=alpha_hz)
        for found in find_complete(segment_recording(simulate(preset, seed).recording)):
            (rhythm,) = found.of("pdr")
            present.append(rhythm.value == "present")
            off += [abs(rhythm.measured - alpha_hz)] if present[-1] else []
    assert at_least <= np.mean(present) <= at_most
    assert not off or np.median(off) < 0.3


def test_dominant_rhythm_of_the_head_and_of_a_region() -> None:
    signal = pink(3.0)
    signal += sine(6, 30.0)
    signal[rows("O1 O2")] += sine(10, 60.0)
    head, region = one(signal, "rhythm")
    assert (head.value, head.subject, head.measured, head.unit) == ("theta", "", 6.0, "Hz")
    assert (region.value, region.subject, region.measured) == ("alpha", "occipital", 10.0)
    assert region.ch_names == ("O1", "O2")


def test_band_sets_can_be_chosen() -> None:
    signal = pink(1.0) + sine(12.5, 30.0)
    values = [found_in(signal, bands=bands)[0].of("rhythm")[0].value for bands in (IFCN, NEURONARRATOR)]
    assert values == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("half_uv", "expected"), [(4.5, [("", "suppressed")]), (8.0, [("", "low")]), (12.0, []), (40.0, [])]
)
def test_low_voltage_is_told_from_peak_to_peak(half_uv: float, expected: list[tuple[str, str]]) -> None:
    signal = np.tile(sine(10, half_uv), (19, 1))
    assert facts(one(signal, "voltage")) == expected
    (level,) = one(signal, "level")
    assert level.measured == pytest.approx(half_uv, rel=0.02)
    assert level.value == ("low" if half_uv < 20 else "medium")


def test_excess_fast_activity_is_beta_and_not_muscle() -> None:
    signal = pink(4.0) + sine(20, 15.0)
    (fast,) = one(signal, "fast")
    assert (fast.value, fast.subject) == ("excess", "beta")
    assert fast.measured == pytest.approx(15, rel=0.1)
    assert one(pink(4.0) + sine(20, 6.0), "fast") == []
    assert one(pink(4.0) + sine(20, 15.0) + sine(40, 15.0), "fast") == []  # every channel holds muscle artifact
    assert one(pink(4.0) + sine(20, 15.0) + sine(5, 60.0), "fast") == []  # no large share of the power


def test_slowing_is_diffuse_or_focal() -> None:
    diffuse = pink(4.0) + sine(2.5, 40.0)
    (found,) = one(diffuse, "slowing")
    assert (found.value, found.subject, found.ch_names) == ("diffuse", "delta", TEN_TWENTY)
    focal = pink(4.0) + sine(10, 10.0)
    focal[rows("T7 P7")] += sine(5, 40.0)
    (found,) = one(focal, "slowing")
    assert (found.value, found.subject, found.ch_names) == ("focal", "left temporal theta", ("T7", "P7"))
    assert found.measured > 5
    assert one(pink(4.0) + sine(10, 10.0), "slowing") == []


def burst(at_s: float, for_s: float) -> np.ndarray:
    t = np.arange(2000) / 200
    return sine(2.5, 70.0) * (np.abs(t - at_s) < for_s / 2)


def test_paroxysmal_slowing_is_placed_in_time_and_space() -> None:
    signal = pink(6.0)
    signal[rows("T8 P8 F8")] += burst(6.0, 1.6)
    (found,) = one(signal, "burst")
    assert (found.value, set(found.ch_names), found.unit) == ("delta", {"T8", "P8", "F8"}, "µV")
    assert found.start_s == pytest.approx(5.2, abs=1.0)
    assert found.start_s + found.duration_s == pytest.approx(6.8, abs=1.0)


def test_what_is_no_burst() -> None:
    single, apart, lasting, eyes = pink(6.0), pink(6.0), pink(6.0), pink(6.0)
    single[ROW["T8"]] += burst(6.0, 1.6)
    apart[rows("T8 O1")] += burst(6.0, 1.6)
    lasting[rows("T8 P8 F8")] += sine(2.5, 70.0)
    blink = np.exp(-0.5 * ((np.arange(2000) / 200 - 4.0) / 0.12) ** 2)
    eyes[rows("Fp1 Fp2")] += 200 * blink
    eyes[rows("F3 Fz F4 F7 F8")] += 80 * blink
    for signal in (single, apart, lasting, eyes):
        assert one(signal, "burst") == []


def test_a_burst_that_a_waveform_explains_is_not_told_twice() -> None:
    signal = pink(6.0)
    signal[rows("Fz Cz C3 C4")] += burst(6.0, 1.2)
    assert len(one(signal, "burst")) == 1
    k_complex = [Waveform("Kcomplex", ("Fz", "Cz", "C3", "C4"), 5.4, 1.2)]
    assert found_in(signal, waveforms=k_complex)[0].of("burst") == []
    assert len(found_in(signal, waveforms=[Waveform("spindle", ("Fz", "Cz"), 1.0, 1.0)])[0].of("burst")) == 1


def test_sides_differ_in_one_region_and_band() -> None:
    signal = pink(3.0)
    signal[rows("T7 P7")] += sine(6, 14.0)
    signal[rows("T8 P8")] += sine(6, 35.0)
    (found,) = one(signal, "sides")
    assert (found.subject, found.value) == ("temporal theta", "marked right")
    assert set(found.ch_names) == {"T7", "T8", "P7", "P8"}
    assert found.measured == pytest.approx(2.5, rel=0.1)
    signal = pink(3.0)
    signal[rows("C3")] += sine(10, 35.0)
    signal[rows("C4")] += sine(10, 21.0)
    assert facts(one(signal, "sides")) == [("central alpha", "mild left")]


def test_symmetry_is_said_only_of_pairs() -> None:
    assert facts(one(pink(6.0), "sides")) == [("", "symmetric")]
    disagree = pink(3.0)
    disagree[ROW["T7"]] += sine(6, 40.0)  # one pair to each side, to the left by far
    disagree[ROW["P7"]] += sine(6, 10.0)
    disagree[ROW["P8"]] += sine(6, 20.0)
    assert one(disagree, "sides") == []  # neither of one side nor symmetric
    alone = pink(3.0)
    alone[ROW["T7"]] += sine(3, 60.0)
    alone[ROW["P8"]] *= 1.1
    assert one(alone, "sides") == []
    assert one(pink(6.0, n_chans=4), "sides", ("Fz", "Cz", "Pz", "O1")) == []


def test_bad_channels_count_nowhere() -> None:
    signal = pink(5.0)
    signal[rows("O1 O2")] += sine(10, 30.0)
    clean = found_in(signal)[0]
    broken = signal.copy()
    broken[ROW["P4"]] += 900 * (np.arange(2000) > 700)  # a bad contact
    broken[ROW["T7"], 200:] = 0.0
    found = found_in(broken)[0]
    assert {item.value for item in found.of("artifact")} >= {"electrode", "flat"}
    for kind in ("pdr", "rhythm", "sides", "slowing", "burst", "variation"):
        assert facts(found.of(kind)) == facts(clean.of(kind)), kind
    for item in (*found.of("rhythm"), *found.of("sides")):
        assert not {"P4", "T7"} & set(item.ch_names)
    assert found.of("level")[0].measured == pytest.approx(clean.of("level")[0].measured, rel=0.1)
    (quality,) = found.of("quality")
    assert quality.value == "fair"
    assert set(quality.ch_names) == {"P4", "T7"}
    assert quality.measured == pytest.approx(1.9 / 19, abs=0.01)


def test_a_channel_with_a_gap_of_numbers_counts_nowhere() -> None:
    signal = pink(6.0)
    signal[ROW["F3"], 400:600] = np.nan
    found = found_in(signal)[0]
    assert found.of("montage")
    for item in (*found.of("rhythm"), *found.of("sides"), *found.of("level")):
        assert "F3" not in item.ch_names


def test_nothing_is_said_of_the_background_of_a_bad_segment() -> None:
    signal = pink(6.0)
    signal[:12] = 0.0
    found = found_in(signal)[0]
    assert {item.kind for item in found.details} == {"montage", "quality", "extended_artifact"}
    assert found.of("quality")[0].value == "poor"


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_quantile_over_some_values_is_that_of_numpy(share: float) -> None:
    rng = np.random.default_rng(0)
    values, counts = rng.normal(size=(40, 7)), rng.random((40, 7)) < 0.6
    counts[0] = False
    values[1, 2], counts[1, 2] = np.nan, True
    values[2, 3], counts[2, 3] = np.nan, False
    chosen = [own[kept] for own, kept in zip(values, counts, strict=True)]
    expected = [np.quantile(own, share) if len(own) else np.nan for own in chosen]
    np.testing.assert_allclose(quantile(values, counts, share), expected, rtol=1e-12)


def test_variation_within_a_segment() -> None:
    steady = pink(5.0) + sine(10, 20.0)
    assert "alpha" not in [item.subject for item in one(steady, "variation")]
    waxing = pink(2.0) + sine(10, 20.0) * np.where(np.arange(2000) < 1000, 0.1, 1.0)
    (alpha,) = [item for item in one(waxing, "variation") if item.subject == "alpha"]
    assert alpha.value == "variable"
    assert alpha.measured > 1.5


def test_variation_over_the_recording_and_segments_that_stand_out() -> None:
    gains = np.repeat([1, 1, 2.2, 1, 1, 1.0], 2000)
    found = found_in(pink(10.0, 60.0) * gains)
    whole = [item for one in found for item in one.of("variation") if item.subject == "recording"]
    assert len(whole) == 6
    assert {(w.start_s, w.duration_s, w.unit) for w in whole} == {(0.0, 60.0, "log amplitude")}
    assert whole[0].measured == pytest.approx(np.std(np.log([1, 1, 2.2, 1, 1, 1])), abs=0.03)
    told = [[(item.value, round(item.measured, 1)) for item in one.of("deviation")] for one in found]
    assert told[2][0][0] == "higher"
    assert told[2][0][1] == pytest.approx(2.2, abs=0.15)
    assert told[:2] + told[3:] == 5 * [[]]
    assert whole[0].value == "stable"
    (variable, *_) = found_in(pink(10.0, 60.0) * np.repeat([1, 2, 1, 2, 1, 2.0], 2000))[0].of("variation")[-1:]
    assert (variable.subject, variable.value) == ("recording", "variable")
    assert len([i for one in found_in(pink(10.0, 20.0)) for i in one.of("variation") if i.subject == "recording"]) == 0


def test_montage_and_reference() -> None:
    names = [("Fp1", "T3", "C3", "O1"), ("Fp1", "FC3", "C3", "O1"), ("C3", "C4")]
    values = [one(pink(n_chans=len(own)), "montage", own)[0].value for own in names]
    assert values == ["10-20", "10-10", "few"]
    assert one(pink(), "reference") == []
    assert [item.value for item in found_in(pink(), reference="average")[0].of("reference")] == ["average"]


FEW = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "O1", "O2")


def load_few(path: Path) -> Recording:
    """Half a minute of eight electrodes: to filter the whole of fourteen recordings takes too long for a test."""
    whole = pick_eeg(read_recording(path))
    kept = [whole.ch_names.index(name) for name in FEW]
    signal_uv = whole.signal_uv[kept, : round(30 * whole.sfreq)]
    return preprocess(whole.with_step("eight electrodes", signal_uv=signal_uv, ch_names=FEW))


def test_eyes_closed_recordings_have_a_posterior_rhythm(shared_data: Path) -> None:
    """PhysioNet EEGMMIDB: eyes open in R01, closed in R02; alpha over the back of the head is higher in R02."""
    closed = sorted((shared_data / "eegmmidb").rglob("*R02.edf"))
    assert len(closed) >= 7
    for path in closed:
        after = find_complete(segment_recording(load_few(path)))
        before = find_complete(segment_recording(load_few(path.with_name(path.name.replace("R02", "R01")))))
        rhythms = [item for found in after for item in found.of("pdr")]
        present = [item.measured for item in rhythms if item.value == "present"]
        assert len(present) > len(rhythms) / 2, path.name
        assert 8 <= np.median(present) <= 13, path.name
        assert occipital_alpha(after) > 1.5 * occipital_alpha(before), path.name


def occipital_alpha(found: list[Findings]) -> float:
    alpha = [one.features.channel_band_power_uv2[-2:, 2].mean() for one in found]
    return float(np.median(alpha))
