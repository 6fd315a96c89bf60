"""The frozen tower of scalp maps against open_clip's own forward pass."""

from pathlib import Path

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from encoders.topomap import TopomapEncoder, _normalisation, build_tiny_clip


@pytest.fixture
def clip() -> open_clip.CLIP:
    torch.manual_seed(0)
    return build_tiny_clip()


@pytest.fixture
def small_siglip(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a SigLIP 2 model whose tower, still built by open_clip and timm, is cut down to two narrow blocks."""

    def build_small(name: str, **options: object) -> nn.Module:
        assert name == "vit_base_patch16_siglip_224"
        return timm.models.vision_transformer.VisionTransformer(
            embed_dim=96, depth=2, num_heads=3, class_token=False, global_pool="map", num_classes=0
        )

    monkeypatch.setattr("open_clip.timm_model.timm.create_model", build_small)
    return "ViT-B-16-SigLIP2"


def random_maps(n_maps: int = 2, size: int = 224) -> Tensor:
    return torch.randint(0, 256, (n_maps, size, size, 3), dtype=torch.uint8, generator=torch.manual_seed(1))


def normalise(maps: Tensor) -> Tensor:
    """CLIP's input written out: channels first, 0 to 1, minus the mean, over the standard deviation."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    return ((maps.float() / 255 - mean) / std).permute(0, 3, 1, 2)


@torch.no_grad()
def run_tower(visual: nn.Module, maps: Tensor) -> Tensor:
    """Tokens (B, 1 + N, D) of the last block, before ln_post, step by step."""
    patches = visual.conv1(normalise(maps)).flatten(2).transpose(1, 2)
    tokens = torch.cat([visual.class_embedding.expand(len(maps), 1, -1), patches], dim=1) + visual.positional_embedding
    return visual.transformer(visual.ln_pre(tokens))


def test_vector_is_the_mean_of_open_clips_output_tokens(clip):
    maps = random_maps()
    vectors = TopomapEncoder.from_clip(clip)(maps)
    clip.eval().visual.output_tokens = True
    with torch.no_grad():
        _, tokens = clip.visual(normalise(maps))
    assert tokens.shape == (2, 49, 128)
    torch.testing.assert_close(vectors, tokens.mean(dim=1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("after_ln_post", [True, False])
def test_vector_equals_the_tower_computed_by_hand(clip, after_ln_post):
    maps = random_maps()
    tokens = run_tower(clip.visual, maps)[:, 1:]  # without the class token
    expected = (clip.visual.ln_post(tokens) if after_ln_post else tokens).mean(dim=1)
    vectors = TopomapEncoder.from_clip(clip, after_ln_post=after_ln_post)(maps)
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, expected.detach(), atol=1e-5, rtol=1e-5)


def test_before_and_after_ln_post_are_different_vectors(clip):
    maps = random_maps()
    before, after = (TopomapEncoder.from_clip(clip, after_ln_post=flag)(maps) for flag in (False, True))
    assert (before - after).abs().max() > 0.1


@pytest.mark.parametrize("after_ln_post", [True, False])
def test_siglip_is_normalised_its_own_way_and_pooled_over_patches(small_siglip, after_ln_post):
    encoder, maps = TopomapEncoder(small_siglip, after_ln_post=after_ln_post), random_maps()
    trunk = encoder.visual.trunk
    torch.nn.init.normal_(trunk.norm.weight)
    with torch.no_grad():
        pixels = (maps.float() / 127.5 - 1).permute(0, 3, 1, 2)
        tokens = trunk._pos_embed(trunk.patch_embed(pixels))
        for block in trunk.blocks:
            tokens = block(tokens)
        after = trunk.norm(tokens)
        torch.testing.assert_close(after, trunk.forward_features(pixels))
    assert after.shape == (2, 196, 96)
    assert encoder.width == 96
    torch.testing.assert_close(encoder(maps), (after if after_ln_post else tokens).mean(dim=1), atol=1e-5, rtol=1e-5)


def test_siglip_is_frozen_and_loads_from_a_local_file(small_siglip, tmp_path):
    source = TopomapEncoder(small_siglip)
    save_file(source.state_dict(), tmp_path / "siglip.safetensors")
    loaded, maps = TopomapEncoder(small_siglip, weights=tmp_path / "siglip.safetensors").train(), random_maps()
    torch.testing.assert_close(loaded(maps), source(maps), atol=0, rtol=0)
    assert loaded.fingerprint() == source.fingerprint()
    assert not any(module.training for module in loaded.modules())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(("name", "width", "size"), [("ViT-SO400M-14-SigLIP2-378", 1152, 378), ("ViT-B-32", 768, 224)])
def test_published_towers_build_by_name(name, width, size):
    with torch.device("meta"):
        encoder = TopomapEncoder(name)
        assert encoder(torch.zeros(1, 224, 224, 3, dtype=torch.uint8)).shape == (1, width)
    assert encoder.visual.image_size == (size, size)


def test_every_published_siglip2_expects_values_from_minus_one_to_one():
    names = [name for name in open_clip.list_models() if "SigLIP2" in name]
    assert len(names) > 10
    assert {_normalisation(name) for name in names} == {((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))}
    expected = (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    assert _normalisation("ViT-L-14-quickgelu") == _normalisation("tiny") == expected


def test_fingerprint_tells_what_changes_a_vector(clip):
    encoder = TopomapEncoder.from_clip(clip)
    prints = {encoder.fingerprint(), TopomapEncoder.from_clip(clip).fingerprint()}
    assert len(prints) == 1
    prints.add(TopomapEncoder.from_clip(clip, after_ln_post=False).fingerprint())
    encoder.mean += 1
    prints.add(encoder.fingerprint())
    with torch.no_grad():
        clip.visual.ln_post.bias[3] += 1e-3
    prints.add(TopomapEncoder.from_clip(clip).fingerprint())
    assert len(prints) == 4


def test_other_sizes_are_resized(clip):
    encoder, maps = TopomapEncoder.from_clip(clip), random_maps(size=112)
    resized = functional.interpolate(
        maps.permute(0, 3, 1, 2).float(), (224, 224), mode="bicubic", antialias=True, align_corners=False
    )
    larger = resized.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert encoder(maps).shape == (2, 128)
    torch.testing.assert_close(encoder(maps), encoder(larger), atol=0.02, rtol=0)


def test_train_keeps_eval_also_inside_another_module():
    encoder = TopomapEncoder("tiny")
    whole = nn.ModuleDict({"topomap": encoder, "head": nn.Linear(128, 2)}).train()
    assert whole["head"].training
    assert not any(module.training for module in encoder.modules())
    assert encoder.train() is encoder


def test_an_optimiser_step_over_a_larger_module_changes_nothing_in_it():
    encoder = TopomapEncoder("tiny")
    whole = nn.ModuleDict({"topomap": encoder, "head": nn.Linear(128, 2)}).train()
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    optimiser = torch.optim.AdamW(whole.parameters(), lr=0.1, weight_decay=0.1)
    vectors = encoder(random_maps())
    whole["head"](vectors).square().sum().backward()
    optimiser.step()
    changed = {name for name, tensor in whole.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias"}
    assert not vectors.requires_grad
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in encoder.parameters())


def test_no_gradient_flows_even_if_somebody_unfreezes_the_parameters():
    encoder = TopomapEncoder("tiny").requires_grad_(True)
    assert not encoder(random_maps()).requires_grad


def test_from_clip_copies_and_leaves_the_clip_trainable(clip):
    encoder = TopomapEncoder.from_clip(clip)
    assert clip.training
    assert all(parameter.requires_grad for parameter in clip.parameters())
    with torch.no_grad():
        clip.visual.conv1.weight.zero_()
    assert encoder.visual.conv1.weight.abs().sum() > 0


def test_state_dict_is_the_visual_tower_and_nothing_else(clip):
    state = TopomapEncoder.from_clip(clip).state_dict()
    assert state.keys() == {name for name in clip.state_dict() if name.startswith("visual.")}


def test_tiny_clip_trains_both_towers(clip):
    images = normalise(random_maps())
    text = torch.randint(1, 49407, (2, 128), generator=torch.manual_seed(0))
    image_features, text_features, scale = clip(images, text)
    (scale * image_features @ text_features.T).square().sum().backward()
    assert image_features.shape == text_features.shape == (2, 64)
    assert clip.visual.conv1.weight.grad.abs().sum() > 0
    assert clip.token_embedding.weight.grad.abs().sum() > 0


def test_base_is_vit_l_14_with_quickgelu():
    with torch.device("meta"):
        encoder = TopomapEncoder("base")
        vectors = encoder(torch.zeros(3, 224, 224, 3, dtype=torch.uint8))
    visual = encoder.visual
    assert encoder.width == 1024
    assert vectors.shape == (3, 1024)
    assert visual.positional_embedding.shape == (257, 1024)
    assert len(visual.transformer.resblocks) == 24
    assert type(visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert type(TopomapEncoder("tiny").visual.transformer.resblocks[0].mlp.gelu).__name__ == "GELU"


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("whole_clip", [True, False])
def test_weights_load_from_a_local_file(clip, tmp_path, suffix, whole_clip):
    source = TopomapEncoder.from_clip(clip)
    state, path = (clip if whole_clip else source).state_dict(), tmp_path / f"weights{suffix}"
    torch.save({"state_dict": state}, path) if suffix == ".pt" else save_file(state, path)
    loaded = TopomapEncoder("tiny", weights=path)
    maps = random_maps()
    torch.testing.assert_close(loaded(maps), source(maps), atol=0, rtol=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_openai_tag_is_downloaded_by_open_clip(monkeypatch, tmp_path):
    asked: list[dict] = []
    save_file({"visual.proj": torch.zeros(1)}, tmp_path / "ViT-L-14.safetensors")

    def pretend_to_download(config: dict) -> str:
        asked.append(config)
        return str(tmp_path / "ViT-L-14.safetensors")

    monkeypatch.setattr(open_clip, "download_pretrained", pretend_to_download)
    with torch.device("meta"), pytest.raises(ValueError, match="expected weights of this preset"):
        TopomapEncoder("base", weights="openai")
    assert asked == [open_clip.get_pretrained_cfg("ViT-L-14-quickgelu", "openai")]
    assert asked[0]["quick_gelu"]


def test_errors_say_what_to_do(tmp_path: Path, clip):
    with pytest.raises(ValueError, match=r"got preset='huge', expected 'base' \(the paper's\), 'tiny'.*or a name of"):
        TopomapEncoder("huge")
    with torch.device("meta"), pytest.raises(ValueError, match="got RN50, whose vision tower is a ModifiedResNet"):
        TopomapEncoder("RN50")
    with pytest.raises(FileNotFoundError, match="expected an existing file; check the path"):
        TopomapEncoder("tiny", weights="openai")
    with (
        pytest.raises(FileNotFoundError, match=r"expected an existing file or one of the tags \['webli'\]"),
        torch.device("meta"),
    ):
        TopomapEncoder("ViT-B-32-SigLIP2-256", weights="openai")
    with pytest.raises(ValueError, match=r"expected torch\.uint8"):
        TopomapEncoder("tiny")(torch.zeros(1, 224, 224, 3))
    with pytest.raises(ValueError, match=r"expected torch\.uint8"):
        TopomapEncoder("tiny")(torch.zeros(1, 3, 224, 224, dtype=torch.uint8))
    torch.save({"text": torch.zeros(1)}, tmp_path / "text.pt")
    with pytest.raises(ValueError, match=r"no key starting with 'visual\.' in text\.pt"):
        TopomapEncoder("tiny", weights=tmp_path / "text.pt")
    state = clip.state_dict()
    del state["visual.ln_post.weight"]
    torch.save(state, tmp_path / "partial.pt")
    with pytest.raises(ValueError, match=r"got partial\.pt, expected weights of this preset"):
        TopomapEncoder("tiny", weights=tmp_path / "partial.pt")
