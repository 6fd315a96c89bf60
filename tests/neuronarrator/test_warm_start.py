"""A run of stage 2 that begins from an earlier one: its weights, its tokenizer, and another dual encoder."""

from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch

from corpus.dataset import Batch
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from encoders.topomap import TopomapEncoder
from neuronarrator.alignment import AlignmentTask, MapOptions
from neuronarrator.datamodule import NarrationDataModule
from neuronarrator.language.llm import Tuning
from neuronarrator.narration import NarrationTask, Recipe
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.warm_start import load_dual

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


@pytest.fixture
def saved(narrator: Narrator, tmp_path: Path) -> Path:
    narrator.save_pretrained(tmp_path / "earlier")
    return tmp_path / "earlier"


def checkpoint(task: L.LightningModule, path: Path) -> str:
    """What Lightning writes of a task's weights."""
    torch.save({"state_dict": task.state_dict()}, path)
    return str(path)


def test_a_run_continues_from_a_saved_narrator_and_its_tokenizer(narrator: Narrator, saved: Path, batch: Batch) -> None:
    task = NarrationTask(narrator.config, start_from=str(saved))
    assert len(task.narrator.tokenizer) == len(narrator.tokenizer)
    assert [g.text for g in task.narrator.eval().generate(batch)] == [g.text for g in narrator.generate(batch)]
    assert torch.equal(task.narrator(batch).loss, narrator(batch).loss)


def test_a_run_continues_from_a_checkpoint_beside_its_tokenizer(
    narrator: Narrator, saved: Path, batch: Batch, tmp_path: Path
) -> None:
    earlier = NarrationTask(narrator.config, start_from=str(saved))
    beside = checkpoint(earlier, saved / "last.ckpt")
    task = NarrationTask(narrator.config, start_from=beside)
    assert torch.equal(task.narrator.eval()(batch).loss, narrator(batch).loss)
    alone = checkpoint(earlier, tmp_path / "alone.ckpt")
    with pytest.raises(ValueError, match=r"got start_from alone\.ckpt without a tokenizer_config\.json beside it"):
        NarrationTask(narrator.config, start_from=alone)
    task = NarrationTask(narrator.config, tokenizer=str(saved), start_from=alone)
    assert torch.equal(task.narrator.eval()(batch).loss, narrator(batch).loss)


def test_a_narrator_that_learns_to_answer_narrates_as_before(narrator: Narrator, saved: Path, batch: Batch) -> None:
    config = replace(narrator.config, instructions=("narrate", "ask"))
    task = NarrationTask(config, start_from=str(saved))
    assert len(task.narrator.tokenizer) > len(narrator.tokenizer)
    assert task.narrator.tokenizer.unk_token_id not in task.narrator.tokenizer("Is it? Yes!")["input_ids"]
    old, new = (model.llm.get_input_embeddings().weight for model in (narrator, task.narrator))
    assert torch.equal(new[: len(old)], old)
    assert [g.text for g in task.narrator.eval().generate(batch)] == [g.text for g in narrator.generate(batch)]


def test_another_alignment_replaces_the_dual_encoder_alone(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    aligned = AlignmentTask("tiny", width=64)
    path = checkpoint(aligned, tmp_path / "align.ckpt")
    recipe = Recipe(train_dual=False)
    task = NarrationTask(narrator.config, start_from=str(saved), alignment_checkpoint=path, recipe=recipe)
    expected = {**narrator.state_dict(), **{f"dual.{n}": v for n, v in aligned.dual.state_dict().items()}}
    assert not torch.equal(expected["dual.projectors.signal.fc1.weight"], narrator.dual.projectors["signal"].fc1.weight)
    assert task.narrator.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in task.narrator.state_dict().items())
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(
        task, NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=2)
    )
    after = task.narrator.state_dict()
    assert all(torch.equal(after[name], value) for name, value in expected.items() if name.startswith("dual."))
    assert not torch.equal(after["llm.model.embed_tokens.weight"], expected["llm.model.embed_tokens.weight"])


def test_the_mean_of_alignments_replaces_the_dual_encoder(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    shares = {checkpoint(AlignmentTask("tiny", width=64), tmp_path / f"{name}.ckpt"): 0.5 for name in "ab"}
    recipe = Recipe(train_dual=False)
    task = NarrationTask(narrator.config, start_from=str(saved), alignment_checkpoint=shares, recipe=recipe)
    expected = load_dual(shares)
    assert all(torch.equal(value, expected[name]) for name, value in task.narrator.dual.state_dict().items())
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(
        task, NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=1)
    )
    assert [name.split("/")[-1] for name in task.narrator.stages[-1]["start"]] == ["earlier", "a.ckpt", "b.ckpt"]


def test_an_alignment_of_other_maps_is_refused(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "align.ckpt")

    def begin(task: AlignmentTask) -> NarrationTask:
        torch.save({"state_dict": task.state_dict(), "hyper_parameters": dict(task.hparams)}, path)
        return NarrationTask(narrator.config, tokenizer=str(saved), alignment_checkpoint=path)

    begin(AlignmentTask("tiny", width=64))
    with pytest.raises(ValueError, match=r"aligned with {'potential': 'rms', 'limit_uv': 50.0}, expected {'potential"):
        begin(AlignmentTask("tiny", width=64, maps=MapOptions(potential="rms", limit_uv=50.0)))
    by_cls = AlignmentTask(SignalEncoder(SIGNAL_ENCODER_PRESETS["tiny"], pool="cls"), 64, maps=MapOptions("tiny"))
    with pytest.raises(ValueError, match=r"aligned with {'pool': 'cls'}, expected {'pool': 'mean'}"):
        begin(by_cls)


def test_the_tower_of_stage_0_comes_without_an_alignment(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(6)
    tower = TopomapEncoder("tiny")
    save_file(tower.state_dict(), tmp_path / "tower.safetensors")
    path = str(tmp_path / "tower.safetensors")
    dual = NarrationTask(narrator.config, tokenizer=str(saved), alignment_checkpoint=path).narrator.dual
    found = dual.encoders["topomap"].state_dict()
    assert all(torch.equal(found[name], value) for name, value in tower.state_dict().items())


def test_the_card_says_where_a_run_began(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    task = NarrationTask(narrator.config, start_from=str(saved), save_to=str(tmp_path / "later"))
    L.Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(
        task, NarrationDataModule([], simulated=1, batch_size=2, batches_per_epoch=1)
    )
    card = (tmp_path / "later" / "README.md").read_text()
    assert "- continued from: earlier\n" in card
    assert "- learning_rate: 0.001\n" in card
    assert "- train_dual: True\n" in card
    assert str(tmp_path) not in card


def test_weights_of_another_narrator_are_refused(narrator: Narrator, saved: Path, tmp_path: Path) -> None:
    fewer = NarratorConfig(llm=narrator.config.llm, modalities=("signal", "topomap"))
    with pytest.raises(ValueError, match=r"got start_from earlier with weights that miss \[\], add \['norms.hist"):
        NarrationTask(fewer, start_from=str(saved))
    with pytest.raises(ValueError, match=r"another shape in \['spectrum.bands.0.weight'\]"):
        NarrationTask(replace(narrator.config, history_k=1), start_from=str(saved))
    pytest.importorskip("peft")
    adapted = NarrationTask(narrator.config, start_from=str(saved), tuning=Tuning("lora", lora_rank=2))
    path = checkpoint(adapted, saved / "lora.ckpt")
    with pytest.raises(ValueError, match="in place of a checkpoint with adapters"):
        NarrationTask(narrator.config, start_from=path)


def test_a_run_that_is_not_there_is_named(narrator: Narrator) -> None:
    with pytest.raises(FileNotFoundError, match="got model 'nowhere'"):
        NarrationTask(narrator.config, start_from="nowhere")
