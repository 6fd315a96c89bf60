"""Alignment: the loss against its formula, alone and among processes; precision, chunks, cache; the paper's recipe."""

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import open_clip
import pytest
import torch
import torch.multiprocessing
import yaml
from open_clip.loss import SigLipLoss
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, normalize

from corpus.dataset import Batch, CropDataset
from corpus.recording import Recording
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS, SignalEncoderPreset
from encoders.topomap import TINY_CLIP
from neuronarrator.alignment import AlignmentTask, MapOptions, StepOptions
from neuronarrator.cli import run_trainer
from neuronarrator.datamodule import BatchList
from neuronarrator.epoch_datamodule import EpochDataModule
from neuronarrator.map_cache import MapFeatureCache
from neuronarrator.metrics import retrieval
from neuronarrator.optim import OptimizerOptions, parameter_groups
from neuronarrator.warm_start import load_dual

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
}


def plain_siglip(z_signal: Tensor, z_topomap: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Algorithm 1 of arXiv:2303.15343, written out: all pairs, the mean over rows."""
    total = torch.zeros(())
    for i in range(len(z_signal)):
        for j in range(len(z_topomap)):
            logit = scale * (z_signal[i] * z_topomap[j]).sum() + bias
            total = total - logsigmoid(logit if i == j else -logit)
    return total / len(z_signal)


def random_pairs(n_pairs: int = 8, width: int = 5) -> list[Tensor]:
    """Unit vectors of both kinds, a scale and a bias, all leaves."""
    generator = torch.manual_seed(0)
    z = [normalize(torch.randn(n_pairs, width, generator=generator), dim=-1).requires_grad_() for _ in range(2)]
    return [*z, torch.tensor(7.0, requires_grad=True), torch.tensor(-1.5, requires_grad=True)]


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, leaves))


def small_batch(simulated: Recording, n_segments: int = 6, n_chans: int = 19, n_seconds: int = 2) -> Batch:
    """Short segments, so that a step costs little."""
    batch = CropDataset([simulated], n_segments, 1, narrate=False, history_k=0)[0]
    batch.signal_uv = batch.signal_uv[:, :n_chans, : 200 * n_seconds].contiguous()
    batch.ch_names = batch.ch_names[:n_chans]
    return batch


def small_task(**options: Any) -> AlignmentTask:
    torch.manual_seed(0)
    return AlignmentTask(**{"width": 16, "batch_size": 6} | options)


def fit(task: AlignmentTask, batches: list[Batch], **options: Any) -> L.Trainer:
    loader = torch.utils.data.DataLoader(BatchList(batches), batch_size=None)
    trainer = L.Trainer(**QUIET | {"max_epochs": 1} | options)
    trainer.fit(task, loader)
    return trainer


def test_open_clip_computes_the_formula_of_the_paper() -> None:
    leaves = random_pairs()
    expected, found = plain_siglip(*leaves), SigLipLoss()(*leaves)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(gradients(expected, leaves), gradients(found, leaves), strict=True):
        torch.testing.assert_close(ours, theirs)


def exchange(rank: int, port: int, folder: str) -> None:
    """One of two processes: its half of the pairs, the loss with the other's topomaps, and all gradients."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    task = small_task()
    task.loss = SigLipLoss(rank=rank, world_size=2)
    z_signal, z_topomap, scale, bias = random_pairs()
    task.logit_scale.data, task.logit_bias.data = scale.detach().log(), bias.detach()
    half = slice(4 * rank, 4 * rank + 4)
    loss = task.siglip_loss(z_signal[half], z_topomap[half])
    leaves = [z_signal, z_topomap, task.logit_scale, task.logit_bias]
    torch.save([loss.detach(), *gradients(loss, leaves)], f"{folder}/{rank}.pt")
    uneven = small_batch_without_recording(5 - 2 * rank)
    assert len(task._level(uneven)) == 3
    leave()


def leave() -> None:
    """Ends the exchange together: gloo's threads, left to the interpreter's end, may abort it."""
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def small_batch_without_recording(n_segments: int) -> Batch:
    empty = torch.zeros(n_segments, 0)
    return Batch(torch.zeros(n_segments, 2, 200), empty, empty, empty, ("C3", "C4"), [], [])


def run_two(function: Callable[..., None], *arguments: object) -> None:
    """Two processes, started from nothing: a fork of a process with threads may hang."""
    torch.multiprocessing.start_processes(function, arguments, nprocs=2, start_method="spawn")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_have_the_loss_and_gradients_of_the_joint_batch(tmp_path: Path) -> None:
    run_two(exchange, free_port(), str(tmp_path))
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    loss, *mean_gradients = ((one + other) / 2 for one, other in zip(*ranks, strict=True))  # DDP averages
    leaves = random_pairs()
    expected = plain_siglip(*leaves)
    torch.testing.assert_close(loss, expected.detach())
    expected_gradients = gradients(expected, leaves)
    expected_gradients[2] = expected_gradients[2] * leaves[2].detach()  # of the logarithm of the scale
    for found, wanted in zip(mean_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, wanted)


class FourCrops(EpochDataModule):
    """Four batches to train on, and three of two segments to find again."""

    def __init__(self, recording: Recording, num_workers: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters("num_workers")
        self.train_batches = CropDataset([recording], 4, 4, narrate=False, history_k=0)
        self.val_batches = BatchList(small_batch(recording, 6).rows([i, i + 1]) for i in (0, 2, 4))


def train_one_of_two(rank: int, port: int, folder: str, simulated: Recording) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(rank), "LOCAL_RANK": "0"}
    task, galleries = small_task(), []
    ranks = retrieval.retrieval_ranks
    retrieval.retrieval_ranks = lambda z, gallery: (galleries.append(len(gallery)), ranks(z, gallery))[1]
    options = {"max_epochs": 1, "max_steps": 2, "num_sanity_val_steps": 0}
    trainer = L.Trainer(**QUIET, **options, strategy="ddp", devices=1, num_nodes=2)
    trainer.fit(task, datamodule=FourCrops(simulated))
    assert (task.loss.world_size, task.loss.rank) == (2, rank)
    items = [int(item) for item in trainer.train_dataloader.sampler]
    torch.save((task.state_dict(), items, galleries), f"{folder}/{rank}.pt")
    leave()


def test_ddp_deals_out_crops_and_keeps_weights_equal(tmp_path: Path, simulated: Recording) -> None:
    run_two(train_one_of_two, free_port(), str(tmp_path), simulated)
    (one, items, galleries), (other, other_items, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert sorted(items + other_items) == [0, 1, 2, 3]
    assert galleries == [6, 6]  # in both directions: no pair of validation is repeated
    start = small_task().state_dict()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=0, rtol=0)
    assert any(not torch.equal(value, start[name]) for name, value in one.items())


def test_chunks_change_neither_loss_nor_gradient(simulated: Recording) -> None:
    batch = small_batch(simulated)
    results = []
    for chunk_size in (0, 4):
        task = small_task(step=StepOptions(chunk_size=chunk_size))
        sizes: list[int] = []
        task.dual.encoders["signal"].register_forward_pre_hook(lambda _, args, sizes=sizes: sizes.append(len(args[0])))
        loss = task.siglip_loss(*task.encode(batch))
        loss.backward()
        results.append((loss.detach(), {name: p.grad for name, p in task.named_parameters() if p.requires_grad}))
        assert sizes == ([4, 2, 2, 4] if chunk_size else [6])  # forward, then again from the last chunk to the first
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def kept_bytes(task: AlignmentTask, batch: Batch) -> int:
    """Activations that wait for the backward pass, weights aside."""
    weights, kept = {p.data_ptr() for p in task.parameters()}, {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        task.siglip_loss(*task.encode(batch))
    return sum(kept.values())


def test_chunks_keep_no_activations_of_the_encoder(simulated: Recording) -> None:
    batch = small_batch(simulated, n_segments=8)
    assert kept_bytes(small_task(), batch) > 20 * batch.signal_uv.nbytes
    assert kept_bytes(small_task(step=StepOptions(chunk_size=2)), batch) < 1.1 * batch.signal_uv.nbytes  # and vectors


def test_bf16_leaves_loss_scale_and_bias_in_float32(simulated: Recording) -> None:
    batch, task = small_batch(simulated), small_task()
    exact = task.siglip_loss(*task.encode(batch)).item()
    with torch.autocast("cpu", torch.bfloat16):
        z = task.encode(batch)
        loss = task.siglip_loss(*z)
        assert task.dual.projectors["signal"](torch.zeros(1, 100)).dtype == torch.bfloat16  # autocast is at work
    assert {part.dtype for part in (*z, loss, task.logit_scale, task.logit_bias)} == {torch.float32}
    torch.testing.assert_close(loss, plain_siglip(*z, task.logit_scale.exp(), task.logit_bias))
    assert loss.item() == pytest.approx(exact, rel=0.02)
    before = task.logit_bias.item()
    fit(task, [batch] * 2, precision="bf16-mixed")
    assert task.logit_scale.dtype == torch.float32
    assert task.logit_bias.item() != before


def test_whitened_maps_are_the_same_in_bf16(simulated: Recording) -> None:
    batch, task = small_batch(simulated), small_task()
    potential = torch.from_numpy(simulated.signal_uv[:, ::47].T.copy())
    task.dual.whitening.fit(task.dual.topomap_features(potential, simulated.ch_names))
    exact = task.encode(batch)[1]
    with torch.autocast("cpu", torch.bfloat16):
        assert (task.encode(batch)[1] * exact).sum(1).min() > 0.999
    assert task.bfloat16().dual.encode_topomap(batch.signal_uv, batch.ch_names).dtype == torch.bfloat16


def test_scale_and_bias_have_no_weight_decay() -> None:
    task = small_task()
    decayed, free = parameter_groups(task, 0.05)
    assert all(p is not task.logit_scale and p is not task.logit_bias for p in decayed["params"])
    assert sum(p is task.logit_scale or p is task.logit_bias for p in free["params"]) == 2
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.05, 0.0)


def test_bias_starts_where_a_random_model_is_indifferent() -> None:
    assert AlignmentTask(width=8, batch_size=64).logit_bias.item() == pytest.approx(-4.143, abs=1e-3)


def test_alignment_learns_to_match(simulated: Recording, tmp_path: Path) -> None:
    """Eight fixed pairs: the loss of a model that learns them falls below that of one that cannot tell them apart."""
    torch.manual_seed(0)
    task = AlignmentTask(width=32, batch_size=8)
    potential = torch.from_numpy(simulated.signal_uv[:, ::47].T.copy())
    task.dual.whitening.fit(task.dual.topomap_features(potential, simulated.ch_names))
    batch = small_batch(simulated, 8)
    task.dual.map_cache = MapFeatureCache(tmp_path, "tower", 128)  # the frozen tower needs to see them once
    optimizer = torch.optim.AdamW(parameter_groups(task, 0.0), lr=2e-3)
    indifferent = task.loss(*(torch.eye(8)[:1].expand(8, -1),) * 2, torch.tensor(0.0), task.logit_bias).item()
    for _ in range(40):
        loss = task.siglip_loss(*task.encode(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.7 * indifferent


def test_a_step_trains_all_but_the_tower(simulated: Recording) -> None:
    task = small_task(optimizer=OptimizerOptions(warmup_steps=1))
    before = {name: value.clone() for name, value in task.state_dict().items()}
    fit(task, [small_batch(simulated)])
    same = {name for name, value in task.state_dict().items() if torch.equal(value, before[name])}
    assert {name for name in same if "whitening" not in name} >= {
        n for n in before if n.startswith("dual.encoders.topo")
    }
    changed = set(before) - same
    assert {"logit_scale", "logit_bias", "dual.projectors.topomap.fc1.weight"} <= changed
    assert any(name.startswith("dual.encoders.signal.blocks") for name in changed)


def test_accumulation_says_that_it_adds_no_negatives(simulated: Recording, caplog: pytest.LogCaptureFixture) -> None:
    batch = small_batch(simulated, n_segments=2)
    with caplog.at_level(logging.INFO):
        fit(small_task(), [batch])
        assert "negatives" not in caplog.text
        fit(small_task(), [batch] * 2, accumulate_grad_batches=2)
    assert "Gradients of 2 batches are averaged" in caplog.text
    assert "adds no negatives" in caplog.text


def test_compiled_blocks_compute_the_same(simulated: Recording) -> None:
    batch, plain = small_batch(simulated), small_task()
    task = small_task(step=StepOptions(compile_backend="eager"))
    task.setup("fit")
    torch.testing.assert_close(task.encode(batch), plain.encode(batch))
    assert task.state_dict().keys() == plain.state_dict().keys()
    compiled = [module for module in task.modules() if module._compiled_call_impl is not None]
    assert len(compiled) == 4 + 4  # blocks of the signal encoder and of the tower


def test_maps_are_looked_up_from_the_second_epoch_on(simulated: Recording, tmp_path: Path) -> None:
    batch, maps = small_batch(simulated), MapOptions(cache=str(tmp_path))
    seen: list[int] = []

    def watched(task: AlignmentTask) -> AlignmentTask:
        task.dual.encoders["topomap"].register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
        return task

    fit(watched(small_task(maps=maps)), [batch], max_epochs=3)
    assert seen == [6]
    task = watched(small_task(maps=maps))
    trainer = fit(task, [batch])
    assert seen == [6]  # another run finds them too
    plain = small_task()
    plain.load_state_dict(task.state_dict())
    torch.testing.assert_close(task.encode(batch), plain.encode(batch), atol=0, rtol=0)
    trainer.save_checkpoint(tmp_path / "task.ckpt")
    assert load_dual(tmp_path / "task.ckpt").keys() == task.dual.state_dict().keys()
    fit(watched(small_task(maps=MapOptions(cache=str(tmp_path), limit_uv=50.0))), [batch])
    assert seen == [6, 6]  # other pictures


def test_cache_survives_a_killed_writer_and_knows_layouts(tmp_path: Path) -> None:
    asked: list[int] = []

    def compute(potential: Tensor) -> Tensor:
        asked.append(len(potential))
        return potential * torch.tensor([2.0, 3.0])

    maps = torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    first = MapFeatureCache(tmp_path, "tower", 2)
    torch.testing.assert_close(first(maps, ("C3", "C4"), compute), maps * torch.tensor([2.0, 3.0]))
    assert asked == [2]  # one of the three twice
    for path in tmp_path.iterdir():
        with path.open("ab") as file:
            file.write(b"half an entry"[: 5 if path.suffix == ".f32" else 13])
    again = MapFeatureCache(tmp_path, "tower", 2)
    assert len(again) == 2
    again(torch.tensor([[5.0, 6.0], [3.0, 4.0]]), ("C3", "C4"), compute)
    other_rank = MapFeatureCache(tmp_path, "tower", 2, rank=1)
    assert len(other_rank) == 3
    torch.testing.assert_close(other_rank(maps, ("C3", "C4"), compute), maps * torch.tensor([2.0, 3.0]))
    assert asked == [2, 1]
    other_rank(maps[:1], ("C4", "C3"), compute)
    assert asked == [2, 1, 1]
    assert len(MapFeatureCache(tmp_path, "another tower", 2)) == 0


class MeanSignal(nn.Module):
    """A signal encoder of somebody else: µV and electrode names in, (B, embed_dim) out."""

    def __init__(self, n_values: int = 5) -> None:
        super().__init__()
        self.embed_dim = n_values
        self.scale = nn.Parameter(torch.ones(n_values))

    def forward(self, signal_uv: Tensor, ch_names: tuple[str, ...]) -> Tensor:
        assert len(ch_names) == signal_uv.shape[1]
        return signal_uv.mean(dim=(1, 2))[:, None] * self.scale


def test_another_encoder_comes_by_class_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.projector.MeanSignal", MeanSignal, raising=False)
    config = quick_config("tiny", tmp_path)
    encoder = {"class_path": "encoders.projector.MeanSignal", "init_args": {"n_values": 7}}
    config["model"]["init_args"] = {"encoder": encoder, "width": 8, "batch_size": 8, "maps": {"tower": "tiny"}}
    task = run_config(config, tmp_path).model
    assert isinstance(task.dual.encoders["signal"], MeanSignal)
    assert task.dual.projectors["signal"].fc1.in_features == 7
    with pytest.raises(ValueError, match="they belong to LaBraM"):
        AlignmentTask(MeanSignal(), maps=MapOptions(tower="tiny"), short_steps=3)
    with pytest.raises(ValueError, match="two seconds do not show what a map of ten shows"):
        AlignmentTask(maps=MapOptions(potential="rms"), short_steps=3)
    with pytest.raises(ValueError, match="got potential='max', expected one of median"):
        MapOptions(potential="max")


def test_maps_of_other_potentials(simulated: Recording) -> None:
    batch = small_batch(simulated)
    z = [small_task(maps=MapOptions(potential=kind)).encode(batch) for kind in ("median", "rms", "alpha_power")]
    torch.testing.assert_close(z[0][0], z[1][0])  # the signals are the same, their maps are not
    assert all((z[0][1] - other[1]).abs().max() > 1e-3 for other in z[1:])


def quick_config(name: str, folder: Path) -> dict[str, Any]:
    """A committed recipe on two simulated recordings, two batches, one CPU."""
    config = yaml.safe_load((EXPERIMENTS / "align" / f"{name}.yaml").read_text())
    tiny = {"sources": [], "simulated": 2, "batch_size": 4, "batches_per_epoch": 2, "history_k": 0}
    config["data"] = {"class_path": "neuronarrator.datamodule.CropDataModule", "init_args": tiny}
    config["trainer"] |= {"max_epochs": 1, "logger": False, "callbacks": [], "enable_progress_bar": False}
    config["trainer"] |= {"accelerator": "cpu", "devices": 1, "strategy": "auto", "default_root_dir": str(folder)}
    config["trainer"] |= {"enable_model_summary": False, "enable_checkpointing": False}
    return config


def run_config(config: dict[str, Any], folder: Path) -> Any:
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return run_trainer(["fit", "--config", str(folder / "config.yaml")])


def test_the_recipe_of_the_paper_builds_and_takes_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both encoders two blocks deep and weights that were made here, in the layout of the published files."""
    base, vit_l = SIGNAL_ENCODER_PRESETS["base"], open_clip.get_model_config("ViT-L-14-quickgelu")
    shallow = SignalEncoderPreset(**{**vars(base), "depth": 2})
    monkeypatch.setitem(SIGNAL_ENCODER_PRESETS, "base", shallow)
    vit_l["vision_cfg"] |= {"layers": 2, "patch_size": 32, "width": 128, "head_width": 32}
    monkeypatch.setattr("open_clip.get_model_config", lambda name: vit_l if name == "ViT-L-14-quickgelu" else None)
    torch.manual_seed(1)
    signal = SignalEncoder(shallow)
    student = {f"student.{k}": v for k, v in signal.state_dict().items() if not k.startswith("fc_norm")}
    torch.save({"model": student}, tmp_path / "labram.pth")
    known = {key: vit_l[key] for key in ("embed_dim", "vision_cfg", "quick_gelu")}
    torch.save(open_clip.CLIP(**known, text_cfg=TINY_CLIP["text_cfg"]).state_dict(), tmp_path / "clip.pt")

    config = quick_config("base", tmp_path)
    recipe, trainer = config["model"]["init_args"], config["trainer"]
    assert (recipe["encoder"], recipe["width"], recipe["batch_size"]) == ("base", 2560, 32 * 4)
    assert (trainer["accumulate_grad_batches"], trainer["precision"]) == (4, "bf16-mixed")
    recipe["weights"] = {"signal": str(tmp_path / "labram.pth"), "topomap": str(tmp_path / "clip.pt")}
    recipe["step"]["compile_backend"] = None
    recipe["maps"]["cache"] = str(tmp_path / "maps")
    recipe["optimizer"]["warmup_steps"] = 1
    task = run_config(config, tmp_path).model
    assert task.global_step == 1  # two batches are fewer than the four of an accumulation
    for name, value in task.dual.encoders["signal"].state_dict().items():
        torch.testing.assert_close(value, signal.state_dict()[name], atol=1e-3, rtol=0)  # a step of 1e-4 from the file
    assert type(task.dual.encoders["topomap"].blocks[0].mlp.gelu).__name__ == "QuickGELU"
    assert len(task.dual.encoders["topomap"].blocks) == 2


def test_the_mean_of_checkpoints_is_weighted_and_of_one_model(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.ckpt", "b.ckpt", "c.ckpt")]
    states = [{"dual.weight": torch.tensor([4.0, 8.0]), "dual.steps": torch.tensor(3), "logit_scale": torch.ones(1)}]
    states += [{**states[0], "dual.weight": torch.tensor([0.0, 4.0])}, {"dual.weight": torch.zeros(3)}]
    for path, state in zip(paths, states, strict=True):
        torch.save({"state_dict": state}, path)
    mean = load_dual({paths[0]: 0.25, paths[1]: 0.75})
    assert mean["weight"].tolist() == [1.0, 5.0]
    assert mean["steps"] == 3
    assert len(mean) == 2
    with pytest.raises(ValueError, match="expected a sum of 1"):
        load_dual({paths[0]: 0.5, paths[1]: 0.6})
    with pytest.raises(ValueError, match="different models"):
        load_dual({paths[0]: 0.5, paths[2]: 0.5})
