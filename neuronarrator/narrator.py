"""The narrator: a Qwen language model that reads both encoders as soft prompts (NeuroNarrator, Sec. 3.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.modeling_outputs import CausalLMOutputWithPast

from corpus.dataset import Batch, collate
from corpus.features import extract_features
from corpus.segment import Segment
from neuronarrator import hub
from neuronarrator.calibrate import Calibration
from neuronarrator.language.chat import IGNORE_INDEX, lesson_ids, stack_lessons, stack_prompts
from neuronarrator.language.generation import GREEDY, Generation, GenerationOptions, decode
from neuronarrator.language.llm import build_llm, llm_fields
from neuronarrator.language.prompts import (
    PLACEHOLDERS,
    TASK_INSTRUCTION,
    build_prompt,
    chats_of,
    first_words,
    splice,
)
from neuronarrator.narrator_config import NarratorConfig as NarratorConfig  # others find it here
from neuronarrator.soft_prompts import SegmentTokens, SoftPrompts

if TYPE_CHECKING:
    from neuronarrator.narrate import NarratedRecording


@dataclass
class NarratorOutput(CausalLMOutputWithPast):
    """What a teacher-forced pass gives beside the language model's own: the soft prompts (B, S, D) it read."""

    soft_prompts: Tensor | None = None


class Narrator(SoftPrompts):
    """Soft prompts [history, signal, topomap, spectrum], then the instruction, then the narrative.

    Args:
        config: sizes and modalities.
        tokenizer: of the LLM, with the placeholders.

    Attributes:
        card: name, version, sha256 of the weights and description of the model, for reports.
        calibration: of the confidence in its narratives; None where nobody fitted one.
        model_card: text of the card that is saved with the model; None: one without facts of a run.
    """

    placeholder_ids: Tensor

    def __init__(self, config: NarratorConfig, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config, build_llm(config.llm, len(tokenizer)), tokenizer)
        self.tokenizer = tokenizer
        ids = tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))
        self.register_buffer("placeholder_ids", torch.tensor(ids), persistent=False)
        self.model_card: str | None = None
        self.calibration: Calibration | None = None
        self.card = {"name": config.name, "version": config.version, "sha256": "", "description": self._describe()}

    def _describe(self) -> str:
        llm = self.llm.config
        size = sum(p.numel() for p in self.parameters()) / 1e6
        kind = f"{llm.model_type.capitalize()} ({llm.num_hidden_layers} layers, width {llm.hidden_size})"
        return (
            f"LaBraM {self.config.encoder} + CLIP {self.config.encoder} + {kind}, {size:.1f} M parameters, "
            f"soft prompts: {', '.join(self.config.modalities)}"
        )

    def embed_prompt(
        self,
        batch: Batch,
        task: str = TASK_INSTRUCTION,
        turns: Sequence[tuple[str, str]] = (),
    ) -> Tensor:
        """Embeddings of the whole prompt, soft prompts in place, (B, P, D); `task` and `turns` as in `build_prompt`."""
        return self._embed_prompts(batch, self.soft_prompts(batch), [task] * len(batch), turns)["inputs_embeds"]

    def _embed(self, rows: Mapping[str, Tensor], soft_prompts: Tensor) -> dict[str, Tensor]:
        """Rows of `stack_prompts` or `stack_lessons` with embeddings, soft prompts in place, instead of ids."""
        ids = rows["input_ids"].to(self.device)
        embeds = splice(self.llm.get_input_embeddings()(ids), ids, self.placeholder_ids, soft_prompts)
        return {"inputs_embeds": embeds, "attention_mask": rows["attention_mask"].to(self.device)}

    def _embed_prompts(
        self, batch: Batch, soft_prompts: Tensor, tasks: Sequence[str], turns: Sequence[tuple[str, str]] = ()
    ) -> dict[str, Tensor]:
        """`inputs_embeds` (B, P, D) and `attention_mask` (B, P) of prompts to be continued, padded on the left."""
        counts = self.count_soft_prompts(len(batch.ch_names), self.config.modalities)
        built = {task: build_prompt(self.tokenizer, counts, task, turns) for task in dict.fromkeys(tasks)}
        prompts = [built[task] for task in tasks]
        return self._embed(stack_prompts(prompts, self.tokenizer.pad_token_id), soft_prompts)

    def forward(self, batch: Batch, modalities: Sequence[str] | None = None) -> NarratorOutput:
        """Teacher-forced pass over the reference narratives; `loss` is the mean over answer tokens (Eq. 7).

        Where there are `batch.chats`, over the answers in these. A row is cut where the positions of the LLM end.

        Args:
            batch: segments with their narratives.
            modalities: which of the configured soft prompts enter, in order; None: all.
        """
        modalities = modalities or self.config.modalities
        soft_prompts = self.soft_prompts(batch, modalities)
        before = first_words(self.count_soft_prompts(len(batch.ch_names), modalities))
        room = self.llm.config.max_position_embeddings
        lessons = [lesson_ids(self.tokenizer, [before + chat[0], *chat[1:]], room) for chat in chats_of(batch)]
        rows = stack_lessons(lessons, self.tokenizer.pad_token_id)
        asked = int((rows["labels"] == IGNORE_INDEX).all(dim=0).long().cumprod(dim=0).sum())
        keep = rows["labels"].shape[1] - asked + 1  # logits of what all rows have for a prompt are never used
        output = self.llm(
            **self._embed(rows, soft_prompts),
            labels=rows["labels"][:, -keep:].to(self.device),
            logits_to_keep=keep,
            use_cache=False,
        )
        return NarratorOutput(**output, soft_prompts=soft_prompts)

    @torch.inference_mode()
    def generate(
        self, batch: Batch, options: GenerationOptions = GREEDY, tokens: SegmentTokens | None = None
    ) -> list[Generation]:
        """Narratives of a batch, all rows at once; greedy by default. `tokens` as in `soft_prompts`."""
        prompt = self._embed_prompts(batch, self.soft_prompts(batch, tokens=tokens), [TASK_INSTRUCTION] * len(batch))
        return decode(self.llm, self.tokenizer, prompt, options, self.config.max_new_tokens)

    @torch.inference_mode()
    def ask(
        self,
        about: Batch | Segment,
        questions: str | Sequence[str],
        turns: Sequence[tuple[str, str]] = (),
        options: GenerationOptions = GREEDY,
    ) -> list[Generation]:
        """Answer a question about each segment: the prompt of a narrative with a question for its instruction.

        Args:
            about: segments with their history, or one segment, which is then read without any.
            questions: in plain words, one for all segments or one each.
            turns: earlier questions about the same segments and their answers, oldest first.
            options: how to decode.

        Raises:
            ValueError: the model has only learnt to write narratives, or other questions; or a question is empty.
        """
        if "ask" not in self.config.instructions:
            raise ValueError(
                f"got a question for model {self.config.name!r}, which has learnt the instructions "
                f"{', '.join(self.config.instructions)} only, expected ask among them: use a narrator with an "
                "instruction-tuned LLM such as experiments/narrate/base.yaml, or narrate"
            )
        if isinstance(about, Segment):
            alone = [replace(about, history=())]
            about = collate(alone, extract_features(alone), [0], self.config.history_k)
        asked = [questions] * len(about) if isinstance(questions, str) else list(questions)
        if len(asked) != len(about) or not all(question.strip() for question in asked):
            raise ValueError(
                f"got {len(asked)} questions, {sum(not question.strip() for question in asked)} of them empty, for "
                f"{len(about)} segments, expected words: ask one question of all, or one of each"
            )
        if strange := [question for question in asked if not self.config.answers(question)]:
            raise ValueError(
                f"got the question {strange[0]!r} for model {self.config.name!r}, expected one of the "
                f"{len(self.config.questions)} that it has learnt: {' '.join(self.config.questions)}"
            )
        about = about.to(self.device)
        prompt = self._embed_prompts(about, self.soft_prompts(about), asked, turns)
        return decode(self.llm, self.tokenizer, prompt, options, self.config.max_new_tokens)

    @property
    def tied(self) -> set[str]:
        """Names that share a tensor with another one, and are not saved."""
        return {"llm.lm_head.weight"} if self.llm.config.tie_word_embeddings else set()

    def save_pretrained(self, directory: str | Path, state: Mapping[str, Tensor] | None = None) -> None:
        """Write configuration, tokenizer, weights and model card to a directory.

        Args:
            directory: made where it does not exist; a card written by hand is kept.
            state: the weights, where a strategy of several processes holds them; None: this module's.
        """
        config = asdict(self.config) | {"llm": llm_fields(self.config.llm, self.llm, len(self.tokenizer))}
        hub.save_narrator(self, config, directory, state)
        if self.calibration is not None:
            self.calibration.save(directory)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "cpu") -> "Narrator":
        """Load a narrator: one that ships with the package, a directory, or `owner/name` of the Hugging Face hub.

        Raises:
            FileNotFoundError: there is no such model.
            ValueError: its weights do not fit its configuration.
        """
        directory = hub.find_model(name)
        config = NarratorConfig(**hub.read_config(directory))
        narrator = cls(config, AutoTokenizer.from_pretrained(directory, local_files_only=True))
        narrator.card["sha256"] = hub.load_weights(narrator, narrator.tied, directory)
        narrator.calibration = Calibration.load(directory)
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

        Of a long recording no more is held than the narratives and what was measured: `narrate.NarratedRecording`.

        Raises:
            RecordingError: the file cannot be narrated; one line says why and what to do.
        """
        from neuronarrator.narrate import load_for_model, narrate_recording

        return narrate_recording(self, load_for_model(path))
