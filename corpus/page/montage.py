"""What the traces of a page show: channels against a reference, in a reader's order, in groups."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from corpus.montage import electrode_positions, mirror_of, side_of
from corpus.preprocess.reference import DOUBLE_BANANA, bipolar, plan_reference
from corpus.recording import Recording

Montage = Literal["average", "bipolar", "ears", "recorded"]
"""How the traces of a page are measured.

"average": against the mean of all electrodes. "bipolar": the longitudinal bipolar montage, or what was recorded of it.
"ears": against the mean of the ears or mastoids. "recorded": the channels as they are, in their order, any names.
"""
TOLD = {  # how the page states it
    "average": "average reference",
    "bipolar": "longitudinal bipolar",
    "ears": "ear reference",
    "recorded": "reference as recorded",
}
LATERAL_FROM = 5  # number of the electrode from which on it lies on the temporal chain (F7, C5, PO7, TP9)
_OLD_NAMES = {"T3": 7, "T4": 8, "T5": 7, "T6": 8}  # their numbers in the new system


@dataclass(frozen=True, eq=False)
class Derivations:
    """R traces of a page.

    Attributes:
        names: labels, from the top to the bottom.
        groups: number of the group of each trace; groups are drawn apart.
        first: row of the channel that each trace shows, (R,).
        against: weights of the channels that are subtracted from it, (R, C); a row of zeros subtracts nothing.
    """

    names: tuple[str, ...]
    groups: tuple[int, ...]
    first: np.ndarray
    against: np.ndarray

    def apply(self, signal_uv: np.ndarray) -> np.ndarray:
        """(C, T) to (R, T) microvolts, float32; NaN where a sample is missing, or all that it is measured against.

        A missing channel does not count in a mean.
        """
        signal = np.asarray(signal_uv, dtype=np.float32)
        shown = signal[self.first]
        if not self.against.any():
            return np.where(np.isfinite(shown), shown, np.float32(np.nan))
        present = np.isfinite(signal)
        if present.all():
            return shown - self.against @ signal
        weight = self.against @ present.astype(np.float32)
        total = self.against @ np.where(present, signal, np.float32(0))
        known = np.isfinite(shown) & (weight > 0)
        mean = np.divide(total, weight, out=np.zeros_like(total), where=known)
        return np.subtract(shown, mean, out=np.full_like(shown, np.nan), where=known)


def derive(ch_names: Sequence[str], montage: Montage) -> Derivations:
    """The traces of a montage from the channels of a recording.

    Args:
        ch_names: C channels; for all montages but "recorded" electrodes known to `corpus.montage`.
        montage: see `Montage`.

    Raises:
        RecordingError: if the channels do not allow the montage: no ear, no pair, fewer than two for an average.
        ValueError: for an unknown montage.
    """
    names = tuple(ch_names)
    count = len(names)
    if montage == "recorded":
        return Derivations(names, (0,) * count, np.arange(count), np.zeros((count, count), np.float32))
    unit = Recording(np.eye(count), 1.0, names)  # a montage is linear: here it gives its own matrix
    if montage == "bipolar":
        traces = bipolar(unit, DOUBLE_BANANA)
        order = list(range(traces.n_chans))
        groups = _chains(traces.ch_names)
        matrix = traces.signal_uv
    elif montage in ("average", "ears"):
        plan = plan_reference(names, montage)
        matrix = plan.apply(np.eye(count))
        kept = [names[i] for i in plan.keep]
        places = [_place(name) for name in kept]
        order = sorted(range(len(kept)), key=places.__getitem__)
        groups = tuple(places[i][0] for i in order)
        traces = Recording(matrix, 1.0, tuple(kept))
    else:
        raise ValueError(f"got montage {montage!r}, expected one of {', '.join(get_args(Montage))}; correct it")
    matrix = matrix[order]
    first = matrix.argmax(1)
    against = np.eye(count)[first] - matrix
    return Derivations(tuple(traces.ch_names[i] for i in order), groups, first, against.astype(np.float32))


def _chains(names: Sequence[str]) -> tuple[int, ...]:
    """A new group where a derivation does not begin with the electrode at which the one above it ends."""
    groups = [0]
    for above, below in itertools.pairwise(names):
        groups.append(groups[-1] + (above.split("-")[1] != below.split("-")[0]))
    return tuple(groups)


def _place(name: str) -> tuple[int, float, int]:
    """Where an electrode is listed: parasagittal, temporal, midline; from the front to the back; left before right."""
    side = side_of(name)
    left = mirror_of(name) if side == "right" else name
    front = -float(electrode_positions([left or name])[0, 1])
    number = _OLD_NAMES.get(name.upper()) or int("".join(filter(str.isdigit, name)) or 0)
    group = 2 if side == "midline" else int(number >= LATERAL_FROM)
    return group, round(front, 4), int(side == "right")
