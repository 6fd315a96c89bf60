"""Tokenizer and masked pretraining, through the command line and step by step, on simulated recordings only."""

from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from corpus.dataset import Batch, CropDataset
from corpus.recording import Recording
from encoders.labram import SignalEncoder
from encoders.presets import TINY
from encoders.vqnsp import VQNSP_PRESETS, VqNsp, load_vqnsp
from encoders.weights import WeightsError, load_labram
from neuronarrator.cli import run_trainer
from neuronarrator.optim import OptimizerOptions, parameter_groups
from neuronarrator.pretraining import CodeUsage, MaskedPretrainingTask, TokenizerTask, crop_to_tokens

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # steps without a trainer

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "pretrain"
QUICK_DATA = {"sources": [], "simulated": 2, "batch_size": 4, "batches_per_epoch": 2, "num_workers": 0}


def write_quick(name: str, folder: Path, **init_args: object) -> Path:
    """A committed configuration, cut down to two steps on two simulated recordings."""
    config = yaml.safe_load((EXPERIMENTS / name).read_text())
    config["data"]["init_args"] |= QUICK_DATA
    config["model"]["init_args"] |= {"max_tokens": 32, **init_args}
    config["model"]["init_args"]["optimizer"]["warmup_steps"] = 1
    if "free_steps" in config["model"]["init_args"]:
        config["model"]["init_args"]["free_steps"] = 1
    config["trainer"] |= {"max_epochs": 1, "logger": False, "enable_progress_bar": False}
    config["trainer"] |= {"enable_model_summary": False, "default_root_dir": str(folder)}
    path = folder / name
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def crops(simulated: Recording) -> Batch:
    """Eight crops, four seconds of the first eight channels of each."""
    batch = CropDataset([simulated], 8, 1, history_k=0, narrate=False)[0]
    batch.signal_uv, batch.ch_names = batch.signal_uv[:, :8, :800], batch.ch_names[:8]
    return batch


@pytest.fixture
def codes_file(tmp_path: Path, crops: Batch) -> Path:
    """A tokenizer whose codes have their start, and no more."""
    torch.manual_seed(0)
    tokenizer = VqNsp(VQNSP_PRESETS["tiny"])
    tokenizer(crops.signal_uv, crops.ch_names)
    torch.save({"model": tokenizer.state_dict()}, tmp_path / "vqnsp.pth")
    return tmp_path / "vqnsp.pth"


def train(task: L.LightningModule, batch: Batch, steps: int, learning_rate: float) -> list[float]:
    optimizer = torch.optim.AdamW(parameter_groups(task, 0.0), lr=learning_rate)
    losses = []
    for step in range(steps):
        loss = task.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_both_steps_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    codes, encoder = tmp_path / "runs" / "vqnsp.pth", tmp_path / "runs" / "labram.pth"
    run_trainer(["fit", "--config", str(write_quick("tokenizer_tiny.yaml", tmp_path, save_to=str(codes)))])
    tokenizer = VqNsp(VQNSP_PRESETS["tiny"])
    load_vqnsp(tokenizer, codes)
    path = write_quick("masked_tiny.yaml", tmp_path, tokenizer_weights=str(codes), save_to=str(encoder))
    cli = run_trainer(["fit", "--config", str(path)])
    for name, value in cli.model.tokenizer.state_dict().items():
        assert torch.equal(value, tokenizer.state_dict()[name]), name  # frozen, codes and their counts too
    report = load_labram(SignalEncoder(TINY), encoder, final_norm="pretrained")
    assert report.fresh == ()


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_experiments_build_their_task(size: str) -> None:
    config = yaml.safe_load((EXPERIMENTS / f"tokenizer_{size}.yaml").read_text())
    masked = yaml.safe_load((EXPERIMENTS / f"masked_{size}.yaml").read_text())
    init_args = config["model"]["init_args"]
    task = TokenizerTask(**init_args | {"optimizer": OptimizerOptions(**init_args["optimizer"])})
    assert task.tokenizer.preset == VQNSP_PRESETS[size]
    assert masked["model"]["init_args"]["tokenizer_weights"] == config["model"]["init_args"]["save_to"]


def test_tokenizer_learns_a_batch(crops: Batch) -> None:
    torch.manual_seed(0)
    task = TokenizerTask(save_to="unused.pth")
    losses = train(task, crops, 20, 3e-3)
    assert losses[0] == pytest.approx(2.0, abs=0.1)  # of targets with variance 1, predicted as zero
    assert losses[-1] < 0.85 * losses[0]


def test_codes_start_after_the_free_steps(crops: Batch) -> None:
    torch.manual_seed(0)
    task = TokenizerTask(save_to="unused.pth", free_steps=1)
    torch.manual_seed(1)
    loss = task.training_step(crops, 0)
    torch.manual_seed(1)
    signal_uv = crop_to_tokens(crops.signal_uv, 256)
    vectors = task.tokenizer.encode(signal_uv, crops.ch_names)
    unit = vectors / vectors.square().sum(-1, keepdim=True).sqrt()
    expected = sum(task.tokenizer.spectrum_losses(unit, signal_uv, crops.ch_names))
    torch.testing.assert_close(loss, expected)
    assert task.tokenizer.quantize.embedding.initted == 0
    task = TokenizerTask(save_to="unused.pth")
    task.training_step(crops, 0)
    assert task.tokenizer.quantize.embedding.initted == 1


def test_masked_encoder_learns_a_batch(crops: Batch, codes_file: Path) -> None:
    torch.manual_seed(0)
    task = MaskedPretrainingTask(str(codes_file), "unused.pth")
    losses = train(task, crops, 15, 3e-3)
    assert losses[0] == pytest.approx(2 * torch.log(torch.tensor(512.0)).item(), rel=0.05)  # two guesses among all
    assert losses[-1] < 0.9 * losses[0]


def test_both_tasks_take_a_step_under_bfloat16_autocast(crops: Batch, codes_file: Path) -> None:
    for task in (TokenizerTask("unused.pth"), MaskedPretrainingTask(str(codes_file), "unused.pth")):
        with torch.autocast("cpu", torch.bfloat16):
            loss = task.training_step(crops, 0)
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite()


def test_masked_loss_is_that_of_two_published_passes(crops: Batch, codes_file: Path) -> None:
    task = MaskedPretrainingTask(str(codes_file), "unused.pth").eval()
    with torch.no_grad():
        torch.manual_seed(1)
        loss = task.training_step(crops, 0).item()
        torch.manual_seed(1)
        masked = torch.rand(8, 32).argsort(1) < 16
        codes = task.tokenizer.code_indices(crops.signal_uv, crops.ch_names)
        logits = task.model(crops.signal_uv, crops.ch_names, masked).log_softmax(-1)
    named = logits.gather(2, codes.unsqueeze(-1)).squeeze(-1)
    assert loss == pytest.approx(-(named[masked].mean() + named[~masked].mean()).item(), rel=1e-5)


def test_the_tokenizer_of_masked_pretraining_stays_frozen(codes_file: Path) -> None:
    task = MaskedPretrainingTask(str(codes_file), "unused.pth").train()
    assert task.model.training
    assert not any(module.training for module in task.tokenizer.modules())
    assert not any(p.requires_grad for p in task.tokenizer.parameters())


def test_positions_have_no_weight_decay_and_betas_are_the_published_ones(codes_file: Path) -> None:
    for task, betas in (
        (TokenizerTask("unused.pth"), (0.9, 0.99)),
        (MaskedPretrainingTask(str(codes_file), "unused.pth"), (0.9, 0.98)),
    ):
        task.trainer = L.Trainer(max_steps=10, logger=False, enable_checkpointing=False, accelerator="cpu")
        optimizer = task.configure_optimizers()["optimizer"]
        decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        named = {name: p for name, p in task.named_parameters() if p.requires_grad}
        assert set(decay) == {id(p) for p in named.values()}
        for name, p in named.items():
            free = p.ndim < 2 or name.endswith(("cls_token", "pos_embed", "time_embed"))
            assert (decay[id(p)] == 0.0) == free, name
        assert all(group["betas"] == betas for group in optimizer.param_groups)


def test_crops_hold_at_most_so_many_tokens() -> None:
    signal_uv = torch.arange(2000.0).expand(2, 64, 2000)
    assert crop_to_tokens(signal_uv, 256).shape == (2, 64, 800)
    assert torch.equal(crop_to_tokens(signal_uv, 256, 3), signal_uv[..., 600:1400])
    assert torch.equal(crop_to_tokens(signal_uv[:, :19], 256), signal_uv[:, :19])
    assert crop_to_tokens(signal_uv, 10).shape == (2, 64, 200)
    starts = {crop_to_tokens(signal_uv, 256)[0, 0, 0].item() for _ in range(60)}
    assert starts == {200.0 * second for second in range(7)}


def test_code_usage_counts_codes_and_their_evenness() -> None:
    usage = CodeUsage(8)
    usage.update(torch.tensor([[0, 0], [1, 1]]))
    assert {name: value.item() for name, value in usage.compute().items()} == pytest.approx(
        {"codes_used": 2.0, "code_perplexity": 2.0}
    )
    usage.update(torch.tensor([2, 2, 2, 2]))
    assert usage.compute()["code_perplexity"].item() == pytest.approx(2.0**1.5)  # shares 1/4, 1/4, 1/2: 1.5 bits


def test_validation_before_the_first_step_is_empty(crops: Batch) -> None:
    task = TokenizerTask("unused.pth")
    task.eval()
    task.validation_step(crops, 0)
    assert not task.val_usage.update_called


def test_a_tokenizer_of_another_size_is_refused(codes_file: Path) -> None:
    with pytest.raises(WeightsError, match="misshaped"):
        MaskedPretrainingTask(str(codes_file), "unused.pth", tokenizer="base")


def test_a_mask_that_hides_nothing_is_refused(codes_file: Path) -> None:
    with pytest.raises(ValueError, match="mask_ratio=0"):
        MaskedPretrainingTask(str(codes_file), "unused.pth", mask_ratio=0.0)
