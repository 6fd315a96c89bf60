"""From electrodes to pixels: the interpolation of MNE's scalp maps as one matrix per electrode layout.

The map is the one that MNE-Python draws for EEG by default (`mne.viz.plot_topomap`: azimuthal equidistant projection
on a 95 mm sphere, Clough-Tocher interpolation, a ring of extra points that carry the mean of their neighbours). Every
step is linear in the electrode values, so it is computed once per layout. Letters: C channels, H = W = size pixels,
P pixels inside the head, E border points.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import CloughTocher2DInterpolator
from scipy.spatial import Delaunay

from corpus.montage import electrode_positions

HEAD_RADIUS_M = 0.095


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


def map_radius(points: np.ndarray) -> float:
    """Radius in metres of the circle that is drawn: the head's, or one that holds all flattened electrodes (C, 2)."""
    return max(HEAD_RADIUS_M, 1.01 * float(np.linalg.norm(points, axis=1).max()))


@lru_cache(maxsize=4)
def interpolation_matrix(ch_names: tuple[str, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the electrodes in each pixel inside the head.

    Args:
        ch_names: C electrode names known to `corpus.montage`, at different places.
        size: H = W of the picture, in pixels; its edges touch the circle, its first row is the front.

    Returns:
        (P, C) float32 weights, pixels row by row from the upper left; (H, W) bool, which pixels are inside.

    Raises:
        ValueError: two electrodes at one place (T3 and T7 are the old and the new name of one).
    """
    points = project_to_plane(electrode_positions(ch_names))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(len(points))
    if distance.min() < 1e-6:
        pair = " and ".join(ch_names[i] for i in np.unravel_index(distance.argmin(), distance.shape))
        raise ValueError(f"got {pair} at one place, expected one electrode per place; drop one of the two")
    radius = map_radius(points)
    grid = np.linspace(-radius, radius, size)
    pixels = np.stack(np.meshgrid(grid, -grid), axis=-1)
    inside = np.linalg.norm(pixels, axis=-1) <= radius
    if len(points) == 1:
        return np.ones((int(inside.sum()), 1), dtype=np.float32), inside
    triangles = _triangulate(points, radius)
    basis = np.concatenate([np.eye(len(points)), _border_weights(triangles, len(points))])
    return CloughTocher2DInterpolator(triangles, basis)(pixels[inside]).astype(np.float32), inside
