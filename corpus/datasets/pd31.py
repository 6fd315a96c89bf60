"""PD31, "UC San Diego Resting State EEG Data from Patients with Parkinson's Disease" (Rockhill et al. 2021).

participants.tsv      participant_id, age, gender, hand, MMSE, NAART, disease_duration, rl_deficits, notes
sub-hc1/ses-hc/eeg/sub-hc1_ses-hc_task-rest_eeg.bdf
sub-pd3/ses-off/eeg/sub-pd3_ses-off_task-rest_eeg.bdf      at least 12 h without dopaminergic medication
sub-pd3/ses-on/eeg/sub-pd3_ses-on_task-rest_eeg.bdf
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import with_labels
from corpus.datasets.openneuro import eeg_files, facts
from corpus.recording import read_recording

_GROUPS = {"pd": "Parkinson's disease", "hc": "healthy control"}
_SESSIONS = {"off": "off dopaminergic medication", "on": "on dopaminergic medication"}
_RESTORED = ("sub-pd6_ses-on_task-rest_eeg.bdf", "sub-pd16_ses-on_task-rest_eeg.bdf")  # notes of participants.tsv

CARD = DatasetCard(
    name="pd31",
    title="UC San Diego Resting State EEG Data from Patients with Parkinson's Disease (ds002778)",
    aliases=("ds002778",),
    role="corpus",
    licence="CC0",
    access="open, https://openneuro.org/datasets/ds002778",
    citation="Rockhill et al. 2021, doi:10.18112/openneuro.ds002778.v1.0.5; Jackson et al. 2019, "
    "doi:10.1523/ENEURO.0151-19.2019; George et al. 2013, doi:10.1016/j.nicl.2013.07.013",
    expected_recordings=46,
    expected_subjects=31,
    paper_segments=(601, 217),
    why_counts_differ="46 recordings of about 190 s hold 18 or 19 segments each, some 850; the paper's 818 are fewer, "
    "and its split and cutting are not stated. A patient's two sessions stay on one side here.",
    sfreq=512.0,
    reference="none (BioSemi CMS)",
    mains_hz=60.0,
    labels={
        "Parkinson's disease": "subject code sub-pd",
        "healthy control": "subject code sub-hc",
        "rest": "the only task",
        "off dopaminergic medication": "session off: not taken for at least 12 hours",
        "on dopaminergic medication": "session on: taken as usual",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every recording; ValueError where there is none or no participants.tsv."""
    entries = []
    for file in eeg_files(root, ".bdf"):
        code = file.entities["sub"][:2]
        group, session = _GROUPS.get(code), _SESSIONS.get(file.entities.get("ses", ""))
        labels = [Label("task", "rest", "file", "task-rest in the file name")]
        labels += [Label("diagnosis", group, "file", f"subject code sub-{code}")] if group else []
        labels += [Label("condition", session, "file", f"session {file.entities['ses']}")] if session else []
        entries.append(
            Entry(
                id=file.id,
                subject=file.subject,
                path=file.path,
                labels=tuple(labels),
                facts=facts(file.participant.get("age", ""), file.participant.get("gender", "")),
                diagnosis=(group,) if group else (),
            )
        )
    return entries


def _load(entry: Entry) -> Loaded:
    """The recording; two of them are told to be restored ones. RecordingError where it is damaged."""
    restored = "restored by the publisher from data that were already preprocessed"
    told = [restored] if entry.path.name in _RESTORED else []
    return with_labels(read_recording(entry.path), entry.labels, told)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
