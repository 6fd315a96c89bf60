"""Files become microvolts on one time axis, and nothing about the person but age and sex comes with them."""

import datetime
import hashlib
import random
import warnings

import edfio
import mne
import numpy as np
import pytest
import scipy.io

from corpus.preprocess import load_recording
from corpus.recording import Annotation, Recording, RecordingError, Subject, read_recording

SAMPLE = (
    "eegmat/Subject00_1.edf",
    "eegmat/Subject07_2.edf",
    "eegmmidb/S001R03.edf",
    "eegmmidb/S059R02.edf",
    "eeglab_sample/eeglab_data.set",
    "sleep_samples/data_resting_EO_200Hz_raw.fif",
)


def noise(n_chans=4, seconds=20, sfreq=200.0, seed=0):
    return np.random.default_rng(seed).normal(0, 20, (n_chans, round(seconds * sfreq)))


def edf_plus(
    onsets, records, labels=("Fp1", "Fp2", "C3", "C4"), texts=None, kind="EDF+D", n_text=60, patient="X X X X"
):
    """Bytes of an EDF+ file: `records` is (n_records, C, samples) int16, one record a second, at the given onsets."""
    n_records, n_chans, n_samples = records.shape
    n = n_chans + 1
    columns = [
        (16, [*labels, "EDF Annotations"]),
        (80, [""] * n),
        (8, ["uV"] * n_chans + [""]),
        (8, ["-3276.8"] * n_chans + ["-1"]),
        (8, ["3276.7"] * n_chans + ["1"]),
        (8, ["-32768"] * n),
        (8, ["32767"] * n),
        (80, [""] * n),
        (8, [str(n_samples)] * n_chans + [str(n_text)]),
        (32, [""] * n),
    ]
    fixed = [(8, "0"), (80, patient), (80, "Startdate X X X X"), (8, "01.01.85"), (8, "00.00.00")]
    fixed += [(8, str(256 * (n + 1))), (44, kind), (8, str(n_records)), (8, "1"), (4, str(n))]
    blob = b"".join(text.encode("latin-1").ljust(width) for width, text in fixed)
    blob += b"".join(text.encode("latin-1").ljust(width) for width, column in columns for text in column)
    for i, onset in enumerate(onsets):
        tal = f"+{onset:g}\x14\x14\x00".encode() + (texts or {}).get(i, b"")
        blob += records[i].astype("<i2").tobytes() + tal.ljust(2 * n_text, b"\x00")
    return blob


def raw_microvolts(path):
    """MNE's own reading of the same file, microvolts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mne.io.read_raw(path, preload=True, verbose="ERROR").get_data() * 1e6


@pytest.mark.parametrize("file", SAMPLE)
def test_real_recordings_agree_with_mne(shared_data, file):
    recording = read_recording(shared_data / file)
    expected = raw_microvolts(shared_data / file)
    np.testing.assert_allclose(recording.signal_uv, expected, atol=1e-9 * np.abs(expected).max())
    digest = hashlib.sha256((shared_data / file).read_bytes()).hexdigest()
    assert recording.provenance.sha256 == digest
    assert recording.provenance.file == file.split("/")[1]
    assert recording.breaks_s == ()
    assert load_recording(shared_data / file).sfreq == 200


@pytest.mark.slow
def test_every_real_recording_loads(shared_data):
    files = [file for pattern in ("*.edf", "*.fif", "*.set") for file in sorted(shared_data.rglob(pattern))]
    assert len(files) > 70
    for file in files:
        recording = load_recording(file)
        assert recording.duration_s >= 10
        assert recording.breaks_s == ()
        assert np.isfinite(recording.signal_uv).all()
        np.testing.assert_allclose(read_recording(file).signal_uv, raw_microvolts(file), atol=1e-6)


def test_real_facts(shared_data):
    eegmat = read_recording(shared_data / "eegmat/Subject00_1.edf")
    assert eegmat.subject == Subject(age_years=21, sex="M")
    assert eegmat.provenance.format == "EDF+C"
    runs = read_recording(shared_data / "eegmmidb/S001R03.edf")
    assert len(runs.annotations) == 30
    raw = mne.io.read_raw(shared_data / "eegmmidb/S001R03.edf", verbose="ERROR")
    for ours, theirs in zip(runs.annotations, raw.annotations, strict=True):
        assert ours.description == theirs["description"]
        assert ours.start_s == pytest.approx(theirs["onset"])
        assert ours.duration_s == pytest.approx(theirs["duration"])


def test_bdf_agrees_with_mne_and_is_24_bit(tmp_path):
    signals = [
        edfio.BdfSignal(x * 1e3, 256, label=name, physical_dimension="uV", physical_range=(-2e5, 2e5))
        for x, name in zip(noise(sfreq=256), ("Fp1", "Fp2", "C3", "C4"), strict=True)
    ]
    edfio.Bdf(signals, annotations=[edfio.EdfAnnotation(3.5, 1, "blink")]).write(tmp_path / "a.bdf")
    recording = read_recording(tmp_path / "a.bdf")
    np.testing.assert_allclose(recording.signal_uv, raw_microvolts(tmp_path / "a.bdf"), atol=1e-6)
    np.testing.assert_allclose(recording.signal_uv, noise(sfreq=256) * 1e3, atol=0.05)  # 400 mV / 2**24 is 0.02 uV
    assert recording.annotations == (Annotation(3.5, 1.0, "blink"),)
    assert recording.provenance.format == "BDF+C"


def brainvision(path, signal_uv, sfreq, markers):
    path.with_suffix(".vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=a.eeg\nMarkerFile=a.vmrk\n"
        f"DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\nSamplingInterval={1e6 / sfreq}\n"
        "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\nCh1=C3,,1,µV\nCh2=C4,,1,µV\n",
        encoding="utf-8",
    )
    lines = [f"Mk{i + 1}={kind},{text},{sample},1,0" for i, (kind, text, sample) in enumerate(markers)]
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\nDataFile=a.eeg\n[Marker Infos]\n"
        + "\n".join(lines)
    )
    path.with_suffix(".eeg").write_bytes(signal_uv.T.astype("<f4").tobytes())


def test_brainvision_with_a_pause(tmp_path):
    markers = [("New Segment", "", 1), ("Stimulus", "S  1", 501), ("New Segment", "", 2501)]
    brainvision(tmp_path / "a.vhdr", noise(2, sfreq=250), 250, markers)
    recording = read_recording(tmp_path / "a.vhdr")
    np.testing.assert_allclose(recording.signal_uv, noise(2, sfreq=250), rtol=1e-5, atol=1e-4)
    assert recording.breaks_s == (10.0,)
    assert [(a.start_s, a.description) for a in recording.annotations] == [(2.0, "Stimulus/S  1")]
    assert recording.provenance.format == "BrainVision"
    with pytest.raises(RecordingError, match=r"open the \.vhdr file"):
        read_recording(tmp_path / "a.eeg")
    (tmp_path / "a.eeg").unlink()
    with pytest.raises(RecordingError, match="companion files"):
        read_recording(tmp_path / "a.vhdr")


def test_eeglab_boundary(tmp_path):
    event = np.array(
        [("boundary", 2000.5, 700.0), ("rt", 3001.0, 0.0)], dtype=[(k, object) for k in ("type", "latency", "duration")]
    )
    chanlocs = np.array([("C3",), ("C4",)], dtype=[("labels", object)])
    eeg = {"setname": "a", "nbchan": 2, "trials": 1, "pnts": 4000, "srate": 200.0, "xmin": 0.0, "xmax": 20.0}
    eeg |= {
        "data": noise(2),
        "chanlocs": chanlocs,
        "event": event,
        "epoch": [],
        "icawinv": [],
        "icaweights": [],
        "icasphere": [],
    }
    scipy.io.savemat(tmp_path / "a.set", {"EEG": eeg}, appendmat=False)
    recording = read_recording(tmp_path / "a.set")
    np.testing.assert_allclose(recording.signal_uv, noise(2), atol=1e-6)
    assert recording.breaks_s == (10.0,)
    assert [(a.start_s, a.description) for a in recording.annotations] == [(15.0, "rt")]


def test_fif_keeps_voltages_only(tmp_path):
    info = mne.create_info(["Fp1", "Fp2", "C3", "STI"], 250.0, ["eeg", "eeg", "eog", "stim"])
    info["bads"] = ["Fp2"]
    mne.io.RawArray(noise(sfreq=250) * 1e-6, info, verbose="ERROR").save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = read_recording(tmp_path / "a_raw.fif")
    assert recording.ch_names == ("Fp1", "C3")
    np.testing.assert_allclose(recording.signal_uv, noise(sfreq=250)[[0, 2]], rtol=1e-5, atol=1e-4)
    assert {s.name: s.why for s in recording.set_aside} == {
        "STI": "stim channel, not an EEG voltage",
        "Fp2": "marked bad in the file",
    }


def test_interrupted_edf_keeps_its_breaks(tmp_path):
    records = noise(4, 24).reshape(4, 24, 200).transpose(1, 0, 2).round().astype(int)
    onsets = [*range(10), *range(20, 30), *range(60, 64)]  # 10 s missing after 10 s, 30 s after 20 s
    texts = {
        0: b"+2.5\x151\x14early\x14\x00",
        12: b"+22.5\x14later\x14\x00+15\x14in the gap\x14\x00",
        21: b"+8\x1515\x14across a gap\x14\x00",
    }
    (tmp_path / "a.edf").write_bytes(edf_plus(onsets, records, texts=texts))
    recording = read_recording(tmp_path / "a.edf")
    assert recording.breaks_s == (10.0, 20.0)
    assert recording.duration_s == 24.0
    np.testing.assert_allclose(recording.signal_uv, records.transpose(1, 0, 2).reshape(4, -1) * 0.1, atol=1e-6)
    placed = {a.description: (a.start_s, a.duration_s) for a in recording.annotations}
    assert placed == {"early": (2.5, 1), "later": (12.5, 0), "in the gap": (10, 0), "across a gap": (8, 5)}
    assert [recording.to_signal(t) for t in (2.5, 22.5, 15, 61)] == [2.5, 12.5, 10, 21]
    assert recording.warnings == ("the recording is interrupted 2 times, 40.0 s are missing in total",)
    assert recording.provenance.format == "EDF+D"


def test_interrupted_edf_that_cannot_be_placed_says_so(tmp_path):
    records = noise(4, 12).reshape(4, 12, 200).transpose(1, 0, 2).astype(int)
    (tmp_path / "a.edf").write_bytes(edf_plus([*range(11), 3], records))
    recording = read_recording(tmp_path / "a.edf")
    assert recording.breaks_s == ()
    assert "backwards" in recording.warnings[0]
    blob = edf_plus(range(12), records).replace(b"+5\x14\x14\x00", b"\x00" * 5)
    (tmp_path / "a.edf").write_bytes(blob)
    assert "gaps cannot be located" in read_recording(tmp_path / "a.edf").warnings[0]


def test_breaks_of_other_formats(tmp_path):
    raw = mne.io.RawArray(noise(2, 40) * 1e-6, mne.create_info(["C3", "C4"], 200.0, "eeg"), verbose="ERROR")
    remarks = [(10.0, 0.0, "boundary"), (20.0, 5.0, "BAD_ACQ_SKIP"), (30.0, 2.0, "spindle"), (32, 0, "New Segment/")]
    raw.set_annotations(mne.Annotations(*zip(*remarks, strict=True)))
    raw.crop(1.0)  # first_time is not zero
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = read_recording(tmp_path / "a_raw.fif")
    assert recording.breaks_s == pytest.approx((9.0, 19.0, 26.0), abs=0.006)
    assert recording.duration_s == pytest.approx(34.0, abs=0.02)
    assert [a.description for a in recording.annotations] == ["spindle"]
    assert recording.annotations[0].start_s == pytest.approx(24.0, abs=0.011)
    assert not (recording.signal_uv == 0).all(axis=0).any()


@pytest.mark.parametrize(
    ("birth", "recorded", "age"),
    [((1900, 1, 1), (2011, 3, 8), 90), ((2011, 3, 9), (2011, 3, 8), None), ((2011, 3, 8), (2011, 3, 8), 0)],
)
def test_age_from_fif_and_edf(tmp_path, birth, recorded, age):
    info = mne.create_info(["C3", "C4"], 200.0, "eeg")
    info["subject_info"] = {"birthday": datetime.date(*birth), "sex": 1, "last_name": "Quux", "his_id": "MRN77812"}
    info["experimenter"] = "Grimsby"
    info.set_meas_date(datetime.datetime(*recorded, tzinfo=datetime.UTC))
    raw = mne.io.RawArray(noise(2) * 1e-6, info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([3.0], [0.0], ["Mr Quux (mrn77812), Grimsby"]))
    raw.save(tmp_path / "a_raw.fif", verbose="ERROR")
    recording = read_recording(tmp_path / "a_raw.fif")
    assert recording.subject == Subject(age, "M")
    assert recording.annotations[0].description == "Mr [removed] ([removed]), [removed]"
    records = noise(4, 12).reshape(4, 12, 200).transpose(1, 0, 2).astype(int)
    blob = edf_plus(range(12), records, kind="EDF+C", patient=f"X M {datetime.date(*birth):%d-%b-%Y} X")
    blob = blob.replace(b"01.01.85", f"{datetime.date(*recorded):%d.%m.%y}".encode())
    (tmp_path / "a.edf").write_bytes(blob)
    assert read_recording(tmp_path / "a.edf").subject == Subject(age, "M")


def test_age_as_stated_by_tuh_when_dates_are_gone(tmp_path):
    records = noise(4, 12).reshape(4, 12, 200).transpose(1, 0, 2).astype(int)
    (tmp_path / "a.edf").write_bytes(edf_plus(range(12), records, patient="00000258 F 01-JAN-1958 00000258 Age:53"))
    assert read_recording(tmp_path / "a.edf").subject == Subject(53, "F")


def test_names_of_any_alphabet_and_any_place_are_scrubbed(tmp_path):
    """Names from a list, in several spellings, never survive; ordinary words and electrode names do."""
    names = ["Müller", "Li", "O'Neill", "Nguyễn", "Ana-Sofía", "de la Cruz", "JONES", "Ng"]
    rng = random.Random(0)
    records = noise(4, 12).reshape(4, 12, 200).transpose(1, 0, 2).astype(int)
    for name in names:
        spelt = rng.choice([name, name.upper(), name.lower()])
        texts = {1: f"+1\x14patient {spelt}, C3 spike\x14\x00".encode()}
        header = name.encode().decode("latin-1").replace(" ", "_")
        (tmp_path / "a.edf").write_bytes(edf_plus(range(12), records, texts=texts, patient=f"P3 F X {header}"))
        recording = read_recording(tmp_path / "a.edf")
        text = recording.annotations[0].description
        assert text.startswith("patient ")
        assert text.endswith(", C3 spike")
        assert not [
            w for w in name.replace("'", " ").replace("-", " ").split() if len(w) > 1 and w.lower() in text.lower()
        ]
        assert recording.ch_names == ("Fp1", "Fp2", "C3", "C4")


def test_recording_checks_its_shape():
    with pytest.raises(RecordingError, match="expected \\(channels, samples\\)"):
        Recording(np.zeros((3, 100)), 100.0, ("Fp1", "Fp2"))
    with pytest.raises(RecordingError, match="1 different"):
        Recording(np.zeros((2, 100)), 100.0, ("Fp1", "Fp1"))


def test_with_step_leaves_the_original():
    recording = Recording(np.zeros((1, 100)), 100.0, ("Cz",))
    changed = recording.with_step("halved", sfreq=50.0)
    assert (changed.sfreq, changed.provenance.steps, recording.provenance) == (50.0, ("halved",), None)
    assert changed.with_step("again").provenance.steps == ("halved", "again")
    assert (recording.duration_s, changed.duration_s, changed.n_chans) == (1.0, 2.0, 1)
