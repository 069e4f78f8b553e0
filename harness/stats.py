"""Intervals over seeds. The seed is the unit of replication, so every interval is Student's t over per-seed values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from harness.task import Region

CONFIDENCE = 0.95
_MOST_SEEDS = 1 << 40


@dataclass(frozen=True)
class Interval:
    """A mean over `n` seeds with its confidence interval. One seed: infinitely wide. No seed: NaN."""

    estimate: float
    low: float
    high: float
    n: int

    def inside(self, region: Region) -> bool:
        """Whether every value of the interval lies in the (open) region."""
        return self.low in region and self.high in region

    def outside(self, region: Region) -> bool:
        """Whether no value of the interval lies in the (open) region."""
        return self.high <= region.low or self.low >= region.high

    def __str__(self) -> str:
        if self.n < 2 or not math.isfinite(self.estimate):
            return number(self.estimate)
        digits = decimals(self.estimate, (self.high - self.low) / 2)
        return f"{number(self.estimate, digits)} [{number(self.low, digits)}, {number(self.high, digits)}]"


def seed_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Student-t interval of the mean of per-seed values; values that are not finite are left out of it and of `n`."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(finite.mean())
    if len(finite) == 1:
        return Interval(mean, -math.inf, math.inf, 1)
    half = float(half_width(_spread(finite), len(finite), confidence))
    return Interval(mean, mean - half, mean + half, len(finite))


def half_width(spread: Any, n: Any, confidence: float = CONFIDENCE) -> Any:
    """Half the width of the t interval for standard deviation `spread` over `n` values; arrays allowed, infinite where n < 2."""
    counts = np.asarray(n, dtype=float)
    quantile = stats.t.ppf((1 + confidence) / 2, np.maximum(counts - 1, 1))
    return np.where(counts >= 2, quantile * np.asarray(spread, dtype=float) / np.sqrt(np.maximum(counts, 1)), np.inf)


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided p-value of the paired t test that the mean of `differences` is 0; NaN with fewer than two.

    Differences that are all equal decide alone: 1 when they are 0, else 0.
    """
    found = np.asarray(differences, dtype=float)
    if len(found) < 2:
        return math.nan
    spread, mean = _spread(found), float(found.mean())
    if spread == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / (spread / math.sqrt(len(found))), len(found) - 1))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): below alpha, these are wrong together with probability at most alpha. NaN stays NaN."""
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    found, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        found[place] = largest
    return found


def seeds_to_decide(values: Sequence[float], region: Region, confidence: float = CONFIDENCE) -> int | None:
    """Smallest n whose t half-width, at the present mean and spread, stays on one side of the region's nearest boundary.

    None when no n does: the mean lies on the boundary, the region has none, or fewer than two values leave the spread unknown.
    At exactly this n a true effect of the present size is decided about every second time, so it is a lower bound in practice.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if len(finite) < 2:
        return None
    distance = min(abs(float(finite.mean()) - region.low), abs(float(finite.mean()) - region.high))
    spread = _spread(finite)
    if distance == 0 or math.isinf(distance):
        return None

    def decided(n: int) -> bool:
        return float(half_width(spread, n, confidence)) < distance

    high = 2
    while not decided(high):
        if high >= _MOST_SEEDS:
            return None
        high *= 2
    low = high // 2 if high > 2 else 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def _spread(values: np.ndarray) -> float:
    """Sample standard deviation; exactly 0 for values that are all equal, whatever rounding the mean adds."""
    return 0.0 if np.all(values == values[0]) else float(values.std(ddof=1))


def decimals(value: float, half: float = 0.0) -> int:
    """Decimals that show two digits of the half-width, or three of the value when there is no usable width."""
    scale, digits = (half, 2) if math.isfinite(half) and half > abs(value) * 1e-9 else (abs(value), 3)
    if scale == 0 or not math.isfinite(scale):
        return 0
    return min(max(digits - 1 - math.floor(math.log10(scale)), 0), 9)


def number(value: float, digits: int | None = None) -> str:
    """A number for people: `digits` decimals, or three significant digits; scientific when very large or very small."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 1e6 or (value != 0 and abs(value) < 1e-4 and (digits is None or digits > 6)):
        return f"{value:.2e}"
    text = f"{value:,.{decimals(value) if digits is None else digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
