"""Scalp maps to vectors: a frozen vision tower, one mean patch token per map (NeuroNarrator, Sec. 3.2, Eq. 2).

The paper takes OpenAI's CLIP ViT-L/14. Any vision transformer of open_clip does: its own (CLIP and relatives), or one
of timm (SigLIP and SigLIP 2, arXiv:2303.15343, arXiv:2502.14786). Letters: B maps, H x W pixels, N patch tokens,
D width.
"""

import hashlib
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import open_clip
import torch
from open_clip.factory import load_state_dict
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.vision_transformer import VisionTransformer as TimmTransformer
from torch import Tensor, nn
from torch.nn import functional

TINY_CLIP: dict[str, Any] = {  # our own: 49 patches; the text tower holds the captions of `corpus.topomap.describe_map`
    "embed_dim": 64,
    "quick_gelu": False,
    "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 128, "layers": 4, "head_width": 32},
    "text_cfg": {"context_length": 128, "width": 64, "heads": 4, "layers": 2},
}
BASE_CLIP = "ViT-L-14-quickgelu"  # OpenAI's weights were trained with QuickGELU
Visual: TypeAlias = VisionTransformer | TimmModel


def build_tiny_clip() -> open_clip.CLIP:
    """Build the tiny CLIP with random weights, both towers, for pretraining on maps and their captions.

    Returns:
        Vision tower of width 128 with 49 patches of 32 x 32 pixels; text tower of 128 tokens of open_clip's default
        vocabulary (`open_clip.SimpleTokenizer(context_length=128)`), to be thrown away after pretraining.
    """
    return open_clip.CLIP(**TINY_CLIP)


def _model_name(name: str) -> str:
    """The open_clip model of a preset or of a name."""
    model = BASE_CLIP if name == "base" else name
    if model != "tiny" and model not in open_clip.list_models():
        raise ValueError(
            f"got preset={name!r}, expected 'base' (the paper's), 'tiny' (runs on CPU) or a name of "
            "open_clip.list_models() such as 'ViT-B-16-SigLIP2'; correct the name"
        )
    return model


def _build_visual(model: str) -> Visual:
    """Build the vision tower of a model with random weights; the text tower built beside it is always the tiny one."""
    config = TINY_CLIP if model == "tiny" else open_clip.get_model_config(model)
    known = {key: config[key] for key in ("embed_dim", "vision_cfg", "quick_gelu") if key in config}
    visual = open_clip.CLIP(**known, text_cfg=TINY_CLIP["text_cfg"]).visual
    _check_visual(visual, model)
    return visual


def _check_visual(visual: nn.Module, model: str) -> None:
    transformer = visual.trunk if isinstance(visual, TimmModel) else visual
    if not isinstance(transformer, VisionTransformer | TimmTransformer):
        raise ValueError(
            f"got {model}, whose vision tower is a {type(transformer).__name__}, expected a vision transformer with "
            "patch tokens; pass a ViT of CLIP, SigLIP or SigLIP 2"
        )


def _normalisation(model: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the input, of values from 0 to 1, that the published weights of a model expect."""
    for tag in open_clip.list_pretrained_tags_by_model(model):
        config = open_clip.get_pretrained_cfg(model, tag)
        if config.get("mean") and config.get("std"):
            return tuple(config["mean"]), tuple(config["std"])
    return open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD


def _find_weights(model: str, weights: str | Path) -> Path:
    """Resolve a local file, or the tag of published weights (downloaded once, then cached by open_clip)."""
    if Path(weights).is_file():
        return Path(weights)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if weights in tags:
        return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(model, str(weights))))
    listed = f" or one of the tags {tags}" if tags else ""
    raise FileNotFoundError(f"got weights={str(weights)!r}, expected an existing file{listed}; check the path")


def _load_visual(visual: Visual, path: Path) -> None:
    """Load the `visual.` part of a checkpoint (of an open_clip model, or of a `TopomapEncoder`), strictly."""
    tensors = load_state_dict(str(path))
    state = {key.removeprefix("visual."): tensor for key, tensor in tensors.items() if key.startswith("visual.")}
    if not state:
        raise ValueError(
            f"got no key starting with 'visual.' in {path.name}, expected a vision tower; pass a CLIP file"
        )
    try:
        visual.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(f"got {path.name}, expected weights of this preset; pass the preset they belong to") from error


class TopomapEncoder(nn.Module):
    """Vision tower, frozen by construction: no gradients, always in eval mode, whatever module it becomes part of.

    The global vector of a map is the mean of the patch tokens that leave the last block; class token, attention pooling
    and the projection into the space of the text tower are not used.

    Args:
        preset: `base` is OpenAI's ViT-L/14 (D = 1024, 256 patches), `tiny` our small one (D = 128, 49 patches); or the
            name of a model of open_clip whose vision tower is a transformer, such as `ViT-B-16-SigLIP2`.
        weights: a checkpoint file, a tag of published weights (`openai` for base, `webli` for SigLIP 2), or None for
            random weights. The input is normalised by the mean and deviation of the model's published weights.
        after_ln_post: take the tokens after the last layer norm or before it. For CLIP that is `ln_post`: after it,
            open_clip's `output_tokens`; before it, the `last_hidden_state` of the Hugging Face port; NeuroNarrator does
            not say which, and they differ. For SigLIP it is the `norm` of the trunk, which comes before the attention
            pooling: after it, timm's `forward_features`.

    Attributes:
        visual: the tower; its tensors are the whole state dict.
        width: D, of the vectors.

    Raises:
        ValueError: unknown name, a tower that is no transformer, or a checkpoint whose tower is missing or misfits.
        FileNotFoundError: `weights` is neither a file nor a tag.
    """

    visual: Visual
    mean: Tensor
    std: Tensor

    def __init__(self, preset: str = "base", weights: str | Path | None = None, after_ln_post: bool = True) -> None:
        super().__init__()
        model = _model_name(preset)
        visual = _build_visual(model)
        if weights is not None:
            _load_visual(visual, _find_weights(model, weights))
        self._adopt(visual, after_ln_post, _normalisation(model))

    @classmethod
    def from_clip(cls, clip: open_clip.CLIP, after_ln_post: bool = True) -> "TopomapEncoder":
        """Freeze a copy of the vision tower of a CLIP with OpenAI's normalisation; the CLIP itself stays trainable."""
        _check_visual(clip.visual, type(clip).__name__)
        encoder = cls.__new__(cls)
        nn.Module.__init__(encoder)
        encoder._adopt(
            deepcopy(clip.visual), after_ln_post, (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
        )
        return encoder

    def _adopt(self, visual: Visual, after_ln_post: bool, normalisation: tuple[tuple[float, ...], ...]) -> None:
        self.visual = visual.requires_grad_(False)
        self.after_ln_post = after_ln_post
        self.width = int(visual.trunk.embed_dim if isinstance(visual, TimmModel) else visual.transformer.width)
        for name, values in zip(("mean", "std"), normalisation, strict=True):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1) * 255, persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> "TopomapEncoder":
        """Stay in eval mode: the tower is frozen, whatever the mode of the module around it."""
        return super().train(False)

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks, from tensors to tensors: what is worth compiling."""
        return list(
            self.visual.trunk.blocks if isinstance(self.visual, TimmModel) else self.visual.transformer.resblocks
        )

    def fingerprint(self) -> str:
        """Sha256 of everything that a vector depends on beside the map: weights, normalisation, choice of tokens."""
        digest = hashlib.sha256(f"{self.after_ln_post} {self.visual.image_size}".encode())
        for name, tensor in [*self.state_dict().items(), ("mean", self.mean), ("std", self.std)]:
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    @torch.no_grad()
    def forward(self, maps: Tensor) -> Tensor:
        """Encode maps.

        Args:
            maps: (B, H, W, 3) uint8, RGB; resized to the tower's size (224 x 224) where they differ.

        Returns:
            (B, D) float32, without gradient.

        Raises:
            ValueError: another shape or type than uint8 RGB.
        """
        if maps.ndim != 4 or maps.shape[-1] != 3 or maps.dtype != torch.uint8:
            raise ValueError(
                f"got maps {maps.dtype} {tuple(maps.shape)}, expected torch.uint8 (B, H, W, 3); "
                "pass pictures as TopomapRenderer draws them, channels last"
            )
        pixels = maps.permute(0, 3, 1, 2).float()  # (B, 3, H, W)
        if pixels.shape[2:] != self.visual.image_size:
            resized = functional.interpolate(pixels, self.visual.image_size, mode="bicubic", antialias=True)
            pixels = resized.clamp(0, 255)
        pixels = ((pixels - self.mean) / self.std).to(next(self.visual.parameters()).dtype)
        tokens = self.visual.forward_intermediates(
            pixels, indices=1, normalize_intermediates=self.after_ln_post, intermediates_only=True, output_fmt="NLC"
        )["image_intermediates"][0]  # (B, N, D), of the last block
        return tokens.float().mean(dim=1)
