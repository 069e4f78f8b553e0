"""Correlations of two numbers over methods. The methods are what is sampled, so that more seeds sharpen each point and add none.

Points are means over seeds. An interval has two variances on Fisher's z scale: that of a sample of n methods, and that of the points over
seeds, by the jackknife (Quenouille 1956).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.estimates import Reading, select
from harness.stats import Interval

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 4
"""Methods under which a correlation has no interval: the variance of Fisher's z is 1 / (n - 3)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """Between two numbers of each method, over the methods of the experiment of `x`: Pearson's, or Spearman's of the ranks.

    The interval is Fisher's (1921), for ranks with the variance of Bonett and Wright (2000), and no number below four methods.
    """

    x: Reading
    y: Reading
    ranked: bool = False

    def __call__(self, frame: pd.DataFrame) -> float:
        """The correlation in one seed; NaN with fewer than four methods, or a missing value."""
        points = _points((self.x, self.y), [frame])
        return float(_correlations(points.mean(axis=0), self.ranked)[0, 1])

    def interval(self, frames: Sequence[pd.DataFrame]) -> Callable[[float], Interval]:
        """Of the correlation between the means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        points = _points((self.x, self.y), frames)
        return lambda confidence: correlation_interval(points, confidence, ranked=self.ranked)


@dataclass(frozen=True)
class CorrelationGap:
    """How much closer `x` goes with `y` than `other` does, over the same methods: the difference of two dependent correlations.

    The interval is Zou's (2007), which combines the two of the correlations with the correlation between them.
    """

    x: Reading
    other: Reading
    y: Reading

    def __call__(self, frame: pd.DataFrame) -> float:
        """The difference in one seed; NaN with fewer than four methods, or a missing value."""
        found = _correlations(_points((self.x, self.other, self.y), [frame]).mean(axis=0), ranked=False)
        return float(found[0, 2] - found[1, 2])

    def interval(self, frames: Sequence[pd.DataFrame]) -> Callable[[float], Interval]:
        """Of the difference, from means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        points = _points((self.x, self.other, self.y), frames)
        return lambda confidence: gap_interval(points, confidence)


def correlation_interval(points: Floats, confidence: float, *, ranked: bool = False) -> Interval:
    """`points`: (seeds, methods, 2). The interval of the correlation of their means over seeds."""
    methods = points.shape[1]
    r = float(_correlations(points.mean(axis=0), ranked)[0, 1])
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
    found = _correlations(points.mean(axis=0), ranked=False)
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
    left = np.array([_correlations(np.delete(points, seed, axis=0).mean(axis=0), ranked)[:-1, -1] for seed in range(seeds)])
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


def _correlations(points: Floats, ranked: bool) -> Floats:
    """The correlation matrix of the columns of (methods, columns); NaN with fewer than four methods or a missing value."""
    methods, columns = points.shape
    if methods < FEWEST or not np.isfinite(points).all() or (np.ptp(points, axis=0) == 0).any():
        return np.full((columns, columns), math.nan)
    return np.asarray(np.corrcoef(stats.rankdata(points, axis=0) if ranked else points, rowvar=False), dtype=float)


def _points(readings: Sequence[Reading], frames: Sequence[pd.DataFrame]) -> Floats:
    """Each reading of each method in each seed: (seeds, methods, readings); methods in the order of their names."""
    names = sorted({str(name) for frame in frames for name in select(frame, {}, experiment=readings[0].experiment)["method"].unique()})
    values = [[[reading.of(name)(frame) for reading in readings] for name in names] for frame in frames]
    return np.array(values, dtype=float).reshape(len(frames), len(names), len(readings))
