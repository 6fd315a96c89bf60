import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.labram import CHANNEL_NAMES, CHANNEL_ROWS, SignalEncoder, channel_rows, drop_path, to_labram_unit
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


def test_parameter_counts():
    counts = {
        name: sum(p.numel() for p in SignalEncoder(preset).parameters())
        for name, preset in SIGNAL_ENCODER_PRESETS.items()
    }
    assert counts == {"tiny": 500_112, "base": 5_819_936}


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


def test_old_and_new_names_have_their_own_rows():
    assert channel_rows(["T3", "T7", "t3", "fp1"]) == (88, 37, 88, 0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Fp1", "EEG Fp2-REF", "ECG"], r"\['EEG Fp2-REF', 'ECG'\].*leave these channels out"),
        (["FP1-F7", "C4-P4"], r"\['C4-P4'\].*no row"),
    ],
)
def test_names_without_a_row_are_refused(names: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        channel_rows(names)


def test_every_row_of_the_table_is_reachable():
    assert channel_rows(CHANNEL_NAMES[:CHANNEL_ROWS]) == tuple(range(CHANNEL_ROWS))


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


def test_drop_path_keeps_the_expectation_and_drops_whole_samples():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3)
    dropped = drop_path(x, 0.25, training=True)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)
    assert set(dropped.sum(dim=(1, 2)).tolist()) == {0.0, 8.0}
    assert drop_path(x, 0.25, training=False) is x


def test_drop_path_rises_with_depth():
    preset = SignalEncoderPreset(embed_dim=100, depth=3, num_heads=5, drop_path=0.2)
    rates = [block.drop_path_rate for block in SignalEncoder(preset).blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embed_dim": 96, "num_heads": 4}, "embed_dim=96"),
        ({"embed_dim": 100, "num_heads": 3}, "num_heads=3.*use 5"),
        ({"embed_dim": 100, "num_heads": 5, "drop_path": 1.0}, "drop_path=1.0"),
    ],
)
def test_presets_refuse_sizes_that_do_not_fit(fields: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SignalEncoderPreset(depth=2, **fields)


def test_presets_are_the_stated_sizes():
    assert (TINY.embed_dim, TINY.depth, TINY.num_heads, TINY.mlp_ratio, TINY.out_chans) == (100, 4, 5, 4, 4)
    assert (BASE.embed_dim, BASE.depth, BASE.num_heads, BASE.mlp_ratio, BASE.out_chans) == (200, 12, 10, 4, 8)
