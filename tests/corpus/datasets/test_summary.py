"""The summary against worked examples."""

from dataclasses import replace
from pathlib import Path

from corpus.datasets import EegDataset, Entry, Label, get_dataset
from corpus.datasets.summary import summarise


def test_the_real_folder_beside_the_paper(shared_data: Path) -> None:
    dataset = get_dataset("workload")
    lines = summarise(dataset, dataset.entries(shared_data / "eegmat")).splitlines()
    assert lines[0] == "workload: EEG During Mental Arithmetic Tasks 1.0.0 (EEGMAT), ODC-By 1.0"
    assert [line.split(maxsplit=1) for line in lines[1:-1]] == [
        ["recordings", "46 of 72 published"],
        ["subjects", "31 of 36 published"],
        ["hours", "known after reading"],
        ["labels", "task mental arithmetic 31, task rest 15"],
        ["split", "train 41, val 5"],
        ["paper", "520 training and 90 test segments of 10 s"],
    ]
    assert lines[-1].endswith(dataset.card.why_counts_differ)


def test_hours_diagnoses_and_events() -> None:
    seizure = Label("event", "seizure", "event", "list", 10, 5)
    entries = [
        Entry("a", "1", Path("a.edf"), (seizure, seizure), diagnosis=("epilepsy",), duration_s=1809.9),
        Entry("b", "1", Path("b.edf"), diagnosis=("epilepsy",), duration_s=1800),
        Entry("c", "2", Path("c.edf"), diagnosis=("control",)),
    ]
    card = replace(get_dataset("folder").card, granularity="event", expected_recordings=4)
    text = summarise(EegDataset(card, lambda root: entries), iter(entries))
    assert "  recordings 3 of 4 published\n  subjects   2\n" in text
    assert "  hours      1.00, 360 segments of 10 s in 2 of 3 recordings\n" in text
    assert "  labels     event seizure 2; those inside of recordings come with reading\n" in text
    assert "  diagnoses  epilepsy 2, control 1\n" in text
    assert "split" not in text


def test_nothing_found() -> None:
    dataset = get_dataset("motor-imagery")
    assert "  recordings 0 of 1,526 published\n" in summarise(dataset, [])
