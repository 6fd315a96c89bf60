"""The prompt of the narrator as pure functions: ChatML with placeholders and splicing.

Sequence (NeuroNarrator, Eq. 6): history embeddings, current signal, current topomap, instruction. A placeholder token
stands for each soft prompt; its embedding is replaced.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from corpus.dataset import Batch
from corpus.dataset.mixture import NARRATE
from neuronarrator.language.chat import chat_ids

PLACEHOLDERS = {
    "history": "<|eeg_history|>",
    "signal": "<|eeg|>",
    "topomap": "<|topomap|>",
    "spectrum": "<|spectrum|>",
}
SEQUENCE = ("history", "signal", "topomap", "spectrum")  # order in the prompt
STATE_SPACE_INSTRUCTION = "The preceding segments lead to the current one; describe how it differs from them."
TASK_INSTRUCTION = NARRATE
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_prompt(
    tokenizer: PreTrainedTokenizerBase,
    counts: Mapping[str, int],
    task: str = TASK_INSTRUCTION,
    turns: Sequence[tuple[str, str]] = (),
) -> list[int]:
    """Token ids of the prompt up to where the answer begins.

    Args:
        tokenizer: of the LLM, with the placeholders added and a chat template.
        counts: how many soft prompts each modality has.
        task: the instruction, or a question about the segment.
        turns: earlier questions and their answers, oldest first; the soft prompts stand before the first question.

    Returns:
        Ids, N of them, with `counts[m]` copies of the placeholder of each modality m.
    """
    said = [part for turn in turns for part in turn] + [task]
    return chat_ids(tokenizer, [first_words(counts) + said[0], *said[1:]])


def first_words(counts: Mapping[str, int]) -> str:
    """What stands before the first question of a chat: placeholders of the soft prompts, state-space instruction."""
    soft = "".join(PLACEHOLDERS[name] * counts[name] for name in SEQUENCE if counts.get(name))
    return f"{soft}{STATE_SPACE_INSTRUCTION} "


def chats_of(batch: Batch) -> list[tuple[str, ...]]:
    """What is learnt of each segment of a batch: `Batch.chats`, or else its narrative after the task instruction."""
    return batch.chats or [(TASK_INSTRUCTION, narrative) for narrative in batch.narratives]


def splice(embeds: Tensor, ids: Tensor, placeholder_ids: Tensor, soft_prompts: Tensor) -> Tensor:
    """Put soft prompts where the placeholders stand.

    Args:
        embeds: (B, N, D) token embeddings.
        ids: (B, N) of them.
        placeholder_ids: ids that are placeholders.
        soft_prompts: (B, S, D) in the order of the placeholders.

    Returns:
        (B, N, D).

    Raises:
        ValueError: a row does not hold S placeholders.
    """
    where = torch.isin(ids, placeholder_ids)
    count = where.sum(dim=1)
    if bool((count != soft_prompts.shape[1]).any()):
        raise ValueError(
            f"got {soft_prompts.shape[1]} soft prompts, expected {int(count[0])}, one a placeholder of the prompt; "
            "build the prompt with the counts of this batch"
        )
    return embeds.masked_scatter(where[..., None], soft_prompts.to(embeds.dtype))
