"""The annotation files of the TUH EEG corpora: `.csv`, `.csv_bi`, `.tse_agg` and `.rec`.

Times are seconds from the first sample. Event-based files (`.csv`, `.rec`) name a channel of the TCP montage in each
row; term-based ones (`.csv_bi`, `.tse_agg`) speak of all channels. Format: AAREADME.txt of TUSZ v2.0.3 and TUEV v2.0.0;
Buckwalter et al. 2021, doi:10.1109/SPMB52430.2021.9672302.
"""

from collections.abc import Iterable
from pathlib import Path

from corpus.datasets.base import Label
from corpus.datasets.events import read_lines
from corpus.recording import RecordingError

TCP_CHANNELS = (
    *("FP1-F7", "F7-T3", "T3-T5", "T5-O1", "FP2-F8", "F8-T4", "T4-T6", "T6-O2", "A1-T3", "T3-C3", "C3-CZ"),
    *("CZ-C4", "C4-T4", "T4-A2", "FP1-F3", "F3-C3", "C3-P3", "P3-O1", "FP2-F4", "F4-C4", "C4-P4", "P4-O2"),
)
"""Derivations of the temporal central parasagittal montage; `.rec` files give the place in this list, from 0."""

_REC_CHANNELS = dict(enumerate(TCP_CHANNELS))
_REC_VALUES = {1: "spsw", 2: "gped", 3: "pled", 4: "eyem", 5: "artf", 6: "bckg"}

SEIZURES = {
    "seiz": "seizure, type not given",
    "fnsz": "focal non-specific seizure",
    "gnsz": "generalized non-specific seizure",
    "spsz": "simple partial seizure",
    "cpsz": "complex partial seizure",
    "absz": "absence seizure",
    "tnsz": "tonic seizure",
    "cnsz": "clonic seizure",
    "tcsz": "tonic-clonic seizure",
    "atsz": "atonic seizure",
    "mysz": "myoclonic seizure",
    "nesz": "non-epileptic seizure",
}
PATTERNS = {
    "spsw": "spike and sharp wave",
    "gped": "generalized periodic epileptiform discharges (GPD)",
    "pled": "periodic lateralized epileptiform discharges (LPD)",
    "slow": "slowing",
    "trip": "triphasic wave",
    "hphs": "hypnagogic hypersynchrony",
    "intr": "interesting pattern",
}
ARTIFACTS = {
    "eyem": "eye movement",
    "eybl": "eye blink",
    "chew": "chewing",
    "shiv": "shivering",
    "musc": "muscle",
    "elec": "electrode artifact (pop, static, lead)",
    "elpp": "electrode pop",
    "elst": "electrostatic artifact",
    "calb": "calibration",
    "artf": "artifact of any other kind",
}
BACKGROUND = {"bckg": "background: no other label on these channels; with channels named, others may carry one"}

_KINDS = {
    **dict.fromkeys(SEIZURES, "event"),
    **dict.fromkeys(PATTERNS, "pattern"),
    **dict.fromkeys(ARTIFACTS, "artifact"),
    **dict.fromkeys(BACKGROUND, "state"),
}
_Row = tuple[str, float, float, str]  # channel ("" for all), start, stop, published label


def read_labels(path: Path) -> list[Label]:
    """Labels of one annotation file, by start; rows that differ only in the channel become one label.

    A combination such as "eyem_musc" becomes one label for each of its parts, with the combination in `source`.

    Raises:
        RecordingError: a row or a label that the format does not know.
    """
    rows = _ROWS_OF[path.suffix](path)
    channels: dict[tuple[float, float, str], list[str]] = {}
    for channel, start, stop, published in rows:
        channels.setdefault((start, stop, published), []).append(channel)
    labels = []
    for (start, stop, published), names in channels.items():
        parts = published.split("_")
        source = path.name if len(parts) == 1 else f"{path.name}: {published}"
        ch_names = () if "" in names else tuple(dict.fromkeys(names))
        for value in parts:
            if value not in _KINDS:
                raise RecordingError(
                    f"{path.name}: got the label {published!r}, expected one of {', '.join(_KINDS)}; is this the "
                    "version that the card of the dataset names?"
                )
            labels.append(Label(_KINDS[value], value, "event", source, start, stop - start, ch_names))
    return sorted(labels, key=lambda label: label.start_s)


def _split(path: Path, lines: Iterable[str], separator: str | None, n_columns: int) -> list[list[str]]:
    """Columns of each line; RecordingError where a line has another number of them."""
    rows = [[part.strip() for part in line.split(separator)] for line in lines]
    for row in rows:
        if len(row) != n_columns:
            raise _damaged(path, n_columns, row)
    return rows


def _damaged(path: Path, n_columns: int, row: list[str]) -> RecordingError:
    return RecordingError(
        f"{path.name}: got a row of {len(row)} columns ({', '.join(row)[:60]}), expected {n_columns} with times in "
        "seconds; copy the file again"
    )


def _csv_rows(path: Path) -> list[_Row]:
    """Comment lines with "#", then channel,start_time,stop_time,label,confidence; "TERM" stands for all channels."""
    lines = [line for line in read_lines(path) if line and not line.startswith("#")]
    if not lines or lines[0].split(",")[:4] != ["channel", "start_time", "stop_time", "label"]:
        raise RecordingError(
            f"{path.name}: got no line of column names, expected channel,start_time,stop_time,label,confidence; copy "
            "the file again"
        )
    rows = _split(path, lines[1:], ",", 5)
    return [("" if row[0] == "TERM" else row[0], *_times(path, row, 1), row[3].lower()) for row in rows]


def _tse_rows(path: Path) -> list[_Row]:
    """A line "version = tse_v1.0.0", a blank one, then start stop label probability, separated by blanks."""
    lines = [line for line in read_lines(path) if line and not line.startswith(("version", "#"))]
    return [("", *_times(path, row, 0), row[2].lower()) for row in _split(path, lines, None, 4)]


def _rec_rows(path: Path) -> list[_Row]:
    """channel number,start,stop,label number: the channel counts from 0 in the montage, the label from 1."""
    rows = []
    for row in _split(path, filter(None, read_lines(path)), ",", 4):
        times = _times(path, row, 1)
        try:
            rows.append((_REC_CHANNELS[int(float(row[0]))], *times, _REC_VALUES[int(float(row[3]))]))
        except (ValueError, KeyError):
            raise RecordingError(
                f"{path.name}: got channel {row[0]} and label {row[3]}, expected 0 to 21 and 1 to 6; copy it again"
            ) from None
    return rows


def _times(path: Path, row: list[str], first: int) -> tuple[float, float]:
    try:
        return float(row[first]), float(row[first + 1])
    except ValueError:
        raise _damaged(path, len(row), row) from None


_ROWS_OF = {".csv": _csv_rows, ".csv_bi": _csv_rows, ".tse_agg": _tse_rows, ".rec": _rec_rows}
