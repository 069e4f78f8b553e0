"""Where a number crosses a level along a parameter: the fraction of data from which a network generalises, seed by seed.

A curve is first made monotone (isotonic regression, least squares: Barlow, Bartholomew, Bremner & Brunk, 1972), then read by linear
interpolation between the last point under the level and the first one over it. A logistic curve is not fitted on purpose. Transitions of
this kind are as a rule steeper than the grid: with fewer than two points on the slope the width of a logistic is not identified, and its
least-squares centre runs to a grid point as the width goes to 0. It also takes the plateaus for 0 and 1. The interpolated crossing always
lies between the two points that enclose it.

A curve that never crosses says on which side of the grid its crossing lies. That is a bound, and never a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import TaskError
from harness.estimates import Estimate, In, Reading, Vectorised, along

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from harness.ends import Ends
    from harness.table import Bools, Floats, Index, Table

    Sides = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Crossings:
    """Where curves cross a level, each (...,)."""

    at: Floats
    """The crossing; of a curve that never crosses the last place where it was known not to have; NaN of one that cannot be said."""
    side: Sides
    """0: `at` is the crossing. 1: it lies at `at` or beyond, a lower bound. -1: at `at` or before, an upper bound."""


def isotonic(values: Floats) -> Floats:
    """The non-decreasing least-squares fit along the last axis, (..., points), NaN where a value is: those are left out.

    By the min-max formula: fit_i = max over j <= i of min over k >= i of mean(values_j..k).
    """
    import numpy as np

    count = values.shape[-1]
    known = np.isfinite(values)
    zero = np.zeros((*values.shape[:-1], 1))
    total, weight = (
        np.concatenate([zero, np.cumsum(part, axis=-1)], axis=-1) for part in (np.where(known, values, 0.0), known.astype(float))
    )
    weights = weight[..., None, 1:] - weight[..., :-1, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (total[..., None, 1:] - total[..., :-1, None]) / weights
    means = np.where((weights > 0) & np.triu(np.ones((count, count), dtype=bool)), means, math.inf)
    least = np.minimum.accumulate(means[..., ::-1], axis=-1)[..., ::-1]
    most = np.maximum.accumulate(np.where(np.isfinite(least), least, -math.inf), axis=-2)
    return np.where(known, np.diagonal(most, axis1=-2, axis2=-1), math.nan)


def crossings(places: Floats, values: Floats, level: float, *, rises: bool = True) -> Crossings:
    """Where curves through (`places`, `values`), (points,) in rising order and (..., points), cross `level`.

    `rises` says which way they go in truth. A value that is NaN leaves a gap: nothing can be said of a crossing inside it, and a bound ends
    before it. A curve that lies on the level crosses it in the middle of that stretch.
    """
    import numpy as np

    count = values.shape[-1]
    if not count:
        return Crossings(np.full(values.shape[:-1], math.nan), np.zeros(values.shape[:-1], dtype=np.int8))
    fitted = isotonic(values if rises else -values) - (level if rises else -level)
    known, under, over, level_there = np.isfinite(fitted), fitted < 0, fitted > 0, fitted == 0
    left, right, places = _last(under), _first(over), np.broadcast_to(places, fitted.shape)
    index = np.arange(count)
    gap = (~known & (index > left[..., None]) & (index < right[..., None])).any(axis=-1)
    (x0, x1), (y0, y1) = ((_taken(of, left), _taken(of, right)) for of in (places, fitted))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = x0 + (x1 - x0) * y0 / (y0 - y1)
    flat = (_taken(places, _first(level_there)) + _taken(places, _last(level_there))) / 2
    never_over, never_under = (right == count) & known.any(axis=-1), (left < 0) & (right < count)
    found = np.where((left >= 0) & (right < count) & ~gap, np.where(level_there.any(axis=-1), flat, between), math.nan)
    found = np.where(never_over, _taken(places, _last(known)), np.where(never_under, _taken(places, _first(known)), found))
    return Crossings(found, never_over.astype(np.int8) - never_under.astype(np.int8))


def _last(mask: Bools) -> Index:
    """Place of the last True along the last axis, -1 without one."""
    import numpy as np

    return np.asarray(np.where(mask, np.arange(mask.shape[-1]), -1).max(axis=-1), dtype=np.intp)


def _first(mask: Bools) -> Index:
    """Place of the first True along the last axis, one past the end without one."""
    import numpy as np

    return np.asarray(np.where(mask, np.arange(mask.shape[-1]), mask.shape[-1]).min(axis=-1), dtype=np.intp)


def _taken(values: Floats, place: Index) -> Floats:
    """`values` (..., points) at a place each (...), the nearest one where there is none."""
    import numpy as np

    return np.take_along_axis(values, np.clip(place, 0, values.shape[-1] - 1)[..., None], axis=-1)[..., 0]


@dataclass(frozen=True)
class Threshold(Vectorised):
    """The value of the parameter `over` at which an estimate of a seed's trials crosses `level`, in the unit of the parameter.

    `Threshold("fraction", train["test_accuracy"], level=0.5)` is where half of the test examples are right. With `scale="log"` the curve is
    interpolated over the logarithm of the parameter. `rises` says which way the estimate goes along the parameter. NaN when a trial that
    it needs gave no number. Where the grid holds no crossing it is a range that is open beyond the grid (`harness.ends`).
    """

    over: str
    estimate: Estimate
    level: float = 0.5
    scale: Literal["linear", "log"] = "linear"
    rises: bool = True
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scale not in ("linear", "log"):
            raise TaskError(f"a threshold over {self.over} is found on a linear or a log scale, not {self.scale!r}")

    def crossings(self, table: Table) -> Crossings:
        """The crossing in each replicate of a table, or the bound that the grid gives, (replicates,)."""
        import numpy as np

        found = along(self.over, self.estimate, table.select(self.where))
        if not found:
            return Crossings(table.nothing(), np.zeros(table.replicates, dtype=np.int8))
        places, curves = np.array([*found], dtype=float), np.stack([*found.values()], axis=1)
        if self.scale == "log" and not (places > 0).all():
            raise TaskError(f"a threshold on a log scale: {self.over} takes {places.min():g}, which has no logarithm")
        crossed = crossings(np.log(places) if self.scale == "log" else places, curves, self.level, rises=self.rises)
        lost = ~np.isfinite(curves).all(axis=1)
        at = np.where(lost, math.nan, np.exp(crossed.at) if self.scale == "log" else crossed.at)
        return Crossings(at, np.where(lost, 0, crossed.side).astype(np.int8))

    def values(self, table: Table) -> Floats:
        """The crossing in each replicate, (replicates,); NaN where the grid gives a bound alone."""
        import numpy as np

        crossed = self.crossings(table)
        return np.where(crossed.side == 0, crossed.at, math.nan)

    def ends(self, table: Table) -> Ends:
        """The crossing in each replicate, or the range beyond the grid; any number where what crosses is itself a bound."""
        import numpy as np

        from harness import ends

        crossed, (_, curves) = self.crossings(table), ends.along(self, table)
        unsure = ~curves.exact.all(axis=1) & ~np.isnan(curves.low).any(axis=1)
        low, high = np.where(crossed.side < 0, -math.inf, crossed.at), np.where(crossed.side > 0, math.inf, crossed.at)
        return ends.Ends(np.where(unsure, -math.inf, low), np.where(unsure, math.inf, high))


def threshold(reading: Reading, *, over: str, level: float = 0.5, scale: Literal["linear", "log"] = "linear", rises: bool = True) -> In:
    """`Threshold` of a reading on the trials of its view alone: `threshold(train["test_accuracy"].at("sweep"), over="fraction")`."""
    return In(reading.experiment, Threshold(over, reading, level, scale, rises, reading.where), reading.view)
