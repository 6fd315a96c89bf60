"""Narratives of 120 segments: one batched call against a loop over segments, in one run on one machine.

    python benchmarks/generation.py [--segments 120] [--model tiny] [--repeat 3] [--seed 0]

Both ways read the same simulated recordings, write greedily and must give equal texts. Each is run `--repeat` times,
in turn; the best time of each counts. The bar is 5 times on 2 cores. CPU time is printed too, because wall time says
little on a machine that does other work. `--model random` takes the sizes of the tiny narrator with random weights and
lets every row write as many tokens as a narrative has.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor

from corpus.dataset import Batch, segment_batches
from corpus.findings import find_recording
from corpus.preprocess import preprocess
from corpus.simulate import SimulationPreset, simulate
from neuronarrator.language.generation import Generation
from neuronarrator.language.tokenizer import load_or_train_tokenizer
from neuronarrator.narrator import Narrator, NarratorConfig

BAR = 5.0
TOKENS = 100  # of a narrative in the vocabulary of the tiny narrator
TINY_LLM = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "head_dim": 32,
    "intermediate_size": 512,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}


def load(model: str) -> Narrator:
    if model != "random":
        return Narrator.from_pretrained(model)
    torch.manual_seed(0)
    return Narrator(NarratorConfig(llm=TINY_LLM, max_new_tokens=TOKENS), load_or_train_tokenizer(None, 700)).eval()


def make_batch(n_segments: int, seed: int, history_k: int) -> Batch:
    preset = SimulationPreset(duration_s=10.0 * n_segments, states=("awake_eyes_closed", "drowsy", "n2"))
    findings = find_recording(preprocess(simulate(preset, seed).recording))
    return next(segment_batches(findings[:n_segments], n_segments, history_k=history_k))


def rows(batch: Batch) -> list[Batch]:
    """The segments one by one, each with its history."""
    tensors = [f.name for f in fields(batch) if isinstance(getattr(batch, f.name), Tensor)]
    return [
        replace(batch, **{name: getattr(batch, name)[i : i + 1] for name in tensors}, narratives=[], facts=[])
        for i in range(len(batch))
    ]


def timed(call: Callable[[], list[Generation]]) -> tuple[float, float, list[str]]:
    wall, cpu = time.perf_counter(), time.process_time()
    generations = call()
    return time.perf_counter() - wall, time.process_time() - cpu, [generation.text for generation in generations]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=120)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    narrator = load(args.model)
    batch = make_batch(args.segments, args.seed, narrator.config.history_k)
    single = rows(batch)
    ways = {
        "one call": lambda: narrator.generate(batch),
        "loop": lambda: [generation for row in single for generation in narrator.generate(row)],
    }
    narrator.generate(single[0])  # fills the caches of this layout
    runs = [{name: timed(way) for name, way in ways.items()} for _ in range(args.repeat)]
    best = {name: [min(run[name][i] for run in runs) for i in (0, 1)] for name in ways}
    texts = {name: runs[0][name][2] for name in ways}
    equal = sum(a == b for a, b in zip(texts["one call"], texts["loop"], strict=True))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads")
    print(f"model {args.model}, {len(batch)} segments, seed {args.seed}, best of {args.repeat}")
    for name, (wall, cpu) in best.items():
        print(f"{name:>9}: {wall:.2f} s wall ({len(batch) / wall:.1f} segments/s), {cpu:.2f} s CPU")
    wall, cpu = (best["loop"][i] / best["one call"][i] for i in (0, 1))
    print(f"ratio: {wall:.2f} wall, {cpu:.2f} CPU; bar {BAR:g} wall; equal texts: {equal} of {len(batch)}")
    if equal < len(batch):
        raise SystemExit("got different texts from a batch and from its rows, expected equal ones")


if __name__ == "__main__":
    main()
