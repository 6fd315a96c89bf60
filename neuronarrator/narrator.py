"""The narrator: a Qwen language model that reads both encoders as soft prompts (NeuroNarrator, Sec. 3.4)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutputWithPast

from corpus.dataset import Batch, collate
from corpus.features import extract_features
from corpus.segment import Segment
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.projector import Projector
from encoders.spectrum import SpectrumEncoder
from encoders.topomap import TopomapEncoder
from neuronarrator import hub
from neuronarrator.dual_encoder import DualEncoder
from neuronarrator.generation import GREEDY, Generation, GenerationOptions, decode
from neuronarrator.llm import build_llm, llm_fields
from neuronarrator.prompts import (
    PLACEHOLDERS,
    SEQUENCE,
    TASK_INSTRUCTION,
    build_prompt,
    encode_answers,
    mask_labels,
    pad,
    splice,
)
from neuronarrator.spectrum_names import SpectrumNames, spectrum_layout

if TYPE_CHECKING:
    from neuronarrator.narrate import NarratedRecording

INSTRUCTIONS = ("narrate", "ask")


@dataclass
class NarratorConfig:
    """What rebuilds a narrator.

    Attributes:
        encoder: size of both encoders, "tiny" or "base".
        llm: a Hugging Face model by name or directory, with its weights; or fields of `Qwen3Config`, for random ones.
        history_k: K, preceding segments in the prompt.
        modalities: which soft prompts enter, among history, signal, topomap, spectrum.
        spectrum_width: width of the spectrum tokens before their projector.
        max_new_tokens: where generation stops at the latest.
        name: of the model.
        version: of the model.
        instructions: what the model may be told, among narrate and ask (questions: only for an LLM that knows more
            than narratives).
    """

    encoder: str = "tiny"
    llm: dict[str, Any] | str = field(default_factory=dict)
    history_k: int = 2
    modalities: tuple[str, ...] = SEQUENCE
    spectrum_width: int = 96
    max_new_tokens: int = 192
    name: str = "tiny"
    version: str = "1"
    instructions: tuple[str, ...] = ("narrate",)

    def __post_init__(self) -> None:
        unknown = set(self.modalities) - set(SEQUENCE)
        if unknown or "signal" not in self.modalities:
            raise ValueError(f"got modalities {self.modalities}, expected signal and any of {SEQUENCE}")
        self.modalities = tuple(name for name in SEQUENCE if name in self.modalities)
        if set(self.instructions) - set(INSTRUCTIONS) or "narrate" not in self.instructions:
            raise ValueError(f"got instructions {self.instructions}, expected narrate and any of {INSTRUCTIONS}")
        self.instructions = tuple(self.instructions)


class Narrator(nn.Module):
    """Soft prompts [history, signal, topomap, spectrum], then the instruction, then the narrative.

    Args:
        config: sizes and modalities.
        tokenizer: of the LLM, with the placeholders.

    Attributes:
        card: name, version, sha256 of the weights and description of the model, for reports.
        model_card: text of the card that is saved with the model; None: one without facts of a run.
    """

    placeholder_ids: Tensor

    def __init__(self, config: NarratorConfig, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.config, self.tokenizer = config, tokenizer
        self.llm = build_llm(config.llm, len(tokenizer))
        width = self.llm.config.hidden_size
        self.dual = DualEncoder(
            SignalEncoder(SIGNAL_ENCODER_PRESETS[config.encoder]), TopomapEncoder(config.encoder), width
        )
        self.missing_history = nn.Parameter(torch.randn(width))
        self.norms = nn.ModuleDict({name: nn.RMSNorm(width) for name in config.modalities})
        for weight in self.norms.parameters():  # soft prompts begin as large as the token embeddings they stand among
            nn.init.constant_(weight, self.llm.config.initializer_range)
        if "spectrum" in config.modalities:
            self.spectrum = SpectrumEncoder(config.spectrum_width, config.history_k)
            self.spectrum_projector = Projector(config.spectrum_width, width)
        ids = tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))
        self.register_buffer("placeholder_ids", torch.tensor(ids), persistent=False)
        self._names = SpectrumNames(tokenizer)
        self.model_card: str | None = None
        self.card = {"name": config.name, "version": config.version, "sha256": "", "description": self._describe()}

    def _describe(self) -> str:
        llm = self.llm.config
        size = sum(p.numel() for p in self.parameters()) / 1e6
        kind = f"{llm.model_type.capitalize()} ({llm.num_hidden_layers} layers, width {llm.hidden_size})"
        return (
            f"LaBraM {self.config.encoder} + CLIP {self.config.encoder} + {kind}, {size:.1f} M parameters, "
            f"soft prompts: {', '.join(self.config.modalities)}"
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.missing_history.device

    def soft_prompts(self, batch: Batch, modalities: Sequence[str] | None = None) -> Tensor:
        """The soft prompts of a batch in the order of the prompt, (B, S, D); of all modalities, or of those given."""
        modalities = modalities or self.config.modalities
        parts = {}
        if "history" in modalities:
            parts["history"] = self._encode_history(batch)
        if "signal" in modalities:
            parts["signal"] = self.dual.encode_signal(batch.signal_uv, batch.ch_names)[:, None]
        if "topomap" in modalities:
            parts["topomap"] = self.dual.encode_topomap(batch.signal_uv, batch.ch_names)[:, None]
        if "spectrum" in modalities:
            tokens, ranking = self.spectrum(
                batch.log_power, batch.history_mask, spectrum_layout(batch.ch_names, self.device)
            )
            parts["spectrum"] = self.spectrum_projector(tokens)
        parts = {name: self.norms[name](parts[name]) for name in modalities}
        if "spectrum" in parts:
            parts["spectrum"] = parts["spectrum"] + self._names(
                self.llm.get_input_embeddings(), ranking, batch.ch_names
            )
        return torch.cat(list(parts.values()), dim=1)

    def _encode_history(self, batch: Batch) -> Tensor:
        known = batch.history_mask
        embeds = self.missing_history.expand(*known.shape, -1).clone()
        if known.any():
            embeds[known] = self.dual.encode_signal(batch.history_uv[known], batch.ch_names).to(embeds.dtype)
        return embeds

    def count_soft_prompts(self, n_chans: int, modalities: Sequence[str]) -> dict[str, int]:
        """How many soft prompts each modality has for segments of so many channels."""
        counts = {"history": self.config.history_k, "signal": 1, "topomap": 1}
        counts["spectrum"] = SpectrumEncoder.count_tokens(n_chans)
        return {name: counts[name] for name in modalities}

    def embed_prompt(
        self,
        batch: Batch,
        modalities: Sequence[str] | None = None,
        task: str = TASK_INSTRUCTION,
        turns: Sequence[tuple[str, str]] = (),
    ) -> Tensor:
        """Embeddings of the whole prompt, soft prompts in place, (B, P, D); `task` and `turns` as in `build_prompt`."""
        counts = self.count_soft_prompts(len(batch.ch_names), modalities or self.config.modalities)
        ids = torch.tensor(build_prompt(self.tokenizer, counts, task, turns), device=self.device)
        tokens = self.llm.get_input_embeddings()(ids)
        return splice(tokens, ids, self.placeholder_ids, self.soft_prompts(batch, modalities))

    def forward(self, batch: Batch, modalities: Sequence[str] | None = None) -> CausalLMOutputWithPast:
        """Teacher-forced pass over the reference narratives; `loss` is the mean over answer tokens (Eq. 7).

        Answers are cut where the positions of the LLM end.

        Args:
            batch: segments with their narratives.
            modalities: which of the configured soft prompts enter, in order; None: all.
        """
        prompt = self.embed_prompt(batch, modalities)
        room = self.llm.config.max_position_embeddings - prompt.shape[1]
        answers = encode_answers(self.tokenizer, batch.narratives, room)
        ids, mask = (part.to(self.device) for part in pad(answers, self.tokenizer.pad_token_id))
        embeds = torch.cat([prompt, self.llm.get_input_embeddings()(ids)], dim=1)
        attention = torch.cat([mask.new_ones(prompt.shape[:2]), mask], dim=1)
        labels = mask_labels(ids, mask, prompt.shape[1])
        keep = ids.shape[1] + 1  # logits of the prompt are never used
        return self.llm(
            inputs_embeds=embeds,
            attention_mask=attention,
            labels=labels[:, -keep:],
            logits_to_keep=keep,
            use_cache=False,
        )

    @torch.inference_mode()
    def generate(self, batch: Batch, options: GenerationOptions = GREEDY) -> list[Generation]:
        """Narratives of a batch, all rows at once; greedy by default."""
        return decode(self.llm, self.tokenizer, self.embed_prompt(batch), options, self.config.max_new_tokens)

    @torch.inference_mode()
    def ask(
        self,
        about: Batch | Segment,
        question: str,
        turns: Sequence[tuple[str, str]] = (),
        options: GenerationOptions = GREEDY,
    ) -> list[Generation]:
        """Answer a question about each segment: the prompt of a narrative with the question for its instruction.

        Args:
            about: segments with their history, or one segment, which is then read without any.
            question: in plain words.
            turns: earlier questions about the same segments and their answers, oldest first.
            options: how to decode.

        Raises:
            ValueError: the model has only learnt to write narratives, or the question is empty.
        """
        if "ask" not in self.config.instructions:
            raise ValueError(
                f"got a question for model {self.config.name!r}, which has learnt the instructions "
                f"{', '.join(self.config.instructions)} only, expected ask among them: use a narrator with an "
                "instruction-tuned LLM such as experiments/narrate/base.yaml, or narrate"
            )
        if not question.strip():
            raise ValueError("got an empty question, expected words: ask something")
        if isinstance(about, Segment):
            alone = [replace(about, history=())]
            about = collate(alone, extract_features(alone), [0], self.config.history_k)
        prompt = self.embed_prompt(about.to(self.device), task=question, turns=turns)
        return decode(self.llm, self.tokenizer, prompt, options, self.config.max_new_tokens)

    @property
    def _tied(self) -> set[str]:
        """Names that share a tensor with another one, and are not saved."""
        return {"llm.lm_head.weight"} if self.llm.config.tie_word_embeddings else set()

    def save_pretrained(self, directory: str | Path, state: Mapping[str, Tensor] | None = None) -> None:
        """Write configuration, tokenizer, weights and model card to a directory.

        Args:
            directory: made where it does not exist; a card written by hand is kept.
            state: the weights, where a strategy of several processes holds them; None: this module's.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        config = asdict(self.config) | {"llm": llm_fields(self.config.llm, self.llm, len(self.tokenizer))}
        (directory / hub.CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
        self.tokenizer.save_pretrained(directory)
        hub.save_weights(self, self._tied, directory, state)
        card = self.model_card or hub.model_card(self.config.name, self.card["description"], {"Training": {}})
        hub.write_card(directory, card)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "cpu") -> "Narrator":
        """Load a narrator: one that ships with the package, a directory, or `owner/name` of the Hugging Face hub.

        Raises:
            FileNotFoundError: there is no such model.
            ValueError: its weights do not fit its configuration.
        """
        directory = hub.find_model(name)
        config = NarratorConfig(**json.loads((directory / hub.CONFIG_FILE).read_text()))
        narrator = cls(config, AutoTokenizer.from_pretrained(directory, local_files_only=True))
        narrator.card["sha256"] = hub.load_weights(narrator, narrator._tied, directory)
        if (directory / hub.CARD_FILE).is_file():
            narrator.model_card = (directory / hub.CARD_FILE).read_text("utf-8")
        return narrator.to(device).eval()

    def push_to_hub(self, repo_id: str, private: bool = False, api: hub.HubApi | None = None) -> str:
        """Upload the narrator with its model card to the Hugging Face hub; returns the address.

        Args:
            repo_id: `owner/name`; made where it does not exist.
            private: of a new repository.
            api: None: huggingface_hub's, with the token of its login.
        """
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory)
            return hub.upload(Path(directory), repo_id, private, api)

    def narrate(self, path: str | Path) -> "NarratedRecording":
        """Read a recording of any format MNE reads and narrate, verify and picture every segment of it.

        Raises:
            RecordingError: the file cannot be narrated; one line says why and what to do.
        """
        from neuronarrator.narrate import load_for_model, narrate_recording

        return narrate_recording(self, load_for_model(path))
