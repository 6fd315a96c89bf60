"""Rule detectors of artifacts; neither paper states thresholds, so ours are the constants below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from corpus.features import BANDS, Features
from corpus.montage import electrode_positions
from corpus.recording import Defect
from corpus.segment import Segment

ARTIFACT_KINDS = ("blink", "muscle", "electrode", "flat", "missing")
FRONTAL_POLE = ("Fp1", "Fp2", "Fpz", "AF7", "AF8", "AF3", "AF4")  # where a blink is largest, best first
BLINK_UV = 50.0  # least prominence of a positive frontal deflection below 8 Hz
BLINK_WIDTH_S = (0.08, 0.6)  # its width at half prominence
BLINK_GRADIENT = 2.0  # frontal deflection over the median of all channels at the same instant
MUSCLE_UV2 = 25.0  # power at 30-75 Hz of a channel (5 µV root mean square)
ELECTRODE_UV = 150.0  # least peak-to-peak of a bad contact ...
ELECTRODE_RATIO = 4.0  # ... and its least ratio to the median channel ...
ELECTRODE_CORRELATION = 0.4  # ... and its highest correlation with the mean of its three nearest electrodes
FLAT_UV, FLAT_S = 0.5, 2.0  # a channel is flat where its peak-to-peak stays below FLAT_UV for FLAT_S


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
    found = [*find_blinks(segment), *find_muscle(segment, features), *find_flat(segment), *find_electrode(segment)]
    return sorted([*found, *_missing(segment, defects)], key=lambda artifact: (artifact.start_s, artifact.kind))


def find_blinks(segment: Segment) -> list[Artifact]:
    """Positive deflections at the frontal pole, 0.08 to 0.6 s wide, at least twice the median of all channels."""
    names = [n for n in FRONTAL_POLE if n in segment.ch_names][:2]
    if not names or len(segment.ch_names) < 4:
        return []
    low = sosfiltfilt(butter(2, 8.0, fs=segment.sfreq, output="sos"), segment.signal_uv, axis=-1)
    low = low - np.median(low, axis=-1, keepdims=True)
    frontal = low[[segment.ch_names.index(n) for n in names]].min(0)
    width = tuple(w * segment.sfreq for w in BLINK_WIDTH_S)
    peaks, shape = find_peaks(frontal, prominence=BLINK_UV, width=width)
    found = []
    for peak, half_width in zip(peaks, shape["widths"], strict=True):
        if frontal[peak] >= BLINK_GRADIENT * max(float(np.median(low[:, peak])), 0.0):
            duration = 2 * half_width / segment.sfreq
            start = segment.start_s + max(peak / segment.sfreq - duration / 2, 0.0)
            found.append(Artifact("blink", tuple(names), start, duration, float(frontal[peak]), "µV"))
    return found


def find_muscle(segment: Segment, features: Features) -> list[Artifact]:
    """Channels whose power at 30-75 Hz exceeds `MUSCLE_UV2`, as one artifact over the segment."""
    bands = list(BANDS)
    fast = features.channel_band_power_uv2[:, [bands.index("gamma"), bands.index("high_gamma")]].sum(-1)
    names = tuple(np.array(segment.ch_names)[fast > MUSCLE_UV2].tolist())
    if not names:
        return []
    return [Artifact("muscle", names, segment.start_s, segment.duration_s, float(fast.max()), "µV²")]


def find_electrode(segment: Segment) -> list[Artifact]:
    """Channels of extreme amplitude that their three nearest electrodes do not share."""
    count = len(segment.ch_names)
    if count < 4:
        return []
    extent = np.ptp(segment.signal_uv, axis=-1)
    suspects = np.flatnonzero((extent > ELECTRODE_UV) & (extent > ELECTRODE_RATIO * np.median(extent)))
    if not len(suspects):
        return []
    positions = electrode_positions(segment.ch_names)
    found = []
    for i in suspects:
        nearest = np.argsort(np.linalg.norm(positions - positions[i], axis=1))[1:4]
        pair = np.stack([segment.signal_uv[i], segment.signal_uv[nearest].mean(0)])
        if np.ptp(pair[1]) < FLAT_UV or np.corrcoef(pair)[0, 1] < ELECTRODE_CORRELATION:
            where = (segment.start_s, segment.duration_s)
            found.append(Artifact("electrode", (segment.ch_names[i],), *where, float(extent[i]), "µV"))
    return found


def find_flat(segment: Segment) -> list[Artifact]:
    """Stretches of at least `FLAT_S` seconds in which a channel moves less than `FLAT_UV`."""
    window = round(segment.sfreq / 2)
    count = segment.signal_uv.shape[-1] // window
    blocks = segment.signal_uv[:, : count * window].reshape(len(segment.ch_names), count, window)
    still = np.ptp(blocks, axis=-1) < FLAT_UV
    found = []
    for name, row in zip(segment.ch_names, still, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
        for begin, end in edges.reshape(-1, 2):
            duration = (end - begin) * window / segment.sfreq
            if duration >= FLAT_S:
                start = segment.start_s + begin * window / segment.sfreq
                found.append(Artifact("flat", (name,), start, duration, FLAT_UV, "µV"))
    return found


def _missing(segment: Segment, defects: Sequence[Defect]) -> list[Artifact]:
    end_s = segment.start_s + segment.duration_s
    return [
        Artifact("missing", (d.ch_name,), d.start_s, d.duration_s, d.duration_s, "s")
        for d in defects
        if d.start_s < end_s and d.start_s + d.duration_s > segment.start_s and d.ch_name in segment.ch_names
    ]
