"""Chats as rows of token ids: what a model is told, what it answers, and which of it counts.

Letters: B rows, N tokens of the longest row.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from neuronarrator.language.prompts import IGNORE_INDEX


def chat_ids(tokenizer: PreTrainedTokenizerBase, said: Sequence[str]) -> list[int]:
    """Token ids of a chat up to where the next answer begins.

    Args:
        tokenizer: with a chat template.
        said: questions and answers in turn, oldest first; the last one is a question.
    """
    messages = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(said)]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


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
    longest = max(map(len, wholes))
    ids = torch.full((len(wholes), longest), pad_id)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORE_INDEX)
    for i, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True)):
        first = longest - len(whole) if answers is None else 0
        ids[i, first : first + len(whole)] = torch.tensor(whole)
        mask[i, first : first + len(whole)] = 1
        labels[i, len(prompt) : len(whole)] = ids[i, len(prompt) : len(whole)]
    rows = {"input_ids": ids, "attention_mask": mask}
    return rows if answers is None else rows | {"labels": labels}
