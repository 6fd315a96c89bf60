"""AD-65: eyes-closed EEG of Alzheimer's disease, frontotemporal dementia and controls (Miltiadous et al. 2023).

participants.tsv      participant_id, Gender, Age, Group (A, F, C), MMSE
sub-001/eeg/sub-001_task-eyesclosed_eeg.set
derivatives/sub-001/eeg/sub-001_task-eyesclosed_eeg.set      filtered and cleaned by the publisher, not read
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label
from corpus.datasets.openneuro import eeg_files, facts

_GROUPS = {"A": "Alzheimer's disease", "F": "frontotemporal dementia", "C": "healthy control"}
_ELECTRODES = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T3 T4 T5 T6 Fz Cz Pz"

CARD = DatasetCard(
    name="ad-65",
    title="A dataset of EEG recordings from: Alzheimer's disease, Frontotemporal dementia and Healthy subjects",
    aliases=("ds004504",),
    role="corpus",
    licence="CC0",
    access="open, https://openneuro.org/datasets/ds004504 (about 5 GB with derivatives, which are not read)",
    citation="Miltiadous et al. 2023, doi:10.3390/data8060095; doi:10.18112/openneuro.ds004504.v1.0.2",
    expected_recordings=88,
    expected_subjects=88,
    paper_segments=(5460, 1382),
    why_counts_differ="The paper counts 65 subjects, which is Alzheimer's disease (36) and controls (29). These hold "
    "14.8 h, but its 6,842 segments are 19.0 h, which only all three groups (88 subjects, 19.4 h) can give. We read "
    "all three. The paper states neither its split nor its cutting.",
    sfreq=500.0,
    ch_names=tuple(_ELECTRODES.split()),
    reference="A1 and A2 by eeg.json, Cz by the README: not certain",
    mains_hz=50.0,
    labels={
        "Alzheimer's disease": "group A",
        "frontotemporal dementia": "group F",
        "healthy control": "group C",
        "eyes closed": "at rest, the whole recording",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every recording outside of derivatives; ValueError where there is none or no participants.tsv."""
    entries = []
    for file in eeg_files(root, ".set"):
        row = file.participant
        group = _GROUPS.get(row.get("Group", ""))
        labels = [Label("condition", "eyes closed", "file", "task-eyesclosed in the file name")]
        labels += [Label("diagnosis", group, "file", "participants.tsv, Group")] if group else []
        entries.append(
            Entry(
                id=file.id,
                subject=file.subject,
                path=file.path,
                labels=tuple(labels),
                facts=facts(row.get("Age", ""), row.get("Gender", "")),
                diagnosis=(group,) if group else (),
            )
        )
    return entries


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries),)
