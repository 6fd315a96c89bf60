"""Where each event can be seen: one box per electrode, as a detector of waveforms has to find it.

A box is made from what the event itself adds to that electrode, in the recording's own reference. It exists where that
reaches the least amplitude of its class and stands out from everything else; it lasts from the first to the last sample
above a share of the peak. A run of spike-and-wave is one box, as is an episode of chewing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import fft

CONTRAST = 2.0  # least ratio of the peak to the root mean square of all but its class in the band of the class ...
CONTEXT_S = 1.0  # ... during the event and this long before and after it


@dataclass(frozen=True)
class BoxRule:
    """When an event has a box on an electrode, and how long it is.

    Attributes:
        kind: class of the box.
        least_uv: least absolute peak of the event on the electrode, microvolts.
        band_hz: what is there but this class is measured between these frequencies; None asks for no contrast.
        edge: the box holds what exceeds this share of the peak.
        polarity: 1 where only a positive peak counts, -1 only a negative one, 0 any.
        least_s: what is seen for a shorter time is no box: the spike of a complex whose slow wave does not reach.
    """

    kind: str
    least_uv: float
    band_hz: tuple[float, float] | None = None
    edge: float = 0.1
    polarity: int = 0
    least_s: float = 0.0


_SPSW = BoxRule("spsw", 30.0, (1.0, math.inf), least_s=0.15)
_NOISE = BoxRule("hfnoise", 25.0, (20.0, math.inf), least_s=0.2)
_GAZE = BoxRule("eyer", 20.0, (0.3, 6.0), least_s=0.2)
BOX_RULES: Mapping[str, BoxRule] = MappingProxyType(
    {
        "spike": BoxRule("spike", 25.0, (5.0, math.inf), least_s=0.02),
        "sharp_wave": BoxRule("sharp", 25.0, (3.0, math.inf), least_s=0.07),
        "spike_slow_wave": _SPSW,
        "spike_wave": _SPSW,
        "k_complex": BoxRule("Kcomplex", 40.0, (0.5, 8.0), polarity=-1, least_s=0.4),
        "spindle": BoxRule("spindle", 10.0, (10.0, 17.0), edge=0.25, least_s=0.5),
        "muscle": _NOISE,
        "chewing": _NOISE,
        "electrode_noise": _NOISE,
        "blink": BoxRule("eyem", 30.0, (0.5, 8.0), polarity=1, least_s=0.1),
        "gaze_left": _GAZE,
        "gaze_right": _GAZE,
        "slow_eye": _GAZE,
        "respiration": BoxRule("respiration", 15.0, (0.1, 1.0), least_s=4.0),
        "pop": BoxRule("electrode", 50.0),
        "extreme": BoxRule("extreme", 1000.0),
    }
)
"""Kind of event -> rule; kinds that are missing here (seizures, look-alikes) have none. "eyer" gets its sign later."""
BOX_KINDS = (
    "sharp", "spike", "spsw", "Kcomplex", "spindle", "hfnoise", "eyem", "eyer+", "eyer-",
    "respiration", "electrode", "flat", "extreme",
)  # fmt: skip
"""The nine classes of `corpus.waveforms`, then the artifacts that none of them covers."""


@dataclass(frozen=True)
class Box:
    """One event on one electrode.

    Attributes:
        kind: one of `BOX_KINDS`; eyes that move aside are "eyer+" where the deflection is positive, else "eyer-".
        event: kind of the simulated event behind it, such as "chewing" behind "hfnoise".
        ch_name: electrode.
        start_s: from the start of the recording, seconds.
        duration_s: seconds.
        amplitude_uv: largest absolute value that the event adds to this electrode, microvolts; 0 for a flat one.
        contrast: that over the root mean square of all but its class around it, in the band of the class; 0 where
            none is asked for.
    """

    kind: str
    event: str
    ch_name: str
    start_s: float
    duration_s: float
    amplitude_uv: float
    contrast: float = 0.0


@dataclass(frozen=True)
class Part:
    """What one event adds to the recording: its kind, its first sample, and (C, n) microvolts."""

    kind: str
    start: int
    uv: NDArray[np.float32]


@dataclass(frozen=True)
class Hidden:
    """A stretch of one electrode on which nothing is recorded: row, first sample, number of samples."""

    row: int
    start: int
    size: int


def find_boxes(
    signal_uv: NDArray[np.float32],
    parts: Sequence[Part],
    flats: Sequence[Hidden],
    ch_names: tuple[str, ...],
    sfreq: float,
) -> tuple[Box, ...]:
    """The boxes of a finished recording, in order of time, then of electrodes.

    Args:
        signal_uv: the recording, (C, T) microvolts.
        parts: what each event added to it.
        flats: where it is flat; there an event cannot be seen.
        ch_names: electrodes, C of them.
        sfreq: Hz.
    """
    boxes = [
        (flat.row, Box("flat", "flat", ch_names[flat.row], flat.start / sfreq, flat.size / sfreq, 0.0))
        for flat in flats
    ]
    for kind in dict.fromkeys(rule.kind for rule in BOX_RULES.values()):
        kinds = [event for event, rule in BOX_RULES.items() if rule.kind == kind]
        own = [_without_hidden(part, flats) for part in parts if part.kind in kinds]
        others_uv = signal_uv.astype(np.float32) if own else signal_uv
        for part in own:
            others_uv[:, part.start : part.start + part.uv.shape[1]] -= part.uv
        for part in own:
            boxes += _boxes_of(others_uv, part, ch_names, sfreq)
    return tuple(box for _, box in sorted(boxes, key=lambda item: (item[1].start_s, item[0], item[1].kind)))


def _without_hidden(part: Part, flats: Sequence[Hidden]) -> Part:
    """The part without what fell on flat stretches."""
    size = part.uv.shape[1]
    lost = [flat for flat in flats if flat.start < part.start + size and part.start < flat.start + flat.size]
    if not lost:
        return part
    own = part.uv.copy()
    for flat in lost:
        own[flat.row, max(flat.start - part.start, 0) : flat.start + flat.size - part.start] = 0
    return Part(part.kind, part.start, own)


def _boxes_of(
    others_uv: NDArray[np.float32], part: Part, ch_names: tuple[str, ...], sfreq: float
) -> Iterator[tuple[int, Box]]:
    """The boxes of one event, each with the row of its electrode."""
    rule = BOX_RULES[part.kind]
    highest, lowest = part.uv.max(1), -part.uv.min(1)
    peaks = np.maximum(highest, lowest)
    positive = highest >= lowest
    fits = (peaks >= rule.least_uv) & ((rule.polarity == 0) | (positive == (rule.polarity > 0)))
    rows = np.flatnonzero(fits)
    contrasts = (
        peaks[rows] / _rms_around(others_uv, part, rows, rule.band_hz, sfreq) if rule.band_hz else 0 * peaks[rows]
    )
    loud = np.abs(part.uv[rows]) >= rule.edge * peaks[rows, None]
    firsts, ends = loud.argmax(1), loud.shape[1] - loud[:, ::-1].argmax(1)
    for row, first, end, contrast in zip(
        rows.tolist(), firsts.tolist(), ends.tolist(), contrasts.tolist(), strict=True
    ):
        if end - first < round(rule.least_s * sfreq) or (rule.band_hz and contrast < CONTRAST):
            continue
        kind = rule.kind if rule.kind != "eyer" else "eyer+" if positive[row] else "eyer-"
        where = ((part.start + first) / sfreq, (end - first) / sfreq)
        yield row, Box(kind, part.kind, ch_names[row], *where, float(peaks[row]), contrast)


def _rms_around(
    others_uv: NDArray[np.float32], part: Part, rows: NDArray[np.intp], band_hz: tuple[float, float], sfreq: float
) -> NDArray[np.float64]:
    """Root mean square in a band around an event, on some rows: (rows,) microvolts."""
    margin = round(CONTEXT_S * sfreq)
    around = others_uv[rows, max(part.start - margin, 0) : part.start + part.uv.shape[1] + margin]
    size = around.shape[1]
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    n = fft.next_fast_len(size, real=True)
    hz = fft.rfftfreq(n, 1 / sfreq)
    inside = (hz >= band_hz[0]) & (hz <= band_hz[1])
    spectrum = fft.rfft((around - around.mean(1, keepdims=True)) * window, n)[:, inside]
    power = (np.abs(spectrum) ** 2).sum(1) * 2 / (n * (window**2).sum())
    return np.sqrt(np.maximum(power, 1e-12))
