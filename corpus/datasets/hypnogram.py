"""Sleep scorings in EDF+ annotations, "Sleep stage N2" for so many seconds, to labels."""

import re
from pathlib import Path

from corpus.datasets.base import Label, Loaded
from corpus.datasets.events import on_signal, with_labels
from corpus.recording import Recording
from corpus.recording.annotations import edf_clock_s, read_edf_annotations

STAGES = {
    "W": "awake",
    "N1": "light sleep; stage 1 of Rechtschaffen and Kales",
    "N2": "sleep with spindles and K-complexes; stage 2",
    "N3": "deep sleep; stages 3 and 4 together",
    "R": "rapid eye movement sleep",
}
"""The values of a stage label (AASM), and what they are in the older rules."""

MOVEMENT = {"movement": "movement time: the stage cannot be told for movement"}
_VALUES = {"W": "W", "1": "N1", "2": "N2", "3": "N3", "4": "N3", "N1": "N1", "N2": "N2", "N3": "N3", "R": "R"}
_STAGE = re.compile(r"\S+ stage (W|R|N[123]|[1-4])", re.IGNORECASE)  # "Sleep" may be a removed name


def stage_labels(path: Path) -> list[Label]:
    """The stages and movement time of a scoring; whatever else it notes (unknown stage, lights off) is left out.

    Raises:
        RecordingError: the file is missing or damaged.
    """
    labels = []
    for remark in read_edf_annotations(path):
        text = remark.description.strip()
        stage = _STAGE.fullmatch(text)
        kind, value = ("stage", _VALUES[stage[1].upper()]) if stage else ("artifact", "movement")
        if stage or text.lower() == "movement time":
            labels.append(Label(kind, value, "segment", f"{path.name}, {text!r}", remark.start_s, remark.duration_s))
    return labels


def with_scoring(recording: Recording, signal: Path, scoring: Path) -> Loaded:
    """The recording with the stages of its scoring.

    Args:
        recording: read from `signal`.
        signal: EDF file.
        scoring: EDF+ file of annotations; its times count from its own start, published as that of the signal.

    Raises:
        RecordingError: the scoring is missing or damaged.
    """
    labels = on_signal(recording, stage_labels(scoring))
    clocks = {edf_clock_s(signal), edf_clock_s(scoring)}
    told = ["by their headers, signal and scoring begin at different times: taken as one start"]
    return with_labels(recording, labels, told if len(clocks - {None}) > 1 else ())
