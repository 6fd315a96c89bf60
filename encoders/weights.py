"""Strict loading of published weights: every tensor of the file and of the encoder is accounted for, or none loads."""

import argparse
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from encoders.labram import SignalEncoder

STUDENT_PREFIX = "student."
"""Prefix of the encoder in a LaBraM pretraining checkpoint."""

DROPPED_ON_PURPOSE: Mapping[str, str] = {
    "mask_token": "stands for hidden patches, used by masked pretraining only",
    "lm_head.*": "predicts neural codes, used by masked pretraining only",
    "norm.*": "normalises tokens in pretraining; the pooled encoder has fc_norm instead",
    "final_layer.*": "classifier of braindecode's Labram",
}
"""Keys of the published file (after the prefix, as patterns) that the encoder has no place for, and why."""

BRAINDECODE_NAMES: Mapping[str, str] = {
    "position_embedding": "pos_embed",
    "temporal_embedding": "time_embed",
    "patch_embed.temporal_conv.": "patch_embed.",
    ".mlp.0.": ".mlp.fc1.",
    ".mlp.2.": ".mlp.fc2.",
}
"""Parts of the names in braindecode's Labram -> the published parts; its files are read too."""

_OUTSIDE_STUDENT = f"outside '{STUDENT_PREFIX}': a head of the pretraining model, not the encoder"
_FINAL_NORM = ("fc_norm.weight", "fc_norm.bias")


class WeightsError(ValueError):
    """The file cannot be read as weights, or does not match the encoder."""


@dataclass(frozen=True)
class MatchReport:
    """What became of every tensor when a file was loaded.

    Attributes:
        file: Base name of the file.
        sha256: Its checksum.
        loaded: Names of the encoder's tensors taken from the file.
        fresh: Names of the encoder's tensors that the published file never holds and that kept their values.
        dropped: Key in the file -> why it was left out on purpose.
    """

    file: str
    sha256: str
    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    dropped: Mapping[str, str]


def load_labram(
    encoder: SignalEncoder, path: str | Path, final_norm: Literal["fresh", "pretrained"] = "fresh"
) -> MatchReport:
    """Load a checkpoint in the layout of `labram-base.pth` into the encoder, in place, completely or not at all.

    Files of braindecode's Labram are read as well, by `BRAINDECODE_NAMES`.

    Args:
        encoder: Encoder of the same size (`encoders.presets.BASE` for `labram-base.pth`).
        path: `.safetensors` file, or a torch file with the weights at the top or under "model" or "module". If any
            key starts with "student.", only those keys are used, without the prefix.
        final_norm: What to do when the file has no `fc_norm`: "fresh" leaves the encoder's own values (LaBraM's
            fine-tuning), "pretrained" copies the token norm of pretraining into it, which `pool="cls"` was trained
            with.

    Returns:
        Names of what was loaded, left fresh and dropped, with the checksum of the file.

    Raises:
        WeightsError: If the file is unreadable, or a key is missing, unexpected or misshaped; one error names them all.
    """
    path = Path(path)
    if final_norm not in ("fresh", "pretrained"):
        raise ValueError(f"got final_norm={final_norm!r}, expected 'fresh' or 'pretrained'")
    kept, dropped = _select(read_tensors(path), final_norm)
    own = encoder.state_dict()
    fresh = _FINAL_NORM if final_norm == "fresh" and not any(name in kept for name in _FINAL_NORM) else ()
    check_match(path.name, own, kept, fresh)
    encoder.load_state_dict(kept, strict=not fresh)
    loaded = tuple(name for name in own if name in kept)
    return MatchReport(path.name, sha256_of(path), loaded, fresh, dropped)


def load_module(module: nn.Module, path: str | Path, on_purpose: Mapping[str, str], prefix: str = "") -> MatchReport:
    """Load a file into any module, in place, completely or not at all.

    Args:
        module: Module whose tensors the file must hold, all of them and in their shapes.
        path: `.safetensors` file, or a torch file with the weights at the top or under "model" or "module".
        on_purpose: Patterns of keys to leave out -> why.
        prefix: Of the module's keys in the file.

    Returns:
        Names of what was loaded and dropped, with the checksum of the file.

    Raises:
        WeightsError: If the file is unreadable, or a key is missing, unexpected or misshaped; one error names them all.
    """
    path = Path(path)
    tensors = read_tensors(path)
    dropped = {key: why for key in tensors for pattern, why in on_purpose.items() if fnmatchcase(key, pattern)}
    kept = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key not in dropped}
    own = module.state_dict()
    check_match(path.name, own, kept, ())
    module.load_state_dict(kept)
    return MatchReport(path.name, sha256_of(path), tuple(own), (), dropped)


def read_tensors(path: Path) -> Mapping[str, Any]:
    """State dict of a safetensors or torch file; nothing in the file is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(
            [argparse.Namespace]
        ):  # LaBraM stores its command line beside the weights
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged or foreign file fails in the unpickler in many ways
        raise WeightsError(
            f"got {path.name}, which does not read as weights ({type(error).__name__}), "
            "expected a safetensors file or a torch file of plain tensors: download it again"
        ) from error
    for key in ("model", "module"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            return content[key]
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return content
    found = sorted(map(str, content)) if isinstance(content, Mapping) else type(content).__name__
    raise WeightsError(
        f"got {path.name} with {found}, expected tensors at the top or under 'model' or 'module': save them there"
    )


def _select(tensors: Mapping[str, Any], final_norm: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Split the file into what goes into the encoder (its names) and what is dropped on purpose (key -> why)."""
    prefix = STUDENT_PREFIX if any(key.startswith(STUDENT_PREFIX) for key in tensors) else ""
    dropped = {key: _OUTSIDE_STUDENT for key in tensors if not key.startswith(prefix)}
    student = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key not in dropped}
    if "position_embedding" in student:
        student = {_published_name(name): tensor for name, tensor in student.items()}
    if final_norm == "pretrained" and not any(name in student for name in _FINAL_NORM):
        student = {f"fc_{name}" if f"fc_{name}" in _FINAL_NORM else name: student[name] for name in student}
    why = {name: _why_dropped(name) for name in student}
    dropped |= {f"{prefix}{name}": reason for name, reason in why.items() if reason}
    return {name: tensor for name, tensor in student.items() if not why[name]}, dropped


def _published_name(name: str) -> str:
    for theirs, published in BRAINDECODE_NAMES.items():
        name = name.replace(theirs, published)
    return name


def _why_dropped(name: str) -> str | None:
    return next((why for pattern, why in DROPPED_ON_PURPOSE.items() if fnmatchcase(name, pattern)), None)


def check_match(file: str, own: Mapping[str, Tensor], kept: Mapping[str, Any], fresh: Iterable[str]) -> None:
    """WeightsError that names every tensor that is missing (`fresh` may be), unexpected or misshaped."""
    missing = [name for name in own if name not in kept and name not in fresh]
    unexpected = [name for name in kept if name not in own]
    misshaped = [
        f"{name} {_shape(kept[name])} for {_shape(own[name])}"
        for name in own
        if name in kept and _shape(kept[name]) != _shape(own[name])
    ]
    problems = {"missing": missing, "unexpected": unexpected, "misshaped": misshaped}
    listed = "; ".join(f"{len(names)} {kind} ({', '.join(names)})" for kind, names in problems.items() if names)
    if listed:
        raise WeightsError(
            f"got {file} with {listed}, expected exactly the model's tensors: "
            "use a checkpoint of the same preset, nothing was loaded"
        )


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def sha256_of(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
