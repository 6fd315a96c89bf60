"""Captions against experts who voted on patterns: periodic discharges, rhythmic delta, seizure, or none of them.

What the caption states is read from its text, as a person would. Without recordings, simulated segments of known
pattern take the place of the experts. What `corpus.patterns` reads by was fitted on other simulated persons, and its
limits set there and on recordings without such patterns, so no vote that is scored here has taken part. A segment is
read with what surrounds it in its recording, as the experts saw it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpus.background import find_complete
from corpus.caption import write_caption
from corpus.datasets.iiic import PATTERNS, TIE
from corpus.labels import LABEL_TASKS
from corpus.noise_audit import read_sentence, split_sentences
from corpus.recording import Recording
from corpus.segment import SEGMENT_S, segment_recording
from corpus.simulate.patterns import MOST_AROUND, simulate_pattern
from encoders.waveform import WaveformDetector
from neuronarrator.detection.marks import mark_recording
from neuronarrator.evaluate.material import Recorded
from neuronarrator.evaluate.sources import none_usable, open_data, usable
from neuronarrator.metrics.bootstrap import bootstrap_means, percentiles
from neuronarrator.metrics.classification import label_scores, vote_share

PERSONS, RESAMPLES = 10, 2000
SIMULATED_FROM, APART = 50_000, 1000  # seeds below that were seen by the fit; between those of two patterns
GROUPS = {"LPD": "periodic", "GPD": "periodic", "LRDA": "rhythmic delta", "GRDA": "rhythmic delta", "SZ": "seizure"}
"""Patterns without their sides."""


@dataclass(frozen=True)
class Sample:
    """One labelled segment and what its caption states.

    Attributes:
        name: of the recording.
        subject: of whom it is; intervals resample these.
        votes: (pattern, how many experts), simulated ones with one vote.
        truth: what most experts see; None where two patterns have as many.
        stated: what the caption states; None where it states nothing of the kind.
        caption: the whole text.
    """

    name: str
    subject: str
    votes: tuple[tuple[str, int], ...]
    truth: str | None
    stated: str | None
    caption: str


def evaluate_patterns(
    detector: WaveformDetector,
    data: Sequence[str | Path] = (),
    dataset: str | None = None,
    persons: int = PERSONS,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Score the patterns that captions state.

    Args:
        detector: whose marks the captions use.
        data: folders of samples with votes, such as those of IIIC; none: simulated segments.
        dataset: how they are published; None: as the folder is called.
        persons: simulated persons of each pattern, each with one segment among its neighbours.
        resamples: of the persons, for the intervals.

    Returns:
        `patterns` and `groups` (`label_scores` of the samples with one most frequent vote, with and without sides),
        `votes` (mean share of the experts who agree with the caption, of all samples, and what captions dealt out at
        random would get), `classes` (recall and precision), `samples` and `skipped`.

    Raises:
        RecordingError: no recording can be used, or none has votes.
    """
    detector.eval()
    skipped: dict[str, str] = {}
    samples = list(_voted(detector, data, dataset, skipped) if data else _simulated(detector, persons))
    clear = [sample for sample in samples if sample.truth is not None]
    if not clear:
        raise none_usable(skipped or {"": "no votes on patterns; name a dataset such as iiic"})
    truth, stated = [s.truth or "" for s in clear], [s.stated for s in clear]
    subjects = [s.subject for s in clear]
    return {
        "source": "experts" if data else "simulated",
        "patterns": label_scores(truth, stated, subjects, resamples, 0),
        "groups": label_scores(
            [_group(one) or "" for one in truth], [_group(one) for one in stated], subjects, resamples, 0
        ),
        "votes": _votes(samples, resamples),
        "classes": _classes(truth, stated),
        "samples": [vars(sample) for sample in samples],
        "skipped": skipped,
    }


def stated_pattern(caption: str) -> str | None:
    """One of `PATTERNS` as a caption states it; "Other" where it denies all, None where it says nothing."""
    named = LABEL_TASKS["iiic"].parse(caption)
    if named is not None:
        return named
    told = [s for sentence in split_sentences(caption) for s in read_sentence(sentence) if s.kind == "acns_pattern"]
    return "Other" if told and told[0].value == "none" else None


def _voted(
    detector: WaveformDetector, data: Sequence[str | Path], dataset: str | None, skipped: dict[str, str]
) -> Iterator[Sample]:
    for folder in data:
        for item, material in usable(open_data(folder, dataset or Path(folder).resolve().name).items, skipped):
            if not isinstance(material, Recorded):
                skipped[item.name] = "a corpus keeps no votes: name the folder of the dataset itself"
                continue
            for label in (one for one in material.read_labels() if one.kind == "pattern"):
                if not label.votes:
                    from_s = f"from {label.start_s:g} s on"
                    skipped[item.name] = f"no votes on the pattern {from_s}: name data with votes, such as iiic"
                    continue
                caption = _caption(detector, material.recording, label.start_s)
                if caption is None:
                    skipped[item.name] = f"no segment of ten seconds from {label.start_s:g} s on"
                    continue
                truth = None if label.value == TIE else label.value
                yield Sample(item.name, material.subject, label.votes, truth, stated_pattern(caption), caption)


def _simulated(detector: WaveformDetector, persons: int) -> Iterator[Sample]:
    for number, pattern in enumerate(PATTERNS):
        first = SIMULATED_FROM + APART * number
        for seed in range(first, first + persons):
            recording = simulate_pattern(pattern, seed, MOST_AROUND)
            caption = _caption(detector, recording, MOST_AROUND * SEGMENT_S) or ""
            name = f"{pattern}-{seed}"
            yield Sample(name, name, ((pattern, 1),), pattern, stated_pattern(caption), caption)


def _caption(detector: WaveformDetector, recording: Recording, start_s: float) -> str | None:
    """The caption of the segment that begins there; None where none does."""
    segments = segment_recording(recording)
    at = [i for i, segment in enumerate(segments) if abs(segment.start_s - start_s) < 0.5]
    if not at:
        return None
    found = find_complete(segments, recording.defects, waveforms=mark_recording(detector, recording))
    return write_caption(found[at[0]])


def _group(pattern: str | None) -> str | None:
    return None if pattern is None else GROUPS.get(pattern, pattern)


def _votes(samples: Sequence[Sample], resamples: int) -> dict[str, Any]:
    """Mean share of the votes for what captions state; chance: each caption with the votes of every sample."""
    shares = np.array([vote_share(sample.votes, sample.stated) for sample in samples])
    dealt = np.array([[vote_share(one.votes, other.stated) for other in samples] for one in samples]).mean(1)
    over = bootstrap_means((shares - dealt)[:, None], [s.subject for s in samples], resamples, 0)
    return {
        "agreement": float(shares.mean()),
        "chance": float(dealt.mean()),
        "difference": float((shares - dealt).mean()),
        "difference_ci": percentiles(over)[0],
        "n_segments": len(samples),
    }


def _classes(truth: Sequence[str], stated: Sequence[str | None]) -> dict[str, Any]:
    rows = {}
    for name in PATTERNS:
        right = sum(a == b == name for a, b in zip(truth, stated, strict=True))
        n, said = truth.count(name), list(stated).count(name)
        rows[name] = {
            "n": n,
            "stated": said,
            "recall": right / n if n else None,
            "precision": right / said if said else None,
        }
    return rows


def format_patterns(scores: dict[str, Any]) -> str:
    """The scores of `evaluate_patterns` as text."""
    main, groups, votes = scores["patterns"], scores["groups"], scores["votes"]
    lines = [
        f"{main['n_segments']} segments of {main['n_subjects']} persons ({scores['source']})",
        *(
            f"{name:<18} balanced accuracy {_interval(one['balanced_accuracy'])}, chance {one['chance']:.2f}; "
            f"kappa {_interval(one['kappa'])}"
            for name, one in (("six patterns", main), ("without sides", groups))
        ),
        f"{'votes':<18} {votes['agreement']:.2f} agree with the caption, {votes['chance']:.2f} with captions dealt out "
        f"at random; difference {votes['difference']:.2f} ({_edges(votes['difference_ci'])}), "
        f"{votes['n_segments']} segments",
        "",
        "most experts \\ caption " + " ".join(f"{name:>6}" for name in (*PATTERNS, "none")),
    ]
    for name, row in main["confusion"].items():
        counts = [row.get(other, 0) for other in (*PATTERNS, "invalid")]
        lines.append(f"{name:<22} " + " ".join(f"{count:>6}" for count in counts))
    return "\n".join(lines)


def _interval(score: dict[str, Any]) -> str:
    value = "-" if score["value"] is None else f"{score['value']:.2f}"
    return f"{value} ({_edges(score['ci'])})"


def _edges(ci: Sequence[float] | None) -> str:
    return "no interval" if ci is None else f"95 % {ci[0]:.2f} to {ci[1]:.2f}"
