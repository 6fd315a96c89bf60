"""Findings: one structured, typed record of what a segment shows, each with the evidence that measured it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from corpus.artifacts import ARTIFACT_KINDS, Artifact, detect_in_all
from corpus.features import BANDS, Features, extract_features
from corpus.montage import MIN_SPATIAL_ELECTRODES
from corpus.recording import Defect, Recording
from corpus.segment import Segment, segment_recording
from corpus.waveforms import EPILEPTIFORM, Waveform, find_dipole, period_hz, waveform_events

MAX_LISTED_TIER = 6  # a high-energy tier of more electrodes is called widespread, not listed
METHODS = {
    "blink": "positive frontal deflection below 8 Hz",
    "muscle": "power at 30-75 Hz",
    "electrode": "peak-to-peak amplitude that the nearest electrodes do not share",
    "flat": "peak-to-peak amplitude within half a second",
    "missing": "samples that the file marks as missing",
    "eye_left": "opposite deflections of the temples, left positive",
    "eye_right": "opposite deflections of the temples, right positive",
    "respiration": "sine of 0.2-0.5 Hz",
    "extreme": "largest absolute value",
    "global_bad": "share of channels without EEG",
}

Fact = tuple[str, str, str]  # kind, subject (a band or an electrode, else ""), value


@dataclass(frozen=True)
class Finding:
    """One thing a segment shows.

    Attributes:
        kind: dominant_band, amplitude, trend, region, top_channel, tier, tier_extent, asymmetry or artifact; among
            the details also search, waveform, periodicity, dipole, extended_artifact and those of `corpus.background`.
        value: what is found, such as "delta", "moderate increase" or "C4".
        subject: what it is found of: a band (trend) or an electrode (tier), else "".
        ch_names: electrodes the evidence comes from; none means all of the segment.
        start_s: start of the evidence in the recording, seconds.
        duration_s: its length, seconds.
        measured: the number behind the finding, in `unit`.
        source: the method: the rule that produced it.
    """

    kind: str
    value: str
    subject: str = ""
    ch_names: tuple[str, ...] = ()
    start_s: float = 0.0
    duration_s: float = 0.0
    measured: float | None = None
    unit: str = ""
    source: str = ""

    @property
    def fact(self) -> Fact:
        """The finding without its evidence, comparable with a claim in a text."""
        return self.kind, self.subject, self.value


@dataclass(frozen=True)
class Labels:
    """Event and clinical labels that a dataset provides (first part of the paper's template); all may be unknown."""

    age_years: int | None = None
    sex: str | None = None
    condition: str | None = None


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything found in one segment.

    Attributes:
        segment: where.
        features: its measurements.
        artifacts: those of `ARTIFACT_KINDS`, which narratives state.
        labels: of the dataset.
        items: the findings that a narrative states.
        details: further findings, which a five-aspect caption states: waveforms, the artifacts of
            `corpus.artifacts_full` and the background. Empty unless they were asked for.
    """

    segment: Segment
    features: Features
    artifacts: tuple[Artifact, ...] = ()
    labels: Labels = Labels()
    items: tuple[Finding, ...] = ()
    details: tuple[Finding, ...] = ()

    @property
    def facts(self) -> set[Fact]:
        """The facts a narrative of this segment should state."""
        return {item.fact for item in self.items}

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind, in their order, details among them."""
        return list(self._by_kind.get(kind, ()))

    @cached_property
    def _by_kind(self) -> dict[str, list[Finding]]:
        found: dict[str, list[Finding]] = {}
        for item in (*self.items, *self.details):
            found.setdefault(item.kind, []).append(item)
        return found


def find(
    segment: Segment,
    features: Features,
    artifacts: Sequence[Artifact] = (),
    labels: Labels | None = None,
    waveforms: Sequence[Waveform] | None = None,
    details: Sequence[Finding] = (),
) -> Findings:
    """Derive the findings of a segment from its measurements.

    Args:
        segment: the segment.
        features: its measurements.
        artifacts: of any kind; what is not in `ARTIFACT_KINDS` becomes a detail.
        labels: of the dataset.
        waveforms: marks of a detector; they become details as events, masked and pruned (`waveform_events`). An empty
            sequence says that a detector found nothing, None that there was none.
        details: further findings, such as those of the background.
    """
    stated = tuple(artifact for artifact in artifacts if artifact.kind in ARTIFACT_KINDS)
    items = [*_spectral(features), *_spatial(features), *_artifacts(stated)]
    more = [artifact_finding(artifact) for artifact in artifacts if artifact.kind not in ARTIFACT_KINDS]
    if waveforms is not None:
        more += _waveforms(segment, waveform_events(segment, waveforms, artifacts))
    return Findings(
        segment,
        features,
        stated,
        labels or Labels(),
        tuple(_timed(item, segment) for item in items),
        tuple(_timed(item, segment) for item in (*more, *details)),
    )


def find_segments(
    segments: Sequence[Segment], defects: Sequence[Defect] = (), labels: Labels | None = None
) -> list[Findings]:
    """Measure segments of one recording and derive the findings of each; `history` indexes into `segments`."""
    features = extract_features(segments)
    artifacts = detect_in_all(segments, features, defects)
    return [find(s, f, a, labels) for s, f, a in zip(segments, features, artifacts, strict=True)]


def find_recording(recording: Recording, labels: Labels | None = None) -> list[Findings]:
    """Cut a preprocessed recording into segments and derive the findings of each."""
    return find_segments(segment_recording(recording), recording.defects, labels)


def artifact_finding(artifact: Artifact) -> Finding:
    """One artifact with all of its evidence, as a detail."""
    where = (artifact.ch_names, artifact.start_s, artifact.duration_s)
    return Finding(
        "extended_artifact", artifact.kind, "", *where, artifact.value, artifact.unit, METHODS[artifact.kind]
    )


def _timed(item: Finding, segment: Segment) -> Finding:
    """A finding without a time of its own is one of the whole segment."""
    if item.duration_s:
        return item
    where = (item.ch_names, segment.start_s, segment.duration_s)  # several times as quick as `replace`
    return Finding(item.kind, item.value, item.subject, *where, item.measured, item.unit, item.source)


def _spectral(features: Features) -> list[Finding]:
    power = dict(zip(BANDS, features.band_power_uv2.tolist(), strict=True))
    dominant = features.dominant_band
    items = [
        Finding("dominant_band", dominant, measured=power[dominant], unit="µV²", source="highest mean Welch power"),
        Finding("amplitude", features.amplitude, measured=features.amplitude_uv, unit="µV", source="half peak-to-peak"),
    ]
    if features.trend is not None and features.trend_ratio is not None:
        ratios = features.trend_ratio.tolist()
        for (band, word), ratio in zip(features.trend.items(), ratios, strict=True):
            items.append(Finding("trend", word, band, measured=ratio, unit="ratio", source="power over history"))
    return items


def _spatial(features: Features) -> list[Finding]:
    channel_power = dict(zip(features.ch_names, features.channel_power_uv2.tolist(), strict=True))

    def measured(kind: str, value: str, subject: str, ch_names: tuple[str, ...], power: float) -> Finding:
        source = "variance of the channel"
        return Finding(kind, value, subject, ch_names, measured=power, unit="µV²", source=source)

    top, region, tier = features.top_channel, features.dominant_region, features.tier("high")
    items = [measured("top_channel", top, "", (top,), channel_power[top])]
    if len(features.ch_names) < MIN_SPATIAL_ELECTRODES:
        return items
    if len(features.region_power_uv2) > 1:
        items.append(measured("region", region, "", (), features.region_power_uv2[region]))
    if len(tier) > MAX_LISTED_TIER:
        extent, rule = float(len(tier)), "3-means of channel variances"
        items.append(
            Finding("tier_extent", "widespread", "", tuple(tier), measured=extent, unit="channels", source=rule)
        )
    else:
        items += [measured("tier", "high", name, (name,), channel_power[name]) for name in tier if name != top]
    if features.asymmetry is not None:
        index, rule = features.asymmetry_index, "mean log ratio over homologous pairs"
        items.append(Finding("asymmetry", features.asymmetry, measured=index, unit="log(right/left)", source=rule))
    return items


def _artifacts(artifacts: Sequence[Artifact]) -> list[Finding]:
    kinds = sorted({artifact.kind for artifact in artifacts})
    if not kinds:
        return [Finding("artifact", "none", source="rule detectors")]
    items = []
    for kind in kinds:
        same = [a for a in artifacts if a.kind == kind]
        names = tuple(dict.fromkeys(name for a in same for name in a.ch_names))
        start_s = min(a.start_s for a in same)
        end_s = max(a.start_s + a.duration_s for a in same)
        where = (names, start_s, end_s - start_s)
        items.append(Finding("artifact", kind, "", *where, same[0].value, same[0].unit, METHODS[kind]))
    return items


def _waveforms(segment: Segment, events: Sequence[Waveform]) -> list[Finding]:
    """Events one by one, and the period and the poles of the epileptiform ones."""
    items = [
        Finding("waveform", e.kind, "", e.ch_names, e.start_s, e.duration_s, e.confidence, "confidence", "detector")
        for e in events
    ]
    searched = Finding("search", "waveforms", "", measured=float(len(items)), unit="events", source="detector")
    items.insert(0, searched)
    discharges = [item for item in items if item.value in EPILEPTIFORM]
    if not discharges:
        return items
    start_s = discharges[0].start_s
    span = (start_s, max(item.start_s + item.duration_s for item in discharges) - start_s)
    hertz = period_hz(events)
    if hertz is not None:
        names = tuple(dict.fromkeys(name for item in discharges for name in item.ch_names))
        rule = "regular intervals between epileptiform events"
        items.append(Finding("periodicity", "periodic", "", names, *span, hertz, "Hz", rule))
    dipole = find_dipole(segment, events)
    if dipole is not None:
        rule = "mean potential at the peaks of epileptiform events"
        for sign, names, peak in (
            ("negative", dipole.negative, dipole.negative_uv),
            ("positive", dipole.positive, dipole.positive_uv),
        ):
            items.append(Finding("dipole", sign, "", names, *span, peak, "µV", rule))
    return items
