"""Intervals over seeds. The seed is the unit of replication, so every interval is Student's t over per-seed values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from harness.bounds import UNBOUNDED, Bounds
from harness.region import Region

Floats = npt.NDArray[np.float64]
Side = Literal["exact", "at least", "at most", "between", "unknown"]
"""What is known of a number."""
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
    side: Side = "exact"
    """Whether the estimate is the mean, or only a bound of it, because values of seeds are: see `harness.partial`."""

    def inside(self, region: Region) -> bool:
        """Whether every value of the interval lies in the (open) region."""
        return self.low in region and self.high in region

    def outside(self, region: Region) -> bool:
        """Whether no value of the interval lies in the (open) region."""
        return self.high <= region.low or self.low >= region.high

    @property
    def mean(self) -> str:
        """The estimate alone, with the sign of a bound."""
        sign = {"at least": "≥ ", "at most": "≤ "}.get(self.side, "")
        return "unknown" if self.side == "unknown" else f"{sign}{number(self.estimate)}"

    def __str__(self) -> str:
        if self.side == "unknown":
            return "unknown"
        sign = {"at least": "≥ ", "at most": "≤ "}.get(self.side, "")
        if self.n < 2 or not math.isfinite(self.estimate):
            return f"{sign}{number(self.estimate)}"
        # A bound has one end: its distance tells the digits as half the width of two does.
        ends = [abs(end - self.estimate) for end in (self.low, self.high) if math.isfinite(end)]
        digits = decimals(self.estimate, (self.high - self.low) / 2 if self.side == "exact" else max(ends, default=math.inf))
        return f"{sign}{number(self.estimate, digits)} [{number(self.low, digits)}, {number(self.high, digits)}]"


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
        found = Samples.of(np.array([values], dtype=float).reshape(1, -1), step=step, rounding=rounding, bounds=bounds)
        scale = _Cut(bounds.low, bounds.high) if found.cut[0] else bounds
        return cls(float(found.mean[0]), float(found.spread[0]), int(found.n[0]), step, float(found.rounding[0]), scale)

    @property
    def _alone(self) -> Samples:
        one = {name: np.array([getattr(self, name)], dtype=float) for name in ("mean", "spread", "n", "step", "rounding")}
        return Samples(bounds=self.bounds, cut=np.array([False]), **one)

    @property
    def estimate(self) -> float:
        """The mean, back on the scale of the values: of positive numbers the geometric one."""
        return float(self.bounds.back(self.mean))

    @property
    def decidable(self) -> bool:
        """Whether there is a spread to judge by: at least two values that differ, or a step that says what equal ones may hide."""
        return bool(self._alone.decidable[0])

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Student-t interval of the mean, at least one step wide and within the bounds."""
        return self._interval(self._alone.interval(confidence))

    def prediction(self, confidence: float = CONFIDENCE) -> Interval:
        """Where one more seed would lie: t s sqrt(1 + 1/n) around the mean."""
        return self._interval(self._alone.interval(confidence, of_mean=False))

    def _interval(self, ends: tuple[Floats, Floats]) -> Interval:
        low, high = (float(end[0]) for end in ends)
        return Interval(self.estimate, low, high, self.n)

    def p(self, region: Region) -> float:
        """The largest error at which the interval would not yet lie on one side of the region's edges; NaN where nothing decides.

        Small where the interval lies far inside, or far outside: on which side the estimate says.
        """
        return float(self._alone.p(region)[0])

    def hides(self, region: Region, at: float | None = None) -> bool:
        """Whether `at` (None: the estimate) lies within half a step of an edge, or on it: no number of seeds tells on which side."""
        value = self.estimate if at is None else at
        return any(abs(value - edge) <= self.step / 2 for edge in (region.low, region.high))

    def seeds(self, region: Region, *, at: float | None = None, power: float = POWER) -> int | None:
        """Smallest n that decides with probability `power` where the estimate is truly `at` (None: as it stands), by the non-central t.

        None when no n up to MOST_SEEDS does: `at` is hidden by an edge (see `hides`), or the spread is unknown.
        """
        value = self.estimate if at is None else at
        edges = self._edges(region)
        if not self.decidable or not edges or self.hides(region, at):
            return None
        place, spread = float(self.bounds.scaled(value)), max(self.spread, np.finfo(float).tiny)
        distances = [abs(place - edge) / spread for edge in edges]
        needed = distances if value in region else [min(distances)]
        return _first(lambda n: 1 - sum(1 - _power(d, n) for d in needed) >= power)

    def effect(self, null: float) -> float:
        """How many standard deviations over seeds the mean lies from `null`; NaN without a spread."""
        return (self.mean - float(self.bounds.scaled(null))) / self.spread if self.n > 1 and self.spread > 0 else math.nan

    def _edges(self, region: Region) -> list[float]:
        return _edges(region, self.bounds)


@dataclass(frozen=True, eq=False)
class Samples:
    """A `Sample` of each of several studies: the arithmetic, in arrays of the shape (studies,)."""

    mean: Floats
    spread: Floats
    n: Floats
    step: Floats | float
    rounding: Floats
    bounds: Bounds
    cut: npt.NDArray[np.bool_]
    """Studies that are taken as they are, and not on the scale of the bounds, at whose end one of their values lies."""

    @classmethod
    def of(cls, values: Floats, *, step: Floats | float = 0.0, rounding: Floats | float = 0.0, bounds: Bounds = UNBOUNDED) -> Samples:
        """As `Sample.of`, from (studies, seeds)."""
        finite = np.isfinite(values)
        found = np.where(finite, values, np.nan)
        scaled = bounds.scaled(found)
        cut = np.asarray((finite & ~np.isfinite(scaled)).any(axis=1))
        scaled = np.where(finite, np.where(cut[:, None], found, scaled), 0.0)
        n = finite.sum(axis=1).astype(float)
        whole = np.maximum(n, 1.0)
        high = np.max(np.where(finite, values, -np.inf), axis=1, initial=-np.inf)
        low = np.min(np.where(finite, values, np.inf), axis=1, initial=np.inf)
        arithmetic = _ARITHMETIC * np.max(np.abs(np.where(finite, values, 0.0)), axis=1, initial=0.0)
        hidden = np.maximum(rounding, arithmetic)
        mean = scaled.sum(axis=1) / whole
        with np.errstate(over="ignore", invalid="ignore"):
            squares = (np.where(finite, scaled - mean[:, None], 0.0) ** 2).sum(axis=1)
        spread = np.sqrt(squares / np.maximum(n - 1.0, 1.0))
        spread = np.where(n < 2, np.nan, np.where(high - low <= hidden, 0.0, spread))
        return cls(np.where(n > 0, mean, np.nan), spread, n, step, hidden, bounds, cut)

    @property
    def estimate(self) -> Floats:
        """The mean, back on the scale of the values."""
        return self._back(self.mean)

    @property
    def decidable(self) -> npt.NDArray[np.bool_]:
        """As of one sample."""
        return (self.n > 1) & ((self.spread > 0) | (np.asarray(self.step) > 0))

    def interval(self, confidence: float = CONFIDENCE, *, of_mean: bool = True) -> tuple[Floats, Floats]:
        """Ends of the mean's interval, or of the range of one more seed."""
        half = half_width(self.spread, self.n, confidence) * (1.0 if of_mean else np.sqrt(self.n + 1))
        estimate, some = self.estimate, self.n > 1
        half = np.where(some, half, 0.0)
        low, high = (self._back(self.mean + sign * half) for sign in (-1, 1))
        low, high = np.minimum(low, estimate - np.asarray(self.step) / 2), np.maximum(high, estimate + np.asarray(self.step) / 2)
        low, high = np.maximum(low, self.bounds.low), np.minimum(high, self.bounds.high)
        without = np.where(self.n == 1, np.inf, np.nan)
        return np.where(some, low, -without), np.where(some, high, without)

    def p(self, region: Region) -> Floats:
        """As of one sample."""
        estimate = self.estimate
        error = self.spread / np.sqrt(np.maximum(self.n, 1.0))
        p = np.zeros(len(self.mean))
        with np.errstate(divide="ignore", invalid="ignore"):
            for edge in (region.low, region.high):
                place = np.where(self.cut, edge, self.bounds.scaled(edge))
                # Seeds that agree within a step have no t value: beyond the step they decide.
                found = np.where(error > 0, 2 * special.stdtr(np.maximum(self.n - 1, 1), -np.abs(self.mean - place) / error), 0.0)
                p = np.maximum(p, np.where(np.isfinite(place), found, 0.0))
                p = np.where(np.abs(estimate - edge) <= np.asarray(self.step) / 2, 1.0, p)
        return np.where(self.decidable, p, np.nan)

    def _back(self, scaled: Floats) -> Floats:
        return np.where(self.cut, scaled, self.bounds.back(scaled))


def _edges(region: Region, bounds: Bounds) -> list[float]:
    """The region's edges on the scale of the bounds; one that no value can pass is none."""
    places = [float(bounds.scaled(edge)) for edge in (region.low, region.high) if math.isfinite(edge)]
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
    quantile = special.stdtrit(np.maximum(counts - 1, 1), (1 + confidence) / 2)
    return np.where(counts >= 2, quantile * np.asarray(spread, dtype=float) / np.sqrt(np.maximum(counts, 1)), np.inf)


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): below alpha, these are wrong together with probability at most alpha. NaN stays NaN."""
    return [float(p) for p in holm(np.array(p_values, dtype=float))]


def holm(p_values: Floats) -> Floats:
    """`adjusted` along the last axis of an array."""
    order = np.argsort(p_values, axis=-1, kind="stable")
    sorted_ = np.take_along_axis(p_values, order, axis=-1)
    left = (~np.isnan(p_values)).sum(axis=-1, keepdims=True) - np.arange(p_values.shape[-1])
    largest = np.maximum.accumulate(np.minimum(sorted_ * left, 1.0), axis=-1)
    found = np.empty_like(largest)
    np.put_along_axis(found, order, largest, axis=-1)
    return found


def _power(distance: float, n: int) -> float:
    """Probability that a two-sided t test at 1 - CONFIDENCE over n values finds a mean `distance` standard deviations away, on its side."""
    from scipy.stats import nct  # half a second that most commands need not wait

    bar = special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)
    # Beyond 1,000 standard deviations the distribution overflows, and nothing is missed.
    return float(nct.sf(bar, n - 1, min(distance, 1e3) * math.sqrt(n)))


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
