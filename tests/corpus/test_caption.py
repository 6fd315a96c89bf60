"""Captions say what the findings hold, in five aspects, and nothing else."""

import re
from dataclasses import replace

import numpy as np
import pytest

from corpus.artifacts import Artifact
from corpus.background import find_complete
from corpus.caption import ASPECTS, WAVEFORM_NAMES, caption_parts, when, write_caption
from corpus.features import extract_features
from corpus.findings import Finding, Findings, find
from corpus.montage import ELECTRODE_NAMES
from corpus.segment import Segment, segment_recording
from corpus.simulate import TEN_TWENTY, SimulationPreset, random_preset, simulate
from corpus.waveforms import WAVEFORM_KINDS, Waveform

KINDS = {
    "spike": "spike",
    "sharp_wave": "sharp",
    "spike_slow_wave": "spsw",
    "spike_wave": "spsw",
    "k_complex": "Kcomplex",
    "spindle": "spindle",
    "muscle": "hfnoise",
    "blink": "eyem",
}
SEGMENT = Segment(3, 30.0, 10.0, np.random.default_rng(0).normal(0, 8, (19, 2000)), 200.0, TEN_TWENTY)
ALL = (TEN_TWENTY, 30.0, 10.0)
EVERYTHING = (
    Finding("montage", "10-20", "", *ALL, 19.0, "electrodes"),
    Finding("reference", "average", "", *ALL),
    Finding("quality", "fair", "", ("P3",), 30.0, 10.0, 0.08, "share"),
    Finding("rhythm", "alpha", "", *ALL, 10.04, "Hz"),
    Finding("rhythm", "theta", "frontal", ("F3", "F4"), 30.0, 10.0, 6.0, "Hz"),
    Finding("pdr", "present", "", ("O1", "O2"), 30.0, 10.0, 10.31, "Hz"),
    Finding("pdr_amplitude", "medium", "", ("O1", "O2"), 30.0, 10.0, 28.25, "µV"),
    Finding("pdr_symmetry", "symmetric", "", ("O1", "O2"), 30.0, 10.0, 1.02, "ratio"),
    Finding("level", "medium", "", *ALL, 25.8, "µV"),
    Finding("voltage", "low", "", *ALL, 17.6, "µV"),
    Finding("fast", "excess", "beta", *ALL, 12.4, "µV"),
    Finding("slowing", "focal", "left temporal delta", ("T7", "P7"), 30.0, 10.0, 6.1, "ratio"),
    Finding("slowing", "diffuse", "theta", *ALL, 9.0, "ratio"),
    Finding("burst", "delta", "", ("Fp1", "Fp2", "F3", "F4"), 33.5, 2.0, 80.0, "µV"),
    Finding("sides", "mild left", "temporal alpha", ("T7", "T8"), 30.0, 10.0, 1.6, "ratio"),
    Finding("sides", "marked left", "temporal theta", ("T7", "T8"), 30.0, 10.0, 2.3, "ratio"),
    Finding("variation", "variable", "alpha", *ALL, 0.9, "log power"),
    Finding("variation", "variable", "recording", TEN_TWENTY, 0.0, 60.0, 0.4, "log amplitude"),
    Finding("deviation", "higher", "", *ALL, 1.7, "ratio"),
)
MARKS = (
    *(Waveform("spike", ("F3", "C3", "P3"), 31.0 + 2 * k, 0.1) for k in range(4)),
    Waveform("spindle", ("C3", "Cz", "C4"), 36.0, 1.2),
)
ARTIFACTS = (
    Artifact("blink", ("Fp1", "Fp2"), 37.5, 0.3, 120.0, "µV"),
    Artifact("eye_left", ("F7", "F8"), 34.0, 0.9, 90.0, "µV"),
    Artifact("respiration", ("F7", "F8"), 30.0, 10.0, 0.25, "Hz"),
    Artifact("muscle", ("T7", "P7"), 30.0, 10.0, 40.0, "µV²"),
)


def everything(**changes) -> Findings:
    details = [replace(item, source="test") for item in EVERYTHING]
    found = find(SEGMENT, extract_features([SEGMENT])[0], ARTIFACTS, waveforms=MARKS, details=details)
    return replace(found, **changes)


def test_the_five_aspects_in_words() -> None:
    assert caption_parts(everything(), 0) == {
        "montage": "The montage has 19 electrodes of the 10-20 system, average reference.",
        "artifacts": "The quality of the data is fair. Muscle artifact is seen over the left temporal "
        "region. There are eye blinks at Fp1 and Fp2 during 7.50-7.80 s. Eye movements to the left appear at F7 "
        "and F8 during 4.0-4.9 s. There is a slow respiratory rhythm of 0.25 Hz at F7 and F8 throughout.",
        "sleep": "There are sleep spindles over the bilateral central and midline central regions during 6.0-7.2 s.",
        "epileptiform": "Periodic spikes at approximately 0.5 Hz appear over the left central and left parietal "
        "regions and at F3 during 1.0-7.1 s.",
        "background": "Alpha activity at approximately 10.0 Hz dominates the background; its amplitude is medium "
        "(25.8 µV). Theta prevails over the frontal region. The posterior dominant rhythm is 10.3 Hz, of medium "
        "amplitude (28.2 µV) and symmetric. The background is of low voltage (about 18 µV peak to peak). Excess fast "
        "activity (beta, 12 µV) is present. Continuous delta slowing is seen over the left temporal region. "
        "Continuous theta slowing is seen diffusely. Paroxysmal delta activity appears at Fp1, Fp2, F3 and F4 during "
        "3.5-5.5 s. Alpha amplitude is mildly higher over the left temporal region (1.6 times). Theta amplitude is "
        "markedly higher over the left temporal region (2.3 times). Alpha varies over the segment. Over the recording "
        "the amplitude is variable. The amplitude is higher here than usual in the recording (1.7 times).",
    }


def test_poles_are_told_where_they_are() -> None:
    poles = (
        Finding("dipole", "negative", "", ("T7", "P7"), 31.0, 6.1, -90.0, "µV"),
        Finding("dipole", "positive", "", ("F4",), 31.0, 6.1, 60.0, "µV"),
    )
    found = everything()
    text = caption_parts(replace(found, details=(*found.details, *poles)), 0)["epileptiform"]
    assert "dipole" in text
    assert re.search(r"negative (?:pole )?over the left temporal region and (?:its )?positive (?:pole )?at F4", text)


def test_the_caption_is_its_aspects_and_depends_on_the_seed_alone() -> None:
    found = everything()
    parts = caption_parts(found, 3)
    assert tuple(parts) == ASPECTS
    assert write_caption(found, 3) == " ".join(parts.values())
    texts = [write_caption(found, seed) for seed in range(30)]
    assert texts == [write_caption(found, seed) for seed in range(30)]
    assert len(set(texts)) > 20


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("reference", "reference"),
        ("quality", "quality"),
        ("extended_artifact", "respiratory"),
        ("waveform", "spindles"),
        ("periodicity", "periodic"),
        ("pdr", "posterior dominant rhythm"),
        ("voltage", "low voltage"),
        ("fast", "fast activity"),
        ("slowing", "slowing"),
        ("burst", "paroxysmal"),
        ("sides", "higher over the left temporal"),
        ("variation", "over the recording"),
        ("deviation", "than usual"),
    ],
)
def test_what_is_not_found_is_not_said(kind: str, word: str) -> None:
    found = everything()
    assert word in write_caption(found, 1).lower()
    without = replace(found, details=tuple(item for item in found.details if item.kind != kind))
    assert word not in write_caption(without, 1).lower()


def test_what_was_looked_for_and_not_found_is_said_to_be_absent() -> None:
    features = extract_features([SEGMENT])[0]
    montage = EVERYTHING[:1]
    unsearched = caption_parts(find(SEGMENT, features, details=montage), 0)
    assert (unsearched["sleep"], unsearched["epileptiform"], unsearched["background"]) == ("", "", "")
    searched = caption_parts(find(SEGMENT, features, waveforms=(), details=montage), 0)
    assert searched["sleep"] in ("No K-complex or spindle is seen.", "Sleep graphoelements are absent.")
    assert searched["epileptiform"] in ("No epileptiform discharge is seen.", "Epileptiform activity is absent.")
    assert searched["artifacts"] in ("No artifact is found.", "The segment is free of artifacts.")
    absent = find(SEGMENT, features, details=(*montage, Finding("pdr", "absent", "", ("O1",), measured=1.4)))
    assert "osterior dominant rhythm" in caption_parts(absent, 0)["background"]
    assert "Hz" not in caption_parts(absent, 0)["background"]


def test_epileptiform_sentences_agree_with_each_other() -> None:
    none = Finding("acns_pattern", "none", "", *ALL)
    seizure = Finding("acns_pattern", "SZ", "", *ALL, 3.0, "Hz")

    def told(marks: tuple[Waveform, ...], *more: Finding) -> str:
        found = find(SEGMENT, extract_features([SEGMENT])[0], waveforms=marks, details=(EVERYTHING[0], *more))
        return caption_parts(found, 0)["epileptiform"]

    assert "eriodic spikes at" in told(MARKS, none)
    assert "No periodic" not in told(MARKS, none)
    run = (Waveform("spsw", ("F3", "C3"), 31.0, 8.0),)
    assert "sporadic" not in told(run, seizure).lower()
    assert "sporadic" not in told(run, none).lower()
    single = told((Waveform("spsw", ("F3", "C3"), 31.0, 0.4),), none)
    assert "poradic" in single
    assert "eriodic or rhythmic" in single


def test_a_detector_s_eye_marks_give_way_to_the_measured_eye_movement() -> None:
    features = extract_features([SEGMENT])[0]
    marks = [Waveform("eyem", ("Fp1", "Fp2"), 37.5, 0.3), Waveform("hfnoise", ("T7",), 31.0, 2.0)]
    alone = find(SEGMENT, features, waveforms=marks, details=EVERYTHING[:1])
    assert caption_parts(alone, 0)["artifacts"].count("blink") == 1
    assert "igh-frequency noise" in caption_parts(alone, 0)["artifacts"]
    both = find(SEGMENT, features, ARTIFACTS[:1], waveforms=marks, details=EVERYTHING[:1])
    assert caption_parts(both, 0)["artifacts"].count("blink") == 1


def test_findings_without_details_have_no_caption() -> None:
    with pytest.raises(ValueError, match="got findings without details, expected those of find_complete"):
        write_caption(find(SEGMENT, extract_features([SEGMENT])[0]))


def test_times_count_from_the_start_of_the_segment() -> None:
    found = everything()

    def at(*spans: tuple[float, float]) -> str:
        return when([Finding("waveform", "spike", "", ("C3",), *span) for span in spans], found)

    assert at((32.5, 1.25)) == "during 2.5-3.8 s"
    assert at((32.5, 0.07), (36.0, 2.0)) == "during 2.50-2.57 s and 6.0-8.0 s"
    assert at(*[(31.0 + k, 0.1) for k in range(4)]) == "4 times"
    assert at((30.0, 10.0)) == "throughout"
    assert at((28.0, 4.0)) == "during 0.0-2.0 s"
    assert at((36.0, 2.0), (32.5, 1.25), (37.0, 2.0)) == "during 2.5-3.8 s and 6.0-9.0 s"
    assert at(*[(31.0, 2.0)] * 19) == "during 1.0-3.0 s"  # a gap of every electrode is one


def test_every_waveform_has_a_name() -> None:
    assert set(WAVEFORM_NAMES) == set(WAVEFORM_KINDS)


NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)")
NAME = re.compile(r"\b[A-Z][A-Za-z]{0,3}(?:z|\d{1,2}h?)\b")
REGIONS = ("frontal", "central", "temporal", "parietal", "occipital")


def allowed_numbers(found: Findings) -> set[str]:
    numbers: set[str] = set()
    for item in (*found.items, *found.details, *found.artifacts):
        start = item.start_s - found.segment.start_s
        for value in (max(start, 0.0), min(start + item.duration_s, found.segment.duration_s)):
            numbers |= {f"{value:.1f}", f"{value:.2f}"}
        if isinstance(item, Finding) and item.measured is not None:
            numbers |= {f"{item.measured:.{digits}f}" for digits in (0, 1)} | {f"{item.measured:.2g}"}
    for kind in {item.kind for item in found.details} | {a.kind for a in found.artifacts}:
        same = [i.value for i in found.of(kind)] or [a.kind for a in found.artifacts if a.kind == kind]
        numbers |= {str(same.count(value)) for value in same} | {str(len(same))}
    return numbers


@pytest.mark.parametrize("seed", range(12))
def test_captions_of_simulated_recordings_hold_nothing_but_findings(seed: int) -> None:
    """Numbers, electrodes, bands and regions of a caption are those of its findings."""
    simulation = simulate(random_preset(seed, duration_s=60), seed)
    marks = [
        Waveform(KINDS[e.kind], (name,), e.start_s, e.duration_s)
        for e in simulation.events
        if e.kind in KINDS
        for name in e.channels
    ]
    segments = segment_recording(simulation.recording)
    for number, found in enumerate(find_complete(segments, waveforms=marks, reference="ear")):
        text = write_caption(found, number)
        plain = text.replace("10-20", "").replace("10-10", "")
        assert set(NUMBER.findall(plain)) <= allowed_numbers(found), text
        involved = {name for item in (*found.items, *found.details) for name in item.ch_names}
        involved |= {name for artifact in found.artifacts for name in artifact.ch_names}
        assert {name for name in NAME.findall(text) if name in ELECTRODE_NAMES} <= involved, text
        for kind, word in (("slowing", "slowing"), ("burst", "paroxysmal"), ("fast", "fast activity")):
            assert (word in text.lower()) == bool(found.of(kind)), text
        held = {item.value for item in found.of("waveform")}
        for kind in ("spike", "sharp", "spsw", "Kcomplex", "spindle"):
            word = {"spike": r"spikes\b"}.get(kind, WAVEFORM_NAMES[kind])
            assert bool(re.search(word, text, re.IGNORECASE)) == (kind in held), text
        assert "  " not in text
        assert " ." not in text


def test_events_of_one_kind_are_told_once_however_many_they_are() -> None:
    preset = SimulationPreset(duration_s=60, states=("awake_eyes_closed",), events={"spike": 40.0}, focus="F3")
    simulation = simulate(preset, 1)
    marks = [Waveform("spike", e.channels, e.start_s, e.duration_s) for e in simulation.events if e.kind == "spike"]
    for found in find_complete(segment_recording(simulation.recording), waveforms=marks):
        epileptiform = caption_parts(found, 0)["epileptiform"]
        assert epileptiform.count("spikes") <= 1
        assert "F3" in epileptiform or "left frontal" in epileptiform
