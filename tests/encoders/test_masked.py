from pathlib import Path

import pytest
import torch
from torch import Tensor

from encoders.labram import SignalEncoder
from encoders.masked import MaskedSignalEncoder, random_mask
from encoders.presets import BASE, TINY
from encoders.weights import load_labram

NAMES = ["FP1", "CZ", "O2"]


def noise_uv(*shape: int) -> Tensor:
    return 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> MaskedSignalEncoder:
    torch.manual_seed(0)
    return MaskedSignalEncoder(TINY, n_codes=16).eval()


@torch.no_grad()
def test_each_patch_is_predicted_from_the_pass_in_which_it_was_hidden(model: MaskedSignalEncoder):
    signal_uv = noise_uv(2, 3, 800)
    masked = random_mask(2, 12, 0.5)
    logits = model(signal_uv, NAMES, masked)
    assert logits.shape == (2, 12, 16)
    for hidden in (masked, ~masked):  # the published way: two passes, each on its own
        tokens = model.student.embed_patches(signal_uv)
        for b in range(2):
            for n in range(12):
                if hidden[b, n]:
                    tokens[b, n] = model.mask_token[0, 0]
        expected = model.lm_head(model.norm(model.student.transform(tokens, NAMES)))
        torch.testing.assert_close(logits[hidden], expected[hidden])


def test_masks_hide_the_same_number_in_each_row():
    masked = random_mask(64, 13, 0.5, torch.Generator().manual_seed(0))
    assert masked.sum(1).tolist() == [7] * 64
    assert len({tuple(row.tolist()) for row in masked}) > 50
    assert masked.float().mean(0).min() > 0.3  # any patch may be hidden
    assert torch.equal(masked, random_mask(64, 13, 0.5, torch.Generator().manual_seed(0)))
    assert random_mask(1, 10, 0.3).sum() == 3


def test_every_trainable_parameter_gets_a_gradient(model: MaskedSignalEncoder):
    model(noise_uv(2, 3, 800), NAMES, random_mask(2, 12, 0.5)).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == ["student.fc_norm.weight", "student.fc_norm.bias"]
    assert not any(p.requires_grad for p in model.student.fc_norm.parameters())


def test_state_has_the_names_and_shapes_of_the_published_file():
    state = MaskedSignalEncoder(BASE, n_codes=8192).published_state()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["lm_head.weight"] == (8192, 200)
    assert shapes["student.mask_token"] == (1, 1, 200)
    assert shapes["student.norm.weight"] == (200,)
    assert shapes["student.blocks.11.gamma_2"] == (200,)
    encoder = {f"student.{name}" for name in SignalEncoder(BASE).state_dict() if not name.startswith("fc_norm.")}
    assert set(state) == encoder | {
        *("student.mask_token", "student.norm.weight", "student.norm.bias", "lm_head.weight", "lm_head.bias")
    }


@pytest.mark.parametrize("final_norm", ["fresh", "pretrained"])
def test_pretrained_encoder_loads_with_a_full_match(model: MaskedSignalEncoder, final_norm: str, tmp_path: Path):
    torch.nn.init.normal_(model.norm.weight)
    torch.save({"model": model.published_state()}, tmp_path / "labram-tiny.pth")
    encoder = SignalEncoder(TINY).eval()
    report = load_labram(encoder, tmp_path / "labram-tiny.pth", final_norm=final_norm)
    assert set(report.loaded) | set(report.fresh) == set(encoder.state_dict())
    assert bool(report.fresh) == (final_norm == "fresh")
    assert "student.mask_token" in report.dropped
    tokens = [e.forward_tokens(noise_uv(2, 3, 800), NAMES) for e in (encoder, model.student)]
    torch.testing.assert_close(*tokens)
    assert torch.equal(encoder.fc_norm.weight, model.norm.weight) == (final_norm == "pretrained")


def test_a_signal_that_does_not_fit_is_refused(model: MaskedSignalEncoder):
    with pytest.raises(ValueError, match="got 500 samples"):
        model(noise_uv(1, 3, 500), NAMES, random_mask(1, 6, 0.5))
