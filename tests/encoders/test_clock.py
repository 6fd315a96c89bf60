import torch

from encoders.clock import TimeEncoder


def test_times_that_differ_give_vectors_that_differ() -> None:
    torch.manual_seed(0)
    encoder = TimeEncoder(16)
    seconds = torch.tensor([0.0, 10.0, 20.0, 600.0, 610.0, 3600.0, 36000.0, 80000.0])
    vectors = encoder(seconds)
    assert vectors.shape == (8, 16)
    assert (torch.cdist(vectors, vectors) + torch.eye(8)).min() > 0.05
    phase = 2 * torch.pi * 10.0 / (20.0 * 2.0 ** torch.arange(13))
    by_hand = torch.cat([phase.sin(), phase.cos(), torch.tensor([1.5]).log()])
    torch.testing.assert_close(vectors[1], encoder.mlp(by_hand))
