import numpy as np
import pytest

from corpus.areas import adjacent, area_rows, group_areas, pair_rows, place
from corpus.simulate import TEN_TWENTY

LEFT = ("Fp1", "F7", "F3", "T7", "C3", "P7", "P3", "O1")


@pytest.mark.parametrize(
    ("ch_names", "words"),
    [
        (TEN_TWENTY, ("all regions",)),
        (LEFT, ("left hemisphere",)),
        (LEFT[:-2], ("left hemisphere",)),  # six of eight
        (("O1", "O2"), ("bilateral occipital",)),
        (("T7", "P7"), ("left temporal",)),
        (("T7",), ("T7",)),
        (("Fp1", "F7", "F3", "C4"), ("left frontal", "right central")),
        (("O2", "Fz", "O1", "F3"), ("midline frontal", "bilateral occipital", "F3")),
        ((), ()),
    ],
)
def test_electrodes_are_grouped_into_lobes_and_hemispheres(ch_names: tuple[str, ...], words: tuple[str, ...]) -> None:
    assert group_areas(ch_names, TEN_TWENTY) == words


def test_few_electrodes_stay_electrodes() -> None:
    assert group_areas(("C3",), ("C3", "C4")) == ("C3",)
    assert place(("C3", "C4"), ("C3", "C4")) == "at C3 and C4"


@pytest.mark.parametrize(
    ("ch_names", "text"),
    [
        (TEN_TWENTY, "over all regions"),
        (("O1", "O2", "F3"), "over the bilateral occipital region and at F3"),
        ((*LEFT, "O2"), "over the left hemisphere and the right occipital region"),
        (("T7", "P7", "T8", "P8", "C3"), "over the left central and bilateral temporal regions"),
        (("T7", "F3"), "at F3 and T7"),
    ],
)
def test_places_read_as_english(ch_names: tuple[str, ...], text: str) -> None:
    assert place(ch_names, TEN_TWENTY) == text


def test_adjacency_is_symmetric_and_local() -> None:
    near = adjacent(TEN_TWENTY)
    index = {name: i for i, name in enumerate(TEN_TWENTY)}
    assert np.array_equal(near, near.T)
    assert not near.diagonal().any()
    assert near[index["T7"], index["P7"]]
    assert near[index["O1"], index["O2"]]
    assert not near[index["Fp1"], index["O1"]]
    assert not near[index["T7"], index["T8"]]


def test_areas_and_pairs_cover_the_montage() -> None:
    assert sorted(np.concatenate(list(area_rows(TEN_TWENTY).values())).tolist()) == list(range(19))
    pairs = {(TEN_TWENTY[i], TEN_TWENTY[j]) for i, j in pair_rows(TEN_TWENTY)}
    assert len(pairs) == 8
    assert ("P7", "P8") in pairs
    assert pair_rows(("Cz", "Pz")).shape == (0, 2)
