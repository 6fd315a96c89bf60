"""Classifiers on labels: what is read, who is on which side, what is learned; on simulated and on real recordings."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import yaml

from corpus.build import BuildConfig, build_corpus
from corpus.datasets import Label
from corpus.simulate import SimulationPreset, simulate, write_edf
from corpus.splits import SplitPolicy
from encoders.labram import SignalEncoder
from encoders.presets import SIGNAL_ENCODER_PRESETS
from neuronarrator.classification.data import (
    ClassificationDataModule,
    LabelledSegments,
    _one_layout,
    _Segment,
    _votes,
    check_disjoint,
    majority,
    read_segments,
    subject_folds,
)
from neuronarrator.classification.task import ClassificationTask, majority_shares, vote_loss
from neuronarrator.cli import run_trainer
from neuronarrator.optim import OptimizerOptions

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments" / "classify").glob("tiny*.yaml"))
CH_NAMES = ("Fp1", "Fp2", "C3", "C4", "O1", "O2")
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def made_segments(n_persons: int = 6, each: int = 8, seed: int = 0) -> LabelledSegments:
    """Noise with a rhythm of 10 Hz (class "slow") or 22 Hz ("fast"), both of every person."""
    rng = np.random.default_rng(seed)
    count = n_persons * each
    truth = np.arange(count) % 2
    time_s = np.arange(2000) / 200
    hz = np.where(truth, 22.0, 10.0)[:, None, None]
    signal_uv = 20 * np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6, (count, len(CH_NAMES), 1)))
    return LabelledSegments(
        signal_uv=(signal_uv + 10 * rng.standard_normal(signal_uv.shape)).astype(np.float32),
        votes=np.eye(2, dtype=np.float32)[truth],
        subjects=np.repeat([f"made/{i}" for i in range(n_persons)], each),
        sides=np.repeat(["train"] * (n_persons - 2) + ["val", "test"], each),
        ch_names=CH_NAMES,
        classes=("slow", "fast"),
    )


def module_of(segments: LabelledSegments, **words: object) -> ClassificationDataModule:
    data = ClassificationDataModule("", "", batch_size=8, **words)  # type: ignore[arg-type]
    data.divide(segments)
    return data


@pytest.fixture(scope="module")
def eegmat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as EEGMAT's: three persons at rest and at work, a fourth at work only, 20 s each."""
    root = tmp_path_factory.mktemp("eegmat")
    for seed, name in enumerate(["00_1", "00_2", "01_1", "01_2", "26_1", "26_2", "27_2"]):
        recording = simulate(SimulationPreset(duration_s=20.0), seed).recording
        write_edf(recording, root / f"Subject{name}.edf")
    return root


# -- what is read ----------------------------------------------------------------------------------------------------


def test_segments_carry_labels_persons_and_published_sides(eegmat: Path) -> None:
    segments = read_segments(eegmat, "eegmat")
    assert segments.signal_uv.shape == (14, 19, 2000)
    assert segments.signal_uv.dtype == np.float32
    assert segments.classes == ("rest", "mental arithmetic")
    assert segments.votes.argmax(axis=1).tolist() == [0, 0, 1, 1] * 3 + [1, 1]
    assert (
        segments.subjects.tolist()
        == [f"workload/Subject{n}" for n in ("00",) * 4 + ("01",) * 4 + ("26",) * 4] + ["workload/Subject27"] * 2
    )
    assert segments.sides.tolist() == ["train"] * 8 + ["val"] * 6


def test_a_corpus_gives_the_same_segments(eegmat: Path, tmp_path: Path) -> None:
    root, out = tmp_path / "eegmat", tmp_path / "corpus"
    root.mkdir()
    for name in ("Subject00_1.edf", "Subject00_2.edf", "Subject27_2.edf"):
        (root / name).symlink_to(eegmat / name)
    build_corpus([("workload", root)], out, BuildConfig(split=SplitPolicy(published=True)))
    stored, read = read_segments(out, "workload"), read_segments(root, "workload")
    for name in ("votes", "subjects", "sides"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(read, name))
    assert stored.ch_names == read.ch_names
    assert np.abs(stored.signal_uv - read.signal_uv).max() < 0.01 * read.signal_uv.std()  # as codes, see corpus.store


def test_other_layouts_are_arranged_or_left_out() -> None:
    rows, votes = np.arange(3.0)[:, None] * np.ones(5), np.array([1, 1], np.float32)

    def segment(*ch_names: str) -> tuple[_Segment, np.ndarray]:
        return _Segment(rows[: len(ch_names)], ch_names, (), "somebody", "train"), votes

    kept = [segment("C3", "C4"), segment("C3", "C4"), segment("C4", "Cz", "C3"), segment("C3", "Cz")]
    with pytest.warns(UserWarning, match="left out: 1 of 4 segments without all of C3, C4"):
        segments = _one_layout(kept, ("a", "b"))
    assert segments.ch_names == ("C3", "C4")
    assert segments.signal_uv[:, :, 0].tolist() == [[0, 1], [0, 1], [2, 0]]
    assert segments.votes.tolist() == [[0.5, 0.5]] * 3


@pytest.mark.parametrize(
    ("dataset", "classes", "told"),
    [
        ("eegmat", ["rest", "sleep"], r"got labels \['sleep'\], expected labels of workload: rest, mental arithmetic"),
        ("eegmat", ["rest"], "expected two or more different labels of workload"),
        ("eegmat", ["rest", "rest"], "expected two or more different labels of workload"),
        ("chb-mit", None, "got no classes for chbmit, expected some of its labels"),
        ("nobody", ["a", "b"], "nobody"),
    ],
)
def test_unknown_labels_and_datasets_are_named(
    eegmat: Path, dataset: str, classes: list[str] | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        read_segments(eegmat, dataset, classes)


def test_a_label_that_nobody_carries_is_named(eegmat: Path, tmp_path: Path) -> None:
    (tmp_path / "Subject00_2.edf").symlink_to(eegmat / "Subject00_2.edf")
    told = r"no segment of workload labelled \['rest'\], expected some; labels found: mental arithmetic \(2\)"
    with pytest.raises(ValueError, match=told):
        read_segments(tmp_path, "workload")
    with pytest.raises(FileNotFoundError, match="got no folder 'nowhere'"):
        read_segments(tmp_path / "nowhere", "workload")


def test_votes_are_those_of_the_raters() -> None:
    rated = Label("pattern", "LPD", "segment", "votes", votes=(("Other", 1), ("LPD", 3)))
    tie = Label("pattern", "tie", "segment", "votes", votes=(("GPD", 2), ("LPD", 2)))
    plain = [Label("event", value, "event", "file") for value in ("LPD", "LPD", "SZ", "artifact")]
    classes = ("Other", "SZ", "LPD", "GPD")
    assert _votes([rated], classes).tolist() == [1, 0, 3, 0]
    assert _votes(plain, classes).tolist() == [0, 1, 1, 0]  # two classes touch the segment, however often
    votes = np.stack([_votes([rated], classes), _votes([tie], classes), _votes(plain, classes)])
    assert majority(votes).tolist() == [2, -1, -1]


def test_real_votes_and_channels(shared_data: Path) -> None:
    with pytest.warns(UserWarning, match="left out: 1 of 18 segments without all of"):  # its F7 has a poor contact
        segments = read_segments(shared_data / "iiic_sparcnet", "iiic")
    assert segments.signal_uv.shape == (17, 19, 2000)  # of 50 s, ten are labelled
    np.testing.assert_allclose(segments.votes.sum(axis=1), 1, rtol=1e-6)
    assert ((segments.votes > 0).sum(axis=1) > 1).sum() == 6  # raters disagree
    assert len(set(segments.subjects)) == 17


# -- who is on which side --------------------------------------------------------------------------------------------


def test_folds_part_persons_and_spread_classes() -> None:
    segments = made_segments(n_persons=10)
    only_fast = np.isin(segments.subjects, [f"made/{i}" for i in range(5)]) & (segments.votes[:, 0] > 0)
    segments = segments[~only_fast]  # five persons show both classes, five one
    fold = subject_folds(segments, 5)
    assert set(fold.tolist()) == set(range(5))
    for k in range(5):
        mine, others = segments.subjects[fold == k], segments.subjects[fold != k]
        assert not set(mine) & set(others)
        assert len(set(mine)) == 2
        assert segments.votes[fold == k].any(axis=0).all()  # one person of each kind
    order = np.random.default_rng(0).permutation(len(segments))
    np.testing.assert_array_equal(subject_folds(segments[order], 5), fold[order])
    with pytest.raises(ValueError, match="got 11 folds for 10 persons"):
        subject_folds(segments, 11)


def test_published_sides_and_the_test_side() -> None:
    segments = made_segments()
    assert set(module_of(segments).held_out_segments.subjects) == {"made/4"}
    assert set(module_of(segments, evaluate_on="test").held_out_segments.subjects) == {"made/5"}
    assert set(module_of(segments, evaluate_on="test").train_segments.subjects) == {f"made/{i}" for i in range(4)}


def test_a_person_on_two_sides_is_refused() -> None:
    check_disjoint(["a", "b"], ["c"])
    with pytest.raises(ValueError, match=r"got 1 persons on both sides \(b\)"):
        check_disjoint(["a", "b"], ["b", "c"])
    segments = made_segments()
    swapped = segments.subjects.copy()
    train, val = np.flatnonzero(segments.sides == "train")[0], np.flatnonzero(segments.sides == "val")[0]
    swapped[[train, val]] = swapped[[val, train]]
    with pytest.raises(ValueError, match="persons on both sides"):
        module_of(replace(segments, subjects=swapped))
    module_of(replace(segments, subjects=swapped), folds=3)  # folds follow the persons, whatever the sides


def test_sides_without_what_they_need_are_refused() -> None:
    segments = made_segments()
    with pytest.raises(ValueError, match="got no held-out segment"):
        module_of(segments[segments.sides == "train"])
    with pytest.raises(ValueError, match=r"no training segment labelled \['slow'\]"):
        module_of(segments[(segments.sides == "val") | (segments.votes[:, 1] > 0)])
    with pytest.raises(ValueError, match="got fold 3 of 3, expected 0 to 2"):
        ClassificationDataModule("", "", folds=3, fold=3)


# -- what is learned -------------------------------------------------------------------------------------------------


def test_loss_by_hand() -> None:
    """Logits of shares 1/4 and 3/4, votes 2 to 1 for the first."""
    logits, votes = torch.log(torch.tensor([[0.25, 0.75]])), torch.tensor([[2 / 3, 1 / 3]])
    soft = -(2 / 3 * math.log(0.25) + 1 / 3 * math.log(0.75))
    assert vote_loss(logits, votes, soft_labels=True).item() == pytest.approx(soft)
    assert vote_loss(logits, votes, soft_labels=False).item() == pytest.approx(-math.log(0.25))
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    divergence = torch.nn.functional.kl_div(logits, votes, reduction="batchmean").item()
    assert soft - entropy == pytest.approx(divergence, rel=1e-5)
    weights = torch.tensor([3.0, 0.5])
    assert vote_loss(logits, votes, False, weights).item() == pytest.approx(-3 * math.log(0.25))


def test_classes_with_equally_many_votes_share() -> None:
    votes = torch.tensor([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]])
    torch.testing.assert_close(majority_shares(votes), torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]))


def test_a_rhythm_is_learned_for_persons_not_seen() -> None:
    L.seed_everything(0, verbose=False)
    data = module_of(made_segments(), folds=3)
    task = ClassificationTask("st-transformer", "tiny", optimizer=OptimizerOptions(2e-3, 0.01, 5))
    trainer = L.Trainer(max_epochs=10, accelerator="cpu", **QUIET)
    trainer.fit(task, datamodule=data)
    (scores,) = trainer.validate(task, datamodule=data, verbose=False)
    probabilities = torch.cat(trainer.predict(task, data.val_dataloader()))  # type: ignore[arg-type]
    truth, predicted = majority(data.held_out_segments.votes), probabilities.argmax(dim=1).numpy()
    recall = [(predicted[truth == k] == k).mean() for k in range(2)]
    assert scores["val/balanced_accuracy"] == pytest.approx(np.mean(recall))
    assert scores["val/balanced_accuracy"] >= 0.9
    assert scores["val/accuracy"] == pytest.approx((truth == predicted).mean())
    expected = -torch.from_numpy(data.held_out_segments.votes).mul(probabilities.log()).sum(dim=1).mean()
    assert scores["val/loss"] == pytest.approx(expected.item(), rel=1e-4)


def test_rare_classes_weigh_more_if_asked() -> None:
    segments = made_segments()
    kept = (segments.sides != "train") | (segments.votes[:, 1] > 0) | (np.arange(len(segments)) % 8 == 0)
    data = module_of(segments[kept])  # 4 slow and 16 fast segments of training
    task = ClassificationTask("st-transformer", "tiny", balance=True)
    L.Trainer(max_epochs=0, accelerator="cpu", **QUIET).fit(task, datamodule=data)
    torch.testing.assert_close(task.class_weights, torch.tensor([20 / 4 / 2, 20 / 16 / 2]))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments_train_by_the_command_line(path: Path, eegmat: Path, tmp_path: Path) -> None:
    """With an architecture that needs no braindecode, on the simulated folder; a checkpoint knows its network."""
    config = yaml.safe_load(path.read_text())
    config["model"]["init_args"]["classifier"] = "st-transformer"
    config["data"]["init_args"] |= {"root": str(eegmat), "dataset": "workload", "folds": 2, "evaluate_on": "val"}
    config["trainer"] |= {"max_epochs": 1, "logger": False, "callbacks": [], "default_root_dir": str(tmp_path)}
    config["trainer"] |= {"enable_progress_bar": False, "enable_model_summary": False}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(config))
    cli = run_trainer(["fit", "--config", str(tmp_path / "quick.yaml")])
    assert {"val/balanced_accuracy", "val/kl_divergence", "train/loss"} <= set(cli.trainer.callback_metrics)
    cli.trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = ClassificationTask.load_from_checkpoint(tmp_path / "last.ckpt").eval()
    assert loaded.layout is not None
    assert loaded.layout["classes"] == ("rest", "mental arithmetic")
    signal_uv = torch.from_numpy(cli.datamodule.held_out_segments.signal_uv)
    with torch.no_grad():
        torch.testing.assert_close(loaded(signal_uv), cli.model.eval()(signal_uv))


def test_a_checkpoint_needs_no_pretrained_file_again(tmp_path: Path) -> None:
    """LaBraM starts from weights on disk; what was trained loads without them."""
    encoder = SignalEncoder(SIGNAL_ENCODER_PRESETS["tiny"])
    torch.save({"model": encoder.state_dict()}, tmp_path / "labram-tiny.pth")
    task = ClassificationTask("labram", "tiny", weights=str(tmp_path / "labram-tiny.pth"))
    trainer = L.Trainer(max_epochs=0, accelerator="cpu", **QUIET)
    trainer.fit(task, datamodule=module_of(made_segments()))
    torch.testing.assert_close(task.network.network.encoder.pos_embed, encoder.pos_embed)  # type: ignore[union-attr]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    (tmp_path / "labram-tiny.pth").unlink()
    loaded = ClassificationTask.load_from_checkpoint(tmp_path / "last.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), task.parameters(), strict=True))


def test_no_network_without_data() -> None:
    task = ClassificationTask("ffcl", "tiny")
    with pytest.raises(RuntimeError, match="got no network yet"):
        task(torch.zeros(1, 2, 2000))
    with pytest.raises(ValueError, match="expected a ClassificationDataModule"):
        L.Trainer(max_epochs=1, accelerator="cpu", **QUIET).fit(task, torch.utils.data.DataLoader([0]))
