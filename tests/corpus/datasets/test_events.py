"""Timed labels come onto the signal of their recording; every expected value is worked out by hand."""

import numpy as np
import pytest

from corpus.datasets.base import Label
from corpus.datasets.events import matching, seizure_labels, with_labels
from corpus.recording import Recording


def spans(labels):
    return [(label.value, label.start_s, label.duration_s) for label in labels]


@pytest.mark.parametrize(
    ("seizures", "expected"),
    [
        ([], [("background", 0.0, 60.0)]),
        ([(0, 60)], [("seizure", 0, 60)]),
        ([(0, 10), (50, 60)], [("seizure", 0, 10), ("background", 10, 40), ("seizure", 50, 10)]),
        (
            [(10, 40), (20, 30), (40, 45)],
            [
                ("background", 0.0, 10.0),
                ("seizure", 10, 30),
                ("seizure", 20, 10),
                ("seizure", 40, 5),
                ("background", 45, 15.0),
            ],
        ),
        ([(50, 60.5)], [("background", 0.0, 50.0), ("seizure", 50, 10.5)]),
    ],
)
def test_background_is_the_time_that_no_seizure_covers(seizures, expected):
    assert spans(seizure_labels(seizures, 60.0, "list.txt")) == expected


def test_labels_are_cut_and_dropped_at_the_borders_of_the_signal():
    recording = Recording(np.zeros((1, 2000)), 100.0, ("Fp1",), warnings=("first",))
    times = [(0.0, None), (0.0, 20.0), (5.0, 15.5), (5.0, 17.0), (20.0, 1.0), (-1.0, 3.0), (3.0, 0.0)]
    labels = [Label("event", str(i), "event", "list", start, length) for i, (start, length) in enumerate(times)]
    loaded = with_labels(recording, labels, ["second"])
    assert spans(loaded.labels) == [("0", 0.0, None), ("1", 0.0, 20.0), ("2", 5.0, 15.0), ("3", 5.0, 15.0)]
    assert loaded.recording.warnings == (
        "first",
        "second",
        "1 published labels end after the signal and were cut at its end",
        "3 published labels lie outside of the signal or have no extent and were dropped",
    )


def test_matching_is_sorted_and_passes_over_hidden_files(tmp_path):
    for name in ("b/x.edf", "a/y.edf", "a/._y.edf", "a/y.csv", "a/c/z.edf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = matching(tmp_path, r"(?P<folder>\w)/[^/]+")
    assert [(path, name, fits["folder"]) for path, name, fits in found] == [
        (tmp_path / "a/y.edf", "a/y", "a"),
        (tmp_path / "b/x.edf", "b/x", "b"),
    ]
