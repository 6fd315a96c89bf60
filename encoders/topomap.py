"""Scalp maps to vectors: a frozen CLIP vision tower, one mean patch token per map (NeuroNarrator, Sec. 3.2, Eq. 2).

Letters: B maps, H x W pixels, N patch tokens, D width.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import load_state_dict
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

TINY_CLIP: dict[str, Any] = {  # our own: 49 patches; the text tower holds the captions of `corpus.topomap.describe_map`
    "embed_dim": 64,
    "quick_gelu": False,
    "vision_cfg": {"image_size": 224, "patch_size": 32, "width": 128, "layers": 4, "head_width": 32},
    "text_cfg": {"context_length": 128, "width": 64, "heads": 4, "layers": 2},
}
BASE_CLIP = "ViT-L-14-quickgelu"  # OpenAI's weights were trained with QuickGELU


def build_tiny_clip() -> open_clip.CLIP:
    """Build the tiny CLIP with random weights, both towers, for pretraining on maps and their captions.

    Returns:
        Vision tower of width 128 with 49 patches of 32 x 32 pixels; text tower of 128 tokens of open_clip's default
        vocabulary (`open_clip.SimpleTokenizer(context_length=128)`), to be thrown away after pretraining.
    """
    return open_clip.CLIP(**TINY_CLIP)


def _build_visual(preset: str) -> VisionTransformer:
    """Build the vision tower of a preset with random weights; the text tower built beside it is always the tiny one."""
    configs = {"base": open_clip.get_model_config(BASE_CLIP), "tiny": TINY_CLIP}
    if preset not in configs:
        raise ValueError(
            f"got preset={preset!r}, expected one of {sorted(configs)}; base is the paper's, tiny runs on CPU"
        )
    return open_clip.CLIP(**configs[preset] | {"text_cfg": TINY_CLIP["text_cfg"]}).visual


def _find_weights(preset: str, weights: str | Path) -> Path:
    """Resolve a local file, or the tag of OpenAI's weights (downloaded once, then cached by open_clip)."""
    if Path(weights).is_file():
        return Path(weights)
    if preset == "base" and weights == "openai":
        return Path(open_clip.download_pretrained(open_clip.get_pretrained_cfg(BASE_CLIP, "openai")))
    tag = " or the tag 'openai'" if preset == "base" else ""
    raise FileNotFoundError(f"got weights={str(weights)!r}, expected an existing file{tag}; check the path")


def _load_visual(visual: VisionTransformer, path: Path) -> None:
    """Load the `visual.` part of a checkpoint (of an open_clip CLIP, or of a `TopomapEncoder`), strictly."""
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
    """CLIP vision tower, frozen by construction: no gradients, always in eval mode, whatever module it becomes part of.

    The global vector of a map is the mean of the patch tokens that leave the tower; the class token and the projection
    into CLIP's text space are not used.

    Args:
        preset: `base` is OpenAI's ViT-L/14 (D = 1024, 256 patches), `tiny` our small one (D = 128, 49 patches).
        weights: a checkpoint file, the tag `openai` (base only), or None for random weights.
        after_ln_post: take the tokens after the last layer norm (open_clip's `output_tokens`) or before it (the
            `last_hidden_state` of the Hugging Face port); NeuroNarrator does not say which, and they differ.

    Attributes:
        visual: the tower; its tensors are the whole state dict.
        width: D, of the vectors.

    Raises:
        ValueError: unknown preset, or a checkpoint whose vision tower is missing or does not fit.
        FileNotFoundError: `weights` is neither a file nor the tag.
    """

    visual: VisionTransformer
    mean: Tensor
    std: Tensor

    def __init__(self, preset: str = "base", weights: str | Path | None = None, after_ln_post: bool = True) -> None:
        super().__init__()
        visual = _build_visual(preset)
        if weights is not None:
            _load_visual(visual, _find_weights(preset, weights))
        self._adopt(visual, after_ln_post)

    @classmethod
    def from_clip(cls, clip: open_clip.CLIP, after_ln_post: bool = True) -> "TopomapEncoder":
        """Freeze a copy of the vision tower of a CLIP, which itself stays trainable."""
        encoder = cls.__new__(cls)
        nn.Module.__init__(encoder)
        encoder._adopt(deepcopy(clip.visual), after_ln_post)
        return encoder

    def _adopt(self, visual: VisionTransformer, after_ln_post: bool) -> None:
        self.visual = visual.requires_grad_(False)
        self.after_ln_post = after_ln_post
        self.width = int(visual.transformer.width)
        self.register_buffer("mean", torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(open_clip.OPENAI_DATASET_STD).view(3, 1, 1) * 255, persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> "TopomapEncoder":
        """Stay in eval mode: the tower is frozen, whatever the mode of the module around it."""
        return super().train(False)

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
        pixels = ((pixels - self.mean) / self.std).to(self.visual.conv1.weight.dtype)
        tokens = self.visual.forward_intermediates(
            pixels, indices=1, normalize_intermediates=self.after_ln_post, intermediates_only=True, output_fmt="NLC"
        )["image_intermediates"][0]  # (B, N, D), of the last block
        return tokens.float().mean(dim=1)
