"""Building a corpus against the straightforward pipeline, on the same recordings, in one run.

Run: python benchmarks/corpus_build.py [--data ../shared/data] [--recordings 46] [--workers 2] [--rounds 3]
The peer, for each recording: MNE reads, filters, notches and resamples; for each segment scipy's Welch, scikit-learn's
k-means and MNE's topomap drawn by matplotlib, 224 pixels wide as PNG; arrays by numpy. It runs in one process, as such
scripts do. Ours reads, preprocesses, measures, describes and stores everything, then reads the signals back, draws the
same maps and stores them as PNG, many in one file: once all of it in one process, once in several. Without EEGMAT
simulated recordings are used. Before anything is timed, every file was read, every package imported and each side run
once, the peer on one recording; processes of the build with several workers start in its first round.
"""

import argparse
import os
import platform
import statistics
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from itertools import groupby, islice, pairwise
from pathlib import Path

import numpy as np

from corpus.build import BuildConfig, build_corpus
from corpus.datasets import get_dataset
from corpus.engines import run_tasks
from corpus.features import BANDS
from corpus.montage import pick_eeg
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.store import CorpusReader
from corpus.topomap import TopomapRenderer

SEGMENT_S, SFREQ, MAP_BATCH = 10, 200, 64


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
            figure, axis = plt.subplots(figsize=(2.24, 2.24), dpi=100)
            mne.viz.plot_topomap(segment[:, length // 2], info, axes=axis, show=False)
            figure.savefig(out / f"{file.stem}-{begin}.png")
            plt.close(figure)
            np.save(out / f"{file.stem}-{begin}.npy", segment.astype(np.float32))
            count += 1
    return count


def draw_maps(corpus: Path, out: Path, workers: int = 1) -> None:
    """The topomap of every segment of a corpus as PNG, in one Arrow file for each process."""
    edges = np.linspace(0, len(CorpusReader(corpus)), workers + 1).astype(int).tolist()
    list(run_tasks(draw_some, [(corpus, out, *span) for span in pairwise(edges)], workers=workers))


def draw_some(task: tuple[Path, Path, int, int]) -> None:
    """The topomaps of some segments, by number."""
    import pyarrow as pa

    corpus, out, start, stop = task
    kinds = pa.schema({"segment_id": pa.string(), "png": pa.binary()})
    with pa.OSFile(str(out / f"maps-{start}.arrow"), "wb") as stream, pa.ipc.new_file(stream, kinds) as writer:
        for ch_names, group in groupby(CorpusReader(corpus).signals(start, stop), key=lambda signal: signal[1]):
            renderer = TopomapRenderer(ch_names)
            while part := list(islice(group, MAP_BATCH)):
                pictures = renderer(np.stack([signal_uv[:, signal_uv.shape[1] // 2] for _, _, signal_uv in part]))
                rows = [[name for name, _, _ in part], [png(np.asarray(picture)) for picture in pictures]]
                writer.write_batch(pa.record_batch(rows, schema=kinds))


def png(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) as PNG; unfiltered, which suits areas of one colour and is quick."""
    height, width, _ = picture.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    blob = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")):
        blob += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return blob


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
        build = partial(build_corpus, [(dataset_name, root)], config=BuildConfig(train_cap=None))
        workers = args.workers

        def built() -> Path:
            return sorted(folder.glob("build-1-worker-*"))[-1]

        peer = Rival("straightforward", lambda out: run_straightforward(resolved, out, names))
        ours = [
            Rival("build 1 worker", lambda out: build(out)),
            Rival("topomaps 1 worker", lambda out: draw_maps(built(), out)),
            Rival(f"build {workers} workers", lambda out: build(out, workers=workers)),
            Rival(f"topomaps {workers} workers", lambda out: draw_maps(built(), out, workers)),
        ]
        run_straightforward(resolved[:1], folder / "in", names)  # imports, fonts and caches of both sides
        build(folder / "warm")
        draw_maps(folder / "warm", folder / "in")
        for _ in range(args.rounds):
            for rival in (peer, *ours):
                rival.take(folder)
    print(f"{len(files)} recordings of {dataset_name}, {seconds / 3600:.2f} h; median of {args.rounds} rounds:")
    for rival in (peer, *ours):
        rival.tell(seconds)
    for count, pair in ((1, ours[:2]), (workers, ours[2:])):
        print(f"all with {count} workers: {peer.seconds / sum(rival.seconds for rival in pair):.1f} x straightforward")
    cpu = [statistics.median(rival.cpu_s) for rival in (peer, *ours[:2])]
    print(f"in CPU time, one process against one: {cpu[0] / (cpu[1] + cpu[2]):.1f} x")
    rounds = ", ".join(f"{a / b:.2f} x" for a, b in zip(ours[0].wall_s, ours[2].wall_s, strict=True))
    print(f"build, 1 to {workers} workers, round by round (the first one starts the processes): {rounds}")


if __name__ == "__main__":
    main()
