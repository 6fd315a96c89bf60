"""Two baselines without encoders: the LLM that reads the measured features as text, and the LLM that reads nothing.

The first shows what a language model makes of the same numbers in words (NeuroNarrator's template); the second what
knowing how narratives usually sound is worth. Both are trained as the narrator is, with an LLM of the same size.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutputWithPast

from corpus.dataset import Batch
from neuronarrator import hub
from neuronarrator.calibrate import Calibration
from neuronarrator.language.chat import chat_ids, lesson_ids, stack_lessons, stack_prompts
from neuronarrator.language.generation import GREEDY, Generation, GenerationOptions, decode
from neuronarrator.language.llm import build_llm, llm_fields
from neuronarrator.language.prompts import TASK_INSTRUCTION, chats_of

KIND = "text"
Reads = Literal["template", "nothing"]


@dataclass
class TextConfig:
    """What rebuilds a text narrator.

    Attributes:
        reads: "template": the structured text of the measured features; "nothing": the instruction alone.
        llm: as in `NarratorConfig`.
        max_new_tokens: where generation stops at the latest.
        name: of the model.
        version: of the model.

    Raises:
        ValueError: it reads something else.
    """

    reads: Reads = "template"
    llm: dict[str, Any] | str = field(default_factory=dict)
    max_new_tokens: int = 192
    name: str = "text"
    version: str = "1"
    history_k: ClassVar[int] = 0  # preceding segments that it reads

    def __post_init__(self) -> None:
        if self.reads not in get_args(Reads):
            raise ValueError(f"got reads={self.reads!r}, expected one of {', '.join(get_args(Reads))}; correct it")


class TextNarrator(nn.Module):
    """The template of a segment, or nothing, then the instruction, then the narrative.

    Args:
        config: model, and what it reads.
        tokenizer: of the LLM.

    Attributes:
        card: name, version, sha256 of the weights and description of the model, for reports.
        calibration: of the confidence in its narratives; none is fitted for this kind.
        model_card: text of the card that is saved with the model; None: one without facts of a run.
    """

    def __init__(self, config: TextConfig, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.llm = build_llm(config.llm, len(tokenizer))
        self.model_card: str | None = None
        self.calibration: Calibration | None = None
        self.card = {"name": config.name, "version": config.version, "sha256": "", "description": self._describe()}

    def _describe(self) -> str:
        llm, size = self.llm.config, sum(p.numel() for p in self.parameters()) / 1e6
        kind = f"{llm.model_type.capitalize()} ({llm.num_hidden_layers} layers, width {llm.hidden_size})"
        return f"{kind}, {size:.1f} M parameters, reads: {self.config.reads}"

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.llm.device

    def part(self, name: str) -> nn.Module:
        """The only part, "llm".

        Raises:
            ValueError: another one.
        """
        if name != "llm":
            raise ValueError(f"got part {name!r} of a text narrator, expected llm; it has no other")
        return self.llm

    def _first_words(self, batch: Batch) -> list[str]:
        """What stands before the first question about each segment."""
        if self.config.reads == "nothing":
            return [""] * len(batch)
        if len(batch.templates) != len(batch):
            raise ValueError(
                f"got {len(batch.templates)} templates for {len(batch)} segments, expected one each; build the batch "
                "from findings"
            )
        return [f"{template}\n" for template in batch.templates]

    def _prompts(self, batch: Batch) -> list[list[int]]:
        """Token ids of each row up to where its narrative begins."""
        return [chat_ids(self.tokenizer, [before + TASK_INSTRUCTION]) for before in self._first_words(batch)]

    def forward(self, batch: Batch) -> CausalLMOutputWithPast:
        """Teacher-forced pass over the reference narratives, or the answers of `batch.chats`; `loss` is their mean."""
        room = self.llm.config.max_position_embeddings
        told = zip(self._first_words(batch), chats_of(batch), strict=True)
        lessons = [lesson_ids(self.tokenizer, [before + chat[0], *chat[1:]], room) for before, chat in told]
        rows = stack_lessons(lessons, self.tokenizer.pad_token_id)
        return self.llm(**{name: value.to(self.device) for name, value in rows.items()}, use_cache=False)

    @torch.inference_mode()
    def generate(self, batch: Batch, options: GenerationOptions = GREEDY) -> list[Generation]:
        """Narratives of a batch, all rows at once; greedy by default."""
        rows = stack_prompts(self._prompts(batch), self.tokenizer.pad_token_id)
        inputs = {name: value.to(self.device) for name, value in rows.items()}
        return decode(self.llm, self.tokenizer, inputs, options, self.config.max_new_tokens)

    @property
    def tied(self) -> set[str]:
        """Names that share a tensor with another one, and are not saved."""
        return {"llm.lm_head.weight"} if self.llm.config.tie_word_embeddings else set()

    def save_pretrained(self, directory: str | Path, state: Mapping[str, Tensor] | None = None) -> None:
        """Write configuration, tokenizer, weights and model card to a directory; as `Narrator.save_pretrained`."""
        fields = llm_fields(self.config.llm, self.llm, len(self.tokenizer))
        hub.save_narrator(self, {"kind": KIND, **asdict(self.config), "llm": fields}, directory, state)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "cpu") -> "TextNarrator":
        """Load a text narrator from a directory or from the hub.

        Raises:
            FileNotFoundError: there is no such model.
            ValueError: it is of another kind, or its weights do not fit its configuration.
        """
        directory = hub.find_model(name)
        config = hub.read_config(directory, KIND)
        narrator = cls(TextConfig(**config), AutoTokenizer.from_pretrained(directory, local_files_only=True))
        narrator.card["sha256"] = hub.load_weights(narrator, narrator.tied, directory)
        return narrator.to(device).eval()
