"""Frequency bands as data: the sets of the two papers and of the IFCN, and the power inside them."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class BandSet:
    """Named frequency bands, Hz. A band holds its lower edge but not its upper one, unless said otherwise.

    Attributes:
        name: how the set is chosen.
        edges_hz: lower and upper edge of each band, in order; infinity means as far as the recording goes.
        closed: bands that hold their upper edge too.
        open_below: bands that do not hold their lower edge.
        source: where the edges are stated.
    """

    name: str
    edges_hz: dict[str, tuple[float, float]]
    closed: frozenset[str] = field(default=frozenset())
    open_below: frozenset[str] = field(default=frozenset())
    source: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The bands, lowest first."""
        return tuple(self.edges_hz)

    def holds(self, band: str, freqs: np.ndarray) -> np.ndarray:
        """Which frequencies (F,) in Hz lie in a band: (F,) booleans."""
        low, high = self.edges_hz[band]
        above = freqs > low if band in self.open_below else freqs >= low
        return above & (freqs <= high if band in self.closed else freqs < high)

    def masks(self, freqs: np.ndarray) -> np.ndarray:
        """Membership of every frequency (F,) in every band, (F, bands) booleans; a frequency in a gap has none."""
        return np.stack([self.holds(band, freqs) for band in self.edges_hz], axis=1)


_END = float("inf")
NEURONARRATOR = BandSet(
    "neuronarrator",
    {
        "delta": (0.0, 4.0),
        "theta": (4.0, 8.0),
        "alpha": (8.0, 12.0),
        "beta": (12.0, 30.0),
        "gamma": (30.0, 50.0),
        "high_gamma": (50.0, 75.0),
    },
    source="NeuroNarrator, arXiv:2603.16880, Sec. 3.2.3",
)
CEREBRAGLOSS = BandSet(
    "cerebragloss",
    {"delta": (0.3, 3.5), "theta": (4.0, 7.5), "alpha": (8.0, 13.0), "beta": (14.0, 30.0), "gamma": (30.0, _END)},
    closed=frozenset({"delta", "theta", "alpha", "beta"}),
    open_below=frozenset({"gamma"}),
    source="CerebraGloss, ICLR 2026; the gaps between its bands are its own",
)
IFCN = BandSet(
    "ifcn",
    {"delta": (0.1, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 13.0), "beta": (14.0, 30.0), "gamma": (30.0, _END)},
    closed=frozenset({"alpha", "beta"}),
    open_below=frozenset({"gamma"}),
    source="IFCN glossary, Kane et al. 2017, doi:10.1016/j.cnp.2017.07.002",
)
BAND_SETS: dict[str, BandSet] = {bands.name: bands for bands in (NEURONARRATOR, CEREBRAGLOSS, IFCN)}


def band_set(name: str) -> BandSet:
    """The band set of a name.

    Raises:
        ValueError: if there is no such set.
    """
    try:
        return BAND_SETS[name]
    except KeyError:
        raise ValueError(f"got band set {name!r}, expected one of {', '.join(BAND_SETS)}; correct the name") from None


def band_powers(freqs: np.ndarray, density: np.ndarray, bands: BandSet = NEURONARRATOR) -> np.ndarray:
    """Integrate a density (..., F) in µV²/Hz over each band: (..., bands) in µV²."""
    step = freqs[1] - freqs[0]
    return (density @ bands.masks(freqs).astype(density.dtype)) * step


def peak_hz(freqs: np.ndarray, density: np.ndarray, bands: BandSet, band: np.ndarray) -> np.ndarray:
    """The frequency of the highest density inside a band (CerebraGloss, Sec. 3.1).

    Args:
        freqs: (F,) Hz.
        density: (..., F) µV²/Hz.
        bands: the set that `band` counts in.
        band: (...) index of the band of each row.

    Returns:
        (...) Hz; 0 Hz never is a peak.
    """
    inside = bands.masks(freqs).T[band] & (freqs > 0)
    return freqs[np.where(inside, density, -1.0).argmax(-1)]
