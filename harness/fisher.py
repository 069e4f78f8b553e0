"""Intervals of correlations over methods. The methods are what is sampled, so that more seeds sharpen each point and add none.

Points are means over seeds. An interval has two variances on Fisher's z scale: that of a sample of n methods, and that of the points over
seeds, by the jackknife (Quenouille 1956).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.stats import Interval

FEWEST = 4
"""Methods under which a correlation has no interval: the variance of Fisher's z is 1 / (n - 3)."""

Floats = npt.NDArray[np.float64]


def correlation_interval(points: Floats, confidence: float, *, ranked: bool = False) -> Interval:
    """`points`: (seeds, methods, 2). The interval of the correlation of their means over seeds."""
    methods = points.shape[1]
    r = float(correlations(points.mean(axis=0), ranked)[0, 1])
    if not _wide_enough(points):
        return Interval(r, -math.inf, math.inf, methods)
    half = _quantile(confidence) * math.sqrt(_of_methods(r, methods, ranked) + float(_over_seeds(points, ranked)[0, 0]))
    most = _most(methods, ranked)
    z = _z(r, most)
    low, high = (-1.0 if r < -most else math.tanh(z - half)), (1.0 if r > most else math.tanh(z + half))
    return Interval(r, low, high, methods)


def gap_interval(points: Floats, confidence: float) -> Interval:
    """`points`: (seeds, methods, 3), of which the third goes with the first and the second. The interval of r13 - r23."""
    methods = points.shape[1]
    found = correlations(points.mean(axis=0), ranked=False)
    first, second, between = (float(found[i, j]) for i, j in ((0, 2), (1, 2), (0, 1)))
    if not _wide_enough(points):
        return Interval(first - second, -math.inf, math.inf, methods)
    own, seeds = _of_methods(first, methods, ranked=False), _over_seeds(points, ranked=False)
    variances = own + np.diag(seeds)
    shared = (own * _dependence(first, second, between) + float(seeds[0, 1])) / math.sqrt(variances.prod())
    half = _quantile(confidence) * np.sqrt(variances)
    z = np.array([_z(first), _z(second)])
    (down, down2), (up, up2) = np.tanh(z - half), np.tanh(z + half)
    under = _combined(first - down, up2 - second, shared)
    over = _combined(up - first, second - down2, shared)
    return Interval(first - second, first - second - under, first - second + over, methods)


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
    left = np.array([correlations(np.delete(points, seed, axis=0).mean(axis=0), ranked)[:-1, -1] for seed in range(seeds)])
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
    return float(stats.norm.ppf((1 + confidence) / 2))


def _wide_enough(points: Floats) -> bool:
    return len(points) > 1 and points.shape[1] >= FEWEST and bool(np.isfinite(points).all())


def correlations(points: Floats, ranked: bool) -> Floats:
    """The correlation matrix of the columns of (methods, columns); NaN with fewer than four methods or a missing value."""
    methods, columns = points.shape
    if methods < FEWEST or not np.isfinite(points).all() or (np.ptp(points, axis=0) == 0).any():
        return np.full((columns, columns), math.nan)
    return np.asarray(np.corrcoef(stats.rankdata(points, axis=0) if ranked else points, rowvar=False), dtype=float)
