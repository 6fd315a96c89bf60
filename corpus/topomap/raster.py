"""Maps to pixels on a CPU, many at once.

What takes time is memory: a map of 224 x 224 is 40,000 numbers and 150 kB of colours. So the head is drawn in strips of
a few rows that stay in the cache, for many maps together; two neighbouring pixels, 8 bits each, are one index into a
table of colour pairs, and one 8-byte store writes both colours (6 bytes, of which the next store overwrites the
filler). Only pixels inside the head are computed. numpy works outside Python's lock, so batches go to threads.

Letters: B maps, C channels, S = size, P pixels of a strip.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from corpus.topomap.potential import SMALLEST_PEAK_UV

# ColorBrewer "RdBu" in 11 classes, blue (negative) to red (positive)
_RDBU_R = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
NEUTRAL, WHITE = 128, 256  # rows of the colour table: zero potential, and the paper around the head
HALF_SCALE = 127.999  # +-peak lands in rows 0 and 255
_MAPS_AT_ONCE = 64
_STRIP_PIXELS = 1800  # of 64 maps in float32: 460 kB


@lru_cache(maxsize=1)
def colour_words() -> np.ndarray:
    """Build the colour table, (257,) words of four bytes, R G B and filler: matplotlib's RdBu_r in 256 steps, white."""
    anchors = np.frombuffer(bytes.fromhex(_RDBU_R), dtype=np.uint8).reshape(-1, 3)
    place = np.linspace(0, len(anchors) - 1, 256)
    table = np.full((257, 4), 255, dtype=np.uint8)
    table[:256, :3] = np.stack([np.interp(place, range(11), band) for band in anchors.T], axis=1).round()
    return table.view(np.int32)[:, 0]


@lru_cache(maxsize=1)
def _pair_words() -> np.ndarray:
    """Build the colours of two neighbours, (65536,) words of eight bytes: RGB, RGB and white filler.

    The index of a pair is what the two bytes of its pixels read as one 16-bit number, in the machine's byte order.
    """
    colours = colour_words()[:256].view(np.uint8).reshape(256, 4)[:, :3]
    pixels = np.arange(65536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    table = np.full((65536, 8), 255, dtype=np.uint8)
    table[:, :3], table[:, 3:6] = colours[pixels[:, 0]], colours[pixels[:, 1]]
    return table.view(np.int64)[:, 0]


@dataclass(frozen=True)
class _Span:
    """The pixels of one row inside the head: pairs from `first` to `last` of the strip, written from byte `offset` on.

    A row of an odd number of pixels has one more, outside the head: `white` is its byte, else None.
    """

    first: int
    last: int
    offset: int
    white: int | None


@dataclass(frozen=True)
class _Strip:
    """Some rows of the picture: weights (C, P), bytes from `start` to `stop` of the picture, and one span a row."""

    weights: np.ndarray
    start: int
    stop: int
    spans: tuple[_Span, ...]


class Raster:
    """Draws maps of one electrode layout.

    Args:
        weights: (pixels inside, C) float32, row by row.
        inside: (S, S) bool.
    """

    def __init__(self, weights: np.ndarray, inside: np.ndarray) -> None:
        self.size, self.n_chans, self.inside = len(inside), weights.shape[1], inside
        rows = max(1, _STRIP_PIXELS // self.size)
        self._strips = tuple(_cut_strips(weights, inside, rows))

    def draw(self, potential: np.ndarray, limit: float | None) -> np.ndarray:
        """Draw potentials (B, C) float32 as (B, S, S, 3) uint8; limit: value at the ends of the scale, None: own."""
        pictures = np.empty((len(potential), 3 * self.size**2), dtype=np.uint8)
        self._run(self._draw_chunk, potential, pictures, limit)
        return pictures.reshape(-1, self.size, self.size, 3)

    def draw_codes(self, potential: np.ndarray, limit: float | None) -> np.ndarray:
        """Draw potentials (B, C) float32 as (B, S, S) uint8, rows of the colour table; 0 outside the head."""
        pictures = np.zeros((len(potential), self.size**2), dtype=np.uint8)
        self._run(self._code_chunk, potential, pictures, limit)
        return pictures.reshape(-1, self.size, self.size)

    def _run(self, draw: Callable[..., None], potential: np.ndarray, pictures: np.ndarray, limit: float | None) -> None:
        """Draw into the pictures, some maps at a time, by as many threads as are worth it."""
        n_maps = len(potential)
        n_threads = max(min(_count_threads(), -(-n_maps // 8)), 1)  # fewer than eight maps are not worth a thread
        step = max(min(_MAPS_AT_ONCE, -(-n_maps // n_threads)), 1)

        def draw_from(start: int) -> None:
            draw(potential[start : start + step], pictures[start : start + step], limit)

        if n_threads == 1:
            for start in range(0, n_maps, step):
                draw_from(start)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(draw_from, range(0, n_maps, step)))

    def _codes(self, potential: np.ndarray, limit: float | None) -> Iterator[tuple[_Strip, np.ndarray]]:
        """Strips with the rows of the colour table of their pixels, (B, P) uint8, overwritten by the next."""
        if limit is not None:
            potential = potential * np.float32(HALF_SCALE / limit)
        steps = [potential @ strip.weights for strip in self._strips]
        factor = None if limit is not None else HALF_SCALE / _largest(steps, len(potential))
        codes = np.empty(max(values.size for values in steps), np.uint8)
        for strip, values in zip(self._strips, steps, strict=True):
            if factor is None:
                np.clip(values, -HALF_SCALE, HALF_SCALE, out=values)
            else:
                values *= factor
            values += NEUTRAL
            own = codes[: values.size].reshape(values.shape)
            np.copyto(own, values, casting="unsafe")  # towards zero
            yield strip, own

    def _draw_chunk(self, potential: np.ndarray, pictures: np.ndarray, limit: float | None) -> None:
        """Draw (B, C) into the bytes (B, S * S * 3) of their pictures."""
        most = len(potential) * max(strip.weights.shape[1] for strip in self._strips) // 2
        indices, words = np.empty(most, np.intp), np.empty(most, np.int64)
        for strip, codes in self._codes(potential, limit):
            n_pairs = codes.size // 2
            np.copyto(indices[:n_pairs], codes.ravel().view(np.uint16))
            np.take(_pair_words(), indices[:n_pairs], out=words[:n_pairs], mode="clip")
            _write(strip, words[:n_pairs].reshape(len(codes), -1), pictures)

    def _code_chunk(self, potential: np.ndarray, pictures: np.ndarray, limit: float | None) -> None:
        """Draw (B, C) into the pixels (B, S * S) of their pictures."""
        for strip, codes in self._codes(potential, limit):
            for span in strip.spans:
                first, count, odd = span.offset // 3, 2 * (span.last - span.first), span.white is not None
                pictures[:, first : first + count - odd] = codes[:, 2 * span.first : 2 * span.last - odd]


def _cut_strips(weights: np.ndarray, inside: np.ndarray, rows: int) -> Iterator[_Strip]:
    """Cut the picture into strips of some rows; rows outside the head have no span."""
    size, done = len(inside), 0
    for top in range(0, size, rows):
        blocks, spans, n_pixels = [], list[_Span](), 0
        for row in range(top, min(top + rows, size)):
            count = int(inside[row].sum())
            if count == 0:
                continue
            offset, odd = 3 * (row * size + int(inside[row].argmax())), count % 2
            blocks += [weights[done : done + count], np.zeros((odd, weights.shape[1]), np.float32)]
            n_pairs = (count + odd) // 2
            spans.append(_Span(n_pixels // 2, n_pixels // 2 + n_pairs, offset, offset + 3 * count if odd else None))
            done, n_pixels = done + count, n_pixels + count + odd
        strip = np.concatenate(blocks) if blocks else np.zeros((0, weights.shape[1]), np.float32)
        yield _Strip(np.ascontiguousarray(strip.T), 3 * top * size, 3 * min(top + rows, size) * size, tuple(spans))


def _largest(steps: list[np.ndarray], n_maps: int) -> np.ndarray:
    """Largest absolute value of each map over all strips, (B, 1) float32."""
    peak = np.full(n_maps, SMALLEST_PEAK_UV, dtype=np.float32)
    for values in steps:
        if values.shape[1]:
            peak = np.maximum(peak, np.maximum(values.max(axis=1), -values.min(axis=1)))
    return peak[:, None]


def _write(strip: _Strip, words: np.ndarray, pictures: np.ndarray) -> None:
    """Write colour pairs (B, P / 2) of a strip into the pictures, row by row, from left to right.

    A word is 8 bytes and its place 6 further than the one before, so words overlap: the filler of the last one of a row
    falls on a pixel outside the head, which is as white as the filler.
    """
    n_maps, n_bytes = pictures.shape
    pictures[:, strip.start : strip.stop] = 255
    for span in strip.spans:
        shape = (n_maps, span.last - span.first)
        np.ndarray(shape, np.int64, pictures, span.offset, (n_bytes, 6))[...] = words[:, span.first : span.last]
        if span.white is not None:
            pictures[:, span.white : span.white + 3] = 255


def _count_threads() -> int:
    """Cores that this process may use, or fewer where OMP_NUM_THREADS says so, as for the libraries below."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, max(int(wanted), 1)) if wanted.isdigit() else cores
