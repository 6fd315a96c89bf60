"""Waveforms that a detector marked, and what is made of them: masked, pruned, joined to events, periods, dipoles.

The nine classes are those of CerebraGloss, Sec. 3.1. Its three strategies against false marks are named there without
rules; ours are `mask`, `prune` and `join`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from corpus.areas import adjacent
from corpus.segment import Segment

EPILEPTIFORM, SLEEP, NOISE = ("spike", "sharp", "spsw"), ("Kcomplex", "spindle"), ("hfnoise", "eyem", "eyer+", "eyer-")
WAVEFORM_KINDS = (*EPILEPTIFORM, *SLEEP, *NOISE)
MASKS = {  # event priority: a kind hides these where it covers at least half of them on the same electrode
    "eyem": EPILEPTIFORM,
    "eyer+": EPILEPTIFORM,
    "eyer-": EPILEPTIFORM,
    "hfnoise": (*EPILEPTIFORM, *SLEEP),
    "spsw": ("spike", "sharp"),
    "Kcomplex": ("sharp",),
}
EYE_ARTIFACTS = ("blink", "eye_left", "eye_right")  # hide epileptiform marks on every electrode
LOST_EEG = ("electrode", "flat", "missing", "extreme", "global_bad")  # hide every mark of brain origin on theirs
MASKED_SHARE = 0.5
CONFIRMED_BY = {"blink": ("eyem",), "eye_left": ("eyer+", "eyer-"), "eye_right": ("eyer+", "eyer-")}
MIN_PART, MIN_PART_S = 0.5, 1.0  # of a mark that a segment's edge cuts: this share of it, or so long, is inside
PRUNED_FROM = 8  # electrodes of a recording from which on a mark without a neighbour is not believed
JOIN_S = 0.1  # marks of one kind that are closer are one event
RUN_S = 2.0  # ACNS: six cycles at 3 Hz, the shortest run that is a pattern
MIN_DISCHARGES = 4  # for a period
MAX_PERIOD_CV = 0.25  # standard deviation of the intervals over their mean
DIPOLE_UV = 20.0  # least peak of the stronger pole
DIPOLE_RATIO = 0.5  # least ratio of the weaker to the stronger pole
BASELINE_S = 0.3  # before and after an event, whose median is zero
POLE_SHARE = 0.5  # an electrode belongs to a pole from this share of its peak on


@dataclass(frozen=True)
class Waveform:
    """One mark of a detector.

    Attributes:
        kind: one of `WAVEFORM_KINDS`.
        ch_names: electrodes it is seen on.
        start_s: from the start of the recording, seconds.
        duration_s: seconds.
        confidence: of the detector, 0 to 1.

    Raises:
        ValueError: if the kind is unknown, there is no electrode, or a number is out of range.
    """

    kind: str
    ch_names: tuple[str, ...]
    start_s: float
    duration_s: float
    confidence: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in WAVEFORM_KINDS:
            raise ValueError(f"got waveform {self.kind!r}, expected one of {', '.join(WAVEFORM_KINDS)}; map the class")
        if not self.ch_names or not self.duration_s > 0 or not 0 <= self.confidence <= 1:
            raise ValueError(
                f"got a {self.kind} on {len(self.ch_names)} electrodes for {self.duration_s} s with confidence "
                f"{self.confidence}, expected an electrode, a positive duration and 0 to 1; correct the detector"
            )

    @property
    def end_s(self) -> float:
        """Where it ends, seconds from the start of the recording."""
        return self.start_s + self.duration_s


class Interval(Protocol):
    """What can hide a waveform: an artifact, or another waveform."""

    @property
    def kind(self) -> str:
        """Its class."""

    @property
    def ch_names(self) -> tuple[str, ...]:
        """Its electrodes."""

    @property
    def start_s(self) -> float:
        """Seconds from the start of the recording."""

    @property
    def duration_s(self) -> float:
        """Seconds."""


def waveform_events(
    segment: Segment, waveforms: Iterable[Waveform], artifacts: Sequence[Interval] = ()
) -> list[Waveform]:
    """The events of a segment: marks that overlap it, without what is hidden or isolated, joined across electrodes.

    Args:
        segment: where to look; a mark that reaches beyond it is cut off at its edge, one mostly outside left out.
        waveforms: marks on any of its electrodes, one or several electrodes each.
        artifacts: artifacts of the segment, of every kind.

    Returns:
        Events in order of time, each with the highest confidence of its marks.

    Raises:
        ValueError: if a mark is on an electrode that was not recorded.
    """
    marks = _cut(segment, waveforms)
    if not marks:
        return []
    events = join(mask(marks, artifacts))
    return [kept for event in events if (kept := prune(event, segment.ch_names))]


def _cut(segment: Segment, waveforms: Iterable[Waveform]) -> list[Waveform]:
    """The marks inside a segment, one electrode each."""
    end_s = segment.start_s + segment.duration_s
    marks = []
    for mark in waveforms:
        start, end = max(mark.start_s, segment.start_s), min(mark.end_s, end_s)
        if end - start < min(MIN_PART * mark.duration_s, MIN_PART_S):
            continue
        for name in mark.ch_names:
            if name not in segment.ch_names:
                raise ValueError(f"got a {mark.kind} on {name}, expected an electrode of the recording; rename it")
            marks.append(replace(mark, ch_names=(name,), start_s=start, duration_s=end - start))
    return marks


ArtifactT = TypeVar("ArtifactT", bound=Interval)


def confirm(artifacts: Sequence[ArtifactT], marks: Sequence[Waveform]) -> list[ArtifactT]:
    """Artifacts without the eye movements that rules found and a detector, which looks at the shape, did not mark then.

    Slow waves of sleep and K-complexes over the frontal pole are blinks to a rule.
    """
    return [
        artifact
        for artifact in artifacts
        if artifact.kind not in CONFIRMED_BY
        or any(mark.kind in CONFIRMED_BY[artifact.kind] and _overlap_s(artifact, mark) > 0 for mark in marks)
    ]


def mask(marks: Sequence[Waveform], artifacts: Sequence[Interval]) -> list[Waveform]:
    """Event priority: without the marks that an artifact or a waveform of higher priority covers (`MASKS`).

    Eye movements reach far beyond the electrodes that they are found at and hide epileptiform marks everywhere; the
    noise classes are never hidden.
    """
    kept = []
    for mark in marks:
        above: list[Interval] = [m for m in marks if mark.kind in MASKS.get(m.kind, ()) and m.ch_names == mark.ch_names]
        above += [artifact for artifact in artifacts if _hides(artifact, mark)]
        if max((_overlap_s(mark, other) for other in above), default=0.0) < MASKED_SHARE * mark.duration_s:
            kept.append(mark)
    return kept


def _hides(artifact: Interval, mark: Waveform) -> bool:
    if artifact.kind in EYE_ARTIFACTS:
        return mark.kind in EPILEPTIFORM
    return mark.kind not in NOISE and artifact.kind in LOST_EEG and mark.ch_names[0] in artifact.ch_names


def _overlap_s(first: Interval, second: Interval) -> float:
    end = min(first.start_s + first.duration_s, second.start_s + second.duration_s)
    return max(end - max(first.start_s, second.start_s), 0.0)


def join(marks: Sequence[Waveform]) -> list[Waveform]:
    """Marks of one kind that overlap or nearly touch, on any electrodes, as one event; in order of time."""
    events: list[Waveform] = []
    for kind in dict.fromkeys(mark.kind for mark in marks):
        group: list[Waveform] = []
        for mark in sorted((m for m in marks if m.kind == kind), key=lambda m: m.start_s):
            if group and mark.start_s > max(m.end_s for m in group) + JOIN_S:
                events.append(_event(group))
                group = []
            group.append(mark)
        events.append(_event(group))
    return sorted(events, key=lambda event: (event.start_s, event.kind))


def _event(group: Sequence[Waveform]) -> Waveform:
    names = tuple(dict.fromkeys(name for mark in group for name in mark.ch_names))
    start_s, end_s = group[0].start_s, max(mark.end_s for mark in group)
    return Waveform(group[0].kind, names, start_s, end_s - start_s, max(mark.confidence for mark in group))


def prune(event: Waveform, recorded: tuple[str, ...]) -> Waveform | None:
    """Spatial pruning: an event of brain origin without the electrodes that no adjacent electrode confirms.

    Nothing is left of an event on a single electrode. Recordings of fewer than `PRUNED_FROM` electrodes, and noise,
    stay as they are.
    """
    if len(recorded) < PRUNED_FROM or event.kind in NOISE:
        return event
    rows = [recorded.index(name) for name in event.ch_names]
    near = adjacent(recorded)[rows][:, rows]
    names = tuple(name for name, row in zip(event.ch_names, near, strict=True) if row.any())
    return replace(event, ch_names=names) if names else None


def period_hz(events: Sequence[Waveform]) -> float | None:
    """How often epileptiform discharges come where they come regularly; None where they do not.

    Events of several kinds at one time are one discharge. At least `MIN_DISCHARGES`, with intervals between their
    middles whose standard deviation is at most `MAX_PERIOD_CV` of their mean.
    """
    discharges = [replace(event, kind="spike") for event in events if event.kind in EPILEPTIFORM]
    middles = np.array([event.start_s + event.duration_s / 2 for event in (join(discharges) if discharges else [])])
    if len(middles) < MIN_DISCHARGES:
        return None
    intervals = np.diff(middles)
    return float(1 / intervals.mean()) if intervals.std() <= MAX_PERIOD_CV * intervals.mean() else None


@dataclass(frozen=True)
class Dipole:
    """Two poles of opposite sign: their electrodes, and their mean peaks in µV."""

    negative: tuple[str, ...]
    positive: tuple[str, ...]
    negative_uv: float
    positive_uv: float


def find_dipole(segment: Segment, events: Sequence[Waveform]) -> Dipole | None:
    """The two poles of the epileptiform events of a segment, where the weaker one is at least half of the stronger.

    Each event's map is taken where the event is largest on its own electrodes, against the median around it; the maps
    are averaged. The highest peak is on an electrode of the events. Needs `PRUNED_FROM` electrodes.
    """
    discharges = [event for event in events if event.kind in EPILEPTIFORM]
    if not discharges or len(segment.ch_names) < PRUNED_FROM:
        return None
    potential = np.mean([_peak_map(segment, event) for event in discharges], axis=0)
    low, high = float(potential.min()), float(potential.max())
    weak, strong = sorted((max(-low, 0.0), max(high, 0.0)))
    if strong < DIPOLE_UV or weak < DIPOLE_RATIO * strong:
        return None
    peak = segment.ch_names[int(np.abs(potential).argmax())]
    if not any(peak in event.ch_names for event in discharges):
        return None
    names = np.array(segment.ch_names)
    negative, positive = names[potential <= POLE_SHARE * low], names[potential >= POLE_SHARE * high]
    return Dipole(tuple(negative.tolist()), tuple(positive.tolist()), low, high)


def _peak_map(segment: Segment, event: Waveform) -> np.ndarray:
    begin = max(round((event.start_s - segment.start_s) * segment.sfreq), 0)
    stop = max(round((event.end_s - segment.start_s) * segment.sfreq), begin + 1)
    margin = round(BASELINE_S * segment.sfreq)
    around = segment.signal_uv[:, max(begin - margin, 0) : stop + margin]
    piece = segment.signal_uv[:, begin:stop] - np.median(around, axis=1, keepdims=True)
    rows = [segment.ch_names.index(name) for name in event.ch_names]
    return piece[:, np.abs(piece[rows]).max(0).argmax()]
