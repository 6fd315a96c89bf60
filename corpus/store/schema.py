"""The row of the corpus: one segment with its labels, findings and text, and the one place that fills it."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from corpus.datasets.base import DatasetCard, Entry, Label
from corpus.features import BANDS, TIERS, Features
from corpus.findings import Fact, Finding, Findings
from corpus.recording import Provenance, Subject
from corpus.splits import subject_key

SCHEMA_VERSION = "neuronarrator.corpus/2"


@dataclass(frozen=True)
class Origin:
    """What the segments of one recording share.

    Attributes:
        entry: of the dataset.
        card: of the dataset.
        provenance: base name and SHA-256 of the file, what was done to the signal.
        subject: age and sex as read from the file; `entry.facts` goes before.
        split: "train", "val" or "test".
        mains_hz: mains frequency that was removed; None where none was.
        reference: of the stored signal; "" for the one of the card.
    """

    entry: Entry
    card: DatasetCard
    provenance: Provenance
    subject: Subject = field(default_factory=Subject)
    split: str = "train"
    mains_hz: float | None = None
    reference: str = ""


@dataclass(frozen=True)
class Text:
    """The texts of a segment; `source` is "writer" or the name of the teacher model that wrote the narrative.

    The template has the three parts of NeuroNarrator, the caption the five aspects of CerebraGloss.
    """

    template: str = ""
    narrative: str = ""
    caption: str = ""
    source: str = "writer"


@dataclass(frozen=True, eq=False)
class Row:
    """One segment as it is stored.

    Attributes:
        dataset: short name.
        recording_id: unique in the dataset.
        subject: code of the person, qualified by the family of the dataset, such as "TUH/aaaaaaab".
        segment_index: position among the segments of the recording.
        start_s: start in the recording, seconds.
        duration_s: length, seconds.
        sfreq: Hz.
        ch_names: C electrode names.
        signal_uv: (C, T) microvolts; float32 once read back.
        history: segment indices of the (at most K) predecessors, oldest first.
        split: "train", "val" or "test".
        topomap: scalp map at the median sample as a PNG file; None where the build drew none.
        target: an example by itself; false where it is only kept as the history of one.
        labels: of the segment, each with its source.
        age_years: whole years, None where unknown.
        sex: "F", "M" or None.
        diagnosis: groups or diseases of the person.
        features: measurements.
        facts: what a narrative of the segment should state, sorted.
        findings: with the evidence of each.
        text: template and narrative.
        reference: of the signal.
        steps: what was done to the signal.
        source_file: base name of the file, or a code where names may identify.
        source_sha256: of the file.
        source_part: which recording of the file, where it holds several.
        mains_hz: mains frequency that was removed, None where none was.
    """

    dataset: str
    recording_id: str
    subject: str
    segment_index: int
    start_s: float
    duration_s: float
    sfreq: float
    ch_names: tuple[str, ...]
    signal_uv: np.ndarray
    history: tuple[int, ...]
    split: str
    labels: tuple[Label, ...]
    age_years: int | None
    sex: str | None
    diagnosis: tuple[str, ...]
    features: Features
    facts: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    text: Text
    reference: str
    steps: tuple[str, ...]
    source_file: str
    source_sha256: str
    source_part: str
    mains_hz: float | None
    topomap: bytes | None = None
    target: bool = True

    @property
    def segment_id(self) -> str:
        """dataset/recording/index."""
        return segment_id(self.dataset, self.recording_id, self.segment_index)


def segment_id(dataset: str, recording_id: str, index: int) -> str:
    """The name of a segment in a corpus: dataset/recording/index."""
    return f"{dataset}/{recording_id}/{index}"


def row_of(
    origin: Origin, findings: Findings, labels: tuple[Label, ...], text: Text, topomap: bytes | None = None
) -> Row:
    """The row of one segment.

    Args:
        origin: of its recording.
        findings: of the segment; the signal is taken from `findings.segment`.
        labels: those that apply to the segment.
        text: written from the findings.
        topomap: a PNG file, if one was drawn.
    """
    entry, card, segment = origin.entry, origin.card, findings.segment
    age_years, sex = entry.facts.age_years, entry.facts.sex
    return Row(
        dataset=card.name,
        recording_id=entry.id,
        subject=subject_key(card, entry),
        segment_index=segment.index,
        start_s=segment.start_s,
        duration_s=segment.duration_s,
        sfreq=segment.sfreq,
        ch_names=tuple(segment.ch_names),
        signal_uv=segment.signal_uv,
        history=tuple(segment.history),
        split=origin.split,
        labels=tuple(labels),
        age_years=origin.subject.age_years if age_years is None else age_years,
        sex=origin.subject.sex if sex is None else sex,
        diagnosis=tuple(entry.diagnosis),
        features=findings.features,
        facts=tuple(sorted(findings.facts)),
        findings=(*findings.items, *findings.details),
        text=text,
        reference=origin.reference or card.reference,
        steps=origin.provenance.steps,
        source_file=origin.provenance.file,
        source_sha256=origin.provenance.sha256,
        source_part=entry.part,
        mains_hz=origin.mains_hz,
        topomap=topomap,
    )


def recording_order(dataset: str, recording_id: str) -> tuple[Any, ...]:
    """Sort key of recordings: by dataset, then in natural order ("S2" before "S10")."""
    words = re.split(r"(\d+)", recording_id)
    return dataset, [int(word) if i % 2 else word for i, word in enumerate(words)], recording_id


COLUMNS: dict[str, str] = {
    "segment_id": "dataset/recording_id/segment_index",
    "dataset": "short name, explained in `cards`",
    "recording_id": "unique in the dataset",
    "subject": "pseudonymous code, qualified by the family of the dataset",
    "segment_index": "position among the segments of the recording",
    "split": "train, val or test",
    "target": "false: kept only as the history of other segments",
    "start_s": "start in the recording, s",
    "duration_s": "s",
    "sfreq": "Hz",
    "ch_names": "electrodes, the order of all values per channel",
    "n_times": "samples a channel",
    "signal": "see `signal`",
    "history": "segment_index of the predecessors, oldest first",
    "labels": "published labels; start_s and duration_s in the recording (no duration: to its end); votes of raters",
    "age_years": "whole years",
    "sex": "F or M",
    "diagnosis": "groups or diseases of the person",
    "band_power_uv2": "mean over channels, one value for each of `bands`, µV²",
    "channel_band_power_uv2": "one list for each channel, µV²",
    "channel_power_uv2": "variance of each channel, µV²",
    "tiers": f"of each channel, indices into {', '.join(TIERS)}",
    "history_band_power_uv2": "mean of the history for each of `bands`, µV²",
    "trend": "one word for each of `bands`; none without history",
    "trend_ratio": "power over the mean of the history",
    "dominant_band": "band of the highest power",
    "dominant_hz": "highest spectral peak in it",
    "top_channel": "electrode of the highest power",
    "amplitude_uv": "median over channels of half the peak-to-peak",
    "amplitude": "low, medium or high",
    "asymmetry_index": "mean log ratio of right to left power; none without a pair",
    "asymmetry": "symmetric, left or right",
    "facts": "what a narrative of the segment should state",
    "findings": "each with its evidence",
    "template": "structured text of the findings",
    "narrative": "fluent text of the findings",
    "caption": "text of the findings in five aspects",
    "narrative_source": "writer, or the model that wrote it",
    "reference": "of the signal",
    "steps": "what was done to the signal",
    "source_file": "base name, or a code where names may identify",
    "source_sha256": "of the source file",
    "source_part": "which recording of the file, where it holds several",
    "mains_hz": "mains frequency that was removed",
    "topomap": "scalp map at the median sample, a PNG file; none unless the build was asked for it",
}
"""Every column of a shard in its order, and what it holds; goes into the manifest with `BANDS`."""

BAND_EDGES_HZ = {band: list(edges) for band, edges in BANDS.items()}
