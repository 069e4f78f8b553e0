"""The law of Marchenko and Pastur against spectra of random matrices, and its parts against each other by quadrature."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate

from tasks.blocks import marchenko_pastur as mp

RATIOS = [0.25, 1.0, 2.0]


@pytest.mark.parametrize("ratio", RATIOS)
def test_random_matrices_have_its_spectrum(ratio: float) -> None:
    n = 900
    x = np.random.default_rng(0).normal(size=(n, round(ratio * n))) * math.sqrt(0.5)
    eigenvalues = np.linalg.eigvalsh(x.T @ x / n).clip(1e-12)
    low, high = mp.edges(ratio, 0.5)
    assert eigenvalues.max() == pytest.approx(high, rel=0.03)
    for at in np.linspace(low + 0.05 * (high - low), high, 5):
        assert mp.cdf(at, ratio, 0.5) == pytest.approx((eigenvalues <= at).mean(), abs=0.01)
    falling = eigenvalues[::-1]
    assert mp.distance(falling, len(falling), ratio, 0.5) < 0.005
    assert mp.distance(falling[:50], len(falling), ratio, 0.5) < 0.02 < mp.distance(falling[:50], 50, ratio, 0.5)
    assert (eigenvalues < 1e-9).mean() == pytest.approx(mp.zero_modes(ratio), abs=1e-3)


@pytest.mark.parametrize("ratio", [*RATIOS, 0.8])
def test_shares_quantiles_and_averages_follow_from_the_density(ratio: float) -> None:
    low, high = mp.edges(ratio, 3.0)
    assert mp.cdf([low - 1e-9, high], ratio, 3.0) == pytest.approx([mp.zero_modes(ratio) * (low > 0), 1.0], abs=1e-9)
    inner = np.linspace(low, high, 9)[1:-1]
    for left, right in itertools.pairwise(inner):
        mass = integrate.quad(lambda x: float(mp.density(x, ratio, 3.0)), left, right)[0]
        assert mp.cdf(right, ratio, 3.0) - mp.cdf(left, ratio, 3.0) == pytest.approx(mass, abs=1e-7)
    assert mp.quantiles(mp.cdf(inner, ratio, 3.0), ratio, 3.0) == pytest.approx(inner, rel=1e-5)
    x, weights = mp.nodes(ratio, 3.0)
    assert weights.sum() == pytest.approx(min(1.0, 1.0 / ratio))
    assert weights @ x == pytest.approx(3.0)
    assert weights @ x**2 == pytest.approx(9.0 * (1.0 + ratio)), "moments: variance and variance^2 (1 + ratio)"
    assert mp.quantiles([0.0], ratio, 3.0) == pytest.approx([0.0 if ratio > 1 else low])


@pytest.mark.parametrize("ratio", [0.5, 4.0])
def test_the_mean_inverse_is_that_of_wishart_matrices(ratio: float) -> None:
    x, weights = mp.nodes(ratio)
    assert weights @ (1 / x) == pytest.approx(1.0 / (1.0 - ratio) if ratio < 1 else 1.0 / (ratio * (ratio - 1.0)))
