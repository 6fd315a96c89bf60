"""Options of the optimiser: groups by parts and decay, and what a step makes of them."""

import lightning as L
import pytest
import torch
from torch import nn

from neuronarrator.optim import OptimizerOptions, adamw_with_cosine, parameter_groups, scale_groups


class Parts(L.LightningModule):
    """Two parts with a matrix and a vector each, one of them with positions, and a scalar beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({"signal": nn.Linear(2, 3), "topomap": nn.Linear(2, 3)})
        self.llm = nn.Linear(3, 3)
        self.pos_embed = nn.Parameter(torch.zeros(2, 3))
        self.scale = nn.Parameter(torch.tensor(1.0))


def rates(groups: list[dict], module: nn.Module) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each parameter."""
    found = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    return {name: found[id(p)] for name, p in module.named_parameters() if id(p) in found}


def test_parts_have_their_learning_rates_and_vectors_no_decay() -> None:
    module = Parts()
    options = OptimizerOptions(0.1, 0.5, factors={"encoders.signal": 0.2, "llm": 3.0})
    groups = scale_groups(parameter_groups(module, 0.5, ("pos_embed",)), module, options)
    assert rates(groups, module) == {
        "encoders.signal.weight": (pytest.approx(0.02), 0.5),
        "encoders.signal.bias": (pytest.approx(0.02), 0.0),
        "encoders.topomap.weight": (0.1, 0.5),
        "encoders.topomap.bias": (0.1, 0.0),
        "llm.weight": (pytest.approx(0.3), 0.5),
        "llm.bias": (pytest.approx(0.3), 0.0),
        "pos_embed": (0.1, 0.0),
        "scale": (0.1, 0.0),
    }
    assert sum(len(group["params"]) for group in groups) == 8


def test_without_factors_there_are_the_two_groups_of_always() -> None:
    module = Parts()
    groups = parameter_groups(module, 0.05)
    scaled = scale_groups(groups, module, OptimizerOptions(0.1))
    assert [group["params"] for group in scaled] == [group["params"] for group in groups]
    assert {group["lr"] for group in scaled} == {0.1}


def test_a_factor_of_zero_holds_a_part_and_the_schedule_scales_the_others() -> None:
    module = Parts()
    module.trainer = L.Trainer(max_steps=10, logger=False, enable_checkpointing=False, accelerator="cpu")
    chosen = adamw_with_cosine(module, OptimizerOptions(0.1, 0.5, 4, {"llm": 0.0, "encoders": 0.5}))
    optimizer, schedule = chosen["optimizer"], chosen["lr_scheduler"]["scheduler"]
    before = {name: p.clone() for name, p in module.named_parameters()}
    assert {group["lr"] for group in optimizer.param_groups} == {0.025, 0.0125, 0.0}  # first of four warm-up steps
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    schedule.step()
    same = {name for name, p in module.named_parameters() if torch.equal(p, before[name])}
    assert same == {"llm.weight", "llm.bias"}
    assert {group["lr"] for group in optimizer.param_groups} == {0.05, 0.025, 0.0}


@pytest.mark.parametrize(
    ("factors", "match"),
    [
        ({"encoder": 0.1}, "got a factor for 'encoder', expected a part such as .*encoders"),
        ({"encoders": 0.1, "signal": 1.0}, "expected parts that share no weight, and both hold encoders.signal"),
    ],
)
def test_parts_that_do_not_exist_or_overlap_are_refused(factors: dict[str, float], match: str) -> None:
    module = Parts()
    with pytest.raises(ValueError, match=match):
        scale_groups(parameter_groups(module, 0.0), module, OptimizerOptions(factors=factors))


def test_a_negative_factor_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got factors=\{'llm': -1\}"):
        OptimizerOptions(factors={"llm": -1})
