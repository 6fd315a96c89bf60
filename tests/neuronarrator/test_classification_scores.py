"""Scores of labels: hand-worked tables, the invalid class, intervals over subjects."""

import pytest

from neuronarrator.metrics.classification import INVALID, label_scores, vote_share


def score(truth: str, stated: str, subjects: str | None = None, resamples: int = 50) -> dict:
    """One letter a segment; a dash states nothing."""
    told = [None if letter == "-" else letter for letter in stated]
    return label_scores(list(truth), told, list(subjects or "x" * len(truth)), resamples, seed=0)


def test_scores_are_those_worked_by_hand() -> None:
    """True a a a a b b, stated a a a b b a: agreement 4/6; by chance 4/6 * 4/6 + 2/6 * 2/6 = 20/36."""
    found = score("aaaabb", "aaabba")
    assert found["accuracy"]["value"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"]["value"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["kappa"]["value"] == pytest.approx((4 / 6 - 20 / 36) / (1 - 20 / 36))
    assert found["weighted_f1"]["value"] == pytest.approx((4 * 0.75 + 2 * 0.5) / 6)
    assert found["confusion"] == {"a": {"a": 3, "b": 1}, "b": {"a": 1, "b": 1}}
    assert (found["parse_failure_rate"], found["chance"], found["n_segments"], found["n_subjects"]) == (0, 0.5, 6, 1)
    assert found["accuracy"]["ci"] is None  # one subject


def test_a_text_without_a_label_is_never_right_and_never_left_out() -> None:
    """True a a b b, stated a - b -: kappa (1/2 - 1/4) / (1 - 1/4)."""
    found = score("aabb", "a-b-")
    assert found["balanced_accuracy"]["value"] == found["accuracy"]["value"] == 0.5
    assert found["kappa"]["value"] == pytest.approx(1 / 3)
    assert found["weighted_f1"]["value"] == pytest.approx(2 / 3)
    assert found["confusion"]["a"] == {"a": 1, INVALID: 1}
    assert found["parse_failure_rate"] == 0.5
    silent = score("aabb", "----")
    assert silent["balanced_accuracy"]["value"] == silent["kappa"]["value"] == silent["weighted_f1"]["value"] == 0
    assert silent["parse_failure_rate"] == 1


def test_intervals_resample_subjects_with_all_their_segments() -> None:
    """One subject is always right and one, with three times the segments, always wrong."""
    found = score("abababab", "abbababa", "ggwwwwww", resamples=200)
    assert (found["accuracy"]["value"], found["accuracy"]["ci"]) == (0.25, [0.0, 1.0])
    same = score("abab", "abab", "ggww")
    assert same["balanced_accuracy"] == {"value": 1.0, "ci": [1.0, 1.0]}


def test_one_class_on_both_sides_has_no_kappa_and_nothing_no_scores() -> None:
    assert score("aa", "aa", "xy")["kappa"] == {"value": None, "ci": None}
    with pytest.raises(ValueError, match="got no labelled segment"):
        score("", "")


def test_the_share_of_votes() -> None:
    votes = (("LPD", 3), ("Other", 1))
    assert [vote_share(votes, label) for label in ("LPD", "Other", "SZ", None)] == [0.75, 0.25, 0, 0]
