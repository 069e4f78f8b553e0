"""The eigenframework against its own equations, simulations, kernel regression, its power laws, and least squares in many dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from tasks.blocks.eigenframework import Spectrum, best_ridge, overfitting_at_best, solve, uncaptured
from tasks.blocks.random_features import Fits, ridge_path, simulated


def normal(stream: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=stream, dtype=torch.float64)


@pytest.mark.parametrize("ridge", [0.0, 1e-9, 1e-3, 1.0, 100.0])
@pytest.mark.parametrize(("n", "k"), [(20, 50), (50, 20), (30, 30), (20, math.inf), (200, 150), (1, 1)])
def test_what_is_solved_satisfies_both_equations(n: int, k: float, ridge: float) -> None:
    task = Spectrum.power_law(400, 1.4, 1.7)
    found = solve(task, n, k, ridge)
    z = float((task.values / (task.values + found.gamma)).sum())
    open_share = 0.0 if math.isinf(k) else z / k
    assert found.kappa == pytest.approx(found.gamma * (1.0 - open_share), rel=1e-5, abs=1e-14)
    if ridge:
        assert z + ridge / found.kappa == pytest.approx(n, rel=1e-9)
        assert found.train_error == pytest.approx((ridge / (n * found.kappa)) ** 2 * found.test_error, rel=1e-6)
    assert z == pytest.approx(found.freedom, rel=1e-9)


@pytest.mark.parametrize(("n", "k", "ridge"), [(64, 32, 1e-9), (64, 200, 1e-3), (64, 64, 0.3), (64, 0, 1e-2)])
def test_simulated_errors_lie_around_those_of_the_closed_form(n: int, k: int, ridge: float) -> None:
    task, stream = Spectrum.power_law(300, 1.3, 1.6, noise=0.2), torch.Generator().manual_seed(n + k)
    errors = []
    for _ in range(120):
        found = simulated(task, lambda _, *shape: normal(stream, *shape), n, k, 200, torch.tensor([ridge]))
        errors.append([float(of) for of in (found.test, found.validation, found.path.train_error)])
    said = solve(task, n, k or math.inf, ridge)
    mean, error = np.mean(errors, axis=0), np.std(errors, axis=0) / math.sqrt(len(errors))
    # The framework is exact in the limit alone: beyond the noise of the mean, two per cent are left to finite sizes.
    for place, stated in enumerate((said.test_error, said.test_error, said.train_error)):
        assert abs(mean[place] - stated) < 3 * error[place] + 0.02 * stated


def test_a_simulated_fit_is_sklearns_on_what_was_drawn() -> None:
    task, ridges = Spectrum.power_law(200, 1.5, 1.2, noise=0.1), [1e-6, 1e-2, 1.0]

    def draw(purpose: str, rows: int, columns: int) -> torch.Tensor:
        return normal(torch.Generator().manual_seed(sum(map(ord, purpose))), rows, columns)

    found = simulated(task, draw, 32, 16, 64, torch.tensor(ridges))
    data = []
    for purpose, n in (("examples", 32), ("validation", 64), ("elsewhere", 4000)):
        x = draw(f"{purpose}-0", n, 200).numpy()
        y = x @ np.sqrt(task.signal) + math.sqrt(0.1) * draw(f"{purpose}-noise-0", n, 1)[:, 0].numpy()
        data.append((x * np.sqrt(task.values) @ draw("features-0", 16, 200).numpy().T / 4.0, y))
    for place, ridge in enumerate(ridges):
        model = Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(*data[0])
        train, validation, test = (((model.predict(features) - y) ** 2).mean() for features, y in data)
        assert (float(found.path.train_error[place]), float(found.validation[place])) == pytest.approx((train, validation), rel=1e-6)
        assert float(found.test[place]) == pytest.approx(test, rel=0.1)
    assert not torch.equal(found.test, simulated(task, draw, 32, 16, 64, torch.tensor(ridges), draw=1).test)


def test_many_features_are_the_kernel() -> None:
    task = Spectrum.power_law(500, 1.5, 1.5, noise=0.1)
    wide, kernel = (solve(task, 64, k, 1e-2) for k in (1e9, math.inf))
    assert (wide.test_error, wide.train_error) == pytest.approx((kernel.test_error, kernel.train_error), rel=1e-6)
    shares = task.values / (task.values + kernel.gamma)
    left = (1 - shares) ** 2 @ task.signal + task.noise
    assert kernel.test_error == pytest.approx(left / (1 - (shares**2).sum() / 64), rel=1e-12)
    assert kernel.kappa == kernel.gamma


def test_isotropic_least_squares_has_its_known_risk() -> None:
    """m equal eigenvalues: below n the risk is noise n / (n - m - 1), in the limit noise / (1 - m / n) (Hastie et al. 2022)."""
    task = Spectrum(np.ones(50), np.full(50, 0.02), noise=0.3)
    assert solve(task, 200, math.inf, 1e-10).test_error == pytest.approx(0.3 / (1 - 50 / 200), rel=1e-6)
    ridgeless = solve(task, 20, math.inf, 0.0).test_error
    assert ridgeless == pytest.approx((0.6**2 + 0.3) / (1 - 20 / 50), rel=1e-9)


def test_relative_noise_is_over_what_interpolation_leaves_of_the_signal() -> None:
    task = Spectrum.power_law(300, 1.4, 1.7, noise=0.1)
    assert np.log(task.values[1] / task.values[3]) / math.log(2) == pytest.approx(1.4)
    assert np.log(task.signal[1] / task.signal[3]) / math.log(2) == pytest.approx(1.7)
    assert task.noisier(3.0, 20).noise == pytest.approx(0.1 + 3.0 * uncaptured(task, 20))
    assert task.noisier(0.0, 400) == task


def test_no_ridge_is_the_limit_from_above_and_infinite_where_k_is_n() -> None:
    task = Spectrum.power_law(400, 1.4, 1.7, noise=0.1)
    for n, k in ((20, 50), (50, 20), (20, math.inf)):
        limit, near = solve(task, n, k, 0.0), solve(task, n, k, 1e-11)
        assert near.test_error == pytest.approx(limit.test_error, rel=1e-6)
        assert near.train_error == pytest.approx(limit.train_error, rel=1e-6, abs=1e-12)
    assert math.isinf(solve(task, 30, 30, 0.0).test_error)
    for wrong in ({"ridge": -1.0}, {"examples": 0}, {"examples": 400, "features": math.inf}):
        with pytest.raises(ValueError, match="ridge"):
            solve(task, **{"examples": 10, "features": 20, "ridge": 0.0, **wrong})


def test_the_best_ridge_is_that_of_a_fine_grid() -> None:
    task = Spectrum.power_law(400, 1.5, 1.5, noise=0.1)
    ridge, found = best_ridge(task, 64, 100)
    risks = [solve(task, 64, 100, r).test_error for r in np.geomspace(ridge / 3, ridge * 3, 31)]
    assert found.test_error <= min(risks) * (1 + 1e-12)
    assert found.test_error == pytest.approx(min(risks), rel=1e-4)
    assert best_ridge(Spectrum.power_law(400, 1.5, 2.5), 64, math.inf)[0] == 0.0


@pytest.mark.parametrize(("a", "b", "noise"), [(1.5, 1.6, 0.0), (1.5, 1.6, 2.0), (1.8, 1.6, 0.0), (1.5, 2.0, 3.0)])
def test_overfitting_at_the_best_ridge_is_that_of_many_examples(a: float, b: float, noise: float) -> None:
    found = best_ridge(Spectrum.power_law(60_000, a, b).noisier(noise, 500), 500, math.inf)[1]
    assert found.train_error / found.test_error == pytest.approx(overfitting_at_best(a, b, noise), abs=0.012)


def test_validation_alone_selects_among_the_ridges_that_are_allowed() -> None:
    path = ridge_path(torch.eye(2), torch.ones(2), torch.tensor([0.0, 1.0, 3.0, 8.0]))
    fits = Fits(path, torch.tensor([5.0, 1.0, 3.0, 2.0]), torch.tensor([0.1, 0.4, 0.3, 0.2]))
    assert fits.best(path.train_error >= 0.0) == pytest.approx((1.0, 0.25, 1.0, 0.4))
    assert fits.best(path.train_error > 0.3) == pytest.approx((8.0, (8 / 9) ** 2, 2.0, 0.2))
