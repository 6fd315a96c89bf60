"""A narrator with random weights, small enough for every test."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch, segment_batches
from corpus.findings import find_recording
from corpus.preprocess import preprocess
from corpus.recording import Recording
from corpus.simulate import SimulationPreset, simulate
from neuronarrator.language.tokenizer import sample_narratives, train_tokenizer
from neuronarrator.narrator import Narrator, NarratorConfig

SMALL_LLM = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


@pytest.fixture(scope="session")
def small_llm() -> dict[str, Any]:
    return {**SMALL_LLM, "max_position_embeddings": 1024}


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(list(sample_narratives(500, seed=0)), vocab_size=400)


@pytest.fixture
def narrator(tokenizer: PreTrainedTokenizerBase) -> Narrator:
    torch.manual_seed(0)
    return Narrator(NarratorConfig(llm=SMALL_LLM, max_new_tokens=24), tokenizer).eval()


@pytest.fixture
def lively(tokenizer: PreTrainedTokenizerBase) -> Callable[[int], Narrator]:
    """Makes a narrator of so many tokens that does not repeat its last one for ever, as with tied embeddings."""

    def make(max_new_tokens: int) -> Narrator:
        config = NarratorConfig(llm={**SMALL_LLM, "tie_word_embeddings": False}, max_new_tokens=max_new_tokens)
        torch.manual_seed(0)
        made = Narrator(config, tokenizer).eval()
        for parameter in made.llm.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.15)
        return made

    return make


@pytest.fixture(scope="session")
def simulated() -> Recording:
    return preprocess(simulate(SimulationPreset(duration_s=60.0), seed=0).recording)


@pytest.fixture(scope="session")
def batch(simulated: Recording) -> Batch:
    return next(segment_batches(find_recording(simulated), batch_size=6))
