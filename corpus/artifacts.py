"""Rule detectors of artifacts; neither paper states thresholds, so ours are the constants below."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from corpus.areas import nearest_rows
from corpus.features import BANDS, Features, chunks
from corpus.preprocess.damage import MISSING
from corpus.recording import Defect
from corpus.segment import Segment
from corpus.spectra import median

ARTIFACT_KINDS = ("blink", "muscle", "electrode", "flat", "missing")
FRONTAL_POLE = ("Fp1", "Fp2", "Fpz", "AF7", "AF8", "AF3", "AF4")  # where a blink is largest, best first
EYE_HZ = 8.0  # eye movements are looked for below it
BLINK_UV = 50.0  # least prominence of a positive frontal deflection below 8 Hz
BLINK_WIDTH_S = (0.08, 0.6)  # its width at half prominence
BLINK_GRADIENT = 2.0  # frontal deflection over the median of all channels at the same instant
MUSCLE_UV2 = 25.0  # power at 30-75 Hz of a channel (5 µV root mean square)
ELECTRODE_UV = 150.0  # least peak-to-peak of a bad contact ...
ELECTRODE_RATIO = 4.0  # ... and its least ratio to the median channel ...
ELECTRODE_CORRELATION = 0.4  # ... and its highest correlation with the mean of its three nearest electrodes
FLAT_UV, FLAT_S = 0.5, 2.0  # a channel is flat where its peak-to-peak stays below FLAT_UV for FLAT_S
PROBES = 4  # samples of each half second that rule out a flat channel before all are looked at


@dataclass(frozen=True)
class Artifact:
    """One artifact; `start_s` counts from the start of the recording, `value` is what the rule measured."""

    kind: str
    ch_names: tuple[str, ...]
    start_s: float
    duration_s: float
    value: float
    unit: str


def detect_artifacts(segment: Segment, features: Features, defects: Sequence[Defect] = ()) -> list[Artifact]:
    """Every artifact of a segment: blinks one by one, muscle, bad electrodes and flat channels, missing samples."""
    return detect_in_all([segment], [features], defects)[0]


def detect_in_all(
    segments: Sequence[Segment], features: Sequence[Features], defects: Sequence[Defect] = ()
) -> list[list[Artifact]]:
    """`detect_artifacts` of many segments of one layout, measured together: the same artifacts, in half of the time."""
    found: list[list[Artifact]] = []
    for part, signal in chunks(segments):
        found += detect_together(segments[part], signal, features[part], defects)
    return found


def detect_together(
    segments: Sequence[Segment], signal_uv: np.ndarray, features: Sequence[Features], defects: Sequence[Defect] = ()
) -> list[list[Artifact]]:
    """As `detect_in_all`, of a few segments whose signals are stacked already, (S, C, T)."""
    found = []
    rules = (find_blinks(segments, signal_uv), find_flat(segments, signal_uv), find_electrode(segments, signal_uv))
    for segment, own, blinks, flats, electrodes in zip(segments, features, *rules, strict=True):
        artifacts = [*blinks, *find_muscle(segment, own), *flats, *electrodes, *_defective(segment, defects)]
        found.append(sorted(artifacts, key=lambda artifact: (artifact.start_s, artifact.kind)))
    return found


def below_eye_hz(signal_uv: np.ndarray, sfreq: float) -> np.ndarray:
    """The part of a signal (..., T) below `EYE_HZ`, each row around its median; zero phase."""
    low = sosfiltfilt(_low_pass(sfreq), signal_uv, axis=-1)
    return low - np.median(low, axis=-1, keepdims=True)


def find_blinks(segments: Sequence[Segment], signal_uv: np.ndarray) -> list[list[Artifact]]:
    """Positive deflections at the frontal pole, 0.08 to 0.6 s wide, at least twice the median of all channels.

    Args:
        segments: S segments of one layout.
        signal_uv: their signals, (S, C, T).
    """
    ch_names = segments[0].ch_names
    names = [n for n in FRONTAL_POLE if n in ch_names][:2]
    if not names or len(ch_names) < 4:
        return [[] for _ in segments]
    rows = [ch_names.index(n) for n in names]
    frontal = below_eye_hz(signal_uv[:, rows], segments[0].sfreq).min(1)
    return [_blinks(segment, own, names) for segment, own in zip(segments, frontal, strict=True)]


def _blinks(segment: Segment, frontal: np.ndarray, names: list[str]) -> list[Artifact]:
    if frontal.max() - frontal.min() < BLINK_UV:
        return []  # no peak can be as prominent
    width = tuple(w * segment.sfreq for w in BLINK_WIDTH_S)
    peaks, shape = find_peaks(frontal, prominence=BLINK_UV, width=width)
    if not len(peaks):
        return []
    everywhere = median(below_eye_hz(segment.signal_uv, segment.sfreq)[:, peaks].T)
    found = []
    for peak, half_width, middle in zip(peaks, shape["widths"], everywhere, strict=True):
        if frontal[peak] >= BLINK_GRADIENT * max(float(middle), 0.0):
            duration = 2 * half_width / segment.sfreq
            start = segment.start_s + max(peak / segment.sfreq - duration / 2, 0.0)
            found.append(Artifact("blink", tuple(names), start, duration, float(frontal[peak]), "µV"))
    return found


def find_muscle(segment: Segment, features: Features) -> list[Artifact]:
    """Channels whose power at 30-75 Hz exceeds `MUSCLE_UV2`, as one artifact over the segment."""
    bands = list(BANDS)
    fast = features.channel_band_power_uv2[:, [bands.index("gamma"), bands.index("high_gamma")]].sum(-1)
    if not fast.max() > MUSCLE_UV2:
        return []
    names = tuple(name for name, much in zip(segment.ch_names, fast > MUSCLE_UV2, strict=True) if much)
    return [Artifact("muscle", names, segment.start_s, segment.duration_s, float(fast.max()), "µV²")]


def find_electrode(segments: Sequence[Segment], signal_uv: np.ndarray) -> list[list[Artifact]]:
    """Channels of extreme amplitude that their three nearest electrodes do not share; signals (S, C, T)."""
    found: list[list[Artifact]] = [[] for _ in segments]
    if len(segments[0].ch_names) < 4:
        return found
    extent = signal_uv.max(-1) - signal_uv.min(-1)
    usual = median(extent)[:, None]
    for s, i in np.argwhere((extent > ELECTRODE_UV) & (extent > ELECTRODE_RATIO * usual)):
        segment = segments[s]
        others = nearest_rows(segment.ch_names)[i, :3]
        pair = np.stack([segment.signal_uv[i], segment.signal_uv[others].mean(0)])
        if np.ptp(pair[1]) < FLAT_UV or np.corrcoef(pair)[0, 1] < ELECTRODE_CORRELATION:
            where = (segment.start_s, segment.duration_s)
            found[s].append(Artifact("electrode", (segment.ch_names[i],), *where, float(extent[s, i]), "µV"))
    return found


def find_flat(segments: Sequence[Segment], signal_uv: np.ndarray) -> list[list[Artifact]]:
    """Stretches of at least `FLAT_S` seconds in which a channel moves less than `FLAT_UV`; signals (S, C, T)."""
    found: list[list[Artifact]] = [[] for _ in segments]
    sfreq = segments[0].sfreq
    window = round(sfreq / 2)
    count = signal_uv.shape[-1] // window
    blocks = signal_uv[..., : count * window].reshape(*signal_uv.shape[:-1], count, window)
    probes = np.moveaxis(blocks[..., :: max(window // PROBES, 1)], -1, 0)  # few: one by one, each for all blocks
    maybe = np.maximum.reduce(probes) - np.minimum.reduce(probes) < FLAT_UV
    for s, i in np.argwhere(maybe.sum(-1) * window / sfreq >= FLAT_S):
        still = np.ptp(blocks[s, i], axis=-1) < FLAT_UV
        edges = np.flatnonzero(np.diff(np.concatenate([[0], still, [0]])))
        for begin, end in edges.reshape(-1, 2):
            duration = (end - begin) * window / sfreq
            if duration >= FLAT_S:
                start = segments[s].start_s + begin * window / sfreq
                found[s].append(Artifact("flat", (segments[s].ch_names[i],), start, duration, FLAT_UV, "µV"))
    return found


@lru_cache(maxsize=16)
def _low_pass(sfreq: float) -> np.ndarray:
    return butter(2, EYE_HZ, fs=sfreq, output="sos")


def _defective(segment: Segment, defects: Sequence[Defect]) -> list[Artifact]:
    """Stretches of a segment that were interpolated: missing samples, or an electrode beyond what it can measure."""
    found = []
    for defect in defects:
        start = max(defect.start_s, segment.start_s)
        duration = min(defect.start_s + defect.duration_s, segment.start_s + segment.duration_s) - start
        if duration > 0 and defect.ch_name in segment.ch_names:
            kind = "missing" if defect.why == MISSING else "electrode"
            found.append(Artifact(kind, (defect.ch_name,), start, duration, duration, "s"))
    return found
