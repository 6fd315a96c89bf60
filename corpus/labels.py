"""Labels of a recording to labels of its segments, and to what a text says of them.

A segment carries every label that touches it (multi-label), with the provenance that its adapter gave it. What speaks
of the person (age, sex, diagnosis) stays apart from what speaks of the signal.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from corpus.datasets.base import Label
from corpus.findings import Labels

MIN_OVERLAP_S = 1.0  # of a label with a segment; a shorter label has to lie inside the segment by more than half
CONDITION_KINDS = ("condition", "task", "stage", "state", "emotion")


def labels_of_segment(labels: Iterable[Label], start_s: float, duration_s: float) -> tuple[Label, ...]:
    """The labels that touch a segment, by at least `MIN_OVERLAP_S` or by more than half of a shorter label.

    Args:
        labels: of the recording, seconds on its time axis.
        start_s: of the segment.
        duration_s: of the segment.
    """
    end_s, touching = start_s + duration_s, []
    for label in labels:
        length_s = float("inf") if label.duration_s is None else label.duration_s
        overlap_s = min(end_s, label.start_s + length_s) - max(start_s, label.start_s)
        if length_s == 0.0:
            inside = start_s <= label.start_s < end_s
        else:
            inside = overlap_s >= MIN_OVERLAP_S or overlap_s > length_s / 2
        if inside:
            touching.append(label)
    return tuple(touching)


def words_of(age_years: int | None, sex: str | None, labels: Iterable[Label]) -> Labels:
    """What the labels of a segment say in words; `corpus.refine.visible_labels` decides how much of it may be told."""
    conditions = dict.fromkeys(label.value for label in labels if label.kind in CONDITION_KINDS)
    return Labels(age_years, sex, " and ".join(conditions) or None)


@dataclass(frozen=True)
class LabelTask:
    """What a text may call the segments of a dataset.

    Attributes:
        dataset: short name.
        words: of each class, a label that the card of the dataset explains, the words that state it (a pattern).
    """

    dataset: str
    words: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of the dataset's card."""
        return tuple(self.words)

    def truth(self, labels: Iterable[Label]) -> Label | None:
        """The label of a segment; None where it has none of the classes, or several."""
        found = {label.value: label for label in labels if label.value in self.words}
        return next(iter(found.values())) if len(found) == 1 else None

    def parse(self, text: str) -> str | None:
        """The class that a text states, by rules: a narrative, or the answer to a question.

        An answer that is a class and nothing else counts as it is written. In prose, the words of a class count unless
        they stand in longer words of another class ("no ADHD") or are denied in their clause. None, the invalid class,
        where no class is stated or more than one.
        """
        answer = text.strip(" \n\t.\"'*")
        if answer in self.words:
            return answer
        found = [(match.span(), name) for name, words in self.words.items() for match in _words(words).finditer(text)]
        stated = {
            name
            for (start, stop), name in found
            if not any(a <= start and stop <= b and b - a > stop - start for (a, b), _ in found)
            and not _DENIED.search(_CLAUSE.split(text[:start])[-1])
        }
        return stated.pop() if len(stated) == 1 else None


_CLAUSE = re.compile(r"[.,;:!?()]|\bbut\b|\bwhile\b|\bwhereas\b|\band with\b", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:no|not|never|neither|without|absence of|free of|rather than|instead of|\w+n't)\b", re.IGNORECASE
)


@lru_cache(maxsize=256)
def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)


_LATERAL, _GENERAL = r"lateral(?:i[sz]ed)?", r"general(?:i[sz]ed)?"
_SEIZURE = r"(?:electrographic )?seizures?(?: activity)?|ictal(?: activity| pattern)?"
_BACKGROUND = r"(?:normal )?background(?: activity)?"
_IIIC = {
    "Other": r"none of (?:the|these) (?:five )?patterns|(?:the )?other pattern",
    "SZ": _SEIZURE,
    "LPD": rf"LPDs?|PLEDs?|{_LATERAL} periodic discharges?",
    "GPD": rf"GPDs?|GPEDs?|{_GENERAL} periodic discharges?",
    "LRDA": rf"LRDA|{_LATERAL} rhythmic delta(?: activity)?",
    "GRDA": rf"GRDA|{_GENERAL} rhythmic delta(?: activity)?",
}
LABEL_TASKS = {
    task.dataset: task
    for task in (
        LabelTask(
            "workload",
            {
                "rest": r"(?:at |eyes[- ]closed )?rest(?:ing)?(?:[- ]state)?",
                "mental arithmetic": r"(?:mental|serial) (?:arithmetic|subtraction|calculation)|arithmetic task",
            },
        ),
        LabelTask(
            "adhd-child",
            {
                "ADHD": r"ADHD|attention[- ]deficit(?:/| )hyperactivity disorder",
                "healthy control": r"health\w*(?: control| child| subject)?|control (?:group|child|subject)"
                r"|(?:no|not|without|non)[ -](?:have |having )?ADHD|typically developing",
            },
        ),
        LabelTask("iiic", _IIIC),
        LabelTask("iiic-irr", _IIIC),
        LabelTask("tuab", {"normal": r"normal|no abnormalit(?:y|ies)", "abnormal": r"abnormal|abnormalit(?:y|ies)"}),
        LabelTask(
            "tuev",
            {
                "spsw": r"spike[- ]and[- ](?:slow[- ])?waves?|spike[- ]waves?|SPSW",
                "gped": rf"GPEDs?|{_GENERAL} periodic (?:epileptiform )?discharges?",
                "pled": rf"PLEDs?|(?:{_LATERAL}|periodic lateral\w*) (?:periodic )?(?:epileptiform )?discharges?",
                "eyem": r"eye[- ]movements?|eye[- ]blinks?|blinks?",
                "artf": r"(?:muscle |electrode )?artifacts?",
                "bckg": _BACKGROUND,
            },
        ),
        LabelTask("tusl", {"slow": r"slowing(?: event)?", "seiz": _SEIZURE, "bckg": _BACKGROUND}),
        LabelTask(
            "seed",
            {
                "positive emotion": r"positive(?: emotion\w*| affect| mood| state)",
                "neutral emotion": r"neutral(?: emotion\w*| affect| mood| state)",
                "negative emotion": r"negative(?: emotion\w*| affect| mood| state)",
            },
        ),
        LabelTask(
            "hmc",
            {
                "W": r"wake(?:fulness)?|awake",
                "N1": r"(?:stage )?N1|(?:NREM|stage)[- ]?1",
                "N2": r"(?:stage )?N2|(?:NREM|stage)[- ]?2",
                "N3": r"(?:stage )?N3|(?:NREM|stage)[- ]?3",
                "R": r"(?<!non )REM(?: sleep)?",
            },
        ),
    )
}
"""The datasets with one label a segment: those of NeuroNarrator's Table 5, ADHD-Child and IIIC."""
