import pytest
import torch

from encoders.transformer import Attention, Mlp, drop_path


def test_drop_path_keeps_the_expectation_and_drops_whole_samples():
    torch.manual_seed(0)
    x = torch.ones(4000, 2, 3)
    dropped = drop_path(x, 0.25, training=True)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)
    assert set(dropped.sum(dim=(1, 2)).tolist()) == {0.0, 8.0}
    assert drop_path(x, 0.25, training=False) is x


@torch.no_grad()
@pytest.mark.parametrize("layer", [Attention(20, 2), Mlp(20, 40)])
def test_gain_multiplies_what_comes_out(layer: torch.nn.Module):
    generator = torch.Generator().manual_seed(0)
    x, gain = torch.randn(2, 7, 20, generator=generator), torch.randn(20, generator=generator)
    torch.testing.assert_close(layer(x, gain), gain * layer(x))
