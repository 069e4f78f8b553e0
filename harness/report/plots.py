"""Figures of a report as a page shows them: drawn as SVG, said without eyes, their numbers as text."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.evidence import Evidence
from harness.report.figures import (
    AnyFigure,
    LineFigure,
    MatrixGrid,
    Series,
    TraceGrid,
    figure_id,
    figures_of,
    line_figure,
    matrix_grid,
    rows_of,
    trace_grid,
)
from harness.report.heat_maps import phase_svg
from harness.report.phases import PhaseGrid, phase_grid, phase_notes
from harness.svg import COLOURS, GRID, INK, PAGE, PAGE_WIDTH, WIDE, WIDTH, embedded_svg, label_log, series_gid, tip_gid
from harness.task import Experiment, Matrix, Phase, Span, Traces

_HEIGHT = 3.7
"""Inches of a figure with up to two rows of legend."""
_LEGEND_ROW, _LEGEND_CHARACTERS = 0.19, 76
"""Inches of each further row, and characters of the legend's font across a figure."""
_MARGIN, _TRACE = 0.9, 0.85
"""Inches beside the panels of a grid, and of a row of traces."""
_MARKERS = "os^DvPX*"
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)))
_FLOOR = 0.03
"""A band on a logarithmic axis ends at so much of the smallest mean: an interval that holds 0 would have no end."""
_MOST_TIMES = 4.0
_PANEL_ROW = 5
NOT_REACHED = (
    "Open triangles: some seeds did not reach it within their budget, so that the mean is at least this and its interval has no upper end."
)
_ONE_AXIS = "One example of the first seed each; a row has one vertical axis, cut where one method would flatten the others."


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure of a report. `svg` is empty where no trial has measured anything for it yet."""

    id: str
    title: str
    caption: str = ""
    svg: str = ""
    described: str = ""
    planned: bool = True
    """Whether the plan has trials that it shows."""
    wide: bool = False
    """It takes the page's width."""
    summary: str = ""
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    """Its numbers; `summary` says which of them."""


def plots_of(evidence: Evidence) -> dict[str, list[Plot]]:
    """The figures of each experiment that the plan has trials of, by its name."""
    experiments = [evidence.task.experiment(name) for name in evidence.experiments]
    return {e.name: [_plot(evidence, e, figure) for figure in figures_of(evidence, e)] for e in experiments}


def _plot(evidence: Evidence, experiment: Experiment, figure: AnyFigure) -> Plot:
    if rows_of(evidence.cells, experiment, figure).empty:
        return Plot(id=figure_id(evidence, figure), title=figure.title, planned=False)
    methods = [method.name for method in evidence.task.methods]
    if isinstance(figure, Traces):
        return _traces(figure, trace_grid(evidence, experiment, figure), methods)
    if isinstance(figure, Matrix):
        return _matrices(figure, matrix_grid(evidence, experiment, figure))
    if isinstance(figure, Phase):
        return _phases(figure, phase_grid(evidence, experiment, figure))
    return _lines(line_figure(evidence, experiment, figure), methods)


def _lines(figure: LineFigure, methods: Sequence[str]) -> Plot:
    kind = "lines of" if figure.dense else "points and 95 % intervals of"
    names = ", ".join(series.method for series in figure.series) or "no method yet"
    missing = any(series.seeds != series.planned for series in figure.series)
    bounded = any(any(series.bounded) for series in figure.series)
    notes = [
        figure.caption,
        "Mean over seeds with its 95 % interval.",
        "A line ends where its first trial stopped logging." if figure.curves else "",
        "Hollow: some seeds are lost or not there yet." if missing and not figure.dense else "",
        NOT_REACHED if bounded else "",
    ]
    return Plot(
        id=figure.id,
        title=figure.title,
        caption=" ".join(filter(None, notes)),
        svg=line_svg(figure, methods) if figure.series else "",
        described=f"{figure.title}: {kind} {figure.y_label} against {figure.x_label} for {names}; its numbers are in the table below",
        summary="start, middle and end as numbers" if figure.dense else "numbers",
        headings=("method", figure.x_label, figure.y_label, "seeds"),
        rows=[
            _numbers(series, i)
            for series in figure.series
            for i in range(len(series.x))
            if not figure.dense or i in (0, len(series.x) // 2, len(series.x) - 1)
        ],
    )


def _numbers(series: Series, i: int) -> list[str]:
    return [series.method, _tick(series.x[i]), str(series.interval(i)), f"{series.seeds[i]}/{series.planned[i]}"]


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _tick(x: Any) -> str:
    return f"{x:g}" if _is_number(x) else str(x)


def _traces(figure: Traces, grid: TraceGrid, methods: Sequence[str]) -> Plot:
    return Plot(
        id=grid.id,
        title=figure.title,
        caption=f"{figure.caption} {_ONE_AXIS}".strip(),
        svg=trace_svg(grid, methods) if grid.lines else "",
        described=f"{figure.title}: example curves of {', '.join(grid.rows)} for {', '.join(grid.methods) or 'no method yet'}",
        wide=len(grid.methods) > WIDE,
    )


def _matrices(figure: Matrix, grid: MatrixGrid) -> Plot:
    return Plot(
        id=grid.id,
        title=figure.title,
        caption=f"{figure.caption} Percent, mean over seeds.".strip(),
        svg=matrix_svg(grid) if grid.cells else "",
        described=f"{figure.title}: shares for {', '.join(grid.methods) or 'no method yet'}; its numbers are in the table below",
        wide=len(grid.methods) > WIDE,
        summary="numbers",
        headings=("method", figure.y_label or "row", *grid.columns),
        rows=[
            [method, row, *(str(grid.cells.get((method, i, j), "")) for j in range(len(grid.columns)))]
            for method in grid.methods
            for i, row in enumerate(grid.rows)
        ],
    )


def _phases(figure: Phase, grid: PhaseGrid) -> Plot:
    where, names = f"{grid.z_label} = {grid.level:g}", ", ".join(panel.method for panel in grid.panels) or "no method yet"
    return Plot(
        id=grid.id,
        title=figure.title,
        caption=" ".join([figure.caption, *phase_notes(grid)]).strip(),
        svg=phase_svg(grid) if grid.measured else "",
        described=f"{figure.title}: phase diagram of {grid.z_label} over {grid.x_label} and {grid.y_label} for {names}, with the boundary "
        f"at {where}, whose numbers are in the table below",
        wide=len(grid.panels) > WIDE,
        summary="the boundary as numbers",
        headings=("method", grid.y_label, f"{grid.x_label} at {where}", "between", "seeds"),
        rows=[
            [panel.method, f"{point.y:g}", str(point), point.band, f"{point.seeds}/{point.planned}"]
            for panel in grid.panels
            for boundary in panel.boundaries
            for point in boundary
        ],
    )


def _colour(method: str, methods: Sequence[str]) -> str:
    """The colour of a method: the same in every figure and table of its task."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def line_svg(figure: LineFigure, methods: Sequence[str]) -> str:
    """The figure as an `<svg>` element. `methods` is the task's order, which fixes each method's colour and marker."""
    extra_rows = max(0, math.ceil(len(figure.series) / _legend_columns(figure)) - 2)
    return embedded_svg(figure.id, WIDTH, _HEIGHT + _LEGEND_ROW * extra_rows, lambda page: _draw(page.add_subplot(), figure, methods))


def _draw(axes: Any, figure: LineFigure, methods: Sequence[str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ticks = list(dict.fromkeys(x for series in figure.series for x in series.x))
    numeric = all(_is_number(x) for x in ticks)
    if numeric:
        ticks.sort()
    places: Mapping[Any, float] = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    if figure.log_x and numeric and min(places.values(), default=0) > 0:
        axes.set_xscale("log")
    if figure.log_y and min((low for series in figure.series for low in series.mean), default=0) > 0:
        axes.set_yscale("log", nonpositive="clip")
    floor = _FLOOR * min(low for series in figure.series for low in series.mean) if axes.get_yscale() == "log" else -math.inf
    looks = {series.method: _look(series.method, methods, figure, joined=numeric) for series in figure.series}
    for i, series in enumerate(figure.series):
        aside = 0 if figure.dense or figure.measured_x else i - (len(figure.series) - 1) / 2
        x = _aside([places[x] for x in series.x], aside, places.values(), log=axes.get_xscale() == "log")
        before = set(axes.get_children())
        _line(axes, series, x, looks[series.method], dense=figure.dense, floor=floor)
        own = methods.index(series.method)
        for artist in set(axes.get_children()) - before:
            artist.set_gid(series_gid(own))
        if not figure.dense:
            _tips(axes, series, x, own)
    if not (figure.curves or figure.measured_x) and (not numeric or len(ticks) <= 10):
        axes.set_xticks([places[x] for x in ticks], [_tick(x) for x in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    elif figure.curves and axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    elif axes.get_xscale() == "log":
        label_log(axes.xaxis)
    if axes.get_yscale() == "log":
        label_log(axes.yaxis)
    _shade(axes, figure)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    if looks:
        from matplotlib.lines import Line2D

        # A label that starts with an underscore is left out of a legend: a space of no width stands before it.
        handles = [Line2D([], [], label=f"\u200b{method}" if method[0] == "_" else method, **look) for method, look in looks.items()]
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": _legend_columns(figure)}
        axes.legend(handles=handles, **place, borderaxespad=0.2, handlelength=2.8)


def _shade(axes: Any, figure: LineFigure) -> None:
    """Every other named stretch of the horizontal axis a little darker, the names along the lower edge."""
    if not figure.spans:
        return
    low, high = axes.get_xlim()
    log = axes.get_xscale() == "log"
    narrow = any(_share(span, low, high, log=log) * _LEGEND_CHARACTERS < len(span.label) + 1 for span in figure.spans)
    rotation = 90 if narrow else 0
    for i, span in enumerate(figure.spans):
        if i % 2 == 0:
            axes.axvspan(span.low, span.high, color=GRID, alpha=0.45, linewidth=0, zorder=0)
        middle = (span.low * span.high) ** 0.5 if log else (span.low + span.high) / 2
        axes.text(middle, 0.015, span.label, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=8, rotation=rotation)
    axes.set_xlim(low, high)


def _share(span: Span, low: float, high: float, *, log: bool) -> float:
    """Of the horizontal axis from `low` to `high`."""
    return math.log(span.high / span.low) / math.log(high / low) if log else (span.high - span.low) / (high - low)


def _legend_columns(figure: LineFigure) -> int:
    """As many as the longest name leaves room for beside its line."""
    longest = max((len(series.method) for series in figure.series), default=0)
    return max(1, min(4, _LEGEND_CHARACTERS // (longest + 7)))


def _aside(x: Sequence[float], steps: float, places: Collection[float], *, log: bool) -> list[float]:
    """Points moved a little sideways, so that one method's interval does not hide another's."""
    if log:
        return [value * (max(places) / min(places)) ** (0.009 * steps) for value in x]
    return [value + 0.009 * steps * (max(places) - min(places)) for value in x]


def _line(axes: Any, series: Series, x: Sequence[float], look: Mapping[str, Any], *, dense: bool, floor: float) -> None:
    """The mean and its interval: a band under a curve, bars on points. A point that some seeds are missing from is hollow.

    Bands reach no lower than `floor`. An open triangle is a mean that is only a lower bound: nothing is drawn above it.
    """
    bounds = [i for i, count in enumerate(series.bounded) if count]
    triangles = {**look, "linestyle": "", "marker": "^", "markersize": 8, "markerfacecolor": PAGE, "zorder": 5}
    axes.plot([x[i] for i in bounds], [series.mean[i] for i in bounds], **triangles)
    known = [i for i, low in enumerate(series.low) if math.isfinite(low)]
    axes.plot(x, series.mean, zorder=3, **{**look, "marker": ""})
    if dense:
        band = [math.isfinite(low) for low in series.low]
        lows = [max(low, floor) for low in series.low]
        highs = [mean if math.isinf(high) else high for mean, high in zip(series.mean, series.high, strict=True)]
        axes.fill_between(x, lows, highs, where=band, color=look["color"], alpha=0.16, linewidth=0, zorder=1)
        if len(x) == 1:  # a line of one point has no length
            axes.plot(x, series.mean, **{**look, "linestyle": "", "marker": "o", "zorder": 4})
        return
    spans = [[series.mean[i] - series.low[i] for i in known], [0.0 if i in bounds else series.high[i] - series.mean[i] for i in known]]
    at, mean = [x[i] for i in known], [series.mean[i] for i in known]
    axes.errorbar(at, mean, yerr=spans, fmt="none", ecolor=look["color"], elinewidth=1.3, capsize=2.5, zorder=2)
    for whole in (True, False):
        chosen = [i for i in range(len(x)) if (series.seeds[i] == series.planned[i]) is whole and i not in bounds]
        face = look["color"] if whole else PAGE
        points = {**look, "linestyle": "", "markerfacecolor": face, "zorder": 4}
        axes.plot([x[i] for i in chosen], [series.mean[i] for i in chosen], **points)


def _tips(axes: Any, series: Series, x: Sequence[float], place: int) -> None:
    """Over each point a target that nobody sees, and that says its numbers to a pointer."""
    for i in range(len(x)):
        (target,) = axes.plot([x[i]], [series.mean[i]], marker="o", markersize=11, color=PAGE, alpha=0.0, zorder=6)
        target.set_gid(tip_gid(place, f"{series.method}, {_tick(series.x[i])}: {series.interval(i)}"))


def _look(method: str, methods: Sequence[str], figure: LineFigure, *, joined: bool) -> dict[str, Any]:
    index = methods.index(method)
    turn = index // len(COLOURS)  # a ninth method has the first one's colour, so it needs another marker and dash
    return {
        "color": _colour(method, methods),
        "linestyle": _DASHES[(index + turn) % len(_DASHES)] if joined else "",
        "linewidth": 1.8,
        "marker": "" if figure.dense else _MARKERS[(index + 3 * turn) % len(_MARKERS)],
        "markersize": 5.5,
    }


def trace_svg(grid: TraceGrid, methods: Sequence[str]) -> str:
    """A row of panels for each row of the grid; the panels of a row share their vertical axis, so that sizes can be compared."""

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(grid.rows), len(grid.methods), sharex=True, sharey="row", squeeze=False)
        for i, row in enumerate(grid.rows):
            panels[i][0].set_ylim(_limits([grid.lines[row, method][1] for method in grid.methods if (row, method) in grid.lines]))
            for j, method in enumerate(grid.methods):
                axes = panels[i][j]
                x, y = grid.lines.get((row, method), ((), ()))
                axes.plot(x, y, color=_colour(method, methods), linewidth=0.8)
                axes.tick_params(labelsize=7, length=2)
                if i == 0:
                    axes.set_title(method, fontsize=9)
                if j == 0:
                    axes.set_ylabel(row, fontsize=8.5)
                if i + 1 == len(grid.rows):
                    axes.set_xlabel(grid.x_label, fontsize=8)

    width = PAGE_WIDTH if len(grid.methods) > WIDE else WIDTH
    return embedded_svg(grid.id, width, _MARGIN + _TRACE * len(grid.rows), draw)


def _limits(traces: Sequence[Sequence[float]]) -> tuple[float, float]:
    """What all traces need, but no more than a few times what the middle one needs: one that explodes would flatten the others."""
    ends = sorted((min(trace), max(trace)) for trace in traces if trace)
    if not ends:
        return 0.0, 1.0
    low, high = min(end for end, _ in ends), max(end for _, end in ends)
    middle = sorted(end - start for start, end in ends)[(len(ends) - 1) // 2] or 1.0
    centre = sorted((start + end) / 2 for start, end in ends)[(len(ends) - 1) // 2]
    low, high = max(low, centre - _MOST_TIMES / 2 * middle), min(high, centre + _MOST_TIMES / 2 * middle)
    return low - 0.05 * (high - low), high + 0.05 * (high - low) or 1.0


def matrix_svg(grid: MatrixGrid) -> str:
    """A panel a method; the darker a cell the larger its share, which is written in it in percent."""
    across = min(len(grid.methods), _PANEL_ROW if len(grid.methods) > WIDE else WIDE)
    down = math.ceil(len(grid.methods) / across)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, squeeze=False).flatten()
        for panel in panels[len(grid.methods) :]:
            panel.set_axis_off()
        for index, (axes, method) in enumerate(zip(panels, grid.methods, strict=False)):
            _matrix(axes, grid, method)
            if index % across == 0:
                axes.set_yticks([i + 0.5 for i in range(len(grid.rows))], grid.rows, fontsize=8)
                axes.set_ylabel(grid.y_label, fontsize=8)

    side = (PAGE_WIDTH if len(grid.methods) > WIDE else WIDTH) / across
    tall = side * len(grid.rows) / max(len(grid.columns), 1)
    return embedded_svg(grid.id, side * across, (min(tall, side) + _MARGIN) * down, draw)


def _matrix(axes: Any, grid: MatrixGrid, method: str) -> None:
    from matplotlib.patches import Rectangle

    for i in range(len(grid.rows)):
        for j in range(len(grid.columns)):
            cell = grid.cells.get((method, i, j))
            if cell is not None:
                shade = min(max(cell.estimate, 0.0), 1.0)
                axes.add_patch(Rectangle((j, i), 1, 1, facecolor=COLOURS[0], alpha=0.75 * shade, edgecolor="none"))
                axes.text(j + 0.5, i + 0.5, f"{100 * cell.estimate:.0f}", ha="center", va="center", fontsize=7.5, color=INK)
    axes.set(xlim=(0, len(grid.columns)), ylim=(len(grid.rows), 0), aspect="equal")
    axes.set_title(method, fontsize=9)
    axes.set_xticks([j + 0.5 for j in range(len(grid.columns))], grid.columns, fontsize=8, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks([])
    axes.set_xlabel(grid.x_label, fontsize=8)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
