"""Stage 0 of the image path: what a page shows, the heads that ask for it, and the narrator that comes out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch, segment_batches
from corpus.findings import find_recording
from corpus.montage import ELECTRODE_NAMES
from corpus.page import PageRenderer, PageStyle
from corpus.recording import Recording
from neuronarrator.datamodule import BatchList
from neuronarrator.hub import read_stages, write_stages
from neuronarrator.optim import OptimizerOptions
from neuronarrator.page_heads import CHOICES, NOT_STATED, PageHeads, PageTargets, draw_labels, page_targets
from neuronarrator.page_pretraining import (
    PAGES,
    TEXT,
    PageReadingTask,
    embed_words,
    look_at,
    match_lengths,
    take_llm,
)
from neuronarrator.text_narrator import TextConfig, TextNarrator
from neuronarrator.vlm import VlmConfig, VlmNarrator
from neuronarrator.writing import VlmTask

LLM: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 48,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
VLM: dict[str, Any] = {
    "model_type": "qwen3_vl",
    "text_config": {**LLM, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}},
    "vision_config": {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 32,
        "in_channels": 1,
        "temporal_patch_size": 1,
        "patch_size": 28,
        "spatial_merge_size": 2,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [],
    },
    "tie_word_embeddings": True,
}
PAGE = PageStyle(montage="recorded", width=280, height=224, gain_uv_mm=None)
NAMES = ("Fp1", "Fp2", "C3", "O2")
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    "enable_model_summary": False,
}  # fmt: skip


def waves() -> Batch:
    """Six segments of a minute of sines: of C3 four times as large as of the others."""
    seconds = np.arange(12000) / 200
    rows = [np.sin(2 * np.pi * hertz * seconds) for hertz in (10.0, 10.0, 6.0, 10.0)]
    signal_uv = np.array([10.0, 10.0, 40.0, 10.0])[:, None] * np.array(rows)
    recording = Recording(signal_uv.astype(np.float32), 200.0, NAMES)
    return next(segment_batches(find_recording(recording), batch_size=6))


@pytest.fixture(scope="module")
def sines() -> Batch:
    return waves()


@pytest.fixture(scope="module")
def renderer() -> PageRenderer:
    return PageRenderer(NAMES, 200.0, 10.0, PAGE)


@pytest.fixture
def text(tokenizer: PreTrainedTokenizerBase) -> TextNarrator:
    torch.manual_seed(1)
    return TextNarrator(TextConfig(llm=LLM), tokenizer)


@pytest.fixture
def vlm(tokenizer: PreTrainedTokenizerBase) -> VlmNarrator:
    torch.manual_seed(0)
    return VlmNarrator(VlmConfig(VLM, PAGE), tokenizer)


def look(vlm: VlmNarrator, batch: Batch) -> torch.Tensor:
    """What the LLM gets of each page, by the tower itself: (B, rows, columns, D)."""
    seen = vlm.vlm.model.visual(**vlm.cut(vlm.draw(batch)))  # type: ignore[union-attr, operator]
    return seen.pooler_output.unflatten(0, (len(batch), *vlm.grid))


def test_targets_are_what_was_drawn(sines: Batch, renderer: PageRenderer) -> None:
    targets = page_targets(sines, renderer, (4, 5))
    gain = renderer.gain_of(sines.signal_uv[0].numpy())
    assert [ELECTRODE_NAMES[i] for i in targets.names] == list(NAMES)
    baselines = np.array(renderer.layout.baselines)
    np.testing.assert_allclose(56 * (targets.rows + targets.offsets), baselines, rtol=1e-5)
    np.testing.assert_allclose(targets.gain, np.log(gain), rtol=1e-5)
    variance_mm2 = np.array([50.0, 50.0, 800.0, 50.0]) / gain**2  # of a sine: half its squared amplitude
    np.testing.assert_allclose(targets.powers[0, :, -1], np.log(variance_mm2), atol=0.01)
    assert targets.powers[0, 0, :6].argmax() == 2  # alpha
    assert targets.powers[0, 2, :6].argmax() == 1  # theta
    assert targets.high[0].tolist() == [0, 0, 1, 0]
    assert targets.choices["dominant_band"].tolist() == [CHOICES["dominant_band"].index("theta")] * 6
    assert targets.choices["amplitude"].tolist() == [CHOICES["amplitude"].index("low")] * 6


def test_shapes_of_lines_are_those_of_their_stretch(sines: Batch) -> None:
    renderer = PageRenderer(NAMES, 200.0, 10.0, replace(PAGE, height=448))
    targets = page_targets(sines, renderer, (8, 5))
    row = int(targets.rows[2])
    assert not (targets.rows == row)[[0, 1, 3]].any(), "C3 has a row of its own on this page"
    px_uv = renderer.layout.px_per_mm / renderer.gain_of(sines.signal_uv[0].numpy())
    omega = 2 * np.pi * 6.0 / 200
    expected = np.log((40.0 * px_uv) ** 2 / 2 * np.array([1, omega**2, omega**4]) + 0.01)
    np.testing.assert_allclose(targets.shape[0, row, 2], expected, atol=0.15)
    assert targets.drawn[row].tolist() == [False, True, True, True, False]
    assert not targets.shape[:, ~targets.drawn].any()


def test_what_a_narrative_does_not_state_is_not_asked(sines: Batch, renderer: PageRenderer) -> None:
    silent = replace(sines, facts=[{fact for fact in own if fact[0] != "region"} for own in sines.facts])
    targets = page_targets(silent, renderer, (4, 5))
    assert targets.choices["region"].tolist() == [NOT_STATED] * 6
    tokens = torch.randn(6, 4, 5, 32)
    losses, scores = PageHeads(torch.randn(len(ELECTRODE_NAMES), 32))(tokens, targets)
    assert "region" not in losses
    assert "region" not in scores
    assert "asymmetry" in losses


def test_wrong_batches_say_what_to_do(sines: Batch, renderer: PageRenderer) -> None:
    with pytest.raises(ValueError, match="got a batch without measurements"):
        page_targets(replace(sines, log_power=sines.log_power[..., :0]), renderer, (4, 5))
    pairs = PageRenderer(("Fp1", "F3", "C3", "P3", "O1"), 200.0, 10.0, replace(PAGE, montage="bipolar"))
    with pytest.raises(ValueError, match="got traces such as Fp1-F3, expected channels"):
        page_targets(sines, pairs, (4, 5))


def perfect(targets: PageTargets, names: Tensor) -> Tensor:
    """Tokens that are the sum of the names of their row."""
    tokens = torch.zeros(len(targets.powers), 4, 5, names.shape[1])
    for row, name in zip(targets.rows, targets.names, strict=True):
        tokens[:, row, 0] += names[name]
    return tokens


def test_a_token_that_is_its_names_names_them(sines: Batch, renderer: PageRenderer) -> None:
    targets = page_targets(sines, renderer, (4, 5))
    torch.manual_seed(0)
    heads = PageHeads(torch.randn(len(ELECTRODE_NAMES), 192))
    tokens = perfect(targets, heads.names)
    losses, scores = heads(tokens, targets)
    assert scores["names_f1"] == 1
    _, wrong = heads(tokens.flip(1), targets)
    assert wrong["names_f1"] < 0.5
    longer, _ = heads(100 * tokens, targets)
    torch.testing.assert_close(longer, losses, atol=1e-4, rtol=1e-4)


def test_label_pages_tell_which_names_stand_in_each_row() -> None:
    layouts = [NAMES, ("O1", "Fz", "Cz", "Pz", "Oz")]
    pages, there = draw_labels(layouts, PAGE, (4, 5))
    assert pages.shape == (2, 1, 224, 280)
    for page, rows, names in zip(pages[:, 0], there, layouts, strict=True):
        place = PageRenderer(names, 200.0, 10.0, PAGE).layout
        for name, baseline in zip(names, place.baselines, strict=True):
            assert rows[:, ELECTRODE_NAMES.index(name)].nonzero().tolist() == [[int(baseline // 56)]]
            assert (page[round(baseline) - 3 : round(baseline) + 4, : place.left] < 128).any()
        assert rows.sum() == len(names)


def test_all_columns_are_the_whole_page_and_few_are_at_their_place(vlm: VlmNarrator, sines: Batch) -> None:
    pages, whole = vlm.draw(sines), look(vlm, sines)
    torch.testing.assert_close(look_at(vlm, pages, range(5)), whole)
    blank = pages.clone()
    blank[..., 56 : 3 * 56] = 255
    few = look_at(vlm, blank, [0, 3, 4])
    torch.testing.assert_close(few, look_at(vlm, pages, [0, 3, 4]))
    assert not torch.allclose(few, look_at(vlm, pages, [0, 1, 2]))


def test_a_page_of_one_column_is_seen_without_the_others(vlm: VlmNarrator, sines: Batch) -> None:
    """Without attention to other columns the token of a column does not depend on which others are shown."""
    for block in vlm.vlm.model.visual.blocks:
        block.attn.proj.weight.data.zero_()
    alone, whole = look_at(vlm, vlm.draw(sines), [3]), look(vlm, sines)
    torch.testing.assert_close(alone[:, :, 0], whole[:, :, 3])


def test_the_llm_of_a_text_narrator_is_taken_whole(vlm: VlmNarrator, text: TextNarrator) -> None:
    take_llm(vlm, text)
    ids = torch.arange(5, 45)[None]
    words = len(text.tokenizer)
    torch.testing.assert_close(vlm.vlm(input_ids=ids).logits[..., :words], text.llm(input_ids=ids).logits)


def test_another_llm_is_refused(vlm: VlmNarrator, tokenizer: PreTrainedTokenizerBase) -> None:
    deeper = TextNarrator(TextConfig(llm={**LLM, "num_hidden_layers": 2}), tokenizer)
    with pytest.raises(ValueError, match=r"differs from that of the text narrator, in .*layers\.1"):
        take_llm(vlm, deeper)


def test_tokens_become_as_long_as_words(vlm: VlmNarrator, sines: Batch) -> None:
    with torch.no_grad():
        before = look(vlm, sines)
        match_lengths(vlm, float(before.norm(dim=-1).mean()))
        after = look(vlm, sines)
    words: Any = vlm.vlm.get_input_embeddings()
    torch.testing.assert_close(after.norm(dim=-1).mean(), words.weight.norm(dim=-1).mean())
    torch.testing.assert_close(after / after.norm(), before / before.norm())


def test_words_are_embedded_as_in_running_text(vlm: VlmNarrator) -> None:
    ids = vlm.tokenizer(" Fp1", add_special_tokens=False)["input_ids"]
    words: Any = vlm.vlm.get_input_embeddings()
    torch.testing.assert_close(embed_words(vlm, ["Fp1", "AFp9h"])[0], words.weight[ids].mean(0))


def test_it_learns_to_read_and_the_next_stage_begins_there(sines: Batch, text: TextNarrator, tmp_path: Path) -> None:
    text.save_pretrained(tmp_path / "text")
    write_stages(tmp_path / "text", [{"learns": "narratives", "steps": 3, "crops": 24}])
    options = OptimizerOptions(learning_rate=1e-2, warmup_steps=2)
    torch.manual_seed(0)
    task = PageReadingTask(VlmConfig(VLM, PAGE), str(tmp_path / "text"), str(tmp_path / "read"), 10, 2, options)
    start = sum(task._read(sines)[0].values())
    L.Trainer(max_epochs=1, **QUIET).fit(task, DataLoader(BatchList([sines] * 40), batch_size=None))
    assert sum(task._read(sines)[0].values()) < 0.5 * start
    read = VlmNarrator.from_pretrained(tmp_path / "read")
    assert list(read.images.image_mean) == [1.0] * 3
    assert [(stage["learns"], stage["crops"]) for stage in read_stages(tmp_path / "read")] == [(TEXT, 24), (PAGES, 240)]
    kept, given = (list(model.part("llm").parameters()) for model in (read, text))
    for own, value in zip(kept[1:], given[1:], strict=True):  # the first is of words, three more here
        torch.testing.assert_close(own, value)
    further: Any = VlmTask(VlmConfig(VLM, PAGE), start_from=str(tmp_path / "read"), train=("projector",))
    torch.testing.assert_close(look(further.narrator, sines), look(read, sines))
