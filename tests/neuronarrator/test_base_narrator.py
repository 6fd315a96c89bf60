"""The narrator of the paper: built from its configuration alone, with random weights and less depth."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
import yaml
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from corpus.dataset import Batch
from encoders import topomap
from encoders.presets import BASE, SIGNAL_ENCODER_PRESETS
from neuronarrator.language.chat import lesson_ids
from neuronarrator.language.generation import GenerationOptions
from neuronarrator.language.llm import Tuning, build_llm
from neuronarrator.language.prompts import PLACEHOLDERS, build_prompt
from neuronarrator.language.tokenizer import load_or_train_tokenizer
from neuronarrator.narration import NarrationTask
from neuronarrator.narrator import Narrator, NarratorConfig

CONFIG = Path(__file__).parents[2] / "experiments" / "narrate" / "base.yaml"
QWEN3_4B = {  # of Qwen3-4B-Instruct-2507, its depth (36 layers) and its vocabulary (151,936) apart
    "hidden_size": 2560,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 9728,
    "max_position_embeddings": 262144,
    "tie_word_embeddings": True,
    "rope_theta": 5000000,
}


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """One block in each encoder instead of 12 and 24; every width is the real one."""
    monkeypatch.setitem(SIGNAL_ENCODER_PRESETS, "base", replace(BASE, depth=1))
    full = open_clip.get_model_config

    def one_layer(name: str) -> dict[str, Any]:
        config = full(name)
        assert config["vision_cfg"]["layers"] == 24
        return config | {"vision_cfg": config["vision_cfg"] | {"layers": 1}}

    monkeypatch.setattr(topomap.open_clip, "get_model_config", one_layer)


@pytest.fixture
def init_args() -> dict[str, Any]:
    return yaml.safe_load(CONFIG.read_text())["model"]["init_args"]


def save_small_llm(folder: Path, vocab_size: int) -> str:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = Qwen3Config(vocab_size=vocab_size, intermediate_size=48, head_dim=16, tie_word_embeddings=True, **sizes)
    torch.manual_seed(1)
    model = Qwen3ForCausalLM(config)
    model.generation_config.update(do_sample=True, temperature=0.7, top_k=20)  # as Qwen's own files say
    model.to(torch.bfloat16).save_pretrained(folder)
    return str(folder)


def test_the_papers_choices_are_in_the_configuration(init_args: dict[str, Any]) -> None:
    config = NarratorConfig(**init_args["narrator"])
    assert (config.encoder, config.llm) == ("base", "Qwen/Qwen3-4B-Instruct-2507")
    assert config.history_k == 2
    assert config.modalities == ("history", "signal", "topomap")
    text = yaml.safe_load(CONFIG.read_text())
    trainer, data = text["trainer"], text["data"]["init_args"]
    assert trainer["max_epochs"] == 4
    assert (data["batch_size"], trainer["devices"], trainer["accumulate_grad_batches"]) == (3, 4, 4)
    assert trainer["precision"] == "bf16-mixed"
    assert init_args["tuning"] == {"variant": "full", "gradient_checkpointing": True}


def test_base_builds_takes_a_step_and_generates(
    shallow: None,
    init_args: dict[str, Any],
    batch: Batch,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    tokenizer.save_pretrained(tmp_path)
    llm = QWEN3_4B | {"num_hidden_layers": 1}
    config = NarratorConfig(**init_args["narrator"] | {"llm": llm, "max_new_tokens": 4})
    task = NarrationTask(config, tokenizer=str(tmp_path), tuning=Tuning(**init_args["tuning"])).train()
    narrator = task.narrator
    assert narrator.dual.projectors["signal"].fc1.in_features == 200
    assert narrator.dual.projectors["topomap"].fc1.in_features == 1024
    two = batch.rows([1, 2])
    assert narrator.soft_prompts(two).shape == (2, 4, 2560)
    trainable = {name: p for name, p in narrator.named_parameters() if p.requires_grad}
    assert not any("topomap" in name and "encoders" in name for name in trainable)
    with torch.autocast("cpu", torch.bfloat16):
        loss = task.narrator(two).loss
    loss.backward()
    assert [name for name, p in trainable.items() if p.grad is None] == []
    torch.optim.SGD(trainable.values(), lr=1e-3).step()
    assert loss.isfinite()
    (first, _) = narrator.eval().generate(two)
    assert 1 <= len(first.tokens) <= 4
    (answer, _) = narrator.ask(
        two, "Is there a posterior dominant rhythm?", options=GenerationOptions(max_new_tokens=2)
    )
    assert len(answer.tokens) <= 2


def test_a_named_llm_brings_its_weights_and_tokenizer_and_saves_as_a_whole(
    batch: Batch, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    name = save_small_llm(tmp_path / "llm", vocab_size=len(tokenizer) + 20)
    tokenizer.save_pretrained(name)
    torch.manual_seed(0)
    task = NarrationTask(NarratorConfig(llm=name, modalities=("history", "signal", "topomap"), max_new_tokens=6))
    narrator = task.narrator.eval()
    expected = Qwen3ForCausalLM.from_pretrained(name, dtype="float32").state_dict()
    for key, value in narrator.llm.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[key]), key
    texts = narrator.generate(batch)
    assert narrator.generate(batch) == texts  # the published settings sample; ours do not
    narrator.save_pretrained(tmp_path / "saved")
    (tmp_path / "llm").rename(tmp_path / "gone")
    loaded = Narrator.from_pretrained(tmp_path / "saved")
    assert loaded.generate(batch) == texts


def test_an_llm_of_too_few_embeddings_gets_more(tmp_path: Path) -> None:
    name = save_small_llm(tmp_path, vocab_size=50)
    assert build_llm(name, 54).get_input_embeddings().num_embeddings == 54
    assert build_llm(name, 40).get_input_embeddings().num_embeddings == 50


def test_fields_make_the_model_that_they_always_made(tokenizer: PreTrainedTokenizerBase) -> None:
    fields = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    torch.manual_seed(0)
    expected = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **fields)).state_dict()
    torch.manual_seed(0)
    model = build_llm(fields, len(tokenizer))
    assert isinstance(model, Qwen3ForCausalLM)
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


@pytest.fixture
def qwens(shared_data: Path) -> PreTrainedTokenizerBase:
    folder = shared_data / "qwen2_tokenizer"
    if not folder.is_dir():
        pytest.skip("Qwen's tokenizer not found: expected it in qwen2_tokenizer/ of the shared data")
    return load_or_train_tokenizer(str(folder), vocab_size=0)


def test_a_conversation_is_learnt_as_qwens_template_writes_it(qwens: PreTrainedTokenizerBase) -> None:
    said = ["Is it clean?", "Yes. No artifacts.", "Where is it strongest?", "Over O1, 57.2 µV."]
    ids, learnt = lesson_ids(qwens, said, 500)
    messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]
    whole = qwens(qwens.apply_chat_template(messages, tokenize=False), add_special_tokens=False)["input_ids"]
    assert ids == whole[: len(ids)]
    assert qwens.decode(whole[len(ids) :]) == "\n"
    answers = [token for token, counts in zip(ids, learnt, strict=True) if counts]
    assert qwens.decode(answers) == f"{said[1]}<|im_end|>{said[3]}<|im_end|>"


def test_qwens_own_tokenizer_and_chat_template_carry_the_placeholders(qwens: PreTrainedTokenizerBase) -> None:
    tokenizer = qwens
    assert "You are a helpful assistant." in tokenizer.chat_template  # its own, not ours
    ids = build_prompt(tokenizer, {"history": 2, "signal": 1, "topomap": 1})
    stand_ins = tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))
    assert min(stand_ins) > 151645
    history, signal, topomap_id, _ = stand_ins
    assert [i for i in ids if i in stand_ins] == [history, history, signal, topomap_id]
    text = tokenizer.decode(ids)
    assert text.startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|eeg_history|>"
    )
    assert text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    assert tokenizer.eos_token == "<|im_end|>"
