"""Any EEG folder in BIDS (Pernet et al. 2019, doi:10.1038/s41597-019-0104-8), with what stands beside the signals.

sub-01/ses-on/eeg/sub-01_ses-on_task-rest_eeg.edf      .bdf, .set and .vhdr as well; derivatives are left out
sub-01/ses-on/eeg/..._events.tsv, ..._channels.tsv     or further up, as BIDS allows
participants.tsv, participants.json                    age, sex, group, and what the codes of a group mean

Samples are scaled by the header of the recording. Units, types and status of channels.tsv decide what is set aside.
"""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import on_signal
from corpus.datasets.openneuro import number
from corpus.recording import Recording, RecordingError, SetAside, SignalReader, Subject, read_recording
from corpus.recording.identity import MAX_AGE_YEARS

_ENDINGS = [".edf", ".bdf", ".set", ".vhdr"]  # of BIDS EEG
_VOLTAGES = {"v", "mv", "uv", "µv", "μv", "nv", "microv", "microvolt", "microvolts", "n/a", ""}
_EEG_TYPES = {"EEG", "REF", "N/A", ""}
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}

CARD = DatasetCard(
    name="bids",
    title="A folder in BIDS",
    role="extra",
    licence="see dataset_description.json of the folder",
    access="any BIDS folder with EEG, such as those of https://openneuro.org; needs the extra `bids`",
    citation="see dataset_description.json of the folder; Pernet et al. 2019, doi:10.1038/s41597-019-0104-8",
    why_counts_differ="Not among the paper's datasets; those of them in BIDS have modules of their own.",
    unit="as in the headers",
    reference="see EEGReference in the folder's *_eeg.json",
    labels={},  # trial_type, task, session and group of the folder
    granularity="event",
)


def _mne_bids() -> Any:
    """The package, or an ImportError that names the extra."""
    try:
        import mne_bids
    except ImportError:
        raise ImportError(
            "got no package mne-bids, expected it for BIDS folders; pip install 'neuronarrator[bids]'"
        ) from None
    return mne_bids


def _entries(root: Path) -> list[Entry]:
    """Entries of every EEG recording; ValueError where there is none."""
    found = _mne_bids().find_matching_paths(
        root, suffixes="eeg", datatypes="eeg", extensions=_ENDINGS, ignore_json=True, ignore_nosub=True
    )
    people = _people(root)
    entries = []
    for path in sorted(found, key=lambda path: str(path.fpath)):
        facts, groups = people.get(f"sub-{path.subject}", (Subject(), {}))
        labels = [Label("diagnosis", value, "file", f"participants.tsv, {column}") for column, value in groups.items()]
        labels += [Label("task", path.task, "file", "entity task")] if path.task else []
        labels += [Label("session", path.session, "file", "entity ses")] if path.session else []
        entries.append(
            Entry(
                id=path.fpath.relative_to(root).with_suffix("").as_posix(),
                subject=f"sub-{path.subject}",
                path=path.fpath,
                labels=tuple(labels),
                facts=facts,
                diagnosis=tuple(groups.values()),
            )
        )
    if not entries:
        raise ValueError(
            f"got a folder {root.name!r} without EEG in BIDS, expected files such as sub-01/eeg/sub-01_task-rest_eeg"
            f"{{{','.join(_ENDINGS)}}}; give the folder that holds participants.tsv"
        )
    return entries


def _rows(path: Path | None) -> list[dict[str, str]]:
    """Rows of a table under lower-case names; none without the table."""
    if path is None or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8-sig") as stream:
        table = list(csv.reader(stream, delimiter="\t"))
    names = [name.strip().lower() for name in table[0]] if table else []
    return [dict(zip(names, (value.strip() for value in row), strict=False)) for row in table[1:]]


def _people(root: Path) -> dict[str, tuple[Subject, dict[str, str]]]:
    """Age and sex, and the group by its column, of each participant."""
    file = root / "participants.json"
    words = json.loads(file.read_text("utf-8-sig")) if file.is_file() else {}
    columns = {str(name).lower(): meaning for name, meaning in words.items() if isinstance(meaning, dict)}
    people = {}
    for row in _rows(root / "participants.tsv"):
        age = re.match(r"\d+", row.get("age", ""))
        sex = row.get("sex") or row.get("gender", "")
        facts = Subject(min(int(age[0]), MAX_AGE_YEARS) if age else None, _SEXES.get(sex.lower()))
        groups = {
            column: _meaning(columns.get(column, {}), column, row[column])
            for column in ("group", "diagnosis")
            if row.get(column, "n/a").lower() not in ("n/a", "")
        }
        people[row.get("participant_id", "")] = (facts, groups)
    return people


def _meaning(column: Mapping[str, Any], name: str, code: str) -> str:
    """What a code stands for, as participants.json says; "group 1" where it does not."""
    words = column.get("Levels", {}).get(code, code)
    words = words.get("Description", code) if isinstance(words, dict) else words
    return f"{name} {words}" if str(words).isdigit() else str(words)


def _load(entry: Entry) -> Loaded:
    """The recording without channels that channels.tsv excludes, with its events as labels.

    Raises:
        RecordingError: it cannot be read, or channels.tsv leaves no channel.
    """
    path = _mne_bids().get_bids_path_from_fname(entry.path, check=False)
    tables = {
        name: _rows(path.find_matching_sidecar(suffix=name, extension=".tsv", on_error="ignore"))
        for name in ("channels", "events")
    }
    recording = _without_excluded(read_recording(entry.path), tables["channels"])
    events, told = _events(tables["events"], recording)
    return Loaded(replace(recording, warnings=recording.warnings + told), (*entry.labels, *events))


def _without_excluded(recording: Recording, rows: list[dict[str, str]]) -> Recording:
    """Set aside what channels.tsv calls bad, no EEG, or no voltage."""
    reasons = {row.get("name", "").lower(): _why_excluded(row) for row in rows}
    why = [reasons.get(name.lower(), "") for name in recording.ch_names]
    kept = [i for i, reason in enumerate(why) if not reason]
    if len(kept) == len(why):
        return recording
    if not kept:
        raise RecordingError(
            f"got no channel that channels.tsv calls EEG and good, expected one at least of {len(why)}; correct it"
        )
    names, signal_uv = tuple(recording.ch_names[i] for i in kept), recording.signal_uv
    aside = tuple(SetAside(name, text) for name, text in zip(recording.ch_names, why, strict=True) if text)
    return recording.with_step(
        f"{len(aside)} channels set aside after channels.tsv",
        signal_uv=signal_uv.select(kept) if isinstance(signal_uv, SignalReader) else signal_uv[kept],
        ch_names=names,
        defects=tuple(defect for defect in recording.defects if defect.ch_name in names),
        set_aside=recording.set_aside + aside,
    )


def _why_excluded(row: dict[str, str]) -> str:
    """Why channels.tsv excludes a channel; empty where it does not."""
    if row.get("type", "").upper() not in _EEG_TYPES:
        return f"{row['type']} channel in channels.tsv"
    if row.get("units", "").lower() not in _VOLTAGES:
        return f"unit {row['units']} in channels.tsv, not a voltage"
    return "marked bad in channels.tsv" if row.get("status", "").lower() == "bad" else ""


def _events(rows: list[dict[str, str]], recording: Recording) -> tuple[list[Label], tuple[str, ...]]:
    """Rows of events.tsv on the signal, a moment as a label of 0 s; what was dropped, in words."""
    labels, n_dropped = [], 0
    for row in rows:
        start_s, length_s = (number(row.get(key, "")) for key in ("onset", "duration"))
        value = next((row[key] for key in ("trial_type", "value") if row.get(key, "n/a") not in ("n/a", "")), "event")
        if start_s is None or not 0 <= recording.to_signal(start_s) <= recording.duration_s:
            n_dropped += 1
            continue
        (label,) = on_signal(recording, [Label("event", value, "event", "events.tsv", start_s, length_s or 0.0)])
        room_s = recording.duration_s - label.start_s
        labels.append(replace(label, duration_s=min(label.duration_s or 0.0, room_s)))
    told = f"{n_dropped} rows of events.tsv lie outside of the signal and were dropped"
    return labels, (told,) if n_dropped else ()


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
