"""Claims of a narrative against the signal: each is supported, contradicted or unverifiable."""

from dataclasses import dataclass

from corpus.claims import Claim, parse_claims
from corpus.findings import Finding, Findings

SUPPORTED, CONTRADICTED, UNVERIFIABLE = "supported", "contradicted", "unverifiable"


@dataclass(frozen=True)
class VerifiedClaim:
    """A claim, its verdict, and what was measured where it speaks."""

    claim: Claim
    verdict: str
    measured: float | str | None
    unit: str


def verify_narrative(text: str, findings: Findings) -> list[VerifiedClaim]:
    """Parse a narrative and check every claim against the findings of its segment.

    A claim is supported where the findings hold the same fact, contradicted where they hold another value or where it
    speaks of an electrode that was not recorded, and unverifiable where nothing was measured (a trend without history,
    an asymmetry without homologous electrodes, a region without electrodes).
    """
    return [verify_claim(claim, findings) for claim in parse_claims(text)]


def verify_claim(claim: Claim, findings: Findings) -> VerifiedClaim:
    """Check one claim."""
    holds, measured, unit = _measure(claim, findings)
    if holds is None:
        return VerifiedClaim(claim, UNVERIFIABLE, measured, unit)
    return VerifiedClaim(claim, SUPPORTED if holds != claim.negated else CONTRADICTED, measured, unit)


def _measure(claim: Claim, findings: Findings) -> tuple[bool | None, float | str | None, str]:
    """Whether the signal holds the claim (None: cannot say), and the number that decides it."""
    features = findings.features
    if any(name not in features.ch_names for name in claim.ch_names):
        return False, None, ""
    if claim.kind == "tier":
        power = float(features.channel_power_uv2[features.ch_names.index(claim.subject)])
        return claim.subject in features.tier(claim.value), power, "µV²"
    if claim.kind == "artifact":
        found = sorted({artifact.kind for artifact in findings.artifacts}) or ["none"]
        return claim.value in found, ", ".join(found), ""
    if claim.kind == "tier_extent":
        return bool(findings.of("tier_extent")), float(len(features.tier("high"))), "channels"
    if claim.kind == "region" and claim.value not in features.region_power_uv2:
        return None, None, ""
    item = _finding_for(claim, findings)
    if item is None:
        return None, None, ""
    return item.value == claim.value, item.measured, item.unit


def _finding_for(claim: Claim, findings: Findings) -> Finding | None:
    """The finding that answers a claim: of its kind and, for a trend, of its band."""
    return next((item for item in findings.of(claim.kind) if item.subject == claim.subject), None)
