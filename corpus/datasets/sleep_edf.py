"""Sleep-EDF Expanded: nights at home and in hospital, two EEG derivations (Kemp et al. 2000).

sleep-cassette/SC4001E0-PSG.edf        SC4, person 00, night 1
sleep-cassette/SC4001EC-Hypnogram.edf  of the same first six letters; the eighth letter is the scorer
sleep-telemetry/ST7011J0-PSG.edf, ST7011JP-Hypnogram.edf
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Loaded
from corpus.datasets.events import matching
from corpus.datasets.hypnogram import MOVEMENT, STAGES, with_scoring
from corpus.recording import RecordingError, read_recording

_LAYOUT = r"(?:.+/)?(?P<subject>(?:SC4|ST7)\d\d)\d[A-Z]\d-PSG"
_N_LETTERS = 6  # shared by the two files of a night
_CH_NAMES = ("EEG Fpz-Cz", "EEG Pz-Oz", "EOG horizontal", "Resp oro-nasal", "EMG submental", "Temp rectal")

CARD = DatasetCard(
    name="sleep-edf",
    title="Sleep-EDF Database Expanded 1.0.0",
    aliases=("sleep-edfx", "sleep-edf-expanded"),
    role="image",
    licence="ODC-By 1.0",
    access="open, https://physionet.org/content/sleep-edfx/1.0.0/. Fpz-Cz and Pz-Oz are bipolar derivations: "
    "corpus.montage.pick_eeg wants electrodes against a common reference, so it sets both aside and refuses the "
    "recording",
    citation="Kemp et al. 2000, doi:10.1109/10.867928; Goldberger et al. 2000, doi:10.1161/01.CIR.101.23.e215; "
    "doi:10.13026/C2X676",
    expected_recordings=197,
    expected_subjects=100,
    why_counts_differ="Not among the paper's datasets; without derivations as channels no segment comes from it here. "
    "153 cassettes of 78 persons and 44 telemetry nights of 22, most persons with two nights.",
    sfreq=100.0,
    ch_names=(*_CH_NAMES, "Event marker"),  # telemetry: without breath and temperature
    reference="none: two derivations",
    mains_hz=50.0,
    labels=STAGES | MOVEMENT,
    granularity="segment",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every night; ValueError where there is none."""
    return [Entry(name, fits["subject"], path) for path, name, fits in matching(root, _LAYOUT)]


def _load(entry: Entry) -> Loaded:
    """The recording with its stages; RecordingError where one of its two files is damaged or missing."""
    path = entry.path
    scorings = sorted(path.parent.glob(f"{path.name[:_N_LETTERS]}*-Hypnogram.edf"))
    if len(scorings) != 1:
        raise RecordingError(
            f"{path.name}: got {len(scorings)} files {path.name[:_N_LETTERS]}*-Hypnogram.edf beside it, expected one; "
            "copy the published folder again"
        )
    return with_scoring(read_recording(path), path, scorings[0])


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
