"""Siena Scalp EEG Database: 14 adults with focal epilepsy, 47 seizures (Detti et al. 2020).

    PN00/PN00-1.edf, PN10/PN10-4.5.6.edf
    PN00/Seizures-list-PN00.txt     by hand: file, start of the recording and of each seizure as times of day
    subject_info.csv                age, gender, seizure type, place

Seizures are placed by the clock in the header of the EDF file, which belongs to the first sample. The lists agree with
it in 39 of 41 recordings; their "Registration start time" is three hours early for PN14-3 and 10 s late for PN05-3.
"""

import csv
import re
from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Loaded
from corpus.datasets.events import SEIZURE_LABELS, TOLERANCE_S, matching, read_lines, seizure_labels, with_labels
from corpus.recording import RecordingError, Subject, read_recording

_LAYOUT = r"(?P<subject>PN\d\d)/(?P=subject)-[\d.]+"
_DAY_S = 86400
_MISNAMED = {  # in the lists: the file that is meant
    "PN01.edf": "PN01-1.edf",
    "PN11-.edf": "PN11-1.edf",
    **{f"PNO6-{i}.edf": f"PN06-{i}.edf" for i in (1, 2, 4)},  # letter O
}
_MISWRITTEN = {("PN00-3.edf", "19.29.29"): "18.29.29"}  # half an hour after the end of the file; a seizure of 60 s
_CLOCK = re.compile(r"(\d{1,2})[.:]([0-5]\d)[.:]([0-5]\d)(\(electr)?", re.IGNORECASE)
_KEYS = {
    "registration start time": "registration",
    "seizure start time": "start",
    "start time": "start",
    "seizure end time": "end",
    "end time": "end",
}
_TYPES = {
    "IAS": "focal onset seizures with impaired awareness",
    "WIAS": "focal onset seizures without impaired awareness",
    "FBTC": "focal to bilateral tonic-clonic seizures",
}

CARD = DatasetCard(
    name="siena",
    title="Siena Scalp EEG Database 1.0.0",
    aliases=("siena-scalp-eeg",),
    role="zero-shot",
    licence="CC BY 4.0",
    access="open, https://physionet.org/content/siena-scalp-eeg/1.0.0/",
    citation="Detti, Vatti & Zabalo Manrique de Lara 2020, doi:10.3390/pr8070846; Detti 2020, doi:10.13026/5d4a-j060",
    expected_recordings=41,
    expected_subjects=14,
    why_counts_differ="Zero-shot in the paper, which states no segment counts and no way of cutting. Siena was part of "
    "LaBraM's pretraining, so it is not unseen by that encoder.",
    sfreq=512.0,
    reference="as recorded, common, not stated",
    mains_hz=50.0,
    labels=SEIZURE_LABELS,
    granularity="event",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file; ValueError where there is none."""
    people = _people(root / "subject_info.csv")
    entries = []
    for path, name, fits in matching(root, _LAYOUT):
        facts, diagnosis = people.get(fits["subject"], (Subject(), ()))
        entries.append(Entry(name, fits["subject"], path, facts=facts, diagnosis=("epilepsy", *diagnosis)))
    return entries


def _people(path: Path) -> dict[str, tuple[Subject, tuple[str, ...]]]:
    """Age, sex and seizure type of each patient; empty without the file. Its column names begin with blanks."""
    people: dict[str, tuple[Subject, tuple[str, ...]]] = {}
    for row in csv.DictReader(read_lines(path) if path.is_file() else (), skipinitialspace=True):
        age, gender, kind = ((row.get(name) or "").strip() for name in ("age_years", "gender", "seizure"))
        facts = Subject(int(age) if age.isdecimal() else None, {"M": "M", "F": "F"}.get(gender[:1].upper()))
        people[(row.get("patient_id") or "").strip()] = (facts, (_TYPES[kind],) if kind in _TYPES else ())
    return people


def _clock_s(text: str, where: str) -> int:
    """Seconds after midnight of "19.58.36", "21:51:02", "16:13.23" or "1 6.49.25".

    Of several times the one called electric counts ("15.43.53 (CLINICAL ONSET); 15.43.59 (ELECTRIC ONSET)"), else the
    first.

    Raises:
        RecordingError: there is no time of day in it.
    """
    times = list(_CLOCK.finditer(re.sub(r"\s+", "", text)))
    times.sort(key=lambda time: not time[4])
    if not times or int(times[0][1]) > 23:
        raise RecordingError(f"{where}: got {text.strip()[:40]!r}, expected a time of day such as 19.58.36; correct it")
    return 3600 * int(times[0][1]) + 60 * int(times[0][2]) + int(times[0][3])


def _listed(path: Path, file: str) -> tuple[list[tuple[int, int]], int | None]:
    """Clock times, seconds after midnight: (start, end) of each seizure of a file, and its registration start.

    "File name" holds until the next one, and the registration time with it: PN01 gives both once, before its seizures.

    Raises:
        RecordingError: no list, a time that cannot be read, or a start without its end.
    """
    times: dict[str, list[int]] = {"registration": [], "start": [], "end": []}
    current = ""
    for line in read_lines(path):
        key, _, value = line.partition(":")
        kind = _KEYS.get(key.strip().lower())
        if key.strip().lower() == "file name":
            current = _MISNAMED.get(value.strip(), value.strip())
        elif kind and current == file:
            value = _MISWRITTEN.get((file, value.strip()), value)
            times[kind].append(_clock_s(value, f"{path.name}, {file}"))
    if len(times["start"]) != len(times["end"]):
        raise RecordingError(f"{path.name}: got {file} with a seizure that lacks a start or an end; correct the list")
    return list(zip(times["start"], times["end"], strict=True)), next(iter(times["registration"]), None)


def _header_clock_s(path: Path) -> int:
    """When the first sample was taken, seconds after midnight: bytes 176 to 183 of an EDF header, "hh.mm.ss"."""
    with path.open("rb") as stream:
        return _clock_s(stream.read(184)[176:].decode("latin-1"), path.name)


def _load(entry: Entry) -> Loaded:
    """The recording with its seizures and the time between them.

    Raises:
        RecordingError: the recording or its list is damaged, or a seizure lies outside of the recording.
    """
    path = entry.path
    source = path.with_name(f"Seizures-list-{path.parent.name}.txt")
    clocks, registration = _listed(source, path.name)
    recording = read_recording(path)
    if not clocks:
        unknown = f"{source.name} names no seizure of this file: whether it has one is not known"
        return with_labels(recording, (), [unknown])
    first = _header_clock_s(path)
    seizures = [((start - first) % _DAY_S, (start - first) % _DAY_S + (end - start) % _DAY_S) for start, end in clocks]
    placed = [(recording.to_signal(start), recording.to_signal(end)) for start, end in seizures]
    for (start, end), (_, placed_end) in zip(seizures, placed, strict=True):
        if placed_end > recording.duration_s + TOLERANCE_S:
            raise RecordingError(
                f"{path.name}: got a seizure at {start} to {end} s in {source.name}, expected it inside of the "
                f"{recording.duration_s:.0f} s of the file; correct the list or the clock in the header"
            )
    late_s = 0 if registration is None else registration - first
    told = [f"{source.name} and the file differ by {abs(late_s)} s about its start: the file counts"] if late_s else []
    return with_labels(recording, seizure_labels(placed, recording.duration_s, source.name), told)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
