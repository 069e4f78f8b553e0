"""The numbers of a report's figures: lines of means with intervals, example traces, matrices of shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import params
from harness.censoring import companion
from harness.estimates import select
from harness.evidence import Evidence
from harness.kinds import NONE, Kind, text
from harness.partial import FACTOR
from harness.stats import CONFIDENCE, Interval, Side, half_width
from harness.task import Experiment, Figure, Matrix, Phase, Span, Task, Traces

if TYPE_CHECKING:
    import pandas as pd

MOST_MARKERS = 40
MOST_POINTS = 240
"""Points of a drawn line: more than the eye or a printer resolves at this size only make the file larger."""

AnyFigure = Figure | Traces | Matrix | Phase
Trace = tuple[Sequence[float], Sequence[float]]


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
    bounded: Sequence[int] = ()
    """Seeds at each x whose number is only a lower bound, and so is the mean; empty where the metric is not censored."""

    def interval(self, i: int) -> Interval:
        """The mean at a place of x."""
        kind: Side = "at least" if self.bounded and self.bounded[i] else "exact"
        return Interval(self.mean[i], self.low[i], self.high[i], self.seeds[i], kind)


@dataclass(frozen=True, kw_only=True)
class LineFigure:
    """One line a method: the mean over seeds and its interval."""

    id: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    caption: str = ""
    log_x: bool = False
    log_y: bool = False
    curves: bool = False
    """x is the step of a logged curve."""
    measured_x: bool = False
    """x was measured, so every point has a place of its own."""
    spans: Sequence[Span] = ()

    @property
    def dense(self) -> bool:
        """Drawn as lines with bands: curves, and sweeps of more points than markers have room for."""
        return self.curves or any(len(series.x) > MOST_MARKERS for series in self.series)


@dataclass(frozen=True)
class TraceGrid:
    """Example curves by row and method; a cell that logged nothing is missing."""

    id: str
    rows: Sequence[str]
    methods: Sequence[str]
    lines: Mapping[tuple[str, str], Trace]
    """(row, method) -> (x, y)."""
    x_label: str


@dataclass(frozen=True)
class MatrixGrid:
    """A matrix a method: the mean share over seeds, with its interval."""

    id: str
    rows: Sequence[str]
    columns: Sequence[str]
    methods: Sequence[str]
    cells: Mapping[tuple[str, int, int], Interval]
    """(method, row, column)."""
    x_label: str
    y_label: str


def figures_of(evidence: Evidence, experiment: Experiment) -> Sequence[AnyFigure]:
    """The experiment's figures, or else its sweep."""
    return list(_sweep_figures(evidence, experiment)) if experiment.figures is None else experiment.figures


def _sweep_figures(evidence: Evidence, experiment: Experiment) -> Iterator[Figure]:
    """What the sweep selects on against each parameter that the plan sweeps, once a view."""
    if experiment.tuned is None:
        return
    metric, rows = experiment.tuned.by[0], evidence.cells_of(experiment.name)
    views = [view for view in evidence.task.views(experiment.name) if not select(rows, {}, view=view).empty]
    for view in views or [""]:
        by_method = select(rows, {}, view=view).groupby("method")
        varied = [name for name in experiment.parameters if by_method[f"param.{name}"].nunique(dropna=False).max() > 1]
        for name in (name for name in experiment.tuned.over if name in varied):
            others = ", ".join(other.replace("_", " ") for other in varied if other != name)
            yield Figure(
                id="-".join(["sweep", experiment.name, *([view] if view else []), name]).replace("_", "-"),
                title=f"Sweep of {name.replace('_', ' ')}" + (f": {view}" if view else ""),
                x=name,
                y=metric,
                view=view,
                log_x=True,
                caption=f"The sweep selects by this metric{f'; mean over {others}' if others else ''}.",
            )


def figure_id(evidence: Evidence, figure: AnyFigure) -> str:
    """What the figure's file is called, and what seeds the names inside it."""
    return f"{evidence.task.id}-{evidence.scale}-{figure.id}"


def line_figure(evidence: Evidence, experiment: Experiment, figure: Figure) -> LineFigure:
    """A figure of one line a method."""
    curves = figure.x == "step"
    x_label = "step" if curves else metric_label(experiment, figure.at) if figure.at else parameter_label(experiment, figure.x)
    return LineFigure(
        id=figure_id(evidence, figure),
        title=figure.title,
        caption=figure.caption,
        x_label=figure.x_label or x_label,
        y_label=figure.y_label or metric_label(experiment, figure.y),
        log_x=figure.log_x,
        log_y=figure.log_y,
        curves=curves,
        measured_x=bool(figure.at),
        series=_curve_series(evidence, experiment, figure) if curves else _parameter_series(evidence, experiment, figure),
        spans=figure.spans,
    )


def _parameter_series(evidence: Evidence, experiment: Experiment, figure: Figure) -> list[Series]:
    """Per seed the mean over the trials at one x, and nothing for a seed of which one of them gave no number."""
    import pandas as pd

    x, y, at = f"param.{figure.x}", f"metric.{figure.y}", f"metric.{figure.at}" if figure.at else ""
    rows, planned = rows_of(evidence.records, experiment, figure), rows_of(evidence.planned, experiment, figure)
    if x not in rows or y not in rows or (at and at not in rows) or planned.empty:
        return []
    cell = ["method", x, "seed"]
    labels = _labels(params.kind(experiment, figure.x), planned[x])
    if labels:
        named = (part[x].map(_label) for part in (rows, planned))
        rows, planned = (part.assign(**{x: pd.Categorical(next(named), labels, ordered=True)}) for part in (rows, planned))
    place = finite(rows[at]) if at else rows[x]
    beside = f"metric.{companion(figure.y)}"
    found = (
        rows.assign(value=finite(rows[y]), place=place, bound=rows[beside] != 0 if beside in rows else False)
        .groupby(cell, observed=True)
        .agg(sum=("value", "sum"), count=("value", "count"), place=("place", "mean" if at else "first"), bound=("bound", "max"))
    )
    expected = planned.groupby(cell, observed=True).size().rename("expected")
    joined = found.join(expected, how="right").reset_index()
    joined["value"] = (joined["sum"] / joined["expected"]).where(joined["count"] == joined["expected"])
    joined["bound"] = joined["bound"].eq(True) & joined["value"].notna()
    by_x = joined.groupby(["method", x], sort=True, observed=True)
    points = by_x["value"].agg(["mean", "std", "count", "size"])
    points["bounded"] = by_x["bound"].sum()
    points["x"] = by_x["place"].mean() if at else points.index.get_level_values(x)
    points = points[points["count"] > 0].dropna(subset=["x"]).reset_index()
    return _series(evidence.task, points.sort_values("x", kind="stable") if at else points)


def _labels(kind: Kind, values: pd.Series[Any]) -> list[str]:
    """Texts of the values of a parameter that may be None or is a tuple, in the order of the values; empty for one that needs none."""
    if not kind.optional and kind.of is not tuple:
        return []
    found = {_label(value): value for value in values.unique()}
    if kind.of is tuple:
        found = {label: kind.parse(label) for label in found}
    return sorted(found, key=lambda label: (label == NONE, 0 if label == NONE else found[label]))


def _label(value: Any) -> str:
    """Text of a cell: tuples are text already, and an empty one is a None."""
    return value if isinstance(value, str) else text(value)


def _curve_series(evidence: Evidence, experiment: Experiment, figure: Figure) -> list[Series]:
    """A line ends where the first of its trials stopped logging: going on would average the survivors."""
    points = _logged(evidence, experiment, figure, figure.y)
    if points.empty:
        return []
    trials = points.groupby("method")["trial_id"].transform("nunique")
    points = points[points.groupby(["method", "step"])["trial_id"].transform("nunique") == trials]
    stats = _over_seeds(points)
    stats["size"] = stats["method"].map(rows_of(evidence.planned, experiment, figure).groupby("method")["seed"].nunique())
    return _series(evidence.task, stats.rename(columns={"step": "x"}))


def trace_grid(evidence: Evidence, experiment: Experiment, figure: Traces) -> TraceGrid:
    """The curves of each method's first seed; of several trials of that seed, the first."""
    lines: dict[tuple[str, str], Trace] = {}
    for heading, name in figure.ys:
        for method, points in _logged(evidence, experiment, figure, name).groupby("method"):
            first = points[points["seed"] == points["seed"].min()]
            chosen = first[first["trial_id"] == first["trial_id"].iloc[0]].sort_values("step")
            lines[heading, str(method)] = (chosen["step"].tolist(), chosen["value"].tolist())
    return TraceGrid(
        id=figure_id(evidence, figure),
        rows=[heading for heading, _ in figure.ys],
        methods=in_order(evidence.task, {method for _, method in lines}),
        lines=lines,
        x_label=figure.x_label,
    )


def matrix_grid(evidence: Evidence, experiment: Experiment, figure: Matrix) -> MatrixGrid:
    """Per seed the mean over its trials, then over seeds."""
    cells: dict[tuple[str, int, int], Interval] = {}
    for column, (_, name) in enumerate(figure.columns):
        stats = _over_seeds(_logged(evidence, experiment, figure, name))
        half = half_width(stats["std"].fillna(0.0), stats["count"])
        for (method, step, mean, _, count), width in zip(stats.itertuples(index=False), half, strict=True):
            cells[str(method), round(step), column] = Interval(mean, mean - width, mean + width, int(count))
    return MatrixGrid(
        id=figure_id(evidence, figure),
        rows=figure.rows,
        columns=[heading for heading, _ in figure.columns],
        methods=in_order(evidence.task, {method for method, _, _ in cells}),
        cells=cells,
        x_label=figure.x_label,
        y_label=figure.y_label,
    )


def rows_of(frame: pd.DataFrame, experiment: Experiment, figure: AnyFigure) -> pd.DataFrame:
    """The records or planned trials that a figure shows."""
    rows = select(frame, figure.where, experiment=experiment.name, view=figure.view)
    return rows[rows["method"].isin(figure.methods)] if figure.methods else rows


def _logged(evidence: Evidence, experiment: Experiment, figure: AnyFigure, name: str) -> pd.DataFrame:
    """The finite points of one logged curve of a figure's trials: trial_id, step, value, method, seed."""
    import pandas as pd

    rows, curves = rows_of(evidence.records, experiment, figure), evidence.study.curves
    if name not in curves or rows.empty:
        return pd.DataFrame({"trial_id": [], "step": [], "value": [], "method": [], "seed": []})
    points = curves.loc[curves["trial_id"].isin(rows["trial_id"]), ["trial_id", "step", name]].rename(columns={name: "value"})
    return points.assign(value=finite(points["value"])).dropna().merge(rows[["trial_id", "method", "seed"]], on="trial_id")


def _over_seeds(points: pd.DataFrame) -> pd.DataFrame:
    """Per method and step, over the means of its seeds: mean, std, count."""
    per_seed = points.groupby(["method", "step", "seed"])["value"].mean().reset_index()
    return per_seed.groupby(["method", "step"])["value"].agg(["mean", "std", "count"]).reset_index()


def _series(task: Task, points: pd.DataFrame) -> list[Series]:
    import numpy as np

    found = []
    for method in task.methods:
        rows = points[points["method"] == method.name]
        if len(rows) > MOST_POINTS:
            rows = rows.iloc[sorted({round(i * (len(rows) - 1) / (MOST_POINTS - 1)) for i in range(MOST_POINTS)})]
        half = half_width(rows["std"].fillna(0.0), rows["count"])
        bounded = rows["bounded"] if "bounded" in rows else rows["count"] * 0
        # A mean of which a seed is only a bound has no upper limit, and a wider lower one.
        wide = half_width(rows["std"].fillna(0.0), rows["count"], 1 - (1 - CONFIDENCE) / FACTOR)
        low = rows["mean"] - np.where(bounded > 0, wide, half)
        high = np.where(bounded > 0, math.inf, rows["mean"] + half)
        columns = (rows["x"], rows["mean"], low, high, rows["count"], rows["size"], bounded)
        if len(rows):
            found.append(Series(method.name, *(column.tolist() for column in columns)))
    return found


def in_order(task: Task, methods: set[str]) -> list[str]:
    """Names of methods in the task's order."""
    return [method.name for method in task.methods if method.name in methods]


def finite(values: pd.Series[float]) -> pd.Series[float]:
    """The same with NaN for what is infinite."""
    import numpy as np

    return values.astype(float).replace([np.inf, -np.inf], np.nan)


def parameter_label(experiment: Experiment, name: str) -> str:
    """A parameter's name and unit, as an axis says them."""
    return _with_unit(name, str(experiment.parameter(name).metadata.get("unit", "")))


def metric_label(experiment: Experiment, name: str) -> str:
    """A metric's name and unit, as an axis says them."""
    return _with_unit(name, next((metric.unit for metric in experiment.metrics if metric.name == name), ""))


def _with_unit(name: str, unit: str) -> str:
    words = name.replace("_", " ")
    return f"{words} ({unit})" if unit and unit != words else words
