"""Gradients against finite differences, optima against scipy, and what counts as converged."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.optimize import minimize

from harness.laws import LAWS, starts
from harness.laws.bounds import Bounds
from harness.laws.design import Design, Rows, build
from harness.laws.solver import Prior, gradient, hessian, huber, objective, solve
from tests.laws.conftest import CHINCHILLA, chinchilla_runs


def design_of(name: str, points: int = 30, seed: int = 0) -> Design:
    """A law on random rows of two families and, where it has efficiencies, three groups a family."""
    law, rng = LAWS[name], np.random.default_rng(seed)
    x = {column.name: 10 ** rng.uniform(6, 9, points) for column in law.columns}
    family = [f"f{i % 2}" for i in range(points)]
    group = [f"{own}/{i % 3}" for i, own in enumerate(family)] if law.efficiencies else family
    rows = Rows(
        x, 10 ** rng.uniform(0, 0.5, points), family, group, frozenset({"f0/0", "f1/0", "f1/1"}) & set(group), rng.uniform(0.5, 2, points)
    )
    return build(law, rows, frozenset({"E"} & set(law.parameters)))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("delta", [math.inf, 0.3])
def test_gradient_and_hessian_are_those_of_the_objective(name: str, delta: float) -> None:
    design, rng = design_of(name), np.random.default_rng(1)
    size = design.terms.shape[2]
    prior = Prior(rng.normal(0, 1, (2, size)), rng.normal(0, 1, 2), np.array([3.0, 0.5]), 1.0)
    some = np.arange(0, 30, 4)
    limits = Bounds(design.terms.at(some), design.log_y[some], rng.choice([-1.0, 1.0], len(some)), 0.7, 0.3)
    problem = dataclasses.replace(design, penalties=(prior, limits)).problem(delta)
    theta, weights = rng.normal(0, 0.5, problem.size), rng.uniform(0.2, 2.0, problem.points)
    for term in LAWS[name].terms:
        # What is subtracted must leave something.
        theta[[slot for (level, _), slot in design.slots.items() if level == term.level and term.sign < 0]] -= 4.0
    steps = 1e-5 * np.eye(problem.size)
    y = design.log_y
    across = objective(problem, theta + steps, y, weights) - objective(problem, theta - steps, y, weights)
    np.testing.assert_allclose(gradient(problem, theta[None], y[None], weights[None])[0], across / 2e-5, rtol=1e-6, atol=1e-7)
    rows = np.broadcast_to(y, (problem.size, problem.points)), np.broadcast_to(weights, (problem.size, problem.points))
    slopes = gradient(problem, theta + steps, *rows) - gradient(problem, theta - steps, *rows)
    expected = hessian(problem, theta[None], y[None], weights[None])[0]
    if math.isinf(delta):
        np.testing.assert_allclose(slopes / 2e-5, expected, rtol=1e-5, atol=1e-6)
    else:
        # A residual that crosses the edge of Huber's zone within the step bends the difference, so few entries may differ.
        assert np.isclose(slopes / 2e-5, expected, rtol=1e-4, atol=1e-5).mean() > 0.95


def test_huber_is_quadratic_inside_and_linear_outside() -> None:
    np.testing.assert_allclose(huber(np.array([0.05, -0.1, 0.3, -2.0]), 0.1), [0.00125, 0.005, 0.025, 0.195])
    np.testing.assert_allclose(huber(np.array([3.0]), math.inf), [4.5])


@pytest.mark.parametrize("delta", [math.inf, 1e-3])
def test_the_optimum_is_no_worse_than_scipy_s(delta: float) -> None:
    frame = chinchilla_runs()
    rows = Rows({"n": frame["n"].to_numpy(), "d": frame["d"].to_numpy()}, frame["y"].to_numpy(), [""] * 60, [""] * 60, frozenset())
    design = build(LAWS["chinchilla"], rows, frozenset(LAWS["chinchilla"].parameters))
    problem, ones = design.problem(delta), np.ones(60)
    found = solve(problem, starts.data_grid(design), design.log_y, ones)
    best = found.objective[found.converged].min()
    for number in range(5):
        start = np.random.default_rng(number).normal(0, 0.3, 5) + found.theta[found.objective.argmin()]
        theirs = minimize(lambda theta: objective(problem, theta[None], design.log_y, ones)[0], start, method="Nelder-Mead")
        assert best <= theirs.fun * (1 + 1e-9)
    assert (found.objective < best * (1 + 1e-6)).mean() > 0.5, "most of the grid finds the optimum"


def test_each_member_of_a_batch_is_its_own_problem() -> None:
    design = design_of("power-law-floor")
    problem, rng = design.problem(0.05), np.random.default_rng(2)
    grid, weights = starts.data_grid(design)[:6], rng.integers(0, 3, (6, problem.points)).astype(float)
    together = solve(problem, grid, design.log_y, weights)
    for i in range(6):
        alone = solve(problem, grid[i : i + 1], design.log_y, weights[i])
        np.testing.assert_allclose(alone.objective[0], together.objective[i], rtol=1e-9)


def test_a_start_that_is_not_an_optimum_is_not_converged_in_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    design = design_of("chinchilla")
    start = design.start({name: math.log(value) if name in "ABE" else value for name, value in CHINCHILLA.items()})
    monkeypatch.setattr("harness.laws.solver.MOST_ITERATIONS", 2)
    stopped = solve(design.problem(1e-3), start[None], design.log_y, np.ones(30))
    assert not stopped.converged[0]
    assert stopped.gradient[0] > 1e-3


def test_an_exact_fit_converges() -> None:
    x = np.logspace(6, 9, 12)
    rows = Rows({"x": x}, 400 * x**-0.34 + 1.7, [""] * 12, [""] * 12, frozenset())
    design = build(LAWS["power-law-floor"], rows, frozenset({"A", "alpha", "E"}))
    found = solve(design.problem(1e-3), starts.data_grid(design), design.log_y, np.ones(12))
    assert found.objective.min() < 1e-24
    values = {q.name: q.reported(q.fitted(found.theta[[found.objective.argmin()]]))[0] for q in design.quantities}
    assert values == pytest.approx({"A": 400, "alpha": 0.34, "E": 1.7}, rel=1e-6)
