"""Retrieval as a whole: scores of pairs with known ranks, controls of encoders with known sight, and the command."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from corpus.simulate import SimulationPreset, simulate, write_edf
from neuronarrator.cli import main
from neuronarrator.evaluate import RetrievalOptions, evaluate_retrieval
from neuronarrator.evaluate.controls import distinct, move_instant, shuffle_time, small_maps, swap_sides
from neuronarrator.evaluate.figures import pca_plane, write_figures
from neuronarrator.evaluate.published import paper_row, paper_rows
from neuronarrator.evaluate.retrieval import Pairs, embed, score_pairs
from neuronarrator.metrics.retrieval import DIRECTIONS, MEANS
from neuronarrator.narrator import Narrator

CH_NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "Cz")
N_TIMES = 2000
OPTIONS = RetrievalOptions(gallery=20, repeats=5, resamples=1000)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def windows(count: int, seed: int = 0) -> Tensor:
    """Signals (B, C, T) in which every sample and every segment differ; each segment has loudnesses of its own."""
    noise = torch.randn(count, len(CH_NAMES), N_TIMES, generator=generator(seed))
    return noise * torch.rand(count, len(CH_NAMES), 1, generator=generator(seed + 1)).add(0.2)


def middle(signal_uv: Tensor) -> Tensor:
    return signal_uv[..., N_TIMES // 2]


def loudness(signal_uv: Tensor) -> Tensor:
    """Of each channel: the same in whatever order the samples are."""
    power = signal_uv.square().mean(-1)
    return power - power.mean(-1, keepdim=True)


def blind_to_sides(signal_uv: Tensor) -> Tensor:
    pairs = middle(signal_uv)[:, :10].unflatten(1, (5, 2))
    return pairs.sum(-1)


def narrator_that_sees(sight: Callable[[Tensor], Tensor]) -> Any:
    """Both encoders see the same of a segment: it retrieves perfectly."""

    def encode(signal_uv: Tensor, ch_names: Sequence[str]) -> Tensor:
        return sight(signal_uv)

    return SimpleNamespace(dual=SimpleNamespace(encode_signal=encode, encode_topomap=encode, potential="median"))


def pairs_of(sight: Callable[[Tensor], Tensor], signal_uv: Tensor) -> Pairs:
    count = len(signal_uv)
    vectors = embed(narrator_that_sees(sight), signal_uv, CH_NAMES, generator(5))
    return Pairs(vectors, np.full(count, "workload"), np.array([f"s{i % 4}" for i in range(count)]))


def pairs_with(z_signal: Tensor, z_topomap: Tensor, datasets: Sequence[str], subjects: Sequence[str]) -> Pairs:
    signal, topomap = normalize(z_signal, dim=-1), normalize(z_topomap, dim=-1)
    replaced = {"time_shuffled": signal, "another_instant": topomap, "left_right_swapped": signal}
    return Pairs(
        {"signal": signal, "topomap": topomap, "map": topomap, **replaced}, np.array(datasets), np.array(subjects)
    )


# -- controls --------------------------------------------------------------------------------------------------------


def test_shuffled_time_keeps_the_samples_of_each_segment_together() -> None:
    signal = windows(3)
    shuffled = shuffle_time(signal, generator())
    order = shuffled[:, 0].argsort(1), signal[:, 0].argsort(1)
    for channel in range(len(CH_NAMES)):
        torch.testing.assert_close(shuffled[:, channel].gather(1, order[0]), signal[:, channel].gather(1, order[1]))
    assert (shuffled == signal).float().mean() < 0.01


def test_another_instant_is_one_of_the_same_segment_and_a_second_away() -> None:
    ramp = torch.arange(float(N_TIMES)).expand(500, 2, N_TIMES)
    seen = middle(move_instant(ramp, generator()))
    assert torch.equal(seen[:, 0], seen[:, 1])
    distance = (seen[:, 0] - N_TIMES // 2).abs()
    assert distance.min() >= 200
    assert len(seen[:, 0].unique()) > 300
    assert seen.min() < 50  # and from both ends of the segment
    assert seen.max() > 1950


def test_sides_are_exchanged_pair_by_pair() -> None:
    signal = torch.arange(4.0)[None, :, None].expand(1, 4, 3)
    assert swap_sides(signal, ("F3", "Fz", "F4", "O1"))[0, :, 0].tolist() == [2.0, 1.0, 0.0, 3.0]
    assert swap_sides(signal, ("Fz", "Cz", "Pz", "O1"))[0, :, 0].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_duplicates_are_maps_of_one_shape_whatever_their_scale() -> None:
    signal = windows(5)
    signal[2] = 7.0 * signal[0]
    signal[3:, :, N_TIMES // 2] = 0.0  # two flat maps
    assert distinct(small_maps(middle(signal), CH_NAMES)).tolist() == [True, True, False, True, False]


def test_a_map_is_compared_with_those_that_are_kept() -> None:
    """Of maps that turn slowly, the second resembles the first, the third only the second: it is kept."""
    angle = torch.tensor([0.0, 0.03, 0.06])
    assert distinct(torch.stack([angle.cos(), angle.sin()], dim=1)).tolist() == [True, False, True]


def test_an_encoder_of_the_middle_sample_fails_every_control_of_time() -> None:
    scores = score_pairs(pairs_of(middle, windows(100)), OPTIONS)
    for direction in DIRECTIONS:
        assert scores[direction]["recall_at_1"] == 1.0
        for control in ("time_shuffled", "another_instant"):
            assert scores["controls"][control][direction]["recall_at_1"] <= 0.05  # chance is 0.01
            assert 35 < scores["controls"][control][direction]["mean_rank"] < 65
        assert scores["controls"]["left_right_swapped"][direction]["recall_at_1"] < 0.2


def test_an_encoder_of_the_segment_as_a_whole_is_found_out() -> None:
    scores = score_pairs(pairs_of(loudness, windows(60)), OPTIONS)
    for control in ("time_shuffled", "another_instant"):
        assert scores["controls"][control]["signal_to_topomap"]["recall_at_1"] > 0.95


def test_an_encoder_that_is_blind_to_sides_is_found_out() -> None:
    controls = score_pairs(pairs_of(blind_to_sides, windows(60)), OPTIONS)["controls"]
    assert controls["left_right_swapped"]["topomap_to_signal"]["recall_at_1"] == 1.0
    assert controls["another_instant"]["topomap_to_signal"]["recall_at_1"] < 0.1


def test_duplicates_cost_recall_until_they_are_removed() -> None:
    signal = windows(40)
    signal[20:30] = signal[:10]
    scores = score_pairs(pairs_of(middle, signal), OPTIONS)
    assert scores["signal_to_topomap"]["recall_at_1"] == pytest.approx(0.5)  # ties count against both of a kind
    removed = scores["controls"]["duplicates_removed"]
    assert (removed["removed"], removed["n_segments"]) == (10, 30)
    assert removed["signal_to_topomap"]["recall_at_1"] == 1.0


# -- scores ----------------------------------------------------------------------------------------------------------


def two_datasets() -> Pairs:
    """Ten pairs of one dataset, all found, and thirty of another, of which none is found in its own gallery."""
    z = torch.eye(40)
    other = z.clone()
    other[10:] = z[10:].roll(1, 0)
    return pairs_with(z, other, ["eegmat"] * 10 + ["iiic"] * 30, [f"s{i % 5}" for i in range(40)])


def test_averages_over_datasets_are_weighted_and_macro() -> None:
    scores = score_pairs(two_datasets(), OPTIONS)
    for direction in DIRECTIONS:
        assert scores["datasets"]["eegmat"][direction]["recall_at_1"] == 1.0
        assert scores["datasets"]["iiic"][direction]["recall_at_1"] == 0.0
        assert scores["averages"]["weighted"][direction]["recall_at_1"] == pytest.approx(0.25)
        assert scores["averages"]["macro"][direction]["recall_at_1"] == pytest.approx(0.5)
        assert scores["averages"]["macro"][direction]["mean_rank"] == pytest.approx((1 + 30) / 2)
        assert scores["averages"]["weighted"][direction]["ci95"]["recall_at_1"] == pytest.approx([0.25, 0.25])
        assert scores[direction]["recall_at_1"] == pytest.approx(0.25)  # one gallery of all
        assert scores[direction]["mean_rank"] == pytest.approx((10 + 30 * 40) / 40)  # every miss ties with all


def test_scores_stand_beside_the_papers_and_are_plain_json() -> None:
    scores = score_pairs(two_datasets(), OPTIONS)
    assert json.loads(json.dumps(scores)) == scores
    assert scores["datasets"]["eegmat"]["paper"]["name"] == "Workload"
    assert scores["datasets"]["eegmat"]["paper"]["signal_to_topomap"]["recall_at_1"] == 0.9444
    assert scores["datasets"]["iiic"]["paper"] is None
    assert scores["paper"]["topomap_to_signal"]["mean_rank"] == 2.66
    assert scores["datasets"]["eegmat"]["fixed_gallery"]["signal_to_topomap"] is None  # ten pairs, galleries of 20
    assert scores["datasets"]["iiic"]["fixed_gallery"]["signal_to_topomap"]["recall_at_1"] == {"mean": 0.0, "sd": 0.0}


def test_one_subject_gives_no_interval() -> None:
    z = torch.eye(4)
    scores = score_pairs(pairs_with(z, z, ["a"] * 4, ["s"] * 4), OPTIONS)
    assert scores["n_subjects"] == 1
    assert scores["signal_to_topomap"]["ci95"] is None
    assert scores["averages"]["macro"]["signal_to_topomap"]["ci95"] is None


def test_subjects_of_different_datasets_are_resampled_apart() -> None:
    """In each of three datasets one subject is always found, the other never: all six draws alike are 1 in 32."""
    z = torch.eye(12)
    other = z.clone()
    for i in (2, 6, 10):
        other[i : i + 2] = z[[i + 1, i]]
    names = [f"d{i // 4}" for i in range(12)]
    scores = score_pairs(pairs_with(z, other, names, [f"s{i // 2}" for i in range(12)]), OPTIONS)
    for part in scores["datasets"].values():
        assert part["signal_to_topomap"]["ci95"]["recall_at_1"] == [0.0, 1.0]
    low, high = scores["averages"]["macro"]["signal_to_topomap"]["ci95"]["recall_at_1"]
    assert 0.0 < low < 0.5 < high < 1.0


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="--stride-s"):
        RetrievalOptions(stride_s=0)
    with pytest.raises(ValueError, match="--gallery"):
        RetrievalOptions(gallery=1)


def test_the_papers_average_is_that_of_its_rows_weighted_by_test_size() -> None:
    *rows, overall = paper_rows()
    assert len(rows) == 16
    sizes = [row.gallery for row in rows]
    assert None not in sizes
    for direction in DIRECTIONS:
        for name in MEANS:
            mean = np.average([row.retrieval[direction][name] for row in rows], weights=np.array(sizes, float))
            assert mean == pytest.approx(overall.retrieval[direction][name], abs=0.005 if name == "mean_rank" else 1e-4)


def test_rows_of_the_paper_are_found_by_any_name_of_a_dataset() -> None:
    row = paper_row("EEGMMIDB")
    assert row is not None
    assert (row.name, row.gallery, row.fact_f1) == ("Motor Imagery", 1191, 0.692)
    assert paper_row("recordings") is None


# -- figures ---------------------------------------------------------------------------------------------------------


def test_the_plane_of_largest_variance() -> None:
    points = torch.zeros(50, 6)
    points[:, 2] = torch.linspace(-3, 6, 50)
    points[::2, 4] = 1.0
    places, shares = pca_plane(points)
    assert np.ptp(places[:, 0]) == pytest.approx(9.0, rel=0.02)
    assert np.ptp(places[:, 1]) == pytest.approx(1.0, rel=0.1)  # the alternation is slightly along the ramp
    assert sum(shares) == pytest.approx(1.0)
    assert (places[np.abs(places).argmax(0), [0, 1]] > 0).all()
    np.testing.assert_allclose(pca_plane(-points)[0].std(0), places.std(0))


def test_figures_are_pictures_and_umap_is_left_out_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.warns(UserWarning, match=r"neuronarrator\[figures\]"):
        files = write_figures(two_datasets(), tmp_path / "figures")
    assert [file.name for file in files] == ["embedding_pca.png"]
    assert files[0].read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_umap_draws_a_second_picture(tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="needs neuronarrator[figures]")
    assert len(write_figures(two_datasets(), tmp_path)) == 2


# -- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two persons of EEGMMIDB by name, simulated; one of them in two runs; and a file that is none."""
    folder = tmp_path_factory.mktemp("data") / "eegmmidb"
    folder.mkdir()
    for seed, stem in enumerate(("S001R01", "S001R02", "S002R01")):
        write_edf(simulate(SimulationPreset(duration_s=32.0), seed=seed).recording, folder / f"{stem}.edf")
    (folder / "notes.edf").write_text("no EEG")
    return folder


def test_the_command_writes_a_table_and_scores(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "retrieval", "--data", str(recordings), "--json", str(tmp_path / "scores.json")]
    assert main([*words, "--gallery", "4", "--stride-s", "5"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["n_segments"], scores["n_subjects"], scores["stride_s"]) == (15, 2, 5.0)
    assert set(scores["datasets"]) == {"motor-imagery"}
    assert set(scores["skipped"]) == {"notes.edf"}
    for direction in DIRECTIONS:
        part = scores[direction]
        assert part["recall_at_1"] >= 0.8  # the shipped model on simulated maps, 15 of them
        low, high = part["ci95"]["recall_at_1"]
        assert low <= part["recall_at_1"] <= high
        assert scores["fixed_gallery"][direction]["recall_at_1"]["mean"] >= part["recall_at_1"]
        assert scores["controls"]["time_shuffled"][direction]["recall_at_1"] <= 0.4
    told = capsys.readouterr().out
    for text in ("motor-imagery", "paper: Motor Imagery", "71.5", "time shuffled", "skipped notes.edf"):
        assert text in told


def test_without_a_file_the_scores_go_to_the_output(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "retrieval", "--data", str(recordings / "S002R01.edf")]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["n_segments"] == 3
    assert "95 % interval" in captured.err


def test_the_same_data_give_the_same_scores(recordings: Path) -> None:
    narrator = Narrator.from_pretrained("tiny")
    first, second = (evaluate_retrieval(narrator, recordings / "S001R01.edf", options=OPTIONS) for _ in range(2))
    assert first == second
