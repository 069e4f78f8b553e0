"""Figures as SVG text that is the same on every run, carries no outside reference, and takes its colours from the page.

Colours are written as `var(--name, #hex)`: a page sets the variables for light and dark, a lone file falls back to the hex.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.report.figures import Plot, Series

COLOURS = ("#1f5fbf", "#c2500a", "#1b7a43", "#8a3ab9", "#b3234d", "#0c7285", "#876400", "#5b6675")
COLOURS_ON_DARK = ("#7db2ff", "#ffa163", "#63d18d", "#cb9dff", "#ff8da6", "#5fcfe3", "#e0c25c", "#abb8c9")
_MARKERS = "os^DvPX*"
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)))
_WIDTH, _HEIGHT, _LEGEND_ROW = 6.0, 3.7, 0.19
"""Inches: of a figure with up to two rows of legend, and of each row more."""
_CHARACTERS = 76
"""Of the legend's font across a figure."""
_INK, _GRID, _PAGE = "#1a2230", "#d5dae1", "#fefefd"
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
        extra_rows = max(0, math.ceil(len(plot.series) / _legend_columns(plot)) - 2)
        figure = Figure(figsize=(_WIDTH, _HEIGHT + _LEGEND_ROW * extra_rows), layout="constrained")
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
    from matplotlib.ticker import LogFormatter, NullLocator

    ticks = list(dict.fromkeys(x for series in plot.series for x in series.x))
    numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in ticks)
    if numeric:
        ticks.sort()
    places: Mapping[Any, float] = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    if plot.log_x and numeric and min(places.values(), default=0) > 0:
        axes.set_xscale("log")
    if plot.log_y and min((low for series in plot.series for low in series.mean), default=0) > 0:
        axes.set_yscale("log", nonpositive="clip")
    looks = {series.method: _look(series.method, methods, plot, joined=numeric) for series in plot.series}
    for i, series in enumerate(plot.series):
        aside = 0 if plot.dense or plot.measured_x else i - (len(plot.series) - 1) / 2
        x = _aside([places[x] for x in series.x], aside, places.values(), log=axes.get_xscale() == "log")
        _line(axes, series, x, looks[series.method], dense=plot.dense)
    if not (plot.curves or plot.measured_x) and (not numeric or len(ticks) <= 10):
        axes.set_xticks([places[x] for x in ticks], [f"{x:g}" if numeric else str(x) for x in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if looks:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], label=method, **look) for method, look in looks.items()]
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": _legend_columns(plot)}
        axes.legend(handles=handles, **place, borderaxespad=0.2, handlelength=2.8)


def _legend_columns(plot: Plot) -> int:
    """As many as the longest name leaves room for beside its line."""
    longest = max((len(series.method) for series in plot.series), default=0)
    return max(1, min(4, _CHARACTERS // (longest + 7)))


def _aside(x: Sequence[float], steps: float, places: Collection[float], *, log: bool) -> list[float]:
    """Points moved a little sideways, so that one method's interval does not hide another's."""
    if log:
        return [value * (max(places) / min(places)) ** (0.009 * steps) for value in x]
    return [value + 0.009 * steps * (max(places) - min(places)) for value in x]


def _line(axes: Any, series: Series, x: Sequence[float], look: Mapping[str, Any], *, dense: bool) -> None:
    """The mean and its interval: a band under a curve, bars on points. A point that some seeds are missing from is hollow."""
    known = [i for i, low in enumerate(series.low) if math.isfinite(low)]
    axes.plot(x, series.mean, zorder=3, **{**look, "marker": ""})
    if dense:
        band = [math.isfinite(low) for low in series.low]
        axes.fill_between(x, series.low, series.high, where=band, color=look["color"], alpha=0.16, linewidth=0, zorder=1)
        return
    spans = [[series.mean[i] - series.low[i] for i in known], [series.high[i] - series.mean[i] for i in known]]
    at, mean = [x[i] for i in known], [series.mean[i] for i in known]
    axes.errorbar(at, mean, yerr=spans, fmt="none", ecolor=look["color"], elinewidth=1.3, capsize=2.5, zorder=2)
    for whole in (True, False):
        chosen = [i for i in range(len(x)) if (series.seeds[i] == series.planned[i]) is whole]
        face = look["color"] if whole else _PAGE
        points = {**look, "linestyle": "", "markerfacecolor": face, "zorder": 4}
        axes.plot([x[i] for i in chosen], [series.mean[i] for i in chosen], **points)


def _look(method: str, methods: Sequence[str], plot: Plot, *, joined: bool) -> dict[str, Any]:
    index = methods.index(method)
    turn = index // len(COLOURS)  # a ninth method has the first one's colour, so it needs another marker and dash
    return {
        "color": colour(method, methods),
        "linestyle": _DASHES[(index + turn) % len(_DASHES)] if joined else "",
        "linewidth": 1.8,
        "marker": "" if plot.dense else _MARKERS[(index + 3 * turn) % len(_MARKERS)],
        "markersize": 5.5,
    }


def _embeddable(text: str) -> str:
    """Only the `<svg>` element, without metadata and the ids that repeat between figures, with themable colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans, sans-serif)", text)
    text = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', 'width="100%" stroke-linejoin="round"', text, count=1)
    names = {shade: f"--m{i}" for i, shade in enumerate(COLOURS)} | {_INK: "--ink", _GRID: "--grid", _PAGE: "--page"}
    for shade, name in names.items():
        text = text.replace(shade, f"var({name}, {shade})")
    return text.strip()
