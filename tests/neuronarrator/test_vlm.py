"""The image path: pages in, text out, in the two stages of CerebraGloss."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, Qwen2VLImageProcessor

from corpus.dataset import Batch
from corpus.page import PageRenderer, PageStyle
from neuronarrator.datamodule import BatchList
from neuronarrator.language.chat import IGNORE_INDEX
from neuronarrator.language.generation import GenerationOptions
from neuronarrator.language.prompts import TASK_INSTRUCTION
from neuronarrator.narrator import Narrator
from neuronarrator.optim import OptimizerOptions
from neuronarrator.vlm import IMAGE, VISION_END, VISION_START, VlmConfig, VlmNarrator, WholePatches
from neuronarrator.writing import VlmTask

SMALL_VLM: dict[str, Any] = {
    "text_config": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 48,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
    },
    "vision_config": {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    },
    "tie_word_embeddings": True,
}
PAGE = PageStyle(width=252, height=196)
SHORT = GenerationOptions(max_new_tokens=6)
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip


@pytest.fixture
def config() -> VlmConfig:
    return VlmConfig(SMALL_VLM, PAGE, max_new_tokens=8)


@pytest.fixture
def vlm(config: VlmConfig, tokenizer: PreTrainedTokenizerBase) -> VlmNarrator:
    torch.manual_seed(0)
    return VlmNarrator(config, tokenizer).eval()


@pytest.fixture
def few(batch: Batch) -> Batch:
    """Four electrodes, so that a small page has room for them."""
    rows = [batch.ch_names.index(name) for name in ("Fp1", "Fp2", "O1", "O2")]
    names = ("Fp1", "Fp2", "O1", "O2")
    signal_uv, history_uv = batch.signal_uv[:, rows], batch.history_uv[:, :, rows]
    return replace(
        batch, signal_uv=signal_uv, history_uv=history_uv, log_power=batch.log_power[:, :, rows], ch_names=names
    )


def test_pixels_are_the_page_as_the_reference_processor_sees_it(vlm: VlmNarrator, few: Batch) -> None:
    pages = PageRenderer(few.ch_names, 200.0, 10.0, PAGE)(few.signal_uv.numpy())
    assert pages.shape == (6, 196, 252, 3)
    np.testing.assert_array_equal(vlm.draw(few).permute(0, 2, 3, 1).numpy(), pages)
    reference = Qwen2VLImageProcessor(do_resize=False)(images=[Image.fromarray(p) for p in pages], return_tensors="pt")
    found = vlm.encode(few, [("delta",)] * 6)
    torch.testing.assert_close(found["pixel_values"], reference["pixel_values"])
    torch.testing.assert_close(found["image_grid_thw"], reference["image_grid_thw"])


def test_a_tower_of_one_colour_and_one_moment_gets_a_sixth_of_the_pixels(
    vlm: VlmNarrator, few: Batch, tokenizer: PreTrainedTokenizerBase
) -> None:
    vision = {**SMALL_VLM["vision_config"], "in_channels": 1, "temporal_patch_size": 1}
    images = Qwen2VLImageProcessor(temporal_patch_size=1, image_mean=[0.48145466] * 3, image_std=[0.26862954] * 3)
    grey = VlmNarrator(VlmConfig({**SMALL_VLM, "vision_config": vision}, PAGE, 8), tokenizer, images)
    whole = vlm.encode(few, [("delta",)] * 6)["pixel_values"].unflatten(1, (3, 2, -1))
    torch.testing.assert_close(grey.encode(few, [("delta",)] * 6)["pixel_values"], whole[:, 0, 0])
    assert len(grey.generate(few.rows(range(1)), SHORT)) == 1


def test_whole_patches_are_a_convolution() -> None:
    torch.manual_seed(0)
    for bias in (True, False):
        conv = torch.nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4), bias=bias)
        patches = torch.randn(5, 3, 2, 4, 4)
        torch.testing.assert_close(WholePatches.of(conv)(patches), conv(patches).flatten(1))


def test_only_answers_are_learnt(vlm: VlmNarrator, few: Batch) -> None:
    asked = ["delta", "occipital alpha, moderate increase"] * 3
    answers = ["left", "right", "stable", "alpha", "beta", "theta"]
    inputs = vlm.encode(few, [*zip(asked[:5], answers[:5], strict=True), (asked[5], "stable", "beta", answers[5])])
    for i, (question, answer) in enumerate(zip(asked, answers, strict=True)):
        learnt = inputs["labels"][i][inputs["labels"][i] != IGNORE_INDEX].tolist()
        end = [*vlm.tokenizer(answer, add_special_tokens=False)["input_ids"], vlm.tokenizer.eos_token_id]
        before = [*vlm.tokenizer("stable", add_special_tokens=False)["input_ids"], vlm.tokenizer.eos_token_id]
        assert learnt == (before + end if i == 5 else end)
        whole = inputs["input_ids"][i][inputs["attention_mask"][i].bool()]
        assert whole[-len(end) :].tolist() == end
        text = vlm.tokenizer.decode(whole[: -len(end)])
        assert text.count(IMAGE) == 9 * 7 == vlm.n_image_tokens
        words = [VISION_START, IMAGE, VISION_END, question.split()[0]]
        assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)


def test_loss_is_the_mean_over_answer_tokens_of_single_rows(vlm: VlmNarrator, few: Batch) -> None:
    losses, counts = [], []
    for i in range(len(few)):
        row = few.rows([i])
        inputs = vlm.encode(row, [(TASK_INSTRUCTION, row.narratives[0])])
        ids = [*vlm.tokenizer(row.narratives[0], add_special_tokens=False)["input_ids"], vlm.tokenizer.eos_token_id]
        logits = vlm.vlm(**{k: v for k, v in inputs.items() if k != "labels"}).logits[0, -len(ids) - 1 : -1]
        losses.append(cross_entropy(logits, torch.tensor(ids), reduction="sum"))
        counts.append(len(ids))
    torch.testing.assert_close(vlm(few).loss, sum(losses) / sum(counts))


def test_a_row_answers_as_it_would_alone(vlm: VlmNarrator, few: Batch) -> None:
    questions = ["delta", "stable alpha, moderate increase", "beta"]
    together = vlm.ask(few.rows(range(3)), questions, SHORT)
    for i, question in enumerate(questions):
        alone = vlm.ask(replace(few, signal_uv=few.signal_uv[i : i + 1]), question, SHORT)[0]
        assert alone.tokens == together[i].tokens
        assert alone.log_probs == pytest.approx(together[i].log_probs, abs=1e-4)


def test_log_probs_are_those_of_a_teacher_forced_pass(vlm: VlmNarrator, few: Batch) -> None:
    one = few.rows(range(1))
    generation = vlm.generate(one, SHORT)[0]
    inputs = vlm.encode(one, [(TASK_INSTRUCTION,)])
    told = torch.tensor([generation.tokens])
    for name, value in (("input_ids", told), ("attention_mask", told**0), ("mm_token_type_ids", told * 0)):
        inputs[name] = torch.cat([inputs[name], value], dim=1)
    logits = vlm.vlm(**inputs).logits[0, -len(generation.tokens) - 1 : -1]
    expected = logits.log_softmax(-1).gather(1, torch.tensor(generation.tokens)[:, None])[:, 0]
    assert generation.log_probs == pytest.approx(expected.tolist(), abs=1e-4)


def test_another_signal_is_another_page_and_another_answer(vlm: VlmNarrator, few: Batch) -> None:
    one = few.rows(range(1))
    flat = replace(one, signal_uv=torch.zeros_like(one.signal_uv))
    assert vlm.generate(one, SHORT)[0].log_probs != vlm.generate(flat, SHORT)[0].log_probs


def test_saved_and_loaded_it_writes_the_same(vlm: VlmNarrator, few: Batch, tmp_path: Path) -> None:
    vlm.save_pretrained(tmp_path)
    loaded = VlmNarrator.from_pretrained(tmp_path)
    assert loaded.config.page == PAGE
    assert len(loaded.card["sha256"]) == 64
    before, after = (model.generate(few, SHORT) for model in (vlm, loaded))
    assert [g.tokens for g in before] == [g.tokens for g in after]


def test_wrong_uses_say_what_to_do(
    vlm: VlmNarrator, narrator: Narrator, few: Batch, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="got pages of 250 x 196 pixels, expected multiples of 28"):
        VlmNarrator(VlmConfig(SMALL_VLM, PageStyle(width=250, height=196)), tokenizer)
    with pytest.raises(ValueError, match="expected 1; decode without beams"):
        vlm.generate(few, GenerationOptions(num_beams=2))
    narrator.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="reads signals, expected one that reads pages"):
        VlmNarrator.from_pretrained(tmp_path)
    vlm.save_pretrained(tmp_path / "vlm")
    with pytest.raises(ValueError, match="stop_after=0"):
        VlmTask(VlmConfig(SMALL_VLM, PAGE), start_from=str(tmp_path / "vlm"), stop_after=0)


def train(task: VlmTask, batches: list[Batch], **options: Any) -> L.Trainer:
    trainer = L.Trainer(**QUIET, **options)
    trainer.fit(task, DataLoader(BatchList(batches), batch_size=None))
    return trainer


@pytest.mark.parametrize("parts", [("projector",), ("projector", "llm"), ("vision", "projector", "llm")], ids=len)
def test_a_stage_trains_its_parts_and_saves_the_narrator(
    parts: Any, config: VlmConfig, vlm: VlmNarrator, few: Batch, tmp_path: Path
) -> None:
    vlm.save_pretrained(tmp_path / "before")
    options = OptimizerOptions(learning_rate=1e-2, warmup_steps=1)
    task = VlmTask(
        config, start_from=str(tmp_path / "before"), save_to=str(tmp_path / "after"), train=parts, optimizer=options
    )
    train(task, [few], max_epochs=1)
    after = VlmNarrator.from_pretrained(tmp_path / "after")
    for name in ("vision", "projector", "llm"):
        moved = [
            not torch.equal(one, other[: len(one)])  # its vocabulary may have grown
            for one, other in zip(vlm.part(name).parameters(), after.part(name).parameters(), strict=True)
        ]
        assert any(moved) == (name in parts)
    assert f"train: {parts}" in (tmp_path / "after" / "README.md").read_text()


def test_a_stage_stops_early_on_the_schedule_of_all_its_steps(
    config: VlmConfig, vlm: VlmNarrator, few: Batch, tmp_path: Path
) -> None:
    vlm.save_pretrained(tmp_path)
    task = VlmTask(config, start_from=str(tmp_path), stop_after=0.25, train=("projector",))
    assert train(task, [few.rows(range(1))] * 8, max_epochs=1).global_step == 2


@pytest.mark.slow
def test_it_learns_to_read_pages(config: VlmConfig, vlm: VlmNarrator, few: Batch, tmp_path: Path) -> None:
    vlm.save_pretrained(tmp_path)
    options = OptimizerOptions(learning_rate=5e-3, warmup_steps=10)
    parts: Any = ("vision", "projector", "llm")
    task = VlmTask(config, start_from=str(tmp_path), train=parts, optimizer=options)
    start = float(task.narrator(few).loss)
    train(task, [few] * 150, max_epochs=1)
    assert float(task.narrator(few).loss) < 0.2 * start


def test_the_model_of_the_paper_takes_a_step_with_less_depth(few: Batch, tokenizer: PreTrainedTokenizerBase) -> None:
    """Qwen2.5-VL-3B, its depth (36 and 32 layers) and its vocabulary (151,936) apart."""
    fields = {
        "text_config": {
            "hidden_size": 2048,
            "num_hidden_layers": 1,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "intermediate_size": 11008,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        "vision_config": {
            "depth": 1,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "fullatt_block_indexes": [0],
        },
        "tie_word_embeddings": True,
    }
    vlm = VlmNarrator(VlmConfig(fields, PAGE, max_new_tokens=2), tokenizer)
    one = few.rows(range(1))
    vlm(one).loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in vlm.part("projector").parameters())
    assert len(vlm.eval().generate(one)[0].tokens) == 2
