"""One simulated recording: ongoing activity, events at drawn places, and what each of them contributes."""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from corpus.recording import Annotation, Provenance, Recording
from corpus.simulate import artifacts, contamination, graphoelements, varied
from corpus.simulate.boxes import Box, Hidden, Part, find_boxes
from corpus.simulate.forward import Head, head_of
from corpus.simulate.preset import EVENT_STATES, FOCI, STATES, SimulationPreset
from corpus.simulate.rhythms import ongoing_activity, state_intervals

FIELD_FRACTION = 0.6  # an event's channels: its own peak there exceeds this fraction of its largest peak
VISIBLE_FRACTION = 0.3  # an event whose peak within the montage is a smaller fraction of that on the scalp is not added
FLAT_S = (3.0, 12.0)
EVENT_KINDS = tuple(EVENT_STATES)

Draw = Callable[[Head, np.random.Generator, SimulationPreset], NDArray[np.float64]]
DRAWS: Mapping[str, Mapping[str, Draw]] = {
    "eyes": {
        "blink": artifacts.draw_blink,
        "gaze_left": artifacts.draw_gaze_left,
        "gaze_right": artifacts.draw_gaze_right,
        "slow_eye": contamination.draw_slow_eye,
    },
    "muscle": {
        "muscle": artifacts.draw_muscle,
        "chewing": contamination.draw_chewing,
        "electrode_noise": contamination.draw_electrode_noise,
    },
    "electrode": {"pop": artifacts.draw_pop, "extreme": contamination.draw_extreme},
    "movement": {"respiration": contamination.draw_respiration},
    "sleep": {
        "k_complex": graphoelements.draw_k_complex,
        "spindle": graphoelements.draw_spindle,
        "vertex_wave": varied.draw_vertex_wave,
    },
    "awake": {"mu": varied.draw_mu},
    "epilepsy": {
        "seizure": graphoelements.draw_seizure,
        "spike_wave": graphoelements.draw_spike_wave,
        "spike_slow_wave": graphoelements.draw_spike_slow_wave,
        "sharp_wave": graphoelements.draw_sharp_wave,
        "spike": graphoelements.draw_spike,
    },
}
PLAIN: Mapping[str, Draw] = {kind: draw for group in DRAWS.values() for kind, draw in group.items()}
VARIED: Mapping[str, Draw] = {
    "blink": contamination.draw_blink,
    "gaze_left": contamination.draw_gaze_left,
    "gaze_right": contamination.draw_gaze_right,
    "muscle": contamination.draw_muscle,
    "pop": contamination.draw_pop,
    "k_complex": varied.draw_k_complex,
    "spindle": varied.draw_spindle,
    "spike_wave": varied.draw_spike_wave,
    "spike_slow_wave": varied.draw_spike_slow_wave,
    "sharp_wave": varied.draw_sharp_wave,
    "spike": varied.draw_spike,
}
"""Draws that replace those above where the preset is `varied`."""
OWN_STREAM = ("chewing", "electrode_noise", "slow_eye", "respiration", "extreme", "vertex_wave", "mu")
"""Kinds that draw apart from the common stream of random numbers, so that a seed gives the samples it always gave."""
AT_ELECTRODE = ("pop", "extreme", "electrode_noise")
"""Kinds that arise at an electrode and so do not reach the reference."""


@dataclass(frozen=True)
class SimulatedEvent:
    """What truly happened: a state (all channels) or an event (see `EVENT_KINDS`).

    `channels` are those where the peak of the event's own potential (against the ears) is at least `FIELD_FRACTION` of
    its largest in the montage; `amplitude_uv` is the largest absolute value that it adds there to the recording, 0 for
    a flat channel. Outside its interval it adds nothing.
    """

    kind: str
    start_s: float
    duration_s: float
    channels: tuple[str, ...]
    amplitude_uv: float


@dataclass(frozen=True)
class Simulation:
    """A recording and its truth, in order of time; the recording's annotations name the same events.

    `boxes` say where each event can be seen, electrode by electrode (`corpus.simulate.boxes`).
    """

    recording: Recording
    events: tuple[SimulatedEvent, ...]
    boxes: tuple[Box, ...] = ()


def simulate(preset: SimulationPreset, seed: int) -> Simulation:
    """Simulate one recording; the same preset and seed give the same samples.

    Events of one group of `DRAWS` never overlap each other, and an event lies wholly inside a state in which it can
    occur. Events that find no place, or that the montage cannot see, are left out of signal and truth alike.
    """
    rng = np.random.default_rng(seed)
    preset = replace(preset, focus=preset.focus or FOCI[rng.integers(len(FOCI))])
    head = head_of(preset.ch_names, preset.reference)
    signal = ongoing_activity(head, preset, rng)
    events, parts = _states(signal, preset), list[Part]()
    for group in DRAWS.values():
        taken: list[SimulatedEvent] = []
        for kind in group:
            own_rng = _own_stream(seed, kind) if preset.varied or kind in OWN_STREAM else rng
            added = _add_events(kind, taken, signal, head, preset, own_rng)
            taken += [event for event, _ in added]
            parts += [part for _, part in added]
        events += taken
    if preset.mains_hz:
        artifacts.add_mains(signal, preset.sfreq, preset.mains_hz, rng)
    flats = _add_flats(signal, preset, rng)
    events = [event for event in (_without_flat(event, flats) for event in events) if event.channels] + flats
    events.sort(key=lambda event: (event.start_s, event.kind))
    boxes = find_boxes(signal, parts, [_hidden(flat, preset) for flat in flats], preset.ch_names, preset.sfreq)
    return Simulation(_recording(signal, preset, seed, events), tuple(events), boxes)


def _own_stream(seed: int, kind: str) -> np.random.Generator:
    """Random numbers of one kind of event alone, so that no other kind changes with it."""
    return np.random.default_rng([seed, zlib.crc32(kind.encode())])


def _hidden(flat: SimulatedEvent, preset: SimulationPreset) -> Hidden:
    row = preset.ch_names.index(flat.channels[0])
    return Hidden(row, round(flat.start_s * preset.sfreq), round(flat.duration_s * preset.sfreq))


def _states(signal: NDArray[np.float32], preset: SimulationPreset) -> list[SimulatedEvent]:
    return [
        SimulatedEvent(
            state,
            start / preset.sfreq,
            (stop - start) / preset.sfreq,
            preset.ch_names,
            float(np.abs(signal[:, start:stop]).max()),
        )
        for state, start, stop in state_intervals(preset, signal.shape[1])
    ]


def _add_events(
    kind: str,
    taken: list[SimulatedEvent],
    signal: NDArray[np.float32],
    head: Head,
    preset: SimulationPreset,
    rng: np.random.Generator,
) -> list[tuple[SimulatedEvent, Part]]:
    """Draw, place between those `taken`, and add (in place) the events of one kind."""
    draw = VARIED[kind] if preset.varied and kind in VARIED else PLAIN[kind]
    fields = [draw(head, rng, preset) for _ in range(_draw_count(kind, preset, signal.shape[1], rng))]
    free = _without(_allowed(kind, preset, signal.shape[1]), taken, preset.sfreq)
    starts = _place([field.shape[1] for field in fields], free, rng)
    added = []
    for field_uv, start in zip(fields, starts, strict=True):
        peaks = np.abs(field_uv).max(1)
        seen = peaks[: len(signal)]
        if start is None or seen.max() < VISIBLE_FRACTION * peaks.max():
            continue
        own = field_uv[: len(signal)] if kind in AT_ELECTRODE else head.recorded(field_uv)
        signal[:, start : start + own.shape[1]] += own
        reached = np.flatnonzero(seen >= FIELD_FRACTION * seen.max())
        channels = tuple(preset.ch_names[row] for row in reached)
        where = (start / preset.sfreq, own.shape[1] / preset.sfreq)
        event = SimulatedEvent(kind, *where, channels, float(np.abs(own[reached]).max()))
        added.append((event, Part(kind, start, own.astype(np.float32))))
    return added


def _add_flats(signal: NDArray[np.float32], preset: SimulationPreset, rng: np.random.Generator) -> list[SimulatedEvent]:
    """Hold one channel at zero (in place) in each drawn interval."""
    count = _draw_count("flat", preset, signal.shape[1], rng)
    longest = min(FLAT_S[1], preset.duration_s / 2)
    sizes = [round(rng.uniform(min(FLAT_S[0], longest), longest) * preset.sfreq) for _ in range(count)]
    flats = []
    for size, start in zip(sizes, _place(sizes, _allowed("flat", preset, signal.shape[1]), rng), strict=True):
        if start is not None:
            row = int(rng.integers(len(signal)))
            signal[row, start : start + size] = 0
            where = (start / preset.sfreq, size / preset.sfreq)
            flats.append(SimulatedEvent("flat", *where, (preset.ch_names[row],), 0.0))
    return flats


def _without_flat(event: SimulatedEvent, flats: list[SimulatedEvent]) -> SimulatedEvent:
    """Take from an event's channels those that were flat all the while."""
    end = event.start_s + event.duration_s
    hidden = {f.channels[0] for f in flats if f.start_s <= event.start_s and end <= f.start_s + f.duration_s}
    return replace(event, channels=tuple(name for name in event.channels if name not in hidden)) if hidden else event


def _allowed(kind: str, preset: SimulationPreset, n_times: int) -> list[tuple[int, int]]:
    """Intervals (in samples) in which an event may lie; what can occur in any state may also span states."""
    if EVENT_STATES[kind] == STATES:
        return [(0, n_times)]
    return [(start, stop) for state, start, stop in state_intervals(preset, n_times) if state in EVENT_STATES[kind]]


def _without(intervals: list[tuple[int, int]], taken: list[SimulatedEvent], sfreq: float) -> list[tuple[int, int]]:
    """The intervals less those of the events already placed."""
    for event in taken:
        start, stop = round(event.start_s * sfreq), round((event.start_s + event.duration_s) * sfreq)
        pieces = [piece for a, b in intervals for piece in ((a, min(b, start)), (max(a, stop), b))]
        intervals = [(a, b) for a, b in pieces if a < b]
    return intervals


def _draw_count(kind: str, preset: SimulationPreset, n_times: int, rng: np.random.Generator) -> int:
    """The expected number of events, rounded up or down at random so that the mean is exact."""
    minutes = sum(stop - start for start, stop in _allowed(kind, preset, n_times)) / preset.sfreq / 60
    return int(preset.events.get(kind, 0.0) * minutes + rng.random())


def _place(sizes: list[int], intervals: list[tuple[int, int]], rng: np.random.Generator) -> list[int | None]:
    """First sample of each event, uniform and without overlap; None where an event does not fit."""
    starts: list[int | None] = [None] * len(sizes)
    if not sizes or not intervals:
        return starts
    lengths = np.array([stop - start for start, stop in intervals], dtype=float)
    home = rng.choice(len(intervals), len(sizes), p=lengths / lengths.sum())
    for number, (begin, stop) in enumerate(intervals):
        free, members = stop - begin, []
        for event in np.flatnonzero(home == number).tolist():
            if sizes[event] <= free:
                members.append(event)
                free -= sizes[event]
        used = 0
        for event, gap in zip(members, np.sort(rng.integers(0, free + 1, len(members))).tolist(), strict=True):
            starts[event] = begin + gap + used
            used += sizes[event]
    return starts


def _recording(
    signal: NDArray[np.float32], preset: SimulationPreset, seed: int, events: list[SimulatedEvent]
) -> Recording:
    return Recording(
        signal_uv=signal,
        sfreq=preset.sfreq,
        ch_names=preset.ch_names,
        annotations=tuple(Annotation(event.start_s, event.duration_s, event.kind) for event in events),
        provenance=Provenance(
            file=f"simulation-{seed}",
            format="simulation",
            sha256=hashlib.sha256(signal.tobytes()).hexdigest(),
            sfreq=preset.sfreq,
            steps=(f"simulated with seed {seed}, reference {preset.reference}",),
        ),
    )
