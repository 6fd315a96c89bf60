"""BERTScore from a model on disk, without a download (Zhang et al., 2020, arXiv:1904.09675).

Every token of one text is matched with the most similar token of the other, by the cosine of their vectors in one
layer; precision is the mean over the tokens of the text, recall over those of the reference. No idf weights, no
rescaling by a baseline. As in the authors' code, the first and the last token of a text (which the tokenizer adds) may
be matched but do not count.

Shapes: B texts, N tokens, D width.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer

BATCH_SIZE = 32
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
BEST_LAYER = {("distilbert", 6): 5, ("roberta", 6): 5, ("bert", 12): 9, ("roberta", 12): 10, ("bert", 24): 18}
BEST_LAYER |= {("roberta", 24): 17}
"""The authors' choice by architecture and depth; the last layer of any other model."""


class BertScorer:
    """BERTScore with one model and layer; `signature` says all that a score depends on.

    Args:
        path: folder of a Hugging Face encoder with its tokenizer.
        layer: whose vectors are compared, 1 for the first; None: `BEST_LAYER`.
        device: where it runs.

    Raises:
        FileNotFoundError: no model in that folder.
        ValueError: the model has no such layer.
    """

    def __init__(self, path: str | Path, layer: int | None = None, device: torch.device | str = "cpu") -> None:
        path = Path(path)
        weights = sorted(file for pattern in WEIGHTS for file in path.glob(pattern))
        if not weights or not (path / "config.json").is_file():
            raise FileNotFoundError(
                f"got BERTScore model {path.name!r}, expected a folder with config.json and weights: download the "
                "model and name its folder by --bertscore"
            )
        self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model: Any = AutoModel.from_pretrained(path, local_files_only=True).to(device).eval()
        config = self.model.config
        depth = config.num_hidden_layers
        self.layer = layer or BEST_LAYER.get((config.model_type, depth), depth)
        if not 1 <= self.layer <= depth:
            raise ValueError(f"got layer {self.layer}, expected 1 to {depth} of {path.name}; take another layer")
        roberta = config.model_type == "roberta"  # whose positions begin behind two that are never used
        self.max_length = min(self.tokenizer.model_max_length, config.max_position_embeddings - 2 * roberta)
        digest = hashlib.sha256()
        for file in weights:
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
        self.signature = (
            f"F-measure|model:{path.name} ({config.model_type})|layer:{self.layer} of {depth}|idf:no|rescale:no|"
            f"sha256:{digest.hexdigest()[:16]}|transformers:{transformers.__version__}"
        )

    @torch.inference_mode()
    def score(self, texts: Sequence[str], references: Sequence[str]) -> list[float]:
        """F-measure of each text against its reference; 0 where either has no words."""
        found: list[float] = []
        for start in range(0, len(texts), BATCH_SIZE):
            part = slice(start, start + BATCH_SIZE)
            found += _f_measure(self._vectors(texts[part]), self._vectors(references[part])).tolist()
        return found

    def _vectors(self, texts: Sequence[str]) -> "_Tokens":
        """Unit vectors (B, N, D), which tokens are there and which of them count, (B, N) each."""
        tokens = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_special_tokens_mask=True,
            return_tensors="pt",
        ).to(self.model.device)
        special = tokens["special_tokens_mask"].bool()
        ids, there = tokens["input_ids"], tokens["attention_mask"].bool()
        hidden = self.model(input_ids=ids, attention_mask=there, output_hidden_states=True).hidden_states[self.layer]
        return normalize(hidden.float(), dim=-1), there, there & ~special


_Tokens = tuple[Tensor, Tensor, Tensor]


def _f_measure(texts: _Tokens, references: _Tokens) -> Tensor:
    """Greedy matching of the tokens of B texts with those of their references, (B,)."""
    (z, there, counts), (z_ref, there_ref, counts_ref) = texts, references
    pairs = there[:, :, None] & there_ref[:, None]
    cosine = (z @ z_ref.mT).masked_fill(~pairs, -1.0)
    precision = _mean(cosine.amax(2), counts)
    recall = _mean(cosine.amax(1), counts_ref)
    both = counts.any(1) & counts_ref.any(1)
    return torch.where(both, 2 * precision * recall / (precision + recall), 0.0).nan_to_num(0.0)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    return (values * counts).sum(1) / counts.sum(1).clamp(min=1)
