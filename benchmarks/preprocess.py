"""Signal steps against MNE's three (filter_data, notch_filter, resample), in one run on one machine, and their memory.

python benchmarks/preprocess.py                    # simulated recordings and memory, a minute
python benchmarks/preprocess.py --data FOLDER      # and real ones, from a folder that holds eegmat/, eegmmidb/, ...
python benchmarks/preprocess.py --data FOLDER --real   # those alone, half a minute
python benchmarks/preprocess.py --short            # seconds: 4 minutes and 1 hour instead of 20 minutes and 24 hours

Prints one JSON object, and a line for each recording as it is done. Both sides run in turns, once each without being
counted; times are medians, of the clock and of this process's CPU (which is steadier on a busy machine), and so are the
ratios, of neighbouring runs. Stages are in microseconds of CPU for a second of one channel. Differences are in
microvolts: over the whole recording, and without both ends.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peak_memory import peak_mib

from corpus.montage import pick_eeg
from corpus.preprocess import PreprocessPreset, preprocess, preprocess_stream
from corpus.preprocess.repair import inspect_signal
from corpus.recording import Recording, SignalReader, read_recording

SEED = 0
NOTCH = 50.0
EDGE_S = (0.0, 1.0, 10.0, 20.0, 30.0)
REAL = (
    "eegmat/Subject00_1.edf",
    "eegmat/Subject00_2.edf",
    "eegmmidb/S001R03.edf",
    "eegmmidb/S004R02.edf",
    "eeglab_sample/eeglab_data.set",
)


def simulate(duration_s: float, n_chans: int, sfreq: float) -> Recording:
    """Pink-like noise of 20 microvolts, mains, and an offset per channel."""
    rng = np.random.default_rng(SEED)
    n_times = round(duration_s * sfreq)
    spectrum = np.fft.rfft(rng.standard_normal((n_chans, n_times))) / np.maximum(np.arange(n_times // 2 + 1), 50) ** 0.5
    signal_uv = np.fft.irfft(spectrum, n_times)
    signal_uv *= 20 / signal_uv.std()
    signal_uv += 5 * np.sin(2 * np.pi * NOTCH * np.arange(n_times) / sfreq) + 300 * rng.standard_normal((n_chans, 1))
    return Recording(signal_uv, sfreq, tuple(f"channel {i}" for i in range(n_chans)))


def run_mne(recording: Recording) -> np.ndarray:
    """The three calls with MNE's defaults, (C, T') float64 microvolts."""
    import mne

    sfreq = recording.sfreq
    with mne.utils.use_log_level("ERROR"):
        x = mne.filter.filter_data(recording.signal_uv, sfreq, 0.1, 75.0 if sfreq > 150 else None)
        x = mne.filter.notch_filter(x, sfreq, NOTCH)
        return mne.filter.resample(x, up=200.0, down=sfreq, npad="auto") if sfreq != 200 else x


def measure(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, np.ndarray]:
    """Seconds of the clock and of the CPU of each side, (repeats, 2); the sides in turns, after a round that is not."""
    times = {name: np.empty((repeats + 1, 2)) for name in sides}
    for i in range(repeats + 1):
        for name, work in sides.items():
            start = time.perf_counter(), time.process_time()
            work()
            times[name][i] = time.perf_counter() - start[0], time.process_time() - start[1]
    return {name: seconds[1:] for name, seconds in times.items()}


def compare(name: str, recording: Recording, repeats: int) -> dict[str, object]:
    preset = PreprocessPreset(notch=NOTCH)
    times = measure(
        {
            "mne": lambda: run_mne(recording),
            "ours": lambda: preprocess(recording, preset),
            "inspection": lambda: inspect_signal(recording.signal_uv, recording.sfreq, recording.stretches),
        },
        repeats,
    )
    clock, cpu = np.median(times["mne"] / times["ours"], axis=0)
    stages = {side: np.median(seconds[:, 1]) * 1e6 / recording.n_chans for side, seconds in times.items()}
    stages["filters"] = stages["ours"] - stages["inspection"]
    report = {
        "recording": name,
        "channels": recording.n_chans,
        "sfreq": recording.sfreq,
        "duration_s": round(recording.duration_s),
        "x_real_time": {k: round(recording.duration_s / np.median(times[k][:, 0])) for k in ("mne", "ours")},
        "ratio": round(float(clock), 2),
        "ratio_of_cpu_time": round(float(cpu), 2),
        "us_a_channel_second": {side: round(float(us / recording.duration_s), 2) for side, us in stages.items()},
        **differences(recording, preset),
    }
    print(f"{name}: {clock:.2f} times as fast as MNE, {cpu:.2f} by CPU time", file=sys.stderr, flush=True)
    return report


def differences(recording: Recording, preset: PreprocessPreset) -> dict[str, object]:
    """How far the result is from MNE's, and a stream from the result."""
    theirs, ours = run_mne(recording), preprocess(recording, preset).signal_uv
    streamed = np.concatenate(list(preprocess_stream(recording, preset).chunks), axis=1)
    difference = np.abs(ours - theirs).max(axis=0)
    edges = [round(seconds * 200) for seconds in EDGE_S]
    return {
        "largest_uv": round(float(np.abs(theirs).max()), 1),
        "difference_uv_without_s_at_each_end": {
            f"{seconds:g}": float(f"{difference[edge : len(difference) - edge].max():.2g}")
            for seconds, edge in zip(EDGE_S, edges, strict=True)
        },
        "relative_difference": float(f"{np.linalg.norm(ours - theirs) / np.linalg.norm(theirs):.2g}"),
        "difference_uv_of_stream": float(np.abs(streamed - ours).max()),
    }


def stream_long(hours: float, n_chans: int, sfreq: float) -> None:
    """Stream a recording of many hours, read from a loop of ten minutes, and print time and peak memory."""
    loop = (simulate(600, n_chans, sfreq).signal_uv * 10).astype(np.int16)
    n_times = round(hours * 3600 * sfreq)

    def read(start: int, stop: int) -> np.ndarray:
        return loop[:, np.arange(start, stop) % loop.shape[1]] * 0.1

    reader: Any = SignalReader(read, (n_chans, n_times))
    recording = Recording(reader, sfreq, tuple(f"channel {i}" for i in range(n_chans)))
    before = peak_mib()
    start = time.perf_counter()
    stream = preprocess_stream(recording)
    assert sum(chunk.shape[1] for chunk in stream.chunks) == stream.n_times
    seconds = time.perf_counter() - start
    report = {
        "hours": hours,
        "channels": n_chans,
        "sfreq": sfreq,
        "peak_memory_mib": round(peak_mib()),
        "peak_memory_before_mib": round(before),
        "x_real_time_with_reading_twice_and_mains": round(hours * 3600 / seconds),
    }
    print(json.dumps(report))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real recordings; those that are there are measured")
    parser.add_argument("--real", action="store_true", help="the real recordings alone")
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--stream", nargs=3, type=float, metavar=("HOURS", "CHANNELS", "HZ"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stream:
        hours, n_chans, sfreq = arguments.stream
        stream_long(hours, int(n_chans), sfreq)
    else:
        print(json.dumps(run(arguments), indent=2))


def run(arguments: argparse.Namespace) -> dict[str, object]:
    found = [arguments.data / file for file in REAL if (arguments.data / file).is_file()] if arguments.data else []
    results = []
    for path in found:
        recording = pick_eeg(read_recording(path))
        results.append(compare(path.relative_to(arguments.data).as_posix(), recording, 5 if arguments.short else 15))
    if arguments.real:
        return {"results": results, **machine()}
    minutes, hours = (4, 1) if arguments.short else (20, 24)
    results += [compare(f"simulated {n}", simulate(60 * minutes, n, 250.0), 3) for n in (19, 32)]
    memory = []
    for case in ((hours / 4, 32, 250), (hours, 32, 250)):
        command = [sys.executable, __file__, "--stream", *map(str, case)]
        memory.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    return {"results": results, "memory": memory, **machine()}


def machine() -> dict[str, object]:
    cpu = platform.processor() or platform.machine()
    return {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()[0], "numpy": np.__version__}


if __name__ == "__main__":
    main()
