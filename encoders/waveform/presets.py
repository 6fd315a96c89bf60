"""Sizes of the waveform detector, as data, and the classes and electrodes that it knows."""

from dataclasses import dataclass
from typing import Literal

WAVEFORM_KINDS = ("spike", "sharp", "spsw", "Kcomplex", "spindle", "hfnoise", "eyem", "eyer+", "eyer-")
"""The nine classes of CerebraGloss, Sec. 3.1, in the order of the detector's outputs."""

ELECTRODES = (
    "Fp1", "Fp2", "F7", "F3", "Fz", "F4", "F8", "T7", "C3", "Cz", "C4",
    "T8", "P7", "P3", "Pz", "P4", "P8", "O1", "O2",
)  # fmt: skip
"""The 19 electrodes of the 10-20 system, in the order of the detector's rows."""

SFREQ = 200.0
N_TIMES = 2000
"""Samples of a window: ten seconds."""

BOX_VALUES = 3
"""Of each anchor besides the classes: confidence, displacement, scale."""

Input = Literal["z", "amplitude"]


@dataclass(frozen=True)
class DetectorPreset:
    """Size of a `WaveformDetector`.

    The paper (CerebraGloss, App. B) states the parts, the anchors and their levels; strides, widths and numbers of
    modules are ours. The first level has a cell of four samples (20 ms), each next one twice that.

    Attributes:
        inputs: what is given of each electrode: "z" the z-scored signal (the paper's only one), "amplitude" the
            compressed microvolts, asinh(x / 10 µV), because some classes are told apart by size.
        stem_width: channels of the first convolution, which halves the rate.
        widths: channels of each level; multiples of 4, and of `heads` where there is attention.
        modules: inception modules of each level.
        attention: whether the electrodes of a level attend to each other.
        heads: of the attention.
        neck_width: channels of the feature pyramid.
        anchors: for each level the durations of its anchors, seconds.

    Raises:
        ValueError: the fields do not fit together.
    """

    inputs: tuple[Input, ...] = ("z",)
    stem_width: int = 32
    widths: tuple[int, ...] = (64, 128, 256, 512)
    modules: tuple[int, ...] = (2, 2, 2, 2)
    attention: tuple[bool, ...] = (False, True, True, True)
    heads: int = 4
    neck_width: int = 128
    anchors: tuple[tuple[float, ...], ...] = ((0.45, 1.5), (), (), (9.5,))

    def __post_init__(self) -> None:
        for name, kind in (("inputs", str), ("widths", int), ("modules", int), ("attention", bool)):
            object.__setattr__(self, name, tuple(kind(value) for value in getattr(self, name)))
        object.__setattr__(self, "anchors", tuple(tuple(level) for level in self.anchors))
        lengths = {len(self.widths), len(self.modules), len(self.attention), len(self.anchors)}
        if len(lengths) != 1:
            raise ValueError(
                f"got {len(self.widths)} widths, {len(self.modules)} modules, {len(self.attention)} attention and "
                f"{len(self.anchors)} anchors, expected one of each a level: correct the preset"
            )
        if any(width % 4 for width in self.widths) or any(
            width % self.heads for width, attends in zip(self.widths, self.attention, strict=True) if attends
        ):
            raise ValueError(
                f"got widths {self.widths}, expected multiples of 4 and of {self.heads} heads: change them"
            )
        if not any(self.anchors) or not set(self.inputs) <= {"z", "amplitude"} or not self.inputs:
            raise ValueError(
                f"got anchors {self.anchors} and inputs {self.inputs}, expected an anchor and 'z', 'amplitude' or both"
            )

    @property
    def strides(self) -> tuple[int, ...]:
        """Samples of a cell of each level."""
        return tuple(4 * 2**level for level in range(len(self.widths)))


BASE_DETECTOR = DetectorPreset()
"""The detector of the paper, as far as it is stated."""

TINY_DETECTOR = DetectorPreset(
    inputs=("z", "amplitude"),
    stem_width=32,
    widths=(64, 64, 96, 128),
    modules=(1, 2, 2, 3),
    attention=(False, False, True, True),
    neck_width=64,
)
"""Trains on two CPU cores; it also sees amplitudes."""

DETECTOR_PRESETS = {"tiny": TINY_DETECTOR, "base": BASE_DETECTOR}
