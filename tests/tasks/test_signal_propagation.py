"""Random networks against routes that share nothing with them: scipy's quadrature, whole networks in numpy, two inputs, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from tasks.blocks.signal_propagation import chi_square_kernels, kernel_growth, piecewise_linear, propagate, random_networks


def mean(function: object, kernel: float) -> float:
    """E[function(z)] over z ~ N(0, kernel)."""
    return float(integrate.quad(lambda g: function(math.sqrt(kernel) * g) * stats.norm.pdf(g), -12.0, 12.0)[0])  # type: ignore[operator]


def test_a_wide_network_is_the_recursion_by_another_quadrature() -> None:
    c, skip, kernel, vertex = 1.3, 0.4, 1.3, 0.0
    found = propagate(torch.tanh, c, 3, skip=skip)
    for layer in range(4):
        assert float(found["kernel"][layer]) == pytest.approx(kernel, rel=1e-7)
        assert float(found["vertex"][layer]) == pytest.approx(vertex / kernel**2, rel=1e-7)
        assert float(found["apart"][layer]) == pytest.approx(c * mean(lambda z: math.cosh(z) ** -4, kernel), rel=1e-7)
        square, fourth = mean(lambda z: math.tanh(z) ** 2, kernel), mean(lambda z: math.tanh(z) ** 4, kernel)
        step = 1e-4 * kernel  # chi is the derivative of the map of kernels
        chi = c * (mean(lambda z: math.tanh(z) ** 2, kernel + step) - mean(lambda z: math.tanh(z) ** 2, kernel - step)) / (2 * step)
        own = 2 * skip**2 * c * (mean(lambda z: (z * math.tanh(z)) ** 2, kernel) - kernel * square)
        vertex = (skip**2 + chi) ** 2 * vertex + c**2 * (fourth - square**2) + own
        kernel = skip**2 * kernel + c * square


def test_nearby_inputs_come_apart_by_chi_perp() -> None:
    stream = np.random.default_rng(0)
    x, y = np.ones(8), np.ones(8)
    y[:4] += 1e-4
    y *= np.sqrt(8) / np.linalg.norm(y)
    growth, (z, w) = [], (x, y)
    for layer, (rows, columns) in enumerate([(3000, 8), (3000, 3000), (3000, 3000)]):
        matrix = stream.standard_normal((rows, columns)) * math.sqrt(2.0 / columns)
        z, w = (matrix @ (np.tanh(v) if layer else v) for v in (z, w))
        growth.append(((z - w) ** 2).mean())
    found = propagate(torch.tanh, 2.0, 2)["apart"]
    assert growth[1] / growth[0] == pytest.approx(float(found[0]), rel=0.15)
    assert growth[2] / growth[1] == pytest.approx(float(found[1]), rel=0.15)


@pytest.mark.parametrize("skip", [0.0, 0.6])
def test_moments_are_those_of_whole_networks(skip: float) -> None:
    n, count, c, stream = 24, 12_000, 1.5, np.random.default_rng(1)
    z = math.sqrt(c) * stream.standard_normal((count, n))
    for _ in range(2):
        s = np.maximum(z, 0.0) - 0.2 * np.minimum(z, 0.0)
        z = skip * z + math.sqrt(c / n) * np.einsum("kij,kj->ki", stream.standard_normal((count, n, n)), s)
    second, fourth = random_networks(piecewise_linear(1.0, -0.2), c, 2, n, count, torch.Generator().manual_seed(3), skip=skip)
    pairs = (z * np.roll(z, 1, axis=1)) ** 2
    for ours, theirs in ((second, (z**2).mean(1)), (fourth, pairs.mean(1))):
        error = 4.0 * math.hypot(float(ours[-1].std()), theirs.std()) / math.sqrt(count)
        assert float(ours[-1].mean()) == pytest.approx(theirs.mean(), abs=error)
        assert error < 0.15 * theirs.mean()


def test_chi_squares_have_the_law_of_networks_without_their_weights() -> None:
    chained = chi_square_kernels((1.0, 0.3), 1.8, 2, 5, 40_000, np.random.default_rng(2))
    drawn = random_networks(piecewise_linear(1.0, 0.3), 1.8, 2, 5, 40_000, torch.Generator().manual_seed(4))[0].numpy()
    for layer in range(2):
        assert stats.ks_2samp(chained[layer], drawn[layer]).pvalue > 0.01
    assert stats.ks_2samp(chained[1], 1.03 * drawn[1]).pvalue < 0.01
    a2 = (1.0 + 0.3**2) / 2
    assert chained.mean(1) == pytest.approx([1.8**2 * a2, 1.8**3 * a2**2], rel=0.02)


def test_growth_is_from_the_first_kernel_to_the_last_and_a_layer_over_the_second_half() -> None:
    ratio, rate = kernel_growth(np.array([2.0, 9.0, 7.0, 1.0, 3.0, 4.0, 8.0]))
    assert (ratio, rate) == (4.0, pytest.approx(math.log(8.0) / 3))
