"""Intervals over seeds. The seed is the unit of replication, so every interval is Student's t over per-seed values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from harness.bounds import UNBOUNDED, Bounds
from harness.task import Region

CONFIDENCE = 0.95
_ARITHMETIC = 2.0**-40
"""Relative size of what sums in double precision may differ by."""
POWER = 0.8
MOST_SEEDS = 10_000
"""Nobody runs more: beyond it, "never"."""


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


@dataclass(frozen=True)
class Sample:
    """What seeds say of one number: its mean and standard deviation on the scale of its `bounds`, and what rounding may hide.

    `step` is the smallest distance that the number can move by, such as one test example, in its own unit: no interval is narrower, since
    seeds that agree only because they were rounded say nothing of what lies between two steps. Below `rounding` a spread is arithmetic's.
    """

    mean: float
    spread: float
    n: int
    step: float = 0.0
    rounding: float = 0.0
    bounds: Bounds = UNBOUNDED

    @classmethod
    def of(cls, values: Sequence[float], *, step: float = 0.0, rounding: float = 0.0, bounds: Bounds = UNBOUNDED) -> Sample:
        """The sample of per-seed values, of which those that are not finite are left out.

        A value at an end of the bounds has no place on their scale: the values are then taken as they are, and intervals cut at the ends.
        """
        finite = np.asarray(values, dtype=float)
        finite = finite[np.isfinite(finite)]
        if not len(finite):
            return cls(math.nan, math.nan, 0, step, rounding, bounds)
        scaled = bounds.scaled(finite)
        if not np.isfinite(scaled).all():
            scaled, bounds = finite, _Cut(bounds.low, bounds.high)
        rounding = max(rounding, _ARITHMETIC * float(np.abs(finite).max()))
        spread = math.nan if len(scaled) == 1 else 0.0 if np.ptp(finite) <= rounding else _spread(scaled)
        return cls(float(scaled.mean()), spread, len(scaled), step, rounding, bounds)

    @property
    def estimate(self) -> float:
        """The mean, back on the scale of the values: of positive numbers the geometric one."""
        return float(self.bounds.back(self.mean))

    @property
    def decidable(self) -> bool:
        """Whether there is a spread to judge by: at least two values that differ, or a step that says what equal ones may hide."""
        return self.n > 1 and (self.spread > 0 or self.step > 0)

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student-t interval of the mean, at least one step wide and within the bounds."""
        if not self.n:
            return Interval(math.nan, math.nan, math.nan, 0)
        if self.n == 1:
            return Interval(self.estimate, -math.inf, math.inf, 1)
        return self._around(float(half_width(self.spread, self.n, confidence)))

    def prediction(self, confidence: float = CONFIDENCE) -> Interval:
        """Where one more seed would lie: t s sqrt(1 + 1/n) around the mean."""
        if self.n < 2:
            return Interval(self.estimate, -math.inf, math.inf, self.n)
        return self._around(float(half_width(self.spread, self.n, confidence)) * math.sqrt(self.n + 1))

    def _around(self, half: float) -> Interval:
        estimate = self.estimate
        low, high = (float(self.bounds.back(self.mean + sign * half)) for sign in (-1, 1))
        low, high = min(low, estimate - self.step / 2), max(high, estimate + self.step / 2)
        return Interval(estimate, max(low, self.bounds.low), min(high, self.bounds.high), self.n)

    def p(self, region: Region) -> float:
        """The largest error at which the interval would not yet lie on one side of the region's edges; NaN where nothing decides.

        Small where the interval lies far inside, or far outside: on which side the estimate says.
        """
        if not self.decidable:
            return math.nan
        estimate, edges = self.estimate, self._edges(region)
        if any(abs(estimate - edge) <= self.step / 2 for edge in (region.low, region.high)):
            return 1.0
        error = self.spread / math.sqrt(self.n)
        # Seeds that agree within a step have no t value: beyond the step they decide.
        found = [float(2 * stats.t.sf(abs(self.mean - edge) / error, self.n - 1)) if error else 0.0 for edge in edges]
        return max(found, default=0.0)

    def seeds(self, region: Region, *, at: float | None = None, power: float = POWER) -> int | None:
        """Smallest n that decides with probability `power` where the estimate is truly `at` (None: as it stands), by the non-central t.

        None when no n up to MOST_SEEDS does: `at` lies on an edge or within half a step of it, or the spread is unknown.
        """
        value = self.estimate if at is None else at
        edges = self._edges(region)
        if not self.decidable or not edges or any(abs(value - edge) <= self.step / 2 for edge in (region.low, region.high)):
            return None
        place, spread = float(self.bounds.scaled(value)), max(self.spread, np.finfo(float).tiny)
        distances = [abs(place - edge) / spread for edge in edges]
        needed = distances if value in region else [min(distances)]
        return _first(lambda n: 1 - sum(1 - _power(d, n) for d in needed) >= power)

    def effect(self, null: float) -> float:
        """How many standard deviations over seeds the mean lies from `null`; NaN without a spread."""
        return (self.mean - float(self.bounds.scaled(null))) / self.spread if self.n > 1 and self.spread > 0 else math.nan

    def _edges(self, region: Region) -> list[float]:
        """The region's edges on the scale of the bounds; one that no value can pass is none."""
        places = [float(self.bounds.scaled(edge)) for edge in (region.low, region.high) if math.isfinite(edge)]
        return [place for place in places if math.isfinite(place)]


class _Cut(Bounds):
    """Bounds that cut an interval and have no scale of their own."""

    def scaled(self, values: Any) -> Any:
        return np.asarray(values, dtype=float)

    def back(self, scaled: Any) -> Any:
        return np.asarray(scaled, dtype=float)


def seed_interval(values: Sequence[float], confidence: float = CONFIDENCE, *, step: float = 0.0, bounds: Bounds = UNBOUNDED) -> Interval:
    """The interval of per-seed values' mean, as `Sample` has it."""
    return Sample.of(values, step=step, bounds=bounds).interval(confidence)


def smallest_error(interval: Callable[[float], Interval], region: Region) -> float:
    """The largest error at which an interval of the confidence 1 - error would not yet lie on one side of the region's edges.

    `interval` gives the interval of a confidence, wider with more of it. NaN where it is no number.
    """
    if not math.isfinite(interval(CONFIDENCE).estimate):
        return math.nan

    def decided(error: float) -> bool:
        found = interval(1 - error)
        return found.inside(region) or found.outside(region)

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


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


def _power(distance: float, n: int) -> float:
    """Probability that a two-sided t test at 1 - CONFIDENCE over n values finds a mean `distance` standard deviations away, on its side."""
    bar = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    # Beyond 1,000 standard deviations the distribution overflows, and nothing is missed.
    return float(stats.nct.sf(bar, n - 1, min(distance, 1e3) * math.sqrt(n)))


def _first(holds: Callable[[int], bool]) -> int | None:
    """The smallest n from 2 to MOST_SEEDS at which a condition that stays true holds."""
    high = 2
    while not holds(high):
        if high >= MOST_SEEDS:
            return None
        high = min(2 * high, MOST_SEEDS)
    low = high // 2 if high > 2 else 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
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
