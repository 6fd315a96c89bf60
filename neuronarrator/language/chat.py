"""Chats as rows of token ids: what a model is told, what it answers, and which of it counts.

Letters: B rows, N tokens of the longest row.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

IGNORE_INDEX = -100  # of a label that does not count in the loss, by PyTorch's default


def chat_ids(tokenizer: PreTrainedTokenizerBase, said: Sequence[str]) -> list[int]:
    """Token ids of a chat up to where the next answer begins.

    Args:
        tokenizer: with a chat template.
        said: questions and answers in turn, oldest first; the last one is a question.
    """
    return tokenizer(_prompt(tokenizer, said), add_special_tokens=False)["input_ids"]


def _prompt(tokenizer: PreTrainedTokenizerBase, said: Sequence[str]) -> str:
    messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(said)]
    text: Any = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text


def pad(sequences: Sequence[Sequence[int]], pad_id: int, left: bool = False) -> tuple[Tensor, Tensor]:
    """Token ids filled up to one length: ids (B, N) and mask (B, N), true on tokens.

    Args:
        sequences: of token ids.
        pad_id: fills up.
        left: fill up before the tokens, not behind them.
    """
    longest = max(map(len, sequences))
    ids = torch.full((len(sequences), longest), pad_id)
    mask = torch.zeros(len(sequences), longest, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        first = longest - len(sequence) if left else 0
        ids[row, first : first + len(sequence)] = torch.tensor(sequence)
        mask[row, first : first + len(sequence)] = True
    return ids, mask


def lesson_ids(
    tokenizer: PreTrainedTokenizerBase, said: Sequence[str], max_tokens: int
) -> tuple[list[int], list[bool]]:
    """Token ids of a whole chat, and which of them are learnt: the answers with their end tokens.

    Args:
        tokenizer: with a chat template.
        said: questions and answers in turn, oldest first; the last one is an answer.
        max_tokens: a longer chat is cut, and then has no last end token.

    Raises:
        ValueError: no room for any answer, or a template that writes earlier rounds otherwise than it asked them.
    """
    ids: list[int] = []
    learnt: list[bool] = []
    text = ""
    for i in range(0, len(said), 2):
        asked = _prompt(tokenizer, said[: i + 1])
        if not asked.startswith(text):
            raise ValueError(
                f"got a chat template that does not end an answer with {tokenizer.eos_token!r}, or changes earlier "
                "rounds, expected one that only appends: use the tokenizer of an instruction-tuned model"
            )
        end = tokenizer.eos_token if i else ""  # words that follow it are other tokens than words that begin
        prompt, answer = tokenizer([end + asked[len(text) :], said[i + 1]], add_special_tokens=False)["input_ids"]
        prompt = prompt[bool(i) :]
        if not i and len(prompt) >= max_tokens:
            raise ValueError(
                f"got {len(prompt)} tokens before the answer and positions for {max_tokens}, expected at least 1 more; "
                "use a model of more positions"
            )
        ids += [*prompt, *answer, tokenizer.eos_token_id]
        learnt += [False] * len(prompt) + [True] * (len(answer) + 1)
        text = asked + said[i + 1] + tokenizer.eos_token
    return ids[:max_tokens], learnt[:max_tokens]


def stack_lessons(lessons: Sequence[tuple[Sequence[int], Sequence[bool]]], pad_id: int) -> dict[str, Tensor]:
    """Chats of `lesson_ids` as rows, padded behind.

    Returns:
        `input_ids` and `attention_mask` (B, N), and `labels` (B, N), `IGNORE_INDEX` where nothing is learnt.
    """
    ids, mask = pad([ids for ids, _ in lessons], pad_id)
    learnt, _ = pad([learnt for _, learnt in lessons], 0)
    return {
        "input_ids": ids,
        "attention_mask": mask.long(),
        "labels": ids.masked_fill(~learnt.bool(), IGNORE_INDEX),
    }


def stack_prompts(prompts: Sequence[Sequence[int]], pad_id: int) -> dict[str, Tensor]:
    """Prompts to be continued as rows, padded in front: `input_ids` and `attention_mask` (B, N)."""
    ids, mask = pad(prompts, pad_id, left=True)
    return {"input_ids": ids, "attention_mask": mask.long()}
