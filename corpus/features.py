"""What is measured in a segment: band powers, trends, energy tiers, dominant rhythm, amplitude, asymmetry.

Bands and tiers follow NeuroNarrator, Sec. 3.2.3; amplitude follows CerebraGloss (half peak-to-peak). Neither paper
states estimators or thresholds: ours are the constants below.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from corpus.areas import REGIONS as REGIONS
from corpus.areas import pair_rows, region_rows
from corpus.bands import NEURONARRATOR, band_powers, peak_hz
from corpus.segment import Segment, stack_signals
from corpus.spectra import WELCH_WINDOW_S as WELCH_WINDOW_S
from corpus.spectra import median, spectrum

BANDS: dict[str, tuple[float, float]] = dict(NEURONARRATOR.edges_hz)
TIERS = ("high", "medium", "low")
STABLE_RATIO = 1.25  # within [1/1.25, 1.25] of the history's mean a band is stable
MARKED_RATIO = 2.0  # at or beyond a factor of two a change is marked, between the two it is moderate
LOW_AMPLITUDE_UV, HIGH_AMPLITUDE_UV = 20.0, 50.0
ASYMMETRY_RATIO = 1.5  # geometric mean of right/left power over homologous pairs
MIN_POWER_UV2 = 1e-6  # floor under logarithms and ratios
CHUNK = 32  # segments measured at once: few enough for the cache of a core, and enough for what a call costs


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

    @cached_property
    def band_power_uv2(self) -> np.ndarray:
        """Mean over channels of the power in each band, (6,)."""
        return self.channel_band_power_uv2.mean(0)

    @cached_property
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

    @cached_property
    def region_power_uv2(self) -> dict[str, float]:
        """Mean power of the channels of each recorded region."""
        power = self.channel_power_uv2.tolist()
        rows = region_rows(self.ch_names)
        return {region: sum(power[i] for i in index.tolist()) / len(index) for region, index in rows.items()}

    @property
    def dominant_region(self) -> str:
        """The region with the highest mean channel power."""
        power = self.region_power_uv2
        return max(power, key=power.__getitem__)

    @cached_property
    def trend_ratio(self) -> np.ndarray | None:
        """Power of each band relative to the mean of its history, (6,), or None without history."""
        if self.history_band_power_uv2 is None:
            return None
        return (self.band_power_uv2 + MIN_POWER_UV2) / (self.history_band_power_uv2 + MIN_POWER_UV2)

    @cached_property
    def trend(self) -> dict[str, str] | None:
        """Trend word of each band, or None without history."""
        if self.trend_ratio is None:
            return None
        return {band: trend_word(ratio) for band, ratio in zip(BANDS, self.trend_ratio.tolist(), strict=True)}

    def tier(self, name: str) -> list[str]:
        """Electrodes of one tier ("high", "medium", "low"), highest power first."""
        return self._tiers[TIERS.index(name)]

    @cached_property
    def _tiers(self) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in TIERS]
        tiers = self.tiers.tolist()
        for i in np.argsort(-self.channel_power_uv2, kind="stable").tolist():
            found[tiers[i]].append(self.ch_names[i])
        return found


def trend_word(ratio: float) -> str:
    """The word for a ratio of powers: stable, or a moderate or marked increase or decrease."""
    size = max(ratio, 1 / ratio)
    if size <= STABLE_RATIO:
        return "stable"
    strength = "marked" if size >= MARKED_RATIO else "moderate"
    return f"{strength} {'increase' if ratio > 1 else 'decrease'}"


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
    sums = np.concatenate([np.zeros((*power.shape[:-1], 1)), values.cumsum(-1)], -1)
    cuts = _cuts(count)
    first, second = sums[..., cuts[:, 0]], sums[..., cuts[:, 1]]
    between = first**2 / cuts[:, 0]  # the more of it, the less is left within the clusters
    between += (second - first) ** 2 / (cuts[:, 1] - cuts[:, 0])
    between += (sums[..., -1:] - second) ** 2 / (count - cuts[:, 1])
    best = cuts[between.argmax(-1)]
    ranks = np.arange(count)
    tiers = (ranks >= best[..., :1]).astype(int) + (ranks >= best[..., 1:])
    result = np.empty_like(tiers)
    np.put_along_axis(result, order, tiers, -1)
    return result


@lru_cache(maxsize=64)
def _cuts(count: int) -> np.ndarray:
    """Every pair of places that cut `count` sorted values into three, (n, 2)."""
    return np.stack(np.triu_indices(count - 1, 1), axis=1) + 1


def homologous_pairs(ch_names: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the left and the right electrode of each pair that was recorded whole."""
    return [(int(left), int(right)) for left, right in pair_rows(tuple(ch_names))]


def asymmetry_index(power: np.ndarray, ch_names: Sequence[str]) -> np.ndarray:
    """Mean log ratio of right to left power over homologous pairs, (..., C) → (...); nan without a pair."""
    left, right = pair_rows(tuple(ch_names)).T
    if not len(left):
        return np.full(power.shape[:-1], np.nan)
    log_power = np.log(power + MIN_POWER_UV2)
    return (log_power[..., right] - log_power[..., left]).mean(-1)


@dataclass(frozen=True, eq=False)
class Measures:
    """What `Features` are made of, for S segments of one layout: arrays with S rows, named as there."""

    channel_band_power_uv2: np.ndarray
    channel_power_uv2: np.ndarray
    tiers: np.ndarray
    dominant_hz: np.ndarray
    amplitude_uv: np.ndarray
    asymmetry_index: np.ndarray


def chunks(segments: Sequence[Segment]) -> Iterator[tuple[slice, np.ndarray]]:
    """Segments in groups of at most `CHUNK`: where they stand, and their signals (S, C, T)."""
    for start in range(0, len(segments), CHUNK):
        part = slice(start, min(start + CHUNK, len(segments)))
        yield part, stack_signals(segments[part])


def measure(signal_uv: np.ndarray, freqs: np.ndarray, density: np.ndarray, ch_names: tuple[str, ...]) -> Measures:
    """Measure segments of one layout whose spectrum is known.

    Args:
        signal_uv: (S, C, T) microvolts.
        freqs: (F,) Hz.
        density: (S, C, F) µV²/Hz.
        ch_names: C electrode names.
    """
    channel_band = band_powers(freqs, density)
    centred = signal_uv - signal_uv.mean(-1, keepdims=True)
    channel_power = np.vecdot(centred, centred).astype(np.float64) / signal_uv.shape[-1]
    best = channel_band.mean(1).argmax(-1)
    return Measures(
        channel_band,
        channel_power,
        energy_tiers(channel_power),
        peak_hz(freqs, density.mean(1), NEURONARRATOR, best),
        median(signal_uv.max(-1) - signal_uv.min(-1)) / 2,
        asymmetry_index(channel_power, ch_names),
    )


def extract_features(segments: Sequence[Segment]) -> list[Features]:
    """Measure the segments of one recording; `Segment.history` indexes into the same sequence.

    A trend compares with the mean of the (at most K) segments before. A segment at the start of a recording or right
    after a break has no history (`segment_recording` sees to it) and so no trend; the next ones have a shorter history.

    Args:
        segments: all segments of a recording (or of one random crop with its history), one channel layout; a history
            comes before those that refer to it.

    Returns:
        One `Features` a segment.
    """
    found: list[Features] = []
    mean_band = np.empty((len(segments), len(BANDS)))
    for part, signal in chunks(segments):
        freqs, density = spectrum(signal, segments[0].sfreq)
        measures = measure(signal, freqs, density, segments[0].ch_names)
        mean_band[part] = measures.channel_band_power_uv2.mean(1)
        found += features_of(segments[part], measures, mean_band)
    return found


def features_of(segments: Sequence[Segment], measures: Measures, mean_band: np.ndarray) -> list[Features]:
    """The features of measured segments: what is added is the mean of each one's history.

    Args:
        segments: S segments.
        measures: of these segments.
        mean_band: (n, 6) mean band powers of all segments that any `Segment.history` speaks of, µV².
    """
    return [
        Features(
            ch_names=segment.ch_names,
            channel_band_power_uv2=measures.channel_band_power_uv2[i],
            channel_power_uv2=measures.channel_power_uv2[i],
            tiers=measures.tiers[i],
            dominant_hz=float(measures.dominant_hz[i]),
            amplitude_uv=float(measures.amplitude_uv[i]),
            asymmetry_index=float(measures.asymmetry_index[i]),
            history_band_power_uv2=mean_band[list(segment.history)].mean(0) if segment.history else None,
        )
        for i, segment in enumerate(segments)
    ]
