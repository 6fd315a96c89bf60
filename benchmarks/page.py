"""Pages a second: `PageRenderer` against matplotlib, in one run on one machine.

    python benchmarks/page.py                                              # one JSON object, about half a minute
    python benchmarks/page.py --figure docs/figures/page_vs_matplotlib.png    # only draws both, side by side

19 channels, ten seconds at 200 Hz, simulated EEG. matplotlib draws in three ways: `redraw`, a figure that is built once
and whose lines get new data; `figure`, a new figure each time; pixels of both are read from the canvas of Agg; `saved`,
a new figure that is written as PNG, which is how pages get to a training set (ours is not written). All take turns.
`ms` is wall-clock time a page, `cpu_ms` processor time, which other work on the machine changes less; `ratio_` and
`cpu_ratio_` divide matplotlib's by ours.
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
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from corpus.page import PageRenderer, PageStyle
from corpus.preprocess import load_recording
from corpus.segment import segment_recording
from corpus.simulate import SimulationPreset, simulate

REPEATS = 7
BATCH = 8
SIZES = ((1204, 896), (616, 448))


def simulated() -> tuple[np.ndarray, tuple[str, ...], float]:
    recording = simulate(SimulationPreset(duration_s=30.0), seed=3).recording
    segment = segment_recording(recording)[1]
    return segment.signal_uv, segment.ch_names, segment.sfreq


class MatplotlibPage:
    """The same page as ours: the same lanes, labels, grid and line width."""

    def __init__(self, renderer: PageRenderer) -> None:
        place = renderer.layout
        self.renderer = renderer
        self.figure = Figure(figsize=(place.width / 100, place.height / 100), dpi=100)
        self.canvas = FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes(
            (
                place.left / place.width,
                1 - place.bottom / place.height,
                (place.right - place.left) / place.width,
                (place.bottom - place.top) / place.height,
            )
        )
        self.axes.set(xlim=(0, place.duration_s), ylim=(place.bottom, place.top))
        self.axes.set_xticks(np.arange(place.duration_s + 1))
        self.axes.set_yticks(place.baselines, renderer.derivations.names)
        self.axes.grid(axis="x", color="0.82")
        self.seconds = np.arange(renderer.n_times) * place.duration_s / renderer.n_times
        self.lines = [
            self.axes.plot(self.seconds, 0 * self.seconds, color="k", linewidth=0.72)[0] for _ in place.baselines
        ]

    def draw(self, signal_uv: np.ndarray) -> np.ndarray:
        self.set_lines(signal_uv)
        self.canvas.draw()
        return np.asarray(self.canvas.buffer_rgba())[..., :3]

    def set_lines(self, signal_uv: np.ndarray) -> None:
        renderer, place = self.renderer, self.renderer.layout
        scale = place.px_per_mm / renderer.gain_of(signal_uv)
        traces = renderer.derivations.apply(signal_uv) * (scale if renderer.style.negative_up else -scale)
        for line, trace, baseline in zip(self.lines, traces, place.baselines, strict=True):
            line.set_ydata(trace + baseline)

    def save(self, signal_uv: np.ndarray) -> bytes:
        self.set_lines(signal_uv)
        file = io.BytesIO()
        self.figure.savefig(file, dpi=100)
        return file.getvalue()


def time_pages(ways: dict[str, tuple[Callable[[], object], int]]) -> dict[str, tuple[float, float]]:
    """Least wall-clock and processor seconds a page of each way, (function, pages it draws); the ways take turns.

    In each turn a way draws for 0.2 s without being timed, as what went before it left other things in the caches.
    """
    best: dict[str, tuple[float, float]] = {}
    for turn in range(REPEATS + 1):  # the first does not count
        for name, (draw, pages) in ways.items():
            warm = time.perf_counter()
            while time.perf_counter() - warm < 0.2:
                draw()
            wall, cpu = time.perf_counter(), time.process_time()
            draw()
            spent = ((time.perf_counter() - wall) / pages, (time.process_time() - cpu) / pages)
            if turn:
                old = best.get(name, spent)
                best[name] = (min(old[0], spent[0]), min(old[1], spent[1]))
    return best


def draw_each(renderer: PageRenderer, batch: np.ndarray) -> None:
    for signal in batch:
        renderer(signal)


def measure(width: int, height: int) -> dict[str, object]:
    signal, ch_names, sfreq = simulated()
    renderer = PageRenderer(ch_names, sfreq, style=PageStyle(width=width, height=height))
    plotted, batch = MatplotlibPage(renderer), np.repeat(signal[None], BATCH, axis=0)
    seconds = time_pages(
        {
            "ours": (lambda: draw_each(renderer, batch), BATCH),
            "ours_batch": (lambda: renderer(batch), BATCH),
            "redraw": (lambda: plotted.draw(signal), 1),
            "figure": (lambda: MatplotlibPage(renderer).draw(signal), 1),
            "saved": (lambda: MatplotlibPage(renderer).save(signal), 1),
        }
    )
    report: dict[str, object] = {"channels": len(ch_names), "size": [width, height]}
    for name, (wall, cpu) in seconds.items():
        report |= {f"{name}_ms": round(1e3 * wall, 2), f"{name}_cpu_ms": round(1e3 * cpu, 2)}
    for name in ("redraw", "figure", "saved"):
        wall, cpu = (theirs / own for theirs, own in zip(seconds[name], seconds["ours"], strict=True))
        report |= {f"ratio_{name}": round(wall, 1), f"cpu_ratio_{name}": round(cpu, 1)}
    return report


def draw_side_by_side(path: Path, recording: Path | None) -> None:
    """Left matplotlib, right ours: the same ten seconds, the same lanes and gain."""
    signal, ch_names, sfreq = simulated()
    if recording is not None:
        segment = segment_recording(load_recording(recording))[3]
        signal, ch_names, sfreq = segment.signal_uv, segment.ch_names, segment.sfreq
    renderer = PageRenderer(ch_names, sfreq, style=PageStyle(gain_uv_mm=None))
    pages = [MatplotlibPage(renderer).draw(signal), renderer(signal)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(pages, axis=1)).convert("L").quantize(32).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, help="draw the side-by-side picture to this file and measure nothing")
    parser.add_argument("--recording", type=Path, help="of the picture; simulated EEG without it")
    arguments = parser.parse_args()
    if arguments.figure:
        draw_side_by_side(arguments.figure, arguments.recording)
        return
    versions = {"matplotlib": matplotlib.__version__, "numpy": np.__version__}
    hardware = {"cpu": platform.processor(), "cores": os.cpu_count()}
    print(json.dumps({"runs": [measure(*size) for size in SIZES], **hardware, **versions}, indent=2))


if __name__ == "__main__":
    main()
