"""Which channels are scalp electrodes, and where they sit.

Names follow the 10-20, 10-10 and 10-05 systems (Jurcak et al. 2007, doi:10.1016/j.neuroimage.2006.09.024) in MNE
spelling ("Fp1", "FCz"), compared without regard to case. `electrodes.csv` holds the positions of MNE's template montage
(`colin27_1005`, formerly `standard_1005`) in its head frame, metres, in MNE's order.
"""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from corpus.chains import solve_chains
from corpus.recording import Recording, RecordingError, SetAside, SignalReader
from corpus.scale import typical_deviation_uv

MIN_SPATIAL_ELECTRODES = 4
EXTENT_TIMES = 2**17  # samples looked at in one piece
MIN_MAD_UV = 0.1
MAX_MAD_UV = 1000.0

with (Path(__file__).parent / "electrodes.csv").open(newline="") as _table:
    _POSITIONS = {row["name"]: (float(row["x"]), float(row["y"]), float(row["z"])) for row in csv.DictReader(_table)}

ELECTRODE_NAMES: tuple[str, ...] = tuple(_POSITIONS)
"""Every known electrode, in the order of `electrodes.csv`: 10-10, 10-05, T3 T5 T4 T6, M1 M2 A1 A2. Append only."""

_BY_LOWER = {name.lower(): name for name in ELECTRODE_NAMES}
_REFERENCES = ("A1", "A2", "M1", "M2")
_NEW_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_REGIONS = {
    "frontal": "Fp AFp AF AFF F FFC",
    "central": "FC FCC C CCP",
    "temporal": "FT FFT FTT T TTP TP TPP A M",
    "parietal": "CP CPP P PPO",
    "occipital": "PO POO O OI I",
}
_REGION_OF_LETTERS = {letters: region for region, group in _REGIONS.items() for letters in group.split()}
_REFERENCE_WORD = re.compile(
    r"ref\d?|c?le|c?ar|avg?|average|org|g[12]|[am][12]|[am]1[am]2|linked|ears?|lm|nose|common|eeg|\d", re.IGNORECASE
)
_AGAINST_EAR = re.compile(r"[\W_][am][12](?![a-z\d])", re.IGNORECASE)
_NOT_EEG = {
    "heart channel (ECG)": r"ecg|ekg|cardio",
    "eye channel (EOG)": r"eog|\b[lr]oc\b|\be[12]\b",
    "muscle channel (EMG)": r"emg|chin|\bleg|\btib",
    "respiration channel": r"resp|flow|thor|abd|nasal|snor|effort|chest",
    "photic stimulation": r"phot|\bpho\b|strobe",
    "trigger or annotation channel": r"status|trig|\bsti|annot|event|mark|\bdc\s?\d|sync",
    "pulse or blood gas channel": r"sp?[ao]?o2|o2?\s?sat|pulse|pleth|\bhr\b|bpm|co2",
}


def pick_eeg(recording: Recording) -> Recording:
    """Keep the scalp electrodes, under MNE names, in the order of the file; set the rest aside, each with its reason.

    "EEG Fp1-REF", "Fp1-A2", "POL Fp1", "FP1" and "Fp1.." are Fp1. Two scalp electrodes in one name are a bipolar
    derivation, except where all names share one midline electrode ("C3-Cz", "C4-Cz"): that one is the reference.
    Where there are derivations only, and they link electrodes of both sides, the electrodes are computed from them; so
    they are where no more than a few electrodes stand beside the derivations, all against an ear ("T4-A2").

    Raises:
        RecordingError: no scalp electrode with a changing signal, or amplitudes that cannot be microvolts.
    """
    names, why = _resolve(recording.ch_names)
    if _is_chained(recording.ch_names, names, why) and (unchained := _unchain(recording, why)) is not None:
        return pick_eeg(unchained)
    rows = [i for i, name in enumerate(names) if name]
    if not rows:
        raise RecordingError(_nothing_found(recording, why))
    lowest, highest = _extent(recording.signal_uv)
    for i in rows:
        if lowest[i] >= highest[i]:
            missing = lowest[i] > highest[i]
            why[i] = f"{'missing' if missing else 'constant'} over the whole recording"
    rows = [i for i in rows if not why[i]]
    if not rows:
        raise RecordingError(
            f"{_file(recording)}got only EEG channels that never change, expected a signal; check the export"
        )
    signal_uv = recording.signal_uv
    if isinstance(signal_uv, SignalReader):
        signal_uv = signal_uv.select(rows)
    else:
        together = rows[-1] - rows[0] == len(rows) - 1
        signal_uv = signal_uv[rows[0] : rows[-1] + 1] if together else signal_uv[rows]  # a view costs no copy
    mad_uv = typical_deviation_uv(signal_uv, recording.sfreq)
    if mad_uv > MAX_MAD_UV or mad_uv < MIN_MAD_UV:
        raise RecordingError(
            f"{_file(recording)}got a typical EEG deviation of {mad_uv:.3g} uV, expected {MIN_MAD_UV:g} uV to 1 mV; "
            "correct the physical dimension (unit) in the file's header"
        )
    kept = {recording.ch_names[i]: names[i] or "" for i in rows}
    aside = tuple(SetAside(name, text) for name, text in zip(recording.ch_names, why, strict=True) if text)
    return recording.with_step(
        f"kept {len(rows)} of {recording.n_chans} channels as scalp EEG{_example(kept)}",
        signal_uv=signal_uv,
        ch_names=tuple(kept.values()),
        defects=tuple(replace(d, ch_name=kept[d.ch_name]) for d in recording.defects if d.ch_name in kept),
        set_aside=recording.set_aside + aside,
        warnings=recording.warnings + few_electrodes(len(rows)),
    )


def _is_chained(labels: tuple[str, ...], names: list[str | None], why: list[str]) -> bool:
    """Whether there are derivations, and no electrode beside them but a few against an ear."""
    alone = [label for label, name in zip(labels, names, strict=True) if name]
    return (
        any(text.startswith("bipolar") for text in why)
        and len(alone) < MIN_SPATIAL_ELECTRODES
        and all(_AGAINST_EAR.search(label) for label in alone)
    )


def _unchain(recording: Recording, why: list[str]) -> Recording | None:
    """Electrodes against their average, from bipolar derivations; None where these do not link the sides."""
    lowest, highest = _extent(recording.signal_uv)
    derived = {
        i: (first, second)
        for i, (first, second, _) in enumerate(map(_parse, recording.ch_names))
        if first and second and lowest[i] < highest[i]
    }
    if not derived:
        return None
    names, weights = solve_chains(list(derived.values()))
    if len(names) < MIN_SPATIAL_ELECTRODES or not {"left", "right"} <= {side_of(name) for name in names}:
        return None
    used = {i for i, (first, _) in derived.items() if first in names}
    why = [text or "derivation against an ear" for text in why]
    chosen = list(derived)
    signal_uv = recording.signal_uv
    if isinstance(signal_uv, SignalReader):
        part = signal_uv.select(chosen)
        signal_uv = SignalReader(lambda start, stop: weights @ part[:, start:stop], (len(names), part.shape[1]))
    else:
        signal_uv = weights @ signal_uv[chosen]
    rest = ((name, why[i]) for i, name in enumerate(recording.ch_names) if i not in used)
    return recording.with_step(
        f"{len(names)} electrodes computed from {len(used)} bipolar derivations, against their average",
        signal_uv=signal_uv,
        ch_names=names,
        defects=(),  # a gap of a derivation is one of every electrode and stays as missing samples
        set_aside=recording.set_aside + tuple(SetAside(name, text) for name, text in rest),
        warnings=(
            *recording.warnings,
            "electrodes were computed from bipolar derivations: their reference is their own average",
        ),
    )


def _extent(signal_uv: np.ndarray | SignalReader) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sample of each channel, (C,) each, (inf, -inf) where all are missing; piece by piece."""
    n_chans, n_times = signal_uv.shape
    lowest, highest = np.full(n_chans, np.inf), np.full(n_chans, -np.inf)
    for start in range(0, n_times, EXTENT_TIMES):
        block = signal_uv[:, start : start + EXTENT_TIMES]
        np.fmin(lowest, np.fmin.reduce(block, axis=1), out=lowest)
        np.fmax(highest, np.fmax.reduce(block, axis=1), out=highest)
    return lowest, highest


def few_electrodes(n_chans: int) -> tuple[str, ...]:
    """The warning that belongs to a recording of fewer than four electrodes; empty otherwise."""
    if n_chans >= MIN_SPATIAL_ELECTRODES:
        return ()
    counted = "1 electrode" if n_chans == 1 else f"{n_chans} electrodes"
    return (f"{counted} only: statements about where on the scalp need at least {MIN_SPATIAL_ELECTRODES}",)


def _resolve(labels: tuple[str, ...]) -> tuple[list[str | None], list[str]]:
    """For each label its electrode (or None), and the reason to set it aside ("" to keep it)."""
    parsed = [_parse(label) for label in labels]
    shared = {against for electrode, against, _ in parsed if electrode}
    reference = shared.pop() if len(shared) == 1 else None
    if reference and side_of(reference) != "midline":
        reference = None
    names: list[str | None] = []
    reasons: list[str] = []
    places: dict[str, str] = {}
    for electrode, against, why in parsed:
        if electrode and against != reference:
            why = f"bipolar derivation {electrode}-{against}"
        if electrode and not why:
            first = places.setdefault(_NEW_NAMES.get(electrode, electrode), electrode)
            why = f"second channel at the place of {first}" if first in names else ""
        names.append(electrode if not why else None)
        reasons.append(why)
    return names, reasons


def _parse(label: str) -> tuple[str | None, str | None, str]:
    """(scalp electrode, scalp electrode it is measured against, reason not to use it) of one channel label."""
    tokens = [t for t in re.split(r"[\W_]+", re.sub(r"(?i)^\s*(?:eeg|pol)[\W_]*", "", label)) if t]
    known = [_BY_LOWER.get(token.lower()) for token in tokens]
    if known and known[0]:
        against = next((name for name in known[1:] if name and name not in _REFERENCES), None)
        if known[0] in _REFERENCES:
            other = next((name for name in known[1:] if name), None)
            return None, None, f"bipolar derivation {known[0]}-{other}" if other else "reference electrode"
        if all(name or _REFERENCE_WORD.fullmatch(token) for name, token in zip(known[1:], tokens[1:], strict=True)):
            return known[0], against, ""
    for why, pattern in _NOT_EEG.items():
        if re.search(pattern, label, re.IGNORECASE):
            return None, None, why
    return None, None, "unknown electrode name"


def _file(recording: Recording) -> str:
    return f"{recording.provenance.file}: " if recording.provenance and recording.provenance.file else ""


def _nothing_found(recording: Recording, why: list[str]) -> str:
    found = ", ".join(recording.ch_names[:8]) + (", ..." if recording.n_chans > 8 else "")
    if any(text.startswith("bipolar") for text in why):
        hint = (
            "expected electrodes against a common reference, or derivations that link those of both sides; export the "
            "recording in its referential montage"
        )
    else:
        hint = 'expected names of the 10-20 system such as "Fp1", "EEG C3-REF" or "O2.."; rename the channels'
    return f"{_file(recording)}got no EEG channel among {recording.n_chans} ({found}), {hint}"


def _example(kept: dict[str, str]) -> str:
    renamed = [(label, name) for label, name in kept.items() if label != name]
    return f", {len(renamed)} renamed (such as {renamed[0][0]} to {renamed[0][1]})" if renamed else ""


def _known(name: str) -> str:
    try:
        return _BY_LOWER[name.lower()]
    except KeyError:
        raise RecordingError(
            f"got electrode {name!r}, expected a 10-20, 10-10 or 10-05 name; pass the recording through pick_eeg first"
        ) from None


def electrode_positions(ch_names: tuple[str, ...] | list[str]) -> np.ndarray:
    """Template positions, (C, 3) float64, metres, MNE head frame (x right, y front, z up).

    Raises:
        RecordingError: if a name is not in `ELECTRODE_NAMES` (in any case).
    """
    return np.array([_POSITIONS[_known(name)] for name in ch_names], dtype=np.float64).reshape(-1, 3)


def region_of(name: str) -> str:
    """ "frontal", "central", "temporal", "parietal" or "occipital", by the letters of the electrode.

    Fp, AF, F are frontal, FC and C central, FT, T, TP and the ears temporal, CP and P parietal, PO, O, I occipital; a
    10-05 name goes with the row it is closer to in that list. P7 and P8 are temporal because they are T5 and T6.
    """
    name = _known(name)
    if name in _NEW_NAMES.values():
        return "temporal"
    return _REGION_OF_LETTERS[re.sub(r"(?:\d+|z)h?$", "", name)]


def side_of(name: str) -> str:
    """ "left" (odd number), "right" (even) or "midline" (z)."""
    number = re.search(r"\d+", _known(name))
    return "midline" if not number else "left" if int(number[0]) % 2 else "right"


def mirror_of(name: str) -> str | None:
    """The homologous electrode of the other side (F3 -> F4, T6 -> T5); None on the midline."""
    name = _known(name)
    number = re.search(r"\d+", name)
    if not number:
        return None
    other = int(number[0]) + (1 if int(number[0]) % 2 else -1)
    return name.replace(number[0], str(other))
