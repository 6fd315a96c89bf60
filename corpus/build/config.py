"""The settings of a build, as data."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from corpus.preprocess import PRESETS
from corpus.refine import Visibility
from corpus.segment import HISTORY_K
from corpus.splits import SplitPolicy

SMALLEST_MAP = 16  # pixels


@dataclass(frozen=True)
class BuildConfig:
    """All that a corpus depends on, beside its recordings.

    Attributes:
        profile: of the preprocessing, a name of `PRESETS`.
        history_k: K.
        split: sides, their seed and shares.
        train_cap: the most training segments of a dataset; None keeps all (the paper: about 20,000).
        label_visibility: what the narratives may tell of labels; the templates tell all.
        seed: of the wording and of the cap.
        shard_rows: segments a shard.
        topomap_size: pixels of the scalp map that is stored beside each segment, as a PNG file (the encoders take 224);
            None stores none, as our training draws its maps itself, quicker than a picture is read.
    """

    profile: str = "neuronarrator"
    history_k: int = HISTORY_K
    split: SplitPolicy = field(default_factory=SplitPolicy)
    train_cap: int | None = 20_000
    label_visibility: Visibility = "none"
    seed: int = 0
    shard_rows: int = 1024
    topomap_size: int | None = None

    def __post_init__(self) -> None:
        if self.profile not in PRESETS:
            raise ValueError(f"got profile {self.profile!r}, expected one of {', '.join(PRESETS)}; correct it")
        if self.label_visibility not in get_args(Visibility):
            raise ValueError(f"got label_visibility {self.label_visibility!r}, expected one of {get_args(Visibility)}")
        if self.topomap_size is not None and self.topomap_size < SMALLEST_MAP:
            raise ValueError(
                f"got topomap_size {self.topomap_size}, expected {SMALLEST_MAP} or more, or none; correct it"
            )


def plain_config(config: BuildConfig) -> dict[str, Any]:
    """The configuration as JSON knows it."""
    return json.loads(json.dumps(asdict(config)))
