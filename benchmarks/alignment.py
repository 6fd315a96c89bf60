"""One step of alignment, ours against the same step written plainly, in one run on one machine.

    python benchmarks/alignment.py            # JSON; a CUDA device: LaBraM-Base and ViT-L/14; else a reduced version

Ours: `AlignmentTask` with bfloat16 autocast, compiled blocks, TF32 and a fused optimiser, maps drawn inside the step.
Plain: float32, eager, maps read from PNG files, the formula of the loss, AdamW. Both start from equal random weights
and see one batch of 10 s segments; their first losses are compared. FLOPs are counted in the plain step (matrix
products, convolutions and attention, forward and backward) and divided by our time and by the device's peak without
sparsity, as its data sheet gives it. The bar (5 times) is for a GPU: the version for a CPU only shows that all of it
runs.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize
from torch.utils.flop_counter import FlopCounterMode

from corpus.dataset import Batch
from corpus.topomap import TopomapRenderer, median_potential
from neuronarrator.alignment import AlignmentTask, StepOptions, compile_blocks
from neuronarrator.optim import parameter_groups

LISTED = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz"
NAMES = tuple(LISTED.split())
PEAK_BF16_TFLOPS = {  # NVIDIA's data sheets, dense; the first name that is part of the device's counts
    "H200": 989.0, "H100 PCIe": 756.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0, "RTX 4090": 165.0,
}  # fmt: skip
Step = Callable[[], Tensor]


def make_batch(n_segments: int, device: torch.device) -> Batch:
    signal = torch.randn(n_segments, len(NAMES), 2000, generator=torch.manual_seed(0)) * 30
    empty = torch.zeros(n_segments, 0)
    return Batch(signal, empty, empty, empty, NAMES, [], []).to(device)


def save_maps(batch: Batch, folder: Path) -> list[Path]:
    pictures = TopomapRenderer(batch.ch_names)(median_potential(batch.signal_uv).cpu().numpy())
    paths = [folder / f"{i}.png" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        Image.fromarray(picture).save(path)
    return paths


def plain_loss(task: AlignmentTask, batch: Batch, paths: list[Path]) -> Tensor:
    maps = torch.stack([torch.from_numpy(np.array(Image.open(path))) for path in paths]).to(batch.signal_uv.device)
    z_signal = normalize(task.dual.encode_signal(batch.signal_uv, batch.ch_names), dim=-1)
    z_topomap = normalize(task.dual.projectors["topomap"](task.dual.encoders["topomap"](maps)), dim=-1)
    logits = task.logit_scale.exp() * z_signal @ z_topomap.T + task.logit_bias
    labels = 2 * torch.eye(len(batch), device=logits.device) - 1
    return -logsigmoid(labels * logits).sum() / len(batch)


def our_loss(task: AlignmentTask, batch: Batch) -> Tensor:
    with torch.autocast(batch.signal_uv.device.type, torch.bfloat16):
        z = task.encode(batch)
    return task.siglip_loss(*z)


def make_step(task: AlignmentTask, loss_of: Callable[[], Tensor], fused: bool) -> Step:
    optimizer = torch.optim.AdamW(parameter_groups(task, 0.05), lr=1e-4, fused=fused)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def time_call(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median seconds of a call, all work of the device included; three calls before do not count."""
    seconds = []
    for turn in range(repeats + 3):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if turn >= 3:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def time_parts(task: AlignmentTask, batch: Batch, step_s: float, repeats: int) -> dict[str, float]:
    """Shares of a step of ours: drawing, tower, signal encoder forward, and the rest (backward, loss, optimiser)."""
    device, renderer = batch.signal_uv.device, TopomapRenderer(batch.ch_names)
    potential = median_potential(batch.signal_uv)
    maps = renderer(potential)
    calls: dict[str, Callable[[], object]] = {
        "drawing": lambda: renderer(potential),
        "tower": lambda: task.dual.encoders["topomap"](maps),
        "signal_forward": lambda: task.dual.encode_signal(batch.signal_uv, batch.ch_names),
    }
    with torch.autocast(device.type, torch.bfloat16):
        parts = {name: time_call(call, device, repeats) / step_s for name, call in calls.items()}
    parts["backward_loss_optimiser"] = max(1 - sum(parts.values()), 0.0)
    return {name: round(share, 3) for name, share in parts.items()}


def count_tflop(step: Step) -> float:
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e12


def measure(size: str, n_segments: int, backend: str | None, repeats: int) -> dict[str, object]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    plain = AlignmentTask(size, batch_size=n_segments).to(device)
    ours = deepcopy(plain)
    ours.step = StepOptions(compile_backend=backend)
    batch, fused = make_batch(n_segments, device), device.type == "cuda"
    report: dict[str, object] = {"size": size, "batch": n_segments, "compile": backend, "device": name_device(device)}
    with tempfile.TemporaryDirectory() as folder:
        paths = save_maps(batch, Path(folder))
        torch.set_float32_matmul_precision("highest")
        plain_step = make_step(plain, lambda: plain_loss(plain, batch, paths), fused=False)
        first, tflop = float(plain_loss(plain, batch, paths).detach()), count_tflop(plain_step)
        plain_s = time_call(plain_step, device, repeats)
    torch.set_float32_matmul_precision("high")  # TF32
    if backend is not None:
        compile_blocks(ours.dual, backend)
    ours_step = make_step(ours, lambda: our_loss(ours, batch), fused)
    difference = abs(float(our_loss(ours, batch).detach()) - first) / first
    ours_s = time_call(ours_step, device, repeats)
    parts = time_parts(ours, batch, ours_s, repeats)
    tokens = n_segments * len(NAMES) * 10
    return report | {
        "plain_step_s": round(plain_s, 5), "our_step_s": round(ours_s, 5), "ratio": round(plain_s / ours_s, 2),
        "segments_per_s": round(n_segments / ours_s, 1), "signal_tokens_per_s": round(tokens / ours_s),
        "tflop_per_step": round(tflop, 4), "our_tflop_per_s": round(tflop / ours_s, 2),
        "fraction_of_peak_bf16": fraction_of_peak(device, tflop / ours_s),
        "first_loss": round(first, 4), "difference_of_first_losses": round(difference, 5),
        "shares_of_our_step": parts, "bottleneck": max(parts, key=lambda name: parts[name]),
    }  # fmt: skip


def fraction_of_peak(device: torch.device, tflop_per_s: float) -> float | str:
    if device.type != "cuda":
        return "not given for a CPU; the bar of this benchmark is for a GPU"
    name = torch.cuda.get_device_name(device)
    peaks = [peak for part, peak in PEAK_BF16_TFLOPS.items() if all(word in name for word in part.split())]
    return round(tflop_per_s / peaks[0], 3) if peaks else f"peak of {name} is not in PEAK_BF16_TFLOPS; add it"


def name_device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    on_gpu = torch.cuda.is_available()
    parser.add_argument("--size", choices=("tiny", "base"), default="base" if on_gpu else "tiny")
    parser.add_argument("--batch", type=int, default=128 if on_gpu else 8, help="segments a step")
    parser.add_argument("--compile", default="inductor" if on_gpu else "none", help="backend of torch.compile, or none")
    parser.add_argument("--repeats", type=int, default=20 if on_gpu else 3)
    given = parser.parse_args()
    backend = None if given.compile == "none" else given.compile
    run = measure(given.size, given.batch, backend, given.repeats)
    versions = {"torch": torch.__version__, "cuda": torch.version.cuda, "cores": os.cpu_count()}
    print(json.dumps(run | versions, indent=2))


if __name__ == "__main__":
    main()
