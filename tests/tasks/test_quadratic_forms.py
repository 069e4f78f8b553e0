"""Gaussian processes against scikit-learn, and the law of quadratic forms against scipy's chi-squares, draws and tilted draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from tasks.blocks.gaussian_processes import rbf_posterior
from tasks.blocks.quadratic_forms import QuadraticForm, generated_cumulants, matched_log_chance


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_posterior_is_sklearns() -> None:
    x, y = drawn(0, 30, 3), drawn(1, 20)
    model = GaussianProcessRegressor(RBF(0.7), alpha=1e-3, optimizer=None).fit(x[:20], y)
    mean, covariance = model.predict(x[20:], return_cov=True)
    ours = rbf_posterior(x, y, 1e-3, 0.7)
    assert np.allclose(ours[0], mean, atol=1e-8)
    assert np.allclose(ours[1], covariance, atol=1e-8)
    with pytest.raises(ValueError, match="too small for the kernel of 40 examples"):
        rbf_posterior(drawn(0, 50, 1), drawn(1, 40), 1e-18)


def test_a_form_is_the_mean_square_of_its_gaussian() -> None:
    factor, mean = drawn(2, 6, 4), drawn(3, 6)
    form = QuadraticForm.of(mean, factor @ factor.T)
    assert len(form.weights) == 4
    assert form.floor == pytest.approx(np.linalg.lstsq(factor, mean, rcond=None)[1][0] / 6)
    whole = ((mean + drawn(4, 400_000, 4) @ factor.T) ** 2).mean(1)
    generated = generated_cumulants(mean, factor @ factor.T, 3)
    assert [form.cumulant(order) for order in (1, 2, 3)] == pytest.approx(generated, rel=1e-12)
    own = form.draws(400_000, np.random.default_rng(5))
    for order, k in ((1, stats.kstat(whole, 1)), (2, stats.kstat(whole, 2)), (3, stats.kstat(whole, 3))):
        assert form.cumulant(order) == pytest.approx(k, rel=0.05)
        assert stats.kstat(own, order) == pytest.approx(k, rel=0.08)
    for level in np.quantile(whole, [0.02, 0.3, 0.9]):
        assert math.exp(form.log_chance(level)) == pytest.approx((whole <= level).mean(), rel=0.08)
        assert math.exp(form.log_chance(level)) == pytest.approx((own <= level).mean(), rel=0.08)


@pytest.mark.parametrize(("count", "shift"), [(2, 0.0), (20, 0.6), (200, 1.5)])
def test_chances_are_those_of_a_noncentral_chi_square(count: int, shift: float) -> None:
    form = QuadraticForm(np.full(count, 0.3), np.full(count, shift), 0.1)
    law = stats.ncx2(count, count * shift**2) if shift else stats.chi2(count)
    for share in (1e-3, 0.2, 0.5, 0.999):
        assert form.log_chance(0.1 + 0.3 * law.ppf(share)) == pytest.approx(math.log(share), rel=0.03, abs=0.03)
    mean = float(form.cumulant(1))
    assert form.log_chance(mean) == pytest.approx(form.log_chance(mean * (1 + 1e-4)), abs=0.01)
    assert form.log_chance(0.1) == form.tilted(0.1, 10, np.random.default_rng(0)) == -math.inf


def test_far_tails_are_those_of_tilted_draws() -> None:
    form = QuadraticForm(np.geomspace(1e-6, 1e-2, 100), 3.0 * np.abs(drawn(6, 100)))
    for level, least in ((0.9, 1.0), (0.3, 20.0), (0.02, 100.0)):
        tilted = form.tilted(level * form.cumulant(1), 20_000, np.random.default_rng(7))
        assert form.log_chance(level * form.cumulant(1)) == pytest.approx(tilted, rel=0.02, abs=0.05)
        assert tilted < -least or level == 0.9


def test_a_matched_law_goes_on_where_it_underflows() -> None:
    assert matched_log_chance(6.0, 12.0, 2.0) == pytest.approx(stats.chi2(6).logcdf(2.0))
    shape, scale = 40.0, 0.05
    found = [matched_log_chance(shape * scale, shape * scale**2, level) for level in (1e-9, 2e-9)]
    assert found[1] - found[0] == pytest.approx(shape * math.log(2.0), rel=1e-4)
    assert found[0] < -700.0
    edge = float(stats.gamma(1000.0).ppf(1e-290))
    below, above = (matched_log_chance(1000.0, 1000.0, edge * (1.0 + step)) for step in (-1e-9, 1e-9))
    assert below == pytest.approx(above, abs=1e-4)
    assert above == pytest.approx(math.log(1e-290), abs=1e-3)
