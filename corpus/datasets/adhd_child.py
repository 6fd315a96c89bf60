"""ADHD-Child: 61 children with ADHD and 60 controls at a visual attention task (Nasrabadi et al. 2020).

ADHD_part1/v1p.mat, ADHD_part2/v177.mat, Control_part1/v41p.mat, Control_part2/v107.mat

Each file holds one array, samples by channels, under the name of the file. The unit is not published.
"""

from pathlib import Path

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded
from corpus.datasets.events import matching
from corpus.recording import RecordingError, recording_from_array

_LAYOUT = r"(?:.+/)?(?i:(?P<group>adhd|control)(?:_part[12])?)/(?P<subject>v\d+p?)"
_DIAGNOSES = {"adhd": "ADHD", "control": "healthy control"}
_TASK = "visual attention task"
_SFREQ = 128.0
_CH_NAMES = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz"

CARD = DatasetCard(
    name="adhd-child",
    title="EEG Data for ADHD / Control Children",
    aliases=("adhd",),
    role="corpus",
    licence="CC BY 4.0",
    access="open after free registration, https://ieee-dataport.org/open-access/eeg-data-adhd-control-children; unpack "
    "the four archives side by side",
    citation="Nasrabadi, Allahverdy, Samavati & Mohammadi 2020, doi:10.21227/rzfh-zn36",
    expected_recordings=121,
    expected_subjects=121,
    paper_segments=(1147, 330),
    why_counts_differ="The paper does not state its split or cutting. Recordings end when the child has answered, so "
    "they differ in length; the 97 children we could look at hold 1,312 segments of 10 s, 1,118 without the first two "
    "of each.",
    sfreq=_SFREQ,
    unit="not published, taken as uV",
    ch_names=tuple(_CH_NAMES.split()),
    reference="earlobes A1 and A2",
    mains_hz=50.0,
    labels={
        "ADHD": "diagnosed by a psychiatrist to DSM-IV criteria, aged 7 to 12, up to six months on methylphenidate",
        "healthy control": "no psychiatric disorder, epilepsy or high-risk behaviour known, aged 7 to 12",
        _TASK: "counting cartoon characters in one picture after the other",
    },
)


def _entries(root: Path) -> list[Entry]:
    """Entries of every MATLAB file in a group's folder; ValueError where there is none."""
    entries = []
    for path, name, fits in matching(root, _LAYOUT, ".mat"):
        diagnosis = _DIAGNOSES[fits["group"].lower()]
        labels = (
            Label("diagnosis", diagnosis, "file", f"folder {path.parent.name}"),
            Label("task", _TASK, "file", "the only task"),
        )
        entries.append(Entry(name, fits["subject"], path, labels, diagnosis=(diagnosis,)))
    return entries


def _load(entry: Entry) -> Loaded:
    """The array under the name of the file, as microvolts; RecordingError where it is not there."""
    from scipy.io import loadmat

    try:
        signal = loadmat(entry.path)[entry.path.stem]
    except Exception as error:  # SciPy raises what its parsers raise
        raise RecordingError(
            f"{entry.path.name}: got no array {entry.path.stem!r} ({type(error).__name__}), expected the published "
            "MATLAB file; copy it again"
        ) from None
    warning = "the publisher gives no unit: taken as microvolts, so amplitudes are uncertain"
    recording = recording_from_array(entry.path, signal.T, _SFREQ, CARD.ch_names, "MATLAB", warnings=[warning])
    return Loaded(recording, entry.labels)


DATASETS: tuple[EegDataset, ...] = (EegDataset(CARD, _entries, _load),)
