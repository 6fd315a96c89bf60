"""Stage 0 of the tiny image path: its vision tower learns to read pages before any language model listens to it.

Published vision-language models begin with a tower that was trained on pictures and text. Ours has none, and learnt
from narratives alone it does not begin to see. So it first learns densely: which electrode each label names, how strong
and how fast each line is, and what the whole page shows (`neuronarrator.page_heads`). The language model is taken from
a text narrator and stays as it is; the tokens of the tower are as long as its embeddings when the stage ends.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from corpus.dataset import Batch
from corpus.montage import ELECTRODE_NAMES
from neuronarrator.hub import find_model, model_card, read_stages
from neuronarrator.language.chat import pad
from neuronarrator.optim import OptimizerOptions, adamw_with_cosine
from neuronarrator.page_heads import PageHeads, draw_labels, page_targets
from neuronarrator.run_facts import TEXT, persons_of, run_facts
from neuronarrator.text_narrator import TextNarrator
from neuronarrator.vlm import VlmConfig, VlmNarrator

OPTIMIZER = OptimizerOptions(warmup_steps=100, weight_decay=0.01)
PAGES = "pages and what they show (stage 0)"
FEW_COLUMNS = 3
PAPER, CONTRAST = 1.0, 0.25  # what is white becomes 0, so that a patch without ink is silent


class PageReadingTask(L.LightningModule):
    """The tower and its projector learn to tell what a page shows.

    Args:
        narrator: the image narrator that begins here: a Qwen3-VL by fields, its LLM equal to the text narrator's.
        llm: directory of a text narrator, whose LLM and tokenizer the image narrator gets.
        save_to: directory for the narrator, written when training ends.
        few_steps: first steps, in which the tower sees of each page only the labels and `FEW_COLUMNS` more columns of
            tokens at random, in a third of the time (FLIP, arXiv:2212.00794).
        label_pages: with each batch, which has one layout, come so many pages of others without a line, of which only
            the labels are read.
        optimizer: learning rate, weight decay, warm-up.
    """

    def __init__(
        self,
        narrator: VlmConfig,
        llm: str,
        save_to: str | None = None,
        few_steps: int = 0,
        label_pages: int = 0,
        optimizer: OptimizerOptions = OPTIMIZER,
    ) -> None:
        super().__init__()
        self.few_steps, self.label_pages = few_steps, label_pages
        self.options, self.save_to = optimizer, save_to
        text = TextNarrator.from_pretrained(llm)
        self.narrator = VlmNarrator(narrator, text.tokenizer)
        self.narrator.images.image_mean, self.narrator.images.image_std = [PAPER] * 3, [CONTRAST] * 3
        take_llm(self.narrator, text)
        self.narrator.requires_grad_(False)
        for part in ("vision", "projector"):
            self.narrator.part(part).requires_grad_(True)
        self.heads = PageHeads(embed_words(self.narrator, ELECTRODE_NAMES))
        self._earlier = [{**stage, "learns": TEXT} for stage in read_stages(find_model(llm))]
        self._length, self._crops = 1.0, 0
        self._labels: dict[tuple[str, ...], tuple[Tensor, Tensor]] = {}

    def _read(self, batch: Batch, columns: Sequence[int] | None = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        targets = page_targets(batch, self.narrator.renderer(batch), self.narrator.grid).to(self.device)
        seen = range(self.narrator.grid[1]) if columns is None else columns
        tokens = look_at(self.narrator, self.narrator.draw(batch), seen)
        self._length = float(tokens.detach().norm(dim=-1).mean())
        return self.heads(tokens, targets if columns is None else targets.of_columns(columns))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Sum of the losses of all heads."""
        few = self.global_step < self.few_steps
        losses, scores = self._read(batch, _few_columns(self.narrator.grid[1], batch_idx) if few else None)
        if self.label_pages:
            losses["labels"], scores["labels_f1"] = self._read_labels(batch)
        self._crops += len(batch)
        self._log("train", losses, scores, len(batch))
        return torch.stack(list(losses.values())).sum()

    def _read_labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The names on pages without a line, of layouts that were seen up to now."""
        if batch.ch_names not in self._labels:
            self._labels[batch.ch_names] = draw_labels([batch.ch_names], self.narrator.config.page, self.narrator.grid)
        known = list(self._labels.values())
        drawn = torch.randint(len(known), (self.label_pages,)).tolist()
        pages, there = (torch.cat(parts).to(self.device) for parts in zip(*(known[i] for i in drawn), strict=True))
        return self.heads.name(look_at(self.narrator, pages, [0])[:, :, 0], there)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The same losses on pages of persons that training does not see."""
        self._log("val", *self._read(batch), len(batch))

    def _log(self, side: str, losses: dict[str, Tensor], scores: dict[str, Tensor], count: int) -> None:
        self.log_dict({f"{side}/{name}_loss": value for name, value in losses.items()}, batch_size=count)
        self.log_dict({f"{side}/{name}": value for name, value in scores.items()}, batch_size=count)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `adamw_with_cosine`."""
        return adamw_with_cosine(self, self.options)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of pages, so that a resumed run tells all of them."""
        checkpoint["pages"] = self._crops

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the count of a checkpoint."""
        self._crops = checkpoint["pages"]

    def on_train_end(self) -> None:
        """Make the tokens as long as embeddings of words, and save the narrator with a card of the run."""
        narrator: Any = self.narrator
        match_lengths(narrator, self._length)
        own = {"learns": PAGES, "steps": self.global_step, "crops": self._crops, **persons_of(self.trainer)}
        narrator.stages = [*self._earlier, own]
        if self.save_to is None:
            return
        state = self.trainer.strategy.lightning_module_state_dict()
        if self.trainer.is_global_zero:
            facts, card = run_facts(self.trainer, asdict(self.options)), narrator.card
            narrator.model_card = model_card(card["name"], card["description"], facts)
            own = {key.removeprefix("narrator."): v for key, v in state.items() if key.startswith("narrator.")}
            narrator.save_pretrained(self.save_to, own)


def _few_columns(width: int, seed: int) -> list[int]:
    """The column of the labels and others, in order."""
    others = torch.randperm(width - 1, generator=torch.Generator().manual_seed(seed))[:FEW_COLUMNS] + 1
    return [0, *sorted(others.tolist())]


def look_at(narrator: VlmNarrator, pages: Tensor, columns: Sequence[int]) -> Tensor:
    """What a tower sees that is shown some columns of tokens only, each at its place.

    Args:
        narrator: a Qwen3-VL.
        pages: (B, 3, height, width) uint8, whole.
        columns: of tokens, from 0 at the left.

    Returns:
        (B, H, columns, D).
    """
    visual: Any = narrator.vlm.model.visual
    height, width = narrator.grid
    merge = visual.spatial_merge_size
    shown = narrator.cut(pages.unflatten(-1, (width, -1))[..., list(columns), :].flatten(-2))
    whole = torch.tensor([[1, height * merge, width * merge]])
    taps, weights = get_vision_interpolation_indices_and_weights(
        whole, visual.num_grid_per_side, visual.interpolation_mode, visual.interpolation_align_corners, merge
    )
    places = {"interp_indices": taps, "interp_weights": weights, "position_ids": get_vision_position_ids(whole, merge)}
    for name, value in places.items():
        kept = value.unflatten(0, (height, width, merge**2))[:, list(columns)].flatten(0, 2)
        shown[name] = kept.repeat(len(pages), 1)
    seen = visual(**{name: value.to(narrator.device) for name, value in shown.items()})
    return seen.pooler_output.unflatten(0, (len(pages), height, len(columns)))


def take_llm(narrator: VlmNarrator, text: TextNarrator) -> None:
    """Give an image narrator the LLM of a text narrator, in place; only the vision tokens keep their own embeddings.

    Raises:
        ValueError: the LLMs differ.
    """
    model: Any = narrator.part("llm")[0]  # type: ignore[index]
    given: Any = text.llm.model  # type: ignore[attr-defined]
    own, state = model.state_dict(), dict(given.state_dict())
    words = state.pop("embed_tokens.weight")
    misfits = [name for name in set(state) | set(own) - {"embed_tokens.weight"} if not _alike(own, state, name)]
    if misfits or words.shape[1] != model.embed_tokens.weight.shape[1]:
        raise ValueError(
            f"got an LLM that differs from that of the text narrator, in {sorted(misfits)[:3] or 'its width'}, "
            "expected the same; give text_config the fields of that LLM, and a model_type of its family (qwen3_vl)"
        )
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        model.embed_tokens.weight[: len(words)] = words


def _alike(own: dict[str, Tensor], given: dict[str, Tensor], name: str) -> bool:
    return name in own and name in given and own[name].shape == given[name].shape


@torch.no_grad()
def embed_words(narrator: VlmNarrator, words: Sequence[str]) -> Tensor:
    """Mean embedding of the tokens of each word as it stands in running text, (words, D)."""
    ids = narrator.tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"]
    rows, mask = pad(ids, narrator.tokenizer.pad_token_id)
    embedding: Any = narrator.vlm.get_input_embeddings()
    return (embedding(rows) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


@torch.no_grad()
def match_lengths(narrator: VlmNarrator, length: float) -> None:
    """Scale the projector so that tokens of a mean `length` become as long as the embeddings of the LLM."""
    embedding: Any = narrator.vlm.get_input_embeddings()
    factor = float(embedding.weight.norm(dim=-1).mean()) / length
    last = [module for module in narrator.part("projector").modules() if isinstance(module, nn.Linear)][-1]
    last.weight.mul_(factor)
    last.bias.mul_(factor)
