"""Where the rationals start: coefficients that make P/Q the identity, swish or GELU, and the variance that each lets through.

F(x) = (a_0 + a_1 x + ... + a_5 x^5) / (1 + |b_1||x| + ... + |b_4||x|^4): the form that the released kernels evaluate ("form A").

The identity is exact. swish and GELU come from `fit` below. Both are x/2 plus an even part; with Q even, F has the odd part x/2 exactly
when a_1 = 1/2, a_3 = b_2/2, a_5 = b_4/2 and b_1 = b_3 = 0, which leaves (a_2, a_4, b_2, b_4) for the even part: non-negative least squares
on [-3, 3], the paper's interval. For swish that agrees with the released `init.json` in all four decimals. For GELU it does **not**: the
released coefficients were fitted to 1 + |b_1 x + ... + b_4 x^4| and miss GELU by 1.46 on [-3, 3] when form A evaluates them; ours
miss it by 0.0027.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coefficients:
    """a_0 to a_5 and b_1 to b_4."""

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]

    def __call__(self, x: Floats) -> Floats:
        """F(x) in double precision, any shape."""
        top, bottom = np.zeros_like(x), np.ones_like(x)
        for power, a in enumerate(self.numerator):
            top += a * x**power
        for power, b in enumerate(self.denominator, start=1):
            bottom += abs(b) * np.abs(x) ** power
        return top / bottom


IDENTITY = Coefficients((0.0, 1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
SWISH = Coefficients((0.0, 0.5, 0.249998, 0.0532734, 0.00580628, 0.000275616), (0.0, 0.1065469, 0.0, 0.000551231))
GELU = Coefficients((0.0, 0.5, 0.405493, 0.1041133, 0.00792984, 0.0), (0.0, 0.2082267, 0.0, 0.0))


def gelu(x: Floats) -> Floats:
    """x Phi(x) (Hendrycks & Gimpel 2016), not its tanh approximation."""
    erf: Floats = np.vectorize(math.erf)(x / math.sqrt(2.0))
    return 0.5 * x * (1.0 + erf)


def swish(x: Floats) -> Floats:
    """x / (1 + exp(-x))."""
    return x / (1.0 + np.exp(-x))


def fit(target: Callable[[Floats], Floats], *, half_width: float = 3.0, points: int = 2001) -> Coefficients:
    """Coefficients of a target whose odd part is x/2 (GELU, swish): least squares of its even part on [-half_width, half_width]."""
    from scipy.optimize import least_squares

    x = np.linspace(0.0, half_width, points)
    even = target(x) - 0.5 * x

    def residual(free: Floats) -> Floats:
        a2, a4, b2, b4 = free
        return np.asarray((a2 * x**2 + a4 * x**4) / (1.0 + b2 * x**2 + b4 * x**4) - even)

    found = least_squares(residual, x0=[0.25, 0.01, 0.1, 0.001], bounds=(0.0, np.inf), xtol=1e-15, ftol=1e-15, gtol=1e-15)
    a2, a4, b2, b4 = (float(value) for value in found.x)
    return Coefficients((0.0, 0.5, a2, b2 / 2, a4, b4 / 2), (0.0, b2, 0.0, b4))


def gain(function: Callable[[Floats], Floats], *, nodes: int = 100) -> float:
    """alpha = 1 / E[F(x)^2] for x ~ N(0, 1), by Gauss-Hermite quadrature: weights ~ N(0, alpha / d_in) then keep the variance."""
    x, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return float(weights.sum() / (weights @ function(x) ** 2))
