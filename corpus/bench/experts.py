"""Items from recordings on which experts voted: the pattern that most of them see, among those that hardly any saw.

Licensed recordings with votes are those of IIIC (Jing et al. 2023). Their experts wrote no texts and marked no
waveforms, so the description and the answer are by rules: what is measured, and what the votes say.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from corpus.background import find_complete
from corpus.bench.items import BenchItem, Choice, Question, pseudonym
from corpus.bench.make import DESCRIBE, N_OPTIONS, place_right, right_places
from corpus.caption import write_caption
from corpus.datasets import Entry, Label, get_dataset
from corpus.datasets.base import EegDataset
from corpus.findings import Findings
from corpus.instruct.record import LETTERS
from corpus.noise_audit.reader import LABEL_WORDS
from corpus.preprocess import NEURONARRATOR, preprocess
from corpus.preprocess.pipeline import pick_channels
from corpus.recording import RecordingError
from corpus.segment import SEGMENT_S, Segment
from corpus.splits import plan_splits, subject_key

WHOLE = ("iiic-irr",)
"""Datasets that no recipe of ours trains on, so that every side of them is held out."""

LEAST_SHARE = 0.5  # of the votes for the pattern that most experts see
WRONG_SHARE = 0.1  # of the votes for a pattern that is offered as wrong, at most
CATEGORY = "pattern"
STEM = "Which pattern do most experts see in these ten seconds?"
ASK = "Which pattern is this, and how far would experts agree on it?"


def make_from_votes(
    root: str | Path, dataset: str, side: str = "test", seed: int = 0
) -> Iterator[tuple[BenchItem, np.ndarray]]:
    """Items of the held-out recordings of a dataset with votes, and their signals, (C, 2000) microvolts.

    A recording without a clear majority, or that cannot be read, is left out.

    Args:
        root: folder of the dataset as published.
        dataset: its name.
        side: that `corpus build` gives by default; of datasets in `WHOLE`, all.
        seed: of wording and order.

    Raises:
        ValueError: no recording of the dataset there, or none that experts voted on.
    """
    adapter = get_dataset(dataset)
    entries = list(adapter.entries(Path(root)))
    sides = plan_splits([(adapter.card, entries)]).sides
    held = [e for e in entries if adapter.card.name in WHOLE or sides[adapter.card.name, e.id] == side]
    voted = [(entry, label) for entry in held for label in entry.labels if label.votes]
    if not voted:
        raise ValueError(
            f"got {len(held)} recordings of {adapter.card.name} on side {side}, none with votes of experts, expected "
            "some: name a dataset such as iiic or iiic-irr"
        )
    places = right_places(seed)
    place = next(places)
    for entry, label in voted:
        item = _make(adapter, entry, label, random.Random(f"{seed}/{adapter.card.name}/{entry.id}"), place)
        if item is not None:
            place = next(places)
            yield item


def _make(
    adapter: EegDataset, entry: Entry, label: Label, rng: random.Random, place: int
) -> tuple[BenchItem, np.ndarray] | None:
    choice = vote_choice(label, rng, place)
    if choice is None:
        return None
    try:
        segment = _read(adapter, entry, label)
    except RecordingError:
        return None
    findings = find_complete([segment])[0]
    description, answer = references(findings, label, rng.randrange(2**31))
    item = BenchItem(
        subject=pseudonym(subject_key(adapter.card, entry)),
        dataset=adapter.card.name,
        source="experts",
        category=CATEGORY,
        topics=(label.value,),
        description=Question(rng.choice(DESCRIBE), description),
        choice=choice,
        qa=Question(ASK, answer),
        ch_names=segment.ch_names,
        sfreq=segment.sfreq,
    )
    return item, segment.signal_uv


def _read(adapter: EegDataset, entry: Entry, label: Label) -> Segment:
    """The labelled seconds, preprocessed with their surroundings."""
    preset = replace(NEURONARRATOR, notch=adapter.card.mains_hz or "auto")
    recording = preprocess(*pick_channels(adapter.load(entry).recording, preset))
    start = round(label.start_s * recording.sfreq)
    signal = recording.signal_uv[:, start : start + round(SEGMENT_S * recording.sfreq)]
    if signal.shape[1] < round(SEGMENT_S * recording.sfreq):
        raise RecordingError(f"got {signal.shape[1] / recording.sfreq:.1f} s behind a label, expected {SEGMENT_S:g} s")
    return Segment(0, 0.0, SEGMENT_S, np.ascontiguousarray(signal), recording.sfreq, recording.ch_names)


def vote_choice(label: Label, rng: random.Random, place: int) -> Choice | None:
    """The pattern with most votes among three with hardly any; None where experts are not clear enough for that."""
    votes, words = dict(label.votes), LABEL_WORDS["pattern"]
    total = sum(votes.values())
    wrong = [name for name in words if name != label.value and votes.get(name, 0) <= WRONG_SHARE * total]
    if votes.get(label.value, 0) < LEAST_SHARE * total or len(wrong) < N_OPTIONS - 1:
        return None
    chosen = [label.value, *rng.sample(wrong, N_OPTIONS - 1)]
    statements = {name: f"{words[name][0].upper()}{words[name][1:]}." for name in chosen}
    choice = place_right(STEM, list(statements.values()), CATEGORY, place)
    told = {statements[name]: votes.get(name, 0) for name in chosen}
    own = tuple((letter, told[option]) for letter, option in zip(LETTERS, choice.options, strict=True))
    return replace(choice, votes=own, n_votes=total)


def references(findings: Findings, label: Label, seed: int) -> tuple[str, str]:
    """A description of what is measured with the pattern that most experts see, and what the votes say."""
    words, votes = LABEL_WORDS["pattern"][label.value], dict(label.votes)
    stated = f"The pattern is {words}."
    agree = f"{votes[label.value]} of {sum(votes.values())} experts say so."
    return f"{write_caption(findings, seed)} {stated}", f"{stated} {agree}"
