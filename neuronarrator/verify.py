"""Claims of a narrative against the signal: each is supported, contradicted or unverifiable."""

from dataclasses import dataclass

from corpus.claims import Claim, parse_claims
from corpus.features import TIERS
from corpus.findings import Finding, Findings

SUPPORTED, CONTRADICTED, UNVERIFIABLE = "supported", "contradicted", "unverifiable"


@dataclass(frozen=True)
class Measurement:
    """What the signal says to a claim.

    Attributes:
        holds: whether it is so; None where the signal cannot say.
        value: the number that decides it, in `unit`.
        found: what the signal shows in place of the claim's value, such as "Pz" or "stable".
    """

    holds: bool | None
    value: float | None = None
    unit: str = ""
    found: str | None = None


@dataclass(frozen=True)
class VerifiedClaim:
    """A claim, its verdict, and the measurement behind the verdict."""

    claim: Claim
    verdict: str
    measured: Measurement


def verify_narrative(text: str, findings: Findings) -> list[VerifiedClaim]:
    """Parse a narrative and check every claim against the findings of its segment.

    A claim is supported where the findings hold the same fact, contradicted where they hold another value or where it
    speaks of an electrode that was not recorded, and unverifiable where nothing was measured (a trend without history,
    an asymmetry without homologous electrodes, a region without electrodes).
    """
    return [verify_claim(claim, findings) for claim in parse_claims(text)]


def verify_claim(claim: Claim, findings: Findings) -> VerifiedClaim:
    """Check one claim."""
    measured = _measure(claim, findings)
    if measured.holds is None:
        return VerifiedClaim(claim, UNVERIFIABLE, measured)
    return VerifiedClaim(claim, SUPPORTED if measured.holds != claim.negated else CONTRADICTED, measured)


def _measure(claim: Claim, findings: Findings) -> Measurement:
    features = findings.features
    if any(name not in features.ch_names for name in claim.ch_names):
        return Measurement(False, found="not recorded")
    if claim.kind == "tier":
        at = features.ch_names.index(claim.subject)
        tier = TIERS[features.tiers[at]]
        return Measurement(tier == claim.value, float(features.channel_power_uv2[at]), "µV²", tier)
    if claim.kind == "artifact":
        kinds = sorted({artifact.kind for artifact in findings.artifacts}) or ["none"]
        return Measurement(claim.value in kinds, found=", ".join(kinds))
    if claim.kind == "tier_extent":
        return Measurement(bool(findings.of("tier_extent")), float(len(features.tier("high"))), "channels")
    if claim.kind == "region" and claim.value not in features.region_power_uv2:
        return Measurement(None)
    item = _finding_for(claim, findings)
    if item is None:
        return Measurement(None)
    return Measurement(item.value == claim.value, item.measured, item.unit, item.value)


def _finding_for(claim: Claim, findings: Findings) -> Finding | None:
    """The finding that answers a claim: of its kind and, for a trend, of its band."""
    return next((item for item in findings.of(claim.kind) if item.subject == claim.subject), None)
