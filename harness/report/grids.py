"""What figures of many small panels show: example traces, and matrices of shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.evidence import Evidence
from harness.report.figures import figure_id, logged
from harness.stats import Interval, half_width
from harness.task import Matrix, Traces

if TYPE_CHECKING:
    import pandas as pd


Line = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class TraceGrid:
    """Example curves by row and method; a cell that logged nothing is missing."""

    id: str
    rows: Sequence[str]
    methods: Sequence[str]
    lines: Mapping[tuple[str, str], Line]
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


def traces(evidence: Evidence, figure: Traces, curves: pd.DataFrame) -> TraceGrid:
    """The curves of each method's first seed; of several trials of that seed, the first."""
    lines: dict[tuple[str, str], Line] = {}
    for heading, name in figure.ys:
        for method, points in logged(evidence, figure, curves, name).groupby("method"):
            first = points[points["seed"] == points["seed"].min()]
            chosen = first[first["trial_id"] == first["trial_id"].iloc[0]].sort_values("step")
            lines[heading, str(method)] = (chosen["step"].tolist(), chosen["value"].tolist())
    drawn = {method for _, method in lines}
    return TraceGrid(
        id=figure_id(evidence, figure),
        rows=[heading for heading, _ in figure.ys],
        methods=[method.name for method in evidence.task.methods if method.name in drawn],
        lines=lines,
        x_label=figure.x_label,
    )


def matrices(evidence: Evidence, figure: Matrix, curves: pd.DataFrame) -> MatrixGrid:
    """Per seed the mean over its trials, then over seeds."""
    cells: dict[tuple[str, int, int], Interval] = {}
    for column, (_, name) in enumerate(figure.columns):
        points = logged(evidence, figure, curves, name)
        per_seed = points.groupby(["method", "step", "seed"])["value"].mean().reset_index()
        stats = per_seed.groupby(["method", "step"])["value"].agg(["mean", "std", "count"]).reset_index()
        half = half_width(stats["std"].fillna(0.0), stats["count"])
        for (method, step, mean, _, count), width in zip(stats.itertuples(index=False), half, strict=True):
            cells[str(method), round(step), column] = Interval(mean, mean - width, mean + width, int(count))
    drawn = {method for method, _, _ in cells}
    return MatrixGrid(
        id=figure_id(evidence, figure),
        rows=figure.rows,
        columns=[heading for heading, _ in figure.columns],
        methods=[method.name for method in evidence.task.methods if method.name in drawn],
        cells=cells,
        x_label=figure.x_label,
        y_label=figure.y_label,
    )
