"""Facts, wording and claims of generated narratives against references and against the signal (NeuroNarrator, Table 4).

Two references. `fact_f1`, the axes and ROUGE compare with the reference: the facts and the narrative that a corpus
stores (a teacher may have written it), and for plain recordings what is measured now. `signal_fact_f1` and the verdicts
of claims compare with findings measured from the signal at hand, whatever was stored. For plain recordings the two
references are one, and `fact_f1` equals `signal_fact_f1`.
"""

import hashlib
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from corpus.findings import Findings
from neuronarrator.evaluate.material import Material
from neuronarrator.evaluate.narrative_controls import ALTERED, CONTROLS, control_numbers, narrate_altered
from neuronarrator.evaluate.narrative_scores import Scored, Scorer, Values, compare, summarise
from neuronarrator.evaluate.predictions import MISSING, Prediction, Predictions
from neuronarrator.evaluate.published import PaperRow, paper_row, paper_rows
from neuronarrator.evaluate.references import references_of
from neuronarrator.evaluate.sources import Item, none_usable, open_data, usable
from neuronarrator.language.generation import Generation
from neuronarrator.metrics.axes import AXES_SIGNATURE
from neuronarrator.metrics.bertscore import BertScorer
from neuronarrator.metrics.bootstrap import LEVEL
from neuronarrator.metrics.facts import FACT_SIGNATURE
from neuronarrator.metrics.text import ROUGE_SIGNATURE
from neuronarrator.narrate import generate_batches
from neuronarrator.narrator import Narrator
from neuronarrator.persons import seen_in_training, stages_of
from neuronarrator.version import __version__

PACKAGES = ("torch", "transformers", "torchmetrics", "numpy", "scipy", "mne")


@dataclass(frozen=True)
class NarrativeOptions:
    """How narratives are scored.

    Attributes:
        seed: of the wording of written references, of resamples and of controls.
        resamples: of the subjects, for intervals.
        control_segments: of each recording, whose narratives are generated again from altered signals; 0: none.
        bertscore: folder of the model of BERTScore; None leaves it out.
    """

    seed: int = 0
    resamples: int = 1000
    control_segments: int = 4
    bertscore: Path | None = None


def evaluate_narratives(
    narrator: Narrator | Predictions,
    data: str | Path,
    dataset: str | None = None,
    split: str | None = None,
    options: NarrativeOptions | None = None,
) -> dict[str, Any]:
    """Score the narratives that a narrator writes of recordings, beside baselines, controls and the paper's rows.

    Args:
        narrator: in eval mode; or a file of predictions, whose narratives are taken as they are (no altered signals).
        data: recordings, a dataset or a corpus, as `sources.open_data` reads them.
        dataset: see `open_data`.
        split: see there.
        options: seeds, intervals, controls, BERTScore.

    Returns:
        What `score_narratives` returns, with "split" and "subjects", how it is known who is one person.

    Raises:
        RecordingError: no recording can be used.
        FileNotFoundError, ValueError: as `sources.open_data` and `BertScorer`.
    """
    found = open_data(data, dataset, split)
    return score_narratives(narrator, found.items, options) | {"split": split or "all", "subjects": found.subjects}


def score_narratives(
    narrator: Narrator | Predictions, items: Iterable[Item], options: NarrativeOptions | None = None
) -> dict[str, Any]:
    """As `evaluate_narratives`, of recordings already chosen.

    Returns:
        Pooled over all narratives the scores of `summarise`, and "template_oracle" (the rule writer given the signal,
        with its distance to the model); the same for each of "datasets", with "paper", its row there or None;
        "controls"; "paper", its average; "config" and how it was measured.

    Raises:
        RecordingError: no recording can be used.
    """
    options = options or NarrativeOptions()
    bert = (
        None if options.bertscore is None else BertScorer(options.bertscore, device=getattr(narrator, "device", "cpu"))
    )
    tally = _Tally(Scorer(options.resamples, options.seed, bert), options)
    skipped: dict[str, str] = {}
    for item, material in usable(items, skipped):
        tally.add(narrator, item, material)
    if not tally.rows:
        raise none_usable(skipped)
    if tally.missing == len(tally.rows):
        raise ValueError(
            f"got predictions of none of the {tally.missing} segments, expected those of --data: predict it, with the "
            "same --dataset"
        )
    return tally.scores() | {
        "n_missing": tally.missing,
        "seen_in_training": seen_in_training(stages_of(narrator), [row.subject for row in tally.rows]),
        "config": _config(narrator, tally, options),
        "seed": options.seed,
        "model": narrator.card,
        "skipped": skipped,
    }


@dataclass
class _Tally:
    """The narratives scored so far; no signal is kept."""

    scorer: Scorer
    options: NarrativeOptions
    rows: list[Scored] = field(default_factory=list)
    oracle: list[Scored] = field(default_factory=list)
    floor: list[tuple[Scored, Scored]] = field(default_factory=list)
    altered: dict[str, list[tuple[str, Values]]] = field(default_factory=lambda: {name: [] for name in ALTERED})
    sources: Counter[str] = field(default_factory=Counter)
    recordings: list[str] = field(default_factory=list)
    missing: int = 0

    def add(self, narrator: Narrator | Predictions, item: Item, material: Material) -> None:
        """Narrate one recording and score its narratives, the oracle's and the controls."""
        findings, examples = material.findings()
        references = references_of(material, findings, examples, self.options.seed)
        if not references:
            return
        written = narratives_of(narrator, item, findings)
        numbers, told = list(references), list(references.values())
        texts, subject = [written[i].text for i in numbers], material.subject
        self.missing += sum(written[i] is MISSING for i in numbers)

        def score(texts: Sequence[str], **more: Sequence[float]) -> list[Scored]:
            return self.scorer.score(item.dataset, subject, texts, told, **more)

        sure = not isinstance(narrator, Predictions) or narrator.sure
        rows = score(texts, **({"confidence": [written[i].confidence or 0.0 for i in numbers]} if sure else {}))
        self.rows += rows
        self.oracle += score([reference.oracle for reference in told])
        if len(texts) > 1:
            half = len(texts) // 2
            self.floor += zip(rows, score(texts[half:] + texts[:half]), strict=True)
        chosen = control_numbers(numbers, self.options.control_segments)
        if chosen and not isinstance(narrator, Predictions):
            rng = np.random.default_rng([self.options.seed, len(self.recordings)])
            real = {i: one for i in chosen if not isinstance(one := written[i], Prediction)}
            altered = narrate_altered(narrator, findings, real, rng)
            for name, values in altered.items():
                self.altered[name] += [(subject, value) for value in values]
        self.sources.update(reference.source for reference in told)
        shape = f"{len(numbers)} segments of {findings[0].segment.signal_uv.shape}"
        self.recordings.append(f"{item.dataset}\t{item.name}\t{subject}\t{shape}")

    def scores(self) -> dict[str, Any]:
        """Pooled, for each dataset, and the controls."""
        names = list(dict.fromkeys(row.dataset for row in self.rows))
        pooled = self._part(None, 0)
        datasets = {}
        for number, name in enumerate(names, 1):
            part, row = pooled if len(names) == 1 else self._part(name, number), paper_row(name)
            datasets[name] = {**part, "paper": row and _paper(row)}
        return {
            **pooled,
            "datasets": datasets,
            "controls": self._controls(),
            "paper": _paper(paper_rows()[-1]),
        }

    def _part(self, dataset: str | None, number: int) -> dict[str, Any]:
        """The scores of one dataset, or of all."""
        rows, oracle = ([row for row in part if dataset in (None, row.dataset)] for part in (self.rows, self.oracle))
        compared = compare(rows, oracle, self.scorer, number)
        return {**summarise(rows, self.scorer, number), "template_oracle": compared}

    def _controls(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.floor:
            ours, others = zip(*self.floor, strict=True)
            found["another_segment"] = compare(ours, others, self.scorer)
        for name, rows in self.altered.items():
            if rows:
                found[name] = {**self.scorer.spreads(rows), "n_segments": len(rows)}
        return found


def narratives_of(
    narrator: Narrator | Predictions, item: Item, findings: Sequence[Findings]
) -> Sequence[Generation | Prediction]:
    """The narrative of every segment of a recording, generated now or taken from a file."""
    if isinstance(narrator, Predictions):
        return narrator.of(item, findings)
    return [told for _, _, generations in generate_batches(narrator, findings) for told in generations]


def _paper(row: PaperRow) -> dict[str, Any]:
    return {"name": row.name, "n_segments": row.gallery, "fact_f1": row.fact_f1, "rouge_l": row.rouge_l}


def _config(narrator: Narrator | Predictions, tally: _Tally, options: NarrativeOptions) -> dict[str, Any]:
    """All that the scores depend on."""
    ids = "\n".join(sorted(tally.recordings))
    bert = tally.scorer.bert
    return {
        "model": narrator.card,
        "data": {
            "sha256": hashlib.sha256(ids.encode()).hexdigest(),
            "of": "dataset, name, subject, number and shape of the segments of each recording",
            "n_recordings": len(tally.recordings),
        },
        "references": dict(tally.sources),
        "seeds": {"wording": options.seed, "bootstrap": options.seed, "controls": options.seed},
        "bootstrap": {"unit": "subject", "resamples": options.resamples, "level": LEVEL},
        "controls": {"segments_per_recording": options.control_segments, **CONTROLS},
        "metrics": {
            "fact_f1": f"{FACT_SIGNATURE}|reference:stored, else measured",
            "signal_fact_f1": f"{FACT_SIGNATURE}|reference:measured from the signal",
            "rouge_1": ROUGE_SIGNATURE,
            "rouge_l": ROUGE_SIGNATURE,
            "axes": AXES_SIGNATURE,
            **({"bertscore": bert.signature} if bert else {}),
        },
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of this package and of those that scores depend on."""
    found = {name: version(name) for name in PACKAGES}
    return {"neuronarrator": __version__, "python": platform.python_version(), **found}
