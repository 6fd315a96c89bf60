import numpy as np
import pytest

from corpus.bands import BAND_SETS, CEREBRAGLOSS, IFCN, NEURONARRATOR, band_powers, band_set, peak_hz
from corpus.features import BANDS

FREQS = np.arange(0, 100.5, 0.5)


def test_the_narratives_bands_are_those_of_neuronarrator() -> None:
    assert list(BANDS.items()) == [
        ("delta", (0.0, 4.0)),
        ("theta", (4.0, 8.0)),
        ("alpha", (8.0, 12.0)),
        ("beta", (12.0, 30.0)),
        ("gamma", (30.0, 50.0)),
        ("high_gamma", (50.0, 75.0)),
    ]


@pytest.mark.parametrize(
    ("bands", "hertz", "expected"),
    [
        (NEURONARRATOR, 0.0, "delta"),
        (NEURONARRATOR, 4.0, "theta"),
        (NEURONARRATOR, 75.0, None),
        (CEREBRAGLOSS, 0.2, None),
        (CEREBRAGLOSS, 3.5, "delta"),
        (CEREBRAGLOSS, 3.75, None),
        (CEREBRAGLOSS, 7.5, "theta"),
        (CEREBRAGLOSS, 13.0, "alpha"),
        (CEREBRAGLOSS, 13.5, None),
        (CEREBRAGLOSS, 30.0, "beta"),
        (CEREBRAGLOSS, 30.1, "gamma"),
        (IFCN, 3.99, "delta"),
        (IFCN, 7.99, "theta"),
        (IFCN, 8.0, "alpha"),
        (IFCN, 13.0, "alpha"),
        (IFCN, 30.0, "beta"),
    ],
)
def test_edges_belong_where_the_papers_put_them(bands, hertz: float, expected: str | None) -> None:
    held = [band for band in bands.names if bands.holds(band, np.array([hertz]))[0]]
    assert held == ([expected] if expected else [])


def test_power_of_a_flat_spectrum_counts_the_bins() -> None:
    # bins of 0.5 Hz: 0.5-3.5 is 7 of them, 4-7.5 is 8, 8-13 is 11, 14-30 is 33, 30.5-100 is 140
    assert band_powers(FREQS, np.full(201, 2.0), CEREBRAGLOSS).tolist() == [7.0, 8.0, 11.0, 33.0, 140.0]
    assert band_powers(FREQS, np.full((3, 201), 2.0)).shape == (3, 6)


def test_peak_is_looked_for_inside_the_band_and_never_at_zero() -> None:
    density = np.ones((2, 201))
    density[0, [0, 3]] = 50.0, 2.0  # 0 and 1.5 Hz
    density[1, [19, 30]] = 9.0, 99.0  # 9.5 and 15 Hz
    names = list(CEREBRAGLOSS.names)
    assert peak_hz(FREQS, density[:1], NEURONARRATOR, np.array([0])).tolist() == [1.5]
    assert peak_hz(FREQS, density, CEREBRAGLOSS, np.array([0, names.index("alpha")])).tolist() == [1.5, 9.5]


def test_sets_are_found_by_name() -> None:
    assert {name: band_set(name) for name in BAND_SETS} == BAND_SETS
    with pytest.raises(ValueError, match="got band set 'aasm', expected one of neuronarrator, cerebragloss, ifcn"):
        band_set("aasm")
