"""The committee as it is trained against torch.optim on its own weights, what methods of a seed share, and a planted lag."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it

from tasks.blocks.algorithmic import modular, split
from tasks.blocks.committees import VARIANCE, sampled
from tasks.blocks.training import generator
from tasks.grokking.grokking_lazy_to_rich import experiment
from tasks.grokking.grokking_lazy_to_rich.task import TRAINED
from tests.tasks.trials import Trials, descended

TASK_ID, BASE = "grokking-lazy-to-rich", {"inputs": 12, "examples": 60, "units": 40, "steps": 400}


@pytest.mark.parametrize("method", TRAINED)
def test_a_trial_is_gradient_descent_on_the_committees_own_weights(trials: Trials, method: str) -> None:
    p = {"alpha": 1.5, "epsilon": 0.8, "sigma": 1.3, "lr": 0.05, "steps": 25}
    trial = trials(method, p)
    inputs, teacher = experiment.data(trial)
    start = 1.3 * torch.randn(12, 40, generator=generator(trial.seed_for("init")), dtype=torch.float64)

    def f(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return 1.5 * (x @ w + (0.0 if method == "linear" else 0.4) * (x @ w).square()).mean(1)

    def loss(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        before = 0.0 if method == "uncentred" else f(start, x)
        return (f(w, x) - before - 0.5 * (x @ teacher).square()).square().mean()

    scale = 1.0 if method == "unscaled-rate" else 1.5 * 1.3
    (w,) = descended([start], lambda w: loss(w, inputs), lr=0.05 * 12 * 40 / scale**2, steps=25)
    found = trials.run(method, p)
    assert found["train_loss"] == pytest.approx(float(loss(w, inputs)), rel=1e-7)
    assert found["movement"] == pytest.approx(float((w - start).norm() / start.norm()), rel=1e-7)
    assert found["test_loss"] == pytest.approx(float(loss(w, sampled(200_000, 12, seeds=(9, 9))[0])), rel=0.03)


def test_what_a_seed_shares_and_what_it_does_not(trials: Trials) -> None:
    data, same, other = (experiment.data(t) for t in (trials("committee"), trials("linear", {"alpha": 3.0}), trials("committee", seed=1)))
    for one, twin, apart in zip(data, same, other, strict=True):
        assert torch.equal(one, twin)
        assert not torch.isclose(one, apart).any()
    members = {method: experiment.member(trials(method)) for method in TRAINED}
    assert len({member.seed for member in members.values()}) == 1
    assert members["committee"].seed != experiment.member(trials("committee", seed=1)).seed
    assert trials.run("mean")["test_loss"] == VARIANCE


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
    stream, (inputs, labels) = generator(trial.seed_for("init")), modular(5)
    start = [torch.randn(*shape, generator=stream, dtype=torch.float64).float() for shape in ((10, 16), (16, 5))]
    rows = split(25, {"train": 0.9}, trial.seed_for("split"))["train"]

    def loss(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:  # as in their notebook: outputs times scale^2, here 1.5^2
        return F.mse_loss(((inputs @ first) ** 2 @ second * 1.5**2 / (10 * 16))[rows], torch.eye(5)[labels[rows]])

    ended = descended(start, lambda *own: loss(*own) / 1.5**2, lr=20.0 / 1.5**2, steps=30)  # loss and rate over scale^2
    assert trials.run("committee", p, experiment="addition")["train_loss"] == pytest.approx(float(loss(*ended)), rel=1e-4)
