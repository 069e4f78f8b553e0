"""Trials against plain gradient descent and ridgeless kernel regression, what methods of a seed share, and planted slopes."""

from __future__ import annotations

import pytest
import torch

from tasks.blocks.dual_kernels import relu_ntk
from tasks.blocks.generators import product_on_sphere
from tasks.blocks.kernel_flow import KernelFlow
from tasks.blocks.tangent_kernels import relu_network, scaled, tangent_kernel
from tasks.blocks.training import generator, normal
from tests.tasks.trials import Trials, trials_of

SMALL = {"examples": 15, "inputs": 6, "width": 30, "steps": 60, "widest": 60}
trials = trials_of("ntk-convergence", experiment="train", base=SMALL)


@pytest.mark.parametrize(("method", "lr"), [("ntk", 0.5), ("standard", 0.5 / 30), ("mean-field", 15.0)])
def test_a_trial_is_gradient_descent_on_its_network(trials: Trials, method: str, lr: float) -> None:
    trial = trials(method)
    x, y = product_on_sphere(normal(trial, "inputs", 30, 6))
    x = scaled(x)
    network = relu_network(6, 30, 1, method)  # type: ignore[arg-type]
    weights = network.initial(generator(trial.seed_for("init 0")))
    step = torch.optim.SGD([weight.requires_grad_() for weight in weights.values()], lr=lr)
    before, kernel = network(weights, x, {}).detach(), tangent_kernel(network, weights, x, x[:15])
    for _ in range(60):
        step.zero_grad()
        (network(weights, x[:15], {}) - y[:15]).square().mean().backward()  # type: ignore[no-untyped-call]
        step.step()
    found, after = trials.run(method), network(weights, x, {}).detach()
    errors = (after - y).square()
    assert [found["train_loss"], found["test_loss"]] == pytest.approx([float(errors[:15].mean()), float(errors[15:].mean())], rel=1e-8)
    moved = (tangent_kernel(network, weights, x[:15]) - kernel[:15]).norm() / kernel[:15].norm()
    assert found["drift"] == pytest.approx(float(moved), rel=1e-8)
    for name, of in {"linearised": kernel, "distance": relu_ntk(x, x[:15] / 3.0, 1)}.items():
        flow = before + KernelFlow.of(of[:15], y[:15] - before[:15]).moved(of, 2 * lr * 60 / 15)
        assert name not in found or found[name] == pytest.approx(float((after - flow)[15:].square().mean().sqrt()), rel=1e-7)


def test_wide_networks_follow_kernel_flow_along_its_eigenvectors(trials: Trials) -> None:
    narrow, wide, basis = (trials.run(method, {"width": width}) for method, width in (("ntk", 16), ("ntk", 8192), ("random-basis", 8192)))
    assert wide["distance"] < 0.1 < 2 * wide["distance"] + narrow["distance"] / 2
    assert basis["drift"] == wide["drift"] < 0.03
    assert wide["rate_exponent"] - basis["rate_exponent"] > 0.5


def test_the_kernel_at_the_start_nears_the_whole_limit_alone(trials: Trials) -> None:
    at = {"width": 4000, "examples": 20}
    ntk, wrong, theory = (trials.run(method, at, experiment="start")["deviation"] for method in ("ntk", "last-layer", "theory"))
    assert ntk == pytest.approx(theory, rel=0.3)
    assert wrong > 10 * theory
    assert trials.run("ntk", {**at, "draws": 1}, experiment="start")["deviation"] != ntk


def test_flow_for_ever_is_kernel_regression_and_stopping_is_chosen_by_validation(trials: Trials) -> None:
    p = {"examples": 40, "inputs": 3, "flipped": 0.3}
    trial = trials("fitted", p, experiment="stop")
    x, y = product_on_sphere(normal(trial, "inputs", 120, 3))
    turned = torch.rand(120, 1, generator=generator(trial.seed_for("flips"))) < 0.3
    predicted = relu_ntk(x[80:], x[:40], 1) @ torch.linalg.solve(relu_ntk(x[:40], x[:40], 1), torch.where(turned, -y, y)[:40])
    stopped, fitted, prior = (trials.run(method, p, experiment="stop")["test_loss"] for method in ("stopped", "fitted", "prior"))
    assert fitted == pytest.approx(float((predicted - y[80:]).square().mean()), rel=1e-6)
    assert prior == 1.0 > stopped > fitted, "forty points of validation mislead, which a look at the test would not"
    of = {**p, "examples": 150}
    larger = [trials.run(method, of, experiment="stop", seed=s)["test_loss"] for method in ("stopped", "fitted") for s in range(4)]
    assert sum(larger[:4]) < sum(larger[4:])
