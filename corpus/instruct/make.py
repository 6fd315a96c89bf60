"""Items by rules: deterministic given the seed, every answer made of sentences that the findings support.

The tasks are those of CerebraGloss, Sec. 3.2 (descriptions, multiple choice, yes/no, conversations of two to four
rounds); wording and rules are ours.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from corpus.caption import caption_parts, write_caption
from corpus.describe import write_narrative
from corpus.findings import Findings, Labels
from corpus.instruct.contrasts import Contrast, find_contrasts
from corpus.instruct.record import LETTERS, Item, Material, Task, Turn, of_segment
from corpus.noise_audit import read_sentence, split_sentences

TASKS: tuple[Task, ...] = ("description", "choice", "conversation", "yes_no")
COMPOUND_SHARE = 0.5  # of the choices that join two statements in every option
CAPTION_SHARE = 0.75  # of the descriptions that are captions, where findings allow both
MIN_ROUNDS, MAX_ROUNDS = 2, 4
_DESCRIBE = (
    "Describe this EEG segment.",
    "What does this page of EEG show?",
    "Read this EEG and report what you see.",
    "Give a clinical description of this recording.",
    "Write the findings of this segment.",
    "Interpret the traces on this page.",
    "Summarise the electrographic features here.",
    "Report this stretch of EEG in plain clinical English.",
)
_NARRATE = (
    "Describe frequency content, distribution and artifacts of this segment.",
    "Which band dominates here, where, and how has it changed?",
    "Report the spectral findings of this segment and compare them with what came before.",
)
_CHOOSE = ("Choose the correct statement.", "Which of these is right?", "Pick the one statement that fits.")
_JUDGE = ("Yes or no: {}", "Is this true of the segment? {}", "Does the EEG bear this out? {}")
_ROUNDS = {  # aspect -> openings; asked in this order
    "artifacts": ("Is the recording clean enough to read?", "First of all, are there artifacts?"),
    "background": ("What is the background like?", "Describe the rhythm that prevails."),
    "sleep": ("Are there signs of sleep?", "Do you see graphoelements of sleep?"),
    "epileptiform": ("And epileptiform activity?", "Is there anything epileptiform?"),
    "distribution": ("Where is it strongest?", "How is the activity distributed over the scalp?"),
    "trend": ("How does it compare with the segments before?", "Has anything changed over time?"),
}
_NARRATIVE_ASPECTS = {
    "artifact": "artifacts",
    "dominant_band": "background",
    "amplitude": "background",
    "top_channel": "distribution",
    "region": "distribution",
    "tier": "distribution",
    "tier_extent": "distribution",
    "asymmetry": "distribution",
    "trend": "trend",
}


def make_items(materials: Sequence[Material], seed: int = 0, tasks: Sequence[Task] = TASKS) -> Iterator[Item]:
    """One item of each task for every segment, where the findings allow it.

    Yes and no are balanced within each topic: as many of the one as of the other, or one more.

    Args:
        materials: segments.
        seed: with the segment's index it chooses topics, wording and order.
        tasks: which; the default mixes descriptions, choices and conversations one to one to one, and adds yes/no.
            A "question" is a choice without its options.
    """
    balance: Counter[tuple[str, str]] = Counter()
    for material in materials:
        own_seed = int.from_bytes(random.Random(_name(material, seed)).randbytes(4), "big")
        contrasts = find_contrasts(material.findings, own_seed)
        for task in tasks:
            item = make_item(task, material, contrasts, own_seed, balance)
            if item is not None:
                yield item


def _name(material: Material, seed: int) -> str:
    segment = material.findings.segment
    return f"{seed}/{material.dataset}/{material.recording}/{segment.index}/{segment.start_s:g}"


def make_item(
    task: Task, material: Material, contrasts: Sequence[Contrast], seed: int, balance: Counter[tuple[str, str]]
) -> Item | None:
    """One item, or None where nothing can be asked.

    Args:
        task: which.
        material: the segment.
        contrasts: of its findings.
        seed: of the item.
        balance: how often each (topic, "yes" or "no") was given so far; updated.
    """
    rng = random.Random(f"{seed}/{task}")
    if task == "description":
        return _describe(material, rng, seed)
    if task == "choice":
        return _choice(material, contrasts, rng, seed)
    if task == "yes_no":
        return _yes_no(material, contrasts, rng, seed, balance)
    if task == "question":
        return _question(material, contrasts, rng, seed)
    return _converse(material, rng, seed)


def _describe(material: Material, rng: random.Random, seed: int) -> Item:
    """The caption where the findings have details, in most of the items, and else the narrative; without labels."""
    findings, text_seed = replace(material.findings, labels=Labels()), rng.randrange(2**31)
    if findings.of("montage") and rng.random() < CAPTION_SHARE:
        question, answer = rng.choice(_DESCRIBE), write_caption(findings, text_seed)
    else:
        question, answer = rng.choice(_NARRATE), write_narrative(findings, text_seed)
    return Item("description", _round(question, answer), seed=seed, **of_segment(material))


def _choice(material: Material, contrasts: Sequence[Contrast], rng: random.Random, seed: int) -> Item | None:
    simple = [contrast for contrast in contrasts if len(contrast.wrong) >= len(LETTERS) - 1]
    topics = sorted({_class_of(contrast) for contrast in contrasts})
    if len(topics) > 1 and (not simple or rng.random() < COMPOUND_SHARE):
        first, second = (_pick([c for c in contrasts if _class_of(c) == own], rng) for own in rng.sample(topics, 2))
        topic, stem, options = f"{first.topic} + {second.topic}", rng.choice(_CHOOSE), _joined(first, second)
    elif simple:
        chosen = _pick(simple, rng)
        topic, stem, options = chosen.topic, chosen.stem, [chosen.right, *chosen.wrong[: len(LETTERS) - 1]]
    else:
        return None
    right = options[0]
    rng.shuffle(options)
    listed = [f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=True)]
    at = options.index(right)
    turns = _round("\n".join((stem, *listed)), listed[at])
    return Item("choice", turns, tuple(options), LETTERS[at], topic, seed=seed, **of_segment(material))


def _class_of(contrast: Contrast) -> str:
    return contrast.topic.split()[0]


def _pick(contrasts: Sequence[Contrast], rng: random.Random) -> Contrast:
    """One contrast of a class of topics drawn first: the trends of six bands are one class."""
    topic = rng.choice(sorted({_class_of(contrast) for contrast in contrasts}))
    return rng.choice([contrast for contrast in contrasts if _class_of(contrast) == topic])


def _joined(first: Contrast, second: Contrast) -> list[str]:
    """Both right, then those of which one or both are wrong."""
    pairs = (
        (first.right, second.right),
        (first.right, second.wrong[0]),
        (first.wrong[0], second.right),
        (first.wrong[-1], second.wrong[-1]),
    )
    return [f"{a} {b}" for a, b in pairs]


def _yes_no(
    material: Material,
    contrasts: Sequence[Contrast],
    rng: random.Random,
    seed: int,
    balance: Counter[tuple[str, str]],
) -> Item | None:
    if not contrasts:
        return None
    chosen = _pick(contrasts, rng)
    topic = _class_of(chosen)
    ahead = balance[topic, "yes"] - balance[topic, "no"]
    answer = rng.choice(("yes", "no")) if not ahead else "no" if ahead > 0 else "yes"
    balance[topic, answer] += 1
    asked = chosen.right if answer == "yes" else rng.choice(chosen.wrong)
    turns = _round(rng.choice(_JUDGE).format(asked), f"{answer.capitalize()}. {chosen.right}")
    return Item("yes_no", turns, answer=answer, topic=chosen.topic, seed=seed, **of_segment(material))


def _question(material: Material, contrasts: Sequence[Contrast], rng: random.Random, seed: int) -> Item | None:
    if not contrasts:
        return None
    chosen = _pick(contrasts, rng)
    return Item("question", _round(chosen.stem, chosen.right), topic=chosen.topic, seed=seed, **of_segment(material))


def _converse(material: Material, rng: random.Random, seed: int) -> Item | None:
    answers = aspects(replace(material.findings, labels=Labels()), rng.randrange(2**31))
    if len(answers) < MIN_ROUNDS:
        return None
    count = rng.randint(MIN_ROUNDS, min(MAX_ROUNDS, len(answers)))
    chosen = sorted(rng.sample(range(len(answers)), count))
    named = [list(answers)[i] for i in chosen]
    turns = [turn for name in named for turn in _round(rng.choice(_ROUNDS[name]), answers[name])]
    return Item("conversation", tuple(turns), topic=" ".join(named), seed=seed, **of_segment(material))


def aspects(findings: Findings, seed: int) -> dict[str, str]:
    """What can be said of a segment, by the aspects of a conversation and in their order."""
    parts: dict[str, list[str]] = {name: [] for name in _ROUNDS}
    for sentence in split_sentences(write_narrative(findings, seed)):
        kinds = [statement.claim.kind for statement in read_sentence(sentence) if statement.claim is not None]
        if statements := read_sentence(sentence):
            kinds += {"none": ["artifact"], "event": ["artifact"], "history": ["trend"]}.get(statements[0].kind, [])
        if kinds:
            parts[_NARRATIVE_ASPECTS[kinds[0]]].append(sentence)
    if findings.of("montage"):
        told = caption_parts(findings, seed)
        parts |= {name: [told[name]] for name in ("artifacts", "sleep", "epileptiform") if told[name]}
    return {name: " ".join(sentences) for name, sentences in parts.items() if sentences}


def _round(question: str, answer: str) -> tuple[Turn, Turn]:
    return Turn("user", question), Turn("assistant", answer)
