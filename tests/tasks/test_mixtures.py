"""Mixtures of gated experts: their density against torch's, samples and a plain integral, and their likelihood's maximum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from tasks.blocks.mixtures import Experts


def experts(gate: Any, *changed: tuple[int, float]) -> Experts:
    vector = torch.tensor([1.5, 0.3, math.log(0.5), 1.0, -1.0, 0.5, -0.5, math.log(0.3), math.log(0.4)], dtype=torch.float64)
    for place, value in changed:
        vector[place] += value
    return Experts(gate, vector)


@pytest.mark.parametrize("gate", ["softmax", "tanh"])
def test_the_density_is_that_of_the_mixture_and_its_samples(gate: Any) -> None:
    model, x = experts(gate), torch.tensor([-0.7, 0.0, 0.9], dtype=torch.float64)
    inner = (torch.tanh(1.5 * x) if gate == "tanh" else 1.5 * x) + 0.3
    share = torch.sigmoid(inner / 0.5)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.stack([share, 1 - share], 1)),
        torch.distributions.Normal(torch.stack([x + 0.5, -x - 0.5], 1), torch.tensor([0.3, 0.4], dtype=torch.float64)),
    )
    y = torch.tensor([0.1, -2.0, 1.3], dtype=torch.float64)
    expected = mixture.log_prob(y)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(model.log_density(x, y), expected, rtol=1e-12, atol=1e-12)
    many = torch.full((200_000,), 0.9, dtype=torch.float64)
    drawn = model.sample(many, torch.Generator().manual_seed(0))
    assert drawn.mean() == pytest.approx(float(mixture.mean[2]), abs=0.01)
    assert drawn.var() == pytest.approx(float(mixture.variance[2]), rel=0.02)


def test_the_distance_of_densities_is_hellingers() -> None:
    model, other = experts("tanh"), experts("tanh", (3, 0.2), (0, 0.5))
    x, y = np.linspace(-1, 1, 801), np.linspace(-5, 5, 1001)[:, None]

    def root(slope: float, b1: float) -> np.ndarray:
        share = special.expit((np.tanh(b1 * x) + 0.3) / 0.5)
        density = share * stats.norm.pdf(y, slope * x + 0.5, 0.3) + (1 - share) * stats.norm.pdf(y, -x - 0.5, 0.4)
        return np.asarray(np.sqrt(density))

    apart = integrate.trapezoid(integrate.trapezoid((root(1.0, 1.5) - root(1.2, 2.0)) ** 2, dx=0.01, axis=0), dx=1 / 400) / 4
    assert model.hellinger(other) == pytest.approx(math.sqrt(apart), rel=1e-4)
    assert model.hellinger(model) == 0.0


def test_the_likelihoods_maximum_is_the_regressions_where_there_is_one_expert_and_one_of_several_is_a_maximum() -> None:
    stream = torch.Generator().manual_seed(2)
    x = torch.rand(400, generator=stream, dtype=torch.float64)
    y = 2.0 * x - 0.5 + 0.4 * torch.randn(400, generator=stream, dtype=torch.float64)
    one, gradient = Experts("softmax", torch.tensor([0.0, 1.0, 0.2, 0.1], dtype=torch.float64)).maximised(x, y)
    line = stats.linregress(x.numpy(), y.numpy())
    rest = y - line.slope * x - line.intercept
    assert one.vector.tolist() == pytest.approx([0.0, line.slope, line.intercept, math.log(float(rest.square().mean().sqrt()))], abs=1e-6)
    assert gradient < 1e-8
    kept, _ = Experts("softmax", torch.tensor([0.0, 1.0, 0.2, 0.1], dtype=torch.float64)).maximised(x, y, keep=2)
    assert kept.vector[1:3].tolist() == pytest.approx([float(x @ (y - 0.2) / (x @ x)), 0.2], abs=1e-6)
    begin = experts("tanh", (0, 0.2), (5, -0.1))
    x = 2.0 * x - 1.0
    y = experts("tanh").sample(x, stream)
    best = begin.maximised(x, y)[0]
    likelihoods = [float(each.log_density(x, y).mean()) for each in (begin, experts("tanh"), best)]
    assert likelihoods == sorted(likelihoods)
    for place in range(9):
        for step in (-1e-2, 1e-2):
            aside = Experts("tanh", best.vector + step * torch.eye(9, dtype=torch.float64)[place])
            assert float(aside.log_density(x, y).mean()) < likelihoods[-1]
