"""SEED and SEED-IV: people watch film clips that make them happy, sad or afraid (Zheng & Lu 2015; Zheng et al. 2019).

SEED      Preprocessed_EEG/1_20131027.mat     person and day; arrays djc_eeg1 ... djc_eeg15, one of each clip
          Preprocessed_EEG/label.mat          -1, 0 or 1 of each clip
          ExtractedFeatures/1_20131027.mat    other arrays under the same file names, not read
SEED-IV   eeg_raw_data/1/1_20160518.mat       session, person and day; arrays cz_eeg1 ... cz_eeg24

Arrays are (62, T) in microvolts at 200 Hz. What precedes "_eeg" is a person's initials and is never passed on. A clip
is a recording of its own, since the time between two of them is not published.
"""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded, Split
from corpus.datasets.events import matching
from corpus.recording import RecordingError, recording_from_array

_SFREQ = 200.0
_ELECTRODES = (
    "FP1 FPZ FP2 AF3 AF4 F7 F5 F3 F1 FZ F2 F4 F6 F8 FT7 FC5 FC3 FC1 FCZ FC2 FC4 FC6 FT8 T7 C5 C3 C1 CZ C2 C4 C6 T8 "
    "TP7 CP5 CP3 CP1 CPZ CP2 CP4 CP6 TP8 P7 P5 P3 P1 PZ P2 P4 P6 P8 PO7 PO5 PO3 POZ PO4 PO6 PO8 CB1 O1 OZ O2 CB2"
)
_CH_NAMES = tuple(_ELECTRODES.split())
_LAYOUT = r"(?:(?:.+/)?Preprocessed_EEG/)?(?P<subject>\d+)_\d{8}"
_LAYOUT_IV = r"(?:(?:.+/)?eeg_raw_data/)?(?P<session>[123])/(?P<subject>\d+)_\d{8}"
_TASK = "watching a film clip"
_EMOTIONS = {-1: "negative emotion", 0: "neutral emotion", 1: "positive emotion"}
_EMOTIONS_IV = {0: "neutral emotion", 1: "sadness", 2: "fear", 3: "happiness"}
_CLIPS = (1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1)
_CLIPS_IV = {
    "1": (1, 2, 3, 0, 2, 0, 0, 1, 0, 1, 2, 1, 1, 1, 2, 3, 2, 2, 3, 3, 0, 3, 0, 3),
    "2": (2, 1, 3, 0, 0, 2, 0, 2, 3, 3, 2, 3, 2, 0, 1, 1, 2, 1, 0, 3, 0, 1, 3, 1),
    "3": (1, 2, 2, 1, 3, 3, 3, 1, 1, 2, 1, 0, 2, 3, 3, 0, 2, 3, 0, 0, 2, 0, 1, 0),
}
_N_TRAIN, _N_VAL = 9, 3  # clips of a session

_card = partial(
    DatasetCard,
    licence="licence agreement with BCMI, Shanghai Jiao Tong University: academic use, no redistribution",
    sfreq=_SFREQ,
    ch_names=_CH_NAMES,
    reference="as recorded, common; corpus.montage.pick_eeg sets CB1 and CB2 aside, which are no known electrodes",
    mains_hz=50.0,
)

CARD = _card(
    name="seed",
    title="SJTU Emotion EEG Dataset (SEED)",
    role="corpus",
    access="by signed application, https://bcmi.sjtu.edu.cn/home/seed/seed.html",
    citation="Zheng & Lu 2015, doi:10.1109/TAMD.2015.2431497",
    expected_recordings=675,
    expected_subjects=15,
    paper_segments=(8293, 1050),
    why_counts_differ="15 subjects, three days, 15 clips of about four minutes: 675 recordings. Clips 1-9 of all days "
    "hold 8,820 segments and clips 13-15 hold 2,970; how the paper comes to 8,293 and 1,050 is not stated. The "
    "published split is NeuroLM's: clips 1-9 to train, 10-12 to validate, 13-15 to test, so every subject stands on "
    "all three sides: it is not subject-disjoint. NeuroLM cuts the raw .cnt files, we read the published 0-75 Hz "
    "version. SEED was part of LaBraM's pretraining, without labels.",
    labels={
        _TASK: "the whole recording",
        "positive emotion": "what the clip is meant to raise (1)",
        "neutral emotion": "0",
        "negative emotion": "-1",
    },
)
CARD_IV = _card(
    name="seed-iv",
    title="SEED-IV",
    aliases=("seed4",),
    role="zero-shot",
    access="by signed application, https://bcmi.sjtu.edu.cn/home/seed/seed-iv.html",
    citation="Zheng, Liu, Lu, Lu & Cichocki 2019, doi:10.1109/TCYB.2018.2797176",
    expected_recordings=1080,
    expected_subjects=15,
    why_counts_differ="Zero-shot in the paper, which gives no segment counts; it takes sadness and fear together as "
    "negative. Three sessions of 24 clips of 15 subjects: 1,080 recordings. SEED-IV was part of LaBraM's pretraining, "
    "so it is not unseen by that encoder.",
    labels={
        _TASK: "the whole recording",
        "neutral emotion": "what the clip is meant to raise (0)",
        "sadness": "1",
        "fear": "2",
        "happiness": "3",
    },
)


def _trials(name: str, subject: str, path: Path, emotions: list[str], source: str) -> list[Entry]:
    """An entry of each clip of a file."""
    return [
        Entry(
            id=f"{name}/{clip:02d}",
            subject=subject,
            path=path,
            labels=(Label("task", _TASK, "file", "the only task"), Label("emotion", emotion, "file", source)),
            part=str(clip),
        )
        for clip, emotion in enumerate(emotions, start=1)
    ]


def _entries(root: Path) -> list[Entry]:
    """Entries of SEED; ValueError where there is no file of it, or label.mat is damaged."""
    entries = []
    for path, name, fits in matching(root, _LAYOUT, ".mat"):
        codes, source = _codes(path.with_name("label.mat"))
        entries += _trials(name, fits["subject"], path, [_EMOTIONS[code] for code in codes], source)
    return [replace(entry, split=_split(int(entry.part))) for entry in entries]


def _entries_iv(root: Path) -> list[Entry]:
    """Entries of SEED-IV; ValueError where there is no file of it."""
    entries = []
    for path, name, fits in matching(root, _LAYOUT_IV, ".mat"):
        emotions = [_EMOTIONS_IV[code] for code in _CLIPS_IV[fits["session"]]]
        entries += _trials(name, fits["subject"], path, emotions, f"published list of session {fits['session']}")
    return entries


def _split(clip: int) -> Split:
    """NeuroLM's side of a clip (Jiang et al., arXiv:2409.00101)."""
    return "train" if clip <= _N_TRAIN else "val" if clip <= _N_TRAIN + _N_VAL else "test"


def _codes(path: Path) -> tuple[tuple[int, ...], str]:
    """Emotion codes of the 15 clips and their source: label.mat, without it the published list."""
    from scipy.io import loadmat

    if not path.is_file():
        return _CLIPS, "published list of clips"
    try:
        codes = tuple(int(code) for code in loadmat(path)["label"].ravel())
    except Exception as error:  # SciPy raises what its parsers raise
        raise ValueError(f"label.mat: got no array 'label' ({type(error).__name__}); copy it again") from None
    if len(codes) != len(_CLIPS) or not set(codes) <= set(_EMOTIONS):
        raise ValueError(f"label.mat: got {codes}, expected 15 of -1, 0 and 1; copy it again")
    return codes, "label.mat"


def _load(entry: Entry) -> Loaded:
    """The array of one clip; RecordingError where the file does not hold exactly one."""
    from scipy.io import loadmat, whosmat

    path = entry.path
    try:
        keys = [name for name, *_ in whosmat(path) if re.fullmatch(rf"\w+_eeg{entry.part}", name)]
        signals = [loadmat(path, variable_names=keys)[key] for key in keys]
    except Exception as error:  # SciPy raises what its parsers raise
        raise RecordingError(
            f"{path.name}: got content that cannot be decoded ({type(error).__name__}), expected the published MATLAB "
            "file; copy it again"
        ) from None
    if len(signals) != 1:
        raise RecordingError(
            f"{path.name}: got {len(signals)} arrays of clip {entry.part}, expected one; copy the file again"
        )
    return Loaded(recording_from_array(path, signals[0], _SFREQ, _CH_NAMES, "MATLAB"), entry.labels)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load), EegDataset(CARD_IV, _entries_iv, _load))
