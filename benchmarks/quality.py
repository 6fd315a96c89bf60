"""Quality of a narrator on held-out subjects: retrieval in galleries of more than 90 windows, and narratives.

Run: python benchmarks/quality.py [--model tiny] [--data ../shared/data] [--json FILE]
Subjects: EEGMAT 26-30 and EEGMMIDB S038, S050, none of them in training by experiments/. Windows of ten seconds
begin every two seconds for retrieval (each has a map of its own instant) and every ten seconds for narratives. The peer
is the paper (NeuroNarrator, Tables 3 and 4); its rows come from other recordings of the same datasets.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from corpus.dataset import segment_batches
from corpus.findings import find_recording
from neuronarrator.evaluate import evaluate_narratives
from neuronarrator.metrics import RetrievalRecall
from neuronarrator.narrate import load_for_model
from neuronarrator.narrator import Narrator

HELD_OUT = {
    "EEGMAT": ("eegmat", ("Subject26_2", "Subject27_2", "Subject28_2", "Subject29_2", "Subject30_2")),
    "EEGMMIDB": ("eegmmidb", ("S038R01", "S038R02", "S050R01", "S050R02")),
}
PAPER = {
    "EEGMAT": {"recall_at_1": (0.9444, 0.9667), "fact_f1": 0.741, "rouge_l": 0.378},
    "EEGMMIDB": {"recall_at_1": (0.7145, 0.7582), "fact_f1": 0.692, "rouge_l": 0.353},
}
STRIDE_S, WINDOW_S = 2, 10


def retrieve(narrator: Narrator, files: list[Path]) -> dict[str, float]:
    """Recall in one gallery of all windows of all files."""
    metric = RetrievalRecall()
    for file in files:
        recording = load_for_model(file)
        for offset in range(0, WINDOW_S, STRIDE_S):
            signal = recording.signal_uv[:, round(offset * recording.sfreq) :]
            for batch in segment_batches(find_recording(replace(recording, signal_uv=signal)), 64, history_k=0):
                with torch.inference_mode():
                    metric.update(
                        narrator.dual.encode_signal(batch.signal_uv, batch.ch_names),
                        narrator.dual.encode_topomap(batch.signal_uv, batch.ch_names),
                    )
    scores = {name: float(value) for name, value in metric.compute().items()}
    return scores | {"gallery": sum(len(z) for z in metric.z_signal)}


def measure(narrator: Narrator, data: Path) -> dict[str, Any]:
    """Both scores of each dataset."""
    scores: dict[str, Any] = {}
    for name, (folder, stems) in HELD_OUT.items():
        files = [data / folder / f"{stem}.edf" for stem in stems]
        with TemporaryDirectory() as links:
            for file in files:
                (Path(links) / file.name).symlink_to(file.resolve())
            narratives = evaluate_narratives(narrator, links)
        scores[name] = {"retrieval": retrieve(narrator, files), "narratives": narratives, "paper": PAPER[name]}
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"got no folder {args.data.name!r}, expected the recordings: pass --data")
    scores = measure(Narrator.from_pretrained(args.model), args.data)
    print("| dataset | gallery | R@1 signal → map | R@1 map → signal | Fact-F1 | ROUGE-L | contradicted |")
    print("|---|---|---|---|---|---|---|")
    for name, s in scores.items():
        r, n, paper = s["retrieval"], s["narratives"], s["paper"]
        there, back = (100 * r[f"recall_at_1_{d}"] for d in ("signal_to_topomap", "topomap_to_signal"))
        paper_there, paper_back = (100 * value for value in paper["recall_at_1"])
        print(
            f"| {name} | {r['gallery']} | {there:.1f} % ({paper_there:.1f}) | {back:.1f} % ({paper_back:.1f}) "
            f"| {n['fact_f1']['mean']:.3f} ({paper['fact_f1']}) | {n['rouge_l']['mean']:.3f} ({paper['rouge_l']}) "
            f"| {100 * n['claims'].get('contradicted', 0.0):.1f} % |"
        )
    if args.json is not None:
        args.json.write_text(json.dumps(scores, indent=2) + "\n")


if __name__ == "__main__":
    main()
