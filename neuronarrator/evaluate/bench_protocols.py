"""The two clinical tasks of CerebraGloss (Sec. 6.2, App. F): seizure or not on TUSZ, four stages of sleep on HMC.

Both on segments of ten seconds of the held-out side: the official eval of TUSZ; the last 26 persons of HMC, each stage
of 30 s given to its three segments, without REM, which cannot be told from EEG alone. Balanced accuracy is the main
score. The paper does not say how much of a segment a seizure has to cover: here it is what `labels_of_segment` asks of
any label, a second. A segment is without seizure where nothing but background is said of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.datasets import Label, get_dataset
from corpus.datasets.tuh_labels import BACKGROUND, SEIZURES
from corpus.labels import LABEL_TASKS, LabelTask
from corpus.store.assemble import MANIFEST
from neuronarrator.evaluate.bench_answers import can_ask, parse_choice
from neuronarrator.evaluate.narratives import versions
from neuronarrator.evaluate.sources import Item, none_usable, open_data, usable
from neuronarrator.metrics.bootstrap import LEVEL
from neuronarrator.metrics.classification import LABEL_SIGNATURE, label_scores
from neuronarrator.models import AnyNarrator
from neuronarrator.narrate import read_batches

NOT_SEIZURES = ("nesz",)  # non-epileptic
SEIZURE_LABELS = frozenset(SEIZURES) - frozenset(NOT_SEIZURES)


@dataclass(frozen=True)
class Protocol:
    """One task of labels, asked as a choice.

    Attributes:
        dataset: short name.
        question: in our words; the options are the classes.
        options: what each class is called there.
        words: what states a class in prose, as in `corpus.labels`.
        paper: balanced accuracy of CerebraGloss, Table 4, on this dataset.
    """

    dataset: str
    question: str
    options: Mapping[str, str]
    words: LabelTask
    paper: Mapping[str, float]

    def truth(self, labels: Iterable[Label]) -> str | None:
        """The class of a segment; None where it takes no part."""
        values = {label.value for label in labels}
        if self.dataset == "tusz":
            if values & SEIZURE_LABELS:
                return "seizure"
            return "no seizure" if values and values <= set(BACKGROUND) else None
        stages = {label.value for label in labels if label.kind == "stage"}
        return stages.pop() if len(stages) == 1 and stages <= set(self.options) else None

    @property
    def asked(self) -> str:
        """The question with its options."""
        listed = (f"{letter}) {option}" for letter, option in zip("ABCD", self.options.values(), strict=False))
        return "\n".join((self.question, *listed))

    def parse(self, text: str, is_answer: bool) -> str | None:
        """The class that an answer chooses, or that a narrative states; None, the invalid class, for none or several.

        Only an answer to the question may be a letter or a bare option such as "Yes".
        """
        names = list(self.options)
        letter = parse_choice(text, list(self.options.values())) if is_answer else None
        return self.words.parse(text) if letter is None else names["ABCD".index(letter)]


_SEIZURE = r"(?:electrographic )?seizures?(?: activity)?|ictal(?: activity| pattern)?"
_NONE = r"(?:no|without|absence of|free of)(?: \w+){0,2} (?:seizures?(?: activity)?|ictal(?: activity| pattern)?)"
_STAGES = ("W", "N1", "N2", "N3")
PROTOCOLS: Mapping[str, Protocol] = {
    "tusz": Protocol(
        "tusz",
        "Is there a seizure in this EEG segment?",
        {"seizure": "Yes", "no seizure": "No"},
        LabelTask("tusz", {"seizure": _SEIZURE, "no seizure": _NONE}),
        {"CerebraGloss-3B": 0.7921, "CerebraGloss-7B": 0.8021, "Qwen2.5-VL-3B": 0.5502, "LaBraM": 0.7748},
    ),
    "hmc": Protocol(
        "hmc",
        "Which stage of sleep or waking does this segment belong to?",
        {"W": "Wake", "N1": "NREM1", "N2": "NREM2", "N3": "NREM3"},
        LabelTask("hmc", {stage: LABEL_TASKS["hmc"].words[stage] for stage in _STAGES}),
        {"CerebraGloss-3B": 0.6202, "CerebraGloss-7B": 0.6334, "Qwen2.5-VL-3B": 0.2500, "LaBraM": 0.6892},
    ),
}


def published_side(data: str | Path, name: str, split: str | None) -> list[Item]:
    """The recordings of the side that the dataset publishes (HMC: NeuroLM's); of a corpus, that it states.

    Raises:
        FileNotFoundError, ValueError: as `open_data`, or no recording is on that side.
    """
    if split is None or (Path(data) / MANIFEST).is_file():
        return list(open_data(data, name, split).items)
    published = {entry.id for entry in get_dataset(name).entries(Path(data)) if entry.split == split}
    items = [item for item in open_data(data, name).items if item.name in published]
    if not items:
        raise ValueError(f"got no recording of {name} on its published side {split}, expected some; copy more of it")
    return items


def evaluate_protocol(
    narrator: AnyNarrator, data: str | Path, name: str, split: str | None = "test", resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Score a model on one of `PROTOCOLS`.

    A model that can be asked is asked; of one that only narrates, the class that its narrative states counts.

    Args:
        narrator: in eval mode.
        data: folder of the dataset as published, or of a corpus with it.
        name: "tusz" or "hmc".
        split: published side; None: all.
        resamples: of the persons, for intervals.
        seed: of the resamples.

    Returns:
        What `label_scores` returns, with "dataset", "how", "n_left_out" (segments that take no part), "paper",
        "skipped" and "config".

    Raises:
        ValueError: another protocol, or no segment with one of its classes.
        RecordingError: no recording can be used.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"got protocol {name!r}, expected one of {', '.join(PROTOCOLS)}; correct it")
    told, left_out, skipped = _collect(narrator, PROTOCOLS[name], published_side(data, name, split))
    if not told:
        raise ValueError(f"got no segment of {', '.join(PROTOCOLS[name].options)}, expected some: take another side")
    truth, stated, subjects = zip(*told, strict=True)
    return {
        "dataset": name,
        "split": split or "all",
        "how": "asked" if can_ask(narrator) else "the class that narratives state",
        **label_scores(truth, stated, subjects, resamples, seed),
        "n_left_out": left_out,
        "paper": dict(PROTOCOLS[name].paper),
        "skipped": skipped,
        "config": {
            "model": narrator.card,
            "question": PROTOCOLS[name].asked,
            "bootstrap": {"unit": "subject", "resamples": resamples, "level": LEVEL, "seed": seed},
            "metrics": LABEL_SIGNATURE,
            "versions": versions(),
        },
    }


def _collect(
    narrator: AnyNarrator, protocol: Protocol, items: Iterable[Item]
) -> tuple[list[tuple[str, str | None, str]], int, dict[str, str]]:
    """Truth, what is stated and person of each segment; how many segments take no part; what was skipped, and why."""
    model: Any = narrator  # of any kind; `can_ask` tells whether it answers questions
    asks, skipped = can_ask(narrator), dict[str, str]()
    rows: list[tuple[str, str | None, str]] = []
    left_out = seen = 0
    for _, material in usable(items, skipped):
        findings, examples = material.findings()
        labels = material.labels()
        truths = [protocol.truth(own) if used else None for own, used in zip(labels, examples, strict=True)]
        seen, left_out = seen + 1, left_out + sum(examples) - sum(truth is not None for truth in truths)
        for numbers, _, batch in read_batches(findings, narrator.config.history_k):
            part = [truths[number] for number in numbers]
            if any(part):
                batch = batch.to(narrator.device)
                told = model.ask(batch, protocol.asked) if asks else model.generate(batch)
                stated = [protocol.parse(one.text, asks) for one in told]
                rows += [(t, s, material.subject) for t, s in zip(part, stated, strict=True) if t is not None]
    if skipped and not seen:
        raise none_usable(skipped)
    return rows, left_out, skipped


def format_protocol(scores: Mapping[str, Any]) -> str:
    """The scores of `evaluate_protocol` as text."""
    lines = [f"{scores['dataset']}: {scores['n_segments']} segments of {scores['n_subjects']} persons, {scores['how']}"]
    for name in ("balanced_accuracy", "accuracy", "kappa", "weighted_f1"):
        value, ci = scores[name]["value"], scores[name]["ci"]
        told = "-" if value is None else f"{value:.3f}"
        lines.append(f"{name:<20} {told}{'' if ci is None else f' ({ci[0]:.3f}-{ci[1]:.3f})'}")
    lines.append(f"{'chance':<20} {scores['chance']:.3f}    no class stated: {scores['parse_failure_rate']:.3f}")
    paper = ", ".join(f"{name} {value:.3f}" for name, value in scores["paper"].items())
    return "\n".join([*lines, f"balanced accuracy in the paper (Table 4): {paper}"])
