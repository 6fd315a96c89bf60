import torch
from torch.nn import functional as F

from encoders.projector import Projector


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
