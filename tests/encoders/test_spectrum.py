import math

import torch

from encoders.spectrum import SpectrumEncoder

NAMES = ("Fz", "Cz", "Pz", "Oz")


def make_power(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(seed))


def test_shape_is_one_token_a_band_and_one_an_electrode() -> None:
    tokens = SpectrumEncoder(width=8, history_k=2)(make_power(), torch.ones(2, 2, dtype=torch.bool), NAMES)
    assert tokens.shape == (2, SpectrumEncoder.count_tokens(4), 8) == (2, 10, 8)


def test_the_strongest_electrode_comes_first_whatever_the_order_of_the_channels() -> None:
    encoder, mask = SpectrumEncoder(width=8, history_k=2), torch.ones(2, 2, dtype=torch.bool)
    power = make_power()
    order = [2, 0, 3, 1]
    permuted = encoder(power[:, :, order], mask, [NAMES[i] for i in order])
    torch.testing.assert_close(permuted, encoder(power, mask, NAMES))


def test_band_features_hold_the_log_ratio_to_each_predecessor() -> None:
    power = torch.zeros(1, 3, 4, 7)
    power[:, -1, :, 2] = math.log(2.0)  # alpha doubles
    features = SpectrumEncoder._band_features(power, torch.tensor([[False, True]]))
    torch.testing.assert_close(features[0, 2], torch.tensor([0, 4 * math.log(2), 0, 1, math.log(2) / 4, 0]))
    torch.testing.assert_close(features[0, 0], torch.tensor([0, 0, 0, 1, 0, -4 * math.log(2)]))


def test_missing_history_does_not_reach_the_tokens() -> None:
    encoder, mask = SpectrumEncoder(width=8, history_k=2), torch.tensor([[False, True], [False, False]])
    power, other = make_power(), make_power()
    other[:, 0] = 7.0
    other[1, 1] = -7.0
    torch.testing.assert_close(encoder(power, mask, NAMES), encoder(other, mask, NAMES))
