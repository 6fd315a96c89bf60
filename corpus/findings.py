"""Findings: one structured, typed record of what a segment shows, each with the evidence that measured it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from corpus.artifacts import Artifact, detect_artifacts
from corpus.features import BANDS, Features, extract_features
from corpus.montage import MIN_SPATIAL_ELECTRODES
from corpus.recording import Defect, Recording
from corpus.segment import Segment, segment_recording

MAX_LISTED_TIER = 6  # a high-energy tier of more electrodes is called widespread, not listed

Fact = tuple[str, str, str]  # kind, subject (a band or an electrode, else ""), value


@dataclass(frozen=True)
class Finding:
    """One thing a segment shows.

    Attributes:
        kind: dominant_band, amplitude, trend, region, top_channel, tier, tier_extent, asymmetry or artifact.
        value: what is found, such as "delta", "moderate increase" or "C4".
        subject: what it is found of: a band (trend) or an electrode (tier), else "".
        ch_names: electrodes the evidence comes from.
        start_s: start of the evidence in the recording, seconds.
        duration_s: its length, seconds.
        measured: the number behind the finding, in `unit`.
        source: the rule that produced it.
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
    """Everything found in one segment: its measurements, artifacts, labels, and the findings derived from them."""

    segment: Segment
    features: Features
    artifacts: tuple[Artifact, ...] = ()
    labels: Labels = Labels()
    items: tuple[Finding, ...] = ()

    @property
    def facts(self) -> set[Fact]:
        """The facts a narrative of this segment should state."""
        return {item.fact for item in self.items}

    def of(self, kind: str) -> list[Finding]:
        """The findings of one kind, in their order."""
        return [item for item in self.items if item.kind == kind]


def find(
    segment: Segment, features: Features, artifacts: Sequence[Artifact] = (), labels: Labels | None = None
) -> Findings:
    """Derive the findings of a segment from its measurements."""
    items = [*_spectral(features), *_spatial(features), *_artifacts(artifacts)]
    start_s, duration_s = segment.start_s, segment.duration_s
    timed = [item if item.duration_s else replace(item, start_s=start_s, duration_s=duration_s) for item in items]
    return Findings(segment, features, tuple(artifacts), labels or Labels(), tuple(timed))


def find_segments(
    segments: Sequence[Segment], defects: Sequence[Defect] = (), labels: Labels | None = None
) -> list[Findings]:
    """Measure segments of one recording and derive the findings of each; `history` indexes into `segments`."""
    features = extract_features(segments)
    return [find(s, f, detect_artifacts(s, f, defects), labels) for s, f in zip(segments, features, strict=True)]


def find_recording(recording: Recording, labels: Labels | None = None) -> list[Findings]:
    """Cut a preprocessed recording into segments and derive the findings of each."""
    return find_segments(segment_recording(recording), recording.defects, labels)


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
        extent = float(len(tier))
        items.append(Finding("tier_extent", "widespread", "", tuple(tier), measured=extent, unit="channels"))
    else:
        items += [measured("tier", "high", name, (name,), channel_power[name]) for name in tier if name != top]
    if features.asymmetry is not None:
        index = features.asymmetry_index
        items.append(Finding("asymmetry", features.asymmetry, measured=index, unit="log(right/left)"))
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
        found = Finding("artifact", kind, "", names, start_s, end_s - start_s, same[0].value, same[0].unit)
        items.append(found)
    return items
