"""Scalar statistics of records: what claims and leaderboard columns are made of.

An estimate is called with a frame (pandas) that holds the records of ONE seed and gives one number, so that an interval
over seeds follows without resampling inside a seed. A number that cannot be computed (a trial missing, diverged or
failed) is NaN: the verdict then says so instead of deciding on the survivors.

Frames have one row a trial and the columns `experiment`, `method`, `seed`, `status`, `param.<name>`, `metric.<name>` and a boolean
`view.<name>` for each view of the grids that asked for the trial.

An estimate is a dataclass. What it reads is found by walking its fields: `experiment`, `view`, `method` and `where` narrow it down, other
estimates among its fields are its parts. One that finds its trials in another way names what it `reads`, a sequence of estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from harness.bounds import UNBOUNDED, Bounds
from harness.kinds import cell

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from harness.stats import Interval
    from harness.sweeps import Sweep


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

    def interval(self, frames: Sequence[pd.DataFrame], confidence: float) -> Interval:
        """Its interval from the records of all seeds, one frame each; wider with more confidence."""
        ...


def select(
    frame: pd.DataFrame, where: Mapping[str, Any], *, experiment: str = "", view: str = "", method: str | None = None
) -> pd.DataFrame:
    """The rows of an experiment, a view of it and a method (empty, None: of all) whose parameters equal `where`.

    A parameter that is None has an empty cell, or no column where all of its cells are empty.
    """
    wanted = {"experiment": experiment or None, "method": method, f"view.{view}": True if view else None}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    wanted |= {f"param.{name}": cell(value) for name, value in where.items()}
    kept: npt.NDArray[np.bool_] | None = None
    for name, value in wanted.items():
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


Row = Mapping[str, Any]
"""One trial of a frame as a plain mapping: picking single trials out of frames is slow."""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """The trials of a frame as plain mappings."""
    names = [str(name) for name in frame]
    return [dict(zip(names, values, strict=True)) for values in frame.to_numpy(dtype=object).tolist()]


def selected(rows: Sequence[Row], by: Callable[[Row], Sequence[float]]) -> Row | None:
    """The trial with the largest `by`, compared number by number, among those that ended ok: what a sweep chooses, on validation.

    A diverged trial is infinitely bad. None while another one is missing its numbers, and when all diverged: nothing is chosen among
    survivors.
    """
    if any(row["status"] not in ("ok", "diverged") for row in rows):
        return None
    ranked = [(tuple(by(row)), row) for row in rows if row["status"] == "ok"]
    if any(math.isnan(number) for numbers, _ in ranked for number in numbers):
        return None
    return max(ranked, key=lambda pair: pair[0], default=(None, None))[1]


@dataclass(frozen=True)
class Of:
    """`estimate` on the records of one method."""

    method: str
    estimate: Estimate

    def __call__(self, frame: pd.DataFrame) -> float:
        return self.estimate(select(frame, {}, method=self.method))


@dataclass(frozen=True)
class In:
    """`estimate` on the records of one experiment (of one view of it)."""

    experiment: str
    estimate: Estimate
    view: str = ""

    def __call__(self, frame: pd.DataFrame) -> float:
        return self.estimate(select(frame, {}, experiment=self.experiment, view=self.view))


@dataclass(frozen=True)
class Reading:
    """A metric of an experiment's trials: of those that its sweep selects, if it has one, else the mean over all.

    Made by `experiment["metric"]`, which fills in the sweep, the unit and which way is better.
    """

    experiment: str
    metric: str
    view: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)
    sweep: Sweep | None = None
    logged: bool = False
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

    def untuned(self) -> Reading:
        """The same without selecting: the mean over the whole sweep."""
        return replace(self, sweep=None)

    def log10(self) -> Reading:
        """The logarithm of the same, NaN unless positive: a paired difference is then the log10 of a ratio, which is its unit."""
        return replace(self, logged=True, unit="log10 of a ratio", bounds=UNBOUNDED)

    def of(self, method: str) -> Of:
        """The same of one method."""
        return Of(method, self)

    def __call__(self, frame: pd.DataFrame) -> float:
        value = self._value(select(frame, self.where, experiment=self.experiment, view=self.view))
        return value if not self.logged else math.log10(value) if value > 0 else math.nan

    def _value(self, rows: pd.DataFrame) -> float:
        if self.sweep is not None:
            return self.sweep.mean(rows, f"metric.{self.metric}")
        values = column(rows, self.metric).to_numpy(dtype=float)
        return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True)
class Mean:
    """Arithmetic mean of a metric over the matching trials of a seed."""

    metric: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        values = column(select(frame, self.where), self.metric).to_numpy(dtype=float)
        return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True)
class Slope:
    """Least-squares slope of log `metric` against log `over` (at least two different values of `over`)."""

    metric: str
    over: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        rows = select(frame, self.where)
        if f"param.{self.over}" not in rows:
            return math.nan
        return log_log_slope(rows[f"param.{self.over}"].to_numpy(dtype=float), column(rows, self.metric).to_numpy(dtype=float))


def log_log_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of log y against log x; NaN unless all are positive and x takes at least two values."""
    import numpy as np

    usable = len(x) >= 2 and bool(np.all(np.isfinite(y)) and np.all(y > 0) and np.all(x > 0))
    if not usable or np.ptp(x) == 0:
        return math.nan
    log_x = np.log(x) - np.log(x).mean()
    return float(log_x @ np.log(y) / (log_x @ log_x))


@dataclass(frozen=True)
class OptimumShift:
    """How far the best `axis` moves, in octaves, per doubling of `per`; `axis` is swept on a log grid.

    The optimum at each `per` is the vertex of the parabola through the best grid point and its two neighbours in
    log2(axis); an optimum at the edge of the sweep is not bracketed and makes the estimate NaN. A diverged trial counts
    as infinitely bad: it may bound the valley but not shape it (then the grid point itself is the optimum).
    """

    metric: str
    axis: str
    per: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        import numpy as np

        rows = select(frame, self.where)
        if rows.empty or f"param.{self.per}" not in rows:
            return math.nan
        sizes, optima = [], []
        for size, group in rows.groupby(f"param.{self.per}"):
            ordered = group.sort_values(f"param.{self.axis}")
            points = ordered[f"param.{self.axis}"].to_numpy(dtype=float)
            losses = column(ordered, self.metric).to_numpy(dtype=float)
            losses = np.where((ordered["status"] == "diverged").to_numpy(), math.inf, losses)
            sizes.append(float(str(size)))
            optima.append(log2_optimum(points, losses))
        spread = np.log2(sizes) - np.mean(np.log2(sizes))
        if len(sizes) < 2 or not np.all(np.isfinite(optima)):
            return math.nan
        return float(spread @ np.array(optima) / (spread @ spread))


def log2_optimum(points: np.ndarray, losses: np.ndarray) -> float:
    """log2 of the minimiser of `losses` over the sorted `points`; NaN at an edge or when a loss is missing."""
    import numpy as np

    if len(points) < 3 or np.isnan(losses).any():
        return math.nan
    best = int(np.argmin(losses))
    if best in (0, len(points) - 1):
        return math.nan
    x, y = np.log2(points[best - 1 : best + 2]), losses[best - 1 : best + 2]
    if not np.isfinite(y).all():
        return float(x[1])
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    curvature = (right - left) / (x[2] - x[0])
    return float((x[0] + x[1]) / 2 - left / (2 * curvature)) if curvature > 0 else float(x[1])


@dataclass(frozen=True)
class Difference:
    """`left` minus `right`, in the same seed: the paired contrast."""

    left: Estimate
    right: Estimate

    def __call__(self, frame: pd.DataFrame) -> float:
        return self.left(frame) - self.right(frame)


def paired(method: str, other: str, reading: Estimate) -> Difference:
    """`reading` of `method` minus that of `other`, in the same seed."""
    return Difference(Of(method, reading), Of(other, reading))


def ratio(method: str, other: str, reading: Estimate) -> Transformed:
    """How many times larger `reading` is for `method` than for `other`: exp of a paired difference of logarithms; NaN unless positive."""
    return Transformed(math.exp, Difference(*(Of(name, Transformed(_log, reading)) for name in (method, other))))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


@dataclass(frozen=True)
class Transformed:
    """`function` of an estimate, such as its absolute value."""

    function: Callable[[float], float]
    estimate: Estimate

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The function reads no trial."""
        return (self.estimate,)

    def __call__(self, frame: pd.DataFrame) -> float:
        return self.function(self.estimate(frame))


@dataclass(frozen=True)
class Combined:
    """`function` (min, max, a mean) of several estimates of the same seed; NaN when one is missing."""

    function: Callable[[Sequence[float]], float]
    parts: tuple[Estimate, ...]

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The function reads no trial."""
        return self.parts

    def __call__(self, frame: pd.DataFrame) -> float:
        values = [part(frame) for part in self.parts]
        return self.function(values) if all(math.isfinite(value) for value in values) else math.nan


def Magnitude(estimate: Estimate) -> Transformed:  # noqa: N802 - reads as a constructor beside Slope and Mean
    """The absolute value of `estimate`."""
    return Transformed(abs, estimate)


@dataclass(frozen=True)
class LogDistance:
    """Root mean square, over `metrics`, of the log-ratio between the trials at the largest and at the smallest value of `over`.

    How far a description of several positive numbers moves with a parameter, as a relative distance: 0.05 is about five percent.
    """

    metrics: Sequence[str]
    over: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        rows = select(frame, self.where)
        over = f"param.{self.over}"
        if over not in rows or rows[over].nunique() < 2:
            return math.nan
        squares = []
        for metric in self.metrics:
            ends = [column(rows[rows[over] == end], metric).to_numpy(dtype=float).mean() for end in (rows[over].min(), rows[over].max())]
            if not all(math.isfinite(end) and end > 0 for end in ends):
                return math.nan
            squares.append(math.log(ends[1] / ends[0]) ** 2)
        return math.sqrt(math.fsum(squares) / len(squares))


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

    def points(self, frame: pd.DataFrame, method: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the curve in one seed's records."""
        import numpy as np

        rows = select(frame, self.where, method=method)
        groups = [rows] if not self.target else [group for _, group in rows.groupby(f"param.{self.target}")] if len(rows) else []
        found = [point for group in groups for point in self._points(group)]
        found += [(_number(x, frame), _number(y, frame)) for x, y in self.ends]
        ordered = np.array(sorted(found), dtype=float).reshape(-1, 2)
        return ordered[:, 0], ordered[:, 1]

    def _points(self, group: pd.DataFrame) -> list[tuple[float, float]]:
        if self.sweep is None:
            return list(zip(column(group, self.x).tolist(), column(group, self.y).tolist(), strict=True))
        chosen = self.sweep.selected(rows_of(group)) or {}
        return [(float(chosen.get(f"metric.{self.x}", math.nan)), float(chosen.get(f"metric.{self.y}", math.nan)))]


@dataclass(frozen=True)
class CurveAt:
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

    def __call__(self, frame: pd.DataFrame) -> float:
        return interpolated(*self.curve.points(frame, self.method), _number(self.at, frame))


def _number(value: Estimate | float, frame: pd.DataFrame) -> float:
    return float(value) if isinstance(value, int | float) else value(frame)


def interpolated(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """The piecewise linear curve through (x, y) at `at`; the mean of y where x repeats; NaN outside, or when any number is not finite."""
    import numpy as np

    if not (math.isfinite(at) and np.isfinite(x).all() and np.isfinite(y).all()) or len(x) == 0:
        return math.nan
    knots = np.unique(x)
    if not knots[0] <= at <= knots[-1]:
        return math.nan
    return float(np.interp(at, knots, [y[x == knot].mean() for knot in knots]))


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two metrics over the matching trials of a seed; NaN under three trials or when either does not vary."""

    x: str
    y: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        rows = select(frame, self.where)
        names = [f"metric.{self.x}", f"metric.{self.y}"]
        if len(rows) < 3 or not set(names) <= set(rows) or rows[names].isna().to_numpy().any():
            return math.nan
        ranks = rows[names].rank()
        return float(ranks.iloc[:, 0].corr(ranks.iloc[:, 1])) if (ranks.nunique() > 1).all() else math.nan


@dataclass(frozen=True)
class MeanOver:
    """`estimate` of the trials at each value of a parameter on their own, then the mean; `only` takes one value of it instead."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)
    only: Literal["smallest", "largest", ""] = ""

    def __call__(self, frame: pd.DataFrame) -> float:
        rows, name = select(frame, self.where), f"param.{self.over}"
        if rows.empty or name not in rows:
            return math.nan
        values = sorted(rows[name].unique())
        values = {"smallest": values[:1], "largest": values[-1:], "": values}[self.only]
        return math.fsum(self.estimate(rows[rows[name] == value]) for value in values) / len(values)


def _along(over: str, estimate: Estimate, rows: pd.DataFrame) -> dict[Any, float]:
    """`estimate` of the trials at each value of the parameter `over` on their own, by the value, smallest first; empty without it."""
    name = f"param.{over}"
    values = sorted(rows[name].dropna().unique()) if name in rows else []
    return {value: estimate(rows[rows[name] == value]) for value in values}


@dataclass(frozen=True)
class RankTrend:
    """Spearman's correlation of an estimate with a parameter over the values that it takes: 1 where it rises at every one of them."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        import pandas as pd

        series = pd.Series([*_along(self.over, self.estimate, select(frame, self.where)).values()], dtype=float)
        if len(series) < 3 or series.isna().any() or series.nunique() < 2:
            return math.nan
        return float(series.rank().corr(pd.Series(range(len(series)), dtype=float)))


@dataclass(frozen=True)
class PowerTrend:
    """Slope of the logarithm of an estimate against that of a parameter, over the values that the parameter takes."""

    over: str
    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        import numpy as np

        found = _along(self.over, self.estimate, select(frame, self.where))
        return log_log_slope(np.array(list(found), dtype=float), np.array(list(found.values()), dtype=float))


@dataclass(frozen=True)
class Farthest:
    """Of a metric's values in a seed's trials the one farthest outside the open interval (low, high), or nearest to its edge inside."""

    metric: str
    low: float
    high: float
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        values = column(select(frame, self.where), self.metric).to_numpy(dtype=float)
        if not len(values) or not all(math.isfinite(value) for value in values):
            return math.nan
        return float(min(values, key=lambda value: min(value - self.low, self.high - value)))
