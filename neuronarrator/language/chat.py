"""Chats as rows of token ids: what a model is told, what it answers, and which of it counts.

Letters: B rows, N tokens of the longest row.
"""

from collections.abc import Sequence

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
    messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(said)]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


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


def stack_rows(
    prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]] | None, pad_id: int
) -> dict[str, Tensor]:
    """Prompts with their answers, padded on the right, to be learnt; or prompts alone, on the left, to be continued.

    Args:
        prompts: of each row.
        answers: of each row; None: there are none yet.
        pad_id: fills up.

    Returns:
        `input_ids` and `attention_mask` (B, N), and with answers `labels` (B, N), `IGNORE_INDEX` where nothing is
        learnt.
    """
    wholes = prompts if answers is None else [[*p, *a] for p, a in zip(prompts, answers, strict=True)]
    ids, mask = pad(wholes, pad_id, left=answers is None)
    rows = {"input_ids": ids, "attention_mask": mask.long()}
    if answers is None:
        return rows
    for row, prompt in enumerate(prompts):
        mask[row, : len(prompt)] = False
    return rows | {"labels": ids.masked_fill(~mask, IGNORE_INDEX)}
