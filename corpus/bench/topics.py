"""What a simulated segment shows, topic by topic, and what it surely does not show.

The seventeen topics in four categories are those of CerebraGloss-Bench (CerebraGloss, Sec. 5). The wording and the
rules are ours. A topic is present, absent, or in doubt (None), and what is in doubt is never offered as an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from corpus.findings import Findings
from corpus.simulate import Box, SimulatedEvent

ALPHA_HZ = (8.0, 13.0)
AWAKE = frozenset({"awake_eyes_closed", "awake_eyes_open"})
EPILEPTIC_EVENTS = ("spike", "sharp_wave", "spike_slow_wave", "spike_wave", "seizure")
EYE_EVENTS = ("blink", "gaze_left", "gaze_right", "slow_eye")
SEVERE_EVENTS = ("extreme", "pop", "flat", "electrode_noise")
SHARP_LOOKALIKES = ("vertex_wave", "k_complex", "mu")


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated segment.

    Attributes:
        findings: measured from its signal, with the boxes for a detector's marks.
        boxes: of the simulator, mostly inside the segment, cut at its edges; seconds from its start.
        near: all that touch it, whole.
        events: of the simulator, those that touch the segment, boxes or not.
        states: of the simulator, those that touch it.
    """

    findings: Findings
    boxes: Sequence[Box]
    near: Sequence[Box]
    events: Sequence[SimulatedEvent]
    states: frozenset[str]

    def boxed(self, *kinds: str, events: Sequence[str] = ()) -> bool:
        """Whether there is a box of these kinds, of these events if any are named."""
        return any(box.kind in kinds and (not events or box.event in events) for box in self.boxes)

    def happened(self, *kinds: str) -> bool:
        """Whether an event of these kinds touches the segment, seen or not."""
        return any(event.kind in kinds for event in self.events)


@dataclass(frozen=True)
class Topic:
    """One thing that a segment may show.

    Attributes:
        category: of four.
        statement: the option of a choice that says so.
        shown: True, False, or None where it is in doubt.
    """

    category: str
    statement: str
    shown: Callable[[Truth], bool | None]


def present(truth: Truth) -> list[str]:
    """The topics that a segment shows, in the order of `TOPICS`."""
    return [name for name, topic in TOPICS.items() if topic.shown(truth) is True]


def absent(truth: Truth) -> list[str]:
    """The topics that it surely does not show."""
    return [name for name, topic in TOPICS.items() if topic.shown(truth) is False]


def _alpha(truth: Truth) -> bool | None:
    for item in truth.findings.of("pdr"):
        if item.value == "absent":
            return False
        return True if ALPHA_HZ[0] <= (item.measured or 0.0) <= ALPHA_HZ[1] else None
    return None


def _variation(truth: Truth) -> bool | None:
    found = [item for item in truth.findings.of("variation") if item.subject != "recording"]
    return any(item.value == "variable" for item in found) if found else None


def _asymmetry(truth: Truth) -> bool | None:
    sides = [item.value for item in truth.findings.of("sides")]
    if any(value.startswith("marked") for value in sides):
        return True
    return False if "symmetric" in sides else None


def _slowing(truth: Truth) -> bool | None:
    if not truth.states <= AWAKE:  # what is slow in sleep is sleep
        return None
    return bool(truth.findings.of("slowing"))


def _fast(truth: Truth) -> bool | None:
    if truth.findings.of("fast"):
        return True
    return None if truth.happened("muscle", "chewing", "electrode_noise") else False


def _low(truth: Truth) -> bool | None:
    return bool(truth.findings.of("voltage")) if truth.findings.of("level") else None


def _boxes(kinds: Sequence[str], events: Sequence[str], doubt: Sequence[str] = ()) -> Callable[[Truth], bool | None]:
    """Present where an event has a box, absent where none happened, in doubt where it, or another one, may be seen."""

    def shown(truth: Truth) -> bool | None:
        if truth.boxed(*kinds, events=events):
            return True
        return None if truth.happened(*events, *doubt) else False

    return shown


def _drowsy(truth: Truth) -> bool | None:
    if truth.states == {"drowsy"}:
        return True
    return False if truth.states <= AWAKE or truth.states == {"n3"} else None


def _deep(truth: Truth) -> bool | None:
    if truth.states == {"n3"}:
        return True
    return False if truth.states <= AWAKE and not truth.findings.of("slowing") else None


TOPICS: dict[str, Topic] = {
    "chewing": Topic("artifact", "Chewing artifact.", _boxes(("hfnoise",), ("chewing",))),
    "low voltage": Topic("background", "A background of low voltage.", _low),
    "asymmetry": Topic("background", "A marked asymmetry between the hemispheres.", _asymmetry),
    "fast activity": Topic("background", "Excess fast activity.", _fast),
    "severe artifact": Topic(
        "artifact", "Severe electrode artifact.", _boxes(("extreme", "electrode", "flat"), SEVERE_EVENTS)
    ),
    "drowsy": Topic("sleep", "The slow activity of drowsiness.", _drowsy),
    "deep delta": Topic("sleep", "The delta activity of deep sleep.", _deep),
    "spsw": Topic(
        "epileptiform",
        "Spike-and-slow-wave complexes.",
        _boxes(("spsw",), ("spike_slow_wave", "spike_wave"), EPILEPTIC_EVENTS),
    ),
    "spike": Topic("epileptiform", "Spikes.", _boxes(("spike",), ("spike",), EPILEPTIC_EVENTS)),
    "sharp": Topic(
        "epileptiform",
        "Sharp waves.",
        _boxes(("sharp",), ("sharp_wave",), (*EPILEPTIC_EVENTS, *SHARP_LOOKALIKES)),
    ),
    "Kcomplex": Topic("sleep", "K-complexes.", _boxes(("Kcomplex",), ("k_complex",), ("vertex_wave",))),
    "slowing": Topic("background", "Continuous slowing of the waking background.", _slowing),
    "hfnoise": Topic(
        "artifact",
        "High-frequency noise, as of muscle.",
        _boxes(("hfnoise",), ("muscle", "electrode_noise"), ("chewing",)),
    ),
    "spindle": Topic("sleep", "Sleep spindles.", _boxes(("spindle",), ("spindle",), ("mu",))),
    "eye": Topic("artifact", "Eye movements or blinks.", _boxes(("eyem", "eyer+", "eyer-"), EYE_EVENTS)),
    "alpha": Topic("background", "A posterior dominant alpha rhythm.", _alpha),
    "variation": Topic("background", "A background that varies over the segment.", _variation),
}
"""The rarest first: a segment that shows several is taken for the one that lacks most."""
