"""Slow activity: diffuse, focal, and in bursts."""

from collections.abc import Sequence

import numpy as np

from corpus.areas import adjacent
from corpus.artifacts import Artifact
from corpus.background.sketch import Sketch, quantile
from corpus.findings import Finding
from corpus.segment import Segment

SLOW_BANDS = ("delta", "theta")
EYE_KINDS = ("blink", "eye_left", "eye_right")
DIFFUSE_RATIO = 8.0  # least power at 1-8 over 8-30 Hz, median of the areas of the head
FOCAL_RATIO = 2.0  # least such ratio of an area ...
FOCAL_FACTOR = 2.5  # ... its least ratio to the median of the areas, and that of its slow power
MIN_AREAS = 4  # for one of them to stand out
BURST_FACTOR = 4.0  # slow power of a window over the median of the channel
BURST_UV = 25.0  # least amplitude of the sine with that slow power
BURST_CHANNELS = 2  # adjacent ones
BURST_S = 5.0  # longer ones are no bursts
HIDING_KINDS = (*EYE_KINDS, "electrode", "extreme", "missing", "global_bad")


def find_slowing(sketch: Sketch, artifacts: Sequence[Sequence[Artifact]]) -> list[list[Finding]]:
    """Slow activity that lasts: over the whole head, or over one area (a region of one side) more than elsewhere.

    Medians over two-second windows are compared, so that single blinks do not count; where eye movements were
    found, no frontal area is called slow.
    """
    found: list[list[Finding]] = [[] for _ in sketch.good]
    areas = list(sketch.areas.values())
    ratios, powers = sketch.mean(sketch.slow_ratio, areas), sketch.mean(sketch.slow_power, areas)  # (S, areas)
    middle = quantile(ratios, ~np.isnan(ratios), 0.5)
    for s in np.flatnonzero(sketch.good.any(1)).tolist():
        if middle[s] >= np.log(DIFFUSE_RATIO):
            found[s].append(_slow(sketch, s, None, "diffuse", float(np.exp(middle[s]))))
    if len(sketch.areas) < MIN_AREAS:
        return found
    usual = quantile(powers, ~np.isnan(powers), 0.5)
    with np.errstate(invalid="ignore"):
        focal = (
            (ratios >= np.log(FOCAL_RATIO))
            & (ratios - middle[:, None] >= np.log(FOCAL_FACTOR))
            & (powers >= FOCAL_FACTOR * usual[:, None])
        )
    names = list(sketch.areas)
    for s, a in np.argwhere(focal):
        (side, region), rows = names[a], areas[a]
        if region != "frontal" or not any(artifact.kind in EYE_KINDS for artifact in artifacts[s]):
            found[s].append(_slow(sketch, s, rows, f"{side} {region}", float(np.exp(ratios[s, a]))))
    return found


def _slow(sketch: Sketch, segment: int, rows: np.ndarray | None, where: str, ratio: float) -> Finding:
    """`where` is "diffuse" or the area."""
    chosen = np.arange(len(sketch.ch_names)) if rows is None else rows
    chosen = chosen[sketch.good[segment, chosen]]
    power = [sketch.band_power[segment, chosen, sketch.bands.names.index(band)].mean() for band in SLOW_BANDS]
    band = SLOW_BANDS[int(np.argmax(power))]
    value, area = ("diffuse", "") if rows is None else ("focal", where)
    names = sketch.names(segment, rows)
    subject = f"{area} {band}".strip()
    rule = "power at 1-8 Hz over 8-30 Hz, medians of two-second windows"
    return Finding("slowing", value, subject, names, measured=ratio, unit="ratio", source=rule)


def find_bursts(
    sketch: Sketch, segments: Sequence[Segment], hiding: Sequence[Sequence[Artifact]]
) -> list[list[Finding]]:
    """Paroxysmal slowing: slow activity far above the channel's own, on adjacent electrodes, for at most 5 s.

    Windows that an artifact of `HIDING_KINDS` touches count nowhere. The windows last 2 s and follow each other by 1 s,
    and so the stated times are good to about 1 s.
    """
    usual = sketch.slow_power[..., None]
    hits = (sketch.frame_slow >= BURST_FACTOR * usual) & (np.sqrt(2 * sketch.frame_slow) >= BURST_UV)
    hits &= sketch.good[..., None]
    found: list[list[Finding]] = []
    for s, segment in enumerate(segments):
        own = hits[s]
        if own.any():
            own = own & ~_hidden(segment, hiding[s], own.shape[1])[None]
        found.append(_bursts(sketch, s, segment, own) if own.any() else [])
    return found


def _hidden(segment: Segment, artifacts: Sequence[Artifact], count: int) -> np.ndarray:
    """Which of the two-second windows an artifact touches, (W,)."""
    starts = segment.start_s + np.arange(count)
    touched = np.zeros(count, dtype=bool)
    for a in artifacts:
        if a.kind in HIDING_KINDS:
            touched |= (starts < a.start_s + a.duration_s) & (starts + 2 > a.start_s)
    return touched


def _bursts(sketch: Sketch, s: int, segment: Segment, hits: np.ndarray) -> list[Finding]:
    confirmed = hits & (adjacent(sketch.ch_names) @ hits)
    windows = confirmed.sum(0) >= BURST_CHANNELS
    edges = np.flatnonzero(np.diff(np.concatenate([[0], windows, [0]])))
    found = []
    for begin, end in edges.reshape(-1, 2):
        duration = float(end - begin)
        if duration > BURST_S:
            continue
        rows = np.flatnonzero(confirmed[:, begin:end].any(1))
        power = sketch.frame_power[s][rows, begin:end]
        slow = [power[..., sketch.bands.names.index(band)].mean() for band in SLOW_BANDS]
        amplitude = float(np.sqrt(2 * sketch.frame_slow[s][rows, begin:end].max()))
        names = tuple(sketch.ch_names[i] for i in rows)
        where = (names, segment.start_s + begin + 0.5, duration)
        rule = "power at 1-8 Hz of a window over the median of the channel"
        found.append(Finding("burst", SLOW_BANDS[int(np.argmax(slow))], "", *where, amplitude, "µV", rule))
    return found
