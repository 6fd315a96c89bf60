"""Everything of a page but its traces: where they go, labels, seconds, calibration bar, and what is stated of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

PAPER_MM_S = 30.0  # usual speed of the paper; the plot's seconds define how large a millimetre is
PAPER, INK = 255, 0
GRID_INK, FRAME_INK, TEXT_INK = 208, 150, 40
GROUP_GAP = 0.55  # lanes between two groups
EDGE = 1.0  # lanes above the first and below the last baseline
MAX_FONT, MIN_FONT = 15, 7
FOOT_FONT = 13
MARGIN = 6
BAR_ROOM = 58  # right of the plot, for the calibration bar
BARS_UV = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
BAR_MM = (7.0, 18.0)  # the calibration bar has a round value, at least as long as the first of these, if it can


def fit_size(width: int, height: int, patch: int = 28) -> tuple[int, int]:
    """The width and height nearest to these that whole patches cover.

    28 pixels are one token of Qwen2-VL and Qwen2.5-VL (patches of 14, two by two), 32 of Qwen3-VL.
    """
    return tuple(max(round(side / patch), 1) * patch for side in (width, height))  # type: ignore[return-value]


@dataclass(frozen=True)
class PageLayout:
    """Where things are on a page, in pixels; the origin is its upper left corner.

    Attributes:
        width: of the page.
        height: of the page.
        left: first column of the plot.
        right: column behind the plot.
        top: first row of the plot.
        bottom: row behind the plot.
        pitch: from one trace to the next.
        baselines: row of the zero of each trace.
        font: size of the labels.
        duration_s: seconds of the plot.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    pitch: float
    baselines: tuple[float, ...]
    font: int
    duration_s: float

    @property
    def px_per_mm(self) -> float:
        """Pixels of a millimetre of paper, so that a second is 30 mm wide."""
        return (self.right - self.left) / self.duration_s / PAPER_MM_S

    @property
    def lane_mm(self) -> float:
        """From one trace to the next, millimetres of paper."""
        return self.pitch / self.px_per_mm


def lay_out(names: Sequence[str], groups: Sequence[int], width: int, height: int, duration_s: float) -> PageLayout:
    """Place the traces of a page.

    Raises:
        ValueError: if the page is too small for them.
    """
    lanes = 2 * EDGE + len(names) - 1 + GROUP_GAP * sum(a != b for a, b in pairwise(groups))
    top, foot = MARGIN + 2, 2 * FOOT_FONT + 3 * MARGIN
    pitch = (height - top - foot) / lanes
    font = int(min(MAX_FONT, max(MIN_FONT, 0.95 * pitch)))
    left = MARGIN + max(_text_width(name, font) for name in names) + MARGIN
    right = width - BAR_ROOM
    if pitch < 6 or right - left < 10 * duration_s:
        raise ValueError(
            f"got a page of {width} x {height} pixels for {len(names)} traces of {duration_s:g} s, expected at least "
            f"6 pixels a trace and 10 a second; enlarge it"
        )
    baselines, at = [], top + EDGE * pitch
    for i in range(len(names)):
        at += pitch * (1 + GROUP_GAP * (groups[i] != groups[i - 1])) if i else 0.0
        baselines.append(at)
    return PageLayout(width, height, left, right, top, height - foot, pitch, tuple(baselines), font, duration_s)


def draw_background(layout: PageLayout, names: Sequence[str], told: str, gain_uv_mm: float) -> np.ndarray:
    """The page without traces, (H, W) uint8 grey values.

    Args:
        layout: where things are.
        names: labels of the traces.
        told: what the footer states of the page.
        gain_uv_mm: microvolts of a millimetre of deflection.
    """
    page = np.full((layout.height, layout.width), PAPER, dtype=np.uint8)
    seconds = np.arange(int(layout.duration_s + 1e-9) + 1)
    columns = layout.left + np.round(seconds / layout.duration_s * (layout.right - layout.left)).astype(int)
    page[layout.top : layout.bottom, columns] = GRID_INK
    page[layout.bottom, layout.left : layout.right + 1] = FRAME_INK
    for second, column in zip(seconds.tolist(), columns.tolist(), strict=True):
        page[layout.bottom : layout.bottom + 4, column] = FRAME_INK
        text = f"{second} s" if second == seconds[-1] else str(second)
        _write(page, text, column, layout.bottom + MARGIN + FOOT_FONT // 2, FOOT_FONT, "middle")
    for name, baseline in zip(names, layout.baselines, strict=True):
        _write(page, name, layout.left - MARGIN, round(baseline), layout.font, "right")
    _write(page, told, layout.left, layout.height - MARGIN - FOOT_FONT // 2, FOOT_FONT, "left")
    _draw_bar(page, layout, gain_uv_mm)
    return page


def _draw_bar(page: np.ndarray, layout: PageLayout, gain_uv_mm: float) -> None:
    """A vertical bar of a round number of microvolts, right of the plot at its lower end."""
    long_enough = [uv for uv in BARS_UV if uv / gain_uv_mm >= BAR_MM[0]]
    bar_uv = next((uv for uv in reversed(long_enough) if uv / gain_uv_mm <= BAR_MM[1]), BARS_UV[-1])
    size = min(max(round(bar_uv / gain_uv_mm * layout.px_per_mm), 2), layout.bottom - layout.top)
    column, end = layout.right + 12, layout.bottom - 4
    page[end - size : end + 1, column] = INK
    page[[end - size, end], column - 3 : column + 4] = INK
    middle = max(end - size // 2, layout.top + FOOT_FONT)
    _write(page, str(bar_uv), column + 8, middle - FOOT_FONT // 2 - 1, FOOT_FONT, "left")
    _write(page, "µV", column + 8, middle + FOOT_FONT // 2 + 1, FOOT_FONT, "left")


def _write(page: np.ndarray, text: str, column: int, row: int, size: int, align: str) -> None:
    """Text whose middle is at a row, and whose left, middle or right is at a column; what leaves the page is cut."""
    mask = _text_mask(text, size)
    height, width = mask.shape
    x = column - {"left": 0, "middle": width // 2, "right": width}[align]
    y = row - height // 2
    inside = mask[max(-y, 0) : page.shape[0] - y, max(-x, 0) : page.shape[1] - x]
    area = page[max(y, 0) : max(y, 0) + inside.shape[0], max(x, 0) : max(x, 0) + inside.shape[1]]
    area[...] = np.minimum(area, PAPER - (inside.astype(np.uint16) * (PAPER - TEXT_INK) // 255).astype(np.uint8))


def _text_width(text: str, size: int) -> int:
    return _text_mask(text, size).shape[1]


@lru_cache(maxsize=4096)
def _text_mask(text: str, size: int) -> np.ndarray:
    """Coverage of a text by its letters, (height of the font, width) uint8, in the font that comes with Pillow.

    That font has no µ: it is a u whose left stem goes on below the line.
    """
    from PIL import Image, ImageDraw

    font = _font(size)
    latin = text.replace("µ", "u")
    ascent, descent = font.getmetrics()
    picture = Image.new("L", (max(int(np.ceil(font.getlength(latin))), 1), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), latin, fill=255, font=font)
    mask = np.array(picture)
    for i in (i for i, letter in enumerate(text) if letter == "µ"):
        start = round(font.getlength(latin[:i]))
        stem = slice(start, start + round(font.getlength("u") / 2))
        mask[ascent - size // 4 : ascent + size // 4, stem] = mask[ascent - size // 3, stem]
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=32)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=size)
