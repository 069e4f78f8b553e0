"""Figures as SVG text that is the same on every run, carries no outside reference, and takes its colours from the page.

Colours are written as `var(--name, #hex)`: a page sets the variables for light and dark, a lone file falls back to the hex.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.figures import Plot, Series

COLOURS = ("#1f5fbf", "#c2500a", "#1b7a43", "#8a3ab9", "#b3234d", "#0c7285", "#876400", "#5b6675")
_MARKERS = "os^DvPX*"
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)))
_INK, _GRID = "#1a2230", "#d5dae1"
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "legend.frameon": False,
}


def svg(plot: Plot, methods: Sequence[str]) -> str:
    """The figure as an `<svg>` element. `methods` is the task's order, which fixes each method's colour and marker."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": plot.id}):
        figure = Figure(figsize=(6.0, 3.7), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _draw(axes, plot, methods)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _embeddable(sink.getvalue())


def colour(method: str, methods: Sequence[str]) -> str:
    """The colour of a method: the same in every figure and table of its task."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def _draw(axes: Any, plot: Plot, methods: Sequence[str]) -> None:
    ticks = list(dict.fromkeys(x for series in plot.series for x in series.x))
    numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in ticks)
    if numeric:
        ticks.sort()
    places: Mapping[Any, float] = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    for series in plot.series:
        _line(axes, series, [places[x] for x in series.x], methods, markers=not plot.curves, joined=numeric)
    if plot.log_x and numeric and min(places.values(), default=0) > 0:
        axes.set_xscale("log")
    if plot.log_y and min((low for series in plot.series for low in series.mean), default=0) > 0:
        axes.set_yscale("log", nonpositive="clip")
    if not plot.curves and (not numeric or len(ticks) <= 10):
        axes.set_xticks([places[x] for x in ticks], [f"{x:g}" if numeric else str(x) for x in ticks])
        axes.minorticks_off() if not plot.log_y else axes.xaxis.set_minor_locator(_no_ticks())
    axes.yaxis.set_major_formatter(_ticks(axes))
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if plot.series:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=min(len(plot.series), 4), borderaxespad=0.2, handlelength=2.6)


def _line(axes: Any, series: Series, x: Sequence[float], methods: Sequence[str], *, markers: bool, joined: bool) -> None:
    index = methods.index(series.method)
    shade = colour(series.method, methods)
    style = _DASHES[index % len(_DASHES)] if joined else ""
    axes.plot(x, series.mean, color=shade, linestyle=style, linewidth=1.8, label=series.method, zorder=3)
    known = [math.isfinite(low) for low in series.low]
    if not markers:
        axes.fill_between(x, series.low, series.high, where=known, color=shade, alpha=0.16, linewidth=0, zorder=1)
        return
    marks = [i for i, ok in enumerate(known) if ok]
    spans = [[series.mean[i] - series.low[i] for i in marks], [series.high[i] - series.mean[i] for i in marks]]
    axes.errorbar([x[i] for i in marks], [series.mean[i] for i in marks], yerr=spans, fmt="none", ecolor=shade, elinewidth=1.3, capsize=3)
    for whole in (True, False):
        chosen = [i for i in range(len(x)) if (series.seeds[i] == series.planned[i]) is whole]
        face = shade if whole else "none"
        marker = _MARKERS[index % len(_MARKERS)]
        axes.plot(
            [x[i] for i in chosen], [series.mean[i] for i in chosen], marker, color=shade, markerfacecolor=face, markersize=5.5, zorder=4
        )
    axes.lines[-3].set_marker(marker) if False else None


def _ticks(axes: Any) -> Any:
    from matplotlib.ticker import LogFormatter, ScalarFormatter

    if axes.get_yscale() == "log":
        return LogFormatter(minor_thresholds=(3, 0.5))
    return ScalarFormatter(useOffset=False)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _embeddable(text: str) -> str:
    """Only the `<svg>` element, without metadata and the ids that repeat between figures, with themable colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z.]+[a-z_]*_[0-9]+"', "", text)
    names = {shade: f"--m{i}" for i, shade in enumerate(COLOURS)} | {_INK: "--ink", _GRID: "--grid"}
    for shade, name in names.items():
        text = text.replace(shade, f"var({name}, {shade})")
    return text.strip()
