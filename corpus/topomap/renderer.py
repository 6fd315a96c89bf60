"""Scalp potential maps as pictures: thousands a second on a CPU, and on the accelerator inside a training step."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from corpus.topomap.interpolation import interpolation_matrix
from corpus.topomap.png import encode_png
from corpus.topomap.potential import SMALLEST_PEAK_UV, ArrayOrTensor, require_finite
from corpus.topomap.raster import HALF_SCALE, NEUTRAL, WHITE, Raster, colour_words

if TYPE_CHECKING:
    import torch

_CHUNK_GPU = 256  # maps at a time


@lru_cache(maxsize=64)
def _raster(ch_names: tuple[str, ...], size: int) -> Raster:
    return Raster(*interpolation_matrix(ch_names, size))


@lru_cache(maxsize=16)
def _operator(ch_names: tuple[str, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Build the (H*W, C) float32 operator, and the (H*W,) float32 row of the colour table from which a pixel starts."""
    weights, inside = interpolation_matrix(ch_names, size)
    operator = np.zeros((size * size, len(ch_names)), dtype=np.float32)
    operator[inside.ravel()] = weights
    operator.setflags(write=False)
    return operator, np.where(inside.ravel(), NEUTRAL, WHITE).astype(np.float32)


@lru_cache(maxsize=64)
def _tensors_on(ch_names: tuple[str, ...], size: int, device: "torch.device") -> "list[torch.Tensor]":
    """Copy the transposed operator (C, H*W), the first rows (H*W,) and the colour words (257,) to a device."""
    import torch

    operator, first_row = _operator(ch_names, size)
    return [torch.tensor(array, device=device) for array in (operator.T.copy(), first_row, colour_words())]


class TopomapRenderer:
    """Draw scalp potential maps of one electrode layout (NeuroNarrator, Sec. 3.2: one topographic map per segment).

    Red is positive, blue is negative, symmetric about zero. By default each map is scaled by its own largest absolute
    value inside the head, so absolute amplitude is not in the picture; with `limit_uv` one scale holds for all maps,
    and what lies beyond has the colour of its end. An all-zero map has the neutral colour. The head circle fills the
    white picture, front up; where electrodes lie below the horizon it grows to hold them, as in MNE.

    Small layouts draw too: two or three electrodes, or electrodes on one line, are triangulated together with the
    border points; a single electrode gives a map of one colour, with its own scale that of its sign.

    Args:
        ch_names: electrode names known to `corpus.montage`, at different places.
        size: height and width of the picture, in pixels.
        limit_uv: value at the ends of the colour scale, in the unit of the potential (µV² for a band power); None:
            each map has its own scale.

    Raises:
        ValueError: no channels, a size below 4, a limit that is not positive, or two electrodes at one place, such as
            T3 and T7, which are the old and the new name of one.
    """

    def __init__(self, ch_names: Sequence[str], size: int = 224, limit_uv: float | None = None) -> None:
        if len(ch_names) == 0 or size < 4:
            raise ValueError(f"got {len(ch_names)} channels and size={size}, expected >= 1 and >= 4; pass more")
        if limit_uv is not None and not 0 < limit_uv < np.inf:
            raise ValueError(f"got limit_uv={limit_uv}, expected a positive number of microvolts, or None; pass one")
        self.ch_names, self.size, self.limit_uv = tuple(ch_names), size, limit_uv
        self._raster = _raster(self.ch_names, size)

    @property
    def operator(self) -> np.ndarray:
        """(size*size, C) float32, electrodes to pixels, row by row from the upper left; zero outside the head."""
        return _operator(self.ch_names, self.size)[0]

    def __call__(self, potential_uv: ArrayOrTensor) -> ArrayOrTensor:
        """Draw one picture per row.

        Args:
            potential_uv: (B, C) microvolts, numpy array or torch tensor.

        Returns:
            (B, size, size, 3) uint8, RGB: an array for an array, a tensor on the same device for a tensor. On a CPU
            maps are drawn by all cores, or by as many as OMP_NUM_THREADS allows.

        Raises:
            ValueError: wrong shape, or values that are not finite.
        """
        self._check(potential_uv)
        if isinstance(potential_uv, np.ndarray):
            return self._raster.draw(potential_uv.astype(np.float32, copy=False), self.limit_uv)
        return self._draw_tensor(potential_uv)

    def png(self, potential_uv: np.ndarray) -> list[bytes]:
        """Draw (B, C) microvolts as PNG files of the same pictures, about 15 kB each at 224 pixels.

        Raises:
            ValueError: wrong shape, or values that are not finite.
        """
        self._check(potential_uv)
        codes = self._raster.draw_codes(potential_uv.astype(np.float32, copy=False), self.limit_uv)
        return [encode_png(picture, self._raster.inside) for picture in codes]

    def _check(self, potential_uv: ArrayOrTensor) -> None:
        if potential_uv.ndim != 2 or potential_uv.shape[1] != len(self.ch_names):
            shape = tuple(potential_uv.shape)
            raise ValueError(f"got potential_uv {shape}, expected (B, {len(self.ch_names)}); pass one map per row")
        require_finite(potential_uv)

    def _draw_tensor(self, potential_uv: "torch.Tensor") -> "torch.Tensor":
        """Draw (B, C) where the tensor is; a CPU is faster, and alike, through numpy."""
        import torch

        potential = potential_uv.detach().float()
        if potential.device.type == "cpu":
            return torch.from_numpy(self._raster.draw(potential.numpy(), self.limit_uv))
        drawn = torch.cat([self._draw_on_device(block) for block in potential.split(_CHUNK_GPU)])
        return drawn.view(-1, self.size, self.size, 3)

    def _draw_on_device(self, potential_uv: "torch.Tensor") -> "torch.Tensor":
        """Draw (B, C) float32 as (B, H*W, 3)."""
        import torch

        operator, first_row, words = _tensors_on(self.ch_names, self.size, potential_uv.device)
        with torch.autocast(potential_uv.device.type, enabled=False):  # bfloat16 would show as bands of colour
            steps = potential_uv @ operator
        if self.limit_uv is None:
            steps.mul_(HALF_SCALE / steps.abs().amax(dim=1, keepdim=True).clamp_min(SMALLEST_PEAK_UV))
        else:
            steps.mul_(HALF_SCALE / self.limit_uv).clamp_(-HALF_SCALE, HALF_SCALE)
        index = steps.add_(first_row).int().flatten()
        return words.index_select(0, index).view(torch.uint8).view(-1, self.size**2, 4)[..., :3]
