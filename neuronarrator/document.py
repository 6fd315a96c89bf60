"""The report document (schema neuronarrator.report/1): a plain dictionary of everything a report shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from corpus.artifacts import Artifact
from corpus.describe import BAND_NAMES, join_names
from corpus.features import BANDS, TIERS, Features
from corpus.recording import Recording
from neuronarrator.verify import CONTRADICTED, VerifiedClaim

if TYPE_CHECKING:
    from neuronarrator.narrate import NarratedSegment

SCHEMA = "neuronarrator.report/1"
RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis or treatment."


def build_document(recording: Recording, segments: Sequence[NarratedSegment], card: dict[str, str]) -> dict[str, Any]:
    """Everything the report of a narrated recording shows, ready for JSON.

    Args:
        recording: preprocessed; holds no identity.
        segments: in order.
        card: name, version, sha256 and description of the model.
    """
    return {
        "schema": SCHEMA,
        "research_use_only": RESEARCH_USE_ONLY,
        "recording": _recording(recording),
        "model": dict(card),
        "summary": summarise(segments),
        "segments": [_segment(segment) for segment in segments],
    }


def summarise(segments: Sequence[NarratedSegment]) -> str:
    """A paragraph over the whole recording, from the measurements and the verdicts, not from the model."""
    count = len(segments)
    bands = Counter(s.findings.features.dominant_band for s in segments)
    tops = Counter(s.findings.features.top_channel for s in segments)
    kinds = Counter(kind for s in segments for kind in {a.kind for a in s.findings.artifacts})
    claims = [claim for s in segments for claim in s.claims]
    wrong = sum(claim.verdict == CONTRADICTED for claim in claims)
    flagged = sum(any(c.verdict == CONTRADICTED for c in s.claims) for s in segments)
    known = [s.confidence for s in segments if s.confidence is not None]
    dominant = join_names([f"{BAND_NAMES[b]} in {n}" for b, n in bands.most_common()])
    top = join_names([f"{name} in {n}" for name, n in tops.most_common(3)])
    artifacts = join_names([f"{kind} in {n}" for kind, n in kinds.most_common()]) if kinds else "none"
    return (
        f"{count} segments of 10 s. Dominant band: {dominant}. Highest-energy channel: {top}. Artifacts: {artifacts}. "
        f"The narratives make {len(claims)} checkable claims, of which the signal contradicts {wrong}, "
        f"in {flagged} segments.{_unsure(sum(c.refer for c in known)) if known else ''}"
    )


def _unsure(count: int) -> str:
    told = f"{count} segments: they are for a human to read" if count else "none of the segments"
    return f" The model is unsure of {told}."


def _recording(recording: Recording) -> dict[str, Any]:
    origin = recording.provenance
    return {
        "file": origin.file if origin else "recording",
        "format": origin.format if origin else "array",
        "sha256": origin.sha256 if origin else "",
        "duration_s": recording.duration_s,
        "sfreq": origin.sfreq if origin else recording.sfreq,
        "channels_used": list(recording.ch_names),
        "channels_set_aside": [{"name": s.name, "why": s.why} for s in recording.set_aside],
        "annotations": [dict(a.__dict__) for a in recording.annotations],
        "subject": dict(recording.subject.__dict__),
        "processing": list(origin.steps) if origin else [],
        "warnings": list(recording.warnings),
    }


def _segment(narrated: NarratedSegment) -> dict[str, Any]:
    segment, sure = narrated.findings.segment, narrated.confidence
    return {
        "index": segment.index,
        "start_s": segment.start_s,
        "duration_s": segment.duration_s,
        "history": list(segment.history),
        "narrative": narrated.generation.text,
        "confidence": narrated.generation.confidence if sure is None else sure.value,
        "calibration": sure and {"familiarity": sure.familiarity, "refer": sure.refer},
        "claims": [claim_values(claim) for claim in narrated.claims],
        "artifacts": [_artifact(artifact) for artifact in narrated.findings.artifacts],
        "features": _features(narrated.findings.features),
    }


def claim_values(verified: VerifiedClaim) -> dict[str, Any]:
    """A claim with its verdict as plain values."""
    claim, measured = verified.claim, verified.measured
    return {
        "text": claim.text,
        "kind": claim.kind,
        "value": claim.value,
        "subject": claim.subject,
        "negated": claim.negated,
        "channels": list(claim.ch_names),
        "verdict": verified.verdict,
        "measured": {"value": measured.value, "unit": measured.unit, "found": measured.found},
        "span": list(claim.span),
    }


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "kind": artifact.kind,
        "channels": list(artifact.ch_names),
        "start_s": artifact.start_s,
        "duration_s": artifact.duration_s,
        "value": artifact.value,
        "unit": artifact.unit,
    }


def _features(features: Features) -> dict[str, Any]:
    history, ratio = features.history_band_power_uv2, features.trend_ratio
    return {
        "band_power_uv2": dict(zip(BANDS, features.band_power_uv2.tolist(), strict=True)),
        "history_band_power_uv2": None if history is None else dict(zip(BANDS, history.tolist(), strict=True)),
        "trend": features.trend or dict.fromkeys(BANDS),
        "trend_ratio": dict.fromkeys(BANDS) if ratio is None else dict(zip(BANDS, ratio.tolist(), strict=True)),
        "channel_power_uv2": dict(zip(features.ch_names, features.channel_power_uv2.tolist(), strict=True)),
        "energy_tiers": {tier: features.tier(tier) for tier in TIERS},
        "dominant_band": features.dominant_band,
        "dominant_hz": features.dominant_hz,
        "top_channel": features.top_channel,
        "amplitude_uv": features.amplitude_uv,
        "amplitude": features.amplitude,
        "asymmetry": features.asymmetry,
        "asymmetry_index": None if features.asymmetry is None else features.asymmetry_index,
    }
