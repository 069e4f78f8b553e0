"""CRReLU: its formula and gradient, what is decayed, that the test split selects nothing, and the entropies by another route."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tasks.activations.crrelu.experiment import ACTIVATIONS, CRReLU, gaussian_mean, log_slope, mixture, network, optimizer
from tasks.activations.crrelu.task import BOUNDED, CRRELU, FROZEN, TASK, TRAINED, entropy, train
from tasks.blocks.training import generator
from tests.tasks.stand_ins import made
from tests.tasks.trials import Trials

SMALL = {"epochs": 2.0, "train_images": 64, "batch": 32, "width": 16, "head_dim": 8, "lr": 0.03}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("crrelu", tmp_path, experiment="train", base=SMALL, data=made("digits"))


def test_crrelu_is_the_published_formula() -> None:
    x = np.linspace(-4.0, 4.0, 41)
    expected = np.array([max(0.0, v) + 0.3 * v * math.exp(-v * v / 2.0) for v in x])
    np.testing.assert_allclose(CRReLU(0.3).double()(torch.from_numpy(x)).detach().numpy(), expected, rtol=1e-6, atol=1e-8)
    assert CRReLU()(torch.tensor(-1.0)).item() == pytest.approx(-0.01 * math.exp(-0.5))


def test_the_gradient_by_input_and_eps_agrees_with_finite_differences() -> None:
    module, x = CRReLU(0.2).double(), torch.tensor([-2.0, -0.7, 0.4, 1.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, eps: torch.func.functional_call(module, {"eps": eps}, (x,)), (x, module.eps))
    module(x).sum().backward()
    v = x.detach()
    torch.testing.assert_close(module.eps.grad, (v * torch.exp(-(v**2) / 2)).sum())


def test_methods_start_from_the_same_weights_and_elu_is_celu(trials: Trials) -> None:
    states = {method: network(trials(method)).state_dict() for method in TRAINED}
    for state in states.values():
        assert all(torch.equal(value, states["relu"][name]) for name, value in state.items() if name in states["relu"])
    x = torch.linspace(-3, 3, 50)
    outputs = {method: ACTIVATIONS[method]()(x) for method in TRAINED}
    same = [(a, b) for a in TRAINED for b in TRAINED if a < b and torch.equal(outputs[a], outputs[b])]
    assert set(same) == {("celu", "elu"), (CRRELU, FROZEN)}


def test_decay_shrinks_the_matrices_alone(trials: Trials) -> None:
    model = network(trials(CRRELU))
    step = optimizer(model, 0.1, 0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    step.step()
    matrices = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name] * (0.95 if name in matrices else 1.0))


def test_eps_is_learned_unless_it_is_frozen(trials: Trials) -> None:
    assert trials.run(FROZEN)["eps_final"] == pytest.approx(0.01)
    learned = trials.run(CRRELU)["eps_final"]
    assert learned != pytest.approx(0.01, abs=1e-4)
    assert "eps_final" not in trials.run("relu")


def test_validation_selects_and_every_method_has_the_same_rates() -> None:
    assert train.tuned is not None
    assert train.tuned.by == ("val_loss",)
    for scale in TASK.scales.values():
        assert all(not grid.methods and len(grid.axes["lr"]) > 1 for grid in scale.grids if grid.experiment is train)


def test_the_gaussian_cdf_has_all_the_entropy_of_its_range_and_the_others_less(trials: Trials) -> None:
    for bounds in ({"low": -1.0, "high": 1.0}, {"low": 2.0, "high": 2.5}):
        gaps = {name: trials.run(name, bounds, experiment="entropy") for name in entropy.methods if name != CRRELU}
        best = gaps.pop("gaussian-cdf")
        assert best["output_entropy"] == pytest.approx(math.log(bounds["high"] - bounds["low"]), abs=1e-12)
        assert all(found["entropy_gap"] > 0.005 for found in gaps.values())


def test_a_wider_gaussian_cdf_agrees_with_its_closed_form() -> None:
    # log of Phi(x / s)' is -log s - log sqrt(2 pi) - x^2 / (2 s^2): the gap is log s + 1 / (2 s^2) - 1 / 2.
    for s in (0.7, 1.0, 2.0):
        found = gaussian_mean(lambda x: log_slope("gaussian-cdf", x / s, generator(0)) - math.log(s), 2000)  # noqa: B023
        assert -(0.5 * math.log(2 * math.pi * math.e) + found) == pytest.approx(math.log(s) + 0.5 / s**2 - 0.5, abs=1e-12)


@pytest.mark.parametrize("name", BOUNDED)
def test_entropies_agree_with_a_histogram_of_samples(trials: Trials, name: str) -> None:
    weights, centres, widths = (part.numpy() for part in mixture(generator(trials(name, experiment="entropy").seed_for("shape"))))
    x = np.random.default_rng(0).normal(size=400_000)
    z = torch.from_numpy((x[:, None] - centres) / (widths * math.sqrt(2)))
    values = {
        "sigmoid": 1 / (1 + np.exp(-x)),
        "sigmoid-1.702": 1 / (1 + np.exp(-1.702 * x)),
        "tanh": 0.5 + 0.5 * np.tanh(x),
        "arctan": np.arctan(x) / math.pi + 0.5,
        "softsign": 0.5 + 0.5 * x / (1 + abs(x)),
        "random-monotone": (0.5 + 0.5 * torch.erf(z).numpy()) @ weights,
    }[name]
    shares = np.histogram(values, bins=400, range=(0.0, 1.0))[0] / len(x)
    expected = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum()) - math.log(400)
    assert -trials.run(name, experiment="entropy")["entropy_gap"] == pytest.approx(expected, abs=0.01)


def test_the_entropy_of_crrelu_rises_with_eps(trials: Trials) -> None:
    rate = trials.run(CRRELU, experiment="entropy")["entropy_rate"]
    assert rate == pytest.approx(1 / math.sqrt(8), abs=1e-12)
    step, x = 1e-4, torch.linspace(1e-4, 10, 200_000, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(CRReLU(step).double()(x).sum(), x)
    half_normal = 2 * torch.exp(-0.5 * x.detach() ** 2) / math.sqrt(2 * math.pi)
    assert float(torch.trapezoid(half_normal * slope.log(), x.detach())) / step == pytest.approx(rate, rel=1e-2)


def test_whose_claims_they_are() -> None:
    kinds = {claim.id: claim.kind for claim in TASK.claims}
    assert {id for id, kind in kinds.items() if kind == "control"} == {"C1-relu-same", "C1-frozen", "floor"}
    assert kinds["C3-direction"] == "extension"
    assert [claim.id for claim in TASK.claims if claim.primary] == ["C1-all", "C3"]
    assert {claim.group for claim in TASK.claims if claim.kind == "paper"} == {"C1", "C3"}
