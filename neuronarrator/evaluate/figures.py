"""Pictures of the space that signals and maps share (as NeuroNarrator's Fig. 4 and 5, whose method is not stated)."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuronarrator.evaluate.retrieval import BOTH, Pairs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 5000  # pairs a picture
_TITLES = {"signal": "signals", "topomap": "topomaps"}


def write_figures(pairs: Pairs, folder: Path, seed: int = 0) -> list[Path]:
    """Write `embedding_pca.png`, and `embedding_umap.png` where umap-learn is installed (else a warning says so).

    The vectors of each modality are taken about their mean: SigLIP leaves a constant gap between signals and maps,
    which has no part in the ranks of one query and would be all there is to see.

    Args:
        pairs: at most `MOST_POINTS` are shown, drawn at random.
        folder: made where it is missing.
        seed: of the draw and of UMAP.

    Returns:
        The files.
    """
    if len(pairs) > MOST_POINTS:
        drawn = np.random.default_rng(seed).choice(len(pairs), MOST_POINTS, replace=False)
        pairs = pairs.of(np.sort(drawn))
    means = [pairs.vectors[name].mean(dim=0) for name in BOTH]
    z = torch.cat([pairs.vectors[name] - mean for name, mean in zip(BOTH, means, strict=True)])
    title = f"Each modality around its own mean; the means are {float((means[0] - means[1]).norm()):.2f} apart"
    places, shares = pca_plane(z)
    planes = {"pca": (places, [f"component {i + 1}, {share:.0%} of variance" for i, share in enumerate(shares)])}
    try:
        planes["umap"] = (umap_plane(z, seed), ["UMAP 1", "UMAP 2"])
    except ImportError as error:
        warnings.warn(str(error), stacklevel=2)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for method, (plane, labels) in planes.items():
        files.append(folder / f"embedding_{method}.png")
        figure = draw_embeddings(plane, labels, pairs.datasets)
        figure.suptitle(title, fontsize=10)
        figure.savefig(files[-1], dpi=120)
    return files


def pca_plane(z: Tensor) -> tuple[np.ndarray, list[float]]:
    """Vectors (N, D) on the plane of their two largest variances, (N, 2), and the share of the variance of each axis.

    The sign of an axis is chosen so that its largest coordinate is positive: equal vectors give equal pictures.
    """
    centred = (z - z.mean(dim=0)).double()
    power, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    places = (centred @ axes[:, [-1, -2]]).numpy()
    places *= np.sign(np.take_along_axis(places, np.abs(places).argmax(axis=0)[None], axis=0))
    shares = power[[-1, -2]] / power.sum().clamp(min=1e-30)
    return places, shares.tolist()


def umap_plane(z: Tensor, seed: int) -> np.ndarray:
    """Vectors (N, D) by UMAP of cosine distance (McInnes et al. 2018, arXiv:1802.03426), (N, 2).

    Raises:
        ImportError: umap-learn is not installed.
    """
    try:
        from umap import UMAP
    except ImportError:
        raise ImportError(
            "got no package umap-learn, so there is no UMAP picture; install it by pip install 'neuronarrator[figures]'"
        ) from None
    umap = UMAP(n_neighbors=min(15, len(z) - 1), metric="cosine", random_state=seed, n_jobs=1)  # a seed takes one job
    return np.asarray(umap.fit_transform(z.numpy()))


def draw_embeddings(places: np.ndarray, labels: list[str], datasets: np.ndarray) -> "Figure":
    """Signals beside maps on the same axes, coloured by dataset.

    Args:
        places: (2 N, 2), N signals and then their N maps.
        labels: of both axes.
        datasets: N names.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    names = sorted(set(datasets.tolist()))
    colours = colormaps["tab20" if len(names) > 10 else "tab10"].colors  # type: ignore[attr-defined]
    for axis, modality, part in zip(panels, BOTH, np.split(places, 2), strict=True):
        for i, name in enumerate(names):
            x, y = part[datasets == name].T
            axis.scatter(x, y, s=8, alpha=0.6, linewidths=0, color=colours[i % len(colours)], label=name)
        axis.set(title=_TITLES[modality], xlabel=labels[0])
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(labels[1])
    panels[1].legend(frameon=False, markerscale=2, fontsize=8)
    return figure
