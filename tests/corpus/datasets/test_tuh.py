"""The TUH corpora are read from miniatures in their published layout; every expected value is worked out by hand."""

import pickle
from itertools import pairwise

import edfio
import numpy as np
import pytest

from corpus.datasets import tuh
from corpus.datasets.base import Label
from corpus.datasets.tuh import DATASETS
from corpus.datasets.tuh_labels import TCP_CHANNELS, read_labels
from corpus.montage import pick_eeg
from corpus.recording import RecordingError

BY_NAME = {dataset.card.name: dataset for dataset in DATASETS}
ELECTRODES = [
    "FP1",
    "FP2",
    "F3",
    "F4",
    "C3",
    "C4",
    "P3",
    "P4",
    "O1",
    "O2",
    "F7",
    "F8",
    "T3",
    "T4",
    "T5",
    "T6",
    "A1",
    "A2",
    "FZ",
    "CZ",
    "PZ",
]
CSV_HEADER = """# version = csv_v1.0.0
# bname = {name}
# duration = 40.0000 secs
# montage_file = $NEDC_NFC/lib/nedc_eas_default_montage.txt
#
channel,start_time,stop_time,label,confidence
"""


def write(path, reference="REF", seconds=40, sfreq=250):
    """An EDF file as TUH publishes it: names such as "EEG FP1-REF", the age in the patient field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = np.random.default_rng(0).normal(0, 20, (len(ELECTRODES) + 1, seconds * sfreq))
    labels = [f"EEG {name}-{reference}" for name in ELECTRODES] + [f"EEG EKG1-{reference}"]
    signals = [
        edfio.EdfSignal(row, sfreq, label=label, physical_dimension="uV")
        for row, label in zip(signal, labels, strict=True)
    ]
    patient = edfio.Patient(code=path.stem[:8], sex="F", additional=("Age:53",))
    edfio.Edf(signals, patient=patient, recording=edfio.Recording()).write(str(path))
    return path


def annotate(edf, ending, rows, header=CSV_HEADER):
    path = edf.with_name(edf.stem + ending)
    path.write_text(header.format(name=edf.stem) + "\n".join(rows) + "\n")
    return path


def facts(labels):
    return [(label.kind, label.value, label.start_s, label.duration_s, label.ch_names) for label in labels]


def seen(entries):
    return [(entry.id, entry.subject, entry.split) for entry in entries]


def test_tuab_takes_label_and_split_from_the_folders(tmp_path):
    write(tmp_path / "edf/train/normal/01_tcp_ar/aaaaaaav_s004_t000.edf")
    write(tmp_path / "edf/train/abnormal/01_tcp_ar/aaaaaaaq_s004_t000.edf")
    write(tmp_path / "edf/eval/abnormal/01_tcp_ar/aaaaamye_s001_t001.edf")
    write(tmp_path / "edf/eval/abnormal/01_tcp_ar/._aaaaamye_s001_t001.edf")
    tuab = BY_NAME["tuab"]
    entries = tuab.entries(tmp_path)
    assert seen(entries) == [
        ("eval/abnormal/01_tcp_ar/aaaaamye_s001_t001", "aaaaamye", "test"),
        ("train/abnormal/01_tcp_ar/aaaaaaaq_s004_t000", "aaaaaaaq", "train"),
        ("train/normal/01_tcp_ar/aaaaaaav_s004_t000", "aaaaaaav", "train"),
    ]
    assert [e.labels[0].value for e in entries] == ["abnormal", "abnormal", "normal"]
    assert entries[2].labels == (Label("abnormality", "normal", "file", "folder normal"),)
    assert [e.id for e in tuab.entries(tmp_path / "edf")] == [e.id for e in entries]
    loaded = tuab.load(entries[2])
    assert loaded.labels == entries[2].labels
    assert loaded.recording.sfreq == 250
    assert (loaded.recording.subject.age_years, loaded.recording.subject.sex) == (53, "F")
    kept = pick_eeg(loaded.recording).ch_names
    assert kept[:2] == ("Fp1", "Fp2")
    assert {"T3", "T6", "Pz"} < set(kept)
    assert not {"A1", "A2", "EKG1"} & set(kept)


def test_tusz_keeps_channels_types_and_the_whole_head(tmp_path):
    edf = write(tmp_path / "edf/dev/aaaaaaac/s001_2002_12_23/02_tcp_le/aaaaaaac_s001_t000.edf", "LE")
    annotate(
        edf,
        ".csv",
        [
            "FP1-F7,0.0000,16.8868,bckg,1.0000",
            "FP1-F7,16.8868,30.3055,cpsz,1.0000",
            "FP1-F7,30.3055,40.0000,bckg,1.0000",
            "F7-T3,0.0000,40.0000,bckg,1.0000",
            "T3-T5,16.8868,30.3055,cpsz,1.0000",
            "T5-O1,20.0000,43.0000,fnsz,1.0000",
            "P4-O2,41.0000,43.0000,fnsz,1.0000",
        ],
    )
    annotate(edf, ".csv_bi", ["TERM,0.0000,16.8868,bckg,1.0000", "TERM,16.8868,40.0000,seiz,1.0000"])
    tusz = BY_NAME["tusz"]
    (entry,) = tusz.entries(tmp_path)
    path_id = "dev/aaaaaaac/s001_2002_12_23/02_tcp_le/aaaaaaac_s001_t000"
    assert seen([entry]) == [(path_id, "aaaaaaac", "val")]
    loaded = tusz.load(entry)
    assert facts(loaded.labels) == [
        ("state", "bckg", 0.0, 16.8868, ("FP1-F7",)),
        ("state", "bckg", 0.0, 40.0, ("F7-T3",)),
        ("event", "cpsz", 16.8868, pytest.approx(13.4187), ("FP1-F7", "T3-T5")),
        ("event", "fnsz", 20.0, 20.0, ("T5-O1",)),
        ("state", "bckg", 30.3055, pytest.approx(9.6945), ("FP1-F7",)),
        ("state", "bckg", 0.0, 16.8868, ()),
        ("event", "seiz", 16.8868, pytest.approx(23.1132), ()),
    ]
    assert {label.source for label in loaded.labels} == {"aaaaaaac_s001_t000.csv", "aaaaaaac_s001_t000.csv_bi"}
    assert {label.granularity for label in loaded.labels} == {"event"}
    cut, dropped = loaded.recording.warnings[-2:]
    assert cut.startswith("1 published labels end after")
    assert dropped.startswith("1 published labels lie outside")
    assert pick_eeg(loaded.recording).ch_names[0] == "Fp1"


@pytest.mark.parametrize(("folder", "split"), [("train", "train"), ("dev", "val"), ("eval", "test")])
def test_tusz_split_is_the_published_one(tmp_path, folder, split):
    path = tmp_path / f"edf/{folder}/aaaaaaac/s001_2002/01_tcp_ar/aaaaaaac_s001_t000.edf"
    path.parent.mkdir(parents=True)
    path.touch()
    assert [entry.split for entry in BY_NAME["tusz"].entries(tmp_path)] == [split]


def test_tuar_splits_combined_artifacts_and_reads_its_seizures(tmp_path):
    edf = write(tmp_path / "edf/03_tcp_ar_a/aaaaaaju_s005_t000.edf")
    annotate(
        edf, ".csv", ["FP1-F7,2.5640,5.5380,eyem_musc,1.0000", "FP2-F8,2.5640,5.5380,eyem_musc,1.0", "T3-C3,4,9,elec,1"]
    )
    annotate(edf, "_seiz.csv", ["FP1-F7,10.0,20.0,gnsz,1.0000"])
    tuar = BY_NAME["tuar"]
    (entry,) = tuar.entries(tmp_path)
    assert seen([entry]) == [("03_tcp_ar_a/aaaaaaju_s005_t000", "aaaaaaju", None)]
    labels = tuar.load(entry).labels
    both = ("FP1-F7", "FP2-F8")
    assert facts(labels) == [
        ("artifact", "eyem", 2.564, pytest.approx(2.974), both),
        ("artifact", "musc", 2.564, pytest.approx(2.974), both),
        ("artifact", "elec", 4.0, 5.0, ("T3-C3",)),
        ("event", "gnsz", 10.0, 10.0, ("FP1-F7",)),
    ]
    assert labels[0].source == "aaaaaaju_s005_t000.csv: eyem_musc"
    assert labels[3].source == "aaaaaaju_s005_t000_seiz.csv"


def test_tuev_numbers_are_channels_from_0_and_labels_from_1(tmp_path):
    train = write(tmp_path / "edf/train/aaaaaaar/aaaaaaar_00000001.edf")
    held = write(tmp_path / "edf/eval/032/bckg_032_a_1.edf")
    rows = ["0,1.0,2.0,1", "21,1.0,2.0,2", "8,3.5,4.5,3", "13,3.5,4.5,4", "10,3.5,4.5,5", "11,3.5,4.5,6", "7,1,2,1"]
    annotate(train, ".rec", rows, header="")
    annotate(held, ".rec", ["3,0.0,1.0,6"], header="")
    tuev = BY_NAME["tuev"]
    entries = tuev.entries(tmp_path)
    assert seen(entries) == [
        ("eval/032/bckg_032_a_1", "eval-032", "test"),
        ("train/aaaaaaar/aaaaaaar_00000001", "aaaaaaar", "train"),
    ]
    assert facts(tuev.load(entries[1]).labels) == [
        ("pattern", "spsw", 1.0, 1.0, ("FP1-F7", "T6-O2")),
        ("pattern", "gped", 1.0, 1.0, ("P4-O2",)),
        ("pattern", "pled", 3.5, 1.0, ("A1-T3",)),
        ("artifact", "eyem", 3.5, 1.0, ("T4-A2",)),
        ("artifact", "artf", 3.5, 1.0, ("C3-CZ",)),
        ("state", "bckg", 3.5, 1.0, ("CZ-C4",)),
    ]
    assert facts(tuev.load(entries[0]).labels) == [("state", "bckg", 0.0, 1.0, ("T5-O1",))]


def test_the_montage_is_a_double_banana_with_a_coronal_row():
    # each chain goes on where it left off: 4 + 4 temporal, 6 coronal, 4 + 4 parasagittal
    assert len(TCP_CHANNELS) == 22
    for first, last in ((0, 3), (4, 7), (8, 13), (14, 17), (18, 21)):
        chain = [name.split("-") for name in TCP_CHANNELS[first : last + 1]]
        assert all(a[1] == b[0] for a, b in pairwise(chain))
    ends = [TCP_CHANNELS[i] for i in (0, 3, 4, 7, 8, 13, 14, 17, 18, 21)]
    assert ends == ["FP1-F7", "T5-O1", "FP2-F8", "T6-O2", "A1-T3", "T4-A2", "FP1-F3", "P3-O1", "FP2-F4", "P4-O2"]


def test_tusl_takes_the_patient_from_the_folder(tmp_path):
    good = write(tmp_path / "edf/aaaaaaju/s005_2010_11_15/01_tcp_ar/aaaaaaju_s005_t000.edf")
    odd = write(tmp_path / "edf/aaaaamoa/s003_2012_10_22/01_tcp_ar/00008476_s003_t010.edf")
    header = "version = tse_v1.0.0\n\n"
    rows = ["8.0000 18.0000 slow 1.0000", "18.0000 28.0000 seiz 1.0000", "0.0000 10.0000 bckg 1.0000"]
    annotate(good, ".tse_agg", rows, header)
    annotate(odd, ".csv", ["FP1-F7,0.0,10.0,slow,1.0", "F7-T3,0.0,10.0,slow,1.0"])
    tusl = BY_NAME["tusl"]
    entries = tusl.entries(tmp_path)
    assert [(entry.subject, entry.split) for entry in entries] == [("aaaaaaju", None), ("aaaaamoa", None)]
    assert facts(tusl.load(entries[0]).labels) == [
        ("state", "bckg", 0.0, 10.0, ()),
        ("pattern", "slow", 8.0, 10.0, ()),
        ("event", "seiz", 18.0, 10.0, ()),
    ]
    assert facts(tusl.load(entries[1]).labels) == [("pattern", "slow", 0.0, 10.0, ("FP1-F7", "F7-T3"))]


def test_tuep_labels_the_person_and_reads_the_seizures_of_version_3(tmp_path):
    ill = write(tmp_path / "00_epilepsy/aaaaaanr/s001_2003/02_tcp_le/aaaaaanr_s001_t001.edf", "LE")
    write(tmp_path / "01_no_epilepsy/aaaaaebo/s001_2006_02_13/01_tcp_ar/aaaaaebo_s001_t000.edf")
    annotate(ill, ".csv_bi", ["TERM,0.0000,12.0000,seiz,1.0000"])
    tuep = BY_NAME["tuep"]
    entries = tuep.entries(tmp_path)
    assert [(e.subject, e.diagnosis, e.split) for e in entries] == [
        ("aaaaaanr", ("epilepsy",), None),
        ("aaaaaebo", ("no epilepsy",), None),
    ]
    assert entries[0].labels == (Label("diagnosis", "epilepsy", "file", "folder 00_epilepsy"),)
    assert facts(tuep.load(entries[0]).labels) == [
        ("diagnosis", "epilepsy", 0.0, None, ()),
        ("event", "seiz", 0.0, 12.0, ()),
    ]
    assert tuep.load(entries[1]).labels == entries[1].labels


def test_a_patient_has_one_code_in_all_corpora(tmp_path):
    for name, path in (
        ("tuab", "edf/train/normal/01_tcp_ar/aaaaaaav_s004_t000.edf"),
        ("tuar", "edf/01_tcp_ar/aaaaaaav_s004_t000.edf"),
        ("tuep", "00_epilepsy/aaaaaaav/s004_2012/01_tcp_ar/aaaaaaav_s004_t000.edf"),
        ("tuev", "edf/train/aaaaaaav/aaaaaaav_00000001.edf"),
        ("tusl", "edf/aaaaaaav/s004_2012/01_tcp_ar/aaaaaaav_s004_t000.edf"),
        ("tusz", "edf/eval/aaaaaaav/s004_2012/01_tcp_ar/aaaaaaav_s004_t000.edf"),
    ):
        file = tmp_path / name / path
        file.parent.mkdir(parents=True)
        file.touch()
        assert [entry.subject for entry in BY_NAME[name].entries(tmp_path / name)] == ["aaaaaaav"]
        assert BY_NAME[name].card.family == "TUH"


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_another_layout_is_refused(tmp_path, name):
    (tmp_path / "edf/sub-01/eeg").mkdir(parents=True)
    (tmp_path / "edf/sub-01/eeg/sub-01_eeg.edf").touch()
    with pytest.raises(ValueError, match="published layout"):
        BY_NAME[name].entries(tmp_path)


def test_annotations_of_an_interrupted_file(tmp_path, monkeypatch, read_interrupted):
    monkeypatch.setattr(tuh, "read_recording", read_interrupted)
    path = write(tmp_path / "edf/aaaaaaju/s005_2010_11_15/01_tcp_ar/aaaaaaju_s005_t000.edf")
    annotate(path, ".csv", ["FP1-F7,2.0,12.0,slow,1.0", "F7-T3,11.0,14.0,slow,1.0", "F7-T3,20.0,30.0,seiz,1.0"])
    (entry,) = BY_NAME["tusl"].entries(tmp_path)
    loaded = BY_NAME["tusl"].load(entry)
    assert [(label.start_s, label.duration_s) for label in loaded.labels] == [(2.0, 8.0), (15.0, 10.0)]
    assert loaded.recording.warnings[-1].startswith("1 published labels")


def test_missing_annotations_are_told(tmp_path):
    write(tmp_path / "edf/train/aaaaaaac/s001_2002/01_tcp_ar/aaaaaaac_s001_t000.edf")
    (entry,) = BY_NAME["tusz"].entries(tmp_path)
    with pytest.raises(RecordingError, match=r"expected aaaaaaac_s001_t000\.csv or .*\.csv_bi beside it"):
        BY_NAME["tusz"].load(entry)


@pytest.mark.parametrize(
    ("ending", "text", "message"),
    [
        (".csv", CSV_HEADER + "FP1-F7,0.0,1.0,zzzz,1.0\n", "got the label 'zzzz'"),
        (".csv", CSV_HEADER + "FP1-F7,0.0,1.0,bckg\n", "a row of 4 columns"),
        (".csv", CSV_HEADER + "FP1-F7,0.0,soon,bckg,1.0\n", "times in seconds"),
        (".csv_bi", "# version = csv_v1.0.0\nTERM,0.0,1.0,bckg,1.0\n", "no line of column names"),
        (".tse_agg", "version = tse_v1.0.0\n\n0.0 1.0 bckg\n", "a row of 3 columns"),
        (".rec", "22,0.0,1.0,6\n", "got channel 22 and label 6"),
        (".rec", "-1,0.0,1.0,6\n", "got channel -1"),
        (".rec", "0,0.0,1.0,0\n", "and label 0"),
    ],
)
def test_damaged_annotations_are_refused(tmp_path, ending, text, message):
    path = tmp_path / f"aaaaaaac_s001_t000{ending}"
    path.write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_labels(path)


def test_cards_hold_the_figures_of_table_1():
    segments = {name: dataset.card.paper_segments for name, dataset in BY_NAME.items()}
    assert segments == {
        "tuab": (20000, 1000),
        "tuar": (19999, 865),
        "tuep": (20390, 1000),
        "tuev": (10540, 1000),
        "tusl": (6063, 549),
        "tusz": (20112, 1000),
    }
    for dataset in DATASETS:
        card = dataset.card
        assert card.expected_recordings >= card.expected_subjects
        assert all((card.title, card.licence, card.access, card.citation, card.why_counts_differ, card.labels))
        assert (card.mains_hz, card.unit, card.role) == (60.0, "uV", "corpus")


def test_every_label_read_is_explained_on_the_card():
    explained = {name: set(dataset.card.labels) for name, dataset in BY_NAME.items()}
    assert explained["tuev"] == {"spsw", "gped", "pled", "eyem", "artf", "bckg"}
    assert explained["tusl"] == {"slow", "seiz", "bckg"}
    assert {"eyem", "chew", "shiv", "musc", "elec", "elpp", "seiz", "gnsz"} < explained["tuar"]
    assert {"bckg", "seiz", "fnsz", "gnsz", "spsz", "cpsz", "absz", "tnsz", "tcsz", "mysz"} < explained["tusz"]


def test_adapters_cross_process_borders(tmp_path):
    write(tmp_path / "edf/train/normal/01_tcp_ar/aaaaaaav_s004_t000.edf")
    dataset = BY_NAME["tuab"]
    load, entry = pickle.loads(pickle.dumps((dataset.load, dataset.entries(tmp_path)[0])))
    assert load(entry).labels == entry.labels
