"""The six labelled corpora of the Temple University Hospital EEG Corpus (TUH, Obeid & Picone 2016).

    TUAB  edf/{train,eval}/{normal,abnormal}/01_tcp_ar/aaaaaaav_s004_t000.edf
    TUAR  edf/01_tcp_ar/aaaaaaju_s005_t000.edf                         .csv (artifacts), _seiz.csv (seizures, if any)
    TUEP  {00_epilepsy,01_no_epilepsy}/aaaaaanr/s001_2003/02_tcp_le/aaaaaanr_s001_t001.edf       .csv, .csv_bi from v3
    TUEV  edf/train/aaaaaaar/aaaaaaar_00000001.edf, edf/eval/032/bckg_032_a_1.edf                                 .rec
    TUSL  edf/aaaaaaju/s005_2010_10_12/01_tcp_ar/aaaaaaju_s005_t000.edf                                .tse_agg, .csv
    TUSZ  edf/{train,dev,eval}/aaaaaaac/s001_2002/02_tcp_le/aaaaaaac_s001_t000.edf                       .csv, .csv_bi

The patient code ("aaaaaaav") means the same person in all of them, so a split of one holds in the others; many
recordings stand in several corpora. The only exception is the eval side of TUEV, see its card.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded, Split
from corpus.datasets.events import beside, matching, on_signal, with_labels
from corpus.datasets.tuh_labels import ARTIFACTS, BACKGROUND, PATTERNS, SEIZURES, read_labels
from corpus.recording import RecordingError, read_recording

_SPLITS: Mapping[str, Split] = {"train": "train", "dev": "val", "eval": "test"}
_FILE = r"[^/]+"
_SESSION = rf"s\d+_[^/]+/\d\d_tcp_\w+/{_FILE}"  # session, montage, file
_CODE = r"(?P<subject>[^/_]+)_s\d+_t\d+"  # a file whose first field is the patient
_ABNORMALITY = {"normal": "normal", "abnormal": "abnormal"}
_EPILEPSY = {"00_epilepsy": "epilepsy", "01_no_epilepsy": "no epilepsy"}


def _entries(root: Path, layout: str, kind: str = "", values: Mapping[str, str] | None = None) -> list[Entry]:
    """Entries of the published folder, given itself or its `edf`; ids are paths below `edf`.

    Args:
        root: folder of one version of a corpus.
        layout: path without extension; its groups are subject, and where the layout has them split, label and index.
        kind: of the label that the folder name gives.
        values: label of each folder name.

    Raises:
        ValueError: no recording in this layout.
    """
    entries = []
    for path, name, fits in matching(root / "edf" if (root / "edf").is_dir() else root, layout):
        parts = fits.groupdict()
        value = (values or {}).get(parts.get("label") or "")
        labels = (Label(kind, value, "file", f"folder {parts['label']}"),) if value else ()
        entries.append(
            Entry(
                id=name,
                subject=parts.get("subject") or f"eval-{parts['index']}",
                path=path,
                labels=labels,
                diagnosis=(value,) if value and kind == "diagnosis" else (),
                split=_SPLITS.get(parts.get("split") or ""),
            )
        )
    return entries


def _load(entry: Entry, needed: Sequence[str] = (), extra: Sequence[str] = ()) -> Loaded:
    """The recording with the labels of the annotation files beside it.

    Args:
        entry: of `_entries`.
        needed: endings of annotation files, of which one at least must be there.
        extra: endings of those that need not be.

    Raises:
        RecordingError: the recording or an annotation file is damaged or missing.
    """
    if needed and not beside(entry.path, needed):
        expected = " or ".join(entry.path.stem + ending for ending in needed)
        raise RecordingError(
            f"{entry.path.name}: got a recording without annotations, expected {expected} beside it; copy it too"
        )
    labels = [label for file in beside(entry.path, (*needed, *extra)) for label in read_labels(file)]
    recording = read_recording(entry.path)
    return with_labels(recording, on_signal(recording, (*entry.labels, *labels)))


_ACCESS = (
    "free after a signed form, https://isip.piconepress.com/projects/nedc/html/tuh_eeg/, then rsync of "
    "data/tuh_eeg/{folder}. Clinical reports are no longer distributed"
)
_CAP = (
    "The paper keeps at most about 20,000 training segments by stratified sampling whose weights and seed it does not "
    "state; without a cap we yield every 10 s of every recording. "
)


def _meanings(codes: str) -> dict[str, str]:
    known = PATTERNS | ARTIFACTS | SEIZURES | BACKGROUND
    return {code: known[code] for code in codes.split()}


def _card(
    name: str, folder: str, title: str, citation: str, why: str, labels: Mapping[str, str], **facts: Any
) -> DatasetCard:
    return DatasetCard(
        name=name,
        title=title,
        citation=f"{citation}; Obeid & Picone 2016, doi:10.3389/fnins.2016.00196",
        licence="TUH EEG user agreement: research, no redistribution",
        access=_ACCESS.format(folder=folder),
        role="corpus",
        why_counts_differ=_CAP + why,
        reference="as recorded: average (01_tcp_ar, 03_tcp_ar_a) or linked ears (02_tcp_le, 04_tcp_le_a)",
        mains_hz=60.0,
        labels=labels,
        family="TUH",
        **facts,
    )


_TUAB = _card(
    "tuab",
    "tuh_eeg_abnormal/v3.0.1",
    "TUH Abnormal EEG Corpus v3.0.1",
    "Lopez et al. 2015, doi:10.1109/SPMB.2015.7405423",
    "It follows NeuroLM: test is the official eval side, validation a fifth of the training subjects drawn without a "
    "seed, and recordings whose channels are not exactly the usual 23 are dropped; we keep them.",
    {"normal": "normal recording, judged as a whole", "abnormal": "abnormal recording: somewhere, not in each segment"},
    aliases=("tuh_eeg_abnormal", "tuh-abnormal"),
    expected_recordings=2993,
    expected_subjects=2329,
    paper_segments=(20000, 1000),
)
_TUAR = _card(
    "tuar",
    "tuh_eeg_artifact/v3.0.1",
    "TUH EEG Artifact Corpus v3.0.1",
    "Hamid et al. 2020, doi:10.1109/SPMB50085.2020.9353647",
    "There is no published split. Combined labels (eyem_musc) become two labels here; 42 of 310 recordings have "
    "seizures annotated as well.",
    ARTIFACTS | SEIZURES | BACKGROUND,
    aliases=("tuh_eeg_artifact", "tuh-artifact"),
    expected_recordings=310,
    expected_subjects=213,
    paper_segments=(19999, 865),
    granularity="event",
)
_TUEP = _card(
    "tuep",
    "tuh_eeg_epilepsy/v2.0.1 (v3 is read as well)",
    "TUH EEG Epilepsy Corpus v2.0.1",
    "Veloso et al. 2017, doi:10.1109/SPMB.2017.8257044",
    "The version is not stated: v2.0.1 has 2,298 recordings, v3.0.0 cuts them to at most 30 min, has 2,821 and adds "
    "seizure annotations. The label is of the person: a segment need not show it.",
    {"epilepsy": "person with epilepsy", "no epilepsy": "person without"} | SEIZURES | BACKGROUND,
    aliases=("tuh_eeg_epilepsy", "tuh-epilepsy"),
    expected_recordings=2298,
    expected_subjects=200,
    paper_segments=(20390, 1000),
)
_TUEV = _card(
    "tuev",
    "tuh_eeg_events/v2.0.1",
    "TUH EEG Events Corpus v2",
    "Harati et al. 2015, doi:10.1109/SPMB.2015.7405421",
    "NeuroLM cuts 5 s around each annotated second; how the paper made 10 s of them is not stated. Here a segment "
    "carries every event in it. Folders of the eval side are numbered at random and carry no patient code: those "
    "subjects are called eval-000 ..., and codes cannot show whether they stand in another TUH corpus.",
    _meanings("spsw gped pled eyem artf bckg"),
    aliases=("tuh_eeg_events", "tuh-events"),
    expected_recordings=518,
    expected_subjects=370,
    paper_segments=(10540, 1000),
    granularity="event",
)
_TUSL = _card(
    "tusl",
    "tuh_eeg_slowing/v2.0.1",
    "TUH EEG Slowing Corpus v2",
    "von Weltin et al. 2017, doi:10.1109/SPMB.2017.8257018",
    "The annotated events are 300 of 10 s, fewer than the paper's segments, so it must have used time without an "
    "annotation too. NeuroLM splits by file in the order of the directory, which neither repeats nor keeps subjects "
    "apart; there is no published split. CerebraGloss finds that a segment labelled seiz need not "
    "show a seizure. Two files carry an old number for a name: the folder gives the patient.",
    _meanings("slow seiz bckg"),
    aliases=("tuh_eeg_slowing", "tuh-slowing"),
    expected_recordings=112,
    expected_subjects=38,
    paper_segments=(6063, 549),
    granularity="event",
)
_TUSZ = _card(
    "tusz",
    "tuh_eeg_seizure/v2.0.3",
    "TUH EEG Seizure Corpus v2.0.3",
    "Shah et al. 2018, doi:10.3389/fninf.2018.00083",
    "The paper does not say which of train, dev and eval it tests on. Counts are of the first v2.0.3 (2024-02); its "
    "re-release of 2025 splits long files. Labels without channels come from .csv_bi and speak of the whole head, "
    "those with channels from .csv.",
    SEIZURES | BACKGROUND,
    aliases=("tuh_eeg_seizure", "tuh-seizure"),
    expected_recordings=7361,
    expected_subjects=675,
    paper_segments=(20112, 1000),
    granularity="event",
)

_EVAL_OR_TRAIN = rf"(?P<split>train|eval)/(?:(?<=train/)(?P<subject>[^/]+)|(?<=eval/)(?P<index>[^/]+))/{_FILE}"

DATASETS: tuple[EegDataset, ...] = (
    EegDataset(
        _TUAB,
        partial(
            _entries,
            layout=rf"(?P<split>train|eval)/(?P<label>normal|abnormal)/\d\d_tcp_\w+/{_CODE}",
            kind="abnormality",
            values=_ABNORMALITY,
        ),
        _load,
    ),
    EegDataset(
        _TUAR,
        partial(_entries, layout=rf"\d\d_tcp_\w+/{_CODE}"),
        partial(_load, needed=(".csv",), extra=("_seiz.csv",)),
    ),
    EegDataset(
        _TUEP,
        partial(
            _entries,
            layout=rf"(?P<label>00_epilepsy|01_no_epilepsy)/(?P<subject>[^/]+)/{_SESSION}",
            kind="diagnosis",
            values=_EPILEPSY,
        ),
        partial(_load, extra=(".csv", ".csv_bi")),
    ),
    EegDataset(_TUEV, partial(_entries, layout=_EVAL_OR_TRAIN), partial(_load, needed=(".rec",))),
    EegDataset(
        _TUSL, partial(_entries, layout=rf"(?P<subject>[^/]+)/{_SESSION}"), partial(_load, needed=(".csv", ".tse_agg"))
    ),
    EegDataset(
        _TUSZ,
        partial(_entries, layout=rf"(?P<split>train|dev|eval)/(?P<subject>[^/]+)/{_SESSION}"),
        partial(_load, needed=(".csv", ".csv_bi")),
    ),
)
