"""BERTScore against a slow reference on a random BERT, and the command that prints it with all other scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.metrics.bertscore import BertScorer
from neuronarrator.narrator import Narrator


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of three layers."""
    path = tmp_path_factory.mktemp("bert")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "alpha", "beta", "delta", "rises", "falls", "is", "stable", "the", "."]
    (path / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(path / "vocab.txt")).save_pretrained(path)
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 3, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(words), num_attention_heads=2, max_position_embeddings=32, **sizes)
    BertModel(config).save_pretrained(path)
    return path


def slow_bertscore(scorer: BertScorer, text: str, reference: str) -> float:
    """Token by token, one text at a time."""
    vectors = []
    for words in (text, reference):
        ids = scorer.tokenizer(words, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            vectors.append(scorer.model(ids, output_hidden_states=True).hidden_states[scorer.layer][0])
    ours, theirs = vectors

    def best(one: torch.Tensor, others: torch.Tensor) -> float:
        return max(float(torch.cosine_similarity(one, other, dim=0)) for other in others)

    precision = np.mean([best(one, theirs) for one in ours[1:-1]])
    recall = np.mean([best(one, ours) for one in theirs[1:-1]])
    return float(2 * precision * recall / (precision + recall))


def test_bertscore_is_greedy_matching_of_the_vectors_of_a_layer(bert: Path) -> None:
    texts = ["alpha rises", "the beta falls .", "delta is stable", "alpha rises", ""]
    references = ["alpha is stable", "beta rises", "delta is stable", "rises alpha the the .", "alpha"]
    by_layer = []
    for layer in (1, 2):
        scorer = BertScorer(bert, layer)
        scores = scorer.score(texts, references)
        expected = [slow_bertscore(scorer, t, r) for t, r in zip(texts[:4], references[:4], strict=True)]
        assert scores == pytest.approx([*expected, 0.0], abs=1e-5)
        assert scores[2] == pytest.approx(1.0)
        assert max(scores[:2]) < 0.999
        by_layer.append(scores)
    assert by_layer[0] != by_layer[1]


def test_the_signature_of_bertscore_names_model_layer_and_weights(bert: Path, tmp_path: Path) -> None:
    signature = BertScorer(bert).signature
    assert "layer:3 of 3|idf:no|rescale:no|sha256:" in signature
    assert bert.name in signature
    with pytest.raises(ValueError, match="got layer 4, expected 1 to 3"):
        BertScorer(bert, 4)
    with pytest.raises(FileNotFoundError, match="--bertscore"):
        BertScorer(tmp_path)


def test_the_command_writes_scores_and_a_table(
    narrator: Narrator, bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    narrator.save_pretrained(tmp_path / "model")
    write_edf(simulate(SimulationPreset(duration_s=32.0), seed=1).recording, tmp_path / "patient.edf")
    words = ["evaluate", "narratives", "--data", str(tmp_path / "patient.edf"), "--model", str(tmp_path / "model")]
    assert main([*words, "--bertscore", str(bert), "--json", str(tmp_path / "out" / "scores.json")]) == 0
    table = capsys.readouterr().out
    assert "BERTScore" in table
    assert "template oracle" in table
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    for name in ("fact_f1", "signal_fact_f1", "rouge_1", "rouge_l", "bertscore", "confidence"):
        assert set(scores[name]) == {"mean", "sd", "ci"}
    assert scores["fact_f1"] == scores["signal_fact_f1"]
    assert len(scores["config"]["model"]["sha256"]) == 64
    assert scores["config"]["metrics"]["bertscore"] == BertScorer(bert).signature
    assert scores["n_segments"] == 3
    assert scores["template_oracle"]["bertscore"]["mean"] > scores["bertscore"]["mean"]
