"""Intervals over subjects: one bootstrap for every metric that is a mean over segments.

Shapes: N segments, G subjects, M scores, R resamples.
"""

from collections.abc import Sequence

import numpy as np

LEVEL = 0.95


def bootstrap_means(
    scores: np.ndarray, subjects: Sequence[str], resamples: int, seed: int | Sequence[int]
) -> np.ndarray:
    """Means over segments when subjects, each with all its segments, are drawn with replacement.

    In retrieval a segment is a query, and the gallery stays as it is: a subject drawn twice adds its queries twice, not
    its items, which would be ties.

    Args:
        scores: (N, M), one row a segment.
        subjects: N codes.
        resamples: R.
        seed: of the draws.

    Returns:
        (R, M).
    """
    _, owner = np.unique(np.asarray(subjects), return_inverse=True)
    count = int(owner.max()) + 1
    sums = np.zeros((count, scores.shape[1]))
    np.add.at(sums, owner, scores)
    sizes = np.bincount(owner, minlength=count)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)  # (R, G)
    return (drawn @ sums) / (drawn @ sizes)[:, None]


def percentiles(resampled: np.ndarray) -> list[list[float]]:
    """Lower and upper edge of the percentile interval of `LEVEL` of each score, from resampled means (R, M)."""
    edges: list[list[float]] = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T.tolist()
    return edges
