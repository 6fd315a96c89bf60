import pytest
import torch

from encoders.resampler import Resampler


@pytest.fixture
def resampler() -> Resampler:
    torch.manual_seed(0)
    return Resampler(20, 3, 2).eval()


def test_any_number_of_tokens_becomes_the_same_few(resampler: Resampler) -> None:
    assert resampler(torch.randn(2, 7, 20)).shape == (2, 3, 20)
    assert resampler(torch.randn(2, 190, 20)).shape == (2, 3, 20)


def test_each_row_reads_its_own_tokens_in_any_order(resampler: Resampler) -> None:
    tokens = torch.randn(2, 9, 20)
    read = resampler(tokens)
    torch.testing.assert_close(resampler(tokens[:, torch.randperm(9)]), read)
    torch.testing.assert_close(resampler(tokens[1:]), read[1:])
    assert (read[0] - read[1]).abs().max() > 0.1


def test_a_layer_equals_attention_by_hand(resampler: Resampler) -> None:
    layer = resampler.layers[0]
    queries, tokens = torch.randn(1, 3, 20), torch.randn(1, 5, 20)
    q, k, v = layer.attention.in_proj_weight.chunk(3)
    heads = []
    for part in (slice(0, 10), slice(10, 20)):
        asked = (layer.norm_queries(queries) @ q.T)[..., part]
        scores = asked @ (tokens @ k.T)[..., part].mT / 10**0.5
        heads.append(scores.softmax(-1) @ (tokens @ v.T)[..., part])
    read = queries + layer.attention.out_proj(torch.cat(heads, -1))
    torch.testing.assert_close(layer(queries, tokens), read + layer.mlp(layer.norm_mlp(read)), atol=1e-5, rtol=1e-4)


def test_tokens_come_out_different_and_all_weights_learn(resampler: Resampler) -> None:
    read = resampler(torch.randn(4, 30, 20))
    distances = torch.cdist(read, read) + 100 * torch.eye(3)
    assert distances.min() > 1.0  # of vectors as long as the square root of 20
    read.square().sum().backward()
    idle = [name for name, p in resampler.named_parameters() if p.grad is None]
    assert idle == []


@pytest.mark.parametrize(("n_tokens", "num_heads"), [(0, 2), (3, 3)])
def test_sizes_that_do_not_fit_are_refused(n_tokens: int, num_heads: int) -> None:
    with pytest.raises(ValueError, match="expected at least one token and heads that divide the width"):
        Resampler(20, n_tokens, num_heads)
