import numpy as np
import pytest
import torch

from corpus.claims import facts_of
from corpus.dataset import Augmentation, CropDataset, EpochSampler, log_power, segment_batches
from corpus.findings import find_recording
from corpus.recording import Recording

NAMES = ("Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8")


def make_recording(duration_s: float = 65.0, seed: int = 0) -> Recording:
    signal = np.random.default_rng(seed).normal(0, 20, (len(NAMES), round(duration_s * 200)))
    return Recording(signal.astype(np.float32), 200.0, NAMES)


def test_segments_in_order_with_their_history() -> None:
    recording = make_recording()
    batches = list(segment_batches(find_recording(recording), batch_size=4))
    assert [len(b) for b in batches] == [4, 2]
    signal = torch.from_numpy(recording.signal_uv)
    second = batches[1]
    torch.testing.assert_close(second.signal_uv[0], signal[:, 8000:10000])
    torch.testing.assert_close(second.history_uv[0], torch.stack([signal[:, 4000:6000], signal[:, 6000:8000]]))
    assert batches[0].history_mask.tolist() == [[False, False], [False, True], [True, True], [True, True]]
    assert not batches[0].history_uv[0].any()


def test_a_batch_holds_log_powers_text_and_facts_of_its_segments() -> None:
    findings = find_recording(make_recording())
    batch = next(segment_batches(findings, batch_size=6))
    np.testing.assert_allclose(batch.log_power[3, -1], log_power(findings[3].features))
    np.testing.assert_allclose(batch.log_power[3, 0], log_power(findings[1].features))
    assert [facts_of(text) for text in batch.narratives] == batch.facts == [f.facts for f in findings]


def test_split_into_batches_does_not_change_what_is_in_them() -> None:
    findings = find_recording(make_recording())
    whole = next(segment_batches(findings, batch_size=6))
    parts = list(segment_batches(findings, batch_size=1))
    torch.testing.assert_close(whole.history_uv, torch.cat([p.history_uv for p in parts]))
    torch.testing.assert_close(whole.log_power, torch.cat([p.log_power for p in parts]))
    assert whole.narratives == [text for p in parts for text in p.narratives]


def test_crops_are_stretches_of_the_recording_behind_their_history() -> None:
    recording = make_recording()
    batch = CropDataset([recording], batch_size=8, n_batches=2, seed=3)[1]
    assert batch.signal_uv.shape == (8, 16, 2000)
    assert batch.history_mask.all()
    for current, history in zip(batch.signal_uv.numpy(), batch.history_uv.numpy(), strict=True):
        begin = int(np.flatnonzero(recording.signal_uv[0] == current[0, 0])[0])
        np.testing.assert_array_equal(current, recording.signal_uv[:, begin : begin + 2000])
        np.testing.assert_array_equal(history[1], recording.signal_uv[:, begin - 2000 : begin])


def test_crops_depend_on_seed_and_item_alone() -> None:
    def make(seed: int) -> CropDataset:
        return CropDataset([make_recording()], 4, 3, seed=seed, augmentation=Augmentation())

    first, second = make(1), make(1)
    assert torch.equal(first[2].signal_uv, second[2].signal_uv)
    assert first[2].narratives == second[2].narratives
    assert first[2].narratives != first[5].narratives
    assert first[2].narratives != make(2)[2].narratives


def test_every_epoch_has_items_of_its_own() -> None:
    sampler = EpochSampler(3)
    assert list(sampler) == [0, 1, 2]
    sampler.set_epoch(2)
    assert list(sampler) == [6, 7, 8]


def test_augmented_crops_stay_consistent_with_their_text() -> None:
    dataset = CropDataset([make_recording()], 8, 4, seed=2, augmentation=Augmentation(drop_channels=1.0))
    for item in range(4):
        batch = dataset[item]
        assert len(batch.ch_names) == batch.signal_uv.shape[1] == batch.log_power.shape[2] >= 8
        assert [facts_of(text) for text in batch.narratives] == batch.facts
        assert torch.isfinite(batch.log_power).all()


def test_crops_that_are_alike_differ_by_their_moment_alone() -> None:
    def spread(duration_s: float, alike: float) -> list[float]:
        flat = [Recording(np.full((16, round(duration_s * 200)), level, np.float32), 200.0, NAMES) for level in (1, 9)]
        crops = CropDataset(flat, 8, 1, narrate=False, augmentation=Augmentation(band_gain=0.0, alike=alike))
        return [float((crops[item].signal_uv / crops[item].signal_uv[:1]).sub(1).abs().max()) for item in range(6)]

    assert max(spread(45.0, 1.0)) < 1e-5
    assert min(spread(45.0, 0.0)) > 0.1
    assert min(spread(35.0, 1.0)) > 0.1  # too short: its crops would be nearly the same


def test_a_mixed_crop_is_a_sum_and_a_mirrored_one_exchanges_the_sides() -> None:
    """Two recordings, each one pattern over the scalp: a crop is a weighted sum of both, or its mirror image."""
    patterns = np.random.default_rng(0).normal(0, 20, (2, 16, 1)).astype(np.float32)
    wave = np.sin(np.arange(13_000) * 0.3, dtype=np.float32)
    plain = {"channel_gain": 0.0, "band_gain": 0.0, "drop_channels": 0.0}
    crops = CropDataset(
        [Recording(pattern * wave, 200.0, NAMES) for pattern in patterns],
        batch_size=32,
        n_batches=1,
        narrate=False,
        augmentation=Augmentation(**plain, mix=0.8, mirror=0.5),
    )
    found = crops[0].signal_uv.numpy()
    shapes = np.linalg.svd(found[:, :, 100:400], full_matrices=False)[0][:, :, :2]  # the two patterns of each crop
    swap = [i ^ 1 for i in range(16)]  # NAMES: odd, even, odd, even
    left_out = [
        [np.linalg.norm(basis.T - basis.T @ shape @ shape.T) / np.linalg.norm(basis) for shape in shapes]
        for basis in (patterns[:, :, 0].T, patterns[:, swap, 0].T)
    ]
    strengths = np.linalg.svd(found[:, :, 100:400], compute_uv=False)
    mixed = strengths[:, 1] > 1e-3 * strengths[:, 0]
    assert 6 <= mixed.sum() < 26  # a recording may meet itself
    told = np.array(left_out)[:, mixed]
    assert (told.min(axis=0) < 1e-3).all()
    assert 0 < (told.argmin(axis=0) == 1).sum() < mixed.sum()


def test_layouts_are_not_mixed_in_a_batch() -> None:
    other = Recording(make_recording().signal_uv[:3], 200.0, ("Fz", "Cz", "Pz"))
    dataset = CropDataset([make_recording(), other], 2, 20, narrate=False)
    names = {dataset[item].ch_names for item in range(20)}
    assert names == {NAMES, ("Fz", "Cz", "Pz")}


def test_recordings_without_ten_seconds_are_refused() -> None:
    with pytest.raises(ValueError, match="without 10 s"):
        CropDataset([make_recording(9.0)], 2, 2)
