"""The image path: a vision-language model reads a rendered EEG page and writes (CerebraGloss, Sec. 3.3).

The model is Qwen2.5-VL, unchanged; Qwen3-VL and others of that family come by configuration. Pages are drawn from the
signal of a batch, so that both paths narrate the same segments. Letters: B segments, N tokens, H and W pixels.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2VLImageProcessor,
)
from transformers.modeling_outputs import ModelOutput

from corpus.dataset import Batch
from corpus.page import PageRenderer, PageStyle
from neuronarrator import hub
from neuronarrator.calibrate import Calibration
from neuronarrator.language.chat import chat_ids, lesson_ids, stack_lessons, stack_prompts
from neuronarrator.language.generation import GREEDY, Generation, GenerationOptions, decode
from neuronarrator.language.prompts import TASK_INSTRUCTION, chats_of

KIND = "vlm"
VISION_START, IMAGE, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"  # Qwen's names
SFREQ = 200.0  # Hz, of the signal of a batch


@dataclass
class VlmConfig:
    """What rebuilds an image narrator.

    Attributes:
        vlm: a Hugging Face model by name or directory, with its weights; or fields of its configuration, of
            `Qwen2_5_VLConfig` unless `model_type` says otherwise, for random ones.
        page: how a page is drawn; its sides are multiples of the model's patch times its merge (28 pixels).
        max_new_tokens: where generation stops at the latest.
        name: of the model.
        version: of the model.
    """

    vlm: dict[str, Any] | str = field(default_factory=dict)
    page: PageStyle = field(default_factory=PageStyle)
    max_new_tokens: int = 192
    name: str = "vlm"
    version: str = "1"
    history_k: ClassVar[int] = 0  # preceding segments that it reads


class VlmNarrator(nn.Module):
    """A page of EEG, then the instruction, then the narrative.

    Args:
        config: model and page.
        tokenizer: of the model; one without the vision tokens gets them.
        images: its image processor; None: Qwen2.5-VL's.

    Attributes:
        card: name, version, sha256 of the weights and description of the model, for reports.
        calibration: of the confidence in its narratives; none is fitted for this kind.
        model_card: text of the card that is saved with the model; None: one without facts of a run.

    Raises:
        ValueError: the sides of the page are no multiples of the model's patches.
    """

    def __init__(
        self, config: VlmConfig, tokenizer: PreTrainedTokenizerBase, images: Qwen2VLImageProcessor | None = None
    ) -> None:
        super().__init__()
        self.config, self.tokenizer = config, with_vision_tokens(tokenizer)
        self.vlm = build_vlm(config.vlm, self.tokenizer)
        embed: Any = self.vlm.model.visual.patch_embed
        embed.proj = WholePatches.of(embed.proj)
        vision: Any = self.vlm.config.vision_config
        step = vision.patch_size * vision.spatial_merge_size
        self.images = images or Qwen2VLImageProcessor(
            patch_size=vision.patch_size,
            merge_size=vision.spatial_merge_size,
            temporal_patch_size=vision.temporal_patch_size,
        )
        width, height = config.page.width, config.page.height
        if width % step or height % step:
            raise ValueError(
                f"got pages of {width} x {height} pixels, expected multiples of {step}, a token of this model; "
                "corpus.page.fit_size gives the nearest"
            )
        self.grid = (height // step, width // step)
        self.n_image_tokens = self.grid[0] * self.grid[1]
        self.model_card: str | None = None
        self.calibration: Calibration | None = None
        self.card = {"name": config.name, "version": config.version, "sha256": "", "description": self._describe()}

    def _describe(self) -> str:
        text: Any = self.vlm.config.get_text_config()
        size = sum(p.numel() for p in self.parameters()) / 1e6
        return (
            f"{self.vlm.config.model_type} ({text.num_hidden_layers} layers, width {text.hidden_size}), {size:.1f} M "
            f"parameters, pages of {self.config.page.width} x {self.config.page.height} pixels"
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.vlm.device

    def part(self, name: str) -> nn.Module:
        """One of the three parts: "vision" (the tower without its projector), "projector" or "llm"."""
        visual: Any = self.vlm.model.visual
        if name == "llm":
            return nn.ModuleList([self.vlm.model.language_model, self.vlm.lm_head])
        if name == "projector":
            return visual.merger
        return nn.ModuleList([module for key, module in visual.named_children() if key != "merger"])

    def draw(self, batch: Batch) -> Tensor:
        """Pages of a batch, (B, 3, H, W) uint8."""
        return torch.from_numpy(self.renderer(batch)(batch.signal_uv.cpu().numpy())).permute(0, 3, 1, 2)

    def renderer(self, batch: Batch) -> PageRenderer:
        """What draws the pages of a batch."""
        return _renderer(batch.ch_names, batch.signal_uv.shape[-1] / SFREQ, self.config.page)

    def cut(self, pages: Tensor) -> dict[str, Tensor]:
        """Pages (B, 3, H, W) as the tower takes them: patches as the image processor makes them, only quicker.

        Returns:
            `hidden_states` (B * patches, pixels of a patch) and `grid_thw` (B, 3).
        """
        images: Any = self.images
        side, merge = images.patch_size, images.merge_size
        vision: Any = self.vlm.config.vision_config
        pages = pages[:, : vision.in_channels]  # grey: a tower of one colour sees as much
        count, colours = pages.shape[:2]
        rows, columns = (size // side for size in pages.shape[2:])
        cut = pages.reshape(count, colours, rows // merge, merge, side, columns // merge, merge, side)
        cut = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(-1, colours, 1, side * side)
        mean, std = (
            255 * torch.tensor(value[:colours])[:, None, None] for value in (images.image_mean, images.image_std)
        )
        values = cut.sub(mean).div_(std).expand(-1, -1, images.temporal_patch_size, -1)
        return {"hidden_states": values.flatten(1), "grid_thw": torch.tensor([[1, rows, columns]] * count)}

    def encode(self, batch: Batch, chats: Sequence[Sequence[str]]) -> dict[str, Tensor]:
        """The inputs of the model.

        Args:
            batch: B segments.
            chats: about each of them, questions and answers in turn, behind its page. All end with an answer, to be
                learnt; or all with a question, to be answered.

        Returns:
            `input_ids` and `attention_mask` (B, N), `mm_token_type_ids` (B, N), 1 on image tokens, `pixel_values`,
            `image_grid_thw` (B, 3), and to be learnt `labels` (B, N), `IGNORE_INDEX` on all but answers.
        """
        image = VISION_START + IMAGE * self.n_image_tokens + VISION_END
        seen = [(image + chat[0], *chat[1:]) for chat in chats]
        text: Any = self.vlm.config.get_text_config()
        pad_id, room = self.tokenizer.pad_token_id, text.max_position_embeddings
        if len(seen[0]) % 2:
            prompts = {chat: chat_ids(self.tokenizer, chat) for chat in dict.fromkeys(seen)}
            rows = stack_prompts([prompts[chat] for chat in seen], pad_id)
        else:
            rows = stack_lessons([lesson_ids(self.tokenizer, chat, room) for chat in seen], pad_id)
        image_id: Any = self.tokenizer.convert_tokens_to_ids(IMAGE)
        pixels = self.cut(self.draw(batch))
        inputs = rows | {
            "mm_token_type_ids": rows["input_ids"].eq(image_id).long(),
            "pixel_values": pixels["hidden_states"],
            "image_grid_thw": pixels["grid_thw"],
        }
        return {name: value.to(self.device) for name, value in inputs.items()}

    def forward(self, batch: Batch) -> ModelOutput:
        """Teacher-forced pass over the reference narratives, or the answers of `batch.chats`; `loss` is their mean."""
        return self.vlm(**self.encode(batch, chats_of(batch)), use_cache=False)

    def generate(self, batch: Batch, options: GenerationOptions = GREEDY) -> list[Generation]:
        """Narratives of a batch, all rows at once; greedy by default."""
        return self.ask(batch, TASK_INSTRUCTION, options)

    @torch.inference_mode()
    def ask(
        self, batch: Batch, questions: str | Sequence[str], options: GenerationOptions = GREEDY
    ) -> list[Generation]:
        """Answer a question about each segment: one for all, or one each."""
        asked = [questions] * len(batch) if isinstance(questions, str) else list(questions)
        inputs = self.encode(batch, [(question,) for question in asked])
        return decode(self.vlm, self.tokenizer, inputs, options, self.config.max_new_tokens)

    @property
    def tied(self) -> set[str]:
        """Names that share a tensor with another one, and are not saved."""
        text: Any = self.vlm.config.get_text_config()
        return {"vlm.lm_head.weight"} if text.tie_word_embeddings else set()

    def save_pretrained(self, directory: str | Path, state: Mapping[str, Tensor] | None = None) -> None:
        """Write configuration, tokenizer, weights and model card to a directory.

        Args:
            directory: made where it does not exist; a card written by hand is kept.
            state: the weights, where a strategy of several processes holds them; None: this module's.
        """
        config = {"kind": KIND, **asdict(self.config), "vlm": self.vlm.config.to_dict()}
        hub.save_narrator(self, config, directory, state)
        self.images.save_pretrained(directory)

    @classmethod
    def from_pretrained(cls, name: str | Path, device: str = "cpu") -> "VlmNarrator":
        """Load an image narrator from a directory or from the hub.

        Raises:
            FileNotFoundError: there is no such model.
            ValueError: it is no image narrator, or its weights do not fit its configuration.
        """
        directory = hub.find_model(name)
        config = hub.read_config(directory, KIND)
        config["page"] = PageStyle(**config["page"])
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
        narrator = cls(VlmConfig(**config), tokenizer, AutoImageProcessor.from_pretrained(directory))
        narrator.card["sha256"] = hub.load_weights(narrator, narrator.tied, directory)
        return narrator.to(device).eval()


class WholePatches(nn.Conv3d):
    """A convolution whose input is single patches, as one matrix product: on a CPU in a tenth of the time."""

    @classmethod
    def of(cls, conv: nn.Conv3d) -> "WholePatches":
        """The same weights."""
        kernel: Any = conv.kernel_size
        same = cls(conv.in_channels, conv.out_channels, kernel, kernel, bias=conv.bias is not None, device="meta")
        same.weight, same.bias = conv.weight, conv.bias
        return same

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (N, colours, times, side, side) to (N, D)."""
        return linear(patches.flatten(1), self.weight.flatten(1), self.bias)


@lru_cache(maxsize=32)
def _renderer(ch_names: tuple[str, ...], duration_s: float, style: PageStyle) -> PageRenderer:
    return PageRenderer(ch_names, SFREQ, duration_s, style)


def with_vision_tokens(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy that knows the tokens around and for images."""
    tokenizer = deepcopy(tokenizer)
    added: dict[str, Any] = {"additional_special_tokens": [VISION_START, IMAGE, VISION_END]}
    tokenizer.add_special_tokens(added, replace_extra_special_tokens=False)
    return tokenizer


def build_vlm(vlm: str | Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A vision-language model with an embedding for each token.

    Args:
        vlm: name of a Hugging Face model or its directory, for its weights; or fields of its configuration, for random
            ones.
        tokenizer: with the vision tokens.

    Returns:
        The model in float32, as mixed precision and AdamW need it.
    """
    if isinstance(vlm, str):
        model = AutoModelForImageTextToText.from_pretrained(vlm, dtype="float32")
    else:
        fields = {"model_type": "qwen2_5_vl", **vlm}
        names = {"vision_start_token_id": VISION_START, "image_token_id": IMAGE, "vision_end_token_id": VISION_END}
        fields |= {key: tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}
        text = {"vocab_size": len(tokenizer), **fields.get("text_config", {})}
        text |= {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**(fields | {"text_config": text})))
    model.generation_config = GenerationConfig()
    return model
