"""The check of a teacher's answers: what the findings support stays, everything else goes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from corpus.artifacts import Artifact
from corpus.claims import facts_of
from corpus.describe import write_narrative, write_template
from corpus.features import BANDS, TIERS, Features, energy_tiers
from corpus.findings import Findings, Labels, find, find_recording
from corpus.preprocess import load_recording
from corpus.refine import Checked, build_messages, check_answer, visible_labels
from corpus.segment import Segment
from corpus.simulate import random_preset, simulate

LABELS = Labels(19, "F", "mental arithmetic")
NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")


def one_segment(labels: Labels | None = None, blinks: bool = False) -> Findings:
    """Delta dominates and falls by a third, alpha more than doubles, the rest is stable; C4 is the highest, then C3."""
    band_power = np.outer([1, 1, 2, 2, 5.5, 6, 2, 1, 1, 1], [10.0, 2.0, 4.0, 1.0, 0.5, 0.1])
    power = band_power.sum(1)
    mean = band_power.mean(0)
    history = mean / [2 / 3, 1, 2.5, 1, 1, 1]
    features = Features(NAMES, band_power, power, energy_tiers(power), 1.5, 30.0, 0.0, history)
    artifacts = [Artifact("blink", ("Fp1",), 0.0, 1.0, 1.0, "µV")] if blinks else []
    return find(Segment(2, 20.0, 10.0, np.zeros((10, 0)), 200.0, NAMES), features, artifacts, labels)


def tiers_of(findings: Findings) -> set[tuple[str, str, str]]:
    features = findings.features
    return {("tier", n, TIERS[t]) for n, t in zip(features.ch_names, features.tiers, strict=True)}


GOOD = (
    "Delta activity (0-4 Hz) dominates this segment, with a peak at 1.5 Hz. "
    "Energy is concentrated over the central region, peaking at C4, and C3 belongs to the high-energy tier as well. "
    "Compared with the preceding segments, delta shows a moderate decrease and alpha a marked increase, "
    "whereas theta, beta, gamma and high-gamma remain stable. "
    "No artifact is seen."
)


@pytest.mark.parametrize("visibility", ["none", "demographics", "full"])
def test_the_offline_writer_passes_everywhere(visibility: str) -> None:
    labels = visible_labels(Labels(71, "M", "muscle artifact, eyes open (T1), N2 and spike_wave"), visibility)
    for seed in range(40):
        for findings in find_recording(simulate(random_preset(seed, duration_s=30), seed).recording, labels):
            for wording in range(3):
                text = write_narrative(findings, wording)
                assert check_answer(text, findings) == Checked(text)


def test_a_mental_arithmetic_segment_has_the_kinds_of_facts_of_the_paper(shared_data: Path) -> None:
    recording = load_recording(shared_data / "eegmat" / "Subject00_2.edf")
    for findings in find_recording(recording, Labels(21, "F", "mental arithmetic")):
        labels, frequency, spatial = write_template(findings).splitlines()
        assert labels.startswith("Event & clinical labels: ")
        assert "21-year-old female subject" in labels
        assert "mental arithmetic" in labels
        assert frequency.count("µV²") == len(BANDS)
        trends = frequency.partition("Trend against history: ")[2]
        assert trends.startswith("no preceding" if findings.segment.index == 0 else "delta: ")
        assert f"highest-energy channel {findings.features.top_channel} (" in spatial
        assert [f"{tier}-energy channels:" in spatial for tier in ("High", "Medium", "Low")] == [True] * 3
        for wording in range(20):
            text = write_narrative(findings, wording)
            assert check_answer(text, findings) == Checked(text)


def test_a_fluent_answer_is_accepted_as_it_is() -> None:
    findings = one_segment()
    assert check_answer(GOOD, findings) == Checked(GOOD)
    assert {fact for fact in findings.facts if fact[0] == "trend"} <= facts_of(GOOD)


def test_white_space_quotes_bold_and_thinking_are_removed() -> None:
    marked = GOOD.replace(". ", ".  \n").replace("C4", "**C4**")
    answer = f'<think>\n- Delta?\n- The user wants alpha\n</think>\n\n"{marked}"\n'
    assert check_answer(answer, one_segment()) == Checked(GOOD)
    assert check_answer(GOOD.replace("-", "\u2011"), one_segment()) == Checked(GOOD)


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("Muscle artifact is present.", "unsupported claim"),
        ("The background is of high amplitude.", "unsupported claim"),
        ("Alpha dominates.", "unsupported claim"),
        ("Theta rises markedly.", "unsupported claim"),
        ("There is no marked increase in alpha.", "unsupported claim"),
        ("O2 belongs to the high-energy tier.", "unsupported claim"),
        ("Cz is not the highest-energy channel.", "unsupported claim"),  # was not recorded
        ("There is a left-hemispheric predominance.", "unsupported claim"),
        ("Theta has roughly tripled.", "not read"),
        ("Delta dominates, followed by beta.", "not read"),
        ("Energy at P3 is considerable.", "not read"),
        ("Delta dominates at 2.5 Hz.", "unsupported number"),
        ("The subject is 35 years old.", "unsupported number"),
        ("Delta dominates, consistent with encephalopathy.", "beyond the findings"),
        ("Delta dominates, as in deep sleep.", "beyond the findings"),
        ("The central region is active in this female subject.", "beyond the findings"),
        ("The subject was recorded during mental arithmetic.", "beyond the findings"),
        ("A follow-up examination is advised.", "beyond the findings"),
        ("Jane was recorded.", "beyond the findings"),
        ("No artifact is seen.", "repeated"),
        ("Symmetric power is seen over", "unfinished"),
    ],
)
def test_one_unsupported_sentence_is_dropped(sentence: str, problem: str) -> None:
    assert check_answer(f"{GOOD} {sentence}", one_segment()) == Checked(GOOD, (problem,))


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no muscle artifact.",
        "Delta activity dominates at 1.5 Hz.",
        "Delta shows no marked increase.",
        "Power is symmetric between the hemispheres.",
        "The background is of medium amplitude.",
        "P4 and O1 are low-energy channels.",
    ],
)
def test_other_true_sentences_stay(sentence: str) -> None:
    assert check_answer(f"{GOOD} {sentence}", one_segment()) == Checked(f"{GOOD} {sentence}")


def test_labels_may_be_stated_only_where_they_were_shown() -> None:
    sentence = "This EEG was recorded from a 19-year-old female subject during mental arithmetic."
    assert check_answer(f"{sentence} {GOOD}", one_segment(LABELS)) == Checked(f"{sentence} {GOOD}")
    wrong_age = sentence.replace("19", "30")  # 30 Hz is the edge of a band
    assert check_answer(f"{wrong_age} {GOOD}", one_segment(LABELS)) == Checked(GOOD, ("unsupported number",))
    wrong_sex = sentence.replace("female", "male")
    assert check_answer(f"{wrong_sex} {GOOD}", one_segment(LABELS)) == Checked(GOOD, ("beyond the findings",))
    shown = one_segment(visible_labels(LABELS, "demographics"))
    assert check_answer(f"{sentence} {GOOD}", shown) == Checked(GOOD, ("beyond the findings",))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("<think>Delta dominates.</think>", "empty"),
        ("<think>Delta dominates and", "no prose"),
        (f"## Findings\n{GOOD}", "no prose"),
        ("- " + GOOD.replace(". ", ".\n- "), "no prose"),
        (f"```{GOOD}```", "no prose"),
        (f'{{"narrative": "{GOOD}"}}', "no prose"),
        (GOOD.replace("activity", "活动"), "no prose"),
        (f"{GOOD} \ud800", "no prose"),
        (f"Here is the paragraph. {GOOD}", "names its inputs"),
        (f"{GOOD} This follows from the template.", "names its inputs"),
        ("As an AI language model, I cannot interpret EEG.", "names its inputs"),
        (" ".join([GOOD] * 4), "too long"),
        ("Lorem ipsum dolor sit amet.", "too few facts"),
        ("Delta dominates.", "too few facts"),
        ("wq xk 17 delta 0 0 0 0 C4 C4", "too few facts"),
    ],
)
def test_useless_answers_are_rejected(answer: str, problem: str) -> None:
    checked = check_answer(answer, one_segment())
    assert checked.text is None
    assert checked.problems[-1] == problem


def test_a_copy_of_the_template_is_rejected() -> None:
    findings = one_segment(LABELS)
    assert check_answer(write_template(findings), findings).text is None


def test_whatever_stays_of_an_answer_to_another_segment_is_true_of_this_one() -> None:
    outcomes = set()
    for seed in range(10):
        found = find_recording(simulate(random_preset(seed, duration_s=60), seed).recording)
        for mine, other in pairwise(found):
            checked = check_answer(write_narrative(other), mine)
            outcomes.add(checked.text is None)
            assert checked.text is None or facts_of(checked.text) - mine.facts <= tiers_of(mine)
            assert bool(checked.problems) == bool(other.facts - mine.facts - tiers_of(mine)) or checked.text is None
    assert outcomes == {True, False}


def test_prompts_hold_the_template_with_the_visible_labels() -> None:
    findings = one_segment(LABELS)
    texts = {v: build_messages(findings, v)[1]["content"] for v in ("none", "demographics", "full")}
    assert write_template(one_segment(None)) in texts["none"]
    assert write_template(one_segment(Labels(19, "F"))) in texts["demographics"]
    assert write_template(findings) in texts["full"]
    with pytest.raises(ValueError, match="label_visibility 'all'"):
        build_messages(findings, "all")  # type: ignore[arg-type]
