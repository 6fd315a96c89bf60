"""Narrators as directories: where one is found, what is written, and the way to the Hugging Face hub."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from huggingface_hub import HfApi, snapshot_download
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

PRETRAINED = Path(__file__).parent / "pretrained"
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
STAGES_FILE = "training.json"
GENERATED = "<!-- written by neuronarrator; without this line it is yours and is kept -->"
READS = {"vlm": "pages", "text": "text"}  # by the kind that a configuration states
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


class HubApi(Protocol):
    """What is needed of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any:
        """Make the repository unless it is there."""

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> Any:
        """Send the files of a folder."""


def find_model(name: str | Path) -> Path:
    """The directory of a narrator: one that ships with the package, a path, or `owner/name` of the hub.

    Raises:
        FileNotFoundError: there is no such model.
    """
    for directory in (PRETRAINED / str(name), Path(name)):
        if (directory / CONFIG_FILE).is_file():
            return directory
    shipped = sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CONFIG_FILE}"))
    error = FileNotFoundError(
        f"got model {str(name)!r}, expected one of {shipped}, a directory with a {CONFIG_FILE} or owner/name of the "
        "Hugging Face hub: check the name or the path"
    )
    if Path(name).exists() or not _REPO_ID.fullmatch(str(name)) or Path(name).parent.is_dir():
        raise error  # a folder here of that name, such as runs/, is not an owner on the hub
    try:
        return Path(snapshot_download(str(name)))
    except (OSError, ValueError) as cause:  # no such repository, no network, not a name
        raise error from cause


def read_config(directory: Path, kind: str | None = None) -> dict[str, Any]:
    """The configuration of a saved narrator.

    Args:
        directory: of `find_model`.
        kind: "vlm" or "text", as the file must say; None: the narrator of signals, whose file says nothing.

    Raises:
        ValueError: a narrator of another kind.
    """
    config = json.loads((directory / CONFIG_FILE).read_text())
    if (found := config.pop("kind", None)) != kind:
        told = {None: "signals"} | READS
        raise ValueError(
            f"got model {directory.name!r}, which reads {told.get(found, found)}, expected one that reads "
            f"{told.get(kind, kind)}; load it with neuronarrator.models.load_narrator"
        )
    return config


def save_narrator(
    module: Any, config: Mapping[str, Any], directory: str | Path, state: Mapping[str, Tensor] | None
) -> None:
    """Write configuration, tokenizer, weights and model card of a narrator to a directory, and what it was trained on.

    Args:
        module: with tokenizer, `tied`, `card` and `model_card`, and `stages` where they are known.
        config: of `CONFIG_FILE`.
        directory: made where it does not exist; a card written by hand is kept.
        state: the weights, where a strategy of several processes holds them; None: the module's.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
    module.tokenizer.save_pretrained(directory)
    save_weights(module, module.tied, directory, state)
    write_stages(directory, getattr(module, "stages", []))
    card = module.model_card or model_card(module.card["name"], module.card["description"], {"Training": {}})
    write_card(directory, card)


def save_weights(module: nn.Module, tied: set[str], directory: Path, state: Mapping[str, Tensor] | None) -> None:
    """Write the tensors of a module, or those of `state`, without the `tied` ones."""
    state = module.state_dict() if state is None else state
    save_file({k: v.detach().cpu().contiguous() for k, v in state.items() if k not in tied}, directory / WEIGHTS_FILE)


def load_weights(module: Any, tied: set[str], directory: Path) -> str:
    """Load the tensors of a directory, all of them and no others; returns the sha256 of the file.

    Where the directory says what the training saw, that becomes the module's `stages`, so that it is saved again.

    Raises:
        ValueError: names that do not fit.
    """
    report = module.load_state_dict(load_file(directory / WEIGHTS_FILE), strict=False)
    missing = [k for k in report.missing_keys if k not in tied]
    if missing or report.unexpected_keys:
        raise ValueError(
            f"got weights that miss {missing[:5]} and add {report.unexpected_keys[:5]}, expected exactly the "
            f"parameters of {CONFIG_FILE} in {directory.name}: restore both files from one model"
        )
    module.stages = read_stages(directory)
    with (directory / WEIGHTS_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_stages(directory: Path) -> list[dict[str, Any]]:
    """What each stage of training saw, as `run_facts.TrainingCount` tells it, oldest first; none where nobody noted it.

    Raises:
        ValueError: the file is not of that form.
    """
    file = directory / STAGES_FILE
    if not file.is_file():
        return []
    try:
        stages = json.loads(file.read_text("utf-8"))["stages"]
        good = all(isinstance(stage[key], int) for stage in stages for key in ("steps", "crops"))
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise ValueError(
            f"got {STAGES_FILE} of {directory.name!r} in another form, expected stages, each with steps and crops; "
            "correct it or remove the file"
        )
    return stages


def write_stages(directory: Path, stages: Sequence[Mapping[str, Any]]) -> None:
    """Write what training saw; a file of other weights is removed where that is not known."""
    if stages:
        (directory / STAGES_FILE).write_text(json.dumps({"stages": list(stages)}, indent=2) + "\n", "utf-8")
    else:
        (directory / STAGES_FILE).unlink(missing_ok=True)


def write_card(directory: Path, text: str) -> None:
    """Write a model card unless somebody has written one by hand."""
    file = directory / CARD_FILE
    if not file.is_file() or GENERATED in file.read_text("utf-8"):
        file.write_text(text, "utf-8")


def model_card(name: str, description: str, facts: Mapping[str, Mapping[str, Any]]) -> str:
    """A model card in the hub's form.

    Args:
        name: of the model.
        description: one line.
        facts: of the run, by section; a section without facts says that none were recorded.
    """
    lines = ["---", "library_name: neuronarrator", "tags: [eeg, text-generation]", "---", GENERATED, f"# {name}", ""]
    lines += [f"{description}.", "", "It writes narratives of EEG segments. It is not a medical device.", ""]
    for section, values in facts.items():
        rows = [f"- {key}: {value}" for key, value in values.items()] or ["None recorded."]
        lines += [f"## {section}", "", *rows, ""]
    return "\n".join(lines)


def upload(directory: Path, repo_id: str, private: bool, api: HubApi | None) -> str:
    """Send a saved narrator to the hub; returns its address. Without `api`, that of huggingface_hub is used."""
    hub: HubApi = HfApi() if api is None else api
    hub.create_repo(repo_id, private=private, exist_ok=True)
    hub.upload_folder(repo_id=repo_id, folder_path=directory, commit_message="Upload a narrator")
    return f"https://huggingface.co/{repo_id}"
