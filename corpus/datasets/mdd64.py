"""MDD-64: major depression and controls, at rest and at an oddball task (Mumtaz et al. 2017).

MDD S1  EC.edf            eyes closed; one or two blanks
H S1 EO.edf               eyes open, healthy
MDD S12 TASK.edf          P300
6921143_H S15 EO.edf      twice in the archive, with the publisher's number
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label
from corpus.datasets.events import matching

_LAYOUT = r"(?:.+/)?(?:(?P<copy>\d+)_)?(?P<group>H|MDD)\s+(?P<code>S\d+)\s+(?P<what>EC|EO|TASK)"
_GROUPS = {"MDD": "major depressive disorder", "H": "healthy control"}
_WHAT = {"EC": ("condition", "eyes closed"), "EO": ("condition", "eyes open"), "TASK": ("task", "oddball task")}
_ELECTRODES = "Fp1 F3 C3 P3 O1 F7 T3 T5 Fz Fp2 F4 C4 P4 O2 F8 T4 T6 Cz Pz"

CARD = DatasetCard(
    name="mdd-64",
    title="MDD Patients and Healthy Controls EEG Data (New)",
    aliases=("mumtaz",),
    role="corpus",
    licence="CC BY 4.0",
    access="open, https://doi.org/10.6084/m9.figshare.4244171.v2",
    citation="Mumtaz et al. 2017, doi:10.1016/j.bspc.2016.07.006; doi:10.6084/m9.figshare.4244171.v2",
    expected_recordings=180,
    expected_subjects=64,
    paper_segments=(5738, 1466),
    why_counts_differ="The archive has 181 files; H S15 EO is in it twice, and we read the later copy. All files "
    "together hold about 7,400 segments, so the paper's 7,204 include the oddball task. Its split is not stated.",
    sfreq=256.0,
    ch_names=(*(f"EEG {name}-LE" for name in _ELECTRODES.split()), "EEG A2-A1"),
    reference="linked ears; filtered 0.5-70 Hz with a notch while recording",
    mains_hz=50.0,
    labels={
        "major depressive disorder": "outpatients, file names that begin with MDD",
        "healthy control": "file names that begin with H",
        "eyes closed": "at rest, five minutes",
        "eyes open": "at rest, five minutes",
        "oddball task": "P300, about ten minutes",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file, of two copies the one with the higher number; ValueError where there is none."""
    entries: dict[tuple[str, str], tuple[int, Entry]] = {}
    for path, name, fits in matching(root, _LAYOUT):
        diagnosis, (kind, value) = _GROUPS[fits["group"]], _WHAT[fits["what"]]
        subject, number = f"{fits['group']} {fits['code']}", int(fits["copy"] or 0)
        labels = (
            Label(kind, value, "file", f"{fits['what']} in the file name"),
            Label("diagnosis", diagnosis, "file", f"{fits['group']} in the file name"),
        )
        known = entries.get((subject, value))
        if known is None or known[0] < number:
            entries[subject, value] = number, Entry(name, subject, path, labels, diagnosis=(diagnosis,))
    return sorted((entry for _, entry in entries.values()), key=lambda entry: entry.id)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries),)
