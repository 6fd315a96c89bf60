"""What the waveform detector costs: training data, a training step, and marking a recording.

python benchmarks/detector.py                # prints one JSON object, about a minute on two cores
python benchmarks/detector.py --clock cpu    # processor time instead, for a machine with other work

Times are medians. Training steps are those of experiments/detect/tiny.yaml, with and without bfloat16.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch

from corpus.recording import Recording
from corpus.simulate import detector_preset, simulate
from encoders.waveform import TINY_DETECTOR, Assignment, DetectionLoss, WaveformDetector
from neuronarrator.detection.data import CropPool, DetectionAugmentation, simulate_labelled
from neuronarrator.detection.marks import mark_recording

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PERSONS, BATCH_SIZE, MARKED_S = 20, 32, 600.0


def median_s(work: Callable[[], object], clock: Callable[[], float], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        begin = clock()
        work()
        times.append(clock() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    clock = CLOCKS[parser.parse_args().clock]
    torch.manual_seed(0)
    detector = WaveformDetector(TINY_DETECTOR)
    optimizer = torch.optim.AdamW(detector.parameters(), 1e-3)
    loss = DetectionLoss(5.0, 1.0, 1.0, 1.0, "iou", Assignment(0.15, 0.3, 0.75))
    pool = CropPool(PERSONS, 0, BATCH_SIZE, 10, 0, DetectionAugmentation())
    batch = pool[0]

    def step(bfloat16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            predictions = detector(batch.signal_uv, batch.present)
        optimizer.zero_grad()
        loss(predictions, batch.packed_boxes, detector.slots)["loss"].backward()
        optimizer.step()

    step(True)
    times = {
        "simulate_a_minute_s": median_s(lambda: simulate_labelled(0), clock),
        "batch_of_crops_s": median_s(lambda: pool[0], clock),
        "training_step_s": median_s(lambda: step(False), clock),
        "training_step_bfloat16_s": median_s(lambda: step(True), clock),
    }
    long = simulate(detector_preset(0, MARKED_S), 0).recording
    recording = Recording(signal_uv=long.signal_uv, sfreq=long.sfreq, ch_names=long.ch_names)
    detector.eval()
    mark_recording(detector, recording, 0.5)
    marking = median_s(lambda: mark_recording(detector, recording, 0.5), clock)
    facts = {
        "parameters": sum(p.numel() for p in detector.parameters()),
        "batch": [BATCH_SIZE, int(batch.present.sum())],
        "marking_times_real_time": MARKED_S / marking,
        "electrodes_marked": len(recording.ch_names),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    print(json.dumps({"clock": clock.__name__, **times, **facts}, indent=2))


if __name__ == "__main__":
    main()
