"""Electrodes from bipolar chains: differences hold every potential but the one that all are measured against."""

from collections.abc import Sequence

import numpy as np


def solve_chains(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], np.ndarray]:
    """How the electrodes of bipolar derivations follow from them.

    Derivations form a graph whose edges are differences. In its largest connected part the potentials are known up to
    one number, which is chosen so that their mean is zero: the average reference. Where derivations close a loop or
    repeat, the solution is the one of least squares.

    Args:
        pairs: the two electrodes of each of D derivations.

    Returns:
        E electrode names, in the order of their first appearance, and weights (E, D): potentials are
        weights @ derivations.
    """
    parts: dict[str, set[str]] = {}
    for first, second in pairs:
        joined = parts.get(first, {first}) | parts.get(second, {second})
        parts |= dict.fromkeys(joined, joined)
    largest = max(parts.values(), key=len)
    names = tuple(name for name in dict.fromkeys(name for pair in pairs for name in pair) if name in largest)
    differences = np.zeros((len(pairs), len(names)))
    for row, (first, second) in enumerate(pairs):
        if first in largest and first != second:
            differences[row, names.index(first)] = 1.0
            differences[row, names.index(second)] = -1.0
    return names, np.linalg.pinv(differences)
