import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from encoders.quantizer import Quantizer, spherical_kmeans

ROOT = Path(__file__).parents[2]


def random_unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def started(n_codes: int, code_dim: int) -> Quantizer:
    """A quantiser whose codes are random unit vectors."""
    quantizer = Quantizer(n_codes, code_dim, decay=0.9)
    quantizer.embedding.weight.copy_(random_unit(n_codes, code_dim, seed=1))
    quantizer.embedding.initted.fill_(1.0)
    return quantizer


def slow_step(vectors: np.ndarray, codes: np.ndarray, usage: np.ndarray, decay: float) -> tuple:
    """Quantisation and moving average, vector by vector and code by code."""
    chosen, loss = [], 0.0
    unit = [v / np.sqrt((v**2).sum()) for v in vectors]
    for v in unit:
        distances = [((v - code) ** 2).sum() for code in codes]
        chosen.append(int(np.argmin(distances)))
        loss += min(distances) / (len(vectors) * len(v))
    moved = codes.copy()
    for k in range(len(codes)):
        mine = [v for v, index in zip(unit, chosen, strict=True) if index == k]
        usage[k] = decay * usage[k] + (1 - decay) * len(mine)
        if mine:
            mean = np.mean(mine, axis=0)
            moved[k] = decay * codes[k] + (1 - decay) * mean / np.sqrt((mean**2).sum())
            moved[k] /= np.sqrt((moved[k] ** 2).sum())
    return chosen, loss, moved


def test_steps_agree_with_the_written_out_reference():
    quantizer = started(7, 3)
    quantizer.embedding.weight[5] = normalize(torch.tensor([-1.0, -1.0, -1.0]), dim=0)  # far from all vectors below
    codes, usage = quantizer.embedding.weight.double().numpy().copy(), np.zeros(7)
    before = codes.copy()
    for step in range(3):
        vectors = 5.0 * torch.rand(2, 10, 3, generator=torch.Generator().manual_seed(step)) - 0.5
        output = quantizer(vectors)
        looked_up = codes
        chosen, loss, codes = slow_step(vectors.view(20, 3).double().numpy(), codes, usage, 0.9)
        assert output.indices.shape == (2, 10)
        assert output.indices.flatten().tolist() == chosen
        assert output.commitment_loss.item() == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(output.codes.view(20, 3), looked_up[chosen], atol=1e-6)  # codes before they move
        np.testing.assert_allclose(quantizer.embedding.weight, codes, atol=1e-6)
        np.testing.assert_allclose(quantizer.cluster_size, usage, atol=1e-6)
    unused = usage == 0
    assert unused[5]
    assert not unused.all()
    np.testing.assert_allclose(quantizer.embedding.weight[unused], before[unused], atol=1e-6)  # published: not revived
    assert (np.abs(codes - before)[~unused].max(axis=1) > 1e-3).all()


def test_gradients_pass_straight_through_and_codes_have_none():
    quantizer, vectors = started(7, 3), torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.linspace(-1, 1, 60).view(20, 3)
    through = vectors.clone().requires_grad_()
    (quantizer(through).codes * weights).sum().backward()
    plain = vectors.clone().requires_grad_()
    (normalize(plain, dim=-1) * weights).sum().backward()
    torch.testing.assert_close(through.grad, plain.grad)
    assert not list(quantizer.parameters())
    quantizer.eval()
    committed = vectors.clone().requires_grad_()
    output = quantizer(committed)
    output.commitment_loss.backward()
    target = vectors.clone().requires_grad_()
    ((normalize(target, dim=-1) - quantizer.embedding.weight[output.indices]) ** 2).mean().backward()
    torch.testing.assert_close(committed.grad, target.grad)


def test_outside_training_nothing_moves():
    quantizer = started(7, 3).eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(20, 3))
    assert all(torch.equal(before[name], value) for name, value in quantizer.state_dict().items())


def test_codes_are_chosen_in_float32_under_autocast():
    quantizer = started(500, 32).eval()
    vectors = torch.randn(400, 32, generator=torch.Generator().manual_seed(0))
    expected = quantizer(vectors)
    with torch.autocast("cpu", torch.bfloat16):
        output = quantizer(vectors)
    assert torch.equal(output.indices, expected.indices)
    assert torch.equal(output.codes, expected.codes)


def test_an_empty_codebook_is_refused_outside_training():
    with pytest.raises(ValueError, match="empty codebook"):
        Quantizer(7, 3).eval()(torch.randn(20, 3))


def test_kmeans_finds_separate_directions():
    corners = torch.eye(3)
    vectors = normalize(corners.repeat_interleave(torch.tensor([30, 20, 10]), 0) + 0.1 * random_unit(60, 3), dim=-1)
    for seed in range(20):  # a start with one vector of each direction
        torch.manual_seed(seed)
        centres, sizes = spherical_kmeans(vectors, 3, 10)
        if sizes.min() >= 10:
            break
    order = centres.argmax(dim=1).argsort()
    assert sizes[order].tolist() == [30, 20, 10]
    expected = torch.stack([part.mean(0) for part in vectors.split([30, 20, 10])])
    torch.testing.assert_close(centres[order], normalize(expected, dim=-1))


def test_kmeans_with_fewer_vectors_than_clusters_leaves_the_rest_empty():
    vectors = random_unit(4, 3)
    centres, sizes = spherical_kmeans(vectors, 10, 10)
    assert sizes.sum() == 4
    assert (sizes == 0).sum() >= 6
    torch.testing.assert_close(centres.norm(dim=1), torch.ones(10))


def test_the_first_training_step_starts_the_codes_from_its_vectors():
    quantizer = Quantizer(4, 3)
    vectors = 3.0 * random_unit(50, 3)
    torch.manual_seed(0)
    quantizer(vectors)
    torch.manual_seed(0)
    codes, sizes = spherical_kmeans(vectors / 3.0, 4, 10)
    assert quantizer.embedding.initted.item() == 1
    torch.testing.assert_close(quantizer.embedding.cluster_size, sizes)
    assert (quantizer.embedding.weight * codes).sum(1).min() > 0.999  # moved once by 1 % since
    quantizer(-vectors)
    torch.testing.assert_close(quantizer.embedding.cluster_size, sizes)  # started once


PROCESS = """
import sys, torch
from torch import distributed
from encoders.quantizer import Quantizer
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
vectors = torch.load(f"{folder}/vectors.pt")
torch.manual_seed(rank)
quantizer = Quantizer(5, 3)
for _ in range(2):
    quantizer(vectors[rank])
torch.save(quantizer.state_dict(), f"{folder}/{rank}.pt")
distributed.barrier()
distributed.destroy_process_group()  # left to the interpreter's end, gloo's threads may abort it
"""


def test_two_processes_move_one_codebook(tmp_path: Path):
    vectors = random_unit(2, 30, 3)
    torch.save(vectors, tmp_path / "vectors.pt")
    alone = Quantizer(5, 3)
    torch.manual_seed(0)
    alone.embedding.start_from(vectors[0])
    for _ in range(2):
        alone(vectors)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    commands = [[sys.executable, "-c", PROCESS, str(rank), str(tmp_path)] for rank in range(2)]
    running = [subprocess.Popen(command, cwd=ROOT, env=environment) for command in commands]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt")
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(state[name], value, atol=1e-6, rtol=1e-5)
