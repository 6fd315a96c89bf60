"""The open bench: made, written, read; votes of experts; the published bench as the paper shows it."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from corpus.bench import (
    FIRST_PERSON,
    PARTS,
    Bench,
    BenchItem,
    Choice,
    Question,
    make_bench,
    make_from_votes,
    open_bench,
    pseudonym,
    read_bench,
    read_published,
    write_bench,
)
from corpus.bench.experts import WHOLE, vote_choice
from corpus.bench.make import bench_preset, right_places, truth_of
from corpus.bench.published import split_options
from corpus.bench.topics import TOPICS, Truth, absent, present
from corpus.datasets import Label
from corpus.instruct.record import LETTERS
from corpus.noise_audit import check_against_truth
from corpus.preprocess import preprocess
from corpus.segment import segment_recording
from corpus.simulate import simulate
from corpus.waveforms import Waveform

N = 8
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench"), n_items=N, seed=0)


@pytest.fixture(scope="module")
def truths() -> list[Truth]:
    simulation = simulate(bench_preset(FIRST_PERSON + 1), FIRST_PERSON + 1)
    return [truth_of(simulation, s) for s in segment_recording(preprocess(simulation.recording), history_k=0)]


# Made of simulated persons


def test_every_item_has_the_four_formats_on_the_full_system(bench: Bench) -> None:
    assert len(bench.items) == N == bench.facts["n_items"]
    assert bench.facts["parts"] == dict.fromkeys(PARTS, N)
    for item in bench.items:
        assert item.parts == PARTS
        assert item.category == TOPICS[item.topics[0]].category
        segment = bench.segment(item)
        assert segment.signal_uv.shape == (19, 2000)
        assert segment.history == ()
        assert item.boxes is not None
        assert all(b.start_s >= 0 and b.end_s <= 10 + 1e-6 and b.ch_names[0] in item.ch_names for b in item.boxes)
    assert len({item.item_id for item in bench.items}) == N
    assert max(Counter(item.topics[0] for item in bench.items).values()) == 1  # fewer items than topics
    assert max(Counter(item.subject for item in bench.items).values()) <= 2


def test_right_options_stand_at_every_place_alike(bench: Bench) -> None:
    assert set(Counter(item.choice.answer for item in bench.items if item.choice).values()) == {N // 4}
    places = right_places(3)
    assert sorted(next(places) for _ in range(8)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_same_seed_gives_the_same_bytes_and_another_other_persons(bench: Bench, tmp_path: Path) -> None:
    again, other = make_bench(tmp_path / "a", n_items=3, seed=0), make_bench(tmp_path / "b", n_items=3, seed=1)
    make_bench(tmp_path / "c", n_items=3, seed=0)
    for name in ("bench.json", "items.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()
    assert not {item.subject for item in again.items} & {item.subject for item in other.items}
    assert len(list((tmp_path / "a" / "signals").iterdir())) == 3


def test_subjects_are_hashes_and_nothing_names_a_person(bench: Bench) -> None:
    text = (bench.root / "items.jsonl").read_text("utf-8")
    assert all(len(item.subject) == 12 and set(item.subject) <= set("0123456789abcdef") for item in bench.items)
    assert f"{FIRST_PERSON}"[:4] not in {item.subject[:4] for item in bench.items}
    assert pseudonym("TUH/aaaaaaab") != pseudonym("TUH/aaaaaaac")
    assert str(bench.root) not in text


def test_no_reference_is_contradicted_by_the_boxes(bench: Bench) -> None:
    """Once more, from the files alone: what a description says of spindles and the like is in the boxes of its item."""
    names = {"sleep spindles": "spindle", "K-complexes": "Kcomplex", "spike-and-slow-wave": "spsw"}
    for item in bench.items:
        kinds = {box.kind for box in item.boxes or ()}
        said = item.reference_of("description")
        assert all(kind in kinds for words, kind in names.items() if words in said)


def test_topics_follow_the_truth(truths: list[Truth]) -> None:
    for truth in truths:
        shown, missing = present(truth), absent(truth)
        assert not set(shown) & set(missing)
        assert ("spindle" in shown) == truth.boxed("spindle")
        assert "spindle" not in missing or not truth.happened("spindle", "mu")
        assert "deep delta" not in shown or truth.states == {"n3"}
        noise = {box.event for box in truth.boxes if box.kind == "hfnoise"}
        assert ("chewing" in shown) == ("chewing" in noise)
    assert any(present(truth) for truth in truths)
    blind = replace(truths[0], boxes=(), near=(), events=())
    assert {"spike", "sharp", "spsw", "spindle", "Kcomplex", "eye", "chewing"} <= set(absent(blind))


def test_options_of_a_choice_are_right_and_wrong_by_the_truth(bench: Bench) -> None:
    statements = {topic.statement: name for name, topic in TOPICS.items()}
    for item in bench.items:
        assert item.choice is not None
        right = item.choice.options[LETTERS.index(item.choice.answer)]
        if item.choice.topic == "feature":
            assert statements[right] == item.topics[0]
            assert not {statements[option] for option in item.choice.options if option != right} & set(item.topics)


def test_seventeen_topics_in_four_categories() -> None:
    counts = Counter(topic.category for topic in TOPICS.values())
    assert counts == {"background": 6, "artifact": 4, "sleep": 4, "epileptiform": 3}  # CerebraGloss, Sec. 5


def test_references_hold_against_the_truth_they_were_made_of(truths: list[Truth]) -> None:
    from corpus.bench.make import make_item

    made = [
        (truth, item)
        for truth in truths
        for topic in present(truth)[:2]
        if (item := make_item(truth, topic, random.Random(0), "p", 2)) is not None
    ]
    assert made
    for truth, item in made:
        assert item.choice is not None
        assert item.choice.answer == "C"
        text = f"{item.reference_of('description')} {item.reference_of('qa')}"
        assert {one.verdict for one in check_against_truth(text, truth.findings, truth.near)} == {"supported"}


# The folder


def test_a_bench_that_was_changed_is_noticed(bench: Bench, tmp_path: Path) -> None:
    made = [(item, bench.segment(item).signal_uv) for item in bench.items[:2]]
    items = write_bench(tmp_path, made, {"seed": 0})
    assert items == bench.items[:2] == read_bench(tmp_path).items
    changed = bench.segment(bench.items[0]).signal_uv + np.float32(1)
    np.save(tmp_path / "signals" / f"{items[0].item_id}.npy", changed)
    with pytest.raises(ValueError, match="other samples"):
        read_bench(tmp_path).segment(items[0])
    file = tmp_path / "items.jsonl"
    text = file.read_text("utf-8")
    file.write_text(text.replace('"subject": "', '"subject": "x', 1), "utf-8")
    with pytest.raises(ValueError, match="was changed"):
        read_bench(tmp_path)
    (tmp_path / "bench.json").write_text('{"version": 99}', "utf-8")
    with pytest.raises(ValueError, match="version 99"):
        open_bench(tmp_path)
    with pytest.raises(FileNotFoundError, match="bench make"):
        read_bench(tmp_path / "signals")


def test_a_choice_needs_a_letter_of_an_option() -> None:
    for options, answer in ((("a", "b"), "C"), (("a", "a"), "A"), (("a", "b"), ""), (("a", "b"), "AB")):
        with pytest.raises(ValueError, match="expected a letter"):
            Choice("?", options, answer)
    assert Choice("Which?", ("x", "y"), "B").question == "Which?\nA) x\nB) y"


# Votes of experts


def vote(value: str, **votes: int) -> Label:
    return Label("pattern", value, "segment", "made up", 20.0, 10.0, votes=tuple(votes.items()))


def test_only_patterns_that_hardly_anybody_saw_are_wrong() -> None:
    choice = vote_choice(vote("LPD", Other=1, SZ=1, LPD=11, LRDA=2), random.Random(0), 1)
    assert choice is not None
    assert choice.answer == "B"
    assert choice.options[1] == "Lateralized periodic discharges."
    assert "Lateralized rhythmic delta activity." not in choice.options  # 2 of 15 votes
    assert choice.n_votes == 15
    assert dict(choice.votes)["B"] == 11
    assert vote_choice(vote("LPD", LPD=4, GPD=3, SZ=3), random.Random(0), 0) is None  # no half of the votes
    assert vote_choice(vote("LPD", LPD=6, GPD=2, SZ=2, GRDA=2), random.Random(0), 0) is None  # two wrong ones only
    assert vote_choice(vote("tie", LPD=5, GPD=5), random.Random(0), 0) is None


@pytest.mark.parametrize(("dataset", "folder"), [("iiic", "iiic_sparcnet"), ("iiic-irr", "iiic_irr")])
def test_real_recordings_with_votes(shared_data: Path, dataset: str, folder: str) -> None:
    made = list(make_from_votes(shared_data / folder, dataset))
    assert made
    for item, signal_uv in made:
        assert signal_uv.shape == (len(item.ch_names), 2000)
        assert len(item.ch_names) in {18, 19}  # F7 of one has a poor contact
        assert np.isfinite(signal_uv).all()
        assert item.parts == ("description", "choice", "qa")
        assert item.source == "experts"
        assert item.choice is not None
        votes = dict(item.choice.votes)
        assert votes[item.choice.answer] == max(votes.values()) >= item.choice.n_votes / 2
        assert item.reference_of("description").endswith(item.reference_of("qa").split(". ")[0] + ".")
        assert not any(name in item.subject for name in ("ample", "/"))
    with pytest.raises(ValueError, match="on side nowhere"):
        make_from_votes(shared_data / "iiic_sparcnet", "iiic", side="nowhere").__next__()


def test_no_recipe_trains_on_a_dataset_that_is_held_out_whole() -> None:
    used = [yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "experiments").rglob("*.yaml")]
    assert not [name for name in WHOLE if f"'{name}'" in str(used)]


# As published


TEXT = "What best describes O1 and CZ?\n A) A run of delta. \n B) Sharp waves.\n C) Artifact (C4 is clean).\n D) Alpha."
ITEM: dict[str, Any] = {
    "image": "img/19_av.jpg",
    "description": "The data quality is fair.",
    "mcq": {"question": TEXT, "answer": "**C.** The contact is poor."},
    "qa": {"question": "Are they discharges?", "answer": "Certainly not."},
    "bboxes": {"hfnnoise": [["FP1-AV", 0.2, 9.8], ["T5-AV", 0.5, 9.6]], "muscle": [["O1-AV", 0.0, 8.9]]},
}


def published(root: Path, files: dict[str, Any]) -> Path:
    (root / "img").mkdir(parents=True)
    for number in (4, 19):
        (root / "img" / f"{number}_av.jpg").write_bytes(b"")
    for name, content in files.items():
        lines = "\n".join(json.dumps(one) for one in content) if name.endswith("jsonl") else json.dumps(content)
        (root / name).write_text(lines, "utf-8")
    return root


def check_published(bench: Bench) -> None:
    item = {item.image: item for item in bench.items}["img/19_av.jpg"]
    assert item.choice is not None
    assert (item.choice.stem, item.choice.answer) == ("What best describes O1 and CZ?", "C")
    assert item.choice.options == ("A run of delta.", "Sharp waves.", "Artifact (C4 is clean).", "Alpha.")
    assert item.qa == Question("Are they discharges?", "Certainly not.")
    assert item.reference_of("description") == "The data quality is fair."
    assert item.boxes is not None
    assert [(b.kind, b.ch_names) for b in item.boxes] == [("hfnoise", ("Fp1",)), ("hfnoise", ("P7",))]
    assert [b.duration_s for b in item.boxes] == pytest.approx([9.6, 9.1])
    assert item.parts == PARTS


def test_one_file_of_whole_records(tmp_path: Path) -> None:
    bench = open_bench(published(tmp_path / "a", {"bench.json": [ITEM, {"id": 4, "desc": "Alpha."}]}))
    check_published(bench)
    assert [item.parts for item in bench.items] == [("description",), PARTS]
    assert bench == read_published(tmp_path / "a")
    with pytest.raises(ValueError, match="without a signal"):
        bench.segment(bench.items[0])


def test_a_file_for_each_format(tmp_path: Path) -> None:
    check_published(
        open_bench(
            published(
                tmp_path / "b",
                {
                    "description.json": {"19_av": "The data quality is fair."},
                    "mcq.jsonl": [{"id": "19", "question": TEXT, "answer_key": "C"}],
                    "qa.json": [{"image": "19_av.jpg", **ITEM["qa"]}],
                    "boxes.json": {"19": ITEM["bboxes"]},
                },
            )
        )
    )


def test_what_cannot_be_read_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"img/4_av\.jpg"):
        open_bench(tmp_path)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"x.json": [{"name": "19"}]}, "nothing about the 2 pictures"),
        ({"x.json": [{"id": 19, "question": "?", "answer": "!"}]}, "does not say which format"),
        ({"x.json": [{"id": 19, "mcq": {"question": TEXT, "answer": "none"}}]}, "no letter of one"),
        ({"x.json": [{"id": 19, "bboxes": {"spike": [["XX-AV", 1, 2]]}}]}, r"boxes in x\.json"),
        ({"x.json": [{"id": 19, "qa": {"question": "?"}}]}, "without answer"),
    )
    for number, (files, message) in enumerate(wrong):
        with pytest.raises(ValueError, match=message):
            open_bench(published(tmp_path / str(number), files))


def test_options_on_one_line() -> None:
    stem, options = split_options("The feature is: A) High delta. B) A focus at C3. C) Alpha. D) Theta bursts.")
    assert stem == "The feature is:"
    assert options == ["High delta.", "A focus at C3.", "Alpha.", "Theta bursts."]
    assert split_options("No options here.") == ("No options here.", [])


def test_items_without_a_part_do_not_answer_for_it() -> None:
    item = BenchItem("p", "d", "published", boxes=(Waveform("spike", ("Cz",), 1.0, 0.1),))
    assert item.parts == ("boxes",)
    for part in ("qa", "boxes", "nothing"):
        with pytest.raises(ValueError, match="expected one in words"):
            item.question(part)
