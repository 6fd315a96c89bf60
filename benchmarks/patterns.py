"""Fit the weights that tell patterns apart on simulated persons, and count false patterns on ordinary recordings.

    python benchmarks/patterns.py [--persons 240] [--data FOLDER ...] [--write]

Persons of each pattern are simulated for 50 s; the ten seconds in the middle are measured alone, with one and with two
neighbours on either side, and a multinomial logistic regression learns from all three. Printed are its accuracy on
persons that it did not learn from (five folds), with `CAUTION` as it is, and how often it names a pattern on
recordings of people who have none. `--write` puts the weights into `corpus/patterns/weights.py`. No recording with
votes takes part.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from tqdm import tqdm

from corpus.artifacts_full import BAD_SHARE, bad_share, detect_artifacts_full
from corpus.datasets.iiic import PATTERNS
from corpus.features import extract_features
from corpus.findings import Finding
from corpus.patterns import NUMBERS, find_patterns, numbers_of, read, trace_segments, weights
from corpus.recording import Recording, RecordingError
from corpus.segment import Segment, segment_recording
from corpus.simulate.patterns import MOST_AROUND, simulate_pattern
from neuronarrator.evaluate.sources import open_data

APART = 1000  # between the seeds of one pattern and the next
FOLDS, STRENGTH = 5, 0.1  # of cross-validation; inverse of the ridge penalty
LONGEST_S, FILES = 70.0, 10  # of an ordinary recording; of a folder
FLOAT = NDArray[np.floating]


def good_electrodes(segments: Sequence[Segment], recording: Recording) -> list[NDArray[np.bool_]]:
    """Electrodes with EEG, as captions know them."""
    found = detect_artifacts_full(segments, extract_features(segments), recording.defects)
    return [
        (bad_share(segment, own) < BAD_SHARE) & ("global_bad" not in {artifact.kind for artifact in own})
        for segment, own in zip(segments, found, strict=True)
    ]


def measure_person(pattern: str, seed: int) -> list[FLOAT] | None:
    """`NUMBERS` of the middle segment with 0, 1 and 2 neighbours on either side; None where it cannot be read."""
    recording = simulate_pattern(pattern, seed, MOST_AROUND)
    segments = segment_recording(recording)
    traces = trace_segments(segments, good_electrodes(segments, recording))
    own, rows = traces[MOST_AROUND], []
    if own is None:
        return None
    for around in range(MOST_AROUND + 1):
        near = traces[MOST_AROUND - around : MOST_AROUND] + traces[MOST_AROUND + 1 : MOST_AROUND + 1 + around]
        rows.append(numbers_of(own, [trace for trace in near if trace is not None]))
    return rows


def persons_of(count: int) -> tuple[FLOAT, NDArray[np.str_]]:
    """Numbers (P, 3, 20) and kinds (P,) of simulated persons."""
    rows, kinds = [], []
    for number, pattern in enumerate(PATTERNS):
        for seed in tqdm(range(APART * number, APART * number + count), desc=pattern):
            measured = measure_person(pattern, seed)
            if measured is not None:
                rows.append(measured)
                kinds.append({"Other": "none", "SZ": "SZ"}.get(pattern, pattern[1:]))
    return np.array(rows), np.array(kinds)


def fit(rows: FLOAT, kinds: NDArray[np.str_]) -> tuple[FLOAT, FLOAT, FLOAT, FLOAT]:
    """Mean (20,) and spread (20,) of the numbers, weights (20, 4) and intercepts (4,) in the order of `KINDS`."""
    flat, truth = rows.reshape(-1, len(NUMBERS)), np.repeat(kinds, rows.shape[1])
    mean, spread = flat.mean(0), flat.std(0)
    model = LogisticRegression(C=STRENGTH, max_iter=1000, class_weight="balanced").fit((flat - mean) / spread, truth)
    order = [list(model.classes_).index(kind) for kind in weights.KINDS]
    return mean, spread, model.coef_[order].T, model.intercept_[order]


def held_out(rows: FLOAT, kinds: NDArray[np.str_]) -> list[float]:
    """Balanced accuracy of the four kinds with 0, 1 and 2 neighbours, on persons that were not learned from."""
    fold = np.random.default_rng(0).integers(0, FOLDS, len(kinds))
    told = np.empty(rows.shape[:2], dtype=kinds.dtype)
    careful = np.array([read.CAUTION if kind == "none" else 0.0 for kind in weights.KINDS])
    for number in range(FOLDS):
        mean, spread, slopes, intercepts = fit(rows[fold != number], kinds[fold != number])
        logits = (rows[fold == number] - mean) / spread @ slopes + intercepts + careful
        told[fold == number] = np.array(weights.KINDS)[logits.argmax(-1)]
    return [float(balanced_accuracy_score(kinds, told[:, around])) for around in range(rows.shape[1])]


def ordinary(folder: Path) -> Iterator[tuple[Finding, Finding]]:
    """The findings of the first segments of some recordings, alone and among their neighbours."""
    items = open_data(folder, folder.resolve().name).items
    for item in items[:: max(1, len(items) // FILES)]:
        try:
            recording: Recording = item.load().recording  # type: ignore[attr-defined]
        except RecordingError:
            continue
        segments = [s for s in segment_recording(recording) if s.start_s + s.duration_s <= LONGEST_S]
        good = good_electrodes(segments, recording)
        lone = find_patterns([replace(segment, history=()) for segment in segments], good)
        for alone, among in zip(lone, find_patterns(segments, good), strict=True):
            if alone:
                yield alone[0], among[0]


def write(mean: FLOAT, spread: FLOAT, slopes: FLOAT, intercepts: FLOAT, persons: int) -> None:
    """Put the weights where the reader finds them."""
    lines = [
        '"""How much each number speaks for each kind of pattern: written by `python benchmarks/patterns.py --write`.',
        "",
        f"A multinomial logistic regression on {persons} simulated persons of each of six patterns, alone and among",
        "their neighbours. No recording has taken part.",
        '"""',
        "",
        f"KINDS = {weights.KINDS!r}".replace("'", '"'),
        f"INTERCEPTS = ({', '.join(f'{value:.3f}' for value in intercepts)})",
        "WEIGHTS = {",
        "    # mean and spread of the number; weight of the standardised number for each of `KINDS`",
    ]
    for row, name in enumerate(NUMBERS):
        values = ", ".join(f"{value:.3f}" for value in (mean[row], spread[row], *slopes[row]))
        lines.append(f'    "{name}": ({values}),')
    Path(weights.__file__).write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=240, help="simulated persons of each pattern; 0: none")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="folders of people without such patterns")
    parser.add_argument("--write", action="store_true", help="replace the weights")
    args = parser.parse_args(argv)
    if args.persons:
        rows, kinds = persons_of(args.persons)
        for around, score in enumerate(held_out(rows, kinds)):
            print(f"{around} neighbours on either side: balanced accuracy {score:.3f} of {len(weights.KINDS)} kinds")
        if args.write:
            write(*fit(rows, kinds), args.persons)
    for folder in args.data:
        found = list(ordinary(folder))
        alone, among = (sum(pair[i].value != "none" for pair in found) for i in (0, 1))
        print(f"{folder.name}: a pattern in {alone} of {len(found)} segments read alone, {among} among neighbours")


if __name__ == "__main__":
    main()
