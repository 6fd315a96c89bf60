import copy
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from neuronarrator.language.chat import IGNORE_INDEX, chat_ids, lesson_ids, stack_lessons, stack_prompts
from neuronarrator.language.prompts import PLACEHOLDERS, build_prompt, splice
from neuronarrator.language.tokenizer import complete_tokenizer, load_or_train_tokenizer, sample_narratives


def test_prompt_is_chatml_with_the_placeholders_in_the_papers_order(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = build_prompt(tokenizer, {"spectrum": 3, "topomap": 1, "signal": 1, "history": 2})
    text = tokenizer.decode(ids)
    soft = [t for t in tokenizer.convert_ids_to_tokens(ids) if t in PLACEHOLDERS.values()]
    expected = ["history", "history", "signal", "topomap", "spectrum", "spectrum", "spectrum"]
    assert soft == [PLACEHOLDERS[name] for name in expected]
    assert text.startswith("<|im_start|>")
    assert "assistant" in text[-20:]


def test_earlier_turns_come_first_and_carry_the_placeholders(tokenizer: PreTrainedTokenizerBase) -> None:
    turns = [("power is symmetric", "left"), ("alpha", "right")]
    text = tokenizer.decode(build_prompt(tokenizer, {"signal": 1}, "artifacts", turns))
    said = ["symmetric", "left", "alpha", "right", "artifacts"]
    places = [text.index(word) for word in said]
    assert places == sorted(places)
    assert text.count(PLACEHOLDERS["signal"]) == 1
    assert text.index(PLACEHOLDERS["signal"]) < places[0]
    assert text.count("<|im_start|>") == 6  # five turns and the answer that begins


def test_answers_end_unless_they_are_cut(tokenizer: PreTrainedTokenizerBase) -> None:
    said = ["left", "Delta activity dominates."]
    ids, learnt = lesson_ids(tokenizer, said, 100)
    answer = [token for token, counts in zip(ids, learnt, strict=True) if counts]
    assert ids == [*chat_ids(tokenizer, said[:1]), *answer]
    assert tokenizer.decode(answer[:-1]) == said[1]
    assert answer[-1] == tokenizer.eos_token_id
    assert lesson_ids(tokenizer, said, len(ids)) == (ids, learnt)
    assert lesson_ids(tokenizer, said, len(ids) - 1) == (ids[:-1], learnt[:-1])
    with pytest.raises(ValueError, match="tokens before the answer and positions for 3, expected at least 1 more"):
        lesson_ids(tokenizer, said, 3)


def test_every_answer_of_a_conversation_is_learnt_as_it_would_be_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    said = ["alpha", "left", "artifacts", "power is symmetric"]
    ids, learnt = lesson_ids(tokenizer, said, 100)
    end = tokenizer.eos_token_id
    first, second = ([*tokenizer(said[i], add_special_tokens=False)["input_ids"], end] for i in (1, 3))
    before, later = chat_ids(tokenizer, said[:1]), chat_ids(tokenizer, said[:3])
    ends = [place for place, token in enumerate(later) if token == end]
    between = later[ends[1] + 1 :]  # behind the question and the first answer
    assert ids == [*before, *first, *between, *second]
    counts = [(len(before), False), (len(first), True), (len(between), False), (len(second), True)]
    assert learnt == [value for count, value in counts for _ in range(count)]


def test_a_template_that_changes_earlier_rounds_is_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    forgetful = copy.deepcopy(tokenizer)
    forgetful.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(ValueError, match="or changes earlier rounds"):
        lesson_ids(forgetful, ["alpha", "left", "artifacts", "right"], 100)


def test_splice_equals_a_slow_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor([5, 9, 9, 3, 8, 4])
    tokens, soft = torch.randn(6, 4, generator=generator), torch.randn(2, 3, 4, generator=generator)
    spliced = splice(tokens.expand(2, -1, -1), ids.expand(2, -1), torch.tensor([8, 9]), soft)
    for row in range(2):
        values = iter(soft[row])
        for place, token in enumerate(ids.tolist()):
            expected = next(values) if token in (8, 9) else tokens[place]
            torch.testing.assert_close(spliced[row, place], expected)


def test_splice_refuses_another_count() -> None:
    with pytest.raises(ValueError, match="got 2 soft prompts, expected 1"):
        splice(torch.zeros(1, 3, 4), torch.tensor([[1, 9, 2]]), torch.tensor([9]), torch.zeros(1, 2, 4))


def test_each_row_is_spliced_where_its_own_placeholders_stand() -> None:
    ids, soft = torch.tensor([[1, 9, 2], [9, 2, 3]]), torch.tensor([[[5.0]], [[6.0]]])
    spliced = splice(torch.zeros(2, 3, 1), ids, torch.tensor([9]), soft)
    assert spliced[..., 0].tolist() == [[0.0, 5.0, 0.0], [6.0, 0.0, 0.0]]


def test_rows_to_learn_are_padded_behind_and_rows_to_continue_before() -> None:
    no, yes = False, True
    rows = stack_lessons([([7, 8, 4, 2], [no, no, yes, yes]), ([9, 5, 0], [no, yes, yes])], pad_id=0)
    assert rows["input_ids"].tolist() == [[7, 8, 4, 2], [9, 5, 0, 0]]
    assert rows["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    ignored = IGNORE_INDEX  # but a token of the padding's id counts
    assert rows["labels"].tolist() == [[ignored, ignored, 4, 2], [ignored, 5, 0, ignored]]
    rows = stack_prompts([[7, 8], [9]], pad_id=0)
    assert rows["input_ids"].tolist() == [[7, 8], [0, 9]]
    assert rows["attention_mask"].tolist() == [[1, 1], [0, 1]]


def test_a_prompt_is_a_chat_that_ends_where_the_answer_begins(tokenizer: PreTrainedTokenizerBase) -> None:
    turns = [("user", "alpha"), ("assistant", "left"), ("user", "artifacts")]
    said = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    expected = tokenizer(f"{said}<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    assert chat_ids(tokenizer, ["alpha", "left", "artifacts"]) == expected


def test_tokenizer_repeats_every_narrative(tokenizer: PreTrainedTokenizerBase) -> None:
    for text in sample_narratives(200, seed=7):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert tokenizer.unk_token_id not in ids


def test_a_completed_vocabulary_reads_every_character_and_keeps_its_ids(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    question = "Yes or no? K-complexes: {7 = seven}!"
    assert tokenizer.unk_token_id in tokenizer(question)["input_ids"]
    complete = complete_tokenizer(tokenizer)
    assert {k: v for k, v in complete.get_vocab().items() if v < len(tokenizer)} == tokenizer.get_vocab()
    assert sorted(complete.get_vocab().values()) == list(range(len(complete)))
    assert complete.decode(complete(question)["input_ids"]) == question
    for text in (next(sample_narratives(1, seed=3)), tokenizer.decode(build_prompt(tokenizer, {"signal": 2}))):
        assert complete(text)["input_ids"] == tokenizer(text)["input_ids"]
    complete.save_pretrained(tmp_path)
    loaded = load_or_train_tokenizer(str(tmp_path), 0)
    assert loaded(question)["input_ids"] == complete(question)["input_ids"]
    assert complete_tokenizer(loaded) is loaded
