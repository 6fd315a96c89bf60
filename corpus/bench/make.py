"""A bench from simulated persons: references that the simulator's truth supports, spread over the seventeen topics.

CerebraGloss-Bench is private recordings with texts by experts (CerebraGloss, Sec. 5). Ours has the same four formats
for a segment, from persons that no training uses (`FIRST_PERSON`), on the full 10-20 system in the average reference.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from corpus.background import find_complete
from corpus.bench.items import BenchItem, Choice, Question, pseudonym
from corpus.bench.topics import TOPICS, Truth, absent, present
from corpus.caption import caption_parts, write_caption
from corpus.findings import Findings
from corpus.instruct import find_contrasts
from corpus.instruct.record import LETTERS
from corpus.noise_audit import check_against_truth
from corpus.preprocess import preprocess
from corpus.segment import Segment, segment_recording
from corpus.simulate import (
    STATES,
    TEN_TWENTY,
    Box,
    SimulatedEvent,
    Simulation,
    SimulationPreset,
    detector_preset,
    simulate,
)
from corpus.waveforms import MIN_PART, MIN_PART_S, WAVEFORM_KINDS, Waveform

FIRST_PERSON = 30_000_000
"""Seed of the first simulated person; training counts from 0, the detector's validation and test from 1e7 and 2e7."""

SIMULATED = "simulated"
N_ITEMS = 90  # of the published bench
PERSONS_AN_ITEM = 3  # tried at most
PER_PERSON = 2  # items at most
EDGE_S = 1e-6
LOW_SHARE, FAST_SHARE = 0.12, 0.12  # of the persons with a background of low voltage, and with much fast activity
LOW_UV, LOW_ALPHA_UV, LOW_SLOW, FAST = 2.0, 4.0, 0.5, 8.0  # of the first their background; of the second their beta
N_OPTIONS = 4
DESCRIBE = (
    "Describe this EEG segment.",
    "What does this page of EEG show?",
    "Give a clinical description of these ten seconds.",
)
FEATURE_STEMS = ("Which of these does the segment show?", "Which feature is present in these ten seconds?")
ASPECT_OF = {"artifact": "artifacts", "sleep": "sleep", "epileptiform": "epileptiform", "background": "background"}
QUESTIONS = {
    "artifact": ("How far can these ten seconds be trusted, what disturbs them?", "Are there artifacts here?"),
    "sleep": ("Do you see anything that belongs to sleep?", "Which graphoelements of sleep are there, and when?"),
    "epileptiform": ("Is anything here epileptiform?", "Tell me about epileptiform discharges in this segment."),
    "background": ("What would you say of the background?", "Can you go through the background activity?"),
}
DETAILS = {  # category -> classes of contrasts that ask about it
    "artifact": ("artifact", "quality", "waveform", "place"),
    "sleep": ("waveform", "place"),
    "epileptiform": ("waveform", "place", "epileptiform"),
    "background": ("pdr", "dominant_band", "amplitude", "asymmetry", "region", "top_channel"),
}


def bench_preset(person: int) -> SimulationPreset:
    """A simulated person of the bench: as the detector's, on all 19 electrodes; some of low voltage, some fast."""
    preset = replace(detector_preset(person), ch_names=TEN_TWENTY, reference="average")
    draw = np.random.default_rng([person, 30]).random()
    if draw < LOW_SHARE:
        return replace(preset, background_uv=LOW_UV, alpha_uv=LOW_ALPHA_UV, slow_waking=LOW_SLOW)
    return replace(preset, fast=FAST) if draw < LOW_SHARE + FAST_SHARE else preset


def make_simulated(n_items: int = N_ITEMS, seed: int = 0) -> Iterator[tuple[BenchItem, np.ndarray]]:
    """Items of simulated persons with their signals, (19, 2000) microvolts.

    Each topic gets as many items as the others, as far as the persons show it. A segment enters only if the truth
    contradicts no sentence of its references.

    Args:
        n_items: at most; fewer where topics were not found in `PERSONS_AN_ITEM` persons an item.
        seed: another one gives other persons; each has `PERSONS_AN_ITEM * N_ITEMS` of its own.
    """
    counts: Counter[str] = Counter()
    places = right_places(seed)
    place = next(places)
    more = len(TOPICS) - n_items % len(TOPICS)  # from this topic on, one more
    quota = {name: n_items // len(TOPICS) + (number >= more) for number, name in enumerate(TOPICS)}
    first = FIRST_PERSON + seed * PERSONS_AN_ITEM * max(n_items, N_ITEMS)
    for person in range(first, first + PERSONS_AN_ITEM * n_items):
        simulation = simulate(bench_preset(person), person)
        own = 0
        for segment in segment_recording(preprocess(simulation.recording), history_k=0):
            truth = truth_of(simulation, segment)
            wanted = [topic for topic in present(truth) if counts[topic] < quota[topic]]
            if not wanted or own == PER_PERSON or counts.total() == n_items:
                continue
            topic = min(wanted, key=lambda name: counts[name])
            made = (pseudonym(f"{SIMULATED}/{person}"), place, counts[topic] % 2 == 1)
            item = make_item(truth, topic, random.Random(f"{person}/{topic}/{counts[topic]}"), *made)
            if item is not None:
                own, place = own + 1, next(places)
                counts[topic] += 1
                yield item, truth.findings.segment.signal_uv
        if counts.total() == n_items:
            return


def truth_of(simulation: Simulation, segment: Segment) -> Truth:
    """What is known of a segment, times from its start; the segment stands alone, without history."""
    start, end = segment.start_s, segment.start_s + segment.duration_s
    alone = replace(segment, index=0, start_s=0.0, history=())
    near = [replace(box, start_s=box.start_s - start) for box in simulation.boxes if _touches(box, start, end)]
    boxes = [cut for box in near if (cut := _cut(box, segment.duration_s)) is not None]
    findings = find_complete([alone], waveforms=_marks(boxes), reference="average")[0]
    touching = [event for event in simulation.events if _touches(event, start, end)]
    states = frozenset(event.kind for event in touching if event.kind in STATES)
    return Truth(findings, boxes, near, [event for event in touching if event.kind not in STATES], states)


def _touches(one: Box | SimulatedEvent, start_s: float, end_s: float) -> bool:
    return one.start_s < end_s - EDGE_S and one.start_s + one.duration_s > start_s + EDGE_S


def _cut(box: Box, duration_s: float) -> Box | None:
    """The part of a box inside a segment, where that is half of it or a second."""
    begin, end = max(box.start_s, 0.0), min(box.start_s + box.duration_s, duration_s)
    if end - begin < min(MIN_PART * box.duration_s, MIN_PART_S):
        return None
    return replace(box, start_s=round(begin, 4), duration_s=round(end - begin, 4))


def _marks(boxes: Sequence[Box]) -> list[Waveform]:
    """The boxes of the nine classes, as a perfect detector would mark them."""
    return [Waveform(b.kind, (b.ch_name,), b.start_s, b.duration_s) for b in boxes if b.kind in WAVEFORM_KINDS]


def make_item(
    truth: Truth, topic: str, rng: random.Random, subject: str, place: int, detail: bool = False
) -> BenchItem | None:
    """One item about a segment, or None where the truth does not bear out its references.

    Args:
        truth: of the segment.
        topic: that it was chosen for.
        rng: of wording and order.
        subject: pseudonym.
        place: of the right option.
        detail: ask for a detail of the findings, where one can be asked for, in place of the topic.
    """
    category = TOPICS[topic].category
    description, answer = references(truth.findings, category, rng.randrange(2**31))
    if not _holds(f"{description} {answer}", truth):
        return None
    choice = _detail(truth, category, rng, place) if detail else None
    choice = choice or _feature(truth, topic, rng, place)
    if choice is None:
        return None
    return BenchItem(
        subject=subject,
        dataset=SIMULATED,
        source="simulator",
        category=category,
        topics=(topic, *(name for name in present(truth) if name != topic)),
        description=Question(rng.choice(DESCRIBE), description),
        choice=choice,
        qa=Question(rng.choice(QUESTIONS[category]), answer),
        boxes=tuple(_marks(truth.boxes)),
        ch_names=truth.findings.segment.ch_names,
        sfreq=truth.findings.segment.sfreq,
        reference="average",
    )


def references(findings: Findings, category: str, seed: int) -> tuple[str, str]:
    """A description, and the answer to the question of a category; another seed gives other words."""
    parts = caption_parts(findings, seed + 1)
    return write_caption(findings, seed), parts[ASPECT_OF[category]]


def _holds(text: str, truth: Truth) -> bool:
    checked = check_against_truth(text, truth.findings, truth.near)
    return bool(checked) and all(one.verdict == "supported" for one in checked)


def _feature(truth: Truth, topic: str, rng: random.Random, place: int) -> Choice | None:
    """What the segment shows among three topics that it surely does not show."""
    others = absent(truth)
    if len(others) < N_OPTIONS - 1:
        return None
    options = [TOPICS[name].statement for name in (topic, *rng.sample(others, N_OPTIONS - 1))]
    return place_right(rng.choice(FEATURE_STEMS), options, "feature", place)


def _detail(truth: Truth, category: str, rng: random.Random, place: int) -> Choice | None:
    """A finding of the category among what findings and truth contradict."""
    fitting = []
    for contrast in find_contrasts(truth.findings, rng.randrange(2**31)):
        wrong = [text for text in contrast.wrong if _denied(text, truth)][: N_OPTIONS - 1]
        fits = contrast.topic.split()[0] in DETAILS[category] and len(wrong) == N_OPTIONS - 1
        if fits and _holds(contrast.right, truth):
            fitting.append((contrast, wrong))
    if not fitting:
        return None
    contrast, wrong = rng.choice(fitting)
    return place_right(contrast.stem, [contrast.right, *wrong], contrast.topic, place)


def _denied(text: str, truth: Truth) -> bool:
    checked = check_against_truth(text, truth.findings, truth.near)
    return any(one.verdict == "contradicted" for one in checked)


def place_right(stem: str, options: Sequence[str], topic: str, place: int) -> Choice:
    """A choice whose right option, the first of those given, stands at a place; the others keep their order."""
    mixed = [*options[1:]]
    mixed.insert(place, options[0])
    return Choice(stem, tuple(mixed), LETTERS[place], topic)


def right_places(seed: int) -> Iterator[int]:
    """Places of the right options without end: each as often as the others, in random order."""
    rng = random.Random(f"places/{seed}")
    while True:
        yield from rng.sample(range(N_OPTIONS), N_OPTIONS)
