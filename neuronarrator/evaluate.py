"""Evaluation of a narrator on recordings: cross-modal retrieval and the facts of its narratives."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torchmetrics.functional.text import rouge_score
from tqdm import tqdm

from corpus.claims import facts_of
from corpus.dataset import segment_batches
from corpus.describe import write_narrative
from corpus.findings import find_recording
from corpus.recording import Recording, RecordingError
from neuronarrator.metrics import RetrievalRecall, fact_score
from neuronarrator.metrics.retrieval import DIRECTIONS, RECALL_AT
from neuronarrator.narrate import load_for_model, narrate_recording
from neuronarrator.narrator import Narrator

SUFFIXES = (".edf", ".bdf", ".fif", ".set", ".vhdr", ".gdf", ".cnt", ".lay")


def list_recordings(data: str | Path) -> list[Path]:
    """The recordings below a folder, sorted, or the one file itself.

    Raises:
        FileNotFoundError: there is none.
    """
    data = Path(data)
    files = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(
            f"got {data.name!r} without a recording, expected files that end in {', '.join(SUFFIXES)}: correct --data"
        )
    return files


def evaluate_retrieval(narrator: Narrator, data: str | Path) -> dict[str, Any]:
    """Recall@1/5/10 and mean rank of signal → topomap and topomap → signal (NeuroNarrator, Table 3).

    The gallery is every ten-second segment of every recording below `data`; ties count against the model.
    """
    metric, skipped = RetrievalRecall(), dict[str, str]()
    count = 0
    for _, recording in _load(list_recordings(data), skipped):
        for batch in segment_batches(find_recording(recording), 64, history_k=0):
            batch = batch.to(narrator.device)
            with torch.inference_mode():
                metric.update(
                    narrator.dual.encode_signal(batch.signal_uv, batch.ch_names),
                    narrator.dual.encode_topomap(batch.signal_uv, batch.ch_names),
                )
            count += len(batch)
    if not count:
        raise _none_usable(skipped)
    scores = {name: float(value) for name, value in metric.compute().items()}
    names = [*(f"recall_at_{k}" for k in RECALL_AT), "mean_rank"]
    per_direction = {d: {name: scores[f"{name}_{d}"] for name in names} for d in DIRECTIONS}
    return {**per_direction, "n_segments": count, "model": narrator.card, "skipped": skipped}


def evaluate_narratives(narrator: Narrator, data: str | Path, seed: int = 0) -> dict[str, Any]:
    """Fact-F1, ROUGE-L (no stemmer) and verdicts of generated narratives against the reference findings.

    Args:
        narrator: in eval mode.
        data: a recording or a folder of them.
        seed: of the wording of the reference narratives that ROUGE-L compares with.
    """
    skipped: dict[str, str] = {}
    facts, rouge, hallucinated, omitted = [], [], [], []
    verdicts: Counter[str] = Counter()
    by_kind: dict[str, Counter[str]] = {}
    for _, recording in _load(list_recordings(data), skipped):
        for i, segment in enumerate(narrate_recording(narrator, recording).segments):
            text = segment.generation.text
            score = fact_score(facts_of(text), segment.findings.facts)
            facts.append(score.f1)
            hallucinated.append(score.hallucinated)
            omitted.append(score.omitted)
            reference = write_narrative(segment.findings, seed + i)
            rouge.append(float(rouge_score(text, reference, rouge_keys="rougeL")["rougeL_fmeasure"]))
            for claim in segment.claims:
                verdicts[claim.verdict] += 1
                by_kind.setdefault(claim.claim.kind, Counter())[claim.verdict] += 1
    if not facts:
        raise _none_usable(skipped)
    total = sum(verdicts.values())
    return {
        "fact_f1": _spread(facts),
        "rouge_l": _spread(rouge),
        "hallucinated_per_segment": sum(hallucinated) / len(facts),
        "omitted_per_segment": sum(omitted) / len(facts),
        "claims": {"total": total, **{verdict: n / total for verdict, n in sorted(verdicts.items())}},
        "claims_by_kind": {kind: dict(count) for kind, count in sorted(by_kind.items())},
        "n_segments": len(facts),
        "seed": seed,
        "model": narrator.card,
        "skipped": skipped,
    }


def _none_usable(skipped: dict[str, str]) -> RecordingError:
    first = next(iter(skipped.values()))
    return RecordingError(
        f"got {len(skipped)} recordings, none of them usable, expected at least one; the first: {first}"
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    tensor = torch.tensor(values)
    return {"mean": float(tensor.mean()), "sd": float(tensor.std(correction=0))}


def _load(files: Iterable[Path], skipped: dict[str, str]) -> Iterator[tuple[Path, Recording]]:
    """Recordings one by one; those that cannot be used are noted in `skipped` with the reason."""
    for path in tqdm(list(files), unit="file", desc="evaluate"):
        try:
            yield path, load_for_model(path)
        except RecordingError as error:
            skipped[path.name] = str(error)
