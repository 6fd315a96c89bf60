"""Files to `Recording`: with `edf` and `identity`, the only place that meets volts, vendor formats and patients."""

import hashlib
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from corpus.recording.edf import read_edf
from corpus.recording.edf_header import identity_of_damaged
from corpus.recording.identity import age_years_at, scrubber
from corpus.recording.types import (
    Annotation,
    Contents,
    Provenance,
    Recording,
    RecordingError,
    SetAside,
    SignalReader,
    Subject,
    Timeline,
    timeline_of,
)

MIN_DURATION_S = 10.0  # one segment
MIN_SFREQ = 100.0  # below it the gamma band (30-50 Hz) is beyond Nyquist
MAX_UV = 1e9  # 1 kV: no amplifier gives it, so the sample is damaged

# fmt: off
FORMATS = {
    ".edf": "EDF", ".bdf": "BDF", ".fif": "FIF", ".fif.gz": "FIF", ".set": "EEGLAB", ".vhdr": "BrainVision",
    ".ahdr": "BrainVision", ".cnt": "CNT", ".gdf": "GDF", ".mff": "EGI", ".nxe": "Eximia", ".lay": "Persyst",
    ".eeg": "Nihon Kohden", ".cdt": "Curry", ".dap": "Curry", ".dat": "Curry or BCI2000", ".data": "Nicolet",
    ".nedf": "NEDF", ".mefd": "MEF", ".ds": "CTF",
}
# fmt: on
FOLDER_FORMATS = {".mff", ".mefd", ".ds"}
_HEADER_FILES = {".fdt": ".set", ".eeg": ".vhdr", ".vmrk": ".vhdr"}  # companion file -> the file to open instead
_BREAKS = ("boundary", "bad boundary", "edge boundary", "bad_acq_skip", "new segment")
_READER_WARNINGS = {
    r"samples set to zero": "part of the signal could not be read and is zero",
    r"Inferring number of\s+samples": "the header gives no length: it is taken from the file size",
    r"onset that is NaN": "events without a time were dropped",
    r"MarkerFile .* not found": "the marker file is missing: no annotations were read",
}


def read_recording(path: str | Path, name: str = "", identity: Sequence[str] = ()) -> Recording:
    """Read a file: all voltage channels in microvolts, breaks, annotations, age and sex. Identity stays behind.

    Words of the patient and recording fields of the header, and dates, are replaced by "[removed]" wherever they occur
    in annotations, channel names and the base name of the file.

    Args:
        path: of the file.
        name: stands for the base name of the file wherever it would be told; "": the base name itself.
        identity: texts that name somebody, beside those of the header.

    Raises:
        RecordingError: missing, locked, damaged or unknown file, less than 10 s, below 100 Hz, or no voltage channel.
    """
    path = Path(path)
    contents, digest, problem = None, "", ""
    try:
        suffix = _checked_suffix(path)
        digest = _sha256(path)
        contents = read_edf(path) if suffix in (".edf", ".bdf") else _read_with_mne(path, FORMATS[suffix])
    except RecordingError as error:
        problem = str(error)
    except PermissionError:
        problem = "got a file that may not be opened, expected a readable one; close what holds it or ask for access"
    except FileNotFoundError:
        problem = "got a recording without one of its companion files (such as .fdt, .eeg or .vmrk); put it beside"
    except ImportError as error:
        problem = f"got a format that needs the package {error.name}, which is missing; install it"
    except Exception as error:  # a reader met what its format does not allow; its own text may quote the header
        problem = (
            f"got content that cannot be decoded ({type(error).__name__}), expected an intact, continuous recording; "
            "export it again, for example as EDF+"
        )
    if contents is None:  # raised here, so that no reader's exception hangs on it
        raise RecordingError(f"{name or scrubber(identity_of_damaged(path))(path.name)}: {problem}")
    contents.identity += tuple(identity)
    return _deliver(contents, name or scrubber(contents.identity)(path.name), digest)


def recording_from_array(
    path: Path, signal_uv: np.ndarray, sfreq: float, ch_names: Sequence[str], format_name: str, **facts: Any
) -> Recording:
    """A recording whose samples a dataset publishes as a bare array (MATLAB, CSV, NumPy), under the same checks.

    Args:
        path: the file it was read from; its base name and SHA-256 become the provenance.
        signal_uv: (C, T) microvolts; a copy is made.
        sfreq: Hz.
        ch_names: C names as published.
        format_name: of the file, such as "MATLAB".
        **facts: annotations, breaks_s, set_aside, subject, identity, warnings, as in `Contents`.

    Raises:
        RecordingError: less than 10 s, below 100 Hz, or an array that is not (C, T).
    """
    signal_uv = np.array(signal_uv, dtype=np.float64)
    if signal_uv.ndim != 2 or len(signal_uv) != len(ch_names):
        raise RecordingError(
            f"{path.name}: got an array of shape {signal_uv.shape} for {len(ch_names)} channels, expected (channels, "
            "samples); transpose it or correct the names"
        )
    contents = Contents(
        format=format_name,
        signal_uv=signal_uv,
        sfreq=sfreq,
        ch_names=list(ch_names),
        annotations=list(facts.pop("annotations", ())),
        breaks_s=list(facts.pop("breaks_s", ())),
        set_aside=list(facts.pop("set_aside", ())),
        subject=facts.pop("subject", Subject()),
        identity=tuple(facts.pop("identity", ())),
        warnings=list(facts.pop("warnings", ())),
    )
    if facts:
        raise TypeError(f"got {sorted(facts)}, expected fields of Contents")
    return _deliver(contents, scrubber(contents.identity)(path.name), _sha256(path))


def _deliver(contents: Contents, file: str, digest: str) -> Recording:
    """Check the contents and strip identity; `file` is told as it is."""
    scrub = scrubber(contents.identity)
    if not contents.ch_names:
        raise RecordingError(f"{file}: got no voltage channel, expected EEG in V, mV or uV; correct the header's units")
    duration_s = contents.signal_uv.shape[1] / contents.sfreq
    if contents.sfreq < MIN_SFREQ:
        raise RecordingError(
            f"{file}: got {contents.sfreq:g} Hz, expected at least {MIN_SFREQ:g} Hz because gamma (30-50 Hz) cannot be "
            "measured below; use the recording at its original sampling rate"
        )
    if duration_s < MIN_DURATION_S:
        raise RecordingError(
            f"{file}: got {duration_s:.1f} s of signal, expected at least {MIN_DURATION_S:g} s; use a longer recording"
        )
    signal_uv = contents.signal_uv
    loaded = not isinstance(signal_uv, SignalReader)  # a reader gives finite numbers: 16 or 24 bits, scaled
    if loaded and signal_uv.size and not max(signal_uv.max(), -signal_uv.min()) < MAX_UV:  # also where there is a NaN
        signal_uv[~(np.abs(signal_uv) < MAX_UV)] = np.nan
    inside = [
        replace(a, duration_s=min(a.duration_s, duration_s - a.start_s), description=scrub(a.description))
        for a in contents.annotations
        if 0 <= a.start_s <= duration_s
    ]
    if lost := len(contents.annotations) - len(inside):
        contents.warnings.append(f"{lost} annotations lie outside of the signal and were dropped")
    return Recording(
        signal_uv=signal_uv,
        sfreq=contents.sfreq,
        ch_names=tuple(_unique([scrub(name) for name in contents.ch_names])),
        annotations=tuple(inside),
        breaks_s=tuple(contents.breaks_s),
        set_aside=tuple(replace(s, name=scrub(s.name)) for s in contents.set_aside),
        subject=contents.subject,
        provenance=Provenance(file, contents.format, digest, contents.sfreq),
        warnings=tuple(scrub(w) for w in contents.warnings),
        timeline=contents.timeline,
    )


def _checked_suffix(path: Path) -> str:
    """The known suffix of a path that exists and is not empty."""
    if not path.exists():
        raise RecordingError("got a path that does not exist, expected an EEG file; check the path")
    suffix = "".join(path.suffixes[-2:]).lower()
    suffix = suffix if suffix in FORMATS else path.suffix.lower()
    header = _HEADER_FILES.get(suffix)
    if header and path.with_suffix(header).exists():
        raise RecordingError(f"got the data file of a recording, expected its header; open the {header} file beside it")
    if path.is_dir() and suffix not in FOLDER_FORMATS:
        raise RecordingError("got a folder, expected an EEG file; give the path of one file")
    if suffix not in FORMATS:
        raise RecordingError(
            f"got an unknown extension, expected one of {', '.join(FORMATS)}; give the file its real extension or "
            "export it as EDF+"
        )
    if path.is_file() and path.stat().st_size == 0:
        raise RecordingError("got an empty file of 0 bytes, expected an EEG recording; copy it again")
    return suffix


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def _unique(names: list[str]) -> list[str]:
    """Number repeated names: Fp1, Fp1 -> Fp1-0, Fp1-1 (as MNE does)."""
    counts, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        numbered.append(f"{name}-{seen[name]}" if counts[name] > 1 else name)
        seen[name] += 1
    return numbered


@contextmanager
def _silent_mne() -> Iterator[list[warnings.WarningMessage]]:
    """Keep MNE from printing or logging, file handlers included: its messages may quote the header."""
    import mne

    logger = logging.getLogger("mne")
    with warnings.catch_warnings(record=True) as caught, mne.utils.use_log_level("WARNING"):
        warnings.simplefilter("always")
        disabled, logger.disabled = logger.disabled, True
        try:
            yield caught
        finally:
            logger.disabled = disabled


def _read_with_mne(path: Path, format_name: str) -> Contents:
    import mne

    with _silent_mne() as caught:
        raw = mne.io.read_raw(path, preload=False)
        data = raw.get_data()
    told = [text for key, text in _READER_WARNINGS.items() if any(re.search(key, str(w.message)) for w in caught)]
    remarks = [
        Annotation(float(onset), float(duration), str(text))
        for onset, duration, text in zip(
            raw.annotations.onset - raw.first_time, raw.annotations.duration, raw.annotations.description, strict=True
        )
    ]
    keep, timeline = _stretches(remarks, raw.n_times, raw.info["sfreq"])
    kinds = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    why = {
        name: f"{kind} channel, not an EEG voltage"
        for name, kind in kinds.items()
        if kind not in ("eeg", "eog", "ecg", "emg")
    }
    why |= dict.fromkeys(raw.info["bads"], "marked bad in the file")
    rows = [i for i, name in enumerate(raw.ch_names) if name not in why]
    data = data[rows] if keep.all() else data[rows][:, keep]
    data *= 1e6  # V to uV
    subject, identity = _subject_of(raw.info)
    return Contents(
        format=format_name,
        signal_uv=data,
        sfreq=float(raw.info["sfreq"]),
        ch_names=[raw.ch_names[i] for i in rows],
        annotations=[timeline.place(a) for a in remarks if not _is_break(a)],
        breaks_s=timeline.breaks_s,
        set_aside=[SetAside(name, text) for name, text in why.items()],
        subject=subject,
        identity=identity,
        warnings=told,
        timeline=timeline,
    )


def _is_break(remark: Annotation) -> bool:
    return remark.description.lower().startswith(_BREAKS)


def _stretches(remarks: list[Annotation], n_times: int, sfreq: float) -> tuple[np.ndarray, Timeline]:
    """Samples to keep, (T,) bool, and the timeline: acquisition skips (stored as zeros) are cut out."""
    keep = np.ones(n_times, bool)
    cuts = {0, n_times}
    for remark in filter(_is_break, remarks):
        start, stop = (round(t * sfreq) for t in (remark.start_s, remark.start_s + remark.duration_s))
        if remark.description.lower().startswith("bad_acq_skip"):
            keep[max(start, 0) : max(stop, 0)] = False
            cuts |= {stop}
        cuts |= {start}
    edges = sorted(c for c in cuts if 0 <= c <= n_times)
    pieces = [(a, b) for a, b in pairwise(edges) if keep[a:b].any()]
    return keep, timeline_of(np.array([a for a, _ in pieces]) / sfreq, np.array([b for _, b in pieces]) / sfreq)


def _subject_of(info: Any) -> tuple[Subject, tuple[str, ...]]:
    """Age and sex, and the header texts that name somebody."""
    facts = info["subject_info"] or {}
    birth, recorded = facts.get("birthday"), info["meas_date"]
    birth = date(*birth) if isinstance(birth, tuple) else birth
    sex = {1: "M", 2: "F"}.get(facts.get("sex", 0))
    site = (info["device_info"] or {}).get("site")
    texts = [facts.get(key) for key in ("his_id", "id", "last_name", "first_name", "middle_name")]
    texts += [info["experimenter"], site]
    return Subject(age_years_at(birth, recorded and recorded.date()), sex), tuple(str(text) for text in texts if text)
