"""What an adapter found in a folder, beside what was published and what the paper counts."""

import re
from collections import Counter
from collections.abc import Iterable

from corpus.datasets.base import EegDataset, Entry


def summarise(dataset: EegDataset, entries: Iterable[Entry]) -> str:
    """A few lines on the recordings of a folder, before they are read.

    Args:
        dataset: whose card says what is expected.
        entries: of `dataset.entries`.
    """
    card, entries = dataset.card, list(entries)
    subjects = {entry.subject for entry in entries}
    lines = {
        "recordings": _of(len(entries), card.expected_recordings),
        "subjects": _of(len(subjects), card.expected_subjects),
        "hours": _hours(entries),
        "labels": _counts(f"{label.kind} {label.value}" for entry in entries for label in entry.labels),
        "diagnoses": _counts(value for entry in entries for value in entry.diagnosis),
        "split": _counts(entry.split for entry in entries if entry.split),
        "paper": "not in Table 1 of NeuroNarrator",
        "why": card.why_counts_differ,
    }
    if card.granularity == "event":
        lines["labels"] = "; ".join(filter(None, (lines["labels"], "those inside of recordings come with reading")))
    if card.paper_segments:
        train, test = card.paper_segments
        lines["paper"] = f"{train:,} training and {test:,} test segments of 10 s"
    lines = {name: text for name, text in lines.items() if text}
    return "\n".join([f"{card.name}: {card.title}, {card.licence}", *(f"  {k:<11}{v}" for k, v in lines.items())])


def _of(found: int, expected: int | None) -> str:
    return f"{found:,} of {expected:,} published" if expected else f"{found:,}"


def _hours(entries: list[Entry]) -> str:
    """Published hours and the segments of 10 s they hold, with their share of the recordings."""
    known = [entry.duration_s for entry in entries if entry.duration_s is not None]
    if not known:
        return "known after reading"
    share = "" if len(known) == len(entries) else f" in {len(known):,} of {len(entries):,} recordings"
    return f"{sum(known) / 3600:.2f}, {sum(int(s // 10) for s in known):,} segments of 10 s{share}"


def _counts(values: Iterable[str]) -> str:
    """Most frequent first, then by name, numbers in their natural order."""
    counts = Counter(values)
    names = sorted(counts, key=lambda name: (-counts[name], re.sub(r"\d+", lambda n: n[0].zfill(6), name)))
    return ", ".join(f"{name} {counts[name]:,}" for name in names)
