from corpus.datasets.base import Label
from corpus.findings import Labels
from corpus.labels import labels_of_segment, words_of


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
