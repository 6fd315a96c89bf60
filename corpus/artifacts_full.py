"""The remaining artifacts of CerebraGloss: lateral eye movements, respiration, extreme amplitude, a segment all bad.

They stand apart from `corpus.artifacts` because narratives state only the kinds there. The paper names signatures but
no thresholds: ours are the constants below.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.signal import find_peaks

from corpus.areas import pair_rows
from corpus.artifacts import ARTIFACT_KINDS, Artifact, detect_together
from corpus.features import Features, chunks
from corpus.montage import region_of
from corpus.recording import Defect
from corpus.segment import Segment

EXTENDED_KINDS = ("eye_left", "eye_right", "respiration", "extreme", "global_bad")
FULL_KINDS = (*ARTIFACT_KINDS, *EXTENDED_KINDS)
SLOW_HZ = 20.0  # rate of the block means in which slow artifacts are looked for
LATERAL_PAIRS = (("F7", "F8"), ("AF7", "AF8"), ("F9", "F10"), ("FT7", "FT8"), ("FT9", "FT10"))  # best first
GAZE_UV = 60.0  # least prominence of the one electrode minus the other ...
GAZE_NOISE = 4.0  # ... and its least ratio to what that difference mostly does (median absolute value, as an SD)
GAZE_WIDTH_S = (0.4, 3.0)  # its width at half prominence: shorter ones are no saccade and return
GAZE_OPPOSITE = 0.2  # the weaker side has the other sign and at least this share of the stronger one
GAZE_GRADIENT = 2.0  # least ratio to the median right-left difference of central, parietal and occipital pairs
GAZE_EDGE_S, GAZE_EDGE = 0.15, 0.7  # a saccade: the share of the prominence that is covered within that time
BREATH_HZ = (0.2, 0.5)  # two cycles of the slowest fit into ten seconds
BREATH_STEP_HZ = 0.05
BREATH_UV = 15.0  # least amplitude (half peak-to-peak) of the sine that fits ...
BREATH_SHARE = 0.7  # ... the share that it explains of everything below 2 Hz, slope removed ...
BREATH_CHANNELS = 2  # ... on at least two channels
EXTREME_UV = 1000.0  # beyond it a sample is no EEG: blinks of PhysioNet EEGMMIDB reach 630 µV
EXTREME_JOIN_S = 0.5  # extreme stretches that are closer are one
BAD_KINDS = ("electrode", "flat", "missing", "extreme")  # while they last a channel holds no EEG
BAD_SHARE = 0.5  # of the time for a channel to be bad, of the channels for a segment to be bad


def detect_artifacts_full(
    segments: Sequence[Segment], features: Sequence[Features], defects: Sequence[Defect] = ()
) -> list[list[Artifact]]:
    """Artifacts of every kind in `FULL_KINDS`, of segments of one layout, those of `detect_artifacts` among them."""
    found: list[list[Artifact]] = []
    for part, signal in chunks(segments):
        found += detect_full_together(segments[part], signal, features[part], defects)
    return found


def detect_full_together(
    segments: Sequence[Segment], signal_uv: np.ndarray, features: Sequence[Features], defects: Sequence[Defect] = ()
) -> list[list[Artifact]]:
    """As `detect_artifacts_full`, of a few segments whose signals are stacked already, (S, C, T)."""
    found = []
    slow, rate = block_means(signal_uv, segments[0].sfreq)
    rules = (
        detect_together(segments, signal_uv, features, defects),
        find_gaze(segments, slow, rate),
        find_respiration(segments, slow, rate),
        find_extreme(segments, signal_uv),
    )
    for segment, own in zip(segments, zip(*rules, strict=True), strict=True):
        artifacts = [artifact for rule in own for artifact in rule]
        artifacts += find_global_bad(segment, artifacts)
        found.append(sorted(artifacts, key=lambda artifact: (artifact.start_s, artifact.kind)))
    return found


def block_means(signal_uv: np.ndarray, sfreq: float, rate: float = SLOW_HZ) -> tuple[np.ndarray, float]:
    """Means of short blocks, about `rate` a second: (..., T) to (..., T') microvolts, and their exact rate in Hz."""
    size = max(round(sfreq / rate), 1)
    count = signal_uv.shape[-1] // size
    blocks = signal_uv[..., : count * size].reshape(*signal_uv.shape[:-1], count, size)
    return blocks @ np.full(size, 1 / size, blocks.dtype), sfreq / size


def find_gaze(segments: Sequence[Segment], slow_uv: np.ndarray, rate: float) -> list[list[Artifact]]:
    """Lateral eye movements: the two temples move apart, with opposite polarity, in a saccade.

    The cornea is positive: looking to the left makes the left electrode positive and the right one negative.

    Args:
        segments: S segments of one layout.
        slow_uv: (S, C, T') their block means.
        rate: of the block means, Hz.
    """
    ch_names = segments[0].ch_names
    names = next((pair for pair in LATERAL_PAIRS if set(pair) <= set(ch_names)), None)
    if names is None:
        return [[] for _ in segments]
    eyes = slow_uv[:, [ch_names.index(name) for name in names]]
    eyes = eyes - np.median(eyes, axis=-1, keepdims=True)
    moved = np.flatnonzero(np.ptp(eyes[:, 0] - eyes[:, 1], axis=-1) >= GAZE_UV).tolist()
    elsewhere = _right_less_left(slow_uv[moved], ch_names)
    found: list[list[Artifact]] = [[] for _ in segments]
    for s, other in zip(moved, elsewhere, strict=True):
        left, right = eyes[s]
        for kind, away, toward in (("eye_left", right, left), ("eye_right", left, right)):
            for start, duration, value in _saccades(toward, away, other, rate):
                found[s].append(Artifact(kind, names, segments[s].start_s + start, duration, value, "µV"))
    return found


def _right_less_left(slow_uv: np.ndarray, ch_names: tuple[str, ...]) -> np.ndarray:
    """Size of the median difference of the pairs that are neither frontal nor temporal, (S, T'); 0 without any."""
    pairs = [pair for pair in pair_rows(ch_names) if region_of(ch_names[pair[0]]) not in ("frontal", "temporal")]
    if not pairs:
        return np.zeros_like(slow_uv[:, 0])
    left, right = np.array(pairs).T
    return np.abs(np.median(slow_uv[:, right] - slow_uv[:, left], axis=1))


def _saccades(
    toward: np.ndarray, away: np.ndarray, elsewhere: np.ndarray, rate: float
) -> list[tuple[float, float, float]]:
    """Start, duration and size of the deflections that make `toward` positive and `away` negative."""
    apart = toward - away
    width = tuple(w * rate for w in GAZE_WIDTH_S)
    noise = 1.4826 * float(np.median(np.abs(apart)))
    peaks, shape = find_peaks(apart, prominence=max(GAZE_UV, GAZE_NOISE * noise), width=width)
    reach = max(round(GAZE_EDGE_S * rate), 1)
    found = []
    for peak, prominence, begin, end in zip(
        peaks, shape["prominences"], shape["left_ips"], shape["right_ips"], strict=True
    ):
        first, last = max(int(begin) - reach, 0), min(int(end) + reach + 2, len(apart))
        steepest = np.abs(apart[first + reach : last] - apart[first : last - reach]).max()
        opposite = min(toward[peak], -away[peak]) >= GAZE_OPPOSITE * max(toward[peak], -away[peak])
        local = apart[peak] >= GAZE_GRADIENT * elsewhere[peak]
        if opposite and local and steepest >= GAZE_EDGE * prominence:
            found.append((begin / rate, (end - begin) / rate, float(prominence)))
    return found


def find_respiration(segments: Sequence[Segment], slow_uv: np.ndarray, rate: float) -> list[list[Artifact]]:
    """A slow rhythm of 0.2-0.5 Hz: one sine explains most of what is below 2 Hz, on several channels.

    Args:
        segments: S segments of one layout.
        slow_uv: (S, C, T') their block means.
        rate: of the block means, Hz.
    """
    slow, rate = block_means(slow_uv.astype(np.float64), rate, 4.0)
    count = slow.shape[-1]
    time = np.arange(count) / rate
    trend, _ = np.linalg.qr(np.stack([np.ones(count), time], axis=1))
    slow = slow - (slow @ trend) @ trend.T
    energy = np.maximum((slow**2).sum(-1), 1e-12)
    hz = np.arange(BREATH_HZ[0], BREATH_HZ[1] + BREATH_STEP_HZ / 2, BREATH_STEP_HZ)
    waves = []
    for f in hz:
        pair = np.stack([np.cos(2 * np.pi * f * time), np.sin(2 * np.pi * f * time)], axis=1)
        waves.append(np.linalg.qr(pair - trend @ (trend.T @ pair))[0])
    weights = slow @ np.concatenate(waves, axis=1)  # (S, C, 2 frequencies)
    shares = (weights**2).reshape(*energy.shape, len(hz), 2).sum(-1) / energy[..., None]
    best = shares.argmax(-1)
    found: list[list[Artifact]] = [[] for _ in segments]
    fits = (shares.max(-1) >= BREATH_SHARE) & (np.sqrt(2 * energy * shares.max(-1) / count) >= BREATH_UV)
    for s in np.flatnonzero(fits.sum(1) >= BREATH_CHANNELS).tolist():
        segment, rows = segments[s], np.flatnonzero(fits[s]).tolist()
        names, rate_hz = tuple(segment.ch_names[i] for i in rows), float(np.median(hz[best[s, rows]]))
        found[s].append(Artifact("respiration", names, segment.start_s, segment.duration_s, rate_hz, "Hz"))
    return found


def find_extreme(segments: Sequence[Segment], signal_uv: np.ndarray) -> list[list[Artifact]]:
    """Stretches in which a channel exceeds `EXTREME_UV` or is no number; signals (S, C, T)."""
    found: list[list[Artifact]] = [[] for _ in segments]
    within = (signal_uv.max(-1) < EXTREME_UV) & (signal_uv.min(-1) > -EXTREME_UV)  # False for NaN
    for s, i in np.argwhere(~within):
        segment = segments[s]
        outside = np.flatnonzero(~(np.abs(signal_uv[s, i]) < EXTREME_UV))
        parts = np.split(outside, np.flatnonzero(np.diff(outside) > EXTREME_JOIN_S * segment.sfreq) + 1)
        for samples in parts:
            start = segment.start_s + samples[0] / segment.sfreq
            duration = (samples[-1] - samples[0] + 1) / segment.sfreq
            value = float(np.abs(signal_uv[s, i, samples]).max())
            found[s].append(Artifact("extreme", (segment.ch_names[i],), float(start), float(duration), value, "µV"))
    return found


def bad_share(segment: Segment, artifacts: Sequence[Artifact], kinds: tuple[str, ...] = BAD_KINDS) -> np.ndarray:
    """The share of the time that artifacts of some kinds take of each channel, (C,), in steps of 0.1 s."""
    counting = [artifact for artifact in artifacts if artifact.kind in kinds]
    if not counting:
        return np.zeros(len(segment.ch_names))
    steps = max(round(10 * segment.duration_s), 1)
    bad = np.zeros((len(segment.ch_names), steps), dtype=bool)
    for artifact in counting:
        begin = max(math.floor(10 * (artifact.start_s - segment.start_s)), 0)
        end = math.ceil(10 * (artifact.start_s + artifact.duration_s - segment.start_s))
        for name in artifact.ch_names:
            bad[segment.ch_names.index(name), begin:end] = True
    return bad.mean(-1)


def find_global_bad(segment: Segment, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Half of the channels hold no EEG for half of the segment: nothing in it can be read."""
    if not any(artifact.kind in BAD_KINDS for artifact in artifacts):
        return []
    bad = bad_share(segment, artifacts) >= BAD_SHARE
    if bad.mean() < BAD_SHARE:
        return []
    names = tuple(name for name, own in zip(segment.ch_names, bad, strict=True) if own)
    return [Artifact("global_bad", names, segment.start_s, segment.duration_s, float(bad.mean()), "share of channels")]
