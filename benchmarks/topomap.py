"""Maps per second: `TopomapRenderer` (numpy and torch) against `mne.viz.plot_topomap`, in one run on one machine.

    python benchmarks/topomap.py                                          # one JSON object, about half a minute
    python benchmarks/topomap.py --figure docs/figures/topomap_vs_mne.png    # only draws both, side by side

MNE draws in three ways, from the least work to what its users do, at two sizes: 64 pixels, at which MNE interpolates
by default, and 224, the input of a vision tower. `bare`: without contours and sensors, pixels read from the canvas;
`default`: its default picture, pixels read from the canvas; `saved`: its default picture written as PNG, which is how
maps get to a training set. Rates are wall-clock (ours uses all cores, MNE one); `cpu_us` is processor time a map, which
other work on the machine changes less. `ratio_` divides wall-clock rates, `cpu_ratio_` processor times.
"""

import argparse
import io
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
from matplotlib.figure import Figure
from PIL import Image

from corpus.montage import electrode_positions
from corpus.topomap import TopomapRenderer

SEED = 0
SIZES = (64, 224)
BATCH = 128
LISTED = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz"
NAMES_19 = tuple(LISTED.split())
BARE = {"sensors": False, "contours": 0, "cmap": "RdBu_r"}


Ways = dict[str, tuple[Callable[[], object], int]]


def make_info(ch_names: tuple[str, ...]) -> mne.Info:
    table = dict(zip(ch_names, electrode_positions(ch_names), strict=True))
    return mne.create_info(list(ch_names), 200.0, "eeg").set_montage(
        mne.channels.make_dig_montage(table, coord_frame="head")
    )


def random_potentials(n_maps: int, n_chans: int) -> np.ndarray:
    return np.random.default_rng(SEED).normal(scale=30, size=(n_maps, n_chans)).astype(np.float32)


def plot_with_mne(potential: np.ndarray, info: mne.Info, size: int, options: dict[str, object]) -> Figure:
    figure, axes = plt.subplots(figsize=(1, 1), dpi=size)
    limit = float(np.abs(potential).max())
    mne.viz.plot_topomap(potential, info, axes=axes, vlim=(-limit, limit), res=size, show=False, **options)
    return figure


def read_pixels(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()).copy()
    plt.close(figure)
    return pixels


def save_png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, dpi=figure.dpi)
    plt.close(figure)
    return file.getvalue()


def time_maps(ways: Ways, repeats: int = 5, least_s: float = 0.4) -> dict[str, tuple[float, float]]:
    """Best wall-clock and processor seconds a map of each way, (function, maps it draws).

    The ways take turns; in each turn a way draws for 0.2 s without being timed, as what went before it left other
    things in the caches, and then for `least_s` or longer.
    """
    best: dict[str, tuple[float, float]] = {}
    for turn in range(repeats + 1):  # the first does not count
        for name, (draw, n_maps) in ways.items():
            warm = time.perf_counter()
            while time.perf_counter() - warm < 0.2:
                draw()
            wall, cpu, calls = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - wall < least_s:
                draw()
                calls += 1
            drawn = n_maps * calls
            spent = ((time.perf_counter() - wall) / drawn, (time.process_time() - cpu) / drawn)
            if turn:
                old = best.get(name, spent)
                best[name] = (min(old[0], spent[0]), min(old[1], spent[1]))
    return best


def measure(ch_names: tuple[str, ...], size: int) -> dict[str, object]:
    potential, info = random_potentials(BATCH, len(ch_names)), make_info(ch_names)
    renderer, tensor, few = TopomapRenderer(ch_names, size), torch.from_numpy(potential), potential[:4]
    fixed = TopomapRenderer(ch_names, size, limit_uv=60.0)
    ours: Ways = {
        "numpy": (lambda: renderer(potential), BATCH),
        "torch": (lambda: renderer(tensor), BATCH),
        "numpy_fixed_scale": (lambda: fixed(potential), BATCH),
    }
    if torch.cuda.is_available():
        on_gpu = tensor.cuda()
        ours["cuda"] = (lambda: (renderer(on_gpu), torch.cuda.synchronize()), BATCH)
    theirs: Ways = {
        "mne_bare": (lambda: [read_pixels(plot_with_mne(row, info, size, BARE)) for row in few], len(few)),
        "mne_default": (lambda: [read_pixels(plot_with_mne(row, info, size, {})) for row in few], len(few)),
        "mne_saved": (lambda: [save_png(plot_with_mne(row, info, size, {})) for row in few], len(few)),
    }
    seconds = time_maps(ours | theirs)
    report: dict[str, object] = {"channels": len(ch_names), "size": size}
    for name, (wall, cpu) in seconds.items():
        report |= {f"{name}_per_s": round(1 / wall, 1), f"{name}_cpu_us": round(cpu * 1e6, 1)}
    for name in theirs:
        wall, cpu = (theirs_s / ours_s for theirs_s, ours_s in zip(seconds[name], seconds["numpy"], strict=True))
        report |= {f"ratio_{name}": round(wall), f"cpu_ratio_{name}": round(cpu)}
    return report


def name_cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def draw_side_by_side(path: Path, n_maps: int = 3) -> None:
    """Upper row MNE, lower row ours, for smooth random potentials of the same 19 electrodes and equal limits."""
    waves = np.random.default_rng(SEED).normal(scale=25, size=(n_maps, 3))
    potentials = waves @ electrode_positions(NAMES_19).T / 0.1 + random_potentials(n_maps, len(NAMES_19)) * 0.4
    renderer, info = TopomapRenderer(NAMES_19), make_info(NAMES_19)
    figure, axes = plt.subplots(2, n_maps, figsize=(2 * n_maps, 4.3), dpi=75, layout="constrained")
    for column, (potential, picture) in enumerate(zip(potentials, renderer(potentials), strict=True)):
        limit = float(np.abs(renderer.operator @ potential).max())
        options = BARE | {"res": renderer.size, "vlim": (-limit, limit), "show": False}
        mne.viz.plot_topomap(potential, info, axes=axes[0, column], **options)
        axes[1, column].imshow(picture)
        axes[1, column].set(xlim=(-14, 238), ylim=(238, -14))  # MNE leaves room for nose and ears
        axes[1, column].axis("off")
    axes[0, 0].set_title("MNE-Python", loc="left", fontsize=9)
    axes[1, 0].set_title("corpus.topomap", loc="left", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(read_pixels(figure)).convert("RGB").quantize(256).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, help="draw the side-by-side picture to this file and measure nothing")
    arguments = parser.parse_args()
    if arguments.figure:
        draw_side_by_side(arguments.figure)
        return
    hardware = {"cpu": name_cpu(), "cores": os.cpu_count(), "torch_threads": torch.get_num_threads()}
    versions = {"mne": mne.__version__, "numpy": np.__version__, "torch": torch.__version__}
    runs = [measure(NAMES_19, size) for size in SIZES]
    print(json.dumps({"batch": BATCH, "seed": SEED, "runs": runs, **hardware, **versions}, indent=2))


if __name__ == "__main__":
    main()
