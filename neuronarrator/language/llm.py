"""The language model of a narrator: made from fields or by name, and what of it learns (NeuroNarrator, Sec. 3.4)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from neuronarrator.hub import CONFIG_FILE, WEIGHTS_FILE

LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Tuning:
    """What of a narrator learns, and how.

    Attributes:
        variant: "full": all but the topomap encoder, as in the paper; "lora": low-rank adapters (arXiv:2106.09685) on
            the linear layers of the LLM instead of its weights; "projectors": neither the LLM nor the signal encoder,
            only what makes soft prompts of their vectors.
        lora_rank: of the adapters, which are scaled by 2.
        gradient_checkpointing: activations of the LLM are computed again in the backward pass instead of kept.
    """

    variant: Literal["full", "lora", "projectors"] = "full"
    lora_rank: int = 16
    gradient_checkpointing: bool = False


def build_llm(llm: str | Mapping[str, Any], vocab_size: int) -> PreTrainedModel:
    """A causal language model with an embedding for each token.

    Args:
        llm: name of a Hugging Face model or its directory, for its weights; or directory of a text narrator, for those
            of its LLM; or fields of a configuration, for random weights: of `Qwen3Config` unless `model_type` says
            otherwise.
        vocab_size: tokens of the tokenizer, placeholders included; a named model with fewer gets more.

    Returns:
        The model in float32, as mixed precision and AdamW need it.
    """
    if isinstance(llm, str):
        told = text_narrator_config(llm)
        model = _llm_of(llm, told) if told else AutoModelForCausalLM.from_pretrained(llm, dtype="float32")
        embeddings: Any = model.get_input_embeddings()
        if embeddings.num_embeddings < vocab_size:
            model.resize_token_embeddings(vocab_size, mean_resizing=False)  # soft prompts replace the new ones
    else:
        fields = {"model_type": "qwen3", "vocab_size": vocab_size, **llm}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields))
    model.generation_config = GenerationConfig()  # Qwen's samples by default; ours comes with each call
    return model


def text_narrator_config(directory: str | Path) -> dict[str, Any] | None:
    """The configuration that a text narrator saved in a directory; None where it holds something else, or nothing."""
    file = Path(directory) / CONFIG_FILE
    config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return config if config.get("kind") == "text" else None


def _llm_of(directory: str, config: Mapping[str, Any]) -> PreTrainedModel:
    """The LLM of a saved text narrator."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**{"model_type": "qwen3", **config["llm"]}))
    weights = load_file(Path(directory) / WEIGHTS_FILE)
    report = model.load_state_dict({name.removeprefix("llm."): v for name, v in weights.items()}, strict=False)
    model.tie_weights()
    if report.unexpected_keys or set(report.missing_keys) - {"lm_head.weight"}:
        raise ValueError(
            f"got weights that miss {report.missing_keys[:3]} and add {report.unexpected_keys[:3]}, expected those of "
            f"the {CONFIG_FILE} in {Path(directory).name}: restore both files from one model"
        )
    return model


def llm_fields(llm: str | Mapping[str, Any], model: PreTrainedModel, vocab_size: int) -> dict[str, Any]:
    """Fields from which `build_llm` makes a model of the same shape, whatever it was made from."""
    if isinstance(llm, str):
        fields = model.config.to_diff_dict()
        return {**fields, "model_type": model.config.model_type, "vocab_size": model.config.vocab_size}
    return {"vocab_size": vocab_size, **llm}


def tune(llm: PreTrainedModel, tuning: Tuning) -> None:
    """Freeze weights, add adapters and switch checkpointing on, in place.

    Raises:
        ImportError: "lora" without peft.
    """
    if tuning.variant != "full":
        llm.requires_grad_(False)
    if tuning.variant == "lora":
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise ImportError(
                "got variant 'lora' without peft, expected it: pip install neuronarrator[lora]"
            ) from error
        config = LoraConfig(r=tuning.lora_rank, lora_alpha=2 * tuning.lora_rank, target_modules=LORA_TARGETS)
        inject_adapter_in_model(config, llm)
    if tuning.gradient_checkpointing:
        llm.gradient_checkpointing_enable({"use_reentrant": False})


def merge_adapters(llm: nn.Module) -> None:
    """Add the adapters to the weights below them, in place; the model has its plain names again."""
    adapted = {name: module for name, module in llm.named_modules() if hasattr(module, "base_layer")}
    for name, module in adapted.items():
        layer: Any = module
        layer.merge()
        parent, _, leaf = name.rpartition(".")
        setattr(llm.get_submodule(parent), leaf, layer.get_base_layer())
