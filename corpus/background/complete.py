"""Everything that is found in segments, in one pass over their spectra."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from corpus.artifacts import Artifact
from corpus.artifacts_full import BAD_SHARE, bad_share, detect_full_together
from corpus.background.level import find_levels, find_sides, find_variation
from corpus.background.rhythm import find_posterior_rhythm, find_rhythms
from corpus.background.sketch import Sketch, sketch
from corpus.background.slowing import find_bursts, find_slowing
from corpus.bands import CEREBRAGLOSS, BandSet
from corpus.features import BANDS, chunks, features_of, measure
from corpus.findings import Finding, Findings, Labels, find
from corpus.montage import MIN_SPATIAL_ELECTRODES
from corpus.patterns import find_patterns
from corpus.recording import Defect
from corpus.segment import Segment
from corpus.spectra import frame_spectra, mean_density
from corpus.waveforms import Waveform, confirm

STEADY_SD = 0.3  # standard deviation over a recording's segments of the log amplitude from which on it is variable
DEVIATION = 1.5  # ratio of a segment's amplitude to the recording's median from which on it is told
MIN_SEGMENTS = 3  # of a recording, for its variation
TEN_TWENTY = {
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T3", "T7", "C3", "Cz", "C4", "T4", "T8", "T5", "P7", "P3", "Pz", "P4",
    "T6", "P8", "O1", "O2", "A1", "A2", "M1", "M2",
}  # fmt: skip
GOOD_SHARE, FAIR_SHARE = 0.05, 0.25  # of channels and time without EEG, at most
GOOD_MUSCLE = 0.25  # of the channels with muscle artifact, at most: more is fair


def find_complete(
    segments: Sequence[Segment],
    defects: Sequence[Defect] = (),
    labels: Labels | None = None,
    waveforms: Sequence[Waveform] | None = None,
    bands: BandSet = CEREBRAGLOSS,
    reference: str | None = None,
) -> list[Findings]:
    """`find_segments` with all details: montage, quality, artifacts of every kind, waveforms, background.

    The narrative's part is the same as that of `find_segments`, but for eye movements that a detector does not confirm
    (`corpus.waveforms.confirm`). Trends compare with `Segment.history`, which ends at a
    break; a pattern is read together with the segments around it, up to a break; the variation over the recording, and
    which segments deviate from what is usual in it, is that over the segments given. `corpus.build` gives an hour at a
    time.

    Args:
        segments: of one recording, one layout; `Segment.history` indexes into them, backwards.
        defects: missing samples of the recording.
        labels: of the dataset.
        waveforms: marks of a detector, in seconds of the recording; None if there was no detector.
        bands: the band set that the background is described in.
        reference: of the recording, in words ("average"), where it is known.
    """
    found: list[Findings] = []
    holds_eeg: list[np.ndarray] = []
    mean_band = np.empty((len(segments), len(BANDS)))
    for part, signal in chunks(segments):
        own, ch_names, sfreq = segments[part], segments[0].ch_names, segments[0].sfreq
        freqs, frames = frame_spectra(signal, sfreq)
        density = mean_density(frames, signal.dtype)
        measures = measure(signal, freqs, density, ch_names)
        mean_band[part] = measures.channel_band_power_uv2.mean(1)
        features = features_of(own, measures, mean_band)
        artifacts = detect_full_together(own, signal, features, defects)
        if waveforms is not None:
            artifacts = [confirm(seen, waveforms) for seen in artifacts]
        good = np.stack([_holds_eeg(s, a) for s, a in zip(own, artifacts, strict=True)])
        holds_eeg += list(good)
        drawn = sketch(signal, sfreq, ch_names, (freqs, frames, density), bands, good)
        details = _details(drawn, own, artifacts, reference)
        for segment, feature, seen, more in zip(own, features, artifacts, details, strict=True):
            marks = None if waveforms is None else _within(waveforms, segment)
            found.append(_explained(find(segment, feature, seen, labels, marks, more)))
    patterns = find_patterns(segments, holds_eeg)
    found = [replace(one, details=(*one.details, *more)) for one, more in zip(found, patterns, strict=True)]
    return _over_the_recording(found)


def complete_alone(found: Findings) -> Findings:
    """Findings with the details of `find_complete` for the segment by itself: a row of a batch is no recording."""
    alone = find_complete([replace(found.segment, history=())])[0]
    return replace(found, details=alone.details)


def _details(
    drawn: Sketch, segments: Sequence[Segment], artifacts: Sequence[Sequence[Artifact]], reference: str | None
) -> list[list[Finding]]:
    rules = (
        find_rhythms(drawn),
        find_posterior_rhythm(drawn),
        find_levels(drawn, artifacts),
        find_slowing(drawn, artifacts),
        find_bursts(drawn, segments, artifacts),
        find_sides(drawn, artifacts),
        find_variation(drawn),
    )
    montage = find_montage(drawn.ch_names, reference)
    return [
        [*montage, _quality(segment, seen), *(item for rule in rules for item in rule[s])]
        for s, (segment, seen) in enumerate(zip(segments, artifacts, strict=True))
    ]


def find_montage(ch_names: tuple[str, ...], reference: str | None = None) -> list[Finding]:
    """The system that the electrodes belong to ("10-20", "10-10"; "few" below four), and the reference if known."""
    system = "10-20" if set(ch_names) <= TEN_TWENTY else "10-10"
    value = system if len(ch_names) >= MIN_SPATIAL_ELECTRODES else "few"
    count = float(len(ch_names))
    items = [Finding("montage", value, "", ch_names, measured=count, unit="electrodes", source="electrode names")]
    if reference:
        items.append(Finding("reference", reference, "", ch_names, source="recording"))
    return items


def _holds_eeg(segment: Segment, artifacts: Sequence[Artifact]) -> np.ndarray:
    """Channels that count for the background, (C,): not those with artifacts or without a number somewhere."""
    kinds = {artifact.kind for artifact in artifacts}
    if "global_bad" in kinds:
        return np.zeros(len(segment.ch_names), dtype=bool)
    return (bad_share(segment, artifacts) < BAD_SHARE) & np.isfinite(segment.signal_uv).all(1)


def _quality(segment: Segment, artifacts: Sequence[Artifact]) -> Finding:
    lost, muscle = bad_share(segment, artifacts), bad_share(segment, artifacts, ("muscle",))
    share = float(lost.mean())
    word = "good" if share <= GOOD_SHARE and muscle.mean() <= GOOD_MUSCLE else "fair"
    if share > FAIR_SHARE:
        word = "poor"
    names = tuple(name for name, own in zip(segment.ch_names, lost + muscle, strict=True) if own > 0)
    rule = "share of channels and time without EEG"
    return Finding("quality", word, "", names, measured=share, unit="share", source=rule)


def _within(waveforms: Sequence[Waveform], segment: Segment) -> list[Waveform]:
    end_s = segment.start_s + segment.duration_s
    return [wave for wave in waveforms if wave.start_s < end_s and wave.end_s > segment.start_s]


def _explained(found: Findings) -> Findings:
    """Event priority: a burst of slow activity at the time of a detected waveform is that waveform."""
    events = found.of("waveform")
    if not events:
        return found
    kept = tuple(item for item in found.details if item.kind != "burst" or not any(_overlap(item, e) for e in events))
    return replace(found, details=kept)


def _overlap(first: Finding, second: Finding) -> bool:
    return first.start_s < second.start_s + second.duration_s and second.start_s < first.start_s + first.duration_s


def _over_the_recording(found: list[Findings]) -> list[Findings]:
    """Add how much the amplitude varies over the segments, and which segments stand out."""
    levels = [(found_level[0].measured or 0.0) if (found_level := one.of("level")) else np.nan for one in found]
    amplitudes = np.maximum(np.array(levels), 0.01)
    if np.isfinite(amplitudes).sum() < MIN_SEGMENTS:
        return found
    spread, usual = float(np.nanstd(np.log(amplitudes))), float(np.nanmedian(amplitudes))
    first, last = found[0].segment, found[-1].segment
    span = (first.start_s, last.start_s + last.duration_s - first.start_s)
    word = "variable" if spread >= STEADY_SD else "stable"
    rule = "standard deviation over the segments of the log amplitude"
    whole = Finding("variation", word, "recording", first.ch_names, *span, spread, "log amplitude", rule)
    return [
        replace(one, details=(*one.details, whole, *_deviation(one, float(amplitude / usual))))
        for one, amplitude in zip(found, amplitudes, strict=True)
    ]


def _deviation(one: Findings, ratio: float) -> list[Finding]:
    if not max(ratio, 1 / ratio) >= DEVIATION:  # also where it is nan
        return []
    where = (one.segment.ch_names, one.segment.start_s, one.segment.duration_s)
    word = "higher" if ratio > 1 else "lower"
    return [Finding("deviation", word, "", *where, ratio, "ratio", "amplitude over the median of the recording")]
