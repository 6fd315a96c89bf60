"""Building a corpus against the straightforward pipeline, on the same recordings, in one run.

Run: python benchmarks/corpus_build.py [--data ../shared/data] [--recordings 20] [--workers 2]
The peer, for each recording: MNE reads, filters, notches and resamples; for each segment scipy's Welch, scikit-learn's
k-means and MNE's topomap drawn by matplotlib; arrays by numpy. It runs with one process, as such scripts do. Ours
reads, preprocesses, measures, describes and stores everything, then draws and stores the same topomaps. Without EEGMAT
simulated recordings are used. Every file was read once before anything is timed.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
from PIL import Image

from corpus.build import BuildConfig, build_corpus
from corpus.datasets import get_dataset
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


def draw_maps(corpus: Path, out: Path) -> int:
    """The topomap of every segment of a corpus as a PNG; returns their number."""
    reader = CorpusReader(corpus)
    groups: dict[tuple[str, ...], list[tuple[str, np.ndarray]]] = {}
    for i in range(len(reader)):
        row = reader[i].row
        middle = row.signal_uv[:, row.signal_uv.shape[1] // 2]
        groups.setdefault(row.ch_names, []).append((row.segment_id.replace("/", "_"), middle))
    for ch_names, found in groups.items():
        renderer = TopomapRenderer(ch_names)
        for begin in range(0, len(found), MAP_BATCH):
            part = found[begin : begin + MAP_BATCH]
            pictures = renderer(np.stack([potential for _, potential in part]))
            for (name, _), picture in zip(part, pictures, strict=True):
                Image.fromarray(np.asarray(picture)).save(out / f"{name}.png", compress_level=1)
    return sum(map(len, groups.values()))


def timed(label: str, run: Callable[[], object], seconds: float) -> float:
    """Run, print and return the wall time; `seconds` of EEG."""
    start = time.perf_counter()
    run()
    wall = time.perf_counter() - start
    print(f"  {label:42s} {wall:7.1f} s = {seconds / wall:7.0f} x real time")
    return wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--recordings", type=int, default=46)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name for name in ("in", "peer", "maps", "one", "many")}
        for place in places.values():
            place.mkdir()
        name, root, files = find_recordings(args.data, places["in"], args.recordings)
        dataset = get_dataset(name)
        loaded = {entry.path: dataset.load(entry).recording for entry in dataset.entries(root)}
        seconds = sum(recording.duration_s for recording in loaded.values())
        names = {path.resolve(): list(pick_eeg(recording).ch_names) for path, recording in loaded.items()}
        print(f"{len(files)} recordings of {name}, {seconds / 3600:.2f} h:")
        resolved = [file.resolve() for file in files]
        peer = timed("straightforward", lambda: run_straightforward(resolved, places["peer"], names), seconds)
        config = BuildConfig(train_cap=None)
        one = timed("build, 1 worker", lambda: build_corpus([(name, root)], places["one"], config), seconds)
        many = timed(
            f"build, {args.workers} workers",
            lambda: build_corpus([(name, root)], places["many"], config, workers=args.workers),
            seconds,
        )
        maps = timed("topomaps of all segments", lambda: draw_maps(places["one"], places["maps"]), seconds)
    print(f"build with topomaps is {peer / (one + maps):.1f} x the straightforward pipeline with 1 worker,")
    print(
        f"  {peer / (many + maps):.1f} x with {args.workers} workers; 1 to {args.workers} workers: {one / many:.2f} x"
    )


if __name__ == "__main__":
    main()
