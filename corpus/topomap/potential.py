"""From a segment to the one value per electrode that a map shows.

NeuroNarrator draws the potential at the temporal median sample (Sec. 3.2), one instant of ten seconds. The other kinds
show the whole segment: root mean square, mean absolute value, and the power of a band.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from corpus.bands import NEURONARRATOR

if TYPE_CHECKING:
    import torch

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, "torch.Tensor")

SMALLEST_PEAK_UV = 1e-30  # below it a map counts as zero: it is drawn neutral and nothing overflows
POTENTIALS: tuple[str, ...] = ("median", "rms", "mean_abs", *(f"{band}_power" for band in NEURONARRATOR.names))
"""The kinds that `map_potential` knows: µV, and µV² for powers."""


def require_finite(potential_uv: ArrayOrTensor) -> None:
    """Refuse missing values by a ValueError."""
    if not (abs(potential_uv) < np.inf).all():
        raise ValueError("got potential_uv with NaN or infinite values, expected finite microvolts; drop those maps")


def median_potential(signal_uv: ArrayOrTensor) -> ArrayOrTensor:
    """Take the sample at the temporal median, T // 2, of (..., C, T) as (..., C), a view (NeuroNarrator, Sec. 3.2)."""
    _require_samples(signal_uv)
    return signal_uv[..., signal_uv.shape[-1] // 2]


def map_potential(signal_uv: ArrayOrTensor, kind: str = "median", sfreq: float = 200.0) -> ArrayOrTensor:
    """Reduce segments to the values of a map.

    Args:
        signal_uv: (..., C, T) microvolts, numpy array or torch tensor.
        kind: one of `POTENTIALS`. "median": the sample at T // 2, as in the paper; "rms": root of the mean square;
            "mean_abs": mean absolute value; "delta_power" and so on: power in that band of
            `corpus.bands.NEURONARRATOR`, from one periodogram of the segment without its mean.
        sfreq: Hz, for the powers.

    Returns:
        (..., C) µV, or µV² for a power; an array for an array, a tensor for a tensor.

    Raises:
        ValueError: unknown kind, or no samples.
    """
    if kind not in POTENTIALS:
        raise ValueError(f"got potential {kind!r}, expected one of {', '.join(POTENTIALS)}; correct the name")
    if kind == "median":
        return median_potential(signal_uv)
    _require_samples(signal_uv)
    if kind == "rms":
        return (signal_uv**2).mean(-1) ** 0.5
    if kind == "mean_abs":
        return abs(signal_uv).mean(-1)
    return _band_power(signal_uv, kind.removesuffix("_power"), sfreq)


def _band_power(signal_uv: Any, band: str, sfreq: float) -> Any:
    """Power (..., C) in µV² of one band: by Parseval's theorem, the sum of its lines in the spectrum."""
    n_times = signal_uv.shape[-1]
    transform: Any = np.fft.rfft
    if not isinstance(signal_uv, np.ndarray):
        import torch

        transform = torch.fft.rfft
    lines = transform(signal_uv - signal_uv.mean(-1)[..., None])  # in one precision, along the last axis
    freqs = np.fft.rfftfreq(n_times, 1 / sfreq)
    chosen = np.flatnonzero(NEURONARRATOR.holds(band, freqs))
    if len(chosen) == 0:
        raise ValueError(f"got {n_times} samples at {sfreq:g} Hz, which hold nothing of {band}; pass longer segments")
    first, last = int(chosen[0]), int(chosen[-1]) + 1
    power = (abs(lines[..., first:last]) ** 2).sum(-1) * 2
    if last - 1 == n_times / 2:  # the last line of an even length stands for one frequency, not for two
        power = power - abs(lines[..., -1]) ** 2
    return power / n_times**2


def _require_samples(signal_uv: Any) -> None:
    if signal_uv.ndim < 2 or signal_uv.shape[-1] == 0:
        raise ValueError(f"got signal_uv {tuple(signal_uv.shape)}, expected (..., C, T); pass channels by samples")
