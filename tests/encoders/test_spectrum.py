import math

import numpy as np
import pytest
import torch

from corpus.features import energy_tiers
from encoders.spectrum import (
    Layout,
    SpectrumEncoder,
    _band_features,
    _channel_features,
    _hemisphere_features,
    _region_features,
    ranked_tiers,
)

# four channels: two frontal (a pair), one central, one occipital; no temporal, no parietal
REGIONS = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
LAYOUT = Layout(REGIONS, torch.tensor([[0, 1]]))
MASK = torch.ones(2, 2, dtype=torch.bool)


def make_power(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(seed))


def test_shape_is_one_token_a_band_a_region_and_a_channel_and_one_of_the_hemispheres() -> None:
    tokens, ranking = SpectrumEncoder(width=8, history_k=2)(make_power(), MASK, LAYOUT)
    assert tokens.shape == (2, SpectrumEncoder.count_tokens(4), 8) == (2, 6 + 5 + 1 + 4, 8)
    assert ranking.regions.shape == (2, 5)
    assert ranking.channels.shape == (2, 4)
    assert tokens.isfinite().all()


def test_the_strongest_channel_comes_first_whatever_the_order_of_the_channels() -> None:
    encoder, power = SpectrumEncoder(width=8, history_k=2), make_power()
    order = torch.tensor([2, 0, 3, 1])
    permuted = Layout(REGIONS[:, order], order.argsort()[LAYOUT.pairs])
    tokens, ranking = encoder(power, MASK, LAYOUT)
    again, permuted_ranking = encoder(power[:, :, order], MASK, permuted)
    torch.testing.assert_close(again, tokens)
    assert torch.equal(order[permuted_ranking.channels], ranking.channels)
    assert torch.equal(ranking.channels[:, 0], power[:, -1, :, -1].argmax(1))


def test_regions_are_ranked_by_the_mean_power_of_their_channels() -> None:
    power = torch.zeros(1, 1, 4, 7)
    power[0, 0, :, -1] = torch.tensor([9.0, 1.0, 6.5, 6.0]).log()  # frontal mean 5, central 6.5, occipital 6
    _, ranking = SpectrumEncoder(width=8, history_k=0)(power, torch.ones(1, 0, dtype=torch.bool), LAYOUT)
    assert ranking.regions[0, :3].tolist() == [1, 4, 0]
    assert sorted(ranking.regions[0, 3:].tolist()) == [2, 3]


def test_region_features_hold_level_and_standing_and_mark_absent_regions() -> None:
    features = _region_features(torch.tensor([[2.0, 1.0, -math.inf]]))[0]
    torch.testing.assert_close(features[0], torch.tensor([1, 0.5, 1, 0, 1, 1, 1]))
    shares = [math.exp(-1), math.exp(-4), math.exp(-16)]
    torch.testing.assert_close(features[1], torch.tensor([1, 0.25, 0, -0.25, *shares]))
    torch.testing.assert_close(features[2], torch.tensor([0.0, 0, 0, -2, 0, 0, 0]))


def test_band_features_hold_the_log_ratio_to_each_predecessor_and_to_their_mean() -> None:
    power = torch.zeros(1, 3, 4, 7)
    power[:, 1, :, 2] = math.log(3.0)
    power[:, 2, :, 2] = math.log(4.0)  # alpha 1, 3, 4: twice the mean of its history
    features = _band_features(power, torch.tensor([[True, True]]))[0, 2]
    ratios = 4 * torch.tensor([4, 4 / 3, 2]).log()
    torch.testing.assert_close(features[[0, 1, 4]], ratios)
    torch.testing.assert_close(features[2:4], torch.ones(2))
    assert features[6] == 1  # alpha leads
    half = _band_features(power, torch.tensor([[False, True]]))[0, 2]
    torch.testing.assert_close(half[[0, 1, 4]], 4 * torch.tensor([1, 4 / 3, 4 / 3]).log())
    none = _band_features(power, torch.tensor([[False, False]]))[0, 2]
    torch.testing.assert_close(none[:5], torch.zeros(5))


def test_hemisphere_features_hold_the_log_ratio_of_right_to_left() -> None:
    power = torch.tensor([2.0, 6.0, 1.0, 1.0]).log()[None]
    torch.testing.assert_close(_hemisphere_features(power, LAYOUT.pairs)[0], torch.tensor([2 * math.log(3), 1]))
    torch.testing.assert_close(_hemisphere_features(power, torch.zeros(0, 2).long())[0], torch.zeros(2))


def test_channel_features_mark_the_leader() -> None:
    features = _channel_features(torch.zeros(1, 3, 7).index_fill(1, torch.tensor([0]), 1.0))
    assert features[0, :, 14].tolist() == [1, 0, 0]


def test_channel_features_end_with_the_tier() -> None:
    power = torch.tensor([10.0, 9.0, 4.0, 1.0, 0.5]).log()
    features = _channel_features(power[None, :, None].expand(1, 5, 7))
    assert features[0, :, -3:].argmax(1).tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("n_chans", [1, 2, 3, 4, 19, 64])
def test_tiers_are_those_of_the_findings(n_chans: int) -> None:
    power = np.sort(np.random.default_rng(n_chans).lognormal(3, 1, (50, n_chans)))[:, ::-1].copy()
    tiers = ranked_tiers(torch.from_numpy(power).log().float())
    assert (tiers.numpy() == energy_tiers(power)).all()


def test_missing_history_does_not_reach_the_tokens() -> None:
    encoder, mask = SpectrumEncoder(width=8, history_k=2), torch.tensor([[False, True], [False, False]])
    power, other = make_power(), make_power()
    other[:, 0] = 7.0
    other[1, 1] = -7.0
    torch.testing.assert_close(encoder(power, mask, LAYOUT)[0], encoder(other, mask, LAYOUT)[0])
