from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corpus.dataset import Batch
from corpus.recording import Recording
from neuronarrator.calibrate import Calibration
from neuronarrator.language.chat import IGNORE_INDEX
from neuronarrator.language.prompts import PLACEHOLDERS, TASK_INSTRUCTION, build_prompt
from neuronarrator.narrate import narrate_recording
from neuronarrator.narrator import Narrator, NarratorConfig


def test_soft_prompts_are_one_token_a_segment_then_topomap_then_spectrum(narrator: Narrator, batch: Batch) -> None:
    soft = narrator.soft_prompts(batch)
    assert soft.shape == (6, 2 + 1 + 1 + 12 + 19, 64)
    signal = narrator.norms["signal"](narrator.dual.encode_signal(batch.signal_uv, batch.ch_names))
    torch.testing.assert_close(soft[:, 2], signal)


def test_a_narrator_in_bfloat16_learns_and_narrates(narrator: Narrator, batch: Batch) -> None:
    config = replace(narrator.config, tokens_per_segment=2, time_tokens=True, max_new_tokens=4)
    cast = Narrator(config, narrator.tokenizer).bfloat16().eval()
    assert cast(batch).loss.isfinite()
    assert [1 <= len(generation.tokens) <= 4 for generation in cast.generate(batch)] == [True] * len(batch)


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


@pytest.mark.parametrize("asked", [(), ("Which band?", "How has the power of delta activity changed?")])
def test_loss_equals_a_slow_row_by_row_reference(narrator: Narrator, batch: Batch, asked: tuple[str, ...]) -> None:
    if asked:
        answers = ["left", *batch.narratives[1:]]
        batch = replace(batch, chats=[(asked[row % 2], answer) for row, answer in enumerate(answers)])
    chats = batch.chats or [(TASK_INSTRUCTION, narrative) for narrative in batch.narratives]
    output = narrator(batch)
    total, count = 0.0, 0
    for row, (question, text) in enumerate(chats):
        prompt = narrator.embed_prompt(batch, question)[row]
        ids = [*narrator.tokenizer(text, add_special_tokens=False)["input_ids"], narrator.tokenizer.eos_token_id]
        embeds = torch.cat([prompt, narrator.llm.get_input_embeddings()(torch.tensor(ids))])[None]
        log_probs = narrator.llm(inputs_embeds=embeds).logits[0].log_softmax(-1)
        for step, token in enumerate(ids):
            total -= log_probs[len(prompt) - 1 + step, token].item()
            count += 1
    assert output.loss.item() == pytest.approx(total / count, rel=1e-4)
    assert IGNORE_INDEX == -100


def test_a_batch_of_one_segment_has_a_loss(narrator: Narrator, batch: Batch) -> None:
    assert narrator(batch.rows([0])).loss.isfinite()


def test_generation_of_a_batch_equals_one_by_one(narrator: Narrator, batch: Batch) -> None:
    together = narrator.generate(batch)
    for row in (0, 3):
        (alone,) = narrator.generate(batch.rows([row]))
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


def test_a_layout_first_met_in_generation_can_be_trained_on(narrator: Narrator, batch: Batch) -> None:
    few = [batch.ch_names.index(name) for name in ("O2", "O1", "C4", "F4", "T7")]
    layout = replace(
        batch,
        signal_uv=batch.signal_uv[:, few],
        history_uv=batch.history_uv[:, :, few],
        log_power=batch.log_power[:, :, few],
        ch_names=tuple(batch.ch_names[i] for i in few),
    )
    narrator.generate(layout)
    narrator.zero_grad()
    narrator(layout).loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in narrator.spectrum.parameters())


def slow_inputs(narrator: Narrator, batch: Batch, room: int) -> tuple[list[list[torch.Tensor]], list[list[int]]]:
    """Embeddings and labels of each row, token by token: placeholders replaced in order, answers cut to `room`."""
    names = [name for name in PLACEHOLDERS if name in narrator.config.modalities]
    counts = narrator.count_soft_prompts(len(batch.ch_names), names)
    prompt = build_prompt(narrator.tokenizer, counts)
    stand_ins = narrator.tokenizer.convert_tokens_to_ids(list(PLACEHOLDERS.values()))
    table = narrator.llm.get_input_embeddings().weight
    rows, labels = [], []
    for soft, text in zip(narrator.soft_prompts(batch), batch.narratives, strict=True):
        values = iter(soft)
        row = [next(values) if token in stand_ins else table[token] for token in prompt]
        answer = narrator.tokenizer(text, add_special_tokens=False)["input_ids"] + [narrator.tokenizer.eos_token_id]
        while len(answer) > room:
            answer.pop()
        rows.append(row + [table[token] for token in answer])
        labels.append([IGNORE_INDEX] * len(prompt) + answer)
    return rows, labels


@pytest.mark.parametrize("positions", [512, 190])
def test_splice_mask_and_truncation_equal_a_slow_reference(narrator: Narrator, batch: Batch, positions: int) -> None:
    narrator.llm.config.max_position_embeddings = positions
    room = positions - narrator.embed_prompt(batch).shape[1]
    lengths = [len(ids) + 1 for ids in narrator.tokenizer(batch.narratives, add_special_tokens=False)["input_ids"]]
    assert (max(lengths) > room) == (positions == 190)
    seen: dict[str, torch.Tensor] = {}
    narrator.llm.register_forward_pre_hook(lambda _, __, given: seen.update(given), with_kwargs=True)
    loss = narrator(batch).loss
    rows, labels = slow_inputs(narrator, batch, room)
    longest = max(len(row) for row in rows)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        torch.testing.assert_close(seen["inputs_embeds"][i, : len(row)], torch.stack(row))
        assert seen["attention_mask"][i].tolist() == [1] * len(row) + [0] * (longest - len(row))
        padded = label + [IGNORE_INDEX] * (longest - len(row))
        assert seen["labels"][i].tolist() == padded[-seen["labels"].shape[1] :]
        assert set(padded[: -seen["labels"].shape[1]]) == {IGNORE_INDEX}  # what was left out does not count
    total, count = 0.0, 0
    for row, label in zip(rows, labels, strict=True):
        log_probs = narrator.llm(inputs_embeds=torch.stack(row)[None]).logits[0].log_softmax(-1)
        scored = [log_probs[i - 1, token].item() for i, token in enumerate(label) if token != IGNORE_INDEX]
        total, count = total - sum(scored), count + len(scored)
    assert loss.item() == pytest.approx(total / count, rel=1e-4)


def test_a_prompt_without_room_for_an_answer_is_refused(narrator: Narrator, batch: Batch) -> None:
    narrator.llm.config.max_position_embeddings = 20
    with pytest.raises(ValueError, match="expected at least 1 more; use a model of more positions"):
        narrator(batch)


def test_a_calibration_travels_with_the_model_and_reaches_the_report(
    narrator: Narrator, simulated: Recording, tmp_path: Path
) -> None:
    eye = np.eye(8).tolist()
    distances = [float(i) for i in range(26)]
    narrator.calibration = Calibration({}, 1.0, {"": 0.0}, (1.0, 0.0), [0.0] * 8, eye, distances, 0.1, 0.9)
    narrator.save_pretrained(tmp_path)
    loaded = Narrator.from_pretrained(tmp_path)
    assert loaded.calibration == narrator.calibration
    told = narrate_recording(loaded, simulated)
    assert all(segment.confidence is not None for segment in told.segments)
    first, sure = told.document["segments"][0], told.segments[0].confidence
    assert sure is not None
    assert first["confidence"] == sure.value
    assert first["calibration"] == {"familiarity": sure.familiarity, "refer": sure.value < 0.9}
    unsure = sum(segment.confidence.refer for segment in told.segments if segment.confidence is not None)
    assert f"The model is unsure of {unsure or 'none of the'} segments" in told.document["summary"]
