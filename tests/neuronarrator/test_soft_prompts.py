"""Options beyond the paper: several tokens a segment, norms as the language model's, shorter history, band powers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch
from corpus.features import BANDS, REGIONS
from corpus.montage import region_of
from neuronarrator.band_powers import BandPowerHead, region_log_power
from neuronarrator.datamodule import NarrationDataModule
from neuronarrator.narration import NarrationTask, Recipe
from neuronarrator.narrator import Narrator, NarratorConfig

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
PAPER = ("history", "signal", "topomap")


def build(narrator: Narrator, **fields: Any) -> Narrator:
    torch.manual_seed(0)
    config = NarratorConfig(llm=narrator.config.llm, modalities=PAPER, max_new_tokens=8, **fields)
    return Narrator(config, narrator.tokenizer).eval()


def test_several_tokens_stand_for_each_segment_and_the_aligned_one_is_first(narrator: Narrator, batch: Batch) -> None:
    several = build(narrator, tokens_per_segment=3)
    torch.nn.init.normal_(several.missing_history)
    soft = several.soft_prompts(batch)
    assert soft.shape == (6, 2 * 3 + 3 + 1, 64)
    aligned = several.dual.encode_signal(batch.signal_uv, batch.ch_names)
    torch.testing.assert_close(soft[:, 6], several.norms["signal"](aligned), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(several.signal_tokens(soft), soft[:, 6:9])
    missing = several.norms["history"](several.missing_history)
    torch.testing.assert_close(soft[0, :6], missing.expand(6, -1))  # the first segment has no history
    torch.testing.assert_close(soft[1, :3], missing.expand(3, -1))
    torch.testing.assert_close(soft[1, 3:6], soft[0, 6:9], atol=1e-5, rtol=1e-4)  # norms are alike before training
    read = several.resampler(several.dual.encoders["signal"].forward_tokens(batch.signal_uv, batch.ch_names))
    expected = several.norms["signal"](several.resampler_projector(read))
    torch.testing.assert_close(soft[:, 7:9], expected)


def test_one_token_a_segment_adds_no_weights(narrator: Narrator) -> None:
    names = set(build(narrator).state_dict())
    more = set(build(narrator, tokens_per_segment=2).state_dict())
    assert {name.split(".")[0] for name in more - names} == {"resampler", "resampler_projector"}
    assert names - more == set()


def test_options_survive_saving_and_loading(narrator: Narrator, batch: Batch, tmp_path: Path) -> None:
    several = build(narrator, tokens_per_segment=3, match_norms=True)
    several.save_pretrained(tmp_path)
    loaded = Narrator.from_pretrained(tmp_path)
    assert (loaded.config.tokens_per_segment, loaded.config.match_norms) == (3, True)
    assert torch.equal(loaded.soft_prompts(batch), several.soft_prompts(batch))
    assert loaded.generate(batch) == several.generate(batch)


def test_a_configuration_from_before_the_options_loads(narrator: Narrator, batch: Batch, tmp_path: Path) -> None:
    narrator.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for name in ("tokens_per_segment", "match_norms", "time_tokens"):
        del config[name]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert torch.equal(Narrator.from_pretrained(tmp_path).soft_prompts(batch), narrator.soft_prompts(batch))


def test_matched_soft_prompts_are_as_long_as_token_embeddings(narrator: Narrator, batch: Batch, tmp_path: Path) -> None:
    llm = narrator.llm
    llm.get_input_embeddings().weight.data.mul_(7)
    llm.save_pretrained(tmp_path)
    narrator.tokenizer.save_pretrained(tmp_path)
    mean = llm.get_input_embeddings().weight.norm(dim=1).mean()
    for matched, factor in ((True, 1.0), (False, 1 / 7)):
        config = NarratorConfig(llm=str(tmp_path), modalities=PAPER, match_norms=matched)
        soft = Narrator(config, narrator.tokenizer).soft_prompts(batch)
        norms = soft.norm(dim=-1)
        torch.testing.assert_close(norms, torch.full_like(norms, mean.item() * factor), rtol=0.05, atol=0.0)
        assert all(p.requires_grad for p in narrator.norms.parameters())


def test_the_last_k_segments_of_a_longer_history_are_read(narrator: Narrator, batch: Batch) -> None:
    config = replace(narrator.config, history_k=1)
    shorter = Narrator(config, narrator.tokenizer).eval()
    cut = replace(
        batch,
        history_uv=batch.history_uv[:, 1:],
        history_mask=batch.history_mask[:, 1:],
        log_power=batch.log_power[:, 1:],
    )
    assert torch.equal(shorter.soft_prompts(batch), shorter.soft_prompts(cut))
    none = Narrator(replace(config, history_k=0), narrator.tokenizer).eval()
    assert none.soft_prompts(batch).shape == (6, 0 + 1 + 1 + 12 + 19, 64)
    assert none(batch).loss.isfinite()
    with pytest.raises(ValueError, match="got a batch with 1 segments of history, expected the 2"):
        narrator.soft_prompts(cut)


def test_each_segment_tells_its_time_behind_its_tokens(narrator: Narrator, batch: Batch) -> None:
    timed = build(narrator, tokens_per_segment=2, time_tokens=True)
    measured = replace(batch)
    measured.start_s = None
    with pytest.raises(ValueError, match="got a batch without start_s"):
        timed.soft_prompts(measured)
    measured.start_s = torch.tensor([[0.0, 0.0, 500.0 + 10 * i] for i in range(6)])
    measured.start_s[:, :2] = (measured.start_s[:, 2:] - torch.tensor([20.0, 10.0])) * batch.history_mask
    soft = timed.soft_prompts(measured)
    assert soft.shape == (6, 2 * 3 + 3 + 1, 64)
    plain = build(narrator, tokens_per_segment=2)
    plain.load_state_dict({n: v for n, v in timed.state_dict().items() if not n.startswith("times.")})
    torch.testing.assert_close(soft[:, [0, 1, 3, 4, 6, 7, 9]], plain.soft_prompts(batch))
    torch.testing.assert_close(timed.signal_tokens(soft), plain.signal_tokens(plain.soft_prompts(batch)))
    now = timed.norms["signal"](timed.times["start"](torch.tensor([500.0, 510, 520, 530, 540, 550])))
    torch.testing.assert_close(soft[:, 8], now)
    ago = timed.norms["history"](timed.times["gap"](torch.tensor([20.0, 10.0])))
    torch.testing.assert_close(soft[2:, [2, 5]], ago.expand(4, -1, -1))
    torch.testing.assert_close(soft[0, 2], timed.norms["history"](timed.missing_history))
    shorter = build(narrator, history_k=1, time_tokens=True)
    assert shorter.soft_prompts(measured).shape == (6, 2 + 2 + 1, 64)


@pytest.mark.parametrize("modalities", [("signal",), ("history", "signal"), ("signal", "topomap")])
def test_every_weight_that_may_learn_has_a_gradient(
    narrator: Narrator, batch: Batch, modalities: tuple[str, ...]
) -> None:
    """DDP waits for each of them."""
    config = NarratorConfig(llm=narrator.config.llm, modalities=modalities, time_tokens=True)
    made = Narrator(config, narrator.tokenizer)
    made(batch).loss.backward()
    assert [name for name, p in made.named_parameters() if p.requires_grad and p.grad is None] == []


def test_sizes_below_their_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="got history_k=-1 and tokens_per_segment=1"):
        NarratorConfig(history_k=-1)
    with pytest.raises(ValueError, match="tokens_per_segment=0, expected 0 or more and 1 or more"):
        NarratorConfig(tokens_per_segment=0)


def test_targets_are_the_mean_log_powers_of_each_region(batch: Batch) -> None:
    keep = [i for i, name in enumerate(batch.ch_names) if region_of(name) != "temporal"]
    fewer = replace(batch, log_power=batch.log_power[:, :, keep], ch_names=tuple(batch.ch_names[i] for i in keep))
    target, known = region_log_power(fewer)
    assert target.shape == (6, len(REGIONS), len(BANDS))
    for r, region in enumerate(REGIONS):
        inside = [i for i, name in enumerate(fewer.ch_names) if region_of(name) == region]
        assert bool(known[r]) == bool(inside)
        if inside:
            torch.testing.assert_close(target[:, r], fewer.log_power[:, -1, inside, :6].mean(1))
    assert known.sum() == len(REGIONS) - 1
    tokens = torch.randn(6, 2, 64)
    head = BandPowerHead(64)
    by_hand = (head(tokens) - target)[:, [r for r in range(5) if known[r]]].pow(2).mean()
    torch.testing.assert_close(head.loss(tokens, fewer), by_hand)
    with pytest.raises(ValueError, match="got a batch without log powers"):
        region_log_power(replace(batch, log_power=batch.log_power[..., :0]))


@pytest.fixture
def task_args(narrator: Narrator, tmp_path: Path) -> dict[str, Any]:
    narrator.tokenizer.save_pretrained(tmp_path / "tokenizer")
    config = NarratorConfig(llm=narrator.config.llm, modalities=PAPER, max_new_tokens=4)
    return {"narrator": config, "tokenizer": str(tmp_path / "tokenizer")}


@pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # a step without a trainer
def test_the_auxiliary_loss_is_added_and_reaches_the_signal_encoder(task_args: dict[str, Any], batch: Batch) -> None:
    task = NarrationTask(**task_args, recipe=Recipe(band_power_weight=0.5)).eval()
    output = task.narrator(batch)
    auxiliary = task.band_power_head.loss(output.soft_prompts[:, 2:3], batch)
    torch.testing.assert_close(task.training_step(batch, 0), output.loss + 0.5 * auxiliary)
    auxiliary.backward()
    reached = {name for name, p in task.narrator.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name.split(".")[0] for name in reached} == {"dual", "norms"}
    assert any(name.startswith("dual.encoders.signal.blocks") for name in reached)


def test_the_head_is_not_saved_with_the_narrator(task_args: dict[str, Any], tmp_path: Path) -> None:
    recipe = Recipe(band_power_weight=0.5)
    task = NarrationTask(**task_args, recipe=recipe, save_to=str(tmp_path / "model"))
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(
        task, NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=1)
    )
    assert Narrator.from_pretrained(tmp_path / "model").state_dict().keys() == task.narrator.state_dict().keys()


def test_an_auxiliary_loss_without_a_learner_is_refused(task_args: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a signal token that can learn"):
        NarrationTask(**task_args, recipe=Recipe(train_dual=False, band_power_weight=0.1))


def test_the_resampler_learns_beside_a_frozen_dual_encoder(
    task_args: dict[str, Any], batch: Batch, tokenizer: PreTrainedTokenizerBase
) -> None:
    task_args["narrator"] = replace(task_args["narrator"], tokens_per_segment=2)
    task = NarrationTask(**task_args, recipe=Recipe(train_dual=False))
    task.narrator(batch).loss.backward()
    learnt = {name for name, p in task.narrator.named_parameters() if p.grad is not None}
    assert not any(name.startswith("dual.") for name in learnt)
    assert {"resampler.queries", "resampler_projector.fc1.weight"} <= learnt
