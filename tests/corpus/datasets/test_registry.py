"""Every listed dataset is there, is found under all of its names, and has a complete card."""

import subprocess
import sys
from collections import Counter

import pytest

import corpus.datasets
from corpus.datasets import all_datasets, get_dataset

DATASETS = all_datasets()
CARDS = pytest.mark.parametrize("card", [dataset.card for dataset in DATASETS], ids=lambda card: card.name)
TABLE_1 = {  # NeuroNarrator: training and test segments; the sums are those of its abstract
    "ad65": (5460, 1382),
    "adhd-child": (1147, 330),
    "grasp-and-lift": (2531, 894),
    "hmc": (25000, 1000),
    "mdd64": (5738, 1466),
    "motor-imagery": (11698, 1191),
    "pd31": (601, 217),
    "schizophrenia28": (2157, 680),
    "seed": (8293, 1050),
    "tuab": (20000, 1000),
    "tuar": (19999, 865),
    "tuep": (20390, 1000),
    "tuev": (10540, 1000),
    "tusl": (6063, 549),
    "tusz": (20112, 1000),
    "workload": (520, 90),
}


def test_names_and_aliases_belong_to_one_dataset() -> None:
    keys = [key for d in DATASETS for key in {corpus.datasets._key(name) for name in (d.card.name, *d.card.aliases)}]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_table_1_is_complete() -> None:
    assert sum(train for train, _ in TABLE_1.values()) == 160_249
    assert sum(test for _, test in TABLE_1.values()) == 13_714
    found = {d.card.name: d.card.paper_segments for d in DATASETS if d.card.role == "corpus"}
    assert {corpus.datasets._key(n): s for n, s in found.items()} == {
        corpus.datasets._key(n): s for n, s in TABLE_1.items()
    }


@pytest.mark.parametrize("name", ["EEGMAT", "eegmat", "Workload", " work-load"])
def test_names_are_compared_without_case(name: str) -> None:
    assert get_dataset(name).card.name == "workload"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"got dataset 'eegmatt'.*workload.*folder"):
        get_dataset("eegmatt")


def test_a_missing_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus.datasets, "MODULES", ("workload", "gone"))
    with pytest.raises(ImportError, match=r"got no module corpus\.datasets\.gone"):
        all_datasets.__wrapped__()


def test_importing_the_registry_imports_no_dataset() -> None:
    script = "import sys, corpus.datasets; print([m for m in sys.modules if m.startswith('corpus.datasets.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['corpus.datasets.base']"


@CARDS
def test_cards_are_complete(card: corpus.datasets.DatasetCard) -> None:
    for text in (card.title, card.licence, card.access, card.citation, card.why_counts_differ, card.reference):
        assert text.strip()
    assert "doi:" in card.citation or "http" in card.citation or card.name == "folder"
    assert "http" in card.access or card.name == "folder"
    assert (card.paper_segments is not None) == (card.role == "corpus")
    assert card.mains_hz in (50.0, 60.0, None)
    assert len(set(card.ch_names)) == len(card.ch_names)
    assert all(text.strip() for text in card.labels.values())
