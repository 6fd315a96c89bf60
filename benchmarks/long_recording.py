"""Time and memory of long recordings: a corpus built from one of a day, or narration of some hours.

Run: python benchmarks/long_recording.py [--hours 24] [--memory-gb 2]
     python benchmarks/long_recording.py --narrate [1 4] [--chans 32] [--model tiny]
Twenty simulated minutes are repeated in one EDF file (1.4 GB for a day). The corpus is built in a process of its own,
with everything stored but maps; its peak memory, pages of mapped files included, is compared with the bound.

Narration reads, measures, narrates and reports recordings of the hours given, each in a process of its own: CPU seconds
of each step, and the peak of its memory above that of a process that has only imported the library. Without --model
a stub writes one text for all segments, so that the path of the data is measured and not the language model.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from peak_memory import peak_mib, run_command

from corpus.simulate import SimulationPreset, simulate, write_edf

PIECE_S, SFREQ = 1200.0, 256.0
CH_NAMES = (
    "Fp1", "Fp2", "AF3", "AF4", "F7", "F3", "Fz", "F4", "F8", "FC5", "FC1", "FC2", "FC6", "T7", "C3", "Cz", "C4", "T8",
    "CP5", "CP1", "CP2", "CP6", "P7", "P3", "Pz", "P4", "P8", "PO3", "PO4", "O1", "Oz", "O2",
    "Fpz", "AF7", "AFz", "AF8", "F5", "F1", "F2", "F6", "FT7", "FC3", "FCz", "FC4", "FT8", "C5", "C1", "C2", "C6",
    "TP7", "CP3", "CPz", "CP4", "TP8", "P5", "P1", "P2", "P6", "PO7", "POz", "PO8", "P9", "P10", "Iz",
)  # fmt: skip
N_CHANS = 32
RECORDS, RESERVED = slice(236, 244), slice(192, 236)  # fields of an EDF header
TEXT = (
    "Alpha dominates the spectrum. The amplitude is medium. Theta shows a moderate increase; delta, alpha, beta, gamma "
    "and high gamma remain stable. Energy is highest at O2. There is no asymmetry. No artifacts are present."
)
N_TOKENS = 95  # of a typical narrative


def write_long(path: Path, times: int, n_chans: int = N_CHANS, piece_s: float = PIECE_S) -> None:
    """A recording of `times` pieces, one after another, as plain EDF."""
    piece = path.with_suffix(".piece")
    preset = SimulationPreset(duration_s=piece_s, sfreq=SFREQ, ch_names=CH_NAMES[:n_chans])
    write_edf(simulate(preset, seed=0).recording, piece)
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


class Stub:
    """Writes `TEXT` of every segment, with as many tokens and alternatives as a narrator gives."""

    def __init__(self) -> None:
        self.config, self.device, self.calibration = SimpleNamespace(history_k=2), "cpu", None
        self.card = {"name": "stub", "version": "0", "sha256": "", "description": "writes one text"}

    def generate(self, batch: Any) -> list[Any]:
        """One text for each segment."""
        from neuronarrator.language.generation import ALTERNATIVES, Generation

        steps, told = range(N_TOKENS), []
        for _ in range(len(batch)):
            others = tuple(tuple((1000 + j, -0.001 * i * j) for j in range(ALTERNATIVES)) for i in steps)
            told.append(Generation(TEXT, tuple(steps), tuple(-0.01 * i for i in steps), ((0, 1),) * N_TOKENS, others))
        return told


def narrate_one(path: Path, model: str | None) -> tuple[int, list[float], float, float, float]:
    """Narrate a file and write its report: segments, CPU seconds of the steps, peak MiB before and after the report,
    megabytes of its page."""
    from neuronarrator.models import load_narrator
    from neuronarrator.narrate import load_for_model, narrate_recording
    from neuronarrator.report import write_report

    narrator: Any = Stub() if model is None else load_narrator(model)
    start_mib, clock = peak_mib(), [time.process_time()]
    recording = load_for_model(path)
    clock.append(time.process_time())
    narrated = narrate_recording(narrator, recording)
    clock.append(time.process_time())
    narrated_mib = peak_mib() - start_mib
    files = write_report(narrated.document, narrated.recording, narrated.topomaps, path.parent)
    clock.append(time.process_time())
    steps = [after - before for before, after in pairwise(clock)]
    page_mb = files["html"].stat().st_size / 1e6
    return len(narrated.segments), steps, narrated_mib, peak_mib() - start_mib, page_mb


def measure_narration(hours: list[float], n_chans: int, model: str | None) -> None:
    """Print a line for each duration."""
    spawn = multiprocessing.get_context("spawn")
    print(f"machine: {os.cpu_count()} cores; {n_chans} electrodes at {SFREQ:g} Hz, narrator: {model or 'a stub'}")
    print("hours  segments  CPU s: read  narrate  report   peak MiB: narrate  with report   page MB")
    for duration_h in hours:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "long.edf"
            piece_s = min(PIECE_S, duration_h * 3600)
            write_long(path, max(round(duration_h * 3600 / piece_s), 1), n_chans, piece_s)
            with ProcessPoolExecutor(1, spawn) as pool:
                count, steps, narrated_mib, all_mib, page_mb = pool.submit(narrate_one, path, model).result()
        cells = "  ".join(f"{seconds:7.1f}" for seconds in steps)
        print(f"{duration_h:5g}  {count:8d}     {cells}  {narrated_mib:17.0f}  {all_mib:11.0f}  {page_mb:8.1f}")


def measure_build(hours: float, memory_gb: float) -> None:
    """Print time and memory of a corpus of one recording."""
    with tempfile.TemporaryDirectory() as name:
        root, out = Path(name) / "in" / "person", Path(name) / "out"
        root.mkdir(parents=True)
        write_long(root / "day.edf", max(round(hours * 3600 / PIECE_S), 1))
        words = ["corpus", "build", "--dataset", "folder", "--root", str(root.parent), "--out", str(out)]
        begin = time.perf_counter()
        peak = run_command([*words, "--workers", "1"]) / 2**10
        seconds = time.perf_counter() - begin
        stored = sum(path.stat().st_size for path in out.rglob("*.parquet")) / 1e9
    print(f"machine: {os.cpu_count()} cores; {hours:g} h of {N_CHANS} electrodes at {SFREQ:g} Hz, one process")
    print(f"{seconds:.0f} s = {hours * 3600 / seconds:.0f} x real time, {stored:.2f} GB stored")
    print(f"peak memory {peak:.2f} GiB, bound {memory_gb:g}: {'within' if peak <= memory_gb else 'EXCEEDED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--memory-gb", type=float, default=2.0, help="bound to compare with")
    parser.add_argument("--narrate", type=float, nargs="*", metavar="HOURS", help="measure narration instead (1 4)")
    parser.add_argument("--chans", type=int, default=N_CHANS, help=f"electrodes, at most {len(CH_NAMES)}")
    parser.add_argument("--model", help="the narrator, such as tiny; without it a stub")
    args = parser.parse_args()
    if args.narrate is None:
        measure_build(args.hours, args.memory_gb)
    else:
        measure_narration(args.narrate or [1.0, 4.0], args.chans, args.model)


if __name__ == "__main__":
    main()
