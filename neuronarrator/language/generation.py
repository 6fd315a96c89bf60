"""Decoding of all rows of a batch at once: greedy, sampling, beams; stop rules; log-probabilities of the tokens.

Letters: B rows, N tokens of the longest row, P tokens of the prompt, D width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 128  # tokens by which a cache grows
ALTERNATIVES = 6  # of the most probable tokens of each step that are noted


@dataclass(frozen=True)
class GenerationOptions:
    """How a text is decoded; by default greedily. The end token always stops a row.

    Attributes:
        num_beams: width of a beam search; 1: none.
        temperature: of sampling, which draws from torch's global generator; 0: no sampling.
        top_p: sampling keeps the most probable tokens that reach this probability together.
        max_new_tokens: where a row stops at the latest; None: as the narrator's configuration says.
        stop: a row stops where one of these strings appears; the text ends before it.

    Raises:
        ValueError: values out of range, or beams that sample.
    """

    num_beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.num_beams < 1 or self.temperature < 0 or not 0 < self.top_p <= 1 or "" in self.stop:
            raise ValueError(
                f"got num_beams={self.num_beams}, temperature={self.temperature}, top_p={self.top_p}, "
                f"stop={self.stop}, expected at least 1 beam, a temperature of 0 or more, top_p above 0 and at most 1, "
                "and stop strings that are not empty: correct the value"
            )
        if self.temperature > 0 and self.num_beams > 1:
            raise ValueError(
                f"got num_beams={self.num_beams} with temperature={self.temperature}, expected one of them: "
                "use num_beams=1 to sample, or temperature=0 for beams"
            )
        if self.top_p < 1 and self.temperature == 0:
            raise ValueError(f"got top_p={self.top_p} without sampling, expected a temperature above 0: set one")


GREEDY = GenerationOptions()


@dataclass(frozen=True)
class Generation:
    """A generated text.

    Attributes:
        text: without special tokens and without what a stop string cut off.
        tokens: ids of what was generated, the end token included where the model wrote it.
        log_probs: natural logarithm of the model's probability of each token, before temperature and top-p.
        spans: where each token stands in the text, character offsets; none where it is not known.
        alternatives: the most probable tokens at the place of each, with log-probabilities; none of a beam search.
    """

    text: str
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    spans: tuple[tuple[int, int], ...] = ()
    alternatives: tuple[tuple[tuple[int, float], ...], ...] = ()

    @property
    def confidence(self) -> float:
        """Geometric mean probability of the tokens (not calibrated)."""
        return math.exp(math.fsum(self.log_probs) / max(len(self.log_probs), 1))


class _RoomyLayer(DynamicLayer):
    """Keys and values of one layer in a buffer with room to grow: a step writes its own and copies nothing else."""

    buffers: list[Tensor]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values (B, H, n, d); returns views of all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = [key_states[:, :, :0], value_states[:, :, :0]]
        start = self.get_seq_length()
        stop = start + key_states.shape[2]
        for i, new in enumerate((key_states, value_states)):
            if stop > self.buffers[i].shape[2]:
                grown = new.new_empty(*new.shape[:2], stop + ROOM, new.shape[3])
                grown[:, :, :start] = self.buffers[i][:, :, :start]
                self.buffers[i] = grown
            self.buffers[i][:, :, start:stop] = new
        self.keys, self.values = (buffer[:, :, :stop] for buffer in self.buffers)
        return self.keys, self.values


class _LogProbs(LogitsProcessor):
    """Notes the log-probability of each chosen token and the best ones, so that no more than a step of logits is kept.

    The choice of a step is seen at the next one; that of the last step, in the finished sequences.
    """

    def __init__(self) -> None:
        self.steps: list[Tensor] = []
        self.best: list[tuple[Tensor, Tensor]] = []
        self._last: Tensor | None = None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if self._last is not None:
            self._note(input_ids[:, -1])
        self._last = scores.float().log_softmax(-1)
        return scores

    def _note(self, tokens: Tensor) -> None:
        assert self._last is not None
        self.steps.append(self._last.gather(1, tokens[:, None])[:, 0])
        best = self._last.topk(min(ALTERNATIVES, self._last.shape[1]), dim=1)
        self.best.append((best.indices, best.values))

    def finish(self, sequences: Tensor) -> Tensor:
        """Log-probabilities (B, N) of the finished sequences (B, N)."""
        self._note(sequences[:, -1])
        return torch.stack(self.steps, dim=1)

    def alternatives(self, row: int, count: int) -> tuple[tuple[tuple[int, float], ...], ...]:
        """The best tokens of the first `count` steps of a row, with their log-probabilities."""
        steps = ((ids[row].tolist(), values[row].tolist()) for ids, values in self.best[:count])
        return tuple(tuple(zip(*step, strict=True)) for step in steps)


class _StopStrings(StoppingCriteria):
    """Stops each row whose text holds one of the strings."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> None:
        self.tokenizer, self.stop = tokenizer, stop
        self._window = 4 * max(map(len, stop)) + 8  # tokens; one may be a single byte of a character

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        ends = self.tokenizer.batch_decode(input_ids[:, -self._window :], skip_special_tokens=True)
        found = [any(string in end for string in self.stop) for end in ends]
        return torch.tensor(found, device=input_ids.device)


@torch.inference_mode()
def decode(
    llm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Mapping[str, Tensor],
    options: GenerationOptions,
    max_new_tokens: int,
) -> list[Generation]:
    """Continue prompts.

    Args:
        llm: a causal language model, or one that reads pictures as well.
        tokenizer: of the model; its `eos_token` ends a text.
        prompt: the model's inputs, padded on the left: `inputs_embeds` (B, P, D) or `input_ids` (B, P),
            `attention_mask` (B, P), and more for one that reads pictures.
        options: how.
        max_new_tokens: where `options` does not say it.

    Returns:
        B generations; each is what the row would give alone, up to rounding (sampling apart).

    Raises:
        ValueError: beams for a prompt that is no embeddings.
    """
    length = prompt["input_ids"].shape[1] if "input_ids" in prompt else 0  # embeddings are not in what comes back
    if length and options.num_beams > 1:
        raise ValueError(f"got num_beams={options.num_beams} for an image narrator, expected 1; decode without beams")
    watch = _LogProbs()
    processors, criteria = LogitsProcessorList(), StoppingCriteriaList()
    if options.num_beams == 1:
        processors.append(watch)
    if options.stop:
        criteria.append(_StopStrings(tokenizer, options.stop))
    sequences: Any = llm.generate(  # type: ignore[operator]
        **prompt,
        generation_config=_config(tokenizer, options, max_new_tokens),
        logits_processor=processors,
        stopping_criteria=criteria,
        past_key_values=_cache(llm, options),
    )
    rows = [_cut(row, tokenizer, options.stop) for row in sequences[:, length:].tolist()]
    if options.num_beams == 1:
        log_probs = watch.finish(sequences).tolist()
    else:
        own = zip(prompt["inputs_embeds"], prompt["attention_mask"].bool(), rows, strict=True)
        log_probs = [score(llm, embeds[mask], row) for embeds, mask, row in own]
    best = [watch.alternatives(i, len(row)) if options.num_beams == 1 else () for i, row in enumerate(rows)]
    told = zip(rows, log_probs, best, strict=True)
    return [generation_of(row, values[: len(row)], others, tokenizer, options.stop) for row, values, others in told]


def generation_of(
    tokens: list[int],
    log_probs: Sequence[float],
    alternatives: Sequence[Sequence[tuple[int, float]]],
    tokenizer: PreTrainedTokenizerBase,
    stop: Sequence[str] = (),
) -> Generation:
    """The text of generated tokens, with all that is known of them; see `Generation`."""
    best = tuple(tuple(step) for step in alternatives)
    return Generation(_text(tokens, tokenizer, stop), tuple(tokens), tuple(log_probs), _spans(tokens, tokenizer), best)


def _cache(llm: PreTrainedModel, options: GenerationOptions) -> Cache | None:
    """A cache without copies where every layer attends to everything and rows keep their places; None: the model's."""
    text = llm.config.get_text_config()
    if options.num_beams > 1 or set(getattr(text, "layer_types", None) or ()) != {"full_attention"}:
        return None
    return Cache(layer_class_to_replicate=_RoomyLayer)


def _config(tokenizer: PreTrainedTokenizerBase, options: GenerationOptions, max_new_tokens: int) -> GenerationConfig:
    wanted: dict[str, Any] = {"do_sample": False, "num_beams": options.num_beams}
    if options.temperature > 0:
        wanted |= {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p, "top_k": 0}
    return GenerationConfig(
        max_new_tokens=options.max_new_tokens or max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **wanted,
    )


def _cut(tokens: list[int], tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> list[int]:
    """A row without its padding: up to the end token, or to the token that completes a stop string."""
    end: Any = tokenizer.eos_token_id
    if end in tokens:
        tokens = tokens[: tokens.index(end) + 1]
    for count in range(1, len(tokens) + 1) if stop else ():
        text = tokenizer.decode(tokens[:count], skip_special_tokens=True)
        if any(string in text for string in stop):
            return tokens[:count]
    return tokens


def _text(tokens: list[int], tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]) -> str:
    text: Any = tokenizer.decode(tokens, skip_special_tokens=True)
    found = [text.index(string) for string in stop if string in text]
    return text[: min(found, default=len(text))].strip()


def _spans(tokens: list[int], tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, int], ...]:
    """Where each token stands in the text without the space before it; the end token is empty."""
    texts: Any = [tokenizer.decode(tokens[:count], skip_special_tokens=True) for count in range(len(tokens) + 1)]
    before = len(texts[-1]) - len(texts[-1].lstrip())
    ends = [max(len(text) - before, 0) for text in texts]
    return tuple(pairwise(ends))


@torch.inference_mode()
def score(llm: PreTrainedModel, prompt: Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-probabilities of tokens behind a prompt (P, D), by one teacher-forced pass over a single row."""
    ids = torch.tensor([tokens], device=prompt.device)
    embeds = torch.cat([prompt[None], llm.get_input_embeddings()(ids).to(prompt.dtype)], dim=1)
    logits = llm(inputs_embeds=embeds, logits_to_keep=len(tokens) + 1, use_cache=False).logits[:, :-1]
    return logits.float().log_softmax(-1).gather(2, ids[..., None])[0, :, 0].tolist()
