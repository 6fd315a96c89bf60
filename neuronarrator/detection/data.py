"""Simulated training data for the waveform detector: ten-second crops with the boxes of nine classes, by electrode."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from corpus.montage import mirror_of
from corpus.preprocess import NEURONARRATOR, PreprocessPreset, preprocess
from corpus.recording import Recording
from corpus.simulate import Box, detector_preset, simulate
from corpus.waveforms import MIN_PART, MIN_PART_S
from encoders.waveform import ELECTRODES, N_TIMES, SFREQ, WAVEFORM_KINDS
from neuronarrator.epoch_datamodule import EpochDataModule

VAL_SEED, TEST_SEED = 10_000_000, 20_000_000
"""First seeds of the simulated persons of validation and of tests; those of training count from the run's seed."""

_ROW = {name: row for row, name in enumerate(ELECTRODES)}
_MIRROR = [_ROW[mirror_of(name) or name] for name in ELECTRODES]
_CLASS = {kind: number for number, kind in enumerate(WAVEFORM_KINDS)}


@dataclass(frozen=True)
class DetectionBatch:
    """Windows and their boxes.

    Attributes:
        signal_uv: (B, 19, 2000) float32 microvolts, rows in the order of `ELECTRODES`, zero where not recorded.
        present: (B, 19) bool, which electrodes were recorded.
        boxes: (M, 5) float32: window, electrode row, class, start and end in seconds in the window.
    """

    signal_uv: Tensor
    present: Tensor
    boxes: Tensor

    def __len__(self) -> int:
        return len(self.signal_uv)

    def to(self, device: torch.device | str) -> "DetectionBatch":
        """The same on another device."""
        return DetectionBatch(self.signal_uv.to(device), self.present.to(device), self.boxes.to(device))

    @property
    def packed_boxes(self) -> Tensor:
        """(M, 4): row among the recorded electrodes of the batch, class, start, end, as `DetectionLoss` takes them."""
        rows = (self.present.flatten().cumsum(0) - 1).view_as(self.present)
        window, electrode = self.boxes[:, :2].long().unbind(1)
        return torch.cat([rows[window, electrode][:, None].float(), self.boxes[:, 2:]], dim=1)


@dataclass(frozen=True)
class LabelledRecording:
    """What is kept of a simulated recording: half precision is finer than any amplifier.

    Attributes:
        signal_uv: (19, T) float16, zero where not recorded.
        present: (19,) bool.
        boxes: (M, 4) electrode row, class, start and end in seconds.
    """

    signal_uv: np.ndarray
    present: np.ndarray
    boxes: np.ndarray


def label_recording(recording: Recording, boxes: Iterable[Box]) -> LabelledRecording:
    """The rows of `ELECTRODES` of a recording at 200 Hz, and the boxes of the nine classes on them."""
    signal = np.zeros((len(ELECTRODES), recording.signal_uv.shape[1]), np.float16)
    present = np.zeros(len(ELECTRODES), bool)
    for name, row_uv in zip(recording.ch_names, recording.signal_uv, strict=True):
        if name in _ROW:
            signal[_ROW[name]], present[_ROW[name]] = np.clip(row_uv, -6e4, 6e4), True
    rows = [
        (_ROW[box.ch_name], _CLASS[box.kind], box.start_s, box.start_s + box.duration_s)
        for box in boxes
        if box.kind in _CLASS and box.ch_name in _ROW and present[_ROW[box.ch_name]]
    ]
    return LabelledRecording(signal, present, np.array(rows, np.float32).reshape(-1, 4))


def simulate_labelled(seed: int, preset: PreprocessPreset = NEURONARRATOR) -> LabelledRecording:
    """One simulated minute of the person with this seed, preprocessed, with its boxes."""
    simulation = simulate(detector_preset(seed), seed)
    return label_recording(preprocess(simulation.recording, preset), simulation.boxes)


def cut_boxes(boxes: np.ndarray, start_s: float, duration_s: float = N_TIMES / SFREQ) -> np.ndarray:
    """Boxes (M, 4) in a window, relative to it: those of which a second, or half if that is less, lies inside."""
    start, end = np.clip(boxes[:, 2:].T - start_s, 0, duration_s)
    inside = end - start >= np.minimum(MIN_PART * (boxes[:, 3] - boxes[:, 2]), MIN_PART_S)
    return np.stack([boxes[:, 0], boxes[:, 1], start, end], axis=1)[inside & (end > start)]


@dataclass(frozen=True)
class DetectionAugmentation:
    """What happens to a training window (CerebraGloss, App. B.2; the sizes are not stated there).

    Random crops stand for its circular shift, which would join two ends that do not fit; its permutation of channels
    has no effect on a detector in which the embedding of an electrode goes with it.

    Attributes:
        noise_uv: most root mean square of added white noise.
        log_gain: standard deviation of the logarithm of a gain of the whole window; boxes depend on microvolts, so
            large ones make the boxes wrong.
        drop_channels: chance that a window loses electrodes, a random number of them.
        mirror: chance that left and right change places (not in the paper).
        low_cut: chance that a window is high-passed again, at 0.3 to 2 Hz, as other laboratories do (not in the paper).
    """

    noise_uv: float = 1.0
    log_gain: float = 0.1
    drop_channels: float = 0.2
    mirror: float = 0.5
    low_cut: float = 0.25


class CropPool(Dataset[DetectionBatch]):
    """Batches of random crops of simulated persons, of whom some are new in each epoch.

    Item i is batch i modulo `n_batches` of epoch i // n_batches and depends on the seed and i alone.

    Args:
        recordings: persons of an epoch, a minute each.
        fresh: how many of them are replaced from one epoch to the next.
        batch_size: B.
        n_batches: of an epoch.
        seed: of the run.
        augmentation: None leaves the crops as they are.
    """

    def __init__(
        self,
        recordings: int,
        fresh: int,
        batch_size: int,
        n_batches: int,
        seed: int,
        augmentation: DetectionAugmentation | None,
    ) -> None:
        self.recordings, self.fresh, self.batch_size, self.n_batches = recordings, fresh, batch_size, n_batches
        self.seed, self.augmentation = seed, augmentation
        self._kept: dict[int, LabelledRecording] = {}

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, item: int) -> DetectionBatch:
        rng = np.random.default_rng([self.seed, item])
        first = self.seed + item // self.n_batches * self.fresh
        for gone in [seed for seed in self._kept if seed < first]:
            del self._kept[gone]
        persons = first + rng.integers(self.recordings, size=self.batch_size)
        crops = [self._crop(self._person(seed), rng) for seed in persons.tolist()]
        return collate_windows(crops)

    def _person(self, seed: int) -> LabelledRecording:
        if seed not in self._kept:
            self._kept[seed] = simulate_labelled(seed)
        return self._kept[seed]

    def _crop(self, person: LabelledRecording, rng: np.random.Generator) -> LabelledRecording:
        start = int(rng.integers(person.signal_uv.shape[1] - N_TIMES + 1))
        window = replace(
            person,
            signal_uv=person.signal_uv[:, start : start + N_TIMES].astype(np.float32),
            boxes=cut_boxes(person.boxes, start / SFREQ),
        )
        return window if self.augmentation is None else augment_window(window, self.augmentation, rng)


def augment_window(
    window: LabelledRecording, options: DetectionAugmentation, rng: np.random.Generator
) -> LabelledRecording:
    """Noise, gain, another low cut, lost electrodes and changed sides, drawn at random."""
    signal, present, boxes = window.signal_uv, window.present, window.boxes
    if rng.random() < options.low_cut:
        signal = _high_pass(signal, float(np.exp(rng.uniform(np.log(0.3), np.log(2.0)))))
    signal = signal * np.float32(np.exp(rng.normal(0, options.log_gain)))
    signal = signal + np.float32(rng.uniform(0, options.noise_uv)) * rng.standard_normal(signal.shape, np.float32)
    if rng.random() < options.drop_channels and present.sum() > 1:
        lost = rng.permutation(np.flatnonzero(present))[: rng.integers(1, present.sum())]
        present = present.copy()
        present[lost] = False
    if rng.random() < options.mirror:
        signal, present = signal[_MIRROR], present[_MIRROR]
        boxes = boxes.copy()
        boxes[:, 0] = np.array(_MIRROR)[boxes[:, 0].astype(int)]
    return LabelledRecording(signal, present, boxes[present[boxes[:, 0].astype(int)]])


def _high_pass(signal: np.ndarray, cut_hz: float) -> np.ndarray:
    """Zero-phase, 12 dB an octave at `cut_hz`."""
    hz = np.fft.rfftfreq(signal.shape[1], 1 / SFREQ)
    gain = (1 / (1 + (cut_hz / np.maximum(hz, 1e-6)) ** 2)).astype(np.float32)
    return np.fft.irfft(np.fft.rfft(signal) * gain, signal.shape[1]).astype(np.float32)


def collate_windows(windows: Sequence[LabelledRecording]) -> DetectionBatch:
    """Windows of ten seconds as a batch."""
    present = np.stack([window.present for window in windows])
    signal = np.stack([window.signal_uv for window in windows]).astype(np.float32) * present[..., None]
    boxes = [np.insert(window.boxes, 0, number, axis=1) for number, window in enumerate(windows)]
    return DetectionBatch(
        torch.from_numpy(signal), torch.from_numpy(present), torch.from_numpy(np.concatenate(boxes).astype(np.float32))
    )


def segment_windows(recording: LabelledRecording) -> list[LabelledRecording]:
    """The windows of a recording, one after the other."""
    starts = range(0, recording.signal_uv.shape[1] - N_TIMES + 1, N_TIMES)
    boxes = [cut_boxes(recording.boxes, start / SFREQ) for start in starts]
    return [
        LabelledRecording(recording.signal_uv[:, start : start + N_TIMES], recording.present, here)
        for start, here in zip(starts, boxes, strict=True)
    ]


class _Batches(Dataset[DetectionBatch]):
    """Windows in order, a batch at a time."""

    def __init__(self, windows: Sequence[LabelledRecording], batch_size: int) -> None:
        self.windows, self.batch_size = windows, batch_size

    def __len__(self) -> int:
        return -(-len(self.windows) // self.batch_size)

    def __getitem__(self, item: int) -> DetectionBatch:
        return collate_windows(self.windows[item * self.batch_size : (item + 1) * self.batch_size])


class DetectionDataModule(EpochDataModule):
    """Crops of simulated persons for training, segments of others for validation.

    Args:
        recordings: simulated persons of an epoch, a minute each.
        fresh: of them, replaced by new ones from one epoch to the next.
        val_recordings: simulated persons of validation.
        batch_size: B.
        batches_per_epoch: training batches an epoch.
        augmentation: of the training crops; None leaves them as they are.
        seed: of the training persons and crops.
        num_workers: of the training loader; one is enough to simulate while the other core trains.
    """

    def __init__(
        self,
        recordings: int = 400,
        fresh: int = 100,
        val_recordings: int = 40,
        batch_size: int = 32,
        batches_per_epoch: int = 200,
        augmentation: DetectionAugmentation | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["augmentation"])
        self.augmentation = augmentation

    def setup(self, stage: str | None = None) -> None:
        """Simulate the persons of validation once; those of training come as they are asked for."""
        if hasattr(self, "train_batches"):
            return
        wanted = {key: self.hparams[key] for key in ("recordings", "fresh", "batch_size", "seed")}
        self.train_batches = CropPool(
            **wanted, n_batches=self.hparams["batches_per_epoch"], augmentation=self.augmentation
        )
        seeds = range(VAL_SEED, VAL_SEED + self.hparams["val_recordings"])
        windows = [w for seed in tqdm(seeds, desc="validation") for w in segment_windows(simulate_labelled(seed))]
        self.val_batches = _Batches(windows, self.hparams["batch_size"])
