"""What is sent to vLLM and what is made of its answers; the engine is one of ours that takes the same arguments."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from transformers import AutoModelForCausalLM

from corpus.dataset import Batch
from neuronarrator.language.generation import ALTERNATIVES
from neuronarrator.language.serve import VllmNarrator
from neuronarrator.narrator import Narrator


class Engine:
    """Greedy decoding of the exported model, a request at a time, without a cache."""

    made: ClassVar[list["Engine"]] = []

    def __init__(self, **arguments: Any) -> None:
        self.arguments, self.requests = arguments, []
        self.llm = AutoModelForCausalLM.from_pretrained(arguments["model"], local_files_only=True).eval()
        self.made.append(self)

    @torch.inference_mode()
    def generate(self, prompts: list[dict[str, Any]], sampling: SimpleNamespace, use_tqdm: bool) -> list[Any]:
        self.requests += prompts
        self.sampling = sampling
        return [SimpleNamespace(outputs=[self._decode(prompt["prompt_embeds"], sampling)]) for prompt in prompts]

    def _decode(self, embeds: torch.Tensor, sampling: SimpleNamespace) -> SimpleNamespace:
        tokens, steps = [], []
        for _ in range(sampling.max_tokens):
            best = self.llm(inputs_embeds=embeds[None]).logits[0, -1].log_softmax(-1).topk(sampling.logprobs)
            told = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            steps.append({token: SimpleNamespace(logprob=value) for token, value in told})
            tokens.append(int(best.indices[0]))
            if tokens[-1] in sampling.stop_token_ids:
                break
            embeds = torch.cat([embeds, self.llm.get_input_embeddings()(best.indices[:1])])
        return SimpleNamespace(token_ids=tokens, logprobs=steps)


@pytest.fixture
def narrator(lively: Callable[[int], Narrator]) -> Narrator:
    """One that ends in the middle of some rows."""
    return lively(6)


@pytest.fixture
def served(narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VllmNarrator:
    vllm: Any = ModuleType("vllm")
    vllm.LLM, vllm.SamplingParams = Engine, SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    return VllmNarrator(narrator, tmp_path / "llm", gpu_memory_utilization=0.5)


def test_the_engine_gets_whole_prompts_as_embeddings_and_decodes_greedily(
    served: VllmNarrator, narrator: Narrator, batch: Batch, tmp_path: Path
) -> None:
    served.generate(batch)
    engine = Engine.made[-1]
    assert engine.arguments == {
        "model": str(tmp_path / "llm"),
        "dtype": "float32",
        "max_model_len": 512,
        "enable_prompt_embeds": True,
        "enable_prefix_caching": False,
        "gpu_memory_utilization": 0.5,
    }
    assert (engine.sampling.temperature, engine.sampling.max_tokens) == (0.0, 6)
    assert engine.sampling.stop_token_ids == [narrator.tokenizer.eos_token_id]
    expected = narrator.embed_prompt(batch)
    assert len(engine.requests) == len(batch)
    for request, prompt in zip(engine.requests, expected, strict=True):
        assert list(request) == ["prompt_embeds"]
        torch.testing.assert_close(request["prompt_embeds"], prompt.detach())


def test_texts_and_log_probs_are_those_of_the_local_path(
    served: VllmNarrator, narrator: Narrator, batch: Batch
) -> None:
    first = narrator.generate(batch)[0].tokens
    weight = narrator.llm.get_output_embeddings().weight.data
    other, end = first[4], narrator.tokenizer.eos_token_id
    weight[[other, end]] = weight[[end, other]]  # so that the first row ends early
    Engine.made[-1].llm.load_state_dict(narrator.llm.state_dict())
    answers = served.generate(batch)
    for told, local in zip(answers, narrator.generate(batch), strict=True):
        assert (told.text, told.tokens, told.spans) == (local.text, local.tokens, local.spans)
        assert told.log_probs == pytest.approx(local.log_probs, abs=1e-4)
        assert [len(step) for step in told.alternatives] == [ALTERNATIVES] * len(told.tokens)
        assert [step[0][0] for step in told.alternatives] == list(told.tokens)
    assert len(answers[0].tokens) <= 5


def test_without_vllm_the_error_names_the_extra(
    narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ImportError, match=r"neuronarrator\[serve\]"):
        VllmNarrator(narrator, tmp_path)
