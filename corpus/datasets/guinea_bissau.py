"""Guinea-Bissau: people with epilepsy and controls, a consumer headset of 14 electrodes (van Hees et al. 2018).

EEGs_Guinea-Bissau/signal-1.csv.gz    AF3 ... T8 with a DC offset near 4000, and columns of the headset that are no EEG
metadata_guineabissau.csv             group, order of eyes open and closed, remarks, length in seconds

Columns are microvolts: the steps of the values are 0.513, as of the 14-bit converter of this headset. Its range is 0 to
8401; dropouts stand at 0, and it saturates from 8333 on.
"""

import csv
import gzip
from pathlib import Path

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import matching, with_labels
from corpus.recording import RecordingError, recording_from_array

_LAYOUT = r"(?:.+/)?signal-(?P<subject>\d+)"
_TABLE = "metadata_guineabissau.csv"
_CH_NAMES = ("AF3", "AF4", "F3", "F4", "F7", "F8", "FC5", "FC6", "O1", "O2", "P7", "P8", "T7", "T8")
_SFREQ = 128.0
_LOWEST, _HIGHEST = 0.5, 8333.0  # less than one step above zero; full scale
_DIAGNOSES = {"Epilepsy": "epilepsy", "Control": "healthy control"}

_OPEN, _CLOSED = "eyes open", "eyes closed"
_Schedule = tuple[tuple[str, int, int], ...]  # state, start and end in seconds
_ORDERS: dict[str, _Schedule] = {
    "closed-3min-then-open-2min": ((_CLOSED, 0, 180), (_OPEN, 180, 300)),
    "open-3min-then-closed-2min": ((_OPEN, 0, 180), (_CLOSED, 180, 300)),
}
_EXCEPTIONS: dict[str, _Schedule] = {  # remarks on the eyes; only what holds for every reading of them
    "30sec more eyes closed": ((_CLOSED, 0, 180), (_OPEN, 210, 300)),
    "30sec more eyes closed; 3:30 stopped recording?": ((_CLOSED, 0, 180),),
    "0 to 2 minute eyes closed (sleep activity?), 2-4 minute eyes open, 4-6 minute eyes closed": (
        (_CLOSED, 0, 120),
        (_OPEN, 120, 240),
        (_CLOSED, 240, 360),
    ),
    "4min closed, 2min open": ((_CLOSED, 0, 240), (_OPEN, 240, 360)),
    "after 3.30 minutes eyes closed": ((_OPEN, 0, 210), (_CLOSED, 210, 300)),
    "After 5min eyes open": ((_CLOSED, 0, 300), (_OPEN, 300, 420)),
    "after 3:30 eyes open": ((_CLOSED, 0, 210), (_OPEN, 210, 330)),
    "after 3 minutes eyes open": ((_CLOSED, 0, 180), (_OPEN, 180, 300)),
    "at 2:25 eye open once": ((_CLOSED, 0, 140), (_CLOSED, 150, 180), (_OPEN, 180, 300)),
}
_HARMLESS = {  # remarks that leave the order of the eyes as it was
    "NA",
    "2.15 telephone rings",
    "Green lights not shown, but good EEG traces",
    "OC yellow/orange signal",
    "after 3 min reposition electrodes",
    "at 1 min short stop of EEG signal on screen",
    "at 3:50 orange channel (FC)",
    "at 4:30 orange channel (FC)",
    "became mute",
    "by 45s reposition electrodes",
    "difficulty keeping eyes fixed last two minutes",
    "light head tremor",
}

CARD = DatasetCard(
    name="guinea-bissau",
    title="EEG of people with epilepsy and controls, Guinea-Bissau",
    role="extra",
    licence="CC BY 4.0",
    access="open, https://zenodo.org/records/1252141; unpack EEGs_Guinea-Bissau.zip beside the table. The Nigerian "
    "part of that record has another layout and is not read",
    citation="van Hees et al. 2018, doi:10.5281/zenodo.1252141",
    expected_recordings=97,
    expected_subjects=97,
    why_counts_differ="Not among the paper's datasets.",
    sfreq=_SFREQ,
    ch_names=_CH_NAMES,
    reference="common mode sense of the headset, near P3",
    mains_hz=50.0,
    labels={
        "epilepsy": "person with epilepsy; nothing is said about the recording itself",
        "healthy control": "person without epilepsy",
        _OPEN: "as the protocol or the remark says, to the half minute; not measured",
        _CLOSED: "as the protocol or the remark says, to the half minute; not measured",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every recording; ValueError where there is none, or no table."""
    found = matching(root, _LAYOUT, ".csv.gz")
    table = next(iter(sorted(root.rglob(_TABLE))), None)
    if table is None:
        raise ValueError(f"got recordings without {_TABLE}, which holds their groups; put it into the same folder")
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = {row["subject.id"]: row for row in csv.DictReader(stream)}
    return [_entry(path, name, fits["subject"], rows.get(fits["subject"])) for path, name, fits in found]


def _entry(path: Path, name: str, subject: str, row: dict[str, str] | None) -> Entry:
    if row is None:  # not in the table
        return Entry(name, subject, path)
    diagnosis, duration_s = _DIAGNOSES[row["Group"]], float(row["recordedPeriod"])
    labels = [Label("diagnosis", diagnosis, "file", f"{_TABLE}, column Group")]
    for state, start_s, end_s in _schedule(row["Eyes.condition"], row["Remarks"]):
        if start_s < duration_s:
            length_s = min(end_s, duration_s) - start_s
            labels.append(Label("condition", state, "event", f"{_TABLE}, order of the eyes", start_s, length_s))
    return Entry(name, subject, path, tuple(labels), diagnosis=(diagnosis,), duration_s=duration_s)


def _schedule(order: str, remark: str) -> _Schedule:
    """When eyes were open or closed; empty where a remark leaves it in doubt, or says what we do not know."""
    remark = remark.strip()
    if remark in _EXCEPTIONS:
        return _EXCEPTIONS[remark]
    return _ORDERS.get(order, ()) if remark in _HARMLESS else ()


def _load(entry: Entry) -> Loaded:
    """The 14 electrodes without their offset; dropouts, saturation and interpolated packets are missing samples.

    Raises:
        RecordingError: the table of samples is damaged or lacks an electrode.
    """
    try:
        with gzip.open(entry.path, "rt", encoding="utf-8") as stream:
            names = next(csv.reader(stream))
            wanted = [names.index(name) for name in (*_CH_NAMES, "INTERPOLATED")]
            values = np.loadtxt(stream, delimiter=",", quotechar='"', usecols=wanted, ndmin=2).T
    except (OSError, EOFError, ValueError, StopIteration) as error:
        raise RecordingError(
            f"{entry.path.name}: got a table that cannot be read ({type(error).__name__}), expected the published "
            "columns; copy it again"
        ) from None
    signal_uv = values[:-1]
    signal_uv[(signal_uv < _LOWEST) | (signal_uv >= _HIGHEST)] = np.nan
    signal_uv[:, values[-1] != 0] = np.nan
    for channel in signal_uv:
        if not np.isnan(channel).all():
            channel -= np.nanmedian(channel)
    told = []
    if not any(label.kind == "condition" for label in entry.labels):
        told.append("the publisher leaves it in doubt when the eyes were open: there are no labels of it")
    recording = recording_from_array(entry.path, signal_uv, _SFREQ, _CH_NAMES, "CSV")
    return with_labels(recording, entry.labels, told)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
