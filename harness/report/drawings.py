"""Every figure of a report as what a page shows of it: its drawing, what it says without eyes, its numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.evidence import Evidence
from harness.report import panels, plots
from harness.report.figures import Plot, Series, plot
from harness.report.grids import MatrixGrid, TraceGrid, matrices, traces
from harness.stats import Interval
from harness.task import Figure, Matrix, Traces

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study


_ONE_AXIS = "One example of the first seed each; a row has one vertical axis, cut where one method would flatten the others."


@dataclass(frozen=True)
class Drawing:
    """A figure of a report. `svg` is empty where no trial has logged anything for it yet."""

    id: str
    title: str
    caption: str
    svg: str
    described: str
    wide: bool = False
    """It takes the page's width."""
    summary: str = ""
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    """Its numbers; `summary` says which of them."""


def drawings(study: Study) -> list[list[Drawing]]:
    """The figures of each (task, scale), in the plan's order."""
    curves = study.curves
    return [[_drawing(Evidence(study, task, scale), figure, curves) for figure in task.figures] for task, scale in study.groups()]


def _drawing(evidence: Evidence, figure: Figure | Traces | Matrix, curves: pd.DataFrame) -> Drawing:
    methods = [method.name for method in evidence.task.methods]
    if isinstance(figure, Traces):
        return _examples(figure, traces(evidence, figure, curves), methods)
    if isinstance(figure, Matrix):
        return _shares(figure, matrices(evidence, figure, curves))
    return _lines(plot(evidence, figure, curves), methods)


def _lines(found: Plot, methods: Sequence[str]) -> Drawing:
    kind = "lines of" if found.dense else "points and 95 % intervals of"
    names = ", ".join(series.method for series in found.series) or "no method yet"
    tail = (
        " A line ends where its first trial stopped logging."
        if found.curves
        else ""
        if found.dense
        else " Hollow: not all seeds are there."
    )
    return Drawing(
        id=found.id,
        title=found.title,
        caption=f"{found.caption} Mean over seeds with its 95 % interval.{tail}".strip(),
        svg=plots.svg(found, methods) if found.series else "",
        described=f"{found.title}: {kind} {found.y_label} against {found.x_label} for {names}; its numbers are in the table below",
        summary="start, middle and end as numbers" if found.dense else "numbers",
        headings=("method", found.x_label, found.y_label, "seeds"),
        rows=[
            _numbers(series, i)
            for series in found.series
            for i in range(len(series.x))
            if not found.dense or i in (0, len(series.x) // 2, len(series.x) - 1)
        ],
    )


def _numbers(series: Series, i: int) -> list[str]:
    x, interval = series.x[i], Interval(series.mean[i], series.low[i], series.high[i], series.seeds[i])
    return [series.method, f"{x:g}" if isinstance(x, int | float) else str(x), str(interval), f"{series.seeds[i]}/{series.planned[i]}"]


def _examples(figure: Traces, grid: TraceGrid, methods: Sequence[str]) -> Drawing:
    return Drawing(
        id=grid.id,
        title=figure.title,
        caption=f"{figure.caption} {_ONE_AXIS}".strip(),
        svg=panels.trace_svg(grid, methods) if grid.lines else "",
        described=f"{figure.title}: example curves of {', '.join(grid.rows)} for {', '.join(grid.methods) or 'no method yet'}",
        wide=len(grid.methods) > panels.WIDE,
    )


def _shares(figure: Matrix, grid: MatrixGrid) -> Drawing:
    return Drawing(
        id=grid.id,
        title=figure.title,
        caption=f"{figure.caption} Percent, mean over seeds.".strip(),
        svg=panels.matrix_svg(grid) if grid.cells else "",
        described=f"{figure.title}: shares for {', '.join(grid.methods) or 'no method yet'}; its numbers are in the table below",
        wide=len(grid.methods) > panels.WIDE,
        summary="numbers",
        headings=("method", figure.y_label or "row", *grid.columns),
        rows=[
            [method, row, *(str(grid.cells.get((method, i, j), "")) for j in range(len(grid.columns)))]
            for method in grid.methods
            for i, row in enumerate(grid.rows)
        ],
    )
