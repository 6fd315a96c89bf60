"""`refine` against a real model behind a real server: `transformers serve` and a tiny Qwen3 made here."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.claims import facts_of
from corpus.describe import write_narrative
from corpus.findings import Findings, find_recording
from corpus.refine import Teacher, build_messages, refine
from corpus.simulate import random_preset, simulate

pytestmark = pytest.mark.slow

START_S = 120.0
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(texts: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=800, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=special[0], eos_token=special[2])
    tokenizer.chat_template = CHATML
    return tokenizer


def train_model(tokenizer: Any, prompts: list[str], answer: str) -> Any:
    """A Qwen3 of two layers that says `answer` to every prompt."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), tie_word_embeddings=True, **size, **heads))
    said = tokenizer(answer + "<|im_end|>")["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(400):
        ids = torch.tensor([tokenizer(prompts[step % len(prompts)])["input_ids"] + said])
        logits = model(input_ids=ids, logits_to_keep=len(said) + 1).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(said))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.01:
            break
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model.eval()


@pytest.fixture(scope="module")
def found() -> list[Findings]:
    return find_recording(simulate(random_preset(1, duration_s=40.0), 1).recording)


@pytest.fixture(scope="module")
def model_dir(found: list[Findings], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen3")
    messages = [build_messages(item) for item in found]
    answer = write_narrative(found[1], 5)
    tokenizer = make_tokenizer([text["content"] for pair in messages for text in pair] + [answer])
    prompts = [tokenizer.apply_chat_template(pair, tokenize=False, add_generation_prompt=True) for pair in messages]
    train_model(tokenizer, prompts, answer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def url(model_dir: Path) -> Iterator[str]:
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip(
            "transformers serve needs fastapi, uvicorn, pydantic and openai: pip install 'transformers[serving]'"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    main = "from transformers.cli.transformers import main; main()"
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--reasoning", "off"]
    command = [sys.executable, "-c", main, "serve", str(model_dir), *options]
    log = model_dir / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
    try:
        wait_until_healthy(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)


def wait_until_healthy(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert server.poll() is None, f"transformers serve ended:\n{log.read_text()[-3000:]}"
        try:
            opener.open(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"transformers serve was not ready after {START_S:g} s:\n{log.read_text()[-3000:]}")


def test_a_local_model_is_a_teacher(
    url: str, model_dir: Path, found: list[Findings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    teacher = Teacher(url, str(model_dir), temperature=0.0, concurrency=2, timeout_s=120, retries=1, price_out=1.0)
    result = refine(found, teacher, tmp_path)
    assert result.texts[1] == write_narrative(found[1], 5)  # what it has learnt to say is true of this segment
    assert result.sources[1] == "teacher"
    for item, text, source in zip(found, result.texts, result.sources, strict=True):
        assert facts_of(text) == item.facts if source == "offline" else facts_of(text) <= item.facts
    assert result.sources[0] == "offline"  # without a history there are no trends to tell
    summary = result.summary
    assert summary.accepted + summary.repaired + summary.rejected == len(found) == summary.requests
    assert summary.prompt_tokens > 100 * len(found)
    assert summary.completion_tokens > 50
    assert summary.cost == pytest.approx(summary.completion_tokens / 1e6)
    again = refine(found, teacher, tmp_path)
    assert (again.texts, again.summary.requests) == (result.texts, 0)
