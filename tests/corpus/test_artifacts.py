import numpy as np

from corpus.artifacts import detect_artifacts, detect_in_all
from corpus.features import CHUNK, extract_features
from corpus.recording import Defect
from corpus.segment import Segment

NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")


def quiet() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, 2000) + rng.normal(0, 2, (len(NAMES), 2000))


def detect(signal_uv: np.ndarray, defects: tuple[Defect, ...] = ()) -> list:
    segment = Segment(3, 30.0, 10.0, signal_uv, 200.0, NAMES)
    return detect_artifacts(segment, extract_features([segment])[0], defects)


def blink(at_s: float, amplitude_uv: float) -> np.ndarray:
    t = np.arange(2000) / 200
    return amplitude_uv * np.exp(-0.5 * ((t - at_s) / 0.08) ** 2)


def test_quiet_signal_has_none() -> None:
    assert detect(quiet()) == []


def test_blink_is_frontal_positive_and_timed() -> None:
    signal = quiet()
    signal[:2] += blink(4.0, 120.0)
    signal[2:4] += blink(4.0, 40.0)
    (found,) = detect(signal)
    assert found.kind == "blink"
    assert found.ch_names == ("Fp1", "Fp2")
    assert found.start_s < 34.0 < found.start_s + found.duration_s
    assert 90 < found.value < 140


def test_a_negative_or_a_global_deflection_is_no_blink() -> None:
    for signal in (quiet() + blink(4.0, 120.0), quiet() - blink(4.0, 120.0) * (np.arange(10) < 2)[:, None]):
        assert [a for a in detect(signal) if a.kind == "blink"] == []


def test_muscle_names_its_channels() -> None:
    signal = quiet()
    signal[4] += 12 * np.sin(2 * np.pi * 45 * np.arange(2000) / 200)
    (found,) = detect(signal)
    assert (found.kind, found.ch_names) == ("muscle", ("C3",))
    assert found.value > 60


def test_bad_contact_is_local_and_extreme() -> None:
    signal = quiet()
    signal[6] += 400 * (np.arange(2000) > 900)
    kinds = {a.kind: a.ch_names for a in detect(signal)}
    assert kinds["electrode"] == ("P3",)


def test_flat_stretch_is_timed() -> None:
    signal = quiet()
    signal[8, 400:1400] = 0.0
    (found,) = detect(signal)
    assert (found.kind, found.ch_names, found.start_s, found.duration_s) == ("flat", ("O1",), 32.0, 5.0)


def test_missing_samples_are_reported_where_they_overlap() -> None:
    inside, outside = Defect("F3", 35.0, 1.0, "missing samples"), Defect("F3", 50.0, 1.0, "missing samples")
    found = detect(quiet(), (inside, outside))
    assert [(a.kind, a.ch_names, a.start_s) for a in found] == [("missing", ("F3",), 35.0)]
    (reaching,) = detect(quiet(), (Defect("F3", 39.0, 21.0, "missing samples"),))
    assert (reaching.start_s, reaching.duration_s, reaching.value) == (39.0, 1.0, 1.0)  # what lies in the segment


def test_what_an_electrode_cannot_have_measured_is_an_electrode_artifact() -> None:
    (found,) = detect(quiet(), (Defect("F3", 35.0, 1.0, "extreme amplitude"),))
    assert (found.kind, found.ch_names, found.start_s, found.duration_s) == ("electrode", ("F3",), 35.0, 1.0)


def test_many_segments_have_the_artifacts_of_each_one() -> None:
    rng = np.random.default_rng(3)
    segments = []
    for i in range(2 * CHUNK + 1):
        signal = rng.normal(0, 3, 2000) + rng.normal(0, 2, (len(NAMES), 2000))
        signal[:2] += (i % 3 == 0) * blink(2.0 + i / 10, 120.0)
        signal[6] += (i % 5 == 0) * 400 * (np.arange(2000) > 900)
        signal[8, 400 : 400 + 100 * (i % 9)] = 1.0
        segments.append(Segment(i, 10.0 * i, 10.0, signal, 200.0, NAMES))
    features, defects = extract_features(segments), (Defect("F3", 95.0, 10.0, "missing samples"),)
    together = detect_in_all(segments, features, defects)
    assert together == [detect_artifacts(s, f, defects) for s, f in zip(segments, features, strict=True)]
    kinds = [{a.kind for a in found} for found in together]
    assert [i for i, own in enumerate(kinds) if "blink" in own] == list(range(0, 2 * CHUNK + 1, 3))
    assert [i for i, own in enumerate(kinds) if "flat" in own] == [i for i in range(2 * CHUNK + 1) if i % 9 >= 4]
    assert [i for i, own in enumerate(kinds) if "missing" in own] == [9, 10]


def test_flat_is_not_what_only_the_probes_miss() -> None:
    """A channel that moves between the samples that are looked at first, and one that is flat but for half a second."""
    signal = quiet()
    signal[8] = np.where(np.arange(2000) % 25 == 12, 40.0, 0.0)
    signal[9] = 0.0
    signal[9, 1010] = 5.0
    found = [a for a in detect(signal) if a.kind == "flat"]
    assert [(a.ch_names, a.start_s, a.duration_s) for a in found] == [(("O2",), 30.0, 5.0), (("O2",), 35.5, 4.5)]
