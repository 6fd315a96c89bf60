"""Forward and backward of `SignalEncoder` against braindecode's Labram: LaBraM-Base, equal weights, equal output.

python benchmarks/encoder.py                      # prints one JSON object, about two minutes on two cores
python benchmarks/encoder.py --clock cpu          # processor time instead, for a machine with other work

Both run in one process and take turns, so that what else the machine does meets both. The times are medians.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from encoders.labram import SignalEncoder, to_labram_unit
from encoders.presets import BASE
from encoders.weights import BRAINDECODE_NAMES

NAMES = ("FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2")
NAMES += ("F7", "F8", "T3", "T4", "T5", "T6", "FZ", "CZ", "PZ")
SECONDS = 10
BATCHES = (16, 32, 64)
BAR = 1.2
TOLERANCE = 1e-4
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PARTS = ("inference", "forward", "backward", "forward_and_backward")


def their_names(name: str) -> str:
    for theirs, published in BRAINDECODE_NAMES.items():
        name = name.replace(published, theirs)
    return name


def build_both() -> tuple[SignalEncoder, nn.Module]:
    """Ours with random tables, norms and biases, and braindecode's with the same numbers."""
    from braindecode.models import Labram

    torch.manual_seed(0)
    ours = SignalEncoder(BASE)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, float(parameter.mean().detach()), 0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = Labram(n_times=SECONDS * 200, n_outputs=1, n_chans=len(NAMES), use_mean_pooling=True)
    theirs.final_layer = nn.Identity()
    state = {their_names(name): tensor for name, tensor in ours.state_dict().items()}
    state["temporal_embedding"] = state["temporal_embedding"][:, : SECONDS + 1]
    theirs.load_state_dict(state)
    return ours, theirs


def relative_error(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).abs().max() / expected.abs().max()).item()


def check_equal(run_ours: Callable[[], Tensor], run_theirs: Callable[[], Tensor], models: tuple) -> dict[str, float]:
    """Relative difference of the output, and of the gradient of all weights that both share by name and shape."""
    results, gradients = [], []
    for run, model in zip((run_ours, run_theirs), models, strict=True):
        model.zero_grad(set_to_none=True)
        results.append(run())
        results[-1].square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    ours = {their_names(name): gradient for name, gradient in gradients[0].items()}
    shared = [name for name, gradient in gradients[1].items() if gradient.shape == ours[name].shape]
    flat = [torch.cat([side[name].flatten() for name in shared]) for side in (ours, gradients[1])]
    errors = {"output": relative_error(*results), "gradient": relative_error(*flat)}
    if max(errors.values()) > TOLERANCE:
        raise SystemExit(
            f"got relative differences {errors}, expected at most {TOLERANCE}: the two do not compute alike"
        )
    return errors


def time_parts(run: Callable[[], Tensor], model: nn.Module, clock: Callable[[], float]) -> tuple[float, ...]:
    """Seconds of each of PARTS, once."""
    model.zero_grad(set_to_none=True)
    start = clock()
    with torch.no_grad():
        run()
    inferred = clock()
    loss = run().square().mean()
    forward = clock()
    loss.backward()
    end = clock()
    return inferred - start, forward - inferred, end - forward, end - inferred


def measure(batch: int, repeats: int, clock: Callable[[], float]) -> dict[str, object]:
    ours, theirs = build_both()
    signal_uv = 30.0 * torch.randn(batch, len(NAMES), SECONDS * 200, generator=torch.Generator().manual_seed(batch))
    runs = {
        "ours": (lambda: ours(signal_uv, NAMES), ours),
        "braindecode": (lambda: theirs(to_labram_unit(signal_uv), ch_names=list(NAMES)), theirs),
    }
    errors = check_equal(runs["ours"][0], runs["braindecode"][0], (ours, theirs))  # the first run, which does not count
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (run, model) in runs.items():
            times[name].append(time_parts(run, model, clock))
    medians = {name: [statistics.median(part) for part in zip(*rows, strict=True)] for name, rows in times.items()}
    report: dict[str, object] = {"batch": batch, "repeats": repeats, "relative_difference": errors}
    report |= {f"{name}_s": dict(zip(PARTS, (round(s, 4) for s in row), strict=True)) for name, row in medians.items()}
    ratios = [theirs_s / ours_s for ours_s, theirs_s in zip(medians["ours"], medians["braindecode"], strict=True)]
    return report | {"ratio": dict(zip(PARTS, (round(ratio, 2) for ratio in ratios), strict=True))}


def name_cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what is measured (default: wall)")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES, help="windows of 19 channels and 10 s")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each of which the median is taken")
    arguments = parser.parse_args()
    results = [measure(batch, arguments.repeats, CLOCKS[arguments.clock]) for batch in arguments.batch]
    run = {
        "clock": arguments.clock,
        "bar": BAR,
        "bar_met": all(result["ratio"]["forward_and_backward"] >= BAR for result in results),  # type: ignore[index]
        "results": results,
        "cpu": name_cpu(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "braindecode": version("braindecode"),
    }
    print(json.dumps(run, indent=2))


if __name__ == "__main__":
    main()
