"""Maps per second: `TopomapRenderer` (numpy and torch) against `mne.viz.plot_topomap`, in one run on one machine.

python benchmarks/topomap.py                                   # prints one JSON object, a few seconds
python benchmarks/topomap.py --figure docs/topomap_side_by_side.png   # and draws both, side by side
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import mne
import numpy as np
import torch
from matplotlib import pyplot as plt

from corpus.montage import electrode_positions
from corpus.topomap import TopomapRenderer

SEED = 0
SIZE = 224
BATCH = 256
NAMES_19 = (
    "Fp1",
    "Fp2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T7",
    "T8",
    "P7",
    "P8",
    "Fz",
    "Cz",
    "Pz",
)


def make_info(ch_names: tuple[str, ...]) -> mne.Info:
    table = dict(zip(ch_names, electrode_positions(ch_names), strict=True))
    return mne.create_info(list(ch_names), 200.0, "eeg").set_montage(
        mne.channels.make_dig_montage(table, coord_frame="head")
    )


def random_potentials(n_maps: int, n_chans: int) -> np.ndarray:
    return np.random.default_rng(SEED).normal(scale=30, size=(n_maps, n_chans)).astype(np.float32)


def plot_with_mne(potential: np.ndarray, info: mne.Info, axes: plt.Axes, limit: float | None = None) -> None:
    """MNE's map with our colours and limits, without sensors and contours."""
    limit = limit or float(np.abs(potential).max())
    options = {"sensors": False, "contours": 0, "cmap": "RdBu_r", "res": SIZE, "show": False}
    mne.viz.plot_topomap(potential, info, axes=axes, vlim=(-limit, limit), **options)


def render_with_mne(potential: np.ndarray, info: mne.Info) -> np.ndarray:
    """One picture of MNE as pixels, (SIZE, SIZE, 4): what a pipeline that feeds a vision tower has to do."""
    figure, axes = plt.subplots(figsize=(1, 1), dpi=SIZE)
    plot_with_mne(potential, info, axes)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()).copy()
    plt.close(figure)
    return pixels


def count_per_second(draw: Callable[[], object], n_maps: int, repeats: int) -> float:
    """Maps per second of the fastest of some runs, after one that does not count."""
    draw()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        draw()
        seconds.append(time.perf_counter() - start)
    return n_maps / min(seconds)


def name_cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def measure(ch_names: tuple[str, ...]) -> dict[str, object]:
    potential, info = random_potentials(BATCH, len(ch_names)), make_info(ch_names)
    renderer = TopomapRenderer(ch_names, SIZE)
    tensor = torch.from_numpy(potential)
    numpy_rate = count_per_second(lambda: renderer(potential), BATCH, repeats=8)
    torch_rate = count_per_second(lambda: renderer(tensor), BATCH, repeats=8)
    mne_rate = count_per_second(lambda: [render_with_mne(row, info) for row in potential[:20]], 20, repeats=2)
    report: dict[str, object] = {
        "channels": len(ch_names),
        "ours_numpy_maps_per_s": round(numpy_rate),
        "ours_torch_maps_per_s": round(torch_rate),
        "mne_plot_topomap_maps_per_s": round(mne_rate, 1),
        "ratio_numpy": round(numpy_rate / mne_rate),
        "ratio_torch": round(torch_rate / mne_rate),
    }
    if torch.cuda.is_available():
        on_gpu = tensor.cuda()
        rate = count_per_second(lambda: (renderer(on_gpu), torch.cuda.synchronize()), BATCH, repeats=8)
        report |= {"ours_cuda_maps_per_s": round(rate), "gpu": torch.cuda.get_device_name()}
    return report


def draw_side_by_side(path: Path, n_maps: int = 4) -> None:
    """Upper row MNE, lower row ours, for random potentials of the same 19 electrodes."""
    points = electrode_positions(NAMES_19)
    waves = np.random.default_rng(SEED).normal(scale=25, size=(n_maps, 3))
    potentials = waves @ points.T / 0.1 + random_potentials(n_maps, len(NAMES_19)) * 0.4
    renderer, info = TopomapRenderer(NAMES_19, SIZE), make_info(NAMES_19)
    figure, axes = plt.subplots(2, n_maps, figsize=(2.4 * n_maps, 5.2), dpi=100)
    for column, (potential, picture) in enumerate(zip(potentials, renderer(potentials), strict=True)):
        limit = float(np.abs(renderer.operator @ potential).max())
        plot_with_mne(potential, info, axes[0, column], limit)
        axes[1, column].imshow(picture)
        axes[1, column].axis("off")
    axes[0, 0].set_title("MNE-Python", loc="left", fontsize=9)
    axes[1, 0].set_title("corpus.topomap", loc="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, help="where to write the side-by-side picture")
    arguments = parser.parse_args()
    hardware = {"cpu": name_cpu(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}
    versions = {"mne": mne.__version__, "numpy": np.__version__, "torch": torch.__version__}
    run = {"size": SIZE, "batch": BATCH, "seed": SEED, **measure(NAMES_19), **hardware, **versions}
    print(json.dumps(run, indent=2))
    if arguments.figure:
        draw_side_by_side(arguments.figure)


if __name__ == "__main__":
    main()
