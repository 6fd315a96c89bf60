"""The tokenizer of the tiny narrator: a SentencePiece vocabulary of our narratives as a Hugging Face tokenizer.

Larger narrators use the tokenizer of their Qwen model; both take the same code path from here on.
"""

import io
import json
import re
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from corpus.artifacts import ARTIFACT_KINDS, Artifact
from corpus.describe import write_narrative
from corpus.features import Features, asymmetry_index, energy_tiers
from corpus.findings import find
from corpus.montage import ELECTRODE_NAMES, MIN_SPATIAL_ELECTRODES
from corpus.segment import SEGMENT_S, Segment
from encoders.labram import CHANNEL_NAMES
from neuronarrator.language.prompts import CHAT_TEMPLATE, PLACEHOLDERS, STATE_SPACE_INSTRUCTION, TASK_INSTRUCTION

_PUNCTUATION = re.compile(r"[.,;:]")  # always tokens of their own, so that "C4." is C4 and a stop
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"  # Qwen's names


def load_or_train_tokenizer(name: str | None, vocab_size: int) -> PreTrainedTokenizerBase:
    """The tokenizer of a directory or a Hugging Face model with the placeholders added, or else one of narratives.

    Args:
        name: directory or model; its own chat template is kept. None: train one on random narratives.
        vocab_size: of the one that is trained.
    """
    if name is not None:
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=Path(name).is_dir())
        tokenizer.chat_template = tokenizer.chat_template or CHAT_TEMPLATE
        return add_placeholders(tokenizer)
    prompts = [f"{STATE_SPACE_INSTRUCTION} {TASK_INSTRUCTION}"] * 200
    return train_tokenizer([*sample_narratives(10_000, seed=0), *prompts], vocab_size)


def sample_narratives(count: int, seed: int) -> Iterator[str]:
    """Narratives of random findings that name every electrode, band, trend and artifact: text without any recording."""
    rng = np.random.default_rng(seed)
    electrodes = [name for name in ELECTRODE_NAMES if name.upper() in map(str.upper, CHANNEL_NAMES)]
    for i in range(count):
        names = tuple(rng.permutation(electrodes)[: rng.integers(MIN_SPATIAL_ELECTRODES, 32)].tolist())
        band_power = np.exp(rng.normal(1, 1.5, (len(names), 6)))
        power = band_power.sum(1)
        features = Features(
            ch_names=names,
            channel_band_power_uv2=band_power,
            channel_power_uv2=power,
            tiers=energy_tiers(power),
            dominant_hz=float(rng.uniform(0.5, 75)),
            amplitude_uv=float(rng.uniform(5, 100)),
            asymmetry_index=float(asymmetry_index(power, names)),
            history_band_power_uv2=None if i % 8 == 0 else band_power.mean(0) * np.exp(rng.normal(0, 0.6, 6)),
        )
        segment = Segment(0, 0.0, SEGMENT_S, np.zeros((len(names), 0)), 200.0, names)
        kinds = rng.permutation(ARTIFACT_KINDS)[: rng.integers(0, 3)].tolist()
        artifacts = [Artifact(kind, names[:1], 0.0, 1.0, 1.0, "µV") for kind in kinds]
        yield write_narrative(find(segment, features, artifacts), seed=i)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerBase:
    """Train a byte-pair vocabulary on narratives and wrap it with ChatML and the placeholders.

    Args:
        texts: training narratives.
        vocab_size: at most this many pieces, the special tokens not counted.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(_PUNCTUATION.sub(" ", text) for text in texts),
        required_chars=".,;:",
        model_writer=model,
        vocab_size=vocab_size,
        user_defined_symbols=["\n"],
        hard_vocab_limit=False,
        model_type="bpe",
        character_coverage=1.0,
        normalization_rule_name="identity",
        split_by_number=False,  # electrodes such as F7 stay whole
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
        num_threads=1,
    )
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    unknown = processor.id_to_piece(processor.unk_id())
    vocab = {processor.id_to_piece(i): i for i in range(processor.get_piece_size())}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in vocab  # in the order in which they were merged
        for cut in range(1, len(piece))
        if piece != unknown and piece[:cut] in vocab and piece[cut:] in vocab
    ]
    backend = Tokenizer(models.BPE(vocab, merges, unk_token=unknown))
    punctuation = pre_tokenizers.Split(Regex(_PUNCTUATION.pattern), behavior="isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), punctuation])
    backend.decoder = decoders.Metaspace()
    return _wrap(backend, unknown)


def _wrap(backend: Tokenizer, unknown: str) -> PreTrainedTokenizerBase:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=END,
        unk_token=unknown,
        additional_special_tokens=[START],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return add_placeholders(tokenizer)


def complete_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A vocabulary of `train_tokenizer` with every printable ASCII character, so that any question can be read.

    New characters get ids behind all others: weights of the old vocabulary stay right. One that lacks none, such as
    Qwen's vocabulary of bytes, comes back as it is.
    """
    unknown = tokenizer.unk_token_id
    pieces = tokenizer(list(_PRINTABLE), add_special_tokens=False)["input_ids"]
    lacking = [char for char, ids in zip(_PRINTABLE, pieces, strict=True) if unknown is not None and unknown in ids]
    if not lacking:
        return tokenizer
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    added = {token["content"]: token["id"] for token in state["added_tokens"]}  # they would get new ids behind the rest
    state["model"]["vocab"] |= added | {char: len(tokenizer) + i for i, char in enumerate(lacking)}
    return _wrap(Tokenizer.from_str(json.dumps(state)), tokenizer.unk_token)


def add_placeholders(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Add one special token a modality (those already there are left as they are)."""
    added: dict[str, Any] = {"additional_special_tokens": list(PLACEHOLDERS.values())}
    tokenizer.add_special_tokens(added, replace_extra_special_tokens=False)
    return tokenizer
