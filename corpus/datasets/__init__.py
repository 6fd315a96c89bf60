"""Public EEG datasets: one module each, with the facts about it and the few lines that read its published folder."""

import importlib
import re
from functools import cache

from corpus.datasets.base import DatasetCard, EegDataset, Entry, Label, Loaded

MODULES: tuple[str, ...] = (
    # Table 1 of NeuroNarrator
    "ad65",
    "adhd_child",
    "grasp_and_lift",
    "hmc",
    "mdd64",
    "motor_imagery",
    "pd31",
    "schizophrenia28",
    "seed",  # and SEED-IV
    "tuh",  # TUAB TUAR TUEP TUEV TUSL TUSZ
    "workload",
    # its zero-shot datasets
    "depression122",
    "siena",
    # for the image path
    "chbmit",
    "dreams",
    "sleep_edf",
    # further ones, and folders of one's own
    "guinea_bissau",
    "iiic",  # and IIIC-IRR
    "sleep_samples",
    "bids",
    "folder",
)
"""Modules of this package; each exports `DATASETS`, a tuple of `EegDataset`."""


@cache
def all_datasets() -> tuple[EegDataset, ...]:
    """Every dataset, in the order of `MODULES`.

    Raises:
        ImportError: a listed module is missing.
    """
    datasets: list[EegDataset] = []
    for module in MODULES:
        name = f"{__name__}.{module}"
        try:
            datasets += importlib.import_module(name).DATASETS
        except ModuleNotFoundError as error:
            if error.name != name:  # a package that the module needs
                raise
            raise ImportError(
                f"got no module {name}, expected every name of corpus.datasets.MODULES; restore the file or take the "
                "name off the list"
            ) from None
    return tuple(datasets)


def get_dataset(name: str) -> EegDataset:
    """The dataset of a name or alias; upper and lower case, blanks, hyphens and underscores make no difference.

    Raises:
        ValueError: no dataset has this name; the text lists all names.
    """
    for dataset in all_datasets():
        if _key(name) in map(_key, (dataset.card.name, *dataset.card.aliases)):
            return dataset
    known = ", ".join(dataset.card.name for dataset in all_datasets())
    raise ValueError(f"got dataset {name!r}, expected one of: {known}; choose one of these or an alias of it")


def _key(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
