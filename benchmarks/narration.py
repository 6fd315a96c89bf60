"""Whole-process speed of `neuronarrator narrate`: a 20-minute 19-channel 250 Hz EDF, start-up included.

Run: python benchmarks/narration.py [--minutes 20] [--seed 0]
Prints wall time, the multiple of real time, peak memory, and the size of the HTML report. The peer is real time itself.
"""

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from peak_memory import run_command

from corpus.simulate import SimulationPreset, simulate, write_edf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recording.edf"
        preset = SimulationPreset(
            duration_s=60 * args.minutes, sfreq=250.0, states=("awake_eyes_closed", "drowsy", "n2")
        )
        write_edf(simulate(preset, args.seed).recording, file)
        start = time.perf_counter()
        peak = run_command(["narrate", str(file), "--out", folder, "--device", "cpu"]) / 2**10
        wall = time.perf_counter() - start
        html = (Path(folder) / "recording.html").stat().st_size
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores; seed {args.seed}")
    print(f"{args.minutes:g} min, {len(preset.ch_names)} channels, {preset.sfreq:g} Hz, whole process with start-up:")
    speed = 60 * args.minutes / wall
    print(f"  {wall:.1f} s = {speed:.0f} x real time; peak memory {peak:.2f} GiB; HTML {html / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
