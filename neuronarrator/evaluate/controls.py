"""Controls of retrieval that NeuroNarrator lacks: what a model that aligns signal and map must and must not lose.

The map is one instant of ten seconds, and a function of the segment, so high recall alone does not say what was learnt.
Shapes: B segments, C channels, T samples, N pairs, P pixels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from corpus.features import homologous_pairs
from corpus.topomap import TopomapRenderer

CONTROLS = {
    "time_shuffled": "the samples of the segment in random order before the signal encoder: should fall to chance",
    "another_instant": "the map of another sample of the same segment, at least a second away: falls where the model "
    "finds the instant, stays where it only knows the segment; without effect on maps of whole segments",
    "left_right_swapped": "channels of homologous pairs exchanged in the signal, not in the map: falls where the model "
    "knows the sides",
    "duplicates_removed": "pairs whose map resembles that of an earlier pair are left out of queries and gallery",
}
"""Each control, and what it does."""

SAME_MAP = 0.999
"""Cosine of two maps above which they are duplicates: pictures that differ by less than 5 % of their contrast."""

MAP_SIZE = 16  # pixels of a side, for the comparison of maps
AWAY = 10  # another instant is at least this part of the segment away: one second
_BLOCK = 1024


def shuffle_time(signal_uv: Tensor, generator: torch.Generator) -> Tensor:
    """The samples (B, C, T) of each segment in a random order, the same for all of its channels."""
    count, _, n_times = signal_uv.shape
    order = torch.rand(count, n_times, generator=generator).argsort(dim=1)
    return _take(signal_uv, order)


def move_instant(signal_uv: Tensor, generator: torch.Generator) -> Tensor:
    """Segments (B, C, T), each rolled in time so that another of its samples stands where the map is taken."""
    count, _, n_times = signal_uv.shape
    away = n_times // AWAY
    shift = torch.randint(away, n_times - away + 1, (count, 1), generator=generator)
    return _take(signal_uv, (torch.arange(n_times) + shift) % n_times)


def _take(signal_uv: Tensor, times: Tensor) -> Tensor:
    """Samples `times` (B, T) of each segment (B, C, T)."""
    return signal_uv.gather(2, times.to(signal_uv.device)[:, None].expand(-1, signal_uv.shape[1], -1))


def swap_sides(signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
    """Segments (B, C, T) with left and right exchanged wherever both electrodes of a pair were recorded."""
    rows = torch.arange(len(ch_names))
    for left, right in homologous_pairs(ch_names):
        rows[left], rows[right] = right, left
    return signal_uv[:, rows.to(signal_uv.device)]


def small_maps(potential_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
    """Maps of potentials (B, C) as unit vectors (B, P + 1), comparable across layouts.

    Their scale is lost, as in pictures with a scale of their own; the last value is 1 for a flat map, and all flat maps
    are one.
    """
    operator = torch.tensor(TopomapRenderer(ch_names, MAP_SIZE).operator)
    maps = potential_uv.float().cpu() @ operator.T
    flat = (maps == 0).all(dim=1, keepdim=True)
    return torch.cat([normalize(maps, dim=1, eps=1e-30), flat.float()], dim=1)


def distinct(maps: Tensor) -> Tensor:
    """Which of the maps (N, P) of unit norm are no duplicates of an earlier one that is kept, (N,) booleans."""
    kept = torch.ones(len(maps), dtype=torch.bool)
    for start in range(0, len(maps), _BLOCK):
        block = maps[start : start + _BLOCK]
        same = block @ maps[: start + len(block)].T >= SAME_MAP
        for i, row in enumerate(same, start):
            kept[i] = not bool((row[:i] & kept[:i]).any())
    return kept
