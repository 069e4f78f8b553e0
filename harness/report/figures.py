"""What the line figures of a report show: one line a method, the mean over seeds and its interval."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.estimates import select
from harness.evidence import Evidence
from harness.stats import half_width
from harness.task import Figure, Matrix, Span, Task, Traces

if TYPE_CHECKING:
    import pandas as pd

MOST_MARKERS = 40
MOST_POINTS = 240
"""Points of a drawn line: more than the eye or a printer resolves at this size only make the file larger."""


@dataclass(frozen=True)
class Series:
    """One method's line. Lists run along x; `low` and `high` are infinite where one seed gives no interval."""

    method: str
    x: Sequence[Any]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    seeds: Sequence[int]
    planned: Sequence[int]
    """Seeds that the plan has at each x; more than `seeds` where some were lost or are not there yet."""


@dataclass(frozen=True)
class Plot:
    """A figure with its numbers."""

    id: str
    title: str
    caption: str
    x_label: str
    y_label: str
    log_x: bool
    log_y: bool
    curves: bool
    measured_x: bool
    """x was measured, so every point has a place of its own."""
    series: Sequence[Series]
    spans: Sequence[Span] = ()

    @property
    def dense(self) -> bool:
        """Drawn as lines with bands: curves, and sweeps of more points than markers have room for."""
        return self.curves or any(len(series.x) > MOST_MARKERS for series in self.series)


def figure_id(evidence: Evidence, figure: Figure | Traces | Matrix) -> str:
    """What the figure's file is called, and what seeds the names inside it."""
    return f"{evidence.task.id}-{evidence.scale}-{figure.id}"


def plot(evidence: Evidence, figure: Figure, curves: pd.DataFrame) -> Plot:
    """A figure with its numbers."""
    task, stepwise = evidence.task, figure.x == "step"
    series = _curve_series(evidence, figure, curves) if stepwise else _parameter_series(evidence, figure)
    return Plot(
        id=figure_id(evidence, figure),
        title=figure.title,
        caption=figure.caption,
        x_label=figure.x_label or _x_label(task, figure),
        y_label=figure.y_label or _metric_label(task, figure.y),
        log_x=figure.log_x,
        log_y=figure.log_y,
        curves=stepwise,
        measured_x=bool(figure.at),
        series=series,
        spans=figure.spans,
    )


def _parameter_series(evidence: Evidence, figure: Figure) -> list[Series]:
    """Per seed the mean over the trials at one x, and nothing for a seed of which one of them gave no number."""
    x, y, at = f"param.{figure.x}", f"metric.{figure.y}", f"metric.{figure.at}" if figure.at else ""
    rows, planned = rows_of(evidence.records, figure), rows_of(evidence.planned, figure)
    if x not in rows or y not in rows or (at and at not in rows) or planned.empty:
        return []
    cell = ["method", x, "seed"]
    place = _finite(rows[at]) if at else rows[x]
    found = (
        rows.assign(value=_finite(rows[y]), place=place)
        .groupby(cell)
        .agg(sum=("value", "sum"), count=("value", "count"), place=("place", "mean" if at else "first"))
    )
    expected = planned.groupby(cell).size().rename("expected")
    joined = found.join(expected, how="right").reset_index()
    joined["value"] = (joined["sum"] / joined["expected"]).where(joined["count"] == joined["expected"])
    by_x = joined.groupby(["method", x], sort=True)
    points = by_x["value"].agg(["mean", "std", "count", "size"])
    points["x"] = by_x["place"].mean() if at else points.index.get_level_values(x)
    points = points[points["count"] > 0].dropna(subset=["x"]).reset_index()
    return _series(evidence.task, points.sort_values("x", kind="stable") if at else points)


def _curve_series(evidence: Evidence, figure: Figure, curves: pd.DataFrame) -> list[Series]:
    """A line ends where the first of its trials stopped logging: going on would average the survivors."""
    points = logged(evidence, figure, curves, figure.y)
    if points.empty:
        return []
    trials = points.groupby("method")["trial_id"].transform("nunique")
    points = points[points.groupby(["method", "step"])["trial_id"].transform("nunique") == trials]
    per_seed = points.groupby(["method", "step", "seed"])["value"].mean().reset_index()
    stats = per_seed.groupby(["method", "step"])["value"].agg(["mean", "std", "count"]).reset_index()
    stats["size"] = stats["method"].map(rows_of(evidence.planned, figure).groupby("method")["seed"].nunique())
    return _series(evidence.task, stats.rename(columns={"step": "x"}))


def logged(evidence: Evidence, figure: Figure | Traces | Matrix, curves: pd.DataFrame, name: str) -> pd.DataFrame:
    """The finite points of one logged curve of a figure's trials: trial_id, step, value, method, seed."""
    import pandas as pd

    rows = rows_of(evidence.records, figure)
    if name not in curves or rows.empty:
        return pd.DataFrame({"trial_id": [], "step": [], "value": [], "method": [], "seed": []})
    points = curves.loc[curves["trial_id"].isin(rows["trial_id"]), ["trial_id", "step", name]].rename(columns={name: "value"})
    return points.assign(value=_finite(points["value"])).dropna().merge(rows[["trial_id", "method", "seed"]], on="trial_id")


def rows_of(frame: pd.DataFrame, figure: Figure | Traces | Matrix) -> pd.DataFrame:
    """The records or planned trials that a figure shows."""
    rows = select(frame, figure.where)
    return rows[rows["method"].isin(figure.methods)] if figure.methods else rows


def _series(task: Task, points: pd.DataFrame) -> list[Series]:
    found = []
    for method in task.methods:
        rows = points[points["method"] == method.name]
        if len(rows) > MOST_POINTS:
            rows = rows.iloc[sorted({round(i * (len(rows) - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})]
        half = half_width(rows["std"].fillna(0.0), rows["count"])
        columns = (rows["x"], rows["mean"], rows["mean"] - half, rows["mean"] + half, rows["count"], rows["size"])
        if len(rows):
            found.append(Series(method.name, *(column.tolist() for column in columns)))
    return found


def _finite(values: pd.Series[float]) -> pd.Series[float]:
    import numpy as np

    return values.astype(float).replace([np.inf, -np.inf], np.nan)


def _x_label(task: Task, figure: Figure) -> str:
    if figure.x == "step":
        return "step"
    return _metric_label(task, figure.at) if figure.at else _with_unit(figure.x, _param_unit(task, figure.x))


def _param_unit(task: Task, name: str) -> str:
    return next((str(f.metadata.get("unit", "")) for f in dataclasses.fields(task.params) if f.name == name), "")


def _metric_label(task: Task, name: str) -> str:
    return _with_unit(name, next((metric.unit for metric in task.metrics if metric.name == name), ""))


def _with_unit(name: str, unit: str) -> str:
    return f"{name.replace('_', ' ')} ({unit})" if unit else name.replace("_", " ")
