"""Schizophrenia-28: paranoid schizophrenia and controls, eyes closed (Olejarczyk & Jernajczyk 2017).

s01.edf to s14.edf      patients
h01.edf to h14.edf      healthy, matched in age and sex
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label
from corpus.datasets.events import matching

_LAYOUT = r"(?:.+/)?(?P<subject>(?P<group>[hs])(?:0[1-9]|1[0-4]))"
_GROUPS = {"s": "schizophrenia", "h": "healthy control"}
_ELECTRODES = "Fp2 F8 T4 T6 O2 Fp1 F7 T3 T5 O1 F4 C4 P4 F3 C3 P3 Fz Cz Pz"

CARD = DatasetCard(
    name="schizophrenia-28",
    title="EEG in schizophrenia (RepOD)",
    aliases=("repod", "schizophrenia"),
    role="corpus",
    licence="CC0",
    access="open, https://doi.org/10.18150/repod.0107441",
    citation="Olejarczyk & Jernajczyk 2017, doi:10.1371/journal.pone.0188629; doi:10.18150/repod.0107441",
    expected_recordings=28,
    expected_subjects=28,
    paper_segments=(2157, 680),
    why_counts_differ="28 recordings of 15 min, as published, would be 2,520 segments; the paper has 2,837, because "
    "the files are longer. Its split is not stated.",
    sfreq=250.0,
    ch_names=tuple(_ELECTRODES.split()),  # another order in h12
    reference="FCz",
    mains_hz=50.0,
    labels={
        "schizophrenia": "paranoid type (ICD-10 F20.0), at least a week without medication",
        "healthy control": "matched in age and sex",
        "eyes closed": "at rest, the whole recording",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file; ValueError where there is none."""
    entries = []
    for path, name, fits in matching(root, _LAYOUT):
        diagnosis = _GROUPS[fits["group"]]
        labels = (
            Label("condition", "eyes closed", "file", "the only condition"),
            Label("diagnosis", diagnosis, "file", f"{fits['group']} in the file name"),
        )
        entries.append(Entry(name, fits["subject"], path, labels, diagnosis=(diagnosis,)))
    return entries


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries),)
