"""Recording to analysis-ready recording: repair, filter, notch, resample, reference.

The order and the band of the default are those of LaBraM's preprocessing (Jiang et al. 2024, arXiv:2405.18765, and its
code): band-pass 0.1-75 Hz, notch, 200 Hz, with MNE's defaults (zero-phase FIR, Hamming window; FFT resampling). Every
continuous stretch is filtered by itself. What is done and how it compares with MNE: `corpus.preprocess.filtering`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from corpus.montage import few_electrodes, pick_eeg
from corpus.preprocess.bad_channels import find_bad_channels
from corpus.preprocess.damage import EXTREME_UV, MISSING
from corpus.preprocess.filtering import filter_stretch
from corpus.preprocess.fir import LinearSteps
from corpus.preprocess.mains import find_mains
from corpus.preprocess.reference import (
    Reference,
    ReferencePlan,
    keep_ears,
    plan_reference,
    recorded_against_ears,
    with_reference,
)
from corpus.preprocess.repair import CleanSignal, defects_of, inspect_signal
from corpus.recording import Recording, RecordingError, SetAside, read_recording

HIGH_GAMMA_HZ = (50.0, 75.0)
DELTA_HZ = (0.5, 4.0)
MAX_MISSING = 0.5  # a channel with more of its samples missing or extreme is set aside


@dataclass(frozen=True)
class PreprocessPreset:
    """What to do to a recording.

    Attributes:
        l_freq: lower edge of the pass band, Hz.
        h_freq: upper edge, Hz; without effect where it is not below Nyquist.
        sfreq: sampling rate of the result, Hz.
        notch: mains frequency to remove, Hz; "auto" takes what `detect_mains` finds; None removes nothing. Where the
            dataset's card states mains_hz, pass that.
        reference: None keeps the recorded reference; the others are explained at `reference.Reference`.
    """

    l_freq: float = 0.1
    h_freq: float = 75.0
    sfreq: float = 200.0
    notch: float | Literal["auto"] | None = "auto"
    reference: Reference | None = None


NEURONARRATOR = PreprocessPreset()
"""NeuroNarrator (arXiv:2603.16880), by way of LaBraM."""

CEREBRAGLOSS = PreprocessPreset(l_freq=1.6, h_freq=70.0, reference="clinical")
"""CerebraGloss: 1.6-70 Hz, average reference for the full 19 electrodes, ear reference for few (such as C3-A2).

Its high-pass, a time constant of 0.1 s, removes most of the delta activity that its captions describe; recordings
preprocessed in this way carry a warning. The ACNS advises a low filter of 1 Hz or less for reading.
"""

PRESETS = {"neuronarrator": NEURONARRATOR, "cerebragloss": CEREBRAGLOSS}


@dataclass(frozen=True, eq=False)
class Stream:
    """A recording whose preprocessed signal arrives in pieces.

    Attributes:
        head: everything about the result but its samples; `signal_uv` is (C, 0).
        n_times: samples to come, at `head.sfreq`.
        chunks: (C, n) float32 microvolts, in order.
    """

    head: Recording
    n_times: int
    chunks: Iterator[np.ndarray]


def load_recording(path: str | Path, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """Read a file, keep its scalp EEG (and its ears where the reference asks for them) and preprocess it.

    Raises:
        RecordingError: whatever makes the file unusable, in one line.
    """
    return preprocess(*pick_channels(read_recording(path), preset))


def pick_channels(recording: Recording, preset: PreprocessPreset) -> tuple[Recording, PreprocessPreset]:
    """Scalp electrodes, with the ears beside them where the reference asks for them, and the preset that fits them.

    A few-channel recording whose labels say that it was made against the ears ("EEG C3-A2") already has its clinical
    reference.

    Raises:
        RecordingError: as `corpus.montage.pick_eeg`.
    """
    picked = pick_eeg(recording)
    if preset.reference is None or preset.reference == "average":
        return picked, preset
    picked = keep_ears(picked, recording)
    lacking = preset.reference == "clinical" and plan_reference(picked.ch_names, "clinical").warning
    if lacking and recorded_against_ears(recording.ch_names, picked):
        return picked.with_step("reference as recorded: ears or mastoids"), replace(preset, reference=None)
    return picked, preset


def preprocess(recording: Recording, preset: PreprocessPreset = NEURONARRATOR) -> Recording:
    """Repair, filter, notch, resample and reference; the signal of the result is float32, microvolts.

    Missing samples (NaN), extreme amplitudes and stuck values are interpolated and listed in `defects` (rules:
    `corpus.preprocess.damage`). Times after a break may move by half a sample of the new rate, for each break.

    Raises:
        RecordingError: if in every channel more than half of the samples are missing or extreme, or the reference
            cannot be had.
    """
    stream = _prepare(recording, preset, stream=False)
    return replace(stream.head, signal_uv=_joined(stream))


def _joined(stream: Stream) -> np.ndarray:
    """All chunks in one array; the only one of a short recording is taken as it is."""
    first = next(stream.chunks)
    if first.shape[1] == stream.n_times:
        return first
    signal_uv = np.empty((len(first), stream.n_times), np.float32)
    done = 0
    for chunk in chain([first], stream.chunks):
        signal_uv[:, done : done + chunk.shape[1]] = chunk
        done += chunk.shape[1]
    return signal_uv


def preprocess_stream(recording: Recording, preset: PreprocessPreset = NEURONARRATOR) -> Stream:
    """As `preprocess`, in memory that does not grow with the recording.

    The result is the same to rounding, except for stretches of more than `filtering.STREAM_VALUES` values (7
    hours of 10 channels at 128 Hz) with content up to the Nyquist frequency where resampling cuts it off, as all have
    below 187 Hz: those differ by what they hold there.

    Args:
        recording: its `signal_uv` may be a memory map or a `corpus.recording.SignalReader`.
        preset: what to do.

    Raises:
        RecordingError: as `preprocess`; all of them before the first chunk.
    """
    return _prepare(recording, preset, stream=True)


def _prepare(recording: Recording, preset: PreprocessPreset, stream: bool) -> Stream:
    """Inspect the recording, write down all that will be done to it, and get ready to do it."""
    stretches = recording.stretches
    clean = inspect_signal(recording.signal_uv, recording.sfreq, stretches)
    head, rows = _well_placed(*_repaired(recording, clean), clean)
    plan = None if preset.reference is None else plan_reference(head.ch_names, preset.reference)
    head, steps = _filtered(head, preset, clean, rows)
    counts = [steps.count(stop - start) for start, stop in stretches]
    stretches = [stretch for stretch, count in zip(stretches, counts, strict=True) if count]
    ends = np.cumsum([count for count in counts if count])
    head = replace(head, breaks_s=tuple(float(n) / preset.sfreq for n in ends[:-1]))
    no_samples = np.empty((len(plan.keep if plan else rows), 0), np.float32)
    head = with_reference(head, plan, no_samples) if plan else replace(head, signal_uv=no_samples)
    return Stream(head, int(ends[-1]), _process(clean, rows, stretches, steps, plan, stream))


def _process(
    clean: CleanSignal,
    rows: np.ndarray,
    stretches: list[tuple[int, int]],
    steps: LinearSteps,
    plan: ReferencePlan | None,
    stream: bool,
) -> Iterator[np.ndarray]:
    """The signal of the result, (C, n) float32 after (C, n)."""
    everything = len(rows) == len(clean.damage)
    for start, stop in stretches:

        def read(first: int, last: int, some: slice, start: int = start) -> np.ndarray:
            return clean.read(start + first, start + last, some if everything else rows[some])

        for chunk in filter_stretch(read, (len(rows), stop - start), steps, stream):
            yield plan.apply(chunk) if plan else chunk


def _well_placed(recording: Recording, rows: np.ndarray, clean: CleanSignal) -> tuple[Recording, np.ndarray]:
    """The same without electrodes of poor contact."""
    bad = find_bad_channels(clean, rows, recording.sfreq)
    why = {
        name: f"poor contact: {bad[row]:.1f} times as strong as most electrodes, and like none of them"
        for row, name in zip(rows.tolist(), recording.ch_names, strict=True)
        if row in bad
    }
    return _without(recording, why), np.array([row for row in rows.tolist() if row not in bad])


def _without(recording: Recording, why: dict[str, str]) -> Recording:
    """The facts of a recording without some of its channels; `why` says of each what is wrong with it."""
    if not why:
        return recording
    kept = tuple(name for name in recording.ch_names if name not in why)
    told = f"left out: {', '.join(f'{name} ({reason})' for name, reason in why.items())}"
    return replace(
        recording,
        signal_uv=np.empty((len(kept), 0)),
        ch_names=kept,
        defects=tuple(defect for defect in recording.defects if defect.ch_name in kept),
        set_aside=recording.set_aside + tuple(SetAside(name, reason) for name, reason in why.items()),
        warnings=(*recording.warnings, told, *few_electrodes(len(kept))),
    )


def _filtered(
    recording: Recording, preset: PreprocessPreset, clean: CleanSignal, rows: np.ndarray
) -> tuple[Recording, LinearSteps]:
    """The facts after filtering, notch and resampling, and what exactly has to be done."""
    sfreq, nyquist = recording.sfreq, recording.sfreq / 2
    h_freq = preset.h_freq if preset.h_freq < nyquist else None
    notch = find_mains(clean, rows, sfreq) if preset.notch == "auto" else preset.notch
    told = recording.warnings
    if h_freq is None:
        told += (_nyquist_warning(nyquist),)
    if notch and notch + 1 >= nyquist:
        told += (f"mains at {notch:g} Hz was not removed: the recording holds frequencies below {nyquist:g} Hz only",)
        notch = None
    if preset.l_freq > DELTA_HZ[0]:
        low, high = DELTA_HZ
        told += (f"the high-pass at {preset.l_freq:g} Hz removes delta ({low:g}-{high:g} Hz) below it",)
    band = f"band-pass {preset.l_freq:g}-{h_freq:g} Hz" if h_freq else f"high-pass {preset.l_freq:g} Hz"
    done = recording.with_step(f"{band} (zero-phase FIR)", sfreq=preset.sfreq, warnings=told)
    done = done.with_step(f"notch {notch:g} Hz" if notch else "no notch")
    if sfreq != preset.sfreq:
        done = done.with_step(f"resampled from {sfreq:g} to {preset.sfreq:g} Hz")
    return done, LinearSteps(sfreq, preset.sfreq, preset.l_freq, h_freq, notch or None)


def _nyquist_warning(nyquist: float) -> str:
    low, high = HIGH_GAMMA_HZ
    if nyquist <= low:
        return f"high-gamma ({low:g}-{high:g} Hz) was not measured: the recording ends at {nyquist:g} Hz"
    return f"high-gamma ({low:g}-{high:g} Hz) was measured up to {nyquist:g} Hz only"


def _repaired(recording: Recording, clean: CleanSignal) -> tuple[Recording, np.ndarray]:
    """The facts after repair, and the channels that are kept: most of their samples are measurements."""
    names, n_times = recording.ch_names, recording.signal_uv.shape[1]
    share = np.array([(runs[:, 1] - runs[:, 0]).sum() / max(n_times, 1) for runs in clean.damage])
    rows = np.flatnonzero(share <= MAX_MISSING)
    kinds = [{why for _, _, why in found} for found in clean.defects]
    what = ["missing" if kind == {MISSING} else "missing or extreme" for kind in kinds]
    if not len(rows):
        raise RecordingError(
            f"got every channel with more than {MAX_MISSING:.0%} of its samples "
            f"{max(what, key=len)}, expected a signal; check the export of the recording"
        )
    if not any(clean.defects):
        return recording, rows
    beyond = np.flatnonzero(share > MAX_MISSING)
    head = _without(recording, {names[i]: f"{share[i]:.0%} of its samples are {what[i]}" for i in beyond})
    found = [d for i in rows for d in defects_of(clean, int(i), names[i], recording.sfreq)]
    extreme = [d for d in found if d.why != MISSING]
    told = head.warnings
    if extreme:
        seconds, where = sum(d.duration_s for d in extreme), len({d.ch_name for d in extreme})
        told += (
            f"amplitudes that no brain makes (over {EXTREME_UV / 1000:g} mV, or stuck) were interpolated: "
            f"{seconds:.1f} s in {where} of {len(rows)} channels",
        )
    done = replace(head, signal_uv=np.empty((len(rows), 0)), defects=head.defects + tuple(found), warnings=told)
    if any(MISSING in kind for kind in kinds):
        done = done.with_step("missing samples interpolated linearly")
    return (done.with_step("extreme amplitudes and stuck values interpolated linearly") if extreme else done), rows
