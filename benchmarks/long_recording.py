"""Time and memory of building a corpus from one recording of a day: 24 hours, 32 electrodes, 256 Hz.

Run: python benchmarks/long_recording.py [--hours 24] [--memory-gb 2]
Twenty simulated minutes are repeated in one EDF file (1.4 GB for a day), which is built in a process of its own, with
everything stored but maps. Its peak memory, pages of mapped files included, is compared with the bound.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpus.simulate import SimulationPreset, simulate, write_edf

PIECE_S, SFREQ = 1200.0, 256.0
CH_NAMES = (
    "Fp1", "Fp2", "AF3", "AF4", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz", "C4", "T8",
    "CP5", "CP1", "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO3", "PO4", "O1", "Oz", "O2",
)  # fmt: skip
RECORDS, RESERVED = slice(236, 244), slice(192, 236)  # fields of an EDF header


def write_long(path: Path, times: int) -> None:
    """A recording of `times` pieces, one after another, as plain EDF."""
    piece = path.with_suffix(".piece")
    write_edf(simulate(SimulationPreset(duration_s=PIECE_S, sfreq=SFREQ, ch_names=CH_NAMES), seed=0).recording, piece)
    content = piece.read_bytes()
    size = int(content[184:192])
    header = bytearray(content[:size])
    header[RECORDS] = str(int(header[RECORDS]) * times).ljust(8).encode()
    header[RESERVED] = b" " * 44  # no EDF+: the annotations of the pieces would repeat their onsets
    with path.open("wb") as stream:
        stream.write(header)
        for _ in range(times):
            stream.write(content[size:])
    piece.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--memory-gb", type=float, default=2.0, help="bound to compare with")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root, out = Path(name) / "in" / "person", Path(name) / "out"
        root.mkdir(parents=True)
        write_long(root / "day.edf", max(round(args.hours * 3600 / PIECE_S), 1))
        words = ["corpus", "build", "--dataset", "folder", "--root", str(root.parent), "--out", str(out)]
        command = [sys.executable, "-m", "neuronarrator", *words, "--workers", "1"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        stored = sum(path.stat().st_size for path in out.rglob("*.parquet")) / 1e9
    print(
        f"machine: {os.cpu_count()} cores; {args.hours:g} h of {len(CH_NAMES)} electrodes at {SFREQ:g} Hz, one process"
    )
    print(f"{seconds:.0f} s = {args.hours * 3600 / seconds:.0f} x real time, {stored:.2f} GB stored")
    print(f"peak memory {peak:.2f} GiB, bound {args.memory_gb:g}: {'within' if peak <= args.memory_gb else 'EXCEEDED'}")


if __name__ == "__main__":
    main()
