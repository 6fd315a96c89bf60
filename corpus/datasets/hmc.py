"""HMC: one night of sleep of each of 151 patients, scored by AASM (Alvarez-Estevez & Rijsman 2021).

recordings/SN001.edf                   four EEG channels, chin, eyes, heart, 256 Hz
recordings/SN001_sleepscoring.edf      annotations "Sleep stage W", N1, N2, N3, R of 30 s
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Loaded, Split
from corpus.datasets.events import matching
from corpus.datasets.hypnogram import STAGES, with_scoring
from corpus.recording import read_recording

_LAYOUT = r"(?:.+/)?(?P<subject>SN(?P<number>\d{3}))"
_N_RECORDINGS = 151
_N_MISSING = 3  # numbers run to SN154
_N_TRAIN, _N_VAL = 100, 25

CARD = DatasetCard(
    name="hmc",
    title="Haaglanden Medisch Centrum sleep staging database 1.1",
    aliases=("hmc-sleep-staging",),
    role="corpus",
    licence="CC BY 4.0",
    access="open, https://physionet.org/content/hmc-sleep-staging/1.1/",
    citation="Alvarez-Estevez & Rijsman 2021, doi:10.1371/journal.pone.0256111; doi:10.13026/t79q-fr32",
    expected_recordings=_N_RECORDINGS,
    expected_subjects=_N_RECORDINGS,
    paper_segments=(25000, 1000),
    why_counts_differ="The paper's round numbers are a selection whose rule it does not state; we yield every 10 s of "
    "the night, three segments to each scored 30 s. The split is NeuroLM's: sorted recordings, 100 to train, 25 to "
    "validate, 26 to test. It follows from the rank among all 151 files; in an incomplete folder, recordings whose "
    "number alone does not decide it (SN101-SN103, SN126-SN128) have none.",
    sfreq=256.0,
    ch_names=(
        *("EEG F4-M1", "EEG C4-M1", "EEG O2-M1", "EEG C3-M2"),
        *("EMG chin", "EOG E1-M2", "EOG E2-M2", "ECG"),
    ),
    reference="the mastoid of the other side; corpus.montage.pick_eeg calls the channels F4, C4, O2 and C3",
    mains_hz=50.0,
    labels=STAGES,
    granularity="segment",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file but the scorings; ValueError where there is none."""
    found = matching(root, _LAYOUT)
    complete = len(found) == _N_RECORDINGS
    entries = []
    for rank, (path, name, fits) in enumerate(found):
        highest = rank if complete else int(fits["number"]) - 1
        lowest = rank if complete else highest - _N_MISSING
        entries.append(Entry(name, fits["subject"], path, split=_split(lowest, highest)))
    return entries


def _split(lowest: int, highest: int) -> Split | None:
    """NeuroLM's side (Jiang et al., arXiv:2409.00101) of a recording with such a rank; None where it is not certain."""
    sides: list[Split] = [
        "train" if rank < _N_TRAIN else "val" if rank < _N_TRAIN + _N_VAL else "test" for rank in (lowest, highest)
    ]
    return sides[0] if sides[0] == sides[1] else None


def _load(entry: Entry) -> Loaded:
    """The recording with its stages; RecordingError where one of its two files is damaged or missing."""
    scoring = entry.path.with_name(f"{entry.path.stem}_sleepscoring.edf")
    return with_scoring(read_recording(entry.path), entry.path, scoring)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
