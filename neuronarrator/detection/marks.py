"""A recording in, the marks of the waveform detector out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from corpus.recording import Recording
from corpus.waveforms import Waveform
from encoders.waveform import ELECTRODES, N_TIMES, SFREQ, WAVEFORM_KINDS, WaveformDetector

BATCH_SIZE = 32
HOP = N_TIMES // 2
"""Windows overlap by half, and each owns its middle half, so that no waveform is seen at an edge only."""


def mark_recording(detector: WaveformDetector, recording: Recording, threshold: float | None = None) -> list[Waveform]:
    """Find the waveforms of a preprocessed recording, one electrode a mark, in order of time.

    Marks of one class and electrode that overlap are joined, so a long one may span windows; see `find_marks`.
    """
    return _in_order(_joined(find_marks(detector, recording, threshold)))


def find_marks(detector: WaveformDetector, recording: Recording, threshold: float | None = None) -> list[Waveform]:
    """The marks of a preprocessed recording as the detector makes them, one electrode a mark, in order of time.

    Windows of ten seconds overlap by half. A mark counts where its middle lies in the part that its window owns. A
    stretch below ten seconds is filled up with zeros.

    Args:
        detector: on any device.
        recording: at 200 Hz; electrodes beyond `ELECTRODES` are not looked at.
        threshold: least score of all classes; None takes the detector's own.

    Raises:
        ValueError: another sampling rate.
    """
    if recording.sfreq != SFREQ:
        raise ValueError(f"got {recording.sfreq:g} Hz, expected {SFREQ:g}: preprocess the recording first")
    rows = [row for row, name in enumerate(recording.ch_names) if name in ELECTRODES]
    places = [ELECTRODES.index(recording.ch_names[row]) for row in rows]
    marks: list[Waveform] = []
    device = detector.slot_table.device
    windows = list(_windows(recording))
    for first in range(0, len(windows) if rows else 0, BATCH_SIZE):
        batch = windows[first : first + BATCH_SIZE]
        signal = np.zeros((len(batch), len(ELECTRODES), N_TIMES), np.float32)
        for number, (begin, stop, _, _) in enumerate(batch):
            signal[number, places, : stop - begin] = recording.signal_uv[rows, begin:stop]
        present = torch.zeros(len(batch), len(ELECTRODES), dtype=torch.bool)
        present[:, places] = True
        found = detector.detect(torch.from_numpy(signal).to(device), present.to(device), threshold)
        columns = (found.window, found.electrode, found.kind, found.start_s, found.end_s, found.score)
        for window, electrode, kind, start_s, end_s, score in zip(*(c.tolist() for c in columns), strict=True):
            begin, stop, owned_from, owned_to = batch[window]
            end_s = min(end_s, (stop - begin) / SFREQ)
            if end_s > start_s and owned_from <= begin + (start_s + end_s) / 2 * SFREQ < owned_to:
                names = (ELECTRODES[electrode],)
                marks.append(
                    Waveform(WAVEFORM_KINDS[kind], names, begin / SFREQ + start_s, end_s - start_s, min(score, 1.0))
                )
    return _in_order(marks)


def _in_order(marks: Iterable[Waveform]) -> list[Waveform]:
    return sorted(marks, key=lambda mark: (mark.start_s, mark.ch_names, mark.kind))


def _windows(recording: Recording) -> Iterator[tuple[int, int, float, float]]:
    """First and last sample of each window, and of what it owns; the last window of a stretch ends with it."""
    for start, stop in recording.stretches:
        begins = [*range(start, stop - N_TIMES, HOP), max(stop - N_TIMES, start)]
        edges = [(one + other + N_TIMES) / 2 for one, other in pairwise(begins)]
        for begin, low, high in zip(begins, [-np.inf, *edges], [*edges, np.inf], strict=True):
            yield begin, min(begin + N_TIMES, stop), low, high


def _joined(marks: list[Waveform]) -> Iterator[Waveform]:
    """Marks of one class and electrode that overlap as one, with the highest score."""
    open_marks: dict[tuple[str, str], Waveform] = {}
    for mark in sorted(marks, key=lambda mark: mark.start_s):
        key = (mark.kind, mark.ch_names[0])
        last = open_marks.get(key)
        if last is not None and mark.start_s < last.end_s:
            end_s = max(last.end_s, mark.end_s)
            confidence = max(last.confidence, mark.confidence)
            open_marks[key] = replace(last, duration_s=end_s - last.start_s, confidence=confidence)
            continue
        if last is not None:
            yield last
        open_marks[key] = mark
    yield from open_marks.values()
