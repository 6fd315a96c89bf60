"""Depression-122: students with few or many depressive symptoms at rest (Cavanagh et al. 2019).

participants.tsv      participant_id, Original_ID, sex (1 female, 2 male), age, BDI, STAI, SCID, SCID_notes, HamD
sub-001/eeg/sub-001_task-Rest_run-01_eeg.set, .fdt
sub-001/eeg/sub-001_task-Rest_run-01_events.tsv      a tick every half second or two, its code says which eyes

Some event tables name the ticks in `trial_type` ("Eyes Closed: Every 500 ms"), some say only STATUS and give the code
in `value`: odd for closed, even for open, 17 for start and finish.
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import on_signal, with_labels
from corpus.datasets.openneuro import eeg_files, facts, number, read_tsv
from corpus.recording import read_recording

_SEX = {"1": "F", "2": "M", "1.0": "F", "2.0": "M"}
_HIGH_BDI, _LOW_BDI = 13, 7  # at least, below; the publisher's groups leave a gap
_UNSTABLE = "sub-038"  # its questionnaires contradict each other: the publisher calls it invalid
_INTERVIEW = {"current mdd": "current major depression", "past mdd": "past major depression"}
_CODES = {code: "eyes closed" if code % 2 else "eyes open" for code in (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16)}
_TICK_S = 0.5
_LONGEST_PAUSE_S = 2.5  # between ticks of one block

CARD = DatasetCard(
    name="depression-122",
    title="EEG: Depression rest (ds003478)",
    aliases=("ds003478",),
    role="zero-shot",
    licence="CC0",
    access="open, https://openneuro.org/datasets/ds003478",
    citation="Cavanagh et al. 2019, doi:10.1162/cpsy_a_00024; doi:10.18112/openneuro.ds003478.v1.1.0",
    expected_recordings=243,
    expected_subjects=122,
    why_counts_differ="Zero-shot in the paper, which gives no segment counts and not the rule from scores to classes. "
    "Ours is the publisher's way of inviting: BDI of 13 and more, or below 7; between them no label. sub-010 has one "
    "run, sub-038 no label. The only one of the three zero-shot sets that LaBraM was not pretrained on. "
    "M1 and M2 are references and CB1 and CB2 no known electrodes, so corpus.montage.pick_eeg sets them aside.",
    sfreq=500.0,
    reference="between Cz and CPz; HEOG and VEOG may be exchanged",
    mains_hz=60.0,
    labels={
        "depressive symptoms": "BDI of 13 or more: a questionnaire, not a diagnosis",
        "healthy control": "BDI below 7",
        "current major depression": "by interview (SCID), held with some of those of high BDI",
        "past major depression": "by interview (SCID), held with some of those of high BDI",
        "eyes closed": "blocks of about a minute",
        "eyes open": "blocks of about a minute",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every recording; ValueError where there is none or no participants.tsv."""
    entries = []
    for file in eeg_files(root, ".set"):
        row = file.participant
        found = {} if file.subject == _UNSTABLE else _diagnoses(row.get("BDI", ""), row.get("SCID", ""))
        entries.append(
            Entry(
                id=file.id,
                subject=file.subject,
                path=file.path,
                labels=tuple(
                    Label("diagnosis", value, "file", f"participants.tsv, {column}") for column, value in found.items()
                ),
                facts=facts(row.get("age", ""), row.get("sex", ""), _SEX),
                diagnosis=tuple(found.values()),
            )
        )
    return entries


def _diagnoses(bdi: str, scid: str) -> dict[str, str]:
    """Column to label, from the cells of the questionnaire and of the interview."""
    score, found = number(bdi), {}
    if score is not None and (score >= _HIGH_BDI or score < _LOW_BDI):
        found["BDI"] = "depressive symptoms" if score >= _HIGH_BDI else "healthy control"
    if scid.lower() in _INTERVIEW:
        found["SCID"] = _INTERVIEW[scid.lower()]
    return found


def _load(entry: Entry) -> Loaded:
    """The recording with its blocks of open and closed eyes; RecordingError where something is damaged."""
    events = entry.path.with_name(entry.path.name.removesuffix("_eeg.set") + "_events.tsv")
    recording = read_recording(entry.path)
    if not events.is_file():
        return with_labels(recording, entry.labels, ["no events table: when the eyes were open is not known"])
    return with_labels(recording, (*entry.labels, *on_signal(recording, _blocks(read_tsv(events)))))


def _blocks(rows: list[dict[str, str]]) -> list[Label]:
    """Runs of ticks of one state, from the first to half a second after the last."""
    onsets = [(number(row.get("onset", "")), _state(row)) for row in rows]
    blocks: list[tuple[str, float, float]] = []
    for onset_s, state in sorted((onset_s, state) for onset_s, state in onsets if onset_s is not None):
        if blocks and blocks[-1][0] == state and onset_s - blocks[-1][2] <= _LONGEST_PAUSE_S:
            blocks[-1] = (state, blocks[-1][1], onset_s + _TICK_S)
        else:
            blocks.append((state, onset_s, onset_s + _TICK_S))
    source = "events.tsv, ticks of one block"
    return [Label("condition", state, "event", source, a, b - a) for state, a, b in blocks if state]


def _state(row: dict[str, str]) -> str:
    """Which eyes an event stands for; "" for one that ends a block."""
    words = row.get("trial_type", "").lower().partition(":")[0]
    if words in ("eyes closed", "eyes open"):
        return words
    code = number(row.get("value", ""))
    return _CODES.get(int(code), "") if code is not None else ""


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
