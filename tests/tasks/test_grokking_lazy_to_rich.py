"""The committee as it is trained against torch.optim on its own weights, what methods of a seed share, and a planted lag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.blocks.algorithmic import modular, split
from tasks.blocks.training import generator
from tasks.grokking.grokking_lazy_to_rich import experiment
from tasks.grokking.grokking_lazy_to_rich.task import TASK, TRAINED
from tests.tasks.trials import Trials

SMALL = {"inputs": 12, "examples": 60, "units": 40, "steps": 400}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("grokking-lazy-to-rich", tmp_path, experiment="regression", base=SMALL)


def by_torch(trials: Trials, method: str, p: Mapping[str, Any]) -> list[float]:
    """The same training of w itself, with what it computes at the start subtracted, and a test loss of samples."""
    trial = trials(method, p)
    inputs, teacher = experiment.data(trial)
    start = p["sigma"] * torch.randn(12, 40, generator=generator(trial.seed_for("init")), dtype=torch.float64)
    epsilon = 0.0 if method == "linear" else p["epsilon"]

    def f(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return p["alpha"] * (x @ w + 0.5 * epsilon * (x @ w).square()).mean(1)

    def loss(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        before = 0.0 if method == "uncentred" else f(start, x)
        return (f(w, x) - before - 0.5 * (x @ teacher).square()).square().mean()

    weights = start.clone().requires_grad_()
    scale = 1.0 if method == "unscaled-rate" else p["alpha"] * p["sigma"]
    step = torch.optim.SGD([weights], lr=p["lr"] * 12 * 40 / scale**2)
    for _ in range(p["steps"]):
        step.zero_grad()
        loss(weights, inputs).backward()
        step.step()
    samples = torch.randn(200_000, 12, generator=generator(9), dtype=torch.float64) / math.sqrt(12)
    w = weights.detach()
    return [float(loss(w, inputs)), float(loss(w, samples)), float((w - start).norm() / start.norm())]


@pytest.mark.parametrize("method", TRAINED)
def test_a_trial_is_gradient_descent_on_the_committees_own_weights(trials: Trials, method: str) -> None:
    p = {"alpha": 1.5, "epsilon": 0.8, "sigma": 1.3, "lr": 0.05, "steps": 25}
    train, test, moved = by_torch(trials, method, p)
    found = trials.run(method, p)
    assert found["train_loss"] == pytest.approx(train, rel=1e-7)
    assert found["movement"] == pytest.approx(moved, rel=1e-7)
    assert found["test_loss"] == pytest.approx(test, rel=0.03)


def test_what_a_seed_shares_and_what_it_does_not(trials: Trials) -> None:
    data = experiment.data(trials("committee"))
    fewer = experiment.data(trials("linear", {"examples": 20, "alpha": 3.0}))
    assert torch.equal(data[0][:20], fewer[0])
    assert torch.equal(data[1], fewer[1])
    assert float(data[1] @ data[1]) == pytest.approx(12.0)
    other = experiment.data(trials("committee", seed=1))
    assert not torch.isclose(data[0], other[0]).any()
    members = {method: experiment.member(trials(method)) for method in TRAINED}
    assert len({member.seed for member in members.values()}) == 1
    assert members["committee"].seed != experiment.member(trials("committee", seed=1)).seed
    assert trials.run("mean")["test_loss"] == experiment.VARIANCE


def test_a_lazy_committee_lags_and_a_rich_one_with_many_examples_does_not(trials: Trials) -> None:
    cells = [{"alpha": 2.0, "steps": 500}, {"alpha": 0.25}, {"alpha": 2.0, "steps": 50}]
    packed = [trials("committee", {"epsilon": 0.2, **cell}, seed=1) for cell in cells]
    ended = dict(said for said in experiment.regression(packed) if isinstance(said, tuple))
    lazy, rich, late = (ended[trial] for trial in packed)
    many = trials.run("committee", {"epsilon": 0.2, "alpha": 0.25, "examples": 400, "steps": 50}, seed=1)
    assert lazy["grok_gap"] > 5 * rich["grok_gap"] > 0.0 == lazy["grok_gap_censored"]
    assert lazy["delay"] > 1.5 * rich["delay"] > 2.0 * many["delay"]
    assert lazy["movement"] < 0.5 * rich["movement"]
    assert rich["norm_growth"] > 1.1
    assert late["grok_gap_censored"] == late["lag_censored"] == 1.0
    assert lazy["lag"] == pytest.approx(lazy["grok_gap"] / (lazy["grok_gap"] + lazy["grok_gap"] / (lazy["delay"] - 1.0)))


def test_addition_is_the_authors_network(trials: Trials) -> None:
    p = {"modulus": 5, "units": 16, "alpha": 2.25, "steps": 30, "lr": 20.0}
    trial = trials("committee", p, experiment="addition")
    stream = generator(trial.seed_for("init"))
    first, second = (torch.randn(*shape, generator=stream, dtype=torch.float64).float().requires_grad_() for shape in ((10, 16), (16, 5)))
    inputs, labels = modular(5)
    rows = split(25, {"train": 0.9}, trial.seed_for("split"))["train"]
    step, scale = torch.optim.SGD([first, second], lr=20.0 / 1.5**2), 1.5
    for _ in range(30):  # as in their notebook: outputs times scale^2, loss and rate over scale^2
        step.zero_grad()
        loss = torch.nn.functional.mse_loss(((inputs @ first) ** 2 @ second * scale**2 / (10 * 16))[rows], torch.eye(5)[labels[rows]])
        (loss / scale**2).backward()
        step.step()
    with torch.no_grad():
        left = torch.nn.functional.mse_loss(((inputs @ first) ** 2 @ second * scale**2 / (10 * 16))[rows], torch.eye(5)[labels[rows]])
    assert trials.run("committee", p, experiment="addition")["train_loss"] == pytest.approx(float(left), rel=1e-4)


def test_whose_claims_they_are() -> None:
    assert [claim.id for claim in TASK.claims if claim.primary] == ["C1-gap", "C2-gap", "C2-loss", "C3-many", "C4-norm"]
    assert {claim.group for claim in TASK.claims if claim.kind == "paper" and claim.group} == {"C1", "C2", "C3"}
