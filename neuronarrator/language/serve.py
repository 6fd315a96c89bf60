"""Narratives through vLLM (extra `serve`): the encoders run here, their prompts go to the engine as embeddings.

Prefix caching is off: it knows prompts by their tokens, which prompts of embeddings do not have, and the text of one
segment could be continued from another. Decoding is greedy, as in `Narrator.generate`, and the narrator's own tokenizer
makes the text. A `VllmNarrator` stands in for a narrator in `predict` and `evaluate`.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from corpus.dataset import Batch
from neuronarrator.language.generation import ALTERNATIVES, Generation, generation_of
from neuronarrator.narrator import Narrator


def engine_arguments(narrator: Narrator, directory: str | Path) -> dict[str, Any]:
    """Arguments of `vllm.LLM` for the language model of a narrator, exported to a directory."""
    llm = narrator.llm
    return {
        "model": str(directory),
        "dtype": str(llm.dtype).removeprefix("torch."),
        "max_model_len": llm.config.max_position_embeddings,
        "enable_prompt_embeds": True,
        "enable_prefix_caching": False,
    }


def sampling_arguments(narrator: Narrator) -> dict[str, Any]:
    """Arguments of `vllm.SamplingParams` for greedy decoding with the log-probabilities that a `Generation` holds."""
    return {
        "temperature": 0.0,
        "max_tokens": narrator.config.max_new_tokens,
        "stop_token_ids": [narrator.tokenizer.eos_token_id],
        "logprobs": ALTERNATIVES,
        "detokenize": False,
    }


@torch.inference_mode()
def prompt_requests(narrator: Narrator, batch: Batch) -> list[dict[str, Tensor]]:
    """What is sent for each row: the embeddings of its whole prompt (P, D), chat template included, on the CPU."""
    prompts = narrator.embed_prompt(batch.to(narrator.device)).to(narrator.llm.dtype).cpu()
    return [{"prompt_embeds": prompt.contiguous()} for prompt in prompts]


class VllmNarrator:
    """A narrator whose language model runs in vLLM.

    Args:
        narrator: in eval mode; its encoders make the prompts.
        directory: where the language model is exported to, in the form that vLLM loads.
        engine: more arguments of `vllm.LLM`, such as `gpu_memory_utilization`.

    Attributes:
        config: of the narrator.
        card: of the narrator.
        device: of its encoders.

    Raises:
        ImportError: vLLM is missing.
    """

    def __init__(self, narrator: Narrator, directory: str | Path, **engine: Any) -> None:
        try:
            from vllm import LLM, SamplingParams
        except ImportError:
            raise ImportError("got no vLLM, expected it to serve; run pip install 'neuronarrator[serve]'") from None
        narrator.llm.save_pretrained(directory)
        narrator.tokenizer.save_pretrained(directory)
        self._narrator = narrator
        self._engine = LLM(**{**engine_arguments(narrator, directory), **engine})
        self._sampling = SamplingParams(**sampling_arguments(narrator))
        self.config, self.card, self.device = narrator.config, narrator.card, narrator.device

    def generate(self, batch: Batch) -> list[Generation]:
        """Greedy narratives of a batch; the engine schedules its rows as it likes."""
        answers = self._engine.generate(prompt_requests(self._narrator, batch), self._sampling, use_tqdm=False)
        return [self._read(answer.outputs[0]) for answer in answers]

    def _read(self, output: Any) -> Generation:
        """One answer, up to its end token; every step holds the chosen token and the most probable ones."""
        tokens, end = list(output.token_ids), self._narrator.tokenizer.eos_token_id
        if end in tokens:
            tokens = tokens[: tokens.index(end) + 1]
        steps = [{token: float(found.logprob) for token, found in step.items()} for step in output.logprobs]
        log_probs = [step[token] for token, step in zip(tokens, steps, strict=False)]
        best = [sorted(step.items(), key=lambda item: -item[1])[:ALTERNATIVES] for step in steps[: len(tokens)]]
        return generation_of(tokens, log_probs, best, self._narrator.tokenizer)
