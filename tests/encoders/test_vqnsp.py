import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from encoders.vqnsp import LEFT_OVER, VQNSP_PRESETS, VqNsp, load_vqnsp, spectrum_targets
from encoders.weights import WeightsError

TEN_TWENTY = ["FP1", "FP2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
TEN_TWENTY += ["F7", "F8", "T3", "T4", "T5", "T6", "FZ", "CZ", "PZ"]

# Figures of the published reference code (modeling_vqnsp.py, vqnsp_encoder_base_decoder_3x200x12 with 8192 codes of 64)
# for the formula-filled weights and input below; the complete record is shared/data/parity/vqnsp_golden.json.
GOLDEN_VECTOR = [-0.276428, -0.020488, 0.255874, 0.122829, -0.173202, -0.12128, 0.204867, 0.267315]
GOLDEN_INDICES = [1457] * 12 + [918, 918, 1457, 1457, 918, 1457, 1457, 1457]


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of `vqnsp.pth`, written out from the paper's sizes and not from our tokenizer."""
    shapes = {"encoder.patch_embed.conv1.weight": (8, 1, 1, 15), "encoder.patch_embed.conv1.bias": (8,)}
    for i in (2, 3):
        shapes |= {f"encoder.patch_embed.conv{i}.weight": (8, 8, 1, 3), f"encoder.patch_embed.conv{i}.bias": (8,)}
    shapes |= {f"encoder.patch_embed.norm{i}.{part}": (8,) for i in (1, 2, 3) for part in ("weight", "bias")}
    shapes |= {"decoder.patch_embed.proj.weight": (200, 64, 1, 1), "decoder.patch_embed.proj.bias": (200,)}
    block = {f"{name}.{part}": (200,) for name in ("norm1", "norm2") for part in ("weight", "bias")}
    block |= {"attn.q_bias": (200,), "attn.v_bias": (200,), "attn.qkv.weight": (600, 200)}
    block |= {"attn.proj.weight": (200, 200), "attn.proj.bias": (200,)}
    block |= {"mlp.fc1.weight": (800, 200), "mlp.fc1.bias": (800,)}
    block |= {"mlp.fc2.weight": (200, 800), "mlp.fc2.bias": (200,)}
    for side, depth in (("encoder", 12), ("decoder", 3)):
        shapes |= {f"{side}.cls_token": (1, 1, 200), f"{side}.pos_embed": (1, 129, 200)}
        shapes |= {f"{side}.time_embed": (1, 16, 200)}
        shapes |= {f"{side}.fc_norm.weight": (200,), f"{side}.fc_norm.bias": (200,)}
        shapes |= {f"{side}.blocks.{i}.{name}": shape for i in range(depth) for name, shape in block.items()}
    for head, out in (("encode_task_layer", 64), ("decode_task_layer", 200), ("decode_task_layer_angle", 200)):
        shapes |= {f"{head}.0.weight": (200, 200), f"{head}.0.bias": (200,)}
        shapes |= {f"{head}.2.weight": (out, 200), f"{head}.2.bias": (out,)}
    shapes |= {"quantize.embedding.weight": (8192, 64), "quantize.embedding.embed_avg": (8192, 64)}
    shapes |= {"quantize.embedding.cluster_size": (8192,), "quantize.embedding.initted": (1,)}
    return shapes | {"quantize.cluster_size": (8192,)}


BUFFERS = ("quantize.cluster_size", "quantize.embedding.initted")  # of the published model; all else are parameters


def formula_filled() -> dict[str, Tensor]:
    """A file in the published layout: the weights for which the reference figures were computed."""
    tensors = {"quantize.cluster_size": torch.zeros(8192), "quantize.embedding.initted": torch.ones(1)}
    shapes = {name: shape for name, shape in published_shapes().items() if name not in BUFFERS}
    for k, name in enumerate(sorted(shapes)):
        values = 0.05 * np.sin(0.37 * np.arange(np.prod(shapes[name])) + k)
        values += 1.0 if "norm" in name and name.endswith("weight") else 0.0
        tensors[name] = torch.from_numpy(values).float().view(shapes[name])
    i = np.arange(8192 * 64)
    codes = torch.from_numpy(np.sin(0.11 * i * (1 + 0.0001 * i % 7) + 0.5)).float().view(8192, 64)
    return tensors | {"quantize.embedding.weight": normalize(codes, dim=-1)}


def formula_input_uv() -> Tensor:
    i = np.arange(2 * 19 * 8 * 200)
    labram_unit = 0.5 * np.sin(0.013 * i) + 0.3 * np.sin(0.171 * i + 1)
    return torch.from_numpy(100.0 * labram_unit).float().view(2, 19, 1600)


def noise_uv(*shape: int) -> Tensor:
    return 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vqnsp.pth"
    torch.save({"model": formula_filled()}, path)
    return path


@pytest.fixture(scope="module")
def base(published: Path) -> VqNsp:
    tokenizer = VqNsp(VQNSP_PRESETS["base"]).eval()
    load_vqnsp(tokenizer, published)
    return tokenizer


@pytest.fixture
def tiny() -> VqNsp:
    torch.manual_seed(0)
    return VqNsp(VQNSP_PRESETS["tiny"])


@pytest.fixture(scope="module")
def golden(shared_data: Path) -> dict:
    path = shared_data / "parity" / "vqnsp_golden.json"
    if not path.is_file():
        pytest.skip("figures of the reference code not found: expected parity/vqnsp_golden.json in the shared data")
    return json.loads(path.read_text())


@torch.no_grad()
def test_reference_figures_are_reproduced(base: VqNsp):
    vectors, expected = base.encode(formula_input_uv(), TEN_TWENTY), torch.tensor(GOLDEN_VECTOR)
    assert (vectors[0, 0, :8] - expected).abs().max() < 1e-4 * expected.abs().max()
    assert base.code_indices(formula_input_uv(), TEN_TWENTY)[0, :20].tolist() == GOLDEN_INDICES


@torch.no_grad()
def test_complete_reference_record_is_reproduced(base: VqNsp, golden: dict):
    vectors = base.encode(formula_input_uv(), TEN_TWENTY)
    expected = torch.tensor(golden["encode_task_layer_out_first_tokens"])
    assert (vectors[0, :4] - expected).abs().max() < 1e-4 * expected.abs().max()
    assert vectors.double().sum().item() == pytest.approx(golden["encode_task_layer_out_sum"], rel=1e-4)
    assert base.code_indices(formula_input_uv(), TEN_TWENTY).tolist() == golden["indices"]


def test_names_and_shapes_are_the_published_ones(golden: dict):
    assert {**golden["shapes"], **golden["buffers"]} == {key: list(shape) for key, shape in published_shapes().items()}
    assert golden["parameter_names"] == sorted(key for key in published_shapes() if key not in BUFFERS)


def test_published_layout_loads_completely(published: Path):
    tokenizer = VqNsp(VQNSP_PRESETS["base"])
    report = load_vqnsp(tokenizer, published)
    assert set(report.loaded) == set(published_shapes())
    assert (report.file, report.fresh, report.dropped) == ("vqnsp.pth", (), {})
    expected = formula_filled()
    assert all(torch.equal(expected[name], value) for name, value in tokenizer.state_dict().items())


def test_every_mismatch_is_named_at_once_and_nothing_is_loaded(tmp_path: Path):
    tensors = formula_filled()
    del tensors["decoder.blocks.1.attn.q_bias"]
    tensors["encoder.head.weight"] = torch.zeros(6, 200)
    tensors["quantize.embedding.weight"] = torch.zeros(8192, 32)
    torch.save({"model": tensors}, tmp_path / "broken.pth")
    tokenizer = VqNsp(VQNSP_PRESETS["base"])
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_vqnsp(tokenizer, tmp_path / "broken.pth")
    message = str(error.value)
    assert "1 missing (decoder.blocks.1.attn.q_bias)" in message
    assert "1 unexpected (encoder.head.weight)" in message
    assert "1 misshaped (quantize.embedding.weight (8192, 32) for (8192, 64))" in message
    assert all(torch.equal(before[name], value) for name, value in tokenizer.state_dict().items())


def test_left_overs_of_the_published_training_are_dropped_with_their_reason(tmp_path: Path, tiny: VqNsp):
    tiny.quantize.embedding.initted.fill_(1.0)
    torch.save({"model": tiny.state_dict() | {"teacher.norm.weight": torch.ones(3)}}, tmp_path / "old.pth")
    dropped = load_vqnsp(VqNsp(VQNSP_PRESETS["tiny"]), tmp_path / "old.pth").dropped
    assert dropped == {"teacher.norm.weight": LEFT_OVER["teacher*"]}


def test_an_untrained_codebook_is_refused(tmp_path: Path, tiny: VqNsp):
    save_file(tiny.state_dict(), tmp_path / "untrained.safetensors")
    with pytest.raises(WeightsError, match="empty codebook"):
        load_vqnsp(VqNsp(VQNSP_PRESETS["tiny"]), tmp_path / "untrained.safetensors")


def test_own_weights_come_back_with_equal_codes(tmp_path: Path, tiny: VqNsp):
    signal_uv = noise_uv(2, 3, 800)
    tiny(signal_uv, ["Fp1", "Cz", "O2"])  # starts the codes
    save_file(tiny.state_dict(), tmp_path / "tiny.safetensors")
    again = VqNsp(VQNSP_PRESETS["tiny"])
    load_vqnsp(again, tmp_path / "tiny.safetensors")
    codes = [t.eval().code_indices(signal_uv, ["Fp1", "Cz", "O2"]) for t in (tiny, again)]
    assert codes[0].shape == (2, 12)
    assert len(codes[0].unique()) > 1
    assert torch.equal(codes[0], codes[1])


def test_spectrum_targets_agree_with_the_written_out_reference():
    n = torch.arange(600)
    # positive in the two real bins, whose phase could otherwise be pi or -pi by rounding
    signal_uv = noise_uv(2, 3, 600) + 20.0 + 20.0 * (1 - 2 * (n % 2))
    amplitude, phase = spectrum_targets(signal_uv)
    for b in range(2):
        spectra = [np.fft.fft(signal_uv[b, c, a * 200 : (a + 1) * 200].double()) for c in range(3) for a in range(3)]
        for got, values in ((amplitude[b], np.abs(spectra)), (phase[b], np.angle(spectra))):
            np.testing.assert_allclose(got, (values - values.mean()) / values.std(ddof=1), atol=1e-4)


def test_targets_of_a_flat_window_are_zero():
    assert all(torch.equal(target, torch.zeros(1, 4, 200)) for target in spectrum_targets(torch.zeros(1, 2, 400)))


def test_losses_compare_the_decoded_codes_with_the_spectrum(tiny: VqNsp):
    signal_uv, names = noise_uv(2, 3, 600), ["C3", "C4", "PZ"]
    tiny(signal_uv, names)
    tiny.eval()
    output = tiny(signal_uv, names)
    codes = tiny.quantize.embedding.weight[output.indices]
    amplitude, phase = (head.detach() for head in tiny.decode(codes, names))
    expected = [target.numpy() for target in spectrum_targets(signal_uv)]
    assert output.amplitude_loss.item() == pytest.approx(((amplitude.numpy() - expected[0]) ** 2).mean(), rel=1e-4)
    assert output.phase_loss.item() == pytest.approx(((phase.numpy() - expected[1]) ** 2).mean(), rel=1e-4)


def test_every_parameter_learns_from_the_losses(tiny: VqNsp):
    output = tiny(noise_uv(2, 3, 600), ["C3", "C4", "PZ"])
    (output.amplitude_loss + output.phase_loss + output.commitment_loss).backward()
    assert [name for name, p in tiny.named_parameters() if p.grad is None] == []
    assert tiny.encoder.patch_embed.conv1.weight.grad.abs().max() > 0  # through the quantiser
    assert not any(name.startswith("quantize.") for name, _ in tiny.named_parameters())


def test_channel_and_second_matter(tiny: VqNsp):
    signal_uv = noise_uv(1, 1, 200).expand(1, 2, 200).repeat(1, 1, 2)  # the same second four times
    vectors = tiny.encode(signal_uv, ["C3", "C4"])[0]
    assert torch.pdist(vectors).min() > 1e-3


def test_a_signal_that_does_not_fit_is_refused(tiny: VqNsp):
    with pytest.raises(ValueError, match="got 500 samples"):
        tiny(noise_uv(1, 2, 500), ["C3", "C4"])
    with pytest.raises(ValueError, match="EKG"):
        tiny(noise_uv(1, 2, 400), ["C3", "EKG"])
