"""Traces to ink: the pixels that many lines cover, by columns, without a loop over samples or lines.

In each column of pixels a line covers a vertical span: what the polyline reaches there, and its thickness. The ink of
all spans is written as differences along the columns, four numbers a span, and summed once down the page, so the time
depends neither on the amplitudes nor on how often lines cross.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

FULL = 255  # ink of a pixel that is covered wholly
FAR = 1e5  # rows; no page is so high
STRIP = 64  # rows at a time


class TraceRaster:
    """Draws R lines of T samples into an area of a page.

    Args:
        n_times: T, samples of a line, spread over the width.
        shape: (rows, columns) of the area.
        baselines: row of the zero of each line, (R,), in rows of the area.
        reach: most rows above or below its baseline that a line is drawn in; beyond it the line is left out.
        line_px: thickness.
    """

    def __init__(
        self, n_times: int, shape: tuple[int, int], baselines: np.ndarray, reach: float, line_px: float
    ) -> None:
        self._shape, self._line_px = shape, np.float32(line_px)
        self._baselines = baselines.astype(np.float32)[:, None]
        self._lowest = np.maximum(self._baselines - np.float32(reach), 0)
        self._highest = np.minimum(self._baselines + np.float32(reach), shape[0] - 2)
        columns = shape[1]
        edges = np.minimum(np.arange(columns + 1) * (n_times / columns), n_times - 1)  # in samples
        self._before = np.minimum(edges.astype(int), max(n_times - 2, 0))
        self._after = np.minimum(self._before + 1, n_times - 1)
        self._share = (edges - self._before).astype(np.float32)
        self._points = _points_of_columns(edges, n_times)

    def ink(self, deflection_px: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """How much of each pixel the lines cover, strip by strip from the top: rows, and (n, columns) uint8.

        Args:
            deflection_px: (R, T) float32, rows downwards from the baseline; where it is NaN there is no line.
        """
        change = self._changes(deflection_px)
        full = np.full((STRIP, change.shape[1]), FULL, change.dtype)  # numpy compares with a scalar much more slowly
        for start in range(0, len(change), STRIP):  # all that is done with a strip is done while it is in the cache
            strip = change[start : start + STRIP]
            if start:
                strip[0] += change[start - 1]
            for above, below in pairwise(strip):  # faster than cumsum along the first axis
                below += above
            yield slice(start, start + len(strip)), np.minimum(strip, full[: len(strip)]).astype(np.uint8)

    def _changes(self, deflection_px: np.ndarray) -> np.ndarray:
        """From each pixel to the one below it, how much more ink there is, (rows, columns) int16."""
        low, high = self._spans(deflection_px)
        rows, columns = self._shape
        change = np.zeros((rows, columns), np.int16)
        flat, column = change.reshape(-1), np.arange(columns)
        size = high - low
        thick = self._line_px
        # As much ink as a line of this slope has, spread over the span: steep lines look as fine as level ones.
        ink = np.float32(FULL) * np.minimum(thick * np.sqrt(1 + size * size) / (size + thick), 1)
        amount, half = np.rint(ink), thick / 2
        for edge, sign in ((low - half, np.float32(1)), (high + half, np.float32(-1))):
            edge = np.clip(edge, self._lowest, self._highest)
            row = np.floor(edge)
            signed = sign * amount
            part = np.rint(signed * (1 - (edge - row)))
            index = (row.astype(np.intp) * columns + column).reshape(-1)
            np.add.at(flat, index, part.astype(np.int16).reshape(-1))
            index += columns
            np.add.at(flat, index, (signed - part).astype(np.int16).reshape(-1))
        return change

    def _spans(self, deflection_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First and last row that each line reaches in each column, (R, columns) each; equal and far away if none."""
        deflection_px = np.clip(deflection_px, -FAR, FAR)
        left, right = deflection_px[:, self._before], deflection_px[:, self._after]
        at_edges = left + (right - left) * self._share
        points = np.concatenate([at_edges, deflection_px], axis=1)
        low = high = points[:, self._points[0]]
        for index in self._points[1:]:
            more = points[:, index]
            low, high = np.minimum(low, more), np.maximum(high, more)
        low, high = low + self._baselines, high + self._baselines
        missing = np.isnan(low)
        if missing.any():
            low[missing] = high[missing] = -2 * FAR  # beyond the reach of every line
        return low, high


def _points_of_columns(edges: np.ndarray, n_times: int) -> np.ndarray:
    """Which points, the edges before the samples, lie in each column: (most in any, columns) indices."""
    columns = len(edges) - 1
    first, last = np.ceil(edges[:-1]).astype(int), np.floor(edges[1:]).astype(int)
    most = max(int((last - first + 1).max()), 0)
    own = [np.arange(columns), np.arange(1, columns + 1)]
    for k in range(most):
        sample = first + k
        own.append(np.where(sample <= last, np.minimum(sample, n_times - 1) + columns + 1, own[0]))
    return np.stack(own)
