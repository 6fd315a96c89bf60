"""What is measured in a segment: band powers, trends, energy tiers, dominant rhythm, amplitude, asymmetry.

Bands and tiers follow NeuroNarrator, Sec. 3.2.3; amplitude follows CerebraGloss (half peak-to-peak). Neither paper
states estimators or thresholds: ours are the constants below.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import welch

from corpus.montage import mirror_of, region_of, side_of
from corpus.segment import Segment, stack_signals

BANDS: dict[str, tuple[float, float]] = {
    "delta": (0.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 12.0),
    "beta": (12.0, 30.0),
    "gamma": (30.0, 50.0),
    "high_gamma": (50.0, 75.0),
}
REGIONS = ("frontal", "central", "temporal", "parietal", "occipital")
TIERS = ("high", "medium", "low")
WELCH_WINDOW_S = 2.0
STABLE_RATIO = 1.25  # within [1/1.25, 1.25] of the history's mean a band is stable
MARKED_RATIO = 2.0  # at or beyond a factor of two a change is marked, between the two it is moderate
LOW_AMPLITUDE_UV, HIGH_AMPLITUDE_UV = 20.0, 50.0
ASYMMETRY_RATIO = 1.5  # geometric mean of right/left power over homologous pairs
MIN_POWER_UV2 = 1e-6  # floor under logarithms and ratios


@dataclass(frozen=True, eq=False)
class Features:
    """Measurements of one segment; powers are in µV².

    Attributes:
        ch_names: C electrode names, the order of every per-channel array.
        channel_band_power_uv2: (C, 6) Welch power in each band of `BANDS`.
        channel_power_uv2: (C,) variance of the signal.
        tiers: (C,) 0 high, 1 medium, 2 low energy.
        dominant_hz: frequency of the highest spectral peak inside the dominant band, Hz.
        amplitude_uv: median over channels of half the peak-to-peak amplitude, µV.
        asymmetry_index: mean natural logarithm of right/left power over homologous pairs; nan without a pair.
        history_band_power_uv2: (6,) mean band powers of the preceding segments, or None without history.
    """

    ch_names: tuple[str, ...]
    channel_band_power_uv2: np.ndarray
    channel_power_uv2: np.ndarray
    tiers: np.ndarray
    dominant_hz: float
    amplitude_uv: float
    asymmetry_index: float
    history_band_power_uv2: np.ndarray | None = None

    @property
    def band_power_uv2(self) -> np.ndarray:
        """Mean over channels of the power in each band, (6,)."""
        return self.channel_band_power_uv2.mean(0)

    @property
    def dominant_band(self) -> str:
        """The band with the highest mean power."""
        return list(BANDS)[int(self.band_power_uv2.argmax())]

    @property
    def top_channel(self) -> str:
        """The electrode with the highest power."""
        return self.ch_names[int(self.channel_power_uv2.argmax())]

    @property
    def amplitude(self) -> str:
        """Amplitude word: low, medium or high."""
        if self.amplitude_uv < LOW_AMPLITUDE_UV:
            return "low"
        return "medium" if self.amplitude_uv < HIGH_AMPLITUDE_UV else "high"

    @property
    def asymmetry(self) -> str | None:
        """symmetric, left or right (the side of the higher power); None where no homologous pair was recorded."""
        if np.isnan(self.asymmetry_index):
            return None
        if abs(self.asymmetry_index) < np.log(ASYMMETRY_RATIO):
            return "symmetric"
        return "right" if self.asymmetry_index > 0 else "left"

    @property
    def region_power_uv2(self) -> dict[str, float]:
        """Mean power of the channels of each recorded region."""
        regions = np.array([region_of(name) for name in self.ch_names])
        return {r: float(self.channel_power_uv2[regions == r].mean()) for r in REGIONS if (regions == r).any()}

    @property
    def dominant_region(self) -> str:
        """The region with the highest mean channel power."""
        power = self.region_power_uv2
        return max(power, key=power.__getitem__)

    @property
    def trend_ratio(self) -> np.ndarray | None:
        """Power of each band relative to the mean of its history, (6,), or None without history."""
        if self.history_band_power_uv2 is None:
            return None
        return (self.band_power_uv2 + MIN_POWER_UV2) / (self.history_band_power_uv2 + MIN_POWER_UV2)

    @property
    def trend(self) -> dict[str, str] | None:
        """Trend word of each band, or None without history."""
        if self.trend_ratio is None:
            return None
        return {band: trend_word(ratio) for band, ratio in zip(BANDS, self.trend_ratio, strict=True)}

    def tier(self, name: str) -> list[str]:
        """Electrodes of one tier ("high", "medium", "low"), highest power first."""
        order = np.argsort(-self.channel_power_uv2, kind="stable")
        return [self.ch_names[i] for i in order if self.tiers[i] == TIERS.index(name)]


def trend_word(ratio: float) -> str:
    """The word for a ratio of powers: stable, or a moderate or marked increase or decrease."""
    size = max(ratio, 1 / ratio)
    if size <= STABLE_RATIO:
        return "stable"
    strength = "marked" if size >= MARKED_RATIO else "moderate"
    return f"{strength} {'increase' if ratio > 1 else 'decrease'}"


def spectrum(signal_uv: np.ndarray, sfreq: float) -> tuple[np.ndarray, np.ndarray]:
    """Welch power spectral density: Hann windows of 2 s, half overlapping, each with its mean removed.

    Args:
        signal_uv: (..., T) microvolts.
        sfreq: Hz.

    Returns:
        Frequencies (F,) in Hz and density (..., F) in µV²/Hz.
    """
    window = min(round(WELCH_WINDOW_S * sfreq), signal_uv.shape[-1])
    return welch(signal_uv, fs=sfreq, nperseg=window, window="hann", detrend="constant")


def band_powers(freqs: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Integrate a density (..., F) over each half-open band of `BANDS`: (..., 6) in µV²."""
    step = freqs[1] - freqs[0]
    masks = np.stack([(freqs >= low) & (freqs < high) for low, high in BANDS.values()], axis=1)
    return (density @ masks.astype(density.dtype)) * step


def energy_tiers(power: np.ndarray) -> np.ndarray:
    """Exact one-dimensional 3-means of channel powers (NeuroNarrator, Sec. 3.2.3).

    In one dimension the clusters are intervals, so the two cuts with the least within-cluster sum of squares are found
    by trying all pairs at once with prefix sums.

    Args:
        power: (..., C) powers of the channels.

    Returns:
        (..., C) integers: 0 for the high, 1 for the medium, 2 for the low tier. With two channels there is no medium
        tier, with one only the high tier.
    """
    count = power.shape[-1]
    if count < 3:
        return np.broadcast_to(0, power.shape) if count == 1 else 2 * (power < power.max(-1, keepdims=True))
    order = np.argsort(-power, axis=-1, kind="stable")
    values = np.take_along_axis(power, order, -1).astype(np.float64)
    zero = np.zeros((*power.shape[:-1], 1))
    sums = np.concatenate([zero, values.cumsum(-1)], -1)
    cuts = np.array([(i, j) for i in range(1, count - 1) for j in range(i + 1, count)])
    edges = np.pad(cuts, ((0, 0), (1, 1)), constant_values=((0, 0), (0, count)))
    within = np.diff(sums[..., edges], axis=-1) ** 2 / np.diff(edges, axis=-1)
    best = cuts[within.sum(-1).argmax(-1)]
    ranks = np.arange(count)
    tiers = (ranks >= best[..., :1]).astype(int) + (ranks >= best[..., 1:])
    result = np.empty_like(tiers)
    np.put_along_axis(result, order, tiers, -1)
    return result


def asymmetry_index(power: np.ndarray, ch_names: Sequence[str]) -> np.ndarray:
    """Mean log ratio of right to left power over homologous pairs, (..., C) → (...); nan without a pair."""
    index = {name: i for i, name in enumerate(ch_names)}
    pairs = [(i, index[m]) for n, i in index.items() if side_of(n) == "left" and (m := mirror_of(n)) in index]
    if not pairs:
        return np.full(power.shape[:-1], np.nan)
    left, right = np.array(pairs).T
    log_power = np.log(power + MIN_POWER_UV2)
    return (log_power[..., right] - log_power[..., left]).mean(-1)


def extract_features(segments: Sequence[Segment]) -> list[Features]:
    """Measure the segments of one recording; `Segment.history` indexes into the same sequence.

    Args:
        segments: all segments of a recording (or of one random crop with its history), one channel layout.

    Returns:
        One `Features` a segment.
    """
    if not segments:
        return []
    ch_names = segments[0].ch_names
    signal = stack_signals(segments)
    freqs, density = spectrum(signal, segments[0].sfreq)
    channel_band = band_powers(freqs, density)
    channel_power = signal.var(-1, dtype=np.float64)
    tiers = energy_tiers(channel_power)
    amplitude = np.median(np.ptp(signal, axis=-1) / 2, axis=-1)
    asymmetry = asymmetry_index(channel_power, ch_names)
    mean_density, mean_band = density.mean(1), channel_band.mean(1)
    return [
        Features(
            ch_names=ch_names,
            channel_band_power_uv2=channel_band[i],
            channel_power_uv2=channel_power[i],
            tiers=tiers[i],
            dominant_hz=_peak_hz(freqs, mean_density[i], list(BANDS.values())[int(mean_band[i].argmax())]),
            amplitude_uv=float(amplitude[i]),
            asymmetry_index=float(asymmetry[i]),
            history_band_power_uv2=mean_band[list(segment.history)].mean(0) if segment.history else None,
        )
        for i, segment in enumerate(segments)
    ]


def _peak_hz(freqs: np.ndarray, density: np.ndarray, band: tuple[float, float]) -> float:
    inside = np.flatnonzero((freqs >= band[0]) & (freqs < band[1]) & (freqs > 0))
    return float(freqs[inside[density[inside].argmax()]])
