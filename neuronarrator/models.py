"""A saved narrator of any kind, by its name."""

import json
from pathlib import Path

from neuronarrator import hub
from neuronarrator.narrator import Narrator
from neuronarrator.text_narrator import TextNarrator
from neuronarrator.vlm import VlmNarrator

AnyNarrator = Narrator | VlmNarrator | TextNarrator
KINDS: dict[str | None, type[AnyNarrator]] = {None: Narrator, "vlm": VlmNarrator, "text": TextNarrator}


def load_narrator(name: str | Path, device: str = "cpu") -> AnyNarrator:
    """Load a narrator of signals, pages or text: one that ships with the package, a directory, or `owner/name`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: a kind that this version does not know, or weights that do not fit the configuration.
    """
    kind = json.loads((hub.find_model(name) / hub.CONFIG_FILE).read_text()).get("kind")
    if kind not in KINDS:
        known = ", ".join(str(kind) for kind in KINDS if kind)
        raise ValueError(f"got a model of kind {kind!r}, expected one of {known}, or none; update neuronarrator")
    return KINDS[kind].from_pretrained(name, device)
