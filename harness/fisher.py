"""Intervals of correlations over methods. The methods are what is sampled, so that more seeds sharpen each point and add none.

Points are means over seeds. An interval has two variances on Fisher's z scale: that of a sample of n methods, and that of the points over
seeds, by the jackknife (Quenouille 1956).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from harness.stats import Interval

FEWEST = 4
"""Methods under which a correlation has no interval: the variance of Fisher's z is 1 / (n - 3)."""

Floats = npt.NDArray[np.float64]


def correlation_interval(points: Floats, confidence: float, *, ranked: bool = False) -> Interval:
    """`points`: (seeds, methods, 2). The interval of the correlation of their means over seeds."""
    return correlation_intervals(points, ranked=ranked)(confidence)


def correlation_intervals(points: Floats, *, ranked: bool = False) -> Callable[[float], Interval]:
    """`correlation_interval` by the confidence."""
    methods = points.shape[1]
    r = float(correlations(points.mean(axis=0), ranked)[0, 1])
    if not _wide_enough(points):
        return lambda _confidence: Interval(r, -math.inf, math.inf, methods)
    spread = math.sqrt(_of_methods(r, methods, ranked) + float(_over_seeds(points, ranked)[0, 0]))
    most = _most(methods, ranked)
    z = _z(r, most)

    def interval(confidence: float) -> Interval:
        half = _quantile(confidence) * spread
        low, high = (-1.0 if r < -most else math.tanh(z - half)), (1.0 if r > most else math.tanh(z + half))
        return Interval(r, low, high, methods)

    return interval


def gap_interval(points: Floats, confidence: float) -> Interval:
    """`points`: (seeds, methods, 3), of which the third goes with the first and the second. The interval of r13 - r23."""
    return gap_intervals(points)(confidence)


def gap_intervals(points: Floats) -> Callable[[float], Interval]:
    """`gap_interval` by the confidence."""
    methods = points.shape[1]
    found = correlations(points.mean(axis=0), ranked=False)
    first, second, between = (float(found[i, j]) for i, j in ((0, 2), (1, 2), (0, 1)))
    if not _wide_enough(points):
        return lambda _confidence: Interval(first - second, -math.inf, math.inf, methods)
    own, seeds = _of_methods(first, methods, ranked=False), _over_seeds(points, ranked=False)
    variances = own + np.diag(seeds)
    shared = (own * _dependence(first, second, between) + float(seeds[0, 1])) / math.sqrt(variances.prod())
    z = np.array([_z(first), _z(second)])

    def interval(confidence: float) -> Interval:
        half = _quantile(confidence) * np.sqrt(variances)
        (down, down2), (up, up2) = np.tanh(z - half), np.tanh(z + half)
        under = _combined(first - down, up2 - second, shared)
        over = _combined(up - first, second - down2, shared)
        return Interval(first - second, first - second - under, first - second + over, methods)

    return interval


def _combined(one: float, other: float, shared: float) -> float:
    """Zou (2007), equation of the limits: the distance of a limit of a difference from it."""
    return math.sqrt(max(one**2 + other**2 - 2 * shared * one * other, 0.0))


def _dependence(first: float, second: float, between: float) -> float:
    """Correlation of two correlations that share a variable (Olkin and Siotani 1976; Zou 2007)."""
    unexplained = 1 - first**2 - second**2 - between**2
    shared = (between - first * second / 2) * unexplained + between**3
    room = (1 - first**2) * (1 - second**2)
    return max(-1.0, min(1.0, shared / room)) if room > 0 else 0.0


def _of_methods(r: float, methods: int, ranked: bool) -> float:
    """Variance of Fisher's z over samples of methods."""
    return (1 + r**2 / 2 if ranked else 1.0) / (methods - 3)


def _over_seeds(points: Floats, ranked: bool) -> Floats:
    """Covariance over seeds of Fisher's z of the correlations with the last column, by leaving one seed out: (columns - 1)^2."""
    seeds = len(points)
    left = correlations(np.stack([np.delete(points, seed, axis=0).mean(axis=0) for seed in range(seeds)]), ranked)[:, :-1, -1]
    z = _z(left, _most(points.shape[1], ranked))
    off = z - z.mean(axis=0)
    covariance: Floats = off.T @ off * ((seeds - 1) / seeds)
    return covariance


def _most(methods: int, ranked: bool) -> float:
    """The largest correlation that has a place on the scale: ranks in the same order are taken half a step below 1."""
    return 1.0 - 6.0 / (methods * (methods**2 - 1)) if ranked else 1.0 - 1e-15


def _z(r: Any, most: float = 1.0 - 1e-15) -> Any:
    """Fisher's z of a correlation that is at most `most`."""
    return np.arctanh(np.clip(r, -most, most))


def _quantile(confidence: float) -> float:
    return float(special.ndtri((1 + confidence) / 2))


def _wide_enough(points: Floats) -> bool:
    return len(points) > 1 and points.shape[1] >= FEWEST and bool(np.isfinite(points).all())


def correlations(points: Floats, ranked: bool) -> Floats:
    """The correlation matrices of the columns of (..., methods, columns); NaN with fewer than four methods or a missing value."""
    *many, methods, columns = points.shape
    usable = np.isfinite(points).all(axis=(-2, -1)) & (methods >= FEWEST)
    usable = usable & (np.ptp(np.where(usable[..., None, None], points, 0.0), axis=-2) > 0).all(axis=-1) if methods else usable
    spread_out = np.arange(methods, dtype=float)[:, None]
    numbers = np.where(usable[..., None, None], points, spread_out)
    if ranked:
        from scipy.stats import rankdata

        numbers = rankdata(numbers, axis=-2)
    numbers = numbers - numbers.mean(axis=-2, keepdims=True) if methods else np.ones((*many, 1, columns))
    products = np.swapaxes(numbers, -1, -2) @ numbers
    size = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.clip(products / size[..., :, None] / size[..., None, :], -1.0, 1.0)
    return np.where(usable[..., None, None], found, math.nan)
