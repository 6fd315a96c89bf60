import pytest

from corpus.datasets import get_dataset
from corpus.datasets.base import Label
from corpus.describe import write_narrative
from corpus.findings import Labels, find_recording
from corpus.labels import LABEL_TASKS, labels_of_segment, words_of
from corpus.simulate import SimulationPreset, simulate


def label(start_s: float, duration_s: float | None, value: str = "x", kind: str = "event") -> Label:
    return Label(kind, value, "event", "a file", start_s, duration_s)


def test_a_label_of_the_whole_recording_is_on_every_segment() -> None:
    assert labels_of_segment([label(0.0, None)], 50.0, 10.0) == (label(0.0, None),)


def test_a_label_touches_by_a_second_or_by_more_than_half_of_itself() -> None:
    assert labels_of_segment([label(19.0, 30.0)], 10.0, 10.0)
    assert not labels_of_segment([label(19.1, 30.0)], 10.0, 10.0)
    assert labels_of_segment([label(19.7, 0.5)], 10.0, 10.0)
    assert not labels_of_segment([label(19.8, 0.5)], 10.0, 10.0)


def test_a_short_label_on_a_border_belongs_to_one_segment_and_a_moment_to_one() -> None:
    sides = [bool(labels_of_segment([label(9.8, 0.5)], start, 10.0)) for start in (0.0, 10.0)]
    assert sides == [False, True]
    moments = [bool(labels_of_segment([label(10.0, 0.0)], start, 10.0)) for start in (0.0, 10.0)]
    assert moments == [False, True]


def test_all_labels_that_overlap_are_kept() -> None:
    labels = [label(0.0, 100.0, "seizure"), label(12.0, 3.0, "blink", "artifact"), label(40.0, 5.0, "late")]
    assert [found.value for found in labels_of_segment(labels, 10.0, 10.0)] == ["seizure", "blink"]


def test_words_hold_conditions_and_no_events() -> None:
    labels = [label(0.0, None, "rest", "condition"), label(3.0, 1.0, "seizure")]
    assert words_of(34, "F", labels) == Labels(34, "F", "rest")
    assert words_of(None, None, []) == Labels()


@pytest.mark.parametrize("dataset", LABEL_TASKS)
def test_classes_are_labels_of_the_card_and_their_words_do_not_overlap(dataset: str) -> None:
    task = LABEL_TASKS[dataset]
    assert set(task.classes) <= set(get_dataset(dataset).card.labels)
    for name in task.classes:
        assert task.parse(name) == task.parse(f"{name}.") == name  # an answer that is the label


@pytest.mark.parametrize(
    ("dataset", "text", "expected"),
    [
        ("workload", "This EEG segment was recorded during mental arithmetic.", "mental arithmetic"),
        ("workload", "Recorded at rest; alpha dominates.", "rest"),
        ("workload", "Not at rest but during serial subtraction.", "mental arithmetic"),
        ("workload", "Rest or mental arithmetic?", None),
        ("workload", "Alpha dominates and the restless delta is stable.", None),
        ("workload", "This is not mental arithmetic.", None),
        ("adhd-child", "The child has ADHD.", "ADHD"),
        ("adhd-child", "A child without ADHD.", "healthy control"),
        ("adhd-child", "A healthy control, not ADHD.", "healthy control"),
        ("adhd-child", "A visual attention task.", None),
        ("iiic", "There are lateralised periodic discharges over the left side.", "LPD"),
        ("iiic", "Generalized rhythmic delta activity, no seizure.", "GRDA"),
        ("iiic", "LPDs and GRDA are present.", None),
        ("iiic", "Interictal activity without LPD or a seizure.", None),
        ("tuab", "The EEG is abnormal.", "abnormal"),
        ("tuab", "No abnormality is seen.", "normal"),
        ("tusl", "This isn't a seizure; slowing is seen.", "slow"),
        ("hmc", "NREM 2 sleep", "N2"),
        ("hmc", "This is REM sleep.", "R"),
        ("hmc", "non REM", None),
        ("hmc", "W", "W"),
        ("hmc", "The subject is awake", "W"),
    ],
)
def test_labels_are_read_by_rule_and_what_is_unclear_is_invalid(dataset: str, text: str, expected: str | None) -> None:
    assert LABEL_TASKS[dataset].parse(text) == expected


def test_a_narrative_of_measured_facts_states_no_diagnosis_and_no_task() -> None:
    (found, *_) = find_recording(simulate(SimulationPreset(duration_s=12.0), 0).recording)
    texts = [write_narrative(found, seed) for seed in range(40)]
    for name in ("workload", "adhd-child", "iiic", "tuab", "seed", "hmc"):
        assert {LABEL_TASKS[name].parse(text) for text in texts} == {None}


def test_the_truth_is_one_class_or_none() -> None:
    task = LABEL_TASKS["iiic"]
    assert task.truth([label(0, 10, "LPD", "pattern"), label(0, None, "ADHD")]) == label(0, 10, "LPD", "pattern")
    assert task.truth([label(0, 10, "LPD"), label(0, 5, "SZ")]) is None
    assert task.truth([label(0, 10, "tie")]) is task.truth([]) is None
