import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

pytest.importorskip("braindecode", reason="extra 'baselines' is not installed")

from encoders.braindecode import (
    BIOT_DERIVATIONS,
    BiotEncoder,
    BraindecodeEncoder,
    CBraModEncoder,
    EegptEncoder,
    ReveEncoder,
)
from encoders.weights import WeightsError

COMMON = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8"]
TEN_TWENTY = [*COMMON, "T3", "T4", "T5", "T6", "Fz", "Cz", "Pz"]
NEW_NAMES = [*COMMON, "T7", "T8", "P7", "P8", "Fz", "Cz", "Pz"]
WIDTHS = {"cbramod": 200, "biot": 256, "eegpt": 2048, "reve": 512}
BY_NAME = [name for name in WIDTHS if name != "cbramod"]


@pytest.fixture(scope="module")
def positions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A position bank of our own making in the layout of REVE's."""
    path = tmp_path_factory.mktemp("reve") / "positions.json"
    angles = np.linspace(0, 6, len(NEW_NAMES))
    points = 0.09 * np.stack([np.cos(angles), np.sin(angles), angles / 10], axis=1)
    path.write_text(json.dumps(dict(zip(NEW_NAMES, points.round(4).tolist(), strict=True))))
    return str(path)


@pytest.fixture(scope="module")
def build(positions: str) -> Callable[..., BraindecodeEncoder]:
    """An encoder by name, of one layer, so that the tests are fast."""

    def build(name: str, weights: str | None = None) -> BraindecodeEncoder:
        torch.manual_seed(0)
        if name == "cbramod":
            return CBraModEncoder(weights, options={"n_layer": 1}).eval()
        if name == "biot":
            return BiotEncoder(weights, options={"num_layers": 1}).eval()
        if name == "eegpt":
            return EegptEncoder(weights, options={"depth": 1}).eval()
        return ReveEncoder(positions, weights, options={"depth": 1}).eval()

    return build


def noise_uv(*shape: int) -> Tensor:
    return 30.0 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def input_of(module: nn.Module, run: Callable[[], object]) -> tuple[Tensor, ...]:
    """What the network gets to see."""
    seen: dict[str, tuple] = {}
    hook = module.register_forward_pre_hook(lambda _, args: seen.update(args=args))
    run()
    hook.remove()
    return seen["args"]


@pytest.mark.parametrize("name", WIDTHS)
def test_window_and_names_give_one_vector_each_and_all_parameters_learn(name: str, build: Callable):
    encoder = build(name)
    assert encoder.embed_dim == WIDTHS[name]
    for seconds in (4, 10):
        assert encoder(noise_uv(2, 19, 200 * seconds), TEN_TWENTY).shape == (2, WIDTHS[name])
    encoder(noise_uv(2, 19, 800), TEN_TWENTY).square().sum().backward()
    learning = {key: p for key, p in encoder.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning.values())
    assert encoder.report is None


@torch.no_grad()
@pytest.mark.parametrize("name", WIDTHS)
def test_rows_are_independent(name: str, build: Callable):
    encoder, signal_uv = build(name), noise_uv(3, 19, 800)
    signal_uv[0] *= 10
    torch.testing.assert_close(
        encoder(signal_uv, TEN_TWENTY)[1:2], encoder(signal_uv[1:2], TEN_TWENTY), rtol=1e-4, atol=1e-5
    )


@torch.no_grad()
@pytest.mark.parametrize("name", BY_NAME)
def test_channels_are_told_by_their_names_old_or_new_in_any_order(name: str, build: Callable):
    encoder, signal_uv = build(name), noise_uv(1, 19, 800)
    expected = encoder(signal_uv, TEN_TWENTY)
    order = torch.randperm(19, generator=torch.Generator().manual_seed(1)).tolist()
    permuted = encoder(signal_uv[:, order], [NEW_NAMES[i].upper() for i in order])
    torch.testing.assert_close(permuted, expected, rtol=1e-4, atol=1e-5)
    assert (encoder(signal_uv[:, order], TEN_TWENTY) - expected).abs().max() > 1e-3 * expected.abs().max()


@torch.no_grad()
def test_cbramod_sees_tenths_of_a_millivolt_and_its_last_map_is_left_out(build: Callable):
    encoder, signal_uv = build("cbramod"), noise_uv(1, 19, 800)
    (seen,) = input_of(encoder.model, lambda: encoder(signal_uv, TEN_TWENTY))
    torch.testing.assert_close(seen, signal_uv / 100)
    patches = encoder.model.patch_embedding((signal_uv / 100).view(1, 19, 4, 200))
    torch.testing.assert_close(encoder(signal_uv, TEN_TWENTY), encoder.model.encoder(patches).mean(dim=(1, 2)))


@torch.no_grad()
def test_biot_sees_the_double_banana_by_its_own_amplitude(build: Callable):
    encoder, signal_uv = build("biot"), noise_uv(2, 19, 800)
    (seen,) = input_of(encoder.model, lambda: encoder(signal_uv, TEN_TWENTY))
    data = dict(zip((name.upper() for name in NEW_NAMES), signal_uv.numpy().transpose(1, 0, 2), strict=True))
    pairs = [name.split("-") for name in BIOT_DERIVATIONS[:16]]
    expected = np.stack([data[first] - data[second] for first, second in pairs], axis=1)
    expected = expected / (np.quantile(np.abs(expected), q=0.95, axis=-1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(seen.numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_biot_uses_the_ears_where_they_are(build: Callable):
    encoder = build("biot")
    (seen,) = input_of(encoder.model, lambda: encoder(noise_uv(1, 21, 800), [*TEN_TWENTY, "A1", "A2"]))
    assert seen.shape[1] == 18


@torch.no_grad()
def test_eegpt_sees_millivolts_against_the_average_at_256_hz(build: Callable):
    encoder = build("eegpt")
    wave = torch.stack([torch.sin(2 * math.pi * (4 + i) * torch.arange(2000) / 200) for i in range(19)])
    seen, rows = input_of(encoder.model, lambda: encoder(1000.0 * wave[None] + 7.0, TEN_TWENTY))
    fine = torch.stack([torch.sin(2 * math.pi * (4 + i) * torch.arange(2560) / 256) for i in range(19)])
    fine = fine - fine.mean(dim=0)
    assert (seen[0] - fine)[:, 100:-100].abs().max() < 0.01
    from braindecode.models.eegpt import EEGPT_CHANNELS

    assert [EEGPT_CHANNELS[row] for row in rows[0]] == [name.upper() for name in NEW_NAMES]


@torch.no_grad()
def test_reve_sees_standard_deviations_and_positions(build: Callable, positions: str):
    encoder, signal_uv = build("reve"), 50.0 + 20.0 * noise_uv(1, 19, 800)
    signal_uv[0, 0, 5] = 1e5
    seen, position = input_of(encoder.model, lambda: encoder(signal_uv, TEN_TWENTY))
    z = (signal_uv - signal_uv.mean(-1, keepdim=True)) / signal_uv.std(-1, keepdim=True, correction=0)
    torch.testing.assert_close(seen, z.clamp(-15, 15), rtol=1e-4, atol=1e-4)
    assert (z[0, 0, 5] > 20, seen[0, 0, 5]) == (True, 15)
    expected = torch.tensor([json.loads(Path(positions).read_text())[name] for name in NEW_NAMES])
    torch.testing.assert_close(position[0], expected)


def published(name: str, positions: str, build: Callable) -> dict[str, Tensor]:
    """A state dict of the whole network of braindecode, its classifier included."""
    from braindecode import models

    torch.manual_seed(1)
    if name == "cbramod":
        return models.CBraMod(n_outputs=2, n_chans=19, n_times=800, n_layer=1).state_dict()
    if name == "biot":
        return models.BIOT(n_outputs=2, n_chans=18, n_times=2000, sfreq=200, num_layers=1).state_dict()
    if name == "eegpt":
        return models.EEGPT(n_outputs=2, n_chans=19, n_times=1024, depth=1).state_dict()
    network = build("reve").model
    return network.state_dict() | {"cls_query_token": torch.zeros(1, 1, 512), "final_layer.0.weight": torch.ones(512)}


@torch.no_grad()
@pytest.mark.parametrize("name", WIDTHS)
def test_weights_load_completely_or_not_at_all(name: str, build: Callable, positions: str, tmp_path: Path):
    tensors = {key: tensor.clone() for key, tensor in published(name, positions, build).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    encoder = build(name, str(tmp_path / "model.safetensors"))
    prefix = {"biot": "encoder.", "eegpt": "target_encoder."}.get(name, "")
    own = {f"{prefix}{key}": tensor for key, tensor in encoder.model.state_dict().items()}
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in own.items())
    loaded = {f"{prefix}{key}" for key in encoder.report.loaded}
    assert loaded >= set(own)
    assert loaded | set(encoder.report.dropped) == set(tensors)
    assert any(key.startswith("final_layer") for key in encoder.report.dropped)

    missing, misshaped, *_ = sorted(own)
    del tensors[missing]
    tensors |= {misshaped: torch.zeros(3, 3, 3), "surplus.weight": torch.zeros(2)}
    save_file(tensors, tmp_path / "broken.safetensors")
    with pytest.raises(WeightsError) as error:
        build(name, str(tmp_path / "broken.safetensors"))
    message = str(error.value)
    assert f"1 missing ({missing.removeprefix(prefix)})" in message
    assert "1 unexpected (surplus.weight)" in message
    assert f"1 misshaped ({misshaped.removeprefix(prefix)} (3, 3, 3) for" in message


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [
        ((19, 800), TEN_TWENTY, r"expected \(B, C, T\) with T a multiple of 200"),
        ((1, 19, 810), TEN_TWENTY, "a multiple of 200"),
        ((1, 18, 800), TEN_TWENTY, "19 channel names"),
        ((2, 2, 800), [["C3", "C4"], ["O1"]], "the same for all rows"),
    ],
)
def test_signals_that_do_not_fit_are_refused(shape: tuple, names: list, message: str, build: Callable):
    with pytest.raises(ValueError, match=message):
        build("cbramod")(torch.zeros(shape), names)


@pytest.mark.parametrize("name", BY_NAME)
def test_channels_that_an_encoder_does_not_know_are_named(name: str, build: Callable):
    names = ["X9", *TEN_TWENTY[1:]]
    with pytest.raises(ValueError, match=r"\['FP1'\]" if name == "biot" else r"\['X9'\]"):
        build(name)(noise_uv(1, 19, 800), names)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "braindecode.models", None)
    with pytest.raises(ImportError, match="extra 'baselines'"):
        CBraModEncoder()


@pytest.mark.parametrize(
    ("class_path", "init_args"),
    [
        ("encoders.braindecode.CBraModEncoder", {"options": {"n_layer": 1}}),
        ("encoders.braindecode.BiotEncoder", {"n_channels": 16, "options": {"num_layers": 1}}),
        ("encoders.labram.SignalEncoder", {"preset": {"embed_dim": 100, "depth": 1, "num_heads": 5}, "pool": "cls"}),
    ],
)
def test_encoders_are_named_in_yaml(class_path: str, init_args: dict):
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=nn.Module)
    config = parser.parse_object({"encoder": {"class_path": class_path, "init_args": init_args}})
    encoder = parser.instantiate_classes(config).encoder
    assert encoder(noise_uv(1, 19, 400), TEN_TWENTY).shape == (1, encoder.embed_dim)
