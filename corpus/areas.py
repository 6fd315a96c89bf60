"""Electrodes to areas of the head: region and side of each, who is next to whom, and lists of electrodes in words."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from corpus.montage import MIN_SPATIAL_ELECTRODES, electrode_positions, mirror_of, region_of, side_of

REGIONS = ("frontal", "central", "temporal", "parietal", "occipital")
SIDES = ("left", "right", "midline")
MOST = 0.75  # of the electrodes of an area: it is named as a whole
FEW = 0.25  # of the other hemisphere, at most, where one hemisphere is named
NEIGHBOURS = 4  # nearest electrodes that count as adjacent


@lru_cache(maxsize=64)
def region_rows(ch_names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Rows of the electrodes of each recorded region, in the order of `REGIONS`."""
    regions = np.array([region_of(name) for name in ch_names])
    return {region: np.flatnonzero(regions == region) for region in REGIONS if (regions == region).any()}


@lru_cache(maxsize=64)
def area_rows(ch_names: tuple[str, ...]) -> dict[tuple[str, str], np.ndarray]:
    """Rows of the electrodes of each recorded (side, region), such as ("left", "temporal")."""
    where = [(side_of(name), region_of(name)) for name in ch_names]
    areas = [(side, region) for region in REGIONS for side in SIDES if (side, region) in where]
    return {area: np.array([i for i, own in enumerate(where) if own == area]) for area in areas}


@lru_cache(maxsize=64)
def nearest_rows(ch_names: tuple[str, ...]) -> np.ndarray:
    """Rows of the other electrodes from the nearest to the farthest, (C, C - 1)."""
    positions = electrode_positions(ch_names)
    return np.argsort(np.linalg.norm(positions[:, None] - positions, axis=-1), axis=1)[:, 1:]


@lru_cache(maxsize=64)
def adjacent(ch_names: tuple[str, ...]) -> np.ndarray:
    """Which electrodes are next to each other, (C, C) booleans, symmetric: one is among the nearest of the other."""
    count = len(ch_names)
    near = np.zeros((count, count), dtype=bool)
    rows = nearest_rows(ch_names)[:, :NEIGHBOURS]
    near[np.arange(count)[:, None], rows] = True
    return near | near.T


@lru_cache(maxsize=64)
def pair_rows(ch_names: tuple[str, ...]) -> np.ndarray:
    """Rows of the left and the right electrode of each pair that was recorded whole, (P, 2)."""
    index = {name: i for i, name in enumerate(ch_names)}
    pairs = [(i, index[m]) for n, i in index.items() if side_of(n) == "left" and (m := mirror_of(n)) in index]
    return np.array(pairs, dtype=int).reshape(-1, 2)


def group_areas(ch_names: Sequence[str], recorded: tuple[str, ...]) -> tuple[str, ...]:
    """Electrodes as few words as their areas allow.

    All of the head, one hemisphere, or lobes ("bilateral frontal", "left temporal"); electrodes of an area of which
    fewer than `MOST` are meant stay electrodes, and so do all where fewer than four were recorded.

    Args:
        ch_names: the electrodes to name.
        recorded: all electrodes of the recording.

    Returns:
        ("all regions",), or the words in the order of `REGIONS` with single electrodes behind; () for no electrode.
    """
    meant = frozenset(ch_names)
    return _group(meant, recorded)


@lru_cache(maxsize=4096)
def _group(meant: frozenset[str], recorded: tuple[str, ...]) -> tuple[str, ...]:
    rows = {recorded.index(name) for name in meant}
    if len(recorded) < MIN_SPATIAL_ELECTRODES:
        return tuple(recorded[i] for i in sorted(rows))
    if len(rows) > 1 and len(rows) >= MOST * len(recorded):
        return ("all regions",)
    words: list[str] = []
    for side, other in (("left", "right"), ("right", "left")):
        own = {i for i, name in enumerate(recorded) if side_of(name) == side}
        against = {i for i, name in enumerate(recorded) if side_of(name) == other}
        if len(own) > 2 and len(rows & own) >= MOST * len(own) and len(rows & against) <= FEW * len(against):
            words.append(f"{side} hemisphere")
            rows -= own
    named = {
        area: set(index.tolist())
        for area, index in area_rows(recorded).items()
        if len(rows & set(index.tolist())) >= MOST * len(index)
    }
    for region in REGIONS:
        sides = [side for side in SIDES if (side, region) in named]
        words += _lobe(region, sides)
    rows -= set().union(*named.values())
    return (*words, *(recorded[i] for i in sorted(rows)))


def _lobe(region: str, sides: list[str]) -> list[str]:
    if "left" in sides and "right" in sides:
        return [f"bilateral {region}", *([f"midline {region}"] if "midline" in sides else [])]
    return [f"{side} {region}" for side in sides]


def place(ch_names: Sequence[str], recorded: tuple[str, ...]) -> str:
    """Electrodes in words: "over the bilateral frontal region", "at P3 and P4", "over all regions".

    Args:
        ch_names: the electrodes to name.
        recorded: all electrodes of the recording.
    """
    groups = group_areas(ch_names, recorded)
    if groups == ("all regions",):
        return "over all regions"
    lobes = [group for group in groups if " " in group and not group.endswith("hemisphere")]
    areas = [f"the {group}" for group in groups if group.endswith("hemisphere")]
    if lobes:
        areas.append(f"the {join_names(lobes)} region{'s' if len(lobes) > 1 else ''}")
    names = [group for group in groups if " " not in group]
    words = ([f"over {join_names(areas)}"] if areas else []) + ([f"at {join_names(names)}"] if names else [])
    return " and ".join(words)


def join_names(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
