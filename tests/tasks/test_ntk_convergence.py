"""Trials against plain gradient descent and ridgeless kernel regression, what methods of a seed share, and planted slopes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from tasks.blocks.dual_kernels import wide_relu
from tasks.blocks.training import generator
from tasks.theory.ntk_convergence import experiment
from tests.tasks.trials import Trials

SMALL = {"examples": 15, "inputs": 6, "width": 30, "steps": 60, "widest": 60}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("ntk-convergence", tmp_path, experiment="train", base=SMALL)


@pytest.mark.parametrize(
    ("method", "lr", "first", "second"), [("ntk", 0.5, 6, 30), ("standard", 0.5 / 30, 1, 1), ("mean-field", 15.0, 6, 900)]
)
def test_a_trial_is_gradient_descent_on_the_formula_of_its_parametrisation(
    trials: Trials, method: str, lr: float, first: float, second: float
) -> None:
    trial = trials(method)
    stream = generator(trial.seed_for("init 0"))
    w, a = (torch.randn(*shape, generator=stream, dtype=torch.float64) for shape in ((6, 30), (30, 1)))
    weights = [(w * math.sqrt(2 / 6), a * math.sqrt(2 / 30))] if method == "standard" else [(w, a)]
    w, a = (part.clone().requires_grad_() for part in weights[0])
    gain = 1.0 if method == "standard" else 2.0
    points = torch.randn(30, 6, generator=generator(trial.seed_for("inputs")), dtype=torch.float64)
    x = points / points.norm(dim=1, keepdim=True)
    y, x = torch.sign(x[:, :1] * x[:, 1:2]), x * math.sqrt(3.0)

    def f(points: torch.Tensor) -> torch.Tensor:
        return gain * torch.relu(points @ w / math.sqrt(first)) @ a / math.sqrt(second)

    def kernel() -> torch.Tensor:
        found = [torch.cat([g.flatten() for g in torch.autograd.grad(f(point[None]).sum(), [w, a])]) for point in x[:15]]
        return torch.stack(found) @ torch.stack(found).T

    residual, before, step = y[:15] - f(x[:15]).detach(), kernel(), torch.optim.SGD([w, a], lr=lr)
    flow = f(x[15:]).detach()
    for _ in range(60):
        step.zero_grad()
        (f(x[:15]) - y[:15]).square().mean().backward()  # type: ignore[no-untyped-call]
        step.step()
    found = trials.run(method)
    with torch.no_grad():
        losses = [float((f(part) - label).square().mean()) for part, label in ((x[:15], y[:15]), (x[15:], y[15:]))]
    assert [found["train_loss"], found["test_loss"]] == pytest.approx(losses, rel=1e-8)
    if method == "ntk":
        wide = wide_relu(x @ x.T / 3.0, 1).ntk[-1]
        done = torch.eye(15) - torch.linalg.matrix_exp(-wide[:15, :15] * 2 * lr * 60 / 15)
        flow = flow + wide[15:, :15] @ torch.linalg.solve(wide[:15, :15], done @ residual)
        assert found["distance"] == pytest.approx(float((f(x[15:]).detach() - flow).square().mean().sqrt()), rel=1e-7)
    assert found["drift"] == pytest.approx(float((kernel() - before).norm() / before.norm()), rel=1e-8)


def test_wide_networks_follow_kernel_flow_and_narrow_or_mean_field_ones_do_not(trials: Trials) -> None:
    narrow, wide, control = (trials.run(*of) for of in (("ntk", {"width": 16}), ("ntk", {"width": 8192}), ("mean-field", {"width": 2048})))
    assert wide["distance"] < 0.1 < 2 * wide["distance"] + narrow["distance"] / 2
    assert wide["linearised"] < 0.2 * min(narrow["linearised"], control["linearised"])
    assert wide["drift"] < 0.03 < 1.0 < control["drift"]
    basis = trials.run("random-basis", {"width": 8192})
    assert basis["drift"] == wide["drift"]
    assert wide["rate_exponent"] - basis["rate_exponent"] > 0.5


def test_the_kernel_at_the_start_nears_the_whole_limit_alone(trials: Trials) -> None:
    at = {"width": 4000, "examples": 20}
    found = {method: trials.run(method, at, experiment="start")["deviation"] for method in ("ntk", "last-layer", "theory")}
    assert found["ntk"] == pytest.approx(found["theory"], rel=0.3)
    assert found["last-layer"] > 10 * found["theory"]
    one = [trials.run("ntk", {**at, "draws": draws}, experiment="start")["deviation"] for draws in (1, 2)]
    assert one[0] != one[1]


def test_flow_for_ever_is_kernel_regression_and_stopping_is_chosen_by_validation(trials: Trials) -> None:
    p = {"examples": 40, "inputs": 3, "flipped": 0.3}
    trial = trials("fitted", p, experiment="stop")
    x, y = experiment.sphere(trial, 120)
    turned = torch.rand(120, generator=generator(trial.seed_for("flips"))) < 0.3
    noisy = np.where(turned, -y[:, 0], y[:, 0])
    kernel = wide_relu(x @ x.T, 1).ntk[-1].numpy()
    model = KernelRidge(alpha=0.0, kernel="precomputed").fit(kernel[:40, :40], noisy[:40])
    off = ((model.predict(kernel[80:, :40]) - y[80:, 0].numpy()) ** 2).mean()
    found = {method: trials.run(method, p, experiment="stop")["test_loss"] for method in ("stopped", "fitted", "prior")}
    assert found["fitted"] == pytest.approx(off, rel=1e-6)
    assert found["prior"] == 1.0 > found["stopped"] > found["fitted"], (
        "forty points of validation mislead, which a look at the test would not"
    )
    larger = [
        [trials.run(m, {**p, "examples": 150}, experiment="stop", seed=seed)["test_loss"] for m in ("stopped", "fitted")]
        for seed in range(4)
    ]
    assert np.mean(larger, axis=0)[0] < np.mean(larger, axis=0)[1]
