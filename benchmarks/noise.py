"""Noise rate of captions with the marks of the shipped detector, on simulated persons and on real recordings.

    python benchmarks/noise.py [--data FOLDER ...] [--persons 20] [--files 4]

Bars: at most 2 % against the truth of the simulation, at most 5 % against the measured signal of real recordings.
Persons are those that no detector was trained or tuned on, and whose errors nobody looked at while the rules were
mended; intervals are Wilson's, of sentences.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from corpus.background import find_complete
from corpus.caption import write_caption
from corpus.findings import Findings
from corpus.noise_audit import CheckedSentence, NoiseRate, check_against_signal, check_against_truth, measure_noise
from corpus.recording import Recording, RecordingError
from corpus.segment import segment_recording
from corpus.simulate import detector_preset, simulate
from encoders.waveform import WaveformDetector
from neuronarrator.detection.data import TEST_SEED
from neuronarrator.detection.marks import mark_recording
from neuronarrator.evaluate.sources import open_data

LONGEST_S = 60.0  # of a real recording
FIRST = TEST_SEED + 1000


def captions(detector: WaveformDetector, recording: Recording) -> Iterator[tuple[Findings, str]]:
    """Each segment of the first minute with its caption."""
    segments = [s for s in segment_recording(recording) if s.start_s + s.duration_s <= LONGEST_S]
    found = find_complete(segments, recording.defects, waveforms=mark_recording(detector, recording))
    for seed, one in enumerate(found):
        yield one, write_caption(one, seed)


def of_simulation(detector: WaveformDetector, persons: int) -> list[CheckedSentence]:
    """Sentences about simulated persons, a minute each, against their boxes."""
    checked: list[CheckedSentence] = []
    for seed in tqdm(range(FIRST, FIRST + persons), desc="simulation"):
        simulation = simulate(detector_preset(seed), seed)
        for findings, text in captions(detector, simulation.recording):
            checked += check_against_truth(text, findings, simulation.boxes)
    return checked


def of_recordings(detector: WaveformDetector, folder: Path, files: int) -> list[CheckedSentence]:
    """Sentences about some recordings of a folder, spread over it, against their signal."""
    try:
        items = open_data(folder, folder.resolve().name).items
    except ValueError:
        items = open_data(folder).items
    checked: list[CheckedSentence] = []
    for item in tqdm(items[:: max(1, len(items) // files)][:files], desc=folder.name):
        try:
            material = item.load()
        except RecordingError:
            continue
        for findings, text in captions(detector, material.recording):  # type: ignore[attr-defined]
            checked += check_against_signal(text, findings)
    return checked


def show(name: str, noise: NoiseRate, bar: float) -> None:
    """One line for each set, and its most frequent errors."""
    read = noise.sentences - noise.unread
    print(
        f"{name:<16} {100 * noise.rate:5.2f} % (95 % {100 * noise.low:.2f} to {100 * noise.high:.2f}) of {read} "
        f"sentences, {noise.unread} unread; bar {100 * bar:g} %; {dict(list(noise.causes.items())[:8])}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of real recordings")
    parser.add_argument("--persons", type=int, default=20, help="simulated persons (default: 20)")
    parser.add_argument("--files", type=int, default=4, help="recordings of each folder (default: 4)")
    args = parser.parse_args(argv)
    detector = WaveformDetector.from_pretrained("tiny")
    detector.eval()
    if args.persons:
        show("simulation", measure_noise(of_simulation(detector, args.persons)), 0.02)
    everything: list[CheckedSentence] = []
    for folder in args.data:
        own = of_recordings(detector, folder, args.files)
        show(folder.name, measure_noise(own), 0.05)
        everything += own
    if everything:
        show("all recordings", measure_noise(everything), 0.05)


if __name__ == "__main__":
    main()
