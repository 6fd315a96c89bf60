"""Scalp maps as small PNG images inside the page."""

import base64
import io
from typing import Protocol

import numpy as np
from PIL import Image

SIDE_PX = 160
COLOURS = 64


class Maps(Protocol):
    """Maps (S, H, W, 3) uint8 that are drawn when they are looked at."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(S, H, W, 3)."""

    @property
    def dtype(self) -> np.dtype:
        """uint8."""

    def __getitem__(self, which: int, /) -> np.ndarray:
        """One map (H, W, 3)."""


def png_data_uri(pixels: np.ndarray) -> str:
    """A map (H, W, 3) uint8 as a data URI: 160 by 160 pixels, 64 colours of its own."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    small = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    small.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
