"""Modes of a linear teacher against plain gradient descent, autograd, ridge regression and closed forms of Wishart matrices."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.blocks.gradient_flow import Modes, best_time, descended, limiting, sampled
from tasks.blocks.random_features import ridge_path


def sample(aspect: float, size: int = 40, *, init: float = 0.7, noise: float = 0.2, teachers: int = 1) -> list[torch.Tensor]:
    stream = torch.Generator().manual_seed(3)
    rows = round(aspect * size)
    shapes = {(rows, size): size**-0.5, (size, teachers): 1.0}
    x, w = (scale * torch.randn(*shape, generator=stream, dtype=torch.float64) for shape, scale in shapes.items())
    start = init * torch.randn(size, teachers, generator=stream, dtype=torch.float64)
    return [x, w, start, math.sqrt(noise) * torch.randn(rows, teachers, generator=stream, dtype=torch.float64)]


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_modes_are_gradient_descent_and_a_small_step_is_the_flow(aspect: float) -> None:
    x, teacher, start, noise = sample(aspect, teachers=3)
    modes = sampled(x, teacher, start, noise)
    rate = 0.01 / float(modes.values.max())
    weights = descended(x, x @ teacher + noise, start, rate, 400)
    first = start - rate * torch.func.grad(lambda w: 0.5 * (x @ (w - teacher) - noise).square().sum())(start)
    assert torch.allclose(descended(x, x @ teacher + noise, start, rate, 1), first)
    error = float((weights - teacher).square().mean())
    assert float(modes.excess((1.0 - rate * modes.values) ** 400)) == pytest.approx(error, rel=1e-10)
    assert float(modes.flow(torch.tensor([400 * rate]))[0]) == pytest.approx(error, rel=1e-2)
    course = modes.course(50.0, first=0.5, per_decade=10)
    assert torch.allclose(course[[0, 1, -1]], modes.flow(torch.tensor([0.0, 0.5, 50.0], dtype=torch.float64)))
    assert len(course) == 21
    assert float(course[-1] - modes.unfrozen().course(50.0)[-1]) == pytest.approx(modes.frozen)
    assert float(modes.flow(torch.tensor([0.0]))[0]) == pytest.approx(float((start - teacher).square().mean()))


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_ridge_is_ridge_regression(aspect: float) -> None:
    x, teacher, start, noise = sample(aspect, init=0.0)
    path = ridge_path(x, x @ teacher + noise, torch.tensor([0.3]))
    assert float(sampled(x, teacher, start, noise).ridge(0.3)) == pytest.approx(float((path.weights[0] - teacher).square().mean()))


@pytest.mark.parametrize("aspect", [0.5, 0.8, 2.0])
def test_the_limit_is_what_large_samples_have(aspect: float) -> None:
    times = torch.tensor([0.3, 2.0, 50.0], dtype=torch.float64)
    found = sampled(*sample(aspect, 300, teachers=100)).flow(times)
    assert torch.allclose(limiting(aspect, 0.7, 0.2).flow(times), found, rtol=0.03)


def test_at_the_end_the_limit_is_the_mean_inverse_of_wishart_matrices() -> None:
    forever = torch.tensor([1e7], dtype=torch.float64)
    for init in (0.0, 0.5, 1.0, 2.0):
        assert float(limiting(0.5, init, 0.2).flow(forever)) == pytest.approx(0.5 * (1 + init**2) + 0.2 * 1.0)
    assert float(limiting(4.0, 2.0, 0.2).flow(forever)) == pytest.approx(0.2 / 3.0)


def test_a_mode_is_best_at_its_time_and_the_best_ridge_is_noise_over_signal() -> None:
    value = torch.tensor([0.4, 3.0], dtype=torch.float64)
    at = best_time(value, 1.49 / 0.2).requires_grad_()
    modes = Modes(value, torch.full_like(value, 1.49), torch.zeros_like(value), 0.2 / value, 0.0)
    (slope,) = torch.autograd.grad(modes.excess(torch.exp(-value * at)), at)
    assert slope.abs().max() < 1e-12
    ridges = [float(limiting(0.8, 0.0, 0.2).ridge(ridge)) for ridge in (0.19, 0.2, 0.21)]
    assert ridges[1] == min(ridges)
