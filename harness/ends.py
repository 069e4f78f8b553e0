"""What is known of an estimate where metrics are right-censored: its lowest and highest value in each seed.

A bound c of a metric stands for every number from c on. Estimates carry such ranges through by their monotonicity, as interval arithmetic
does: a difference is as low as its left side's low end less its right side's high end. An exponent is estimated through its bounds where
enough points were reached (`harness.tobit`). An estimate of which nothing is known here may be any number once it reads a bound.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from harness.censoring import companion
from harness.coverage import Need, needs, parts
from harness.estimates import (
    Combined,
    Curve,
    CurveAt,
    Difference,
    Estimate,
    In,
    LogDistance,
    Mean,
    MeanOver,
    Of,
    PowerTrend,
    RankTrend,
    Reading,
    Slope,
    Transformed,
    values_of,
)
from harness.estimates import _log as natural_log
from harness.stats import Side
from harness.sweeps import AtLargest, Sweep
from harness.table import Bools, Floats, Table, picked
from harness.tobit import censored_slopes, identified

_OF_NUMPY = (np.exp, np.log, np.log2, np.log10, np.sqrt)
RISING: tuple[Callable[[Any], Any], ...] = (math.exp, math.log, math.log2, math.log10, math.sqrt, *_OF_NUMPY)
"""Functions of one number that are known to rise."""
MONOTONE: tuple[Callable[[Any], Any], ...] = (min, max, sum, math.fsum, statistics.mean, statistics.fmean, statistics.median, np.mean)
"""Functions of several numbers that rise with each of them."""


@dataclass(frozen=True)
class Ends:
    """The lowest and the highest value of an estimate in each replicate, (replicates,) or (replicates, points): equal where it is exact."""

    low: Floats
    high: Floats

    @classmethod
    def exactly(cls, values: Floats) -> Ends:
        """Numbers that are known."""
        return cls(values, values)

    @property
    def exact(self) -> Bools:
        """Where the two are one; also where there is no number."""
        return np.asarray((self.low == self.high) | np.isnan(self.low))

    def __neg__(self) -> Ends:
        return Ends(-self.high, -self.low)

    def __sub__(self, other: Ends) -> Ends:
        return Ends(self.low - other.high, self.high - other.low)

    def mapped(self, function: Callable[[Floats], Floats]) -> Ends:
        """Through a function that rises."""
        return Ends(function(self.low), function(self.high))

    def mean(self) -> Ends:
        """Over the points."""
        return self.mapped(lambda values: values.mean(axis=-1))

    def weighted(self, weights: Floats) -> Ends:
        """The sum over the points with `weights` (points,), of either sign; a weight of 0 takes nothing from an infinite end."""
        with np.errstate(invalid="ignore"):
            up, down = (np.where(weights != 0, weights * end, 0.0) for end in (self.high, self.low))
        return Ends(np.where(weights > 0, down, up).sum(axis=-1), np.where(weights > 0, up, down).sum(axis=-1))


@runtime_checkable
class Ranged(Protocol):
    """An estimate that says itself what it knows where it reads bounds, or makes one."""

    def ends(self, table: Table) -> Ends:
        """Its ends in each replicate, (replicates,): NaN where its records are not there."""
        ...


def ends_of(estimate: Estimate | float, table: Table) -> Ends:
    """The ends of an estimate in each replicate of a table."""
    if isinstance(estimate, Ranged):
        return estimate.ends(table)
    if isinstance(estimate, int | float) or not reads_bounds(estimate, table):
        return Ends.exactly(values_of(estimate, table))
    for kind, ends in _KNOWN.items():
        if isinstance(estimate, kind):
            found: Ends = ends(estimate, table)
            return found
    return _anything(estimate, table)


def reads_bounds(estimate: Estimate, table: Table) -> bool:
    """Whether an estimate reads a metric that is a bound in a row of the table, or makes a bound itself."""
    return _makes_bounds(estimate) or bool(bounded(estimate, table).any())


def _makes_bounds(estimate: Estimate) -> bool:
    return isinstance(estimate, Ranged) or any(map(_makes_bounds, parts(estimate)))


def bounded(estimate: Estimate, table: Table) -> Bools:
    """Replicates in which an estimate reads a bound. One whose metrics are not named may read any of its rows' metrics."""
    found = np.zeros(table.replicates, dtype=bool)
    names = [name.removeprefix("metric.") for name in table.source.names if name.startswith("metric.")]
    censored = [name for name in names if companion(name) in names]
    if not censored:
        return found
    for need in needs(estimate):
        rows = table.select(need.where, experiment=need.experiment, view=need.view, method=need.method)
        for name in _read(estimate, need) or censored:
            found |= _is_bound(rows, name).any(axis=1)
    for curve, method in _curves(estimate):
        for name in (curve.x, *(curve.sweep.by if curve.sweep else ())):
            found |= _is_bound(table.select(curve.where, method=method), name).any(axis=1)
    return found


def _read(estimate: Estimate, need: Need) -> list[str]:
    named = [need.metric, *need.metrics, *(need.sweep.by if need.sweep else ())]
    named += estimate.metrics if isinstance(estimate, LogDistance) else ()
    return [name for name in named if name]


def _curves(estimate: Estimate) -> Iterator[tuple[Curve, str | None]]:
    """Curves inside an estimate, whose needs name only what is read off them."""
    if isinstance(estimate, CurveAt):
        yield estimate.curve, estimate.method
    for part in parts(estimate):
        yield from _curves(part)


def _is_bound(rows: Table, name: str) -> Bools:
    """(replicates, rows): a number that does not say what it is is at least a bound."""
    if not rows.has(f"metric.{companion(name)}"):
        return np.zeros((rows.replicates, len(rows)), dtype=bool)
    return np.asarray(np.isfinite(rows.metric(name)) & (rows.metric(companion(name)) != 0))


def _of_metric(rows: Table, name: str) -> Ends:
    """(replicates, rows)."""
    values = rows.metric(name)
    return Ends(values, np.where(_is_bound(rows, name), np.inf, values))


def _anything(estimate: Estimate, table: Table) -> Ends:
    """Any number where it reads a bound."""
    values, open_ = values_of(estimate, table), bounded(estimate, table)
    return Ends(np.where(open_, -np.inf, values), np.where(open_, np.inf, values))


def _mean(rows: Table, name: str) -> Ends:
    return _of_metric(rows, name).mean() if len(rows) else Ends.exactly(rows.nothing())


def _reading(estimate: Reading, table: Table) -> Ends:
    rows = estimate.rows(table)
    found = _selected(estimate.sweep, rows, estimate.metric) if estimate.sweep is not None else _mean(rows, estimate.metric)
    return _logarithm(found).mapped(lambda values: values / math.log(10)) if estimate.logged else found


def _selected(sweep: Sweep, rows: Table, name: str) -> Ends:
    """A metric of the trials that a sweep selects; where bounds leave several open, of any of these."""
    if not len(rows) or not rows.has(f"metric.{name}"):
        return Ends.exactly(rows.nothing())
    found = [_picked(sweep, cell, name) for cell in sweep.cells(rows)]
    return Ends(np.mean([own.low for own in found], axis=0), np.mean([own.high for own in found], axis=0))


def _picked(sweep: Sweep, cell: Table, name: str) -> Ends:
    chosen, own = sweep.chosen(cell), _of_metric(cell, name)
    by, sign = sweep.by[0], 1.0 if sweep.better[0] == "higher" else -1.0
    if not _is_bound(cell, by).any():
        return own.mapped(lambda values: picked(values, chosen))
    keys = _of_metric(cell, by) if sign > 0 else -_of_metric(cell, by)
    sure = np.max(np.where(cell.ok, keys.low, -np.inf), axis=1, keepdims=True)
    # A bound that only ties with an exact number is beaten by it: the truth lies beyond the bound.
    open_ = cell.ok & ((keys.high > sure) | (keys.exact & (keys.low == sure)))
    several, none = open_.sum(axis=1) > 1, chosen < 0
    if name == by:
        low, high = (sign * np.max(np.where(cell.ok, end, -np.inf), axis=1) for end in (keys.low, keys.high))
        low, high = np.minimum(low, high), np.maximum(low, high)
    else:
        low = np.min(np.where(open_, own.low, np.inf), axis=1)
        high = np.max(np.where(open_, own.high, -np.inf), axis=1)
        unsure = several & ~(keys.exact | ~open_).all(axis=1)
        low, high = np.where(unsure, low, picked(own.low, chosen)), np.where(unsure, high, picked(own.high, chosen))
    return Ends(np.where(none, np.nan, low), np.where(none, np.nan, high))


def _at_largest(estimate: AtLargest, table: Table) -> Ends:
    rows, name = table.select(estimate.where), f"param.{estimate.parameter}"
    if not len(rows) or not rows.has(f"metric.{estimate.metric}"):
        return Ends.exactly(rows.nothing())
    last = [cell.take(np.array([np.argmax(cell.column(name).astype(float))])) for cell in Sweep(estimate.parameter).cells(rows)]
    found = [_mean(row, estimate.metric) for row in last]
    return Ends(np.mean([own.low for own in found], axis=0), np.mean([own.high for own in found], axis=0))


def _slope(estimate: Slope, table: Table) -> Ends:
    rows = table.select(estimate.where)
    if not rows.has(f"param.{estimate.over}"):
        return Ends.exactly(table.nothing())
    return _power(rows.column(f"param.{estimate.over}").astype(float), _of_metric(rows, estimate.metric))


def along(estimate: Any, table: Table) -> tuple[Floats, Ends]:
    """The values of a trend's parameter, smallest first, and what it follows at each, (replicates, values)."""
    groups = table.select(estimate.where).groups(f"param.{estimate.over}")
    found = [ends_of(estimate.estimate, rows) for rows in groups.values()]
    if not found:
        return np.empty(0), Ends.exactly(np.empty((table.replicates, 0)))
    stacked = Ends(np.stack([own.low for own in found], axis=1), np.stack([own.high for own in found], axis=1))
    return np.array([*groups], dtype=float), stacked


def _power_trend(estimate: PowerTrend, table: Table) -> Ends:
    return _power(*along(estimate, table))


def _power(x: Floats, y: Ends) -> Ends:
    """Of the least-squares slope of log y on log x; of Tobin's where enough points beside the bounds were reached to find it."""
    if len(x) < 2 or (x <= 0).any() or not np.ptp(x) > 0:
        return Ends.exactly(np.full(len(y.low), np.nan))
    place = np.log(x) - np.log(x).mean()
    # A point in the middle has no weight but for rounding.
    place[np.abs(place) < 1e-12 * np.abs(place).max()] = 0.0
    found = _logarithm(y).weighted(place / (place @ place))
    # A bound of 0 is one that every positive number keeps: it says nothing, and the likelihood hears nothing of it.
    bound = np.isinf(y.high) & (y.low >= 0)
    usable = bound.any(axis=1) & identified(bound) & (bound | (y.exact & (y.low > 0))).all(axis=1)
    if not usable.any():
        return found
    low, high = found.low.copy(), found.high.copy()
    low[usable] = high[usable] = censored_slopes(x, np.maximum(y.low[usable], np.finfo(float).tiny), bound[usable])
    return Ends(low, high)


def _logarithm(ends: Ends) -> Ends:
    """A range that reaches down to 0 has no lowest logarithm; a number that is not positive has none."""
    low, high = (np.where(end > 0, np.log(np.where(end > 0, end, 1.0)), np.nan) for end in (ends.low, ends.high))
    return Ends(np.where(~ends.exact & (ends.low <= 0), -np.inf, low), high)


def _rank_trend(estimate: RankTrend, table: Table) -> Ends:
    _, curve = along(estimate, table)
    return rank_correlation(curve)


def rank_correlation(curve: Ends) -> Ends:
    """Of Spearman's correlation of a curve (replicates, points) with its places.

    Its numerator is a sum over pairs: one that rises adds the later place, one that falls the earlier, so that pairs whose order is open
    take the smaller or the larger. Open pairs count as different, not as equal.
    """
    points = curve.low.shape[1]
    if points < 3:
        return Ends.exactly(np.full(len(curve.low), np.nan))
    place = np.arange(points) - (points - 1) / 2
    first, second = np.triu_indices(points, 1)
    rises = curve.high[:, first] <= curve.low[:, second]
    falls = curve.high[:, second] <= curve.low[:, first]
    exact = curve.exact[:, first] & curve.exact[:, second]
    equal = exact & rises & falls
    middle = (place[first] + place[second]) / 2
    lowest = np.where(equal, middle, np.where(rises, place[second], place[first]))
    highest = np.where(equal, middle, np.where(falls, place[first], place[second]))
    # Ranks among values of which some are equal have the variance of all different ones less that of the ties (Kendall).
    same = curve.exact[:, :, None] & curve.exact[:, None, :] & (curve.low[:, :, None] == curve.low[:, None, :])
    ties = np.maximum(same.sum(axis=2), 1).astype(float)
    squares = (points**3 - points) / 12 - ((ties**2 - 1) / 12).sum(axis=1)
    scale = np.sqrt(np.maximum(squares, np.finfo(float).tiny) * (place @ place))
    low, high = (np.clip(total.sum(axis=1) / scale, -1.0, 1.0) for total in (lowest, highest))
    lost = np.isnan(curve.low).any(axis=1) | (squares <= 0)
    return Ends(np.where(lost, np.nan, low), np.where(lost, np.nan, high))


def _mean_over(estimate: MeanOver, table: Table) -> Ends:
    x, found = along(estimate, table)
    if not len(x):
        return Ends.exactly(table.nothing())
    chosen = {"smallest": slice(None, 1), "largest": slice(-1, None), "": slice(None)}[estimate.only]
    return found.mapped(lambda values: values[:, chosen]).mean()


def _transformed(estimate: Transformed, table: Table) -> Ends:
    inner, function = ends_of(estimate.estimate, table), estimate.function
    exact = inner.exact
    if function is abs:
        low = np.where(inner.low >= 0, inner.low, np.where(inner.high <= 0, -inner.high, 0.0))
        return Ends(np.where(np.isnan(inner.low), np.nan, low), np.maximum(np.abs(inner.low), np.abs(inner.high)))
    if function in RISING or function is natural_log:
        low, high = (np.array([_through(function, value) for value in end.tolist()]) for end in (inner.low, inner.high))
        return Ends(np.where(~exact & (inner.low <= 0) & np.isnan(low), -np.inf, low), high)
    found = [float(function(value)) if sure else math.nan for value, sure in zip(inner.low.tolist(), exact, strict=True)]
    return Ends(np.where(exact, found, -np.inf), np.where(exact, found, np.inf))


def _through(function: Callable[[float], float], value: float) -> float:
    """A rising function, at the infinite ends too."""
    if math.isinf(value):
        return value if value > 0 else 0.0 if function in (math.exp, np.exp) else -math.inf
    try:
        return float(function(value))
    except ValueError:
        return math.nan


def _combined(estimate: Combined, table: Table) -> Ends:
    found = [ends_of(part, table) for part in estimate.parts]
    stacked = Ends(np.stack([own.low for own in found], axis=1), np.stack([own.high for own in found], axis=1))
    lost: list[bool] = np.asarray(np.isnan(stacked.low).any(axis=1)).tolist()
    known: list[bool] = np.asarray(stacked.exact.all(axis=1)).tolist()
    rises = any(estimate.function is function for function in MONOTONE)

    def side(values: Floats, otherwise: float) -> Floats:
        rows = zip(values.tolist(), lost, known, strict=True)
        return np.array([math.nan if gone else float(estimate.function(row)) if rises or sure else otherwise for row, gone, sure in rows])

    return Ends(side(stacked.low, -math.inf), side(stacked.high, math.inf))


_KNOWN: Mapping[type, Callable[[Any, Table], Ends]] = {
    Of: lambda own, table: ends_of(own.estimate, table.select({}, method=own.method)),
    In: lambda own, table: ends_of(own.estimate, table.select({}, experiment=own.experiment, view=own.view)),
    Reading: _reading,
    Mean: lambda own, table: _mean(table.select(own.where), own.metric),
    AtLargest: _at_largest,
    Slope: _slope,
    PowerTrend: _power_trend,
    RankTrend: _rank_trend,
    MeanOver: _mean_over,
    Difference: lambda own, table: ends_of(own.left, table) - ends_of(own.right, table),
    Transformed: _transformed,
    Combined: _combined,
}


def side(low: float, high: float) -> Side:
    """On which side a number is known, from its ends."""
    if low == high:
        return "exact"
    if math.isinf(low):
        return "unknown" if math.isinf(high) else "at most"
    return "at least" if math.isinf(high) else "between"
