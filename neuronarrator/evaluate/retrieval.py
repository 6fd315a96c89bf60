"""Retrieval of the map of a signal and of the signal of a map (NeuroNarrator, Table 3), per dataset and in one gallery.

Shapes: N pairs of a window and its map, D width, B windows at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from corpus.segment import SEGMENT_S
from corpus.topomap import map_potential
from neuronarrator.evaluate.controls import CONTROLS, distinct, move_instant, shuffle_time, small_maps, swap_sides
from neuronarrator.evaluate.published import paper_row, paper_rows
from neuronarrator.evaluate.sources import Item, none_usable, open_data, usable
from neuronarrator.metrics.retrieval import (
    DIRECTIONS,
    LEVEL,
    MEANS,
    bootstrap_means,
    chance_scores,
    fixed_gallery_scores,
    interval,
    query_scores,
    retrieval_ranks,
    summarise_ranks,
)
from neuronarrator.narrator import Narrator
from neuronarrator.persons import seen_in_training, stages_of

BATCH_SIZE = 64
TIES = "a tie counts against the query (pessimistic): equal similarities within 1e-6 rank before the match"
BOTH = ("signal", "topomap")
_REPLACED = {  # control -> the vectors that stand for signals and for maps
    "time_shuffled": ("time_shuffled", "topomap"),
    "another_instant": ("signal", "another_instant"),
    "left_right_swapped": ("left_right_swapped", "topomap"),
}


@dataclass(frozen=True)
class RetrievalOptions:
    """How retrieval is measured.

    Attributes:
        stride_s: a window of ten seconds begins so often; each has a map of its own instant.
        gallery: size of the random galleries, at which datasets of different sizes compare; 90 is the paper's smallest.
        repeats: how many of them.
        resamples: of the subjects, for intervals.
        seed: of galleries, resamples and controls.

    Raises:
        ValueError: a stride that is not positive, or a gallery of less than two.
    """

    stride_s: float = SEGMENT_S
    gallery: int = 90
    repeats: int = 20
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stride_s <= 0 or self.gallery < 2:
            raise ValueError(
                f"got a stride of {self.stride_s:g} s and galleries of {self.gallery}, expected a positive stride and "
                "galleries of at least 2; correct --stride-s or --gallery"
            )


@dataclass(frozen=True, eq=False)
class Pairs:
    """What is kept of N windows: vectors, never a signal or a picture.

    Attributes:
        vectors: name to (N, D) float32 of unit norm, on the CPU: "signal", "topomap", one for each control that
            replaces either, and "map", the small picture by which duplicates are found.
        datasets: N names.
        subjects: N codes.
    """

    vectors: dict[str, Tensor]
    datasets: np.ndarray
    subjects: np.ndarray

    def __len__(self) -> int:
        return len(self.datasets)

    def of(self, rows: np.ndarray) -> "Pairs":
        """Some of the pairs, by number or by mask (N,)."""
        index = torch.from_numpy(np.asarray(rows))
        vectors = {name: vector[index] for name, vector in self.vectors.items()}
        return Pairs(vectors, self.datasets[rows], self.subjects[rows])

    @classmethod
    def join(cls, parts: Sequence["Pairs"]) -> "Pairs":
        """Pairs one after another."""
        vectors = {name: torch.cat([part.vectors[name] for part in parts]) for name in parts[0].vectors}
        return cls(
            vectors,
            np.concatenate([part.datasets for part in parts]),
            np.concatenate([part.subjects for part in parts]),
        )


def evaluate_retrieval(
    narrator: Narrator,
    data: str | Path,
    dataset: str | None = None,
    split: str | None = None,
    options: RetrievalOptions | None = None,
    figures: str | Path | None = None,
) -> dict[str, Any]:
    """Recall@1/5/10, mean and median rank of signal → topomap and topomap → signal, with intervals and controls.

    Args:
        narrator: in eval mode.
        data: recordings, a dataset or a corpus, as `sources.open_data` reads them.
        dataset: see there.
        split: see there.
        options: windows, galleries, seed.
        figures: folder for pictures of the embedding space; None: none.

    Returns:
        As `score_pairs`, and with it "model", "skipped", "split", "subjects", "seen_in_training", "stride_s", "seed",
        "figures".

    Raises:
        RecordingError: no recording can be used.
        FileNotFoundError, ValueError: as `sources.open_data`.
    """
    options = options or RetrievalOptions()
    found = open_data(data, dataset, split)
    skipped: dict[str, str] = {}
    pairs = embed_items(narrator, found.items, skipped, options)
    scores = score_pairs(pairs, options)
    if figures is not None:
        from neuronarrator.evaluate.figures import write_figures

        scores["figures"] = [file.name for file in write_figures(pairs, Path(figures), options.seed)]
    return scores | {
        "stride_s": options.stride_s,
        "seed": options.seed,
        "split": split or "all",
        "subjects": found.subjects,
        "seen_in_training": seen_in_training(stages_of(narrator), pairs.subjects.tolist()),
        "model": narrator.card,
        "skipped": skipped,
    }


def embed_items(narrator: Narrator, items: Iterable[Item], skipped: dict[str, str], options: RetrievalOptions) -> Pairs:
    """Vectors of every window of every recording; memory for one recording at a time.

    Args:
        narrator: in eval mode.
        items: the recordings.
        skipped: gets the name of each recording that cannot be used, with the reason.
        options: stride and seed.

    Raises:
        RecordingError: no recording can be used.
    """
    parts: list[Pairs] = []
    generator = torch.Generator().manual_seed(options.seed)
    for item, material in usable(items, skipped):
        subject = material.subject
        for window in material.windows(options.stride_s, BATCH_SIZE):
            signal_uv = torch.from_numpy(np.asarray(window, np.float32)).to(narrator.device)
            vectors = embed(narrator, signal_uv, material.ch_names, generator)
            parts.append(Pairs(vectors, *(np.full(len(window), name) for name in (item.dataset, subject))))
    if not parts:
        raise none_usable(skipped)
    return Pairs.join(parts)


@torch.inference_mode()
def embed(
    narrator: Narrator, signal_uv: Tensor, ch_names: Sequence[str], generator: torch.Generator
) -> dict[str, Tensor]:
    """The vectors of `Pairs` for windows (B, C, T) in microvolts; the generator draws what the controls need."""
    dual = narrator.dual
    vectors = {
        "signal": dual.encode_signal(signal_uv, ch_names),
        "topomap": dual.encode_topomap(signal_uv, ch_names),
        "time_shuffled": dual.encode_signal(shuffle_time(signal_uv, generator), ch_names),
        "another_instant": dual.encode_topomap(move_instant(signal_uv, generator), ch_names),
        "left_right_swapped": dual.encode_signal(swap_sides(signal_uv, ch_names), ch_names),
    }
    unit = {name: normalize(vector.float(), dim=-1).cpu() for name, vector in vectors.items()}
    return unit | {"map": small_maps(map_potential(signal_uv, dual.potential), ch_names)}


def score_pairs(pairs: Pairs, options: RetrievalOptions) -> dict[str, Any]:
    """Everything there is to say about N pairs.

    Returns:
        For the pooled gallery of all pairs "signal_to_topomap" and "topomap_to_signal" (`summarise_ranks`, and "ci95"
        over subjects, None for a single one), "n_segments", "n_subjects", "fixed_gallery" (of each direction
        `fixed_gallery_scores`) and "controls"; "datasets" holds the same for the gallery of each dataset, with "paper",
        its row there or None; "averages" over datasets, "weighted" by queries and "macro";
        "paper", its average; and "ties", "bootstrap".
    """
    names = list(dict.fromkeys(pairs.datasets.tolist()))
    pooled = _Gallery(pairs, options)
    galleries = {names[0]: pooled}
    if len(names) > 1:
        galleries = {name: _Gallery(pairs.of(pairs.datasets == name), options, i) for i, name in enumerate(names, 1)}
    datasets = {}
    for name, gallery in galleries.items():
        row = paper_row(name)
        datasets[name] = {**gallery.scores(), "paper": row and row.as_json()}
    return {
        **pooled.scores(),
        "datasets": datasets,
        "averages": {"weighted": _average(galleries, True), "macro": _average(galleries, False)},
        "paper": paper_rows()[-1].as_json(),
        "ties": TIES,
        "bootstrap": {"unit": "subject", "resamples": options.resamples, "level": LEVEL},
    }


class _Gallery:
    """One gallery: the rank of every query in it, and means over resampled subjects, none for a single subject.

    Its number makes its resamples independent of those of other galleries, as an average over them needs.
    """

    def __init__(self, pairs: Pairs, options: RetrievalOptions, number: int = 0) -> None:
        self.pairs, self.options = pairs, options
        self.ranks = _ranks(pairs, BOTH)
        self.n_subjects = len(set(pairs.subjects.tolist()))
        self.means = {direction: query_scores(ranks).mean(axis=0) for direction, ranks in self.ranks.items()}
        seed = (options.seed, number)
        self.resampled = {
            direction: bootstrap_means(query_scores(ranks), pairs.subjects.tolist(), options.resamples, seed)
            for direction, ranks in self.ranks.items()
            if self.n_subjects > 1
        }

    def scores(self) -> dict[str, Any]:
        """One part of `score_pairs`."""
        resampled = self.resampled
        return {
            **{
                d: {**summarise_ranks(ranks), "ci95": interval(resampled[d]) if d in resampled else None}
                for d, ranks in self.ranks.items()
            },
            "n_segments": len(self.pairs),
            "n_subjects": self.n_subjects,
            "fixed_gallery": self._fixed(),
            "controls": self._controls(),
        }

    def _fixed(self) -> dict[str, Any]:
        o = self.options
        drawn = {
            direction: fixed_gallery_scores(queries, gallery, o.gallery, o.repeats, o.seed)
            for direction, (queries, gallery) in _directed(self.pairs, BOTH).items()
        }
        return {"size": o.gallery, "repeats": o.repeats, **drawn}

    def _controls(self) -> dict[str, Any]:
        found: dict[str, Any] = {"chance": chance_scores(len(self.pairs))}
        for control in CONTROLS:
            if control in _REPLACED:
                found[control] = _summaries(self.pairs, _REPLACED[control])
        kept = self.pairs.of(distinct(self.pairs.vectors["map"]).numpy())
        counts = {"removed": len(self.pairs) - len(kept), "n_segments": len(kept)}
        return found | {"duplicates_removed": {**counts, **_summaries(kept, BOTH)}}


def _ranks(pairs: Pairs, names: tuple[str, str]) -> dict[str, Tensor]:
    """Ranks of both directions, with the vectors of these names as signals and as maps."""
    return {direction: retrieval_ranks(*z) for direction, z in _directed(pairs, names).items()}


def _directed(pairs: Pairs, names: tuple[str, str]) -> dict[str, tuple[Tensor, Tensor]]:
    """Queries and gallery of both directions."""
    z_signal, z_topomap = (pairs.vectors[name] for name in names)
    return dict(zip(DIRECTIONS, ((z_signal, z_topomap), (z_topomap, z_signal)), strict=True))


def _summaries(pairs: Pairs, names: tuple[str, str]) -> dict[str, dict[str, float]]:
    return {direction: summarise_ranks(ranks) for direction, ranks in _ranks(pairs, names).items()}


def _average(galleries: dict[str, _Gallery], weighted: bool) -> dict[str, Any]:
    """`MEANS` over datasets, each in its own gallery, with intervals where every dataset has several subjects."""
    weights = np.array([len(g.pairs) if weighted else 1 for g in galleries.values()], float)
    weights /= weights.sum()
    found: dict[str, Any] = {}
    for direction in DIRECTIONS:
        values = weights @ np.stack([g.means[direction] for g in galleries.values()])
        parts = [g.resampled.get(direction) for g in galleries.values()]
        drawn = [part for part in parts if part is not None]
        ci95 = interval(np.tensordot(weights, np.stack(drawn), 1)) if len(drawn) == len(parts) else None
        found[direction] = {**dict(zip(MEANS, values.tolist(), strict=True)), "ci95": ci95}
    return found
