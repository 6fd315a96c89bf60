"""How far a confidence can be trusted: calibration error, Brier score, risk and coverage. N items."""

from collections.abc import Sequence

import numpy as np
import torch
from torchmetrics.functional.classification import binary_calibration_error

BINS = 15
CALIBRATION_SIGNATURE = (
    f"ECE:{BINS} bins of equal width, L1, torchmetrics|Brier:mean square|AURC:mean risk over coverages"
)


def reliability(confidence: Sequence[float], right: Sequence[bool]) -> dict[str, float]:
    """Scores of N confidences, each the probability that an item is right.

    Returns:
        "ece", expected calibration error; "brier"; "aurc", the mean over all coverages of the share of wrong items
        among the most confident ones (ties in random order, seeded), with "aurc_best" and "aurc_random", what a perfect
        and a random order would give; "mean_confidence" and "share_right".
    """
    p, good = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    ece = binary_calibration_error(torch.tensor(p), torch.tensor(good).long(), n_bins=BINS, norm="l1")
    shuffled = np.random.default_rng(0).permutation(len(p))
    order = shuffled[np.argsort(-p[shuffled], kind="stable")]
    return {
        "ece": float(ece),
        "brier": float(np.mean((p - good) ** 2)),
        "aurc": _area(~good[order]),
        "aurc_best": _area(np.sort(~good)),
        "aurc_random": float(np.mean(~good)),
        "mean_confidence": float(p.mean()),
        "share_right": float(good.mean()),
    }


def _area(wrong: np.ndarray) -> float:
    """Mean over coverages 1/N to 1 of the risk of the first items."""
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def risk_threshold(
    confidence: Sequence[float], right: Sequence[bool], persons: Sequence[str], risk: float
) -> tuple[float, float]:
    """The lowest confidence at which an item may go out unseen, by conformal risk control (arXiv:2208.02814, Eq. 4).

    The loss of a person is the share of its items that go out and are wrong; persons, not items, are exchangeable. For
    a new person drawn like these, the expected loss is at most `risk`.

    Args:
        confidence: N, made without the item's own person.
        right: N.
        persons: N codes.
        risk: such as 0.1.

    Returns:
        The threshold, above 1 where no coverage is safe; and the share of items that go out.
    """
    p, good = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    _, owner = np.unique(np.asarray(persons), return_inverse=True)
    count, sizes = int(owner.max()) + 1, np.bincount(owner)
    for threshold in [*np.unique(p).tolist(), 2.0]:
        lost = np.bincount(owner, (p >= threshold) & ~good, minlength=count) / sizes
        if (lost.sum() + 1) / (count + 1) <= risk or threshold > 1:
            return threshold, float(np.mean(p >= threshold))
    raise AssertionError("the last threshold is taken")
