"""How far raters agree beyond chance: Cohen's kappa of two, Fleiss' kappa of any number. N items, k categories."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import cohen_kappa_score


def cohen_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Cohen's kappa of two raters of the same items, by scikit-learn; None where neither ever varies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one label on both sides: not defined
        kappa = float(cohen_kappa_score(first, second))
    return kappa if np.isfinite(kappa) else None


def fleiss_kappa(counts: np.ndarray) -> float | None:
    """Fleiss' kappa (1971, doi:10.1037/h0031619); None where all ratings are one category.

    Args:
        counts: (N, k) how many raters gave each item each category; every item has as many raters, two at least.

    Raises:
        ValueError: items of different numbers of raters, or of fewer than two.
    """
    raters = counts.sum(axis=1)
    if raters.min() < 2 or raters.min() != raters.max():
        raise ValueError(
            f"got items with {raters.min():g} to {raters.max():g} ratings, expected as many on each, two at least: "
            "leave out those that not everybody rated"
        )
    share = counts.sum(axis=0) / counts.sum()
    chance = float(share @ share)
    pairs = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))  # of raters who agree
    return None if chance == 1 else float((pairs.mean() - chance) / (1 - chance))
