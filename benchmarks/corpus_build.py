"""Building a corpus against the straightforward pipeline, on the same recordings, in one run.

Run: python benchmarks/corpus_build.py [--data ../shared/data] [--recordings 46] [--workers 2] [--rounds 3]
The peer, for each recording: MNE reads, filters, notches and resamples; for each segment scipy's Welch, scikit-learn's
k-means and MNE's topomap drawn by matplotlib, 224 pixels wide as PNG; arrays by numpy. It runs in one process, as such
scripts do. Ours is `corpus build` with topomap_size 224: it reads, preprocesses, measures, describes and stores
everything, the same maps as PNG among it, once in one process and once in several. Without EEGMAT simulated recordings
are used. Before anything is timed, every file was read, every package imported and each side run once, the peer on one
recording; the server of processes starts in the first round of the build with several workers.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from corpus.build import BuildConfig, build_corpus
from corpus.datasets import get_dataset
from corpus.features import BANDS
from corpus.montage import pick_eeg
from corpus.simulate import SimulationPreset, simulate, write_edf

SEGMENT_S, SFREQ, MAP_SIZE = 10, 200, 224


def find_recordings(data: Path, folder: Path, count: int) -> tuple[str, Path, list[Path]]:
    """Dataset name, its root with `count` recordings, and these."""
    if (data / "eegmat").is_dir():
        files = sorted((data / "eegmat").glob("*.edf"))[:count]
        for file in [*files, data / "eegmat" / "subject-info.csv"]:
            (folder / file.name).symlink_to(file.resolve())
        return "workload", folder, files
    files = [folder / f"person{i}.edf" for i in range(count)]
    for i, file in enumerate(files):
        write_edf(simulate(SimulationPreset(duration_s=120.0, sfreq=500.0), seed=i).recording, file)
    return "folder", folder, files


def run_straightforward(files: list[Path], out: Path, names: dict[Path, list[str]]) -> int:
    """The peer; returns the number of segments."""
    import matplotlib as mpl
    import mne

    mpl.use("Agg")
    warnings.filterwarnings("ignore", "Montage name", FutureWarning)  # the new name is unknown to MNE before 1.13
    import matplotlib.pyplot as plt
    from scipy.signal import welch
    from sklearn.cluster import KMeans

    count = 0
    for file in files:
        raw = mne.io.read_raw_edf(file, preload=True, verbose="error")
        raw.rename_channels(lambda name: name.removeprefix("EEG "))
        raw.pick(names[file])
        signal = mne.filter.filter_data(raw.get_data(), raw.info["sfreq"], 0.1, 75.0, verbose="error")
        signal = mne.filter.notch_filter(signal, raw.info["sfreq"], 50.0, verbose="error")
        signal = mne.filter.resample(signal, up=SFREQ, down=raw.info["sfreq"], verbose="error") * 1e6
        info = mne.create_info(raw.ch_names, SFREQ, "eeg").set_montage("standard_1020")
        length = SEGMENT_S * SFREQ
        for begin in range(0, signal.shape[1] - length + 1, length):
            segment = signal[:, begin : begin + length]
            freqs, density = welch(segment, SFREQ, nperseg=2 * SFREQ)
            for low, high in BANDS.values():
                density[:, (freqs >= low) & (freqs < high)].sum(1).mean()
            KMeans(3, n_init=10, random_state=0).fit(segment.var(1)[:, None])
            figure, axis = plt.subplots(figsize=(MAP_SIZE / 100, MAP_SIZE / 100), dpi=100)
            mne.viz.plot_topomap(segment[:, length // 2], info, axes=axis, show=False)
            figure.savefig(out / f"{file.stem}-{begin}.png")
            plt.close(figure)
            np.save(out / f"{file.stem}-{begin}.npy", segment.astype(np.float32))
            count += 1
    return count


class Rival:
    """One side of the comparison: its times in every round."""

    def __init__(self, label: str, run: Callable[[Path], object]) -> None:
        self.label, self.run = label, run
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []

    def take(self, folder: Path) -> None:
        """Run once, in a folder of its own; CPU time is that of this process."""
        out = folder / f"{self.label}-{len(self.wall_s)}".replace(" ", "-")
        out.mkdir()
        wall, cpu = time.perf_counter(), time.process_time()
        self.run(out)
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)

    @property
    def seconds(self) -> float:
        """Median wall time."""
        return statistics.median(self.wall_s)

    def tell(self, seconds: float) -> None:
        """Print; `seconds` of EEG."""
        cpu, speed = statistics.median(self.cpu_s), seconds / self.seconds
        print(f"  {self.label:24s} {self.seconds:7.2f} s, CPU here {cpu:6.2f} s = {speed:6.0f} x real time")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--recordings", type=int, default=46)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        dataset_name, root, files = find_recordings(args.data, folder / "in", args.recordings)
        dataset = get_dataset(dataset_name)
        loaded = {entry.path: dataset.load(entry).recording for entry in dataset.entries(root)}
        seconds = sum(recording.duration_s for recording in loaded.values())
        names = {path.resolve(): list(pick_eeg(recording).ch_names) for path, recording in loaded.items()}
        resolved = [file.resolve() for file in files]
        config = BuildConfig(train_cap=None, topomap_size=MAP_SIZE)
        build = partial(build_corpus, [(dataset_name, root)], config=config)
        workers = args.workers
        peer = Rival("straightforward", lambda out: run_straightforward(resolved, out, names))
        ours = [
            Rival("build 1 worker", lambda out: build(out)),
            Rival(f"build {workers} workers", lambda out: build(out, workers=workers)),
        ]
        run_straightforward(resolved[:1], folder / "in", names)  # imports, fonts and caches of both sides
        build(folder / "warm")
        for _ in range(args.rounds):
            for rival in (peer, *ours):
                rival.take(folder)
    print(f"{len(files)} recordings of {dataset_name}, {seconds / 3600:.2f} h; median of {args.rounds} rounds:")
    for rival in (peer, *ours):
        rival.tell(seconds)
    for rival in ours:
        print(f"{rival.label}: {peer.seconds / rival.seconds:.1f} x straightforward")
    cpu = [statistics.median(rival.cpu_s) for rival in (peer, ours[0])]
    print(f"in CPU time, one process against one: {cpu[0] / cpu[1]:.1f} x")
    rounds = ", ".join(f"{a / b:.2f} x" for a, b in zip(ours[0].wall_s, ours[1].wall_s, strict=True))
    print(f"build, 1 to {workers} workers, round by round (the first one starts the processes): {rounds}")


if __name__ == "__main__":
    main()
