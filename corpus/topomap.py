"""Scalp potential maps: one linear operator per electrode layout, then thousands of pictures a second.

The map is the one that MNE-Python draws for EEG by default (`mne.viz.plot_topomap`: azimuthal equidistant projection
on a 95 mm sphere, Clough-Tocher interpolation, a ring of extra points that carry the mean of their neighbours). Every
step is linear in the electrode values, so it is computed once per layout, as a matrix from electrodes to pixels.
Letters: B maps, C channels, T samples, H = W = size pixels, E border points.
"""

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.interpolate import CloughTocher2DInterpolator
from scipy.spatial import Delaunay

from corpus.montage import electrode_positions, region_of, side_of

if TYPE_CHECKING:
    import torch

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, "torch.Tensor")

HEAD_RADIUS_M = 0.095
# ColorBrewer "RdBu" in 11 classes, blue (negative) to red (positive)
_RDBU_R = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
_NEUTRAL, _WHITE = 128, 256  # rows of the colour table: zero potential, and the paper around the head
_HALF_SCALE = 127.999  # +-peak lands in rows 0 and 255
_SMALLEST_PEAK_UV = 1e-30  # below it a map counts as zero: it is drawn neutral and nothing overflows
_CHUNK, _CHUNK_GPU = 16, 256  # maps at a time; on a CPU their product stays in the cache


def project_to_plane(positions: np.ndarray) -> np.ndarray:
    """Flatten the head by the azimuthal equidistant projection; the horizon, 90 degrees from the top, keeps its radius.

    Positions (C, 3) in metres, MNE head frame (x right, y front, z up), to (C, 2) in metres.
    """
    radius = np.linalg.norm(positions, axis=1)
    polar = np.arccos(positions[:, 2] / radius)
    azimuth = np.arctan2(positions[:, 1], positions[:, 0])
    return (radius * polar / (np.pi / 2))[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)


def _triangulate(points: np.ndarray, map_radius: float) -> Delaunay:
    """Triangulate the (C, 2) electrodes and a ring of border points around the map; the ring comes last."""
    centred = points - points.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    if len(points) < 4 or spread[1] < 1e-3 * spread[0]:  # too few, or on one line: neighbours along the line
        spacing = np.median(np.linalg.norm(np.diff(points[np.argsort(centred @ axes[0])], axis=0), axis=1))
        return Delaunay(np.concatenate([points, _ring(map_radius, spacing)]))
    triangles = Delaunay(points, incremental=True)
    first, second, third = points[triangles.simplices].swapaxes(0, 1)
    edges = np.concatenate([first - second, second - third])  # two of the three edges, as MNE counts them
    triangles.add_points(_ring(map_radius, np.median(np.linalg.norm(edges, axis=1))))
    return triangles


def _ring(map_radius: float, spacing: float) -> np.ndarray:
    """Place (E, 2) border points, about as far from each other as the electrodes are, outside the map."""
    count = max(12, round(2 * np.pi / np.arcsin(min(spacing / map_radius, 1.0))))
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return (1.1 * map_radius + spacing) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _border_weights(triangles: Delaunay, n_chans: int) -> np.ndarray:
    """Weights (E, C): each border point is the mean of the electrodes it touches, else the mean of the border."""
    touching = np.zeros((len(triangles.points), len(triangles.points)))
    for corner in range(3):
        touching[triangles.simplices[:, corner, None], triangles.simplices] = 1
    weights = touching[n_chans:, :n_chans]
    reached = weights.any(axis=1)
    weights[reached] /= weights[reached].sum(axis=1, keepdims=True)
    weights[~reached] = weights[reached].mean(axis=0)
    return weights


@lru_cache(maxsize=64)
def _layout_operator(ch_names: tuple[str, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Build the (H*W, C) float32 operator and (H*W,) float32 row of the colour table from which each pixel starts."""
    points = project_to_plane(electrode_positions(ch_names))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(len(points))
    if distance.min() < 1e-6:
        pair = " and ".join(ch_names[i] for i in np.unravel_index(distance.argmin(), distance.shape))
        raise ValueError(f"got {pair} at one place, expected one electrode per place; drop one of the two")
    map_radius = max(HEAD_RADIUS_M, 1.01 * float(np.linalg.norm(points, axis=1).max()))
    grid = np.linspace(-map_radius, map_radius, size)
    pixels = np.stack(np.meshgrid(grid, -grid), axis=-1).reshape(-1, 2)  # the first row of the picture is the front
    inside = np.linalg.norm(pixels, axis=1) <= map_radius
    operator = np.zeros((size * size, len(points)), dtype=np.float32)
    if len(points) == 1:
        operator[inside] = 1.0
    else:
        triangles = _triangulate(points, map_radius)
        basis = np.concatenate([np.eye(len(points)), _border_weights(triangles, len(points))])
        operator[inside] = CloughTocher2DInterpolator(triangles, basis)(pixels[inside])
    operator.setflags(write=False)
    return operator, np.where(inside, _NEUTRAL, _WHITE).astype(np.float32)


@lru_cache(maxsize=1)
def _colour_words() -> np.ndarray:
    """Build the colour table, (257,) words of four bytes, R G B and filler: matplotlib's RdBu_r in 256 steps, white."""
    anchors = np.frombuffer(bytes.fromhex(_RDBU_R), dtype=np.uint8).reshape(-1, 3)
    place = np.linspace(0, len(anchors) - 1, 256)
    table = np.full((257, 4), 255, dtype=np.uint8)
    table[:256, :3] = np.stack([np.interp(place, range(11), band) for band in anchors.T], axis=1).round()
    return table.view(np.int32)[:, 0]


def _require_finite(potential_uv: ArrayOrTensor) -> None:
    if not (abs(potential_uv) < np.inf).all():
        raise ValueError("got potential_uv with NaN or infinite values, expected finite microvolts; drop those maps")


@lru_cache(maxsize=64)
def _tensors_on(ch_names: tuple[str, ...], size: int, device: "torch.device") -> "list[torch.Tensor]":
    """Copy the transposed operator (C, H*W), the first rows (H*W,) and the colour words (257,) to a device."""
    import torch

    operator, first_row = _layout_operator(ch_names, size)
    return [torch.tensor(array, device=device) for array in (operator.T.copy(), first_row, _colour_words())]


class TopomapRenderer:
    """Draw scalp potential maps of one electrode layout (NeuroNarrator, Sec. 3.2: one topographic map per segment).

    Red is positive, blue is negative, symmetric about zero: each map is scaled by its own largest absolute value inside
    the head, so absolute amplitude is not in the picture; an all-zero map has the neutral colour. The head circle fills
    the white picture, front up; where electrodes lie below the horizon it grows to hold them, as in MNE.

    Small layouts draw too: two or three electrodes, or electrodes on one line, are triangulated together with the
    border points; a single electrode gives a map of one colour, that of its sign.

    Args:
        ch_names: electrode names known to `corpus.montage`, at different places.
        size: height and width of the picture, in pixels.

    Attributes:
        operator: (size*size, C) float32, electrodes to pixels, row by row from the upper left; zero outside the head.

    Raises:
        ValueError: no channels, a size below 2, or two electrodes at one place.
    """

    def __init__(self, ch_names: Sequence[str], size: int = 224) -> None:
        if len(ch_names) == 0 or size < 2:
            raise ValueError(f"got {len(ch_names)} channels and size={size}, expected >= 1 and >= 2; pass more")
        self.ch_names, self.size = tuple(ch_names), size
        self.operator, self._first_row = _layout_operator(self.ch_names, size)

    def __call__(self, potential_uv: ArrayOrTensor) -> ArrayOrTensor:
        """Draw one picture per row.

        Args:
            potential_uv: (B, C) microvolts, numpy array or torch tensor.

        Returns:
            (B, size, size, 3) uint8, RGB: an array for an array, a tensor on the same device for a tensor.

        Raises:
            ValueError: wrong shape, or values that are not finite.
        """
        if potential_uv.ndim != 2 or potential_uv.shape[1] != len(self.ch_names):
            shape = tuple(potential_uv.shape)
            raise ValueError(f"got potential_uv {shape}, expected (B, {len(self.ch_names)}); pass one map per row")
        _require_finite(potential_uv)
        draw = self._draw if isinstance(potential_uv, np.ndarray) else self._draw_tensor
        return draw(potential_uv).reshape(-1, self.size, self.size, 3)

    def _draw(self, potential_uv: np.ndarray) -> np.ndarray:
        """Draw (B, C) as (B, H*W, 3), a few maps at a time."""
        potential = potential_uv.astype(np.float32)
        words = _colour_words()
        pictures = np.empty((len(potential), self.size**2, 3), dtype=np.uint8)
        for start in range(0, len(potential), _CHUNK):
            steps = potential[start : start + _CHUNK] @ self.operator.T
            peak = np.maximum(steps.max(axis=1, keepdims=True), -steps.min(axis=1, keepdims=True))
            steps *= _HALF_SCALE / np.maximum(peak, _SMALLEST_PEAK_UV)
            steps += self._first_row
            for picture, row in zip(pictures[start : start + _CHUNK], steps, strict=True):
                colours = words.take(row.astype(np.intp)).view(np.uint8).reshape(-1, 4)
                for channel in range(3):  # copying three columns is faster than copying triples
                    picture[:, channel] = colours[:, channel]
        return pictures

    def _draw_tensor(self, potential_uv: "torch.Tensor") -> "torch.Tensor":
        """Draw (B, C) as (B, H*W, 3) where the tensor is; a CPU is faster, and alike, through numpy."""
        import torch

        potential = potential_uv.detach().float()
        if potential.device.type == "cpu":
            return torch.from_numpy(self._draw(potential.numpy()))
        return torch.cat([self._draw_on_device(block) for block in potential.split(_CHUNK_GPU)])

    def _draw_on_device(self, potential_uv: "torch.Tensor") -> "torch.Tensor":
        import torch

        operator, first_row, words = _tensors_on(self.ch_names, self.size, potential_uv.device)
        with torch.autocast(potential_uv.device.type, enabled=False):  # bfloat16 would show as bands of colour
            steps = potential_uv @ operator
        peak = steps.abs().amax(dim=1, keepdim=True)
        index = steps.mul_(_HALF_SCALE / peak.clamp_min(_SMALLEST_PEAK_UV)).add_(first_row).int().flatten()
        return words.index_select(0, index).view(torch.uint8).view(-1, self.size**2, 4)[..., :3]


def median_potential(signal_uv: ArrayOrTensor) -> ArrayOrTensor:
    """Take the sample at the temporal median, T // 2, of (..., C, T) as (..., C), a view (NeuroNarrator, Sec. 3.2)."""
    if signal_uv.ndim < 2 or signal_uv.shape[-1] == 0:
        raise ValueError(f"got signal_uv {tuple(signal_uv.shape)}, expected (..., C, T); pass channels by samples")
    return signal_uv[..., signal_uv.shape[-1] // 2]


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
    _require_finite(potential_uv)
    rng, names, peak = Random(seed), tuple(ch_names), float(abs(potential_uv).max())
    if peak <= _SMALLEST_PEAK_UV:
        return rng.choice(_FLAT)
    sentences = [say(potential_uv / peak, names, rng) for say in (_describe_poles, _describe_balance, _describe_areas)]
    rng.shuffle(sentences)
    return " ".join(filter(None, sentences))
