"""Spectra that large random matrices have: density, shares, quantiles and averages of the law of Marchenko and Pastur (1967).

It is the limit of the eigenvalues of X^T X / n for X of (n, p) with independent entries of `variance`, at ratio = p / n. Where p > n a
share 1 - 1 / ratio of them is exactly zero: those modes are no part of the density.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import integrate

Floats = npt.NDArray[np.float64]


def zero_modes(ratio: float) -> float:
    """The share of eigenvalues that are zero because there are fewer rows than columns."""
    return max(0.0, 1.0 - 1.0 / ratio)


def edges(ratio: float, variance: float = 1.0) -> tuple[float, float]:
    """Smallest and largest eigenvalue, zeros apart."""
    return variance * (1.0 - math.sqrt(ratio)) ** 2, variance * (1.0 + math.sqrt(ratio)) ** 2


def density(x: npt.ArrayLike, ratio: float, variance: float = 1.0) -> Floats:
    """The density of the continuous part at x, of any shape; its mass is min(1, 1 / ratio)."""
    at, (low, high) = np.asarray(x, dtype=float), edges(ratio, variance)
    inside = (at > low) & (at < high)
    root = np.sqrt(np.clip((high - at) * (at - low), 0.0, None))
    return np.where(inside, root / (2.0 * np.pi * ratio * variance * np.where(inside, at, 1.0)), 0.0)


def nodes(ratio: float, variance: float = 1.0, count: int = 600) -> tuple[Floats, Floats]:
    """Eigenvalues (count,) and weights (count,): sum_i w_i f(x_i) is the average of a smooth f over the continuous part.

    x = low + (high - low) sin^2 t takes the roots at both edges, and the pole of the square case at 0, out of the integrand.
    """
    t, weights = np.polynomial.legendre.leggauss(count)
    t = 0.25 * np.pi * (t + 1.0)
    return _at(t, ratio, variance), 0.25 * np.pi * weights * _integrand(t, ratio, variance)


def cdf(x: npt.ArrayLike, ratio: float, variance: float = 1.0) -> Floats:
    """The share of eigenvalues at or below x, of any shape, zeros included."""
    low, high = edges(ratio, variance)
    at = np.asarray(x, dtype=float)
    t = np.arcsin(np.sqrt(np.clip((at - low) / (high - low), 0.0, 1.0)))
    return np.where(at >= 0.0, zero_modes(ratio) + np.interp(t, *_table(ratio, variance)), 0.0)


def quantiles(shares: npt.ArrayLike, ratio: float, variance: float = 1.0) -> Floats:
    """The eigenvalue that has each share in [0, 1] at or below it: 0 up to the share of zeros."""
    wanted = np.asarray(shares, dtype=float) - zero_modes(ratio)
    t, mass = _table(ratio, variance)
    return np.where((wanted > 0.0) | (ratio <= 1.0), _at(np.interp(wanted, mass, t), ratio, variance), 0.0)


def distance(values: Floats, size: int, ratio: float, variance: float = 1.0) -> float:
    """Mean distance of the largest eigenvalues of a matrix of `size` rows, in falling order, to the quantiles that they stand for."""
    shares = 1.0 - (np.arange(len(values)) + 0.5) / size
    return float(np.abs(values - quantiles(shares, ratio, variance)).mean())


def _at(t: Floats, ratio: float, variance: float) -> Floats:
    low, high = edges(ratio, variance)
    return np.asarray(low + (high - low) * np.sin(t) ** 2)


def _integrand(t: Floats, ratio: float, variance: float) -> Floats:
    """Density times dx / dt."""
    low, high = edges(ratio, variance)
    # sin^2 t / x is 1 / high in the square case, also at t = 0.
    share = np.sin(t) ** 2 / np.maximum(_at(t, ratio, variance), np.finfo(float).tiny) if low > 0.0 else np.full_like(t, 1.0 / high)
    return np.asarray((high - low) ** 2 * share * np.cos(t) ** 2 / (np.pi * ratio * variance))


def _table(ratio: float, variance: float, points: int = 8001) -> tuple[Floats, Floats]:
    """t in [0, pi / 2] and the mass of the continuous part below it."""
    t = np.linspace(0.0, 0.5 * np.pi, points)
    return t, np.asarray(integrate.cumulative_simpson(_integrand(t, ratio, variance), x=t, initial=0.0))
