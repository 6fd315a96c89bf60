"""The noise audit: known errors are found, nothing true is called wrong, and rates have their intervals."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corpus.areas import place
from corpus.background import find_complete
from corpus.caption import write_caption
from corpus.describe import write_narrative
from corpus.findings import Finding, Findings
from corpus.noise_audit import (
    check_against_findings,
    check_against_signal,
    check_against_truth,
    measure_noise,
    read_sentence,
    split_sentences,
    wilson_interval,
)
from corpus.noise_audit.check import CheckedSentence
from corpus.noise_audit.reader import expand, places_of
from corpus.preprocess import load_recording
from corpus.preprocess.reference import ELECTRODES_19
from corpus.segment import segment_recording
from corpus.simulate import SIXTY_FOUR, Simulation, detector_preset, simulate
from corpus.waveforms import WAVEFORM_KINDS, Waveform

Found = list[tuple[Findings, Simulation]]


@pytest.fixture(scope="module")
def found() -> Found:
    """Segments of varied simulated patients, with the true waveforms as marks."""
    listed: Found = []
    for seed in range(4):
        simulation = simulate(detector_preset(seed, duration_s=40.0), seed)
        marks = [
            Waveform(box.kind, (box.ch_name,), box.start_s, box.duration_s)
            for box in simulation.boxes
            if box.kind in WAVEFORM_KINDS
        ]
        segments = segment_recording(simulation.recording)
        listed += [(one, simulation) for one in find_complete(segments, waveforms=marks)]
    return listed


def verdicts(text: str, findings: Findings) -> set[str]:
    return {checked.verdict for checked in check_against_findings(text, findings)}


def test_everything_that_we_write_is_read_and_supported(found: Found) -> None:
    for findings, _ in found:
        for seed in range(4):
            for text in (write_caption(findings, seed), write_narrative(findings, seed)):
                wrong = [c for c in check_against_findings(text, findings) if c.verdict != "supported"]
                assert not wrong, wrong


def test_texts_of_other_segments_are_noise(found: Found) -> None:
    checked = [
        one
        for (findings, _), (other, _) in zip(found, found[1:] + found[:1], strict=True)
        for one in check_against_findings(f"{write_caption(other)} {write_narrative(other)}", findings)
    ]
    assert measure_noise(checked).rate > 0.3


def test_real_segments_are_read_and_supported(shared_data: Path) -> None:
    recording = load_recording(sorted((shared_data / "eegmat").glob("*_2.edf"))[1])
    for findings in find_complete(segment_recording(recording), recording.defects, waveforms=[]):
        text = f"{write_caption(findings, 3)} {write_narrative(findings, 3)}"
        assert verdicts(text, findings) == {"supported"}


def test_truth_finds_what_the_detector_made_up(found: Found) -> None:
    findings, simulation = next(
        (f, s) for f, s in found if not f.artifacts and not any(b.kind == "spike" for b in s.boxes)
    )
    segment = findings.segment
    mark = Waveform("spike", segment.ch_names, segment.start_s + 4.0, 0.2)
    seen = find_complete([replace(segment, history=())], waveforms=[mark])[0]
    text = "Spikes are seen."
    assert verdicts(text, seen) == {"supported"}
    assert [c.verdict for c in check_against_truth(text, seen, simulation.boxes)] == ["contradicted"]


def test_truth_finds_what_was_denied_moved_or_misplaced(found: Found) -> None:
    for findings, simulation in found:
        segment = findings.segment
        boxes = [b for b in simulation.boxes if b.kind == "spindle" and segment.start_s + 1 < b.start_s]
        boxes = [b for b in boxes if b.start_s + b.duration_s < segment.start_s + 9]
        if len(boxes) > 4 and len(segment.ch_names) > 8:
            break
    else:
        pytest.fail("no segment with spindles")
    names = tuple(dict.fromkeys(box.ch_name for box in boxes))
    starts = [box.start_s - segment.start_s for box in boxes]
    start, end = starts[0], starts[0] + boxes[0].duration_s
    true = f"Sleep spindles are seen {place(names, segment.ch_names)} during {start:.1f}-{end:.1f} s."

    def judged(text: str) -> str:
        return check_against_truth(text, findings, simulation.boxes)[0].verdict

    assert judged(true) == "supported"
    assert judged("No K-complex or spindle is seen.") == "contradicted"
    assert judged("Sleep spindles are seen 40 times.") == "contradicted"
    elsewhere = [n for n in segment.ch_names if n not in {b.ch_name for b in simulation.boxes if b.kind == "spindle"}]
    if elsewhere:
        assert judged(f"Sleep spindles are seen at {elsewhere[0]}.") == "contradicted"


def test_noise_of_captions_on_simulation_is_low(found: Found) -> None:
    checked = [
        one
        for findings, simulation in found
        for one in check_against_truth(write_caption(findings, 5), findings, simulation.boxes)
    ]
    noise = measure_noise(checked)
    assert noise.unread == 0
    assert noise.rate < 0.06, noise.causes


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("Delta varies over the segment.", "Gamma varies over the segment."),
        ("Data quality is {quality}.", "Data quality is poor indeed, of poor quality."),
        ("{count} electrodes of the {system} system.", "12 electrodes of the 10-10 system."),
        (
            "Overall amplitude is {amplitude}.",
            "O1 is the highest-energy channel.",
        ),
    ],
)
def test_pairs_of_right_and_wrong(found: Found, true: str, false: str) -> None:
    varied = [f for f, _ in found if any(i.subject == "delta" for i in f.of("variation"))]
    findings = next(f for f in varied if f.of("quality")[0].value != "poor" and f.features.top_channel != "O1")
    words = {
        "quality": findings.of("quality")[0].value,
        "count": len(findings.segment.ch_names),
        "system": findings.of("montage")[0].value,
        "amplitude": findings.of("amplitude")[0].value,
    }
    assert verdicts(true.format(**words), findings) == {"supported"}
    assert verdicts(false, findings) == {"contradicted"}


def test_numbers_are_compared_as_they_are_written(found: Found) -> None:
    findings = next(f for f, _ in found if any(i.value == "present" for i in f.of("pdr")))
    hertz = findings.of("pdr")[0].measured or 0.0
    assert verdicts(f"A posterior dominant rhythm of {hertz:.1f} Hz is present.", findings) == {"supported"}
    assert verdicts(f"A posterior dominant rhythm of {hertz + 0.3:.1f} Hz is present.", findings) == {"contradicted"}


def test_written_times_are_those_of_the_events(found: Found) -> None:
    findings = next(f for f, _ in found if f.of("quality")[0].value != "poor")
    start = findings.segment.start_s
    details = [i for i in findings.details if i.kind not in ("waveform", "periodicity", "burst")]
    spikes = [Finding("waveform", "spike", "", ("F7", "T7"), start + at, 0.06) for at in (3.0, 6.0)]
    one, two = (replace(findings, details=(*details, *spikes[:count])) for count in (1, 2))
    assert verdicts("Sporadic spikes are seen at F7 and T7 during 3.00-3.06 s.", one) == {"supported"}
    assert verdicts("Sporadic spikes are seen at F7 and T7 during 0.00-9.90 s.", one) == {"contradicted"}
    assert verdicts("Sporadic spikes are seen at F7 and T7 during 3.00-3.06 s.", two) == {"contradicted"}
    both = "Sporadic spikes are seen at F7 and T7 during 3.00-3.06 s and 6.00-6.06 s."
    assert (verdicts(both, one), verdicts(both, two)) == ({"contradicted"}, {"supported"})


def test_a_sentence_that_says_two_things_is_read_whole(found: Found) -> None:
    findings = next(f for f, _ in found if f.of("quality")[0].value == "good")
    assert verdicts("Data quality is good and the weather is pleasant.", findings) == {"unread"}
    present = findings.of("pdr")[0].value == "present"
    false = "no posterior dominant rhythm is seen" if present else "the posterior dominant rhythm is 10.0 Hz"
    assert verdicts(f"Data quality is good and {false}.", findings) == {"contradicted"}
    assert read_sentence("Spikes and sharp waves are seen at C3.") == read_sentence(
        "Spikes and sharp waves appear at C3."
    )


def test_what_is_not_understood_is_unread() -> None:
    assert read_sentence("The weather was pleasant.") == ()
    assert split_sentences("It is 3.5 Hz. No spikes.") == ["It is 3.5 Hz.", "No spikes."]


@pytest.mark.parametrize("recorded", [ELECTRODES_19, SIXTY_FOUR, ("C3", "C4", "Cz")])
def test_places_are_read_back(recorded: tuple[str, ...]) -> None:
    for size in range(1, len(recorded)):
        meant = recorded[size // 2 :: max(size // 3, 1)] if size % 2 else recorded[:size]
        text = f"Spikes are seen {place(meant, recorded)} during 1.0-2.0 s."
        said = expand(places_of(text), recorded)
        assert set(meant) <= said, text
        assert len(said) * 0.7 <= len(meant), text


def test_wilson_interval_by_hand() -> None:
    low, high = wilson_interval(8, 10)
    z, p, n = 1.959963984540054, 0.8, 10
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    assert (low, high) == pytest.approx((middle - half, middle + half))
    assert wilson_interval(72, 90) == pytest.approx((0.706, 0.870), abs=5e-4)  # facts of CerebraGloss-Bench: 80.0 %
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_rates_count_what_was_understood() -> None:
    listed = [CheckedSentence("", "supported")] * 6 + [CheckedSentence("", "contradicted", "event spike")] * 2
    noise = measure_noise([*listed, CheckedSentence("", "unread")])
    assert (noise.sentences, noise.noise, noise.unread, noise.rate) == (9, 2, 1, 0.25)
    assert noise.causes == {"event spike": 2}
    assert noise.low < 0.25 < noise.high


def test_signal_finds_marks_where_nothing_is(found: Found) -> None:
    findings = next(f for f, _ in found if len(f.segment.ch_names) > 8 and not f.artifacts)
    segment = findings.segment
    signal = np.random.default_rng(0).normal(0, 2, segment.signal_uv.shape).astype(np.float32)
    drawn = signal.copy()
    drawn[:, 800:840] += 150 * np.sin(np.pi * np.arange(40) / 40).astype(np.float32)
    for own, verdict in ((signal, "contradicted"), (drawn, "supported")):
        quiet = replace(segment, signal_uv=own, history=())
        mark = Waveform("spike", segment.ch_names, segment.start_s + 4.0, 0.2)
        seen = find_complete([quiet], waveforms=[mark])[0]
        assert [c.verdict for c in check_against_signal("Spikes are seen.", seen)] == [verdict]
