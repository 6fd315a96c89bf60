"""Samples of the ictal-interictal-injury continuum (IIIC) with the votes of experts (Jing et al. 2023, two papers).

IIIC-SPaRCNet   Figure4to6/samples/GPD_sample1.mat    seg: 50 s; 20 channels by samples, microvolts
                Figure3/samples.mat                   LUT: name and votes of every sample, one cell for each pattern
IIIC-IRR        eFigure2/A_Sample01.mat or .npz       seg_10sec and vv, the votes

Votes are in the order of `PATTERNS`. Names of IIIC-SPaRCNet follow a model, not the experts. Its published figures show
seconds 20 to 30, which are those that were labelled.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import matching
from corpus.recording import RecordingError, recording_from_array

PATTERNS = ("Other", "SZ", "LPD", "GPD", "LRDA", "GRDA")
TIE = "tie"
_ELECTRODES = "Fp1 F3 C3 P3 F7 T3 T5 O1 Fz Cz Pz Fp2 F4 C4 P4 F8 T4 T6 O2"
_CH_NAMES = (*_ELECTRODES.split(), "EKG")
_SFREQ = 200.0
_LABELLED_S = 10.0

_SPARCNET = DatasetCard(
    name="iiic",
    title="IIIC-SPaRCNet samples",
    aliases=("iiic-sparcnet", "sparcnet"),
    role="extra",
    licence="ODC-By 1.0",
    access="open, https://github.com/bdsp-core/IIIC-SPaRCNet, folder code_for_figures/Data",
    citation="Jing et al. 2023, doi:10.1212/WNL.0000000000207127",
    expected_recordings=24,
    why_counts_differ="Not among the paper's datasets. The figures' samples only: all 50,697 scored segments are not "
    "public there. Persons are not published, so each sample counts as one, and two may be of the same.",
    sfreq=_SFREQ,
    ch_names=_CH_NAMES,
    reference="as recorded, common, not stated",
    mains_hz=60.0,
    labels={
        "Other": "none of the five patterns, artifacts included",
        "SZ": "electrographic seizure",
        "LPD": "lateralized periodic discharges",
        "GPD": "generalized periodic discharges",
        "LRDA": "lateralized rhythmic delta activity",
        "GRDA": "generalized rhythmic delta activity",
        TIE: "two or more of these have the most votes; the votes say which",
    },
    granularity="segment",
)
_IRR = DatasetCard(
    name="iiic-irr",
    title="IIIC inter-rater reliability samples",
    role="extra",
    licence="ODC-By 1.0",
    access="open, https://github.com/bdsp-core/IIIC-IRR, folder code_for_figures/Data/eFigure2",
    citation="Jing et al. 2023, doi:10.1212/WNL.0000000000201670",
    expected_recordings=20,
    why_counts_differ="Not among the paper's datasets. Persons are not published, so each sample counts as one, and "
    "two may be of the same, or of one in IIIC-SPaRCNet.",
    sfreq=_SFREQ,
    ch_names=_CH_NAMES,
    reference=_SPARCNET.reference,
    mains_hz=60.0,
    labels=_SPARCNET.labels,
    granularity="segment",
)


def _label(counts: Sequence[int], source: str, start_s: float) -> Label:
    """What most experts saw, with all votes.

    Args:
        counts: votes, in the order of `PATTERNS`.
        source: where they are published.
        start_s: of the ten labelled seconds.
    """
    votes = tuple((name, int(n)) for name, n in zip(PATTERNS, counts, strict=True) if n)
    most = max(n for _, n in votes)
    leaders = [name for name, n in votes if n == most]
    value = leaders[0] if len(leaders) == 1 else TIE
    return Label("pattern", value, "segment", source, start_s, _LABELLED_S, votes=votes)


def _sparcnet_entries(root: Path) -> list[Entry]:
    """Entries of every sample; ValueError without samples, or without their votes."""
    found = matching(root, r"(?:.+/)?(?P<name>[A-Za-z]+_sample\d)", ".mat")
    table = next(iter(sorted(root.rglob("samples.mat"))), None)
    if table is None:
        raise ValueError(
            "got samples without samples.mat, which holds the votes of the experts; put it (from Figure3) beside them"
        )
    rows = [row for cell in _read(table)["LUT"].ravel() for row in cell]
    votes = {str(row[0].item()): row[1].ravel() for row in rows}
    return [
        Entry(
            id=name,
            subject=fits["name"],
            path=path,
            labels=(_label(votes[fits["name"]], "samples.mat, votes", 20.0),) if fits["name"] in votes else (),
            duration_s=50.0,
        )
        for path, name, fits in found
    ]


def _irr_entries(root: Path) -> list[Entry]:
    """Entries of every sample, once, as .npz where both formats are there; ValueError where there is none."""
    ending = ".npz" if any(root.rglob("*_Sample*.npz")) else ".mat"
    entries: dict[str, Entry] = {}  # some samples stand in the folders of two figures
    for path, name, fits in matching(root, r"(?:.+/)?(?P<name>[A-T]_Sample\d\d)", ending):
        if fits["name"] not in entries:
            entries[fits["name"]] = Entry(name, fits["name"], path, _irr_labels(path), duration_s=_LABELLED_S)
    return list(entries.values())


def _irr_labels(path: Path) -> tuple[Label, ...]:
    """The votes in a file; none where it is damaged, which loading it will tell."""
    try:
        return (_label(_read(path)["vv"].ravel(), "vv, votes", 0.0),)
    except (RecordingError, KeyError):
        return ()


def _read(path: Path) -> Mapping[str, Any]:
    """Arrays of a MATLAB or NumPy file, each decoded when it is asked for where the format allows it.

    Raises:
        RecordingError: the file is damaged.
    """
    from scipy.io import loadmat

    try:
        return np.load(path, allow_pickle=False) if path.suffix == ".npz" else loadmat(path)
    except Exception as error:  # NumPy and SciPy raise what their parsers raise
        raise RecordingError(
            f"{path.name}: got content that cannot be decoded ({type(error).__name__}), expected the published file; "
            "copy it again"
        ) from None


def _load(entry: Entry, key: str) -> Loaded:
    """The array under `key`, 20 channels; artifacts of up to 45 mV are left as they are."""
    contents = _read(entry.path)
    if key not in contents:
        raise RecordingError(f"{entry.path.name}: got no array {key!r}, expected the published file; copy it again")
    format_name = "NumPy" if entry.path.suffix == ".npz" else "MATLAB"
    return Loaded(recording_from_array(entry.path, contents[key], _SFREQ, _CH_NAMES, format_name), entry.labels)


DATASETS: tuple[EegDataset, ...] = (
    EegDataset(_SPARCNET, _sparcnet_entries, partial(_load, key="seg")),
    EegDataset(_IRR, _irr_entries, partial(_load, key="seg_10sec")),
)
