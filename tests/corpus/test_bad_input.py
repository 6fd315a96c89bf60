"""Unusable files say so in one line, damaged ones say what is missing, and neither names anybody."""

import datetime
import logging

import edfio
import mne
import numpy as np
import pytest

from corpus.montage import pick_eeg
from corpus.preprocess import load_recording
from corpus.recording import RecordingError, Subject, read_recording

LABELS = ("Fp1", "Fp2", "C3", "C4")


def noise(n_chans=4, seconds=20, sfreq=200.0):
    return np.random.default_rng(0).normal(0, 20, (n_chans, round(seconds * sfreq)))


def write_edf(path, labels=LABELS, sfreq=200.0, seconds=20, scale=1.0, unit="uV", rates=None, **header):
    """An EDF+ file of noise of 20 uV times `scale`; `rates` gives each channel its own sampling rate."""
    rates = rates or [sfreq] * len(labels)
    signals = [
        edfio.EdfSignal(
            x * scale, rate, label=label, physical_dimension=unit, physical_range=(-300 * scale, 300 * scale)
        )
        for label, rate in zip(labels, rates, strict=True)
        for x in noise(1, seconds, rate)
    ]
    edfio.Edf(signals, **header).write(path)
    return path


def refused(path, read=load_recording):
    """The message of the error, after checking that it is one line and stands alone."""
    with pytest.raises(RecordingError) as error:
        read(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path.parent) not in message
    assert error.value.__cause__ is None
    assert error.value.__context__ is None
    assert "expected" in message
    return message


def test_missing_folder_empty_and_unknown(tmp_path):
    assert "does not exist" in refused(tmp_path / "a.edf")
    (tmp_path / "b.edf").mkdir()
    assert "a folder" in refused(tmp_path / "b.edf")
    assert "a folder" in refused(tmp_path)
    (tmp_path / "c.edf").touch()
    assert "empty file of 0 bytes" in refused(tmp_path / "c.edf")
    (tmp_path / "d.docx").write_bytes(b"PK")
    assert "unknown extension, expected one of .edf, .bdf" in refused(tmp_path / "d.docx")


@pytest.mark.parametrize("suffix", [".edf", ".bdf", ".fif", ".set", ".vhdr", ".cnt", ".gdf", ".lay", ".eeg", ".nxe"])
@pytest.mark.parametrize("content", [b"Name: Jane Doe\n" * 400, bytes(range(256)) * 40, b"0       " + b"9" * 5000])
def test_renamed_and_random_files(tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    assert "Doe" not in refused(path)


def test_renamed_text_is_called_so(tmp_path):
    (tmp_path / "a.edf").write_text("time,Fp1\n0,1\n" * 100)
    assert "renamed text file" in refused(tmp_path / "a.edf")


def test_locked_file(tmp_path, monkeypatch):
    path = write_edf(tmp_path / "a.edf")

    def refuse(*_args, **_options):
        raise PermissionError(13, "denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert refused(path).startswith("a.edf: got a file that may not be opened")


def test_truncated_edf_degrades_then_fails(tmp_path):
    path = write_edf(tmp_path / "a.edf")
    whole = read_recording(path)
    blob = path.read_bytes()
    n_header = 256 * 5
    path.write_bytes(blob[: n_header + (len(blob) - n_header) * 3 // 4 + 7])
    part = read_recording(path)
    assert part.duration_s == 15
    assert part.warnings == ("the file is truncated: 15 of 20 data records, the last 5 s are missing",)
    np.testing.assert_array_equal(part.signal_uv, whole.signal_uv[:, :3000])
    path.write_bytes(blob[: n_header + 100])
    assert "without a complete data record" in refused(path)
    path.write_bytes(blob[:700])
    assert "damaged header" in refused(path)
    path.write_bytes(blob[:100])
    refused(path)


def test_edf_with_a_wrong_record_count(tmp_path):
    path = write_edf(tmp_path / "a.edf")
    blob = path.read_bytes()
    for count, said in ((b"-1", "not closed properly"), (b"12", "8 s more than its header says")):
        path.write_bytes(blob[:236] + count.ljust(8) + blob[244:])
        recording = read_recording(path)
        assert recording.duration_s == 20
        assert said in recording.warnings[0]


@pytest.mark.parametrize(
    ("start", "value", "said"),
    [
        (184, b"seventy", "is not a number"),
        (244, b"0", "without duration"),
        (252, b"9999", "damaged header"),
        (252, b"-4", "damaged header"),
        (256 + 4 * 104, b"nothing", "physical range is not a number"),
        (256 + 4 * 216, b"-200", "without duration or samples"),
    ],
)
def test_corrupt_header_fields(tmp_path, start, value, said):
    path = write_edf(tmp_path / "a.edf")
    blob = bytearray(path.read_bytes())
    width = 4 if start == 252 else 8
    blob[start : start + width] = value.ljust(width)
    path.write_bytes(blob)
    assert said in refused(path)


def test_header_without_a_range_sets_the_channel_aside(tmp_path):
    path = write_edf(tmp_path / "a.edf")
    blob = bytearray(path.read_bytes())
    for start in (256 + 4 * 104, 256 + 4 * 112):  # physical minimum and maximum of the first channel
        blob[start : start + 8] = b"0".ljust(8)
    path.write_bytes(blob)
    assert read_recording(path).set_aside[0].why == "the header gives it no range or no samples"


def test_short_and_slow(tmp_path):
    message = refused(write_edf(tmp_path / "a.edf", seconds=3))
    assert message.startswith("a.edf: got 3.0 s of signal, expected at least 10 s")
    message = refused(write_edf(tmp_path / "a.edf", sfreq=80))
    assert message.startswith("a.edf: got 80 Hz, expected at least 100 Hz because gamma (30-50 Hz) cannot be measured")
    assert read_recording(write_edf(tmp_path / "a.edf", seconds=10, sfreq=100)).duration_s == 10


@pytest.mark.parametrize("file", ["noise.fif", "noise-epo.fif", "a_raw.fif"])
def test_fif_that_is_no_continuous_recording(tmp_path, file):
    info = mne.create_info(list(LABELS), 200.0, "eeg")
    if file == "a_raw.fif":
        mne.io.RawArray(noise() * 1e-6, info, verbose="ERROR").save(tmp_path / file, verbose="ERROR")
        (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:3000])
    else:
        epochs = mne.EpochsArray(noise()[None] * 1e-6, info, verbose="ERROR")
        epochs.save(tmp_path / "noise-epo.fif", verbose="ERROR")
        (tmp_path / "noise-epo.fif").rename(tmp_path / file)
    assert "continuous recording" in refused(tmp_path / file)


def test_wrong_unit_is_refused_and_known_units_are_converted(tmp_path):
    right = read_recording(write_edf(tmp_path / "a.edf"))
    for unit, scale in (("mV", 1e-3), ("UV", 1.0), ("nV", 1e3), ("V", 1e-6), ("", 1.0)):
        recording = read_recording(write_edf(tmp_path / "a.edf", unit=unit, scale=scale))
        np.testing.assert_allclose(recording.signal_uv, right.signal_uv, atol=0.05)
        assert ("microvolts assumed" in "".join(recording.warnings)) == (unit == "")
    assert "got a typical EEG deviation of 1." in refused(write_edf(tmp_path / "a.edf", unit="mV"))
    message = refused(write_edf(tmp_path / "a.edf", scale=1e-3))
    assert "expected 0.1 uV to 1 mV; correct the physical dimension" in message
    assert "no voltage channel" in refused(write_edf(tmp_path / "a.edf", unit="%"))


def test_channels_at_different_rates(tmp_path):
    labels = (*LABELS[:3], "ECG")
    told = read_recording(write_edf(tmp_path / "a.edf", labels, rates=[200, 200, 100, 500]))
    assert told.sfreq == 200
    assert told.signal_uv.shape == (4, 4000)
    assert told.warnings == (
        "channels of a lower rate were brought to 200 Hz, nothing above 50 Hz is in: C3",
        "the EEG was recorded at 200 Hz, other channels at up to 500 Hz: all are used at 200 Hz",
    )
    same = read_recording(write_edf(tmp_path / "a.edf", labels))
    np.testing.assert_array_equal(told.signal_uv[:2], same.signal_uv[:2])
    spectrum = np.abs(np.fft.rfft(told.signal_uv[2] * np.hanning(4000)))
    assert spectrum[(52 * 20) :].max() < 0.1 * spectrum[: (48 * 20)].max()
    assert "got 80 Hz" in refused(write_edf(tmp_path / "a.edf", labels, rates=[80, 80, 80, 500]))


def test_headers_full_of_long_and_foreign_text(tmp_path):
    path = write_edf(tmp_path / "a.edf", annotations=[edfio.EdfAnnotation(1, 1, "y" * 3000 + "éz漢")])
    blob = bytearray(path.read_bytes())
    blob[8:168] = ("Ünïcödé=a=b=c 漢 ".encode() * 7).ljust(160)
    n = 5
    blob[256 + 16 * n : 256 + 96 * n] = b"\xff\xfe" * 40 * n  # transducer
    blob[256 + 136 * n : 256 + 216 * n] = b"HP:DC LP:\xb5" * (80 * n // 10)  # prefiltering
    blob[256 + 224 * n : 256 + 256 * n] = b"\xe9" * 32 * n  # reserved
    path.write_bytes(blob)
    recording = load_recording(path)
    assert recording.annotations[0].description.endswith("yéz[removed]")
    assert recording.ch_names == LABELS


def test_repeated_and_missing_channel_names(tmp_path):
    path = write_edf(tmp_path / "a.edf", ("Fp1", "Fp1", "T3", "T7"))
    recording = pick_eeg(read_recording(path))
    assert recording.ch_names == ("Fp1", "T3")
    assert [s.name for s in recording.set_aside] == ["Fp1-1", "T7"]
    message = refused(write_edf(tmp_path / "a.edf", [f"E{i}" for i in range(10, 20)]))
    assert "got no EEG channel among 10 (E10, E11, E12, E13, E14, E15, E16, E17, ...), expected names" in message


PLANTED = ("Zebedee", "Quux", "MRN77812", "1961", "MAR", "HOSP991", "Ottoline", "Grimsby")


def planted_edf(path, **patient):
    who = {
        "code": "MRN77812",
        "sex": "F",
        "birthdate": datetime.date(1961, 3, 9),
        "name": "Zebedee_Quux",
    } | patient
    recording = edfio.Recording(
        startdate=datetime.date(2011, 3, 8),
        hospital_administration_code="HOSP991",
        investigator_technician_code="Ottoline_Grimsby",
        equipment_code="Amplifier",
    )
    labels = ("EEG Fp1", "EEG Fp2", "EEG C3", "quux C4")
    signals = [
        edfio.EdfSignal(x, 200, label=label, physical_dimension="uV", physical_range=(-300, 300))
        for x, label in zip(noise(), labels, strict=True)
    ]
    remarks = ["ZEBEDEE opens eyes", "called ottoline", "DOB 9.3.1961", "1961-03-09, MRN77812", "hv", "Amplifier on"]
    annotations = [edfio.EdfAnnotation(i, None, text) for i, text in enumerate(remarks)]
    edfio.Edf(signals, patient=edfio.Patient(**who), recording=recording, annotations=annotations).write(path)


def test_identity_stays_in_the_file(tmp_path, caplog, capfd, recwarn):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "Quux Zebedee 1961-03-09.edf"
    planted_edf(path)
    recording = load_recording(path)
    assert recording.subject == Subject(age_years=49, sex="F")  # a day before the birthday
    said = repr(recording) + caplog.text + "".join(capfd.readouterr()) + "".join(str(w.message) for w in recwarn)
    assert not [word for word in PLANTED if word.lower() in said.lower()]
    texts = [a.description for a in recording.annotations]
    assert texts == [
        "[removed] opens eyes",
        "called [removed]",
        "DOB [removed]",
        "[removed], [removed]",
        "hv",
        "Amplifier on",
    ]
    assert recording.ch_names == ("Fp1", "Fp2", "C3")
    assert recording.set_aside[0].name == "[removed] C4"


def test_identity_is_not_in_errors(tmp_path):
    path = tmp_path / "zebedee.edf"
    planted_edf(path)
    blob = path.read_bytes()
    for damaged in (
        blob[:2000],
        blob.replace(b"Fp", b"Qx").replace(b"C3", b"Q3").replace(b"C4", b"??"),
        blob[:168] + b"?" * 2000,
    ):
        path.write_bytes(damaged)
        assert not [word for word in PLANTED if word.lower() in refused(path).lower()]
