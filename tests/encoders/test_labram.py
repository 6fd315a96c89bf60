import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.channels import CHANNEL_NAMES, channel_rows
from encoders.labram import SignalEncoder, to_labram_unit
from encoders.presets import BASE, SIGNAL_ENCODER_PRESETS, TINY, SignalEncoderPreset

TEN_TWENTY = ["FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
TEN_TWENTY += ["F7", "F8", "T3", "T4", "T5", "T6", "FZ", "CZ", "PZ"]

# Figures of the published reference code (modeling_finetune.py, labram_base_patch200_200, mean pooling) for the
# formula-filled weights and input below; the complete record is shared/data/parity/labram_golden.json.
GOLDEN_PATCH_EMBED = [-0.0704663, -0.0877868, -0.0768816, 0.0488866, -0.0225683, 0.1981406, 0.0597399, 0.0932985]
GOLDEN_POOLED = [
    [-0.8432729, -0.6817522, -1.129807, -0.857085, -0.3648853, 0.0944163, 0.4140985, -0.1185183],
    [-0.7409895, -0.7645952, -1.0860271, -0.8603855, -0.4256377, 0.2329097, 0.2764075, 0.0106053],
]


def formula_filled_base() -> SignalEncoder:
    encoder = SignalEncoder(BASE).eval()
    with torch.no_grad():
        for k, (name, parameter) in enumerate(sorted(encoder.named_parameters())):
            values = 0.05 * np.sin(0.37 * np.arange(parameter.numel()) + k)
            values += 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(torch.from_numpy(values).view(parameter.shape))
    return encoder


def formula_input_uv() -> Tensor:
    i = np.arange(2 * 19 * 10 * 200)
    labram_unit = 0.5 * np.sin(0.013 * i) + 0.3 * np.sin(0.171 * i + 1)
    return torch.from_numpy(100.0 * labram_unit).float().view(2, 19, 2000)


def noise_uv(*shape: int) -> Tensor:
    return 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def relative_error(got: Tensor, expected: Tensor) -> float:
    return ((got - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(scope="module")
def tiny() -> SignalEncoder:
    torch.manual_seed(0)
    return SignalEncoder(TINY).eval()


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict:
    path = shared_data / "parity" / "labram_golden.json"
    if not path.is_file():
        pytest.skip("figures of the reference code not found: expected parity/labram_golden.json in the shared data")
    return json.loads(path.read_text())


@torch.no_grad()
def test_reference_figures_are_reproduced():
    encoder = formula_filled_base()
    patches = to_labram_unit(formula_input_uv()).view(2, 190, 200)
    embedded = encoder.patch_embed(patches).flatten()[:8]
    pooled = encoder(formula_input_uv(), TEN_TWENTY)[:, :8]
    assert relative_error(embedded, torch.tensor(GOLDEN_PATCH_EMBED)) < 1e-4
    assert relative_error(pooled, torch.tensor(GOLDEN_POOLED)) < 1e-4


@torch.no_grad()
def test_complete_reference_record_is_reproduced(golden: dict):
    encoder = formula_filled_base()
    patches = to_labram_unit(formula_input_uv()).view(2, 190, 200)
    total = encoder.patch_embed(patches).double().sum().item()
    assert total == pytest.approx(golden["patch_embed_sum"], rel=1e-4)
    assert relative_error(encoder(formula_input_uv(), golden["ch_names"]), torch.tensor(golden["pooled"])) < 1e-4


def test_layout_and_vocabulary_are_the_published_ones(golden: dict):
    encoder = SignalEncoder(BASE)
    assert {name: list(p.shape) for name, p in encoder.named_parameters()} == golden["shapes"]
    assert sorted(encoder.state_dict()) == sorted(golden["parameter_names"])
    assert list(CHANNEL_NAMES) == golden["standard_1020"]
    assert [0, *(1 + row for row in channel_rows(golden["ch_names"]))] == golden["input_chans"]


def count_by_hand(dim: int, depth: int, heads: int, filters: int) -> int:
    """From the paper's sizes: tables, three convolutions with norms, blocks, final norm."""
    tables = dim * (1 + 129 + 16)
    patch = (15 * filters + filters) + 2 * (3 * filters * filters + filters) + 3 * 2 * filters
    attention = 3 * dim * dim + 4 * (dim // heads) + dim * dim + dim
    mlp = 4 * dim * dim + 4 * dim + 4 * dim * dim + dim
    return tables + patch + depth * (attention + mlp + 2 * 2 * dim + 2 * dim) + 2 * dim


def test_parameter_counts():
    with torch.device("meta"):
        encoders = {name: SignalEncoder(preset) for name, preset in SIGNAL_ENCODER_PRESETS.items()}
    counts = {name: sum(p.numel() for p in encoder.parameters()) for name, encoder in encoders.items()}
    assert counts == {"tiny": 500_112, "base": 5_819_936, "large": 46_258_720, "huge": 369_235_712}
    sizes = {"tiny": (100, 4, 5, 4), "base": (200, 12, 10, 8), "large": (400, 24, 16, 16), "huge": (800, 48, 16, 32)}
    assert counts == {name: count_by_hand(*size) for name, size in sizes.items()}


def test_microvolts_become_tenths_of_a_millivolt():
    torch.testing.assert_close(to_labram_unit(torch.tensor([100.0, -50.0])), torch.tensor([1.0, -0.5]))


@torch.no_grad()
def test_pooled_vector_is_the_normalised_mean_of_the_tokens(tiny: SignalEncoder):
    signal_uv = noise_uv(2, 19, 1000)
    tokens = tiny.forward_tokens(signal_uv, TEN_TWENTY)
    assert tokens.shape == (2, 19 * 5, 100)
    torch.testing.assert_close(tiny(signal_uv, TEN_TWENTY), tiny.fc_norm(tokens.mean(dim=1)))


@torch.no_grad()
def test_tokens_are_channel_major(tiny: SignalEncoder):
    """The last second of the last channel is the last patch that reaches the patch embedding."""
    patches = torch.zeros(1, 2 * 3, 200)
    patches[0, 5] = 1.0
    signal_uv = 100.0 * patches.view(1, 2, 600)
    seen = {}
    hook = tiny.patch_embed.register_forward_pre_hook(lambda _, args: seen.update(patches=args[0]))
    tiny.forward_tokens(signal_uv, ["C3", "C4"])
    hook.remove()
    assert torch.equal(seen["patches"], patches)


@torch.no_grad()
def test_order_of_channels_does_not_matter_when_names_move_along():
    encoder = formula_filled_base()
    signal_uv = noise_uv(2, 19, 400)
    order = torch.randperm(19, generator=torch.Generator().manual_seed(1))
    expected = encoder(signal_uv, TEN_TWENTY)
    permuted = encoder(signal_uv[:, order], [TEN_TWENTY[i] for i in order])
    torch.testing.assert_close(permuted, expected, rtol=1e-4, atol=1e-5)
    assert relative_error(encoder(signal_uv[:, order], TEN_TWENTY), expected) > 1e-3


@torch.no_grad()
def test_fused_query_key_norm_equals_two_layer_norms():
    attn = formula_filled_base().blocks[3].attn
    x = torch.randn(2, 7, 200, generator=torch.Generator().manual_seed(0))
    q, k, v = attn.qkv(x).view(2, 7, 3, 10, 20).permute(2, 0, 3, 1, 4)
    scores = attn.q_norm(q) * 20**-0.5 @ attn.k_norm(k).transpose(-2, -1)
    expected = attn.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attn(x), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_global_amplitude_is_lost_and_ratios_are_kept(tiny: SignalEncoder):
    """GroupNorm over the sample, as published: documents what the encoder cannot see."""
    signal_uv = noise_uv(1, 19, 1000)
    louder_channel = signal_uv.clone()
    louder_channel[:, 0] *= 2.0
    expected = tiny.forward_tokens(signal_uv, TEN_TWENTY)
    assert relative_error(tiny.forward_tokens(2.0 * signal_uv, TEN_TWENTY), expected) < 1e-2
    assert relative_error(tiny.forward_tokens(louder_channel, TEN_TWENTY), expected) > 5e-2


def test_tiny_trains_in_forward_and_backward():
    torch.manual_seed(0)
    encoder = SignalEncoder(TINY)
    encoder(noise_uv(2, 19, 1000), TEN_TWENTY).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    rows = encoder.pos_embed.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist()
    assert rows == sorted([0, *(1 + row for row in channel_rows(TEN_TWENTY))])


@pytest.mark.parametrize(("preset", "std"), [(BASE, 0.02), (TINY, 0.3)])
def test_positions_start_at_the_scale_of_the_preset(preset: SignalEncoderPreset, std: float):
    encoder = SignalEncoder(preset)
    assert encoder.pos_embed.std().item() == pytest.approx(std, rel=0.1)
    assert encoder.time_embed.std().item() == pytest.approx(std, rel=0.1)
    assert encoder.blocks[0].mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.1)


@torch.no_grad()
def test_sixty_four_channels_and_other_dtypes(tiny: SignalEncoder):
    names = CHANNEL_NAMES[:64]
    signal_uv = noise_uv(2, 64, 2000)
    pooled = tiny(signal_uv, names)
    assert pooled.shape == (2, 100)
    torch.testing.assert_close(tiny(signal_uv.double(), names), pooled)
    with torch.autocast("cpu", torch.bfloat16):
        assert relative_error(tiny(signal_uv, names).float(), pooled) < 2e-2


@torch.no_grad()
def test_batch_rows_are_independent(tiny: SignalEncoder):
    signal_uv = noise_uv(3, 19, 400)
    torch.testing.assert_close(tiny(signal_uv, TEN_TWENTY)[1:2], tiny(signal_uv[1:2], TEN_TWENTY), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("names", ["new", "old"])
def test_one_electrode_under_two_names_gives_one_vector(tiny: SignalEncoder, names: str):
    encoder = SignalEncoder(TINY, names=names).eval()
    encoder.load_state_dict(tiny.state_dict())
    signal_uv = noise_uv(1, 2, 400)
    assert torch.equal(encoder(signal_uv, ["T3", "Cz"]), encoder(signal_uv, ["T7", "Cz"]))
    assert relative_error(tiny(signal_uv, ["T3", "Cz"]), tiny(signal_uv, ["T7", "Cz"])) > 1e-3
    torch.testing.assert_close(
        encoder(signal_uv, ["T3", "Cz"]), tiny(signal_uv, [{"new": "T7", "old": "T3"}[names], "Cz"])
    )


@torch.no_grad()
def test_cls_token_can_be_pooled(tiny: SignalEncoder):
    encoder = SignalEncoder(TINY, pool="cls").eval()
    encoder.load_state_dict(tiny.state_dict())
    last = {}
    hook = encoder.blocks[-1].register_forward_hook(lambda module, args, out: last.update(x=out))
    pooled = encoder(noise_uv(2, 3, 400), ["C3", "C4", "Cz"])
    hook.remove()
    torch.testing.assert_close(pooled, encoder.fc_norm(last["x"][:, 0]))
    assert relative_error(pooled, tiny(noise_uv(2, 3, 400), ["C3", "C4", "Cz"])) > 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [({"pool": "max"}, "pool='max', expected 'mean' or 'cls'"), ({"names": "both"}, "names='both', expected one of")],
)
def test_unknown_options_are_refused(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SignalEncoder(TINY, **options)


LAYOUTS = [TEN_TWENTY, ["C3", "C4", "CZ"], TEN_TWENTY[:10], ["OZ"], TEN_TWENTY[:10]]


def padded_batch(n_samples: int = 1000) -> Tensor:
    """Rows of LAYOUTS, each louder than the one before, zeros behind their channels."""
    signal_uv = noise_uv(len(LAYOUTS), len(TEN_TWENTY), n_samples)
    for row, layout in enumerate(LAYOUTS):
        signal_uv[row] *= 1.0 + row
        signal_uv[row, len(layout) :] = 0.0
    return signal_uv


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("preset", "pool"), [(TINY, "mean"), (TINY, "cls"), (replace(BASE, depth=2), "mean")])
def test_rows_of_different_channels_equal_each_row_alone(preset: SignalEncoderPreset, pool: str, training: bool):
    torch.manual_seed(0)
    encoder = SignalEncoder(preset, pool=pool).train(training)
    for parameter in encoder.parameters():  # nothing may hide behind a bias of zero or a weight of one
        torch.nn.init.normal_(parameter, float(parameter.mean().detach()), 0.1)
    signal_uv = padded_batch()

    def alone() -> Tensor:
        rows = [encoder(signal_uv[i : i + 1, : len(layout)], layout) for i, layout in enumerate(LAYOUTS)]
        return torch.cat(rows)

    with torch.no_grad():
        for row, expected in zip(encoder(signal_uv, LAYOUTS), alone(), strict=True):
            assert relative_error(row, expected) < 1e-5

    encoder.double()  # the gradient of some biases is zero, which float32 could not tell from an error
    target = torch.randn(len(LAYOUTS), preset.embed_dim)
    expected = torch.autograd.grad((alone() * target).sum(), tuple(encoder.parameters()))
    gradients = torch.autograd.grad((encoder(signal_uv, LAYOUTS) * target).sum(), tuple(encoder.parameters()))
    total = torch.stack([gradient.norm() for gradient in expected]).norm()
    for got, wanted in zip(gradients, expected, strict=True):
        assert (got - wanted).norm() <= 1e-5 * max(wanted.norm(), 1e-6 * total)


@torch.no_grad()
def test_tokens_of_different_channels_are_those_of_each_row_and_zero_behind(tiny: SignalEncoder):
    signal_uv = padded_batch()
    tokens = tiny.forward_tokens(signal_uv, LAYOUTS, first_patch=3)
    assert tokens.shape == (len(LAYOUTS), 19 * 5, 100)
    for row, layout in enumerate(LAYOUTS):
        expected = tiny.forward_tokens(signal_uv[row : row + 1, : len(layout)], layout, first_patch=3)[0]
        assert relative_error(tokens[row, : len(expected)], expected) < 1e-5
        assert not tokens[row, len(expected) :].any()


@torch.no_grad()
def test_different_channels_in_other_dtypes(tiny: SignalEncoder):
    signal_uv = padded_batch(400)
    expected = tiny(signal_uv, LAYOUTS)
    with torch.autocast("cpu", torch.bfloat16):
        assert relative_error(tiny(signal_uv, LAYOUTS), expected) < 2e-2
    half = SignalEncoder(TINY).eval()
    half.load_state_dict(tiny.state_dict())
    assert relative_error(half.bfloat16()(signal_uv, LAYOUTS).float(), expected) < 5e-2


@torch.no_grad()
def test_layouts_of_one_size_need_no_mask(tiny: SignalEncoder):
    names = [["C3", "C4"], ["O1", "O2"]]
    signal_uv = noise_uv(2, 2, 400)
    expected = torch.cat([tiny(signal_uv[i : i + 1], names[i]) for i in range(2)])
    torch.testing.assert_close(tiny(signal_uv, names), expected)


@torch.no_grad()
def test_filler_tokens_on_a_cpu_change_nothing(tiny: SignalEncoder, monkeypatch: pytest.MonkeyPatch):
    signal_uv = noise_uv(2, 19, 2000)  # 1 + 190 tokens, filled up to 192
    filled = tiny.forward_tokens(signal_uv, TEN_TWENTY)
    monkeypatch.setattr("encoders.labram.MAX_FILLER", 0.0)
    torch.testing.assert_close(filled, tiny.forward_tokens(signal_uv, TEN_TWENTY))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([["C3", "C4"]], r"rows of \[2\] channel names .* give each of the B rows"),
        ([["C3", "C4"], []], r"rows of \[2, 0\]"),
        ([["C3"], ["C4"]], r"rows of \[1, 1\]"),
        ([["C3", "C4"], ["C3", "C4", "CZ"]], r"rows of \[2, 3\]"),
        ([["C3", "C4"], ["ECG"]], r"\['ECG'\]"),
    ],
)
def test_rows_of_names_that_do_not_fit_are_refused(tiny: SignalEncoder, names: list, message: str):
    with pytest.raises(ValueError, match=message):
        tiny(torch.zeros(2, 2, 400), names)


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((2, 2000), ["C3", "C4"], r"\(2, 2000\), expected \(B, C, T\)"),
        ((1, 2, 2000), ["C3"], "1 channel names"),
        ((1, 0, 2000), [], "0 channel names"),
        ((1, 1, 1990), ["C3"], "1990 samples, expected a multiple of 200"),
        ((1, 1, 0), ["C3"], "0 samples"),
        ((1, 1, 3400), ["C3"], "17 s.*at most 3200"),
    ],
)
def test_signals_that_do_not_fit_are_refused(tiny: SignalEncoder, shape: tuple, names: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        tiny(torch.zeros(shape), names)


@torch.no_grad()
def test_sixteen_seconds_are_accepted(tiny: SignalEncoder):
    assert tiny(noise_uv(1, 2, 3200), ["C3", "C4"]).shape == (1, 100)


def test_drop_path_rises_with_depth():
    preset = SignalEncoderPreset(embed_dim=100, depth=3, num_heads=5, drop_path=0.2)
    rates = [block.drop_path_rate for block in SignalEncoder(preset).blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])
