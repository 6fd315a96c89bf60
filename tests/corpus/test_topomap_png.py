"""Maps as PNG files hold the pictures of the renderer, bit for bit."""

import io

import numpy as np
import pytest
from PIL import Image

from corpus.topomap import TopomapRenderer
from corpus.topomap.png import encode_png
from corpus.topomap.raster import WHITE, colour_words

TEN = ("Fp1", "Fp2", "C3", "C4", "O1", "O2", "T7", "T8", "Fz", "Cz")


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize("names", [TEN, TEN[:3], TEN[:1]], ids=len)
@pytest.mark.parametrize("size", [64, 101])
@pytest.mark.parametrize("limit_uv", [None, 5.0])
def test_a_file_holds_the_picture(names: tuple[str, ...], size: int, limit_uv: float | None) -> None:
    potential_uv = 10 * np.random.default_rng(len(names)).standard_normal((9, len(names)))
    potential_uv[3] = 0
    renderer = TopomapRenderer(names, size, limit_uv)
    for picture, png in zip(renderer(potential_uv), renderer.png(potential_uv), strict=True):
        np.testing.assert_array_equal(np.asarray(opened(png).convert("RGB")), picture)


def test_a_palette_makes_files_small() -> None:
    png = TopomapRenderer(TEN).png(np.arange(10.0)[None])[0]
    assert opened(png).mode == "P"
    assert len(png) < 30_000


def test_a_map_of_every_colour_loses_none() -> None:
    codes = np.arange(400, dtype=np.uint8).reshape(20, 20)
    inside = np.ones((20, 20), bool)
    inside[-1, -1] = False
    image = opened(encode_png(codes, inside))
    colours = colour_words().view(np.uint8).reshape(-1, 4)[:, :3]
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image)[-1, -1], 255)
    np.testing.assert_array_equal(np.asarray(image), colours[np.where(inside, codes.astype(np.int16), WHITE)])


def test_only_finite_maps_of_the_layout_are_drawn() -> None:
    renderer = TopomapRenderer(TEN, 32)
    with pytest.raises(ValueError, match="expected finite"):
        renderer.png(np.full((1, 10), np.nan))
    with pytest.raises(ValueError, match=r"expected \(B, 10\)"):
        renderer.png(np.zeros((1, 9)))
