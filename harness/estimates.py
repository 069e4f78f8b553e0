"""Scalar statistics of records: what claims and leaderboard columns are made of.

An estimate is called with a frame (pandas) that holds the records of ONE seed and gives one number, so that an interval
over seeds follows without resampling inside a seed. A number that cannot be computed (a trial missing, diverged or
failed) is NaN: the verdict then says so instead of deciding on the survivors.

Frames have one row a trial and the columns `method`, `seed`, `status`, `param.<name>`, `metric.<name>`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@runtime_checkable
class Estimate(Protocol):
    """A scalar of one seed's records."""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in `frame`, NaN when its records are not there."""
        ...


def select(frame: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows whose parameters equal `where`."""
    for name, value in where.items():
        column = f"param.{name}"
        if column not in frame:
            return frame.iloc[:0]
        frame = frame[frame[column] == value]
    return frame


def column(frame: pd.DataFrame, metric: str) -> pd.Series[float]:
    """A metric of every row, NaN throughout where no trial returned it."""
    import pandas as pd

    name = f"metric.{metric}"
    return frame[name] if name in frame else pd.Series(math.nan, index=frame.index, dtype=float)


Row = Mapping[str, Any]
"""One trial of a frame as a plain mapping: picking single trials out of frames is slow."""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """The trials of a frame as plain mappings."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


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
        return self.estimate(frame[frame["method"] == self.method])


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
