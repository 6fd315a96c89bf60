"""Overlap of words between a narrative and its reference: ROUGE-1 and ROUGE-L."""

import torchmetrics
from torchmetrics.functional.text import rouge_score

_KEYS = {"rouge_1": "rouge1", "rouge_l": "rougeL"}
ROUGE_SIGNATURE = f"F-measure|beta:1|stemmer:no|tokens:a-z0-9, lower case|torchmetrics:{torchmetrics.__version__}"


def rouge_scores(text: str, reference: str) -> dict[str, float]:
    """F-measures "rouge_1" and "rouge_l" of a text against one reference, without a stemmer."""
    found = rouge_score(text, reference, rouge_keys=tuple(_KEYS.values()))
    return {name: float(found[f"{key}_fmeasure"]) for name, key in _KEYS.items()}
