"""What stage 2 begins with: the weights of stage 1, and the weights and the tokenizer of an earlier run of stage 2."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from neuronarrator import hub
from neuronarrator.narrator import Narrator

TOKENIZER_FILE = "tokenizer_config.json"
_EMBEDDINGS = "llm.model.embed_tokens.weight"
_PREFIX = "narrator."  # of a narrator in its task


def tokenizer_of(start_from: str | Path) -> str:
    """Folder of the tokenizer of an earlier run: its weights mean nothing with another one.

    Args:
        start_from: a saved narrator, as `hub.find_model` finds it, or a checkpoint, beside which one is saved.

    Raises:
        ValueError: nothing is saved beside the checkpoint.
    """
    path = Path(start_from)
    if not path.is_file():
        return str(hub.find_model(start_from))
    if not (path.parent / TOKENIZER_FILE).is_file():
        raise ValueError(
            f"got start_from {path.name} without a {TOKENIZER_FILE} beside it, expected the tokenizer of that run; "
            "name its folder as tokenizer"
        )
    return str(path.parent)


def start_narrator(narrator: Narrator, start_from: str | Path) -> None:
    """Load the weights of an earlier run, all of them, in place.

    Where the tokenizer has got more tokens since (`tokenizer.complete_tokenizer`), their embeddings stay as they are.

    Args:
        narrator: of the same configuration, without adapters.
        start_from: a saved narrator, as `hub.find_model` finds it, or a checkpoint of `NarrationTask`.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: weights that do not fit.
    """
    state, own = _read(start_from), narrator.state_dict()
    if (old := state.get(_EMBEDDINGS)) is not None and len(old) < len(own[_EMBEDDINGS]):
        state = {**state, _EMBEDDINGS: torch.cat([old, own[_EMBEDDINGS][len(old) :]])}
    missing = sorted(set(own) - set(state) - narrator.tied)
    added = sorted(set(state) - set(own))
    misshaped = sorted(name for name in set(own) & set(state) if own[name].shape != state[name].shape)
    if missing or added or misshaped:
        raise ValueError(
            f"got start_from {Path(start_from).name} with weights that miss {missing[:3]}, add {added[:3]} and are of "
            f"another shape in {misshaped[:3]}, expected those of this narrator; take the narrator section and the "
            "tokenizer of that run, or the folder it saved in place of a checkpoint with adapters"
        )
    narrator.load_state_dict(state, strict=False)


def _read(start_from: str | Path) -> Mapping[str, Tensor]:
    if not Path(start_from).is_file():
        return load_file(hub.find_model(start_from) / hub.WEIGHTS_FILE)
    state = torch.load(start_from, map_location="cpu", weights_only=True)["state_dict"]
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}


def load_dual(path: str | Path | Mapping[str, float], encoding: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """The weights of the dual encoder in an alignment checkpoint, or the mean of those in several.

    The mean of runs that continue one another often serves unseen data better than each of them (Wortsman et al. 2022,
    arXiv:2203.05482).

    Args:
        path: of the checkpoint, or of several with their shares.
        encoding: `DualEncoder.encoding` of the model that takes the weights; what a checkpoint notes must be the same.
            None: not compared.

    Raises:
        ValueError: shares that do not add up to 1, checkpoints of different models, or of another encoding.
    """
    if isinstance(path, Mapping):
        return _mean_of({name: load_dual(name, encoding) for name in path}, path)
    saved = torch.load(path, map_location="cpu", weights_only=True)
    noted = saved.get("hyper_parameters", {}).get("encoding", {})  # earlier checkpoints note nothing
    if encoding is not None and (other := {name: noted[name] for name in noted if noted[name] != encoding.get(name)}):
        wanted = {name: encoding.get(name) for name in other}
        raise ValueError(
            f"got {Path(path).name}, aligned with {other}, expected {wanted} as the narrator has; align again so"
        )
    return {name.removeprefix("dual."): v for name, v in saved["state_dict"].items() if name.startswith("dual.")}


def _mean_of(states: Mapping[str, dict[str, Tensor]], shares: Mapping[str, float]) -> dict[str, Tensor]:
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"got shares {dict(shares)}, expected a sum of 1: correct them")
    first, *others = states.values()
    shapes = {name: value.shape for name, value in first.items()}
    if any({name: value.shape for name, value in state.items()} != shapes for state in others):
        raise ValueError(f"got checkpoints {list(states)} of different models, expected one; take those of one run")
    return {
        name: sum((share * states[path][name] for path, share in shares.items()), torch.zeros_like(value))
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }
