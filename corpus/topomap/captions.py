"""Scalp maps in words: captions to pretrain a small map encoder with."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random

import numpy as np

from corpus.montage import electrode_positions, region_of, side_of
from corpus.topomap.interpolation import project_to_plane
from corpus.topomap.potential import SMALLEST_PEAK_UV, require_finite

_ROWS = ("posterior", "central", "frontal")
_ROW_EDGES_M = (-0.02, 0.052)  # on the flattened head: between the CP and P rows, between the FC and F rows
_AREAS = [f"{side} {row}" for row in reversed(_ROWS) for side in ("left", "midline", "right")]
_LEVELS = ("strongly negative", "mildly negative", "near zero", "mildly positive", "strongly positive")
_LEVEL_EDGES = (-0.45, -0.12, 0.12, 0.45)  # mean of an area as a share of the largest absolute value of the map
_POLES = {  # by sign: both present, positive only, negative only
    0: ("Most positive at {high}; most negative at {low}.", "The red peak is near {high}, the blue trough near {low}."),
    1: ("Positive throughout, most of all at {high}, least at {low}.", "Red all over, from {high} down to {low}."),
    -1: ("Negative throughout, most of all at {low}, least at {high}.", "Blue all over, from {low} up to {high}."),
}
_STRONGER = ("Neither pole dominates.", "The positive pole is stronger.", "The negative pole is stronger.")  # 0, 1, -1
_EXTENT = ("The field is {}.", "It is a {} field.")
_FLAT = ("The map is flat: no potential anywhere.", "A flat map without poles.", "Every site is at zero.")


@lru_cache(maxsize=32)
def _site_groups(ch_names: tuple[str, ...]) -> dict[str, list[int]]:
    """Group channel indices by side, by row of the head, and by area ("left frontal")."""
    rows = np.digitize(project_to_plane(electrode_positions(ch_names))[:, 1], _ROW_EDGES_M)
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(ch_names):
        row, side = _ROWS[rows[index]], side_of(name)
        for key in (row, side, f"{side} {row}"):
            groups.setdefault(key, []).append(index)
    return groups


def _describe_poles(share: np.ndarray, ch_names: tuple[str, ...], rng: Random) -> str:
    """Say where the extremes lie, which of them is stronger, and how much of the scalp reaches half of the peak."""
    top, bottom = int(share.argmax()), int(share.argmin())
    high, low = (f"{ch_names[i]} ({side_of(ch_names[i])} {region_of(ch_names[i])})" for i in (top, bottom))
    only = int(share[bottom] >= 0) - int(share[top] <= 0)
    sentences = [rng.choice(_POLES[only]).format(high=high, low=low)]
    if only == 0:
        surplus = float(share[top] + share[bottom])
        sentences.append(_STRONGER[int(surplus > 0.2) - int(surplus < -0.2)])
    involved = float((np.abs(share) >= 0.5).mean())
    extent = "focal" if involved <= 0.2 else "widespread" if involved >= 0.5 else "regional"
    return " ".join([*sentences, rng.choice(_EXTENT).format(extent)])


def _describe_balance(share: np.ndarray, ch_names: tuple[str, ...], rng: Random) -> str:
    """Compare left with right and front with back, where the layout has both; else an empty string."""
    groups, clauses = _site_groups(ch_names), []
    for one, other, words in (("left", "right", ("left", "right")), ("frontal", "posterior", ("front", "back"))):
        if one in groups and other in groups:
            difference = float(share[groups[one]].mean() - share[groups[other]].mean())
            more, less = words if difference >= 0 else words[::-1]
            much = "much " * (abs(difference) >= 0.5)
            even = (f"{words[0]} and {words[1]} balanced", f"{words[1]} like {words[0]}")
            uneven = (f"{more} {much}more positive than {less}", f"{more} {much}higher than {less}")
            clauses.append(rng.choice(even if abs(difference) < 0.12 else uneven))
    return "; ".join(clauses).capitalize() + "." * bool(clauses)


def _describe_areas(share: np.ndarray, ch_names: tuple[str, ...], rng: Random) -> str:
    """List the areas of the head under the five words for polarity and level."""
    groups, listed = _site_groups(ch_names), dict[str, list[str]]()
    for area in filter(groups.__contains__, _AREAS):
        level = _LEVELS[int(np.searchsorted(_LEVEL_EDGES, share[groups[area]].mean()))]
        listed.setdefault(level, []).append(area)
    levels = rng.sample(list(listed), len(listed))
    return " ".join(f"{level.capitalize()}: {', '.join(listed[level])}." for level in levels)


def describe_map(potential_uv: np.ndarray, ch_names: Sequence[str], seed: int) -> str:
    """Describe one map in plain words: a caption to pretrain a small map encoder with.

    It says where the maximum and the minimum lie (electrode, side, region), which pole is stronger, how far the field
    spreads, how left compares with right and front with back, and the polarity and level of up to nine areas (left,
    midline, right; frontal, central with the temporal electrodes beside it, posterior). All of it is relative to the
    largest absolute value, as in the picture, so no microvolts appear. The seed changes wording, never the facts.

    Args:
        potential_uv: (C,) microvolts, finite, else ValueError.
        ch_names: C electrode names.
        seed: the same seed and map give the same text.
    """
    if len(ch_names) == 0 or potential_uv.shape != (len(ch_names),):
        raise ValueError(f"got potential_uv {potential_uv.shape}, expected (C,), C = {len(ch_names)}; pass one map")
    require_finite(potential_uv)
    rng, names, peak = Random(seed), tuple(ch_names), float(abs(potential_uv).max())
    if peak <= SMALLEST_PEAK_UV:
        return rng.choice(_FLAT)
    sentences = [say(potential_uv / peak, names, rng) for say in (_describe_poles, _describe_balance, _describe_areas)]
    rng.shuffle(sentences)
    return " ".join(filter(None, sentences))
