import pytest
import torch
from torch.nn import functional as F

from encoders.projector import Projector, Whitening


def test_two_layers_with_gelu_between():
    torch.manual_seed(0)
    projector = Projector(in_dim=6, out_dim=10, hidden_dim=8)
    x = torch.randn(3, 6)
    expected = F.gelu(x @ projector.fc1.weight.T + projector.fc1.bias) @ projector.fc2.weight.T + projector.fc2.bias
    torch.testing.assert_close(projector(x), expected)


def test_hidden_width_defaults_to_the_output_width():
    projector = Projector(in_dim=200, out_dim=256)
    assert projector.fc1.weight.shape == (256, 200)
    assert projector.fc2.weight.shape == (256, 256)


def test_leading_axes_are_kept_and_gradients_flow():
    projector = Projector(in_dim=6, out_dim=10)
    x = torch.randn(2, 3, 6, requires_grad=True)
    y = projector(x)
    y.sum().backward()
    assert y.shape == (2, 3, 10)
    assert all(t.grad is not None and t.grad.isfinite().all() for t in (x, *projector.parameters()))


def test_whitening_is_the_identity_until_fitted_and_then_decorrelates():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(8, 8, generator=generator) * torch.logspace(0, -1, 8)
    x = torch.randn(2000, 8, generator=generator) @ mixing + 3.0
    whitening = Whitening(8)
    torch.testing.assert_close(whitening(x), x)
    assert not whitening.is_fitted
    whitening.fit(x, floor=0.0)
    assert whitening.is_fitted
    torch.testing.assert_close(torch.cov(whitening(x).T), torch.eye(8), atol=1e-2, rtol=0)
    torch.testing.assert_close(whitening(x).mean(0), torch.zeros(8), atol=1e-4, rtol=0)


def test_whitening_does_not_blow_up_directions_without_variance():
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1.0, 1.0, 0.0])
    whitening = Whitening(4)
    whitening.fit(x)
    assert whitening(x).isfinite().all()
    assert whitening(x).abs().max() < 6


def test_whitening_refuses_too_few_vectors():
    with pytest.raises(ValueError, match="got 3 vectors, expected at least D = 8"):
        Whitening(8).fit(torch.zeros(3, 8))


def test_whitening_keeps_what_bfloat16_would_lose():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 16, generator=generator) * torch.logspace(0, -3, 16) @ torch.randn(16, 16, generator=generator)
    whitening = Whitening(16)
    whitening.fit(x)
    exact = whitening(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(whitening(x), exact)
    assert torch.equal(whitening.bfloat16()(x), exact)
