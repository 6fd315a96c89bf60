"""What a dataset is here: a card of facts, the entries of its published folder, and a way to read one of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from corpus.recording import Recording, Subject, read_recording

Granularity = Literal["file", "event", "segment"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Label:
    """One label and where it comes from.

    Attributes:
        kind: what it speaks of: "condition", "task", "session", "stage", "event", "artifact", "abnormality",
            "diagnosis", "emotion", "pattern", "state".
        value: one of the labels that the card explains.
        granularity: whether the publisher labelled the file, an event, or a fixed segment.
        source: the published file, column or rule behind it, without identity.
        start_s: seconds from the first sample.
        duration_s: seconds; None: to the end of the recording.
        ch_names: channels it is restricted to, as published; empty: all.
        votes: (value, count) of every rater where raters disagree; the soft label.
    """

    kind: str
    value: str
    granularity: Granularity
    source: str
    start_s: float = 0.0
    duration_s: float | None = None
    ch_names: tuple[str, ...] = ()
    votes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One recording of a dataset, before it is read. Plain data: it crosses process borders.

    Attributes:
        id: unique in the dataset and the same on every machine: the path below the root without extension.
        subject: the pseudonymous code that the publisher gives to a person.
        path: the file to read.
        labels: what is known without reading the signal.
        facts: age and sex where the publisher gives them beside the signal.
        diagnosis: groups or diseases of the person, apart from events.
        split: the published side, if there is one.
        part: which recording of the file, where a file holds several (a trial of a MATLAB file).
        duration_s: length of the recording where it is published beside the signal.
    """

    id: str
    subject: str
    path: Path
    labels: tuple[Label, ...] = ()
    facts: Subject = field(default_factory=Subject)
    diagnosis: tuple[str, ...] = ()
    split: Split | None = None
    part: str = ""
    duration_s: float | None = None


@dataclass(frozen=True)
class DatasetCard:
    """What has to be known of a dataset before one may use it.

    Attributes:
        name: short name, as on the command line.
        title: the name to cite.
        aliases: other names it is known by.
        role: "corpus" (one of the sixteen), "zero-shot", "image" or "extra".
        licence: of the data.
        access: how to get it, and where.
        citation: authors, year, doi or URL.
        expected_recordings: published number of recordings, None where not known.
        expected_subjects: published number of subjects.
        paper_segments: training and test segments in NeuroNarrator's Table 1.
        why_counts_differ: why our count differs from the paper's, where it does.
        sfreq: published sampling rate, Hz; None where it varies.
        unit: of the published samples.
        ch_names: published channel names; empty where they vary.
        reference: recording reference, in words.
        mains_hz: 50 or 60; None where it varies, and the spectrum decides.
        labels: meaning of each label value.
        granularity: of the labels.
        family: datasets of one family share patients under the same codes ("TUH").
    """

    name: str
    title: str
    licence: str
    access: str
    citation: str
    role: Literal["corpus", "zero-shot", "image", "extra"]
    aliases: tuple[str, ...] = ()
    expected_recordings: int | None = None
    expected_subjects: int | None = None
    paper_segments: tuple[int, int] | None = None
    why_counts_differ: str = ""
    sfreq: float | None = None
    unit: str = "uV"
    ch_names: tuple[str, ...] = ()
    reference: str = "as recorded"
    mains_hz: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    granularity: Granularity = "file"
    family: str = ""


@dataclass(frozen=True)
class Loaded:
    """A recording and everything its publisher says about it; labels found while reading are included."""

    recording: Recording
    labels: tuple[Label, ...]


def load_file(entry: Entry) -> Loaded:
    """Read an entry whose file MNE can open and whose labels are known beforehand."""
    return Loaded(read_recording(entry.path), entry.labels)


@dataclass(frozen=True)
class EegDataset:
    """A card with the few lines that iterate and read the published folder.

    Attributes:
        card: facts.
        entries: from the dataset's own folder, complete or not, to its entries, sorted by id.
        load: reads one entry; raises RecordingError.
    """

    card: DatasetCard
    entries: Callable[[Path], Iterable[Entry]]
    load: Callable[[Entry], Loaded] = load_file
