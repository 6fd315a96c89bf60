"""EEGMMIDB, "Motor Imagery" in the paper: fists and feet, moved and imagined (Schalk et al. 2004).

S001/S001R01.edf      published; a folder with all files side by side is read as well

Runs of every subject: 1 eyes open, 2 eyes closed, then three times a block of four: left or right fist moved (3, 7,
11), imagined (4, 8, 12), both fists or both feet moved (5, 9, 13), imagined (6, 10, 14). T0 is rest; what T1 and T2
mean depends on the run.
"""

from pathlib import Path

import numpy as np

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import matching, with_labels
from corpus.recording import Recording, read_recording

_LAYOUT = r"(?:.+/)?(?P<subject>S\d{3})R(?P<run>0[1-9]|1[0-4])"
_EYES = {1: "eyes open", 2: "eyes closed"}
_LIMBS = {0: ("left fist", "right fist"), 2: ("both fists", "both feet")}  # T1 and T2, by the place in the block
_ACTS = ("movement", "imagery")
_CH_NAMES = (
    "Fc5. Fc3. Fc1. Fcz. Fc2. Fc4. Fc6. C5.. C3.. C1.. Cz.. C2.. C4.. C6.. Cp5. Cp3. Cp1. Cpz. Cp2. Cp4. Cp6. Fp1. "
    "Fpz. Fp2. Af7. Af3. Afz. Af4. Af8. F7.. F5.. F3.. F1.. Fz.. F2.. F4.. F6.. F8.. Ft7. Ft8. T7.. T8.. T9.. T10. "
    "Tp7. Tp8. P7.. P5.. P3.. P1.. Pz.. P2.. P4.. P6.. P8.. Po7. Po3. Poz. Po4. Po8. O1.. Oz.. O2.. Iz.."
)

CARD = DatasetCard(
    name="motor-imagery",
    title="EEG Motor Movement/Imagery Dataset 1.0.0 (EEGMMIDB)",
    aliases=("eegmmidb", "eegmmi", "physionet-mi"),
    role="corpus",
    licence="ODC-By 1.0",
    access="open, https://physionet.org/content/eegmmidb/1.0.0/",
    citation="Schalk et al. 2004, doi:10.1109/TBME.2004.827072; Goldberger et al. 2000, "
    "doi:10.1161/01.CIR.101.23.e215; doi:10.13026/C28G6P",
    expected_recordings=1526,
    expected_subjects=109,
    paper_segments=(11698, 1191),
    why_counts_differ="The paper does not say which runs and subjects it uses, nor how it cuts. Twelve runs of two "
    "minutes and two of one minute give 156 segments of 10 s a subject, 17,004 in all; without the first two of each "
    "of the twelve runs it would be 13,080, near the paper's 12,889. We yield every run. "
    "The dataset was part of LaBraM's pretraining, without labels.",
    sfreq=160.0,  # S088, S092 and S100: 128 Hz
    ch_names=tuple(_CH_NAMES.split()),
    reference="as recorded, common, not stated",
    mains_hz=60.0,
    labels={
        "eyes open": "baseline of one minute",
        "eyes closed": "baseline of one minute",
        "rest": "between two targets (T0)",
        **{
            f"{limb} {act}": f"{limb}: opened and closed" + (", in imagination only" if act == "imagery" else "")
            for act in _ACTS
            for pair in _LIMBS.values()
            for limb in pair
        },
    },
    granularity="event",
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every EDF file; ValueError where there is none."""
    entries = []
    for path, name, fits in matching(root, _LAYOUT):
        eyes = _EYES.get(int(fits["run"]))
        labels = (Label("condition", eyes, "file", f"run {fits['run']}"),) if eyes else ()
        entries.append(Entry(name, fits["subject"], path, labels))
    return entries


def _meaning(run: int, code: str) -> str | None:
    """What T0, T1 or T2 stands for in a run of 3 to 14; None for any other annotation."""
    place = (run - 3) % 4
    limbs = _LIMBS[place - place % 2]
    values = {"T0": "rest", **{f"T{i + 1}": f"{limb} {_ACTS[place % 2]}" for i, limb in enumerate(limbs)}}
    return values.get(code)


def _load(entry: Entry) -> Loaded:
    """The recording with the meaning of its annotations as labels."""
    run = int(entry.path.stem[-2:])
    recording = _without_padding(read_recording(entry.path))
    labels = list(entry.labels)
    for remark in recording.annotations if run not in _EYES else ():
        if value := _meaning(run, remark.description):
            source = f"annotation {remark.description} of run {run:02d}"
            labels.append(Label("task", value, "event", source, remark.start_s, remark.duration_s))
    return with_labels(recording, labels)


def _without_padding(recording: Recording) -> Recording:
    """Without the zeros that fill the last second of most files."""
    used = np.flatnonzero(recording.signal_uv.any(axis=0))
    stop = int(used[-1]) + 1 if used.size else 0
    zeros_s = recording.duration_s - stop / recording.sfreq
    if stop == 0 or zeros_s == 0:
        return recording
    return recording.with_step(f"{zeros_s:g} s of zeros at the end cut", signal_uv=recording.signal_uv[:, :stop])


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
