"""Scalar statistics of records: what claims and leaderboard columns are made of.

An estimate is called with a frame (pandas) that holds the records of ONE seed and gives one number, so that an interval
over seeds follows without resampling inside a seed. A number that cannot be computed (a trial missing, diverged or
failed) is NaN: the verdict then says so instead of deciding on the survivors.

Those of this package compute many seeds at once, from arrays (`Vectorised`): a frame is a table of one replicate to them. Any other
function of a frame is an estimate too, and is called seed by seed.

Frames have one row a trial and the columns `experiment`, `method`, `seed`, `status`, `param.<name>`, `metric.<name>` and a boolean
`view.<name>` for each view of the grids that asked for the trial.

An estimate is a dataclass. What it reads is found by walking its fields: `experiment`, `view`, `method` and `where` narrow it down, other
estimates among its fields are its parts. One that finds its trials in another way names what it `reads`, a sequence of estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from harness.bounds import UNBOUNDED, Bounds

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from harness.stats import Interval
    from harness.sweeps import Sweep
    from harness.table import Floats, Table

End = Literal["smallest", "largest"]


@runtime_checkable
class Estimate(Protocol):
    """A scalar of one seed's records."""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in `frame`, NaN when its records are not there."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """An estimate whose unit of replication is not the seed alone, such as a correlation over methods: it brings its own interval."""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in one seed's records."""
        ...

    def interval(self, tables: Sequence[Table]) -> Callable[[float], Interval]:
        """Its interval by the confidence, from the records of all seeds, replicates of one or several tables; wider with more of it."""
        ...


class Vectorised:
    """An estimate of all replicates of a table at once. On a frame it is the same, of one replicate."""

    def values(self, table: Table) -> Floats:
        """The estimate in each replicate, (replicates,): NaN where its records are not there."""
        raise NotImplementedError

    def __call__(self, frame: pd.DataFrame) -> float:
        from harness.table import Table

        return float(self.values(Table.of(frame))[0])


def values_of(estimate: Estimate | float, table: Table) -> Floats:
    """An estimate in each replicate of a table, (replicates,); a number is itself in all."""
    import numpy as np

    if isinstance(estimate, int | float):
        return np.full(table.replicates, float(estimate))
    if isinstance(estimate, Vectorised):
        return estimate.values(table)
    return np.array([float(estimate(table.frame(replicate))) for replicate in range(table.replicates)])


def _mean(values: Floats, table: Table) -> Floats:
    return values.mean(axis=1) if len(table) else table.nothing()


def select(
    frame: pd.DataFrame, where: Mapping[str, Any], *, experiment: str = "", view: str = "", method: str | None = None
) -> pd.DataFrame:
    """The rows of an experiment, a view of it and a method (empty, None: of all) whose parameters equal `where`.

    A parameter that is None has an empty cell, or no column where all of its cells are empty.
    """
    from harness.table import wanted

    kept: npt.NDArray[np.bool_] | None = None
    for name, value in wanted(where, experiment, view, method).items():
        if name not in frame:
            if value is None:
                continue
            return frame.iloc[:0]
        equal = (frame[name].isna() if value is None else frame[name] == value).to_numpy(dtype=bool)
        kept = equal if kept is None else kept & equal
    return frame if kept is None or kept.all() else frame[kept]


def column(frame: pd.DataFrame, metric: str) -> pd.Series[float]:
    """A metric of every row, NaN where the trial did not end ok, and throughout where none returned it."""
    import pandas as pd

    name = f"metric.{metric}"
    if name not in frame:
        return pd.Series(math.nan, index=frame.index, dtype=float)
    good = frame["status"] == "ok" if "status" in frame else None
    return frame[name] if good is None or good.all() else frame[name].where(good)


@dataclass(frozen=True)
class Of(Vectorised):
    """`estimate` on the records of one method."""

    method: str
    estimate: Estimate

    def values(self, table: Table) -> Floats:
        return values_of(self.estimate, table.select({}, method=self.method))


@dataclass(frozen=True)
class In(Vectorised):
    """`estimate` on the records of one experiment (of one view of it)."""

    experiment: str
    estimate: Estimate
    view: str = ""

    def values(self, table: Table) -> Floats:
        return values_of(self.estimate, table.select({}, experiment=self.experiment, view=self.view))


@dataclass(frozen=True)
class Reading(Vectorised):
    """A metric of an experiment's trials: of those that its sweep selects, if it has one, else the mean over all.

    Made by `experiment["metric"]`, which fills in the sweep, the unit and which way is better.
    """

    experiment: str
    metric: str
    view: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    sweep: Sweep | None = None
    logged: bool = False
    edges: Mapping[str, End] = field(default_factory=dict)
    """Parameters of which only the smallest or the largest value counts that the trials take."""
    unit: str = field(default="", compare=False)
    better: Literal["lower", "higher", "zero", "none"] = field(default="none", compare=False)
    bounds: Bounds = field(default=UNBOUNDED, compare=False)

    @property
    def reads(self) -> tuple[()]:
        """It has no parts: a sweep is no estimate."""
        return ()

    def at(self, view: str = "", **where: Any) -> Reading:
        """The same of fewer trials: those of a view, those whose parameters equal `where`."""
        return replace(self, view=view or self.view, where={**self.where, **where})

    def each(self, over: str, values: Iterable[Any]) -> list[Reading]:
        """The same at each of several values of a parameter."""
        return [replace(self, where={**self.where, over: value}) for value in values]

    def first(self, over: str) -> Reading:
        """The same of the trials at the smallest value of a parameter."""
        return replace(self, edges={**self.edges, over: "smallest"})

    def last(self, over: str) -> Reading:
        """The same of the trials at the largest value of a parameter."""
        return replace(self, edges={**self.edges, over: "largest"})

    def untuned(self) -> Reading:
        """The same without selecting: the mean over the whole sweep."""
        return replace(self, sweep=None)

    def log10(self) -> Reading:
        """The logarithm of the same, NaN unless positive: a paired difference is then the log10 of a ratio, which is its unit."""
        return replace(self, logged=True, unit="log10 of a ratio", bounds=UNBOUNDED)

    def of(self, method: str) -> Of:
        """The same of one method."""
        return Of(method, self)

    def rows(self, table: Table) -> Table:
        """The rows that it reads."""
        rows = table.select(self.where, experiment=self.experiment, view=self.view)
        for over, end in self.edges.items():
            groups = [*rows.groups(f"param.{over}").values()]
            rows = groups[0 if end == "smallest" else -1] if groups else rows.places([])
        return rows

    def values(self, table: Table) -> Floats:
        import numpy as np

        rows = self.rows(table)
        found = self.sweep.means(rows, f"metric.{self.metric}") if self.sweep is not None else _mean(rows.metric(self.metric), rows)
        return _positive(np.log10, found) if self.logged else found


@dataclass(frozen=True)
class Mean(Vectorised):
    """Arithmetic mean of a metric over the matching trials of a seed."""

    metric: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        rows = table.select(self.where)
        return _mean(rows.metric(self.metric), rows)


@dataclass(frozen=True)
class Slope(Vectorised):
    """Least-squares slope of log `metric` against log `over` (at least two different values of `over`)."""

    metric: str
    over: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:

        rows = table.select(self.where)
        if not rows.has(f"param.{self.over}"):
            return table.nothing()
        return log_log_slopes(rows.column(f"param.{self.over}").astype(float), rows.metric(self.metric))


def log_log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of log y against log x; NaN unless all are positive and x takes at least two values."""
    return float(log_log_slopes(x, y))


def log_log_slopes(x: npt.ArrayLike, y: npt.ArrayLike) -> Floats:
    """`log_log_slope` of many curves at once, along the last axis; x and y broadcast."""
    import numpy as np

    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    if x.shape[-1] < 2:
        return np.full(x.shape[:-1], math.nan)
    usable = (np.isfinite(y) & (y > 0) & (x > 0)).all(axis=-1) & (np.ptp(x, axis=-1) > 0)
    log_x, log_y = (np.log(np.where(usable[..., None], values, np.arange(1.0, x.shape[-1] + 1))) for values in (x, y))
    log_x = log_x - log_x.mean(axis=-1, keepdims=True)
    return np.where(usable, (log_x * log_y).sum(axis=-1) / (log_x * log_x).sum(axis=-1), math.nan)


@dataclass(frozen=True)
class OptimumShift(Vectorised):
    """How far the best `axis` moves, in octaves, per doubling of `per`; `axis` is swept on a log grid.

    The optimum at each `per` is the vertex of the parabola through the best grid point and its two neighbours in
    log2(axis); an optimum at the edge of the sweep is not bracketed and makes the estimate NaN. A diverged trial counts
    as infinitely bad: it may bound the valley but not shape it (then the grid point itself is the optimum).
    """

    metric: str
    axis: str
    per: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        sizes, optima = [], []
        for size, group in table.select(self.where).groups(f"param.{self.per}").items():
            axis = group.column(f"param.{self.axis}").astype(float)
            ordered = group.take(np.argsort(axis, kind="stable"))
            losses = np.where(ordered.diverged, math.inf, ordered.metric(self.metric))
            sizes.append(float(size))
            optima.append(log2_optimum(np.sort(axis), losses))
        if len(sizes) < 2:
            return table.nothing()
        spread = np.log2(sizes) - np.mean(np.log2(sizes))
        return np.asarray(spread @ np.array(optima) / (spread @ spread))


def log2_optimum(points: np.ndarray, losses: np.ndarray) -> Any:
    """log2 of the minimiser of `losses` (..., points) over the sorted `points`: a float for one curve; NaN at an edge or without a loss."""
    import numpy as np

    if len(points) < 3:
        return np.full(losses.shape[:-1], math.nan)[()]
    best = np.argmin(losses, axis=-1)
    inside = ~np.isnan(losses).any(axis=-1) & (best > 0) & (best < len(points) - 1)
    places = np.clip(best, 1, len(points) - 2)[..., None] + np.array([-1, 0, 1])
    x, y = np.log2(points)[places], np.take_along_axis(losses, places, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (np.diff(y, axis=-1) / np.diff(x, axis=-1))[..., 0], (np.diff(y, axis=-1) / np.diff(x, axis=-1))[..., 1]
        curvature = (right - left) / (x[..., 2] - x[..., 0])
        vertex = (x[..., 0] + x[..., 1]) / 2 - left / (2 * curvature)
    shaped = np.isfinite(y).all(axis=-1) & (curvature > 0)
    return np.where(inside, np.where(shaped, vertex, x[..., 1]), math.nan)[()]


@dataclass(frozen=True)
class Difference(Vectorised):
    """`left` minus `right`, in the same seed: the paired contrast."""

    left: Estimate
    right: Estimate

    def values(self, table: Table) -> Floats:
        return values_of(self.left, table) - values_of(self.right, table)


def paired(method: str, other: str, reading: Estimate) -> Difference:
    """`reading` of `method` minus that of `other`, in the same seed."""
    return Difference(Of(method, reading), Of(other, reading))


def ratio(method: str, other: str, reading: Estimate) -> Transformed:
    """How many times larger `reading` is for `method` than for `other`: exp of a paired difference of logarithms; NaN unless positive."""
    return Transformed(math.exp, Difference(*(Of(name, Transformed(_log, reading)) for name in (method, other))))


def _positive(function: Callable[[Floats], Floats], values: Floats) -> Floats:
    """A logarithm of each, NaN unless positive."""
    import numpy as np

    return np.where(values > 0, function(np.where(values > 0, values, 1.0)), math.nan)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


@dataclass(frozen=True)
class Transformed(Vectorised):
    """`function` of an estimate, such as its absolute value."""

    function: Callable[[float], float]
    estimate: Estimate

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The function reads no trial."""
        return (self.estimate,)

    def values(self, table: Table) -> Floats:
        import numpy as np

        return np.array([float(self.function(value)) for value in values_of(self.estimate, table).tolist()])


@dataclass(frozen=True)
class Combined(Vectorised):
    """`function` (min, max, a mean) of several estimates of the same seed; NaN when one is missing."""

    function: Callable[[Sequence[float]], float]
    parts: tuple[Estimate, ...]

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The function reads no trial."""
        return self.parts

    def values(self, table: Table) -> Floats:
        import numpy as np

        found = np.stack([values_of(part, table) for part in self.parts], axis=1)
        rows = [row if all(map(math.isfinite, row)) else None for row in found.tolist()]
        return np.array([math.nan if row is None else float(self.function(row)) for row in rows])


def Magnitude(estimate: Estimate) -> Transformed:  # noqa: N802 - reads as a constructor beside Slope and Mean
    """The absolute value of `estimate`."""
    return Transformed(abs, estimate)


@dataclass(frozen=True)
class LogDistance(Vectorised):
    """Root mean square, over `metrics`, of the log-ratio between the trials at the largest and at the smallest value of `over`.

    How far a description of several positive numbers moves with a parameter, as a relative distance: 0.05 is about five percent.
    """

    metrics: Sequence[str]
    over: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        groups = [*table.select(self.where).groups(f"param.{self.over}").values()]
        if len(groups) < 2:
            return table.nothing()
        squares = []
        for metric in self.metrics:
            low, high = (end.metric(metric).mean(axis=1) for end in (groups[0], groups[-1]))
            squares.append((_positive(np.log, high) - _positive(np.log, low)) ** 2)
        return np.asarray(np.sqrt(np.mean(squares, axis=0)))


@dataclass(frozen=True)
class Curve:
    """The piecewise linear curve through the points (`x`, `y`) of a method's trials in one seed, to be read at a matched x.

    Trials that agree in the parameter `target` are one point, that of the trial which `sweep` selects; without a target every trial is one.
    NaN outside the curve (nothing is extrapolated) and when a trial of it has no number.
    """

    x: str
    y: str
    where: Mapping[str, Any] = field(default_factory=dict)
    target: str = ""
    sweep: Sweep | None = None
    ends: tuple[tuple[Estimate | float, Estimate | float], ...] = ()
    """Further points as (x, y), each a number or an estimate on the same records, such as the network before pruning."""

    def of(self, method: str, at: Estimate | float) -> CurveAt:
        """`y` of a method where its curve passes `at`: a number, or what another estimate gives in the same seed."""
        return CurveAt(self, at, method)

    def at(self, at: Estimate | float) -> CurveAt:
        """The same on the records of one method, as a leaderboard's column reads them."""
        return CurveAt(self, at)

    def points(self, table: Table, method: str | None = None) -> tuple[Floats, Floats]:
        """x and y of the curve in each replicate, (replicates, points)."""
        import numpy as np

        rows = table.select(self.where, method=method)
        groups = [*rows.groups(f"param.{self.target}").values()] if self.target else [rows]
        found = [self._points(group) for group in groups]
        found += [(values_of(x, table)[:, None], values_of(y, table)[:, None]) for x, y in self.ends]
        empty = np.empty((table.replicates, 0))
        x, y = (np.concatenate([empty, *(part[axis] for part in found)], axis=1) for axis in (0, 1))
        return x, y

    def _points(self, group: Table) -> tuple[Floats, Floats]:
        from harness.table import picked

        x, y = group.metric(self.x), group.metric(self.y)
        if self.sweep is None:
            return x, y
        places = self.sweep.chosen(group)
        return picked(x, places)[:, None], picked(y, places)[:, None]


@dataclass(frozen=True)
class CurveAt(Vectorised):
    """A curve (of a method, if given), read at `at`."""

    curve: Curve
    at: Estimate | float
    method: str | None = None

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The curve's trials, its further points, and what `at` reads."""
        own: Estimate = Mean(self.curve.y, self.curve.where)
        others = (*(part for end in self.curve.ends for part in end), self.at)
        return (Of(self.method, own) if self.method else own, *(part for part in others if not isinstance(part, int | float)))

    def values(self, table: Table) -> Floats:
        import numpy as np

        return np.asarray(interpolated(*self.curve.points(table, self.method), values_of(self.at, table)))


def interpolated(x: npt.ArrayLike, y: npt.ArrayLike, at: npt.ArrayLike) -> Any:
    """The piecewise linear curve through (x, y), (..., points), at `at`, (...): a float for one curve.

    The mean of y where x repeats; NaN outside, or when any number is not finite.
    """
    import numpy as np

    x, y, at = (np.asarray(values, dtype=float) for values in (x, y, at))
    if not x.shape[-1]:
        return np.full(at.shape, math.nan)[()]
    usable = np.isfinite(at) & np.isfinite(x).all(axis=-1) & np.isfinite(y).all(axis=-1)
    usable &= (x.min(axis=-1) <= at) & (at <= x.max(axis=-1))
    repeats = x[..., :, None] == x[..., None, :]
    y = (repeats * np.where(np.isfinite(y), y, 0.0)[..., None, :]).sum(axis=-1) / np.maximum(repeats.sum(axis=-1), 1)
    order = np.argsort(x, axis=-1, kind="stable")
    x, y = (np.take_along_axis(values, order, axis=-1) for values in (x, y))
    right = np.minimum((x <= at[..., None]).sum(axis=-1, keepdims=True), x.shape[-1] - 1)
    left = np.maximum(right - 1, 0)
    (x0, x1), (y0, y1) = ([np.take_along_axis(values, place, axis=-1)[..., 0] for place in (left, right)] for values in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        between = y0 + (y1 - y0) / (x1 - x0) * (at - x0)
    return np.where(usable, np.where(at == x1, y1, np.where(at == x0, y0, between)), math.nan)[()]


@dataclass(frozen=True)
class RankCorrelation(Vectorised):
    """Spearman's correlation of two metrics over the matching trials of a seed; NaN under three trials or when either does not vary."""

    x: str
    y: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        rows = table.select(self.where)
        return np.asarray(rank_correlation(rows.metric(self.x), rows.metric(self.y)))


def rank_correlation(x: npt.ArrayLike, y: npt.ArrayLike) -> Any:
    """Spearman's correlation along the last axis: a float for one sample. NaN under three points, without a number, or without variation.

    Centred ranks are halves of whole numbers, so that sums of their products are exact, and 1 is 1.
    """
    import numpy as np
    from scipy.stats import rankdata

    x, y = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    if x.shape[-1] < 3:
        return np.full(x.shape[:-1], math.nan)[()]
    usable = ~(np.isnan(x) | np.isnan(y)).any(axis=-1)
    u, v = (rankdata(np.where(np.isnan(values), 0.0, values), axis=-1) - (x.shape[-1] + 1) / 2 for values in (x, y))
    spread = (u * u).sum(axis=-1) * (v * v).sum(axis=-1)
    usable = usable & (spread > 0)
    return np.where(usable, (u * v).sum(axis=-1) / np.sqrt(np.where(usable, spread, 1.0)), math.nan)[()]


@dataclass(frozen=True)
class MeanOver(Vectorised):
    """`estimate` of the trials at each value of a parameter on their own, then the mean; `only` takes one value of it instead."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)
    only: End | Literal[""] = ""

    def values(self, table: Table) -> Floats:
        import numpy as np

        found = [*along(self.over, self.estimate, table.select(self.where)).values()]
        found = {"smallest": found[:1], "largest": found[-1:], "": found}[self.only]
        return np.mean(found, axis=0) if found else table.nothing()


def along(over: str, estimate: Estimate, rows: Table) -> dict[Any, Floats]:
    """`estimate` of the trials at each value of the parameter `over` on their own, by the value, smallest first; empty without it."""
    return {value: values_of(estimate, group) for value, group in rows.groups(f"param.{over}").items()}


def _curves(found: Mapping[Any, Floats], table: Table) -> Floats:
    """(replicates, values of the parameter)."""
    import numpy as np

    return np.stack([*found.values()], axis=1) if found else np.empty((table.replicates, 0))


@dataclass(frozen=True)
class RankTrend(Vectorised):
    """Spearman's correlation of an estimate with a parameter over the values that it takes: 1 where it rises at every one of them."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        found = _curves(along(self.over, self.estimate, table.select(self.where)), table)
        return np.asarray(rank_correlation(np.arange(found.shape[1]), found))


@dataclass(frozen=True)
class PowerTrend(Vectorised):
    """Slope of the logarithm of an estimate against that of a parameter, over the values that the parameter takes."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        found = along(self.over, self.estimate, table.select(self.where))
        return log_log_slopes(np.array([*found], dtype=float), _curves(found, table))


@dataclass(frozen=True)
class Farthest(Vectorised):
    """Of a metric's values in a seed's trials the one farthest outside the open interval (low, high), or nearest to its edge inside."""

    metric: str
    low: float
    high: float
    where: Mapping[str, Any] = field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        import numpy as np

        values = table.select(self.where).metric(self.metric)
        if not values.shape[1]:
            return table.nothing()
        farthest = np.argmin(np.minimum(values - self.low, self.high - values), axis=1)
        found = np.take_along_axis(values, farthest[:, None], axis=1)[:, 0]
        return np.where(np.isfinite(values).all(axis=1), found, math.nan)
