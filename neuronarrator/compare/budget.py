"""What each system was given: parameters, what its training saw, and floating-point operations.

FLOPs are counted while a real segment is narrated and learnt (`torch.utils.flop_counter`: two for each multiply-add of
matrix products and convolutions, attention written out as matrix products; everything else is left out, as usual).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from corpus.dataset import Batch, segment_batches
from corpus.findings import Findings
from neuronarrator.models import AnyNarrator
from neuronarrator.narrator import Narrator
from neuronarrator.run_facts import watch_tokens

NARRATIVES = "narratives"  # what a stage learns unless it says otherwise
UNKNOWN = "–"
COLUMNS = (
    "parameters", "of its LLM", "training crops", "tokens seen", "FLOPs of training", "tokens of a segment",
    "FLOPs to narrate it",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One segment that costs are measured on, the last of these; those before are its history."""

    findings: Sequence[Findings]

    def batch(self, history_k: int) -> Batch:
        """The segment alone, with its narrative and `history_k` predecessors."""
        return next(islice(segment_batches(self.findings, 1, history_k=history_k), len(self.findings) - 1, None))


def example_of(findings: Sequence[Findings]) -> Example:
    """The first segment of a recording that has the longest history."""
    lengths = [len(f.segment.history) for f in findings]
    return Example(findings[: lengths.index(max(lengths)) + 1])


def budget_of(
    narrator: AnyNarrator, stages: Sequence[Mapping[str, Any]], examples: Sequence[Example]
) -> dict[str, Any]:
    """Everything that the table of budgets states of one system.

    Args:
        narrator: in eval mode.
        stages: of its training, as `hub.read_stages` gives them; none: not known.
        examples: one of each dataset.

    Returns:
        "parameters" and "llm_parameters"; "segment": "prompt_tokens", "answer_tokens" and "flops" of narrating, means
        over the examples; "training": None where nothing is known of it, else "crops", "tokens", "tokens_estimated"
        (crops times the tokens of an example, where they were not counted), "flops" (crops times those of learning an
        example, with the parts frozen that were), and the "stages", of which only those count that learn narratives.
    """
    llm: nn.Module = narrator.llm if isinstance(narrator, Narrator) else narrator.part("llm")
    batches = [example.batch(narrator.config.history_k).to(narrator.device) for example in examples]
    prompts, answers, flops = zip(*(_narrating(narrator, batch) for batch in batches), strict=True)
    tokens = _mean([_tokens_read(narrator, batch) for batch in batches])
    learning = [stage for stage in stages if stage.get("learns", NARRATIVES) == NARRATIVES]
    costs = [_mean([_learning(narrator, batch, s.get("frozen", ())) for batch in batches]) for s in learning]
    return {
        "parameters": sum(p.numel() for p in narrator.parameters()),
        "llm_parameters": sum(p.numel() for p in llm.parameters()),
        "segment": {"prompt_tokens": _mean(prompts), "answer_tokens": _mean(answers), "flops": _mean(flops)},
        "training": _training(stages, learning, tokens, costs) if learning else None,
    }


def _training(
    stages: Sequence[Mapping[str, Any]], learning: Sequence[Mapping[str, Any]], tokens: float, flops: Sequence[float]
) -> dict[str, Any]:
    counted = [stage.get("tokens") for stage in learning]
    seen = [s["crops"] * tokens if count is None else count for s, count in zip(learning, counted, strict=True)]
    return {
        "crops": sum(stage["crops"] for stage in learning),
        "tokens": round(sum(seen)),
        "tokens_estimated": None in counted,
        "flops": sum(stage["crops"] * each for stage, each in zip(learning, flops, strict=True)),
        "stages": list(stages),
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _narrating(narrator: AnyNarrator, batch: Batch) -> tuple[int, int, int]:
    """Tokens of the prompt of one segment and of what is written, and the FLOPs of it."""
    seen: list[int] = []
    hook = watch_tokens(narrator, lambda tokens: seen.append(int(tokens)))
    with _still(list(narrator.parameters())), _counted() as counter:  # the counter would follow their gradients
        (told,) = narrator.generate(batch)
    hook.remove()
    return seen[0], len(told.tokens), counter.get_total_flops()


def _tokens_read(narrator: AnyNarrator, batch: Batch) -> int:
    """Tokens of the prompt and of the reference of one segment."""
    seen: list[int] = []
    hook = watch_tokens(narrator, lambda tokens: seen.append(int(tokens)))
    with torch.inference_mode():
        narrator(batch)
    hook.remove()
    return sum(seen)


def _learning(narrator: AnyNarrator, batch: Batch, frozen: Sequence[str]) -> int:
    """FLOPs of a step on one segment, forward and backward, while the named parts do not learn."""
    named = narrator.named_parameters()
    still = [p for name, p in named if any(f"{name}.".startswith(f"{part}.") for part in frozen)]
    with _still(still), torch.enable_grad(), _counted() as counter:
        narrator(batch).loss.backward()
    narrator.zero_grad(set_to_none=True)
    return counter.get_total_flops()


@contextmanager
def _still(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Parameters without gradients for a while."""
    learns = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in learns:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learns:
            parameter.requires_grad_(True)


@contextmanager
def _counted() -> Iterator[FlopCounterMode]:
    """Attention as plain matrix products: its fused kernels of a CPU are not counted."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter


def budget_cells(budget: Mapping[str, Any] | None) -> list[str]:
    """The row of a system below `COLUMNS`."""
    if budget is None:
        return [UNKNOWN] * len(COLUMNS)
    training, segment = budget["training"], budget["segment"]
    seen = [UNKNOWN] * 3
    if training is not None:
        about = "≈ " if training["tokens_estimated"] else ""
        seen = [f"{training['crops']:,}", about + short(training["tokens"]), "≈ " + short(training["flops"])]
    tokens = f"{segment['prompt_tokens']:.0f} + {segment['answer_tokens']:.0f}"
    return [short(budget["parameters"]), short(budget["llm_parameters"]), *seen, tokens, short(segment["flops"])]


def budget_notes(budgets: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
    """What the table leaves out: training of parts before any narrative, and weights of whose training nobody knows."""
    notes = []
    for name, budget in budgets.items():
        for stage in ((budget and budget["training"]) or {}).get("stages", ()):
            if stage.get("learns", NARRATIVES) != NARRATIVES:
                notes.append(f"{name}: before that, {stage['learns']}, {stage['crops']:,} crops.")
            if stage.get("start"):
                notes.append(f"{name}: began with {', '.join(stage['start'])}, whose training is not counted here.")
    return list(dict.fromkeys(notes))


def short(value: float) -> str:
    """Three digits with the prefix of the SI: 1,234,567 is "1.23 M"."""
    for factor, prefix in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            scaled = value / factor
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {prefix}"
    return f"{value:.0f}"
