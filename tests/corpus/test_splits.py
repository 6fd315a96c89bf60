"""Sides by hash, exact sides of small datasets, published sides, and the cap."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from corpus.datasets.base import DatasetCard, Entry
from corpus.splits import Candidate, SplitPlan, SplitPolicy, cap_segments, plan_splits, subject_key


def card(name: str, family: str = "") -> DatasetCard:
    return DatasetCard(name, name, "CC0", "nowhere", "nobody", "extra", family=family)


def entries(subjects: Sequence[str], runs: int = 1, **facts: object) -> list[Entry]:
    return [Entry(f"{s}/{r}", s, Path("x"), **facts) for s in subjects for r in range(runs)]  # type: ignore[arg-type]


def people(count: int) -> list[str]:
    return [f"p{i:04d}" for i in range(count)]


def sides_of(plan: SplitPlan, name: str) -> dict[str, str]:
    return {recording: side for (dataset, recording), side in plan.sides.items() if dataset == name}


# -- by hash


def test_a_side_is_the_hash_of_seed_and_person() -> None:
    plan = plan_splits([(card("tuab", "TUH"), entries(["aaaaaaab"]))], SplitPolicy(seed=7))
    draw = int.from_bytes(hashlib.sha256(b"7:TUH/aaaaaaab").digest()[:8], "big") / 2**64
    assert sides_of(plan, "tuab")["aaaaaaab/0"] == ("train" if draw < 0.8 else "val" if draw < 0.9 else "test")
    assert plan.method == {"tuab": "subject hash"}
    assert subject_key(card("eegmat"), entries(["Subject03"])[0]) == "eegmat/Subject03"


def test_persons_stay_when_others_come() -> None:
    few = plan_splits([(card("big"), entries(people(150), 1))])
    many = plan_splits([(card("big"), entries(people(400), 3))])
    assert all(many.sides["big", f"{p}/{run}"] == few.sides["big", f"{p}/0"] for p in people(150) for run in range(3))


def test_a_person_stands_on_one_side_of_the_whole_family() -> None:
    one, two = entries(people(30)), entries(people(60), 2)
    plan = plan_splits([(card("tuab", "TUH"), one), (card("tuar", "TUH"), two), (card("hmc"), one)])
    assert all(plan.sides["tuab", f"{p}/0"] == plan.sides["tuar", f"{p}/1"] for p in people(30))
    assert plan.sides == plan_splits([(card("hmc"), one), (card("tuar", "TUH"), two), (card("tuab", "TUH"), one)]).sides
    assert plan.shared == {}


def test_shares_come_near_and_seeds_differ() -> None:
    plan = plan_splits([(card("big"), entries(people(2000)))])
    count = Counter(plan.sides.values())
    assert count["train"] == pytest.approx(1600, abs=60)  # three standard deviations: 54
    assert count["val"] == pytest.approx(200, abs=45)
    other = plan_splits([(card("big"), entries(people(2000)))], SplitPolicy(seed=1))
    assert plan.sha256 != other.sha256
    assert sum(plan.sides[key] != other.sides[key] for key in plan.sides) > 400
    halves = plan_splits([(card("big"), entries(people(200)))], SplitPolicy(fractions=(0, 0.5, 0.5)))
    assert set(halves.sides.values()) == {"val", "test"}


def test_shares_that_do_not_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        SplitPolicy(fractions=(0.8, 0.1, 0.2))


# -- small datasets


def test_small_datasets_have_exact_sides_with_every_diagnosis() -> None:
    found = entries(people(20), 2, diagnosis=("epilepsy",)) + entries([f"c{i}" for i in range(20)], 2)
    plan = plan_splits([(card("small"), found)])
    sides = sides_of(plan, "small")
    count = Counter((entry.diagnosis, sides[entry.id]) for entry in found)
    assert count == {
        (("epilepsy",), "train"): 32, (("epilepsy",), "val"): 4, (("epilepsy",), "test"): 4,
        ((), "train"): 32, ((), "val"): 4, ((), "test"): 4,
    }  # fmt: skip
    assert plan.method == {"small": "subject strata"}
    assert all(len({sides[f"{p}/0"], sides[f"{p}/1"]}) == 1 for p in people(20))


def test_new_recordings_move_nobody() -> None:
    before = sides_of(plan_splits([(card("small"), entries(people(14)))]), "small")
    after = sides_of(plan_splits([(card("small"), entries(people(14), 3)[::-1])]), "small")
    assert all(after[name] == side for name, side in before.items())


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, (1, 0, 0)), (3, (1, 1, 1)), (5, (3, 1, 1)), (14, (11, 2, 1)), (31, (25, 3, 3))]
)
def test_sizes_of_small_sides(count: int, sizes: tuple[int, int, int]) -> None:
    found = Counter(plan_splits([(card("small"), entries(people(count)))]).sides.values())
    assert (found["train"], found["val"], found["test"]) == sizes


# -- published sides


def test_published_sides_are_taken_and_marked_where_persons_are_shared() -> None:
    seed = [Entry(f"p{i}/{trial}", f"p{i}", Path("x"), split=side)
            for i in range(3) for trial, side in enumerate(("train", "val", "test"))]  # fmt: skip
    tuab = [Entry("a", "aaaaaaab", Path("x"), split="test"), Entry("b", "aaaaaaac", Path("x"), split="train")]
    tusl = [Entry("c", "aaaaaaab", Path("x"), split="train")]
    tuh = [(card("tuab", "TUH"), tuab), (card("tusl", "TUH"), tusl)]
    found = [(card("seed"), seed), *tuh, (card("hmc"), entries(people(9)))]
    plan = plan_splits(found, SplitPolicy(published=True))
    assert plan.sides["seed", "p1/2"] == "test"
    assert plan.shared == {
        "seed": ("seed/p0", "seed/p1", "seed/p2"), "tuab": ("TUH/aaaaaaab",), "tusl": ("TUH/aaaaaaab",)
    }  # fmt: skip
    summary = plan.summary()["datasets"]
    assert summary["seed"] == {"method": "published", "subject_disjoint": False}
    assert summary["hmc"] == {"method": "subject strata", "subject_disjoint": True}
    assert plan_splits(found).shared == {}  # the default is disjoint for the same datasets


def test_an_unpublished_entry_follows_its_person() -> None:
    found = [Entry("a", "p", Path("x"), split="test"), Entry("b", "p", Path("x")), *entries(people(200))]
    both = [(card("e", "TUH"), entries(["p"])), (card("d", "TUH"), found)]
    plan = plan_splits(both, SplitPolicy(published=True))
    assert plan.sides["d", "b"] == plan.sides["e", "p/0"] == "test"
    by_hash = plan_splits(both)
    assert by_hash.sides["e", "p/0"] == "train"
    assert all(plan.sides["d", f"{p}/0"] == by_hash.sides["d", f"{p}/0"] for p in people(200))


# -- the cap


def candidates(value: str, subject: str, count: int, start: int = 0, split: str = "train") -> list[Candidate]:
    return [
        Candidate(
            f"d/{value or 'none'}-{subject}/{i}", "d", f"d/{subject}", split, (value,) if value else (),
            tuple(f"d/{value or 'none'}-{subject}/{past}" for past in range(max(i - 2, 0), i)),
        )
        for i in range(start, start + count)
    ]  # fmt: skip


def kept(chosen: dict[str, bool]) -> Counter[str]:
    """Number of examples of each "label-subject"."""
    return Counter(name.split("/")[1] for name, target in chosen.items() if target)


def test_below_the_limit_all_stay_and_other_sides_too() -> None:
    found = candidates("bckg", "a", 10) + candidates("bckg", "b", 50, split="test")
    assert kept(cap_segments(found, {"train": 10})) == {"bckg-a": 10, "bckg-b": 50}


def test_rare_labels_stay_whole_and_pathology_goes_before_background() -> None:
    found = candidates("bckg", "a", 1000) + candidates("fnsz", "a", 100) + candidates("gnsz", "b", 10)
    chosen = kept(cap_segments(found, {"train": 120}))
    # shares of 40: gnsz leaves 30, all of it goes to fnsz (70), background keeps its 40
    assert chosen == {"gnsz-b": 10, "fnsz-a": 70, "bckg-a": 40}
    assert kept(cap_segments(found, {"train": 200})) == {"gnsz-b": 10, "fnsz-a": 100, "bckg-a": 90}


def test_a_segment_belongs_to_its_rarest_pathological_label() -> None:
    both = Candidate("d/x/0", "d", "d/z", "train", ("bckg", "fnsz", "gnsz"))
    found = [both, *candidates("bckg", "a", 1), *candidates("fnsz", "a", 60), *candidates("gnsz", "b", 10)]
    chosen = cap_segments(found, {"train": 30})
    assert chosen["d/x/0"]
    assert kept(chosen) == {"x": 1, "gnsz-b": 10, "bckg-a": 1, "fnsz-a": 18}


def test_persons_have_equal_shares() -> None:
    found = candidates("bckg", "a", 500) + candidates("bckg", "b", 300) + candidates("bckg", "c", 5)
    assert kept(cap_segments(found, {"train": 105})) == {"bckg-a": 50, "bckg-b": 50, "bckg-c": 5}


def test_the_choice_depends_on_seed_and_not_on_order() -> None:
    found = candidates("bckg", "a", 300) + candidates("spsw", "b", 300)
    chosen = cap_segments(found, {"train": 100}, seed=3)
    assert chosen == cap_segments(found[::-1], {"train": 100}, seed=3)
    assert chosen != cap_segments(found, {"train": 100}, seed=4)
    assert kept(chosen) == {"bckg-a": 50, "spsw-b": 50}


def test_history_of_what_is_chosen_is_kept_beside_it() -> None:
    found = candidates("bckg", "a", 300)
    chosen = cap_segments(found, {"train": 20})
    examples = [name for name, target in chosen.items() if target]
    assert len(examples) == 20
    past = {p for c in found if c.segment_id in examples for p in c.history}
    assert set(chosen) == past | set(examples)
    assert len(chosen) > 20
