from dataclasses import replace
from pathlib import Path

import pytest
import torch

from corpus.dataset import Batch
from neuronarrator.narrator import Narrator, NarratorConfig
from neuronarrator.prompts import IGNORE_INDEX


def test_soft_prompts_are_one_token_a_segment_then_topomap_then_spectrum(narrator: Narrator, batch: Batch) -> None:
    soft = narrator.soft_prompts(batch)
    assert soft.shape == (6, 2 + 1 + 1 + 12 + 19, 64)
    signal = narrator.norms["signal"](narrator.dual.encode_signal(batch.signal_uv, batch.ch_names))
    torch.testing.assert_close(soft[:, 2], signal)


def test_history_goes_through_the_signal_branch_and_is_missing_where_there_is_none(
    narrator: Narrator, batch: Batch
) -> None:
    torch.nn.init.normal_(narrator.missing_history)
    soft = narrator.soft_prompts(batch)
    missing = narrator.norms["history"](narrator.missing_history)
    torch.testing.assert_close(soft[0, 0], missing)
    torch.testing.assert_close(soft[1, 0], missing)
    known = narrator.norms["history"](narrator.dual.encode_signal(batch.signal_uv[:2], batch.ch_names))
    torch.testing.assert_close(soft[2, :2], known)


def test_spectrum_tokens_carry_the_words_of_what_they_are_of(narrator: Narrator, batch: Batch) -> None:
    torch.nn.init.zeros_(narrator.norms["spectrum"].weight)  # leaves the names alone
    soft = narrator.soft_prompts(batch)[:, 4:]
    embeddings = narrator.llm.get_input_embeddings().weight

    def word(name: str) -> torch.Tensor:
        return embeddings[narrator.tokenizer(f" {name}", add_special_tokens=False)["input_ids"]].mean(0)

    torch.testing.assert_close(soft[:, 5], word("high-gamma").expand(6, -1))
    torch.testing.assert_close(soft[:, 11], word("hemispheres").expand(6, -1))
    for row in range(6):
        power = batch.log_power[row, -1, :, -1]
        ranked = [batch.ch_names[i] for i in power.argsort(descending=True)]
        torch.testing.assert_close(soft[row, 12:], torch.stack([word(name) for name in ranked]))
        (region,) = (value for kind, _, value in batch.facts[row] if kind == "region")
        torch.testing.assert_close(soft[row, 6], word(region))


def test_loss_equals_a_slow_row_by_row_reference(narrator: Narrator, batch: Batch) -> None:
    output = narrator(batch)
    total, count = 0.0, 0
    prompts = narrator.embed_prompt(batch)
    for prompt, text in zip(prompts, batch.narratives, strict=True):
        ids = [*narrator.tokenizer(text, add_special_tokens=False)["input_ids"], narrator.tokenizer.eos_token_id]
        embeds = torch.cat([prompt, narrator.llm.get_input_embeddings()(torch.tensor(ids))])[None]
        log_probs = narrator.llm(inputs_embeds=embeds).logits[0].log_softmax(-1)
        for step, token in enumerate(ids):
            total -= log_probs[len(prompt) - 1 + step, token].item()
            count += 1
    assert output.loss.item() == pytest.approx(total / count, rel=1e-4)
    assert IGNORE_INDEX == -100


def test_generation_of_a_batch_equals_one_by_one(narrator: Narrator, batch: Batch) -> None:
    together = narrator.generate(batch)
    for row in (0, 3):
        pick = slice(row, row + 1)
        tensors = {n: getattr(batch, n)[pick] for n in ("signal_uv", "history_uv", "history_mask", "log_power")}
        (alone,) = narrator.generate(replace(batch, **tensors))
        assert alone.text == together[row].text
        assert alone.confidence == pytest.approx(together[row].confidence, rel=1e-3)
        assert 0 < alone.confidence <= 1


def test_topomap_encoder_does_not_learn_and_the_rest_does(narrator: Narrator, batch: Batch) -> None:
    narrator.train()
    before = {name: p.clone() for name, p in narrator.named_parameters()}
    optimizer = torch.optim.SGD([p for p in narrator.parameters() if p.requires_grad], lr=1.0)
    narrator(batch).loss.backward()
    optimizer.step()
    changed = {name for name, p in narrator.named_parameters() if not torch.equal(p, before[name])}
    assert not any(name.startswith("dual.encoders.topomap") for name in changed)
    for part in ("dual.encoders.signal", "dual.projectors.signal", "dual.projectors.topomap", "spectrum.", "llm."):
        assert any(name.startswith(part) for name in changed), part


def test_save_and_load_give_the_same_narrator(narrator: Narrator, batch: Batch, tmp_path: Path) -> None:
    narrator.save_pretrained(tmp_path)
    loaded = Narrator.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded.soft_prompts(batch), narrator.soft_prompts(batch))
    assert [g.text for g in loaded.generate(batch)] == [g.text for g in narrator.generate(batch)]
    assert len(loaded.card["sha256"]) == 64


def test_weights_that_do_not_fit_are_refused(narrator: Narrator, tmp_path: Path) -> None:
    del narrator.norms["topomap"]
    narrator.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"miss \['norms.topomap.weight'\]"):
        Narrator.from_pretrained(tmp_path)


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="got model 'nope'"):
        Narrator.from_pretrained("nope")


@pytest.mark.parametrize("modalities", [("signal",), ("history", "signal", "topomap")])
def test_modalities_can_be_left_out(narrator: Narrator, batch: Batch, modalities: tuple[str, ...]) -> None:
    config = NarratorConfig(llm=narrator.config.llm, modalities=modalities, max_new_tokens=4)
    smaller = Narrator(config, narrator.tokenizer)
    counts = {"history": 2, "signal": 1, "topomap": 1}
    assert smaller.soft_prompts(batch).shape[1] == sum(counts[name] for name in modalities)
    assert smaller(batch).loss.isfinite()
