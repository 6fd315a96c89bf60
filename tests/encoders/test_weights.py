import argparse
import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from encoders.labram import SignalEncoder
from encoders.presets import BASE, TINY
from encoders.weights import DROPPED_ON_PURPOSE, WeightsError, load_labram


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of `labram-base.pth`, written out from the paper's sizes and not from our encoder."""
    shapes = {"cls_token": (1, 1, 200), "mask_token": (1, 1, 200)}
    shapes |= {"pos_embed": (1, 129, 200), "time_embed": (1, 16, 200)}
    shapes |= {"patch_embed.conv1.weight": (8, 1, 1, 15), "patch_embed.conv1.bias": (8,)}
    for i in (2, 3):
        shapes |= {f"patch_embed.conv{i}.weight": (8, 8, 1, 3), f"patch_embed.conv{i}.bias": (8,)}
    for i in (1, 2, 3):
        shapes |= {f"patch_embed.norm{i}.{part}": (8,) for part in ("weight", "bias")}
    for i in range(12):
        block = {f"{name}.{part}": (200,) for name in ("norm1", "norm2") for part in ("weight", "bias")}
        block |= {f"attn.{name}.{part}": (20,) for name in ("q_norm", "k_norm") for part in ("weight", "bias")}
        block |= {"gamma_1": (200,), "gamma_2": (200,), "attn.qkv.weight": (600, 200)}
        block |= {"attn.proj.weight": (200, 200), "attn.proj.bias": (200,)}
        block |= {"mlp.fc1.weight": (800, 200), "mlp.fc1.bias": (800,)}
        block |= {"mlp.fc2.weight": (200, 800), "mlp.fc2.bias": (200,)}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    shapes |= {"norm.weight": (200,), "norm.bias": (200,), "lm_head.weight": (8192, 200), "lm_head.bias": (8192,)}
    student = {f"student.{name}": shape for name, shape in shapes.items()}
    outside = {"lm_head.weight": (8192, 200), "lm_head.bias": (8192,)}
    return student | outside | {"projection_head.0.weight": (200, 200), "projection_head.0.bias": (200,)}


def checkpoint() -> dict[str, Tensor]:
    """Tensors in the published layout, each filled with its own number."""
    return {key: torch.full(shape, float(k)) for k, (key, shape) in enumerate(published_shapes().items())}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As LaBraM saves it: the command line and the optimiser lie beside the weights."""
    path = tmp_path_factory.mktemp("weights") / "labram-base.pth"
    torch.save({"model": checkpoint(), "optimizer": {}, "epoch": 49, "args": argparse.Namespace(lr=5e-4)}, path)
    return path


def test_published_layout_loads_completely(published: Path):
    encoder = SignalEncoder(BASE)
    report = load_labram(encoder, published)
    expected = checkpoint()
    assert set(report.loaded) == set(encoder.state_dict()) - {"fc_norm.weight", "fc_norm.bias"}
    assert all(torch.equal(encoder.state_dict()[name], expected[f"student.{name}"]) for name in report.loaded)
    assert report.fresh == ("fc_norm.weight", "fc_norm.bias")
    assert torch.equal(encoder.fc_norm.weight, torch.ones(200))
    assert {f"student.{name}" for name in report.loaded} | set(report.dropped) == set(expected)
    assert (report.file, report.sha256) == (published.name, hashlib.sha256(published.read_bytes()).hexdigest())


def test_what_is_dropped_is_stated_with_its_reason(published: Path):
    dropped = load_labram(SignalEncoder(BASE), published).dropped
    student = {"mask_token": "mask_token", "lm_head.bias": "lm_head.*", "norm.weight": "norm.*"}
    for name, pattern in student.items():
        assert dropped[f"student.{name}"] == DROPPED_ON_PURPOSE[pattern]
    assert "outside" in dropped["projection_head.0.weight"]
    assert "outside" in dropped["lm_head.weight"]


def test_pretrained_final_norm_is_copied(published: Path):
    encoder = SignalEncoder(BASE)
    report = load_labram(encoder, published, final_norm="pretrained")
    assert torch.equal(encoder.fc_norm.weight, checkpoint()["student.norm.weight"])
    assert torch.equal(encoder.fc_norm.bias, checkpoint()["student.norm.bias"])
    assert report.fresh == ()
    assert set(report.loaded) == set(encoder.state_dict())
    assert not any(key.startswith("student.norm.") for key in report.dropped)


def test_weights_under_module_are_found(tmp_path: Path):
    torch.save({"module": checkpoint()}, tmp_path / "labram.pth")
    assert len(load_labram(SignalEncoder(BASE), tmp_path / "labram.pth").loaded) == 219


def test_weights_at_the_top_are_found(tmp_path: Path):
    torch.save(checkpoint(), tmp_path / "labram.pth")
    assert len(load_labram(SignalEncoder(BASE), tmp_path / "labram.pth").loaded) == 219


def test_files_of_braindecode_load_and_give_its_vectors(tmp_path: Path):
    labram = pytest.importorskip("braindecode.models", reason="extra 'baselines' is not installed").Labram
    torch.manual_seed(0)
    theirs = labram(n_times=3000, n_outputs=2, n_chans=2, use_mean_pooling=True, num_layers=12).eval()
    torch.nn.init.normal_(theirs.fc_norm.bias)
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    encoder = SignalEncoder(BASE).eval()
    report = load_labram(encoder, tmp_path / "model.safetensors")
    assert set(report.loaded) == set(encoder.state_dict())
    assert set(report.dropped) == {"final_layer.weight", "final_layer.bias"}
    signal_uv = 30.0 * torch.randn(1, 2, 3000)
    with torch.no_grad():
        expected = theirs.forward_features(signal_uv / 100.0, torch.tensor([0, 40, 44]))
        assert (encoder(signal_uv, ["C3", "C4"]) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_own_weights_in_safetensors_come_back_whole(tmp_path: Path):
    torch.manual_seed(0)
    trained, encoder = SignalEncoder(TINY), SignalEncoder(TINY)
    torch.nn.init.normal_(trained.fc_norm.weight)
    save_file(trained.state_dict(), tmp_path / "tiny.safetensors")
    for final_norm in ("fresh", "pretrained"):
        report = load_labram(encoder, tmp_path / "tiny.safetensors", final_norm=final_norm)
        assert (report.fresh, report.dropped) == ((), {})
        assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), encoder.parameters(), strict=True))


def test_every_mismatch_is_named_at_once_and_nothing_is_loaded(tmp_path: Path):
    tensors = checkpoint()
    del tensors["student.blocks.3.gamma_1"]
    tensors["student.head.weight"] = torch.zeros(6, 200)
    tensors["student.time_embed"] = torch.zeros(1, 8, 200)
    torch.save({"model": tensors}, tmp_path / "broken.pth")
    encoder = SignalEncoder(BASE)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_labram(encoder, tmp_path / "broken.pth")
    message = str(error.value)
    assert "1 missing (blocks.3.gamma_1)" in message
    assert "1 unexpected (head.weight)" in message
    assert "1 misshaped (time_embed (1, 8, 200) for (1, 16, 200))" in message
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_missing_final_norm_is_an_error_when_it_was_asked_for(tmp_path: Path):
    tensors = {key: tensor for key, tensor in checkpoint().items() if not key.startswith("student.norm.")}
    torch.save({"model": tensors}, tmp_path / "no_norm.pth")
    with pytest.raises(WeightsError, match=r"2 missing \(fc_norm\.weight, fc_norm\.bias\)"):
        load_labram(SignalEncoder(BASE), tmp_path / "no_norm.pth", final_norm="pretrained")


def test_another_size_is_refused(published: Path):
    with pytest.raises(WeightsError, match=r"misshaped \(.*cls_token \(1, 1, 200\) for \(1, 1, 100\)"):
        load_labram(SignalEncoder(TINY), published)


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.write_text, (Path("must_not_exist.txt"), "executed"))


def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": checkpoint(), "args": Payload()}, tmp_path / "payload.pth")
    with pytest.raises(WeightsError, match=r"payload\.pth"):
        load_labram(SignalEncoder(BASE), tmp_path / "payload.pth")
    assert not (tmp_path / "must_not_exist.txt").exists()


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors"])
def test_files_that_are_no_weights_are_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(b"these are not weights")
    with pytest.raises(WeightsError, match=f"got {name}.*does not read as weights"):
        load_labram(SignalEncoder(TINY), tmp_path / name)


def test_weights_in_an_unknown_place_are_refused(tmp_path: Path):
    torch.save({"weights": {}, "epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"\['epoch', 'weights'\].*under 'model' or 'module'"):
        load_labram(SignalEncoder(TINY), tmp_path / "other.pth")


def test_unknown_final_norm_is_refused(published: Path):
    with pytest.raises(ValueError, match="final_norm='frozen'"):
        load_labram(SignalEncoder(TINY), published, final_norm="frozen")
