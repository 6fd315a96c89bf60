"""What a potential is measured against: average, ears or mastoids, named electrodes, and bipolar derivations.

A missing electrode is never replaced by a neighbour: a derivation that lacks one is left out, and said to be.
Derivations: American Clinical Neurophysiology Society, Guideline 3 (Acharya et al. 2016, J Clin Neurophysiol 33:312),
longitudinal and transverse bipolar montages of 18 channels.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from corpus.montage import side_of
from corpus.recording import Defect, Recording, RecordingError, SetAside, SignalReader

Reference = Literal["average", "ears", "contralateral ear", "clinical"] | tuple[str, ...]
"""How to re-reference.

"average": the mean of all electrodes. "ears": the mean of both ears or mastoids (linked), or the only one that was
recorded. "contralateral ear": left electrodes against the right ear, right ones against the left, the midline against
both (C3-A2, C4-A1). "clinical": average where all 19 electrodes of the 10-20 system are there, otherwise the
contralateral ear, otherwise as recorded with a warning (CerebraGloss). A tuple of names: the mean of these electrodes.
"""

Pairs = tuple[tuple[str, str], ...]

# fmt: off
ELECTRODES_19 = (
    "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2",
    "F7", "F8", "T7", "T8", "P7", "P8", "Fz", "Cz", "Pz",
)
# fmt: on
EARS = (("A1", "A2"), ("M1", "M2"))
_OLD_NAMES = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_EAR_LABEL = re.compile(r"(?:eeg|pol)?[\W_]*([am][12])(?:[\W_]+(?:ref|le|ar|avg|org))?[\W_]*", re.IGNORECASE)
_AGAINST_EAR = re.compile(r"([a-z]+\d*)[\W_]+[am][12]\W*$", re.IGNORECASE)


def _pairs(chains: str) -> Pairs:
    """ "Fp1-F7-T7 Fz-Cz" to its neighbours, (("Fp1", "F7"), ("F7", "T7"), ("Fz", "Cz"))."""
    names = [chain.split("-") for chain in chains.split()]
    return tuple((a, b) for chain in names for a, b in pairwise(chain))


DOUBLE_BANANA = _pairs("Fp1-F7-T7-P7-O1 Fp1-F3-C3-P3-O1 Fz-Cz-Pz Fp2-F4-C4-P4-O2 Fp2-F8-T8-P8-O2")
TRANSVERSE = _pairs("F7-Fp1-Fp2-F8 F7-F3-Fz-F4-F8 T7-C3-Cz-C4-T8 P7-P3-Pz-P4-P8 P7-O1-O2-P8")


@dataclass(frozen=True)
class ReferencePlan:
    """How to re-reference one layout.

    Attributes:
        groups: (channels, channels whose mean is subtracted from them).
        keep: channels of the result: no ear, and none that is zero by construction.
        step: what is done, for the provenance.
        warning: what could not be done; empty otherwise.
    """

    groups: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    keep: tuple[int, ...]
    step: str
    warning: str = ""

    def apply(self, signal_uv: np.ndarray) -> np.ndarray:
        """(C, T) to (C', T) microvolts, a new array."""
        result = signal_uv[list(self.keep)]
        for channels, against in self.groups:
            rows = [self.keep.index(channel) for channel in channels]
            result[rows] -= signal_uv[list(against)].mean(axis=0, dtype=np.float64).astype(signal_uv.dtype)
        return result


def rereference(recording: Recording, reference: Reference) -> Recording:
    """The recording against another reference; ears, and a single reference electrode, are set aside afterwards.

    Raises:
        RecordingError: if an electrode of the reference was not recorded, or an average is asked of less than two.
    """
    plan = plan_reference(recording.ch_names, reference)
    return with_reference(recording, plan, plan.apply(recording.signal_uv))


def plan_reference(ch_names: Sequence[str], reference: Reference) -> ReferencePlan:
    """Which channels are subtracted from which.

    Raises:
        RecordingError: see `rereference`.
    """
    if isinstance(reference, tuple):
        return _against(ch_names, reference)
    scalp = [i for i, name in enumerate(ch_names) if not _is_ear(name)]
    ears = next((pair for pair in EARS if set(pair) & set(ch_names)), ())
    present = tuple(name for name in ears if name in ch_names)
    if reference == "clinical":
        if {_OLD_NAMES.get(name, name) for name in ch_names} >= set(ELECTRODES_19):
            return plan_reference(ch_names, "average")
        if present:
            return plan_reference(ch_names, "contralateral ear" if len(present) == 2 else "ears")
        told = "reference as recorded: for an average some of the 19 electrodes are missing, and no ear was recorded"
        return ReferencePlan((), tuple(scalp), "reference as recorded", told)
    if reference == "average":
        if len(scalp) < 2:
            raise RecordingError(
                f"got {len(scalp)} channel, expected at least 2 for an average reference; use reference=None"
            )
        return ReferencePlan(((tuple(scalp), tuple(scalp)),), tuple(scalp), "average reference")
    if reference == "ears":
        if not present:
            raise RecordingError("got no ear or mastoid channel (A1, A2, M1, M2), expected one; use another reference")
        return _against(ch_names, present)
    return _contralateral(ch_names, scalp, present)


def _against(ch_names: Sequence[str], names: tuple[str, ...]) -> ReferencePlan:
    """Everything against the mean of named electrodes."""
    index = _index(ch_names)
    missing = [name for name in names if _plain(name) not in index]
    if missing or not names:
        raise RecordingError(
            f"got {', '.join(missing) or 'no electrode'} as reference, expected electrodes that were recorded; "
            "choose others or keep the recorded reference"
        )
    against = tuple(index[_plain(name)] for name in names)
    keep = tuple(i for i, name in enumerate(ch_names) if not _is_ear(name) and not (len(against) == 1 and i in against))
    if not keep:
        raise RecordingError("got nothing but reference electrodes, expected others; choose another reference")
    text = f"reference {' + '.join(ch_names[i] for i in against)}" + (" (mean)" if len(against) > 1 else "")
    return ReferencePlan(((keep, against),), keep, text)


def _contralateral(ch_names: Sequence[str], scalp: Sequence[int], present: tuple[str, ...]) -> ReferencePlan:
    if len(present) < 2:
        raise RecordingError("got fewer than two ear channels, expected A1 and A2, or M1 and M2; use 'ears'")
    left, right = (list(ch_names).index(name) for name in present)
    sides = {"left": (right,), "right": (left,), "midline": (left, right)}
    groups = tuple(
        (tuple(i for i in scalp if side_of(ch_names[i]) == side), against) for side, against in sides.items()
    )
    text = f"contralateral ear reference ({present[1]} on the left, {present[0]} on the right, midline against both)"
    return ReferencePlan(tuple(g for g in groups if g[0]), tuple(scalp), text)


def with_reference(recording: Recording, plan: ReferencePlan, signal_uv: np.ndarray) -> Recording:
    """The recording with the signal that `plan` gave: names, defects, channels set aside and the step.

    A damaged stretch of an ear or of a named electrode damages every channel measured against it; in an average it
    counts for its own channel only.
    """
    ch_names = recording.ch_names
    kept = tuple(ch_names[i] for i in plan.keep)
    defects = [d for d in recording.defects if d.ch_name in kept]
    for channels, against in plan.groups:
        if channels != against:
            sources = {ch_names[i] for i in against}
            defects += [
                Defect(ch_names[i], d.start_s, d.duration_s, f"{d.why} of its reference {d.ch_name}")
                for i in channels
                if i not in against
                for d in recording.defects
                if d.ch_name in sources
            ]
    aside = tuple(SetAside(name, "used as the reference") for name in ch_names if name not in kept)
    return recording.with_step(
        plan.step,
        signal_uv=signal_uv,
        ch_names=kept,
        defects=tuple(defects),
        set_aside=recording.set_aside + aside,
        warnings=recording.warnings + ((plan.warning,) if plan.warning else ()),
    )


def bipolar(recording: Recording, pairs: Iterable[tuple[str, str]] = DOUBLE_BANANA) -> Recording:
    """Differences between electrodes, "Fp1-F7" being Fp1 minus F7; T3, T4, T5, T6 are T7, T8, P7, P8.

    Args:
        recording: electrodes against any common reference.
        pairs: (electrode, electrode) in the order wanted: `DOUBLE_BANANA`, `TRANSVERSE` or any other.

    Raises:
        RecordingError: if not a single pair was recorded completely.
    """
    index = _index(recording.ch_names)
    rows, names, aside = [], [], []
    for pair in pairs:
        missing = [name for name in pair if _plain(name) not in index]
        if missing:
            aside.append(SetAside("-".join(pair), f"{' and '.join(missing)} not recorded"))
            continue
        a, b = (index[_plain(name)] for name in pair)
        rows.append((a, b))
        names.append(f"{recording.ch_names[a]}-{recording.ch_names[b]}")
    if not rows:
        raise RecordingError("got no complete pair of electrodes, expected at least one; choose other derivations")
    first, second = np.array(rows).T
    defects = [
        replace(defect, ch_name=name)
        for name, (a, b) in zip(names, rows, strict=True)
        for defect in recording.defects
        if defect.ch_name in (recording.ch_names[a], recording.ch_names[b])
    ]
    told = (f"{len(aside)} derivations lack an electrode: {', '.join(s.name for s in aside)}",) if aside else ()
    return recording.with_step(
        f"{len(rows)} bipolar derivations",
        signal_uv=recording.signal_uv[first] - recording.signal_uv[second],
        ch_names=tuple(names),
        defects=tuple(defects),
        set_aside=recording.set_aside + tuple(aside),
        warnings=recording.warnings + told,
    )


def keep_ears(picked: Recording, recording: Recording) -> Recording:
    """Add the ear and mastoid channels of a recording to its scalp electrodes, so that they can become the reference.

    Args:
        picked: what `corpus.montage.pick_eeg` made of it.
        recording: the recording as read. "EEG A1-REF" and "M2" are ears, "A2-A1" is not: it has no common reference.
    """
    matches = [_EAR_LABEL.fullmatch(label) for label in recording.ch_names]
    rows = [i for i, match in enumerate(matches) if match]
    names = tuple(match[1].upper() for match in matches if match)
    if not rows or len(set(names)) < len(names):
        return picked
    labels = {recording.ch_names[i]: name for i, name in zip(rows, names, strict=True)}
    defects = tuple(replace(d, ch_name=labels[d.ch_name]) for d in recording.defects if d.ch_name in labels)
    scalp, source = picked.signal_uv, recording.signal_uv
    lazy = isinstance(source, SignalReader)
    return picked.with_step(
        f"kept {', '.join(names)} for the reference",
        signal_uv=scalp.beside(source.select(rows)) if lazy else np.concatenate([scalp, source[rows]]),
        ch_names=picked.ch_names + names,
        defects=picked.defects + defects,
        set_aside=tuple(s for s in picked.set_aside if s.name not in labels),
    )


def recorded_against_ears(labels: Iterable[str], picked: Recording) -> bool:
    """Whether the labels of all scalp electrodes say that they were measured against an ear ("EEG C3-A2", "C4-M1")."""
    found = {match[1].lower() for label in labels if (match := _AGAINST_EAR.search(label))}
    return {name.lower() for name in picked.ch_names} <= found


def _is_ear(name: str) -> bool:
    return any(name in pair for pair in EARS)


def _plain(name: str) -> str:
    """One spelling of an electrode: new name, lower case."""
    upper = name.upper()
    return _OLD_NAMES.get(upper, upper).lower()


def _index(ch_names: Sequence[str]) -> dict[str, int]:
    return {_plain(name): i for i, name in enumerate(ch_names)}
