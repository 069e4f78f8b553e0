"""Line figures as SVG."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.canvas import COLOURS, GRID
from harness.report.figures import Plot, Series
from harness.report.themed import PAGE, colour, svg_of
from harness.task import Span

_MARKERS = "os^DvPX*"
_DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.4)), (0, (7, 2, 1.5, 2)))
_WIDTH, _HEIGHT, _LEGEND_ROW = 6.0, 3.7, 0.19
"""Inches: of a figure with up to two rows of legend, and of each row more."""
_FLOOR = 0.03
"""A band on a logarithmic axis ends at so much of the smallest mean: an interval that holds 0 would have no end."""
_CHARACTERS = 76
"""Of the legend's font across a figure."""


def svg(plot: Plot, methods: Sequence[str]) -> str:
    """The figure as an `<svg>` element. `methods` is the task's order, which fixes each method's colour and marker."""
    extra_rows = max(0, math.ceil(len(plot.series) / _legend_columns(plot)) - 2)
    return svg_of(plot.id, _WIDTH, _HEIGHT + _LEGEND_ROW * extra_rows, lambda figure: _draw(figure.add_subplot(), plot, methods))


def _draw(axes: Any, plot: Plot, methods: Sequence[str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullLocator

    ticks = list(dict.fromkeys(x for series in plot.series for x in series.x))
    numeric = all(isinstance(x, int | float) and not isinstance(x, bool) for x in ticks)
    if numeric:
        ticks.sort()
    places: Mapping[Any, float] = {x: float(x) if numeric else float(i) for i, x in enumerate(ticks)}
    if plot.log_x and numeric and min(places.values(), default=0) > 0:
        axes.set_xscale("log")
    if plot.log_y and min((low for series in plot.series for low in series.mean), default=0) > 0:
        axes.set_yscale("log", nonpositive="clip")
    floor = _FLOOR * min(low for series in plot.series for low in series.mean) if axes.get_yscale() == "log" else -math.inf
    looks = {series.method: _look(series.method, methods, plot, joined=numeric) for series in plot.series}
    for i, series in enumerate(plot.series):
        aside = 0 if plot.dense or plot.measured_x else i - (len(plot.series) - 1) / 2
        x = _aside([places[x] for x in series.x], aside, places.values(), log=axes.get_xscale() == "log")
        _line(axes, series, x, looks[series.method], dense=plot.dense, floor=floor)
    if not (plot.curves or plot.measured_x) and (not numeric or len(ticks) <= 10):
        axes.set_xticks([places[x] for x in ticks], [f"{x:g}" if numeric else str(x) for x in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
    if plot.curves and axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
        axes.yaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    _shade(axes, plot)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    if looks:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], label=method, **look) for method, look in looks.items()]
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": _legend_columns(plot)}
        axes.legend(handles=handles, **place, borderaxespad=0.2, handlelength=2.8)


def _shade(axes: Any, plot: Plot) -> None:
    """Every other named stretch of the horizontal axis a little darker, the names along the lower edge."""
    if not plot.spans:
        return
    low, high = axes.get_xlim()
    narrow = any(_share(span, low, high, log=axes.get_xscale() == "log") * _CHARACTERS < len(span.label) + 1 for span in plot.spans)
    turned = 90 if narrow else 0
    for i, span in enumerate(plot.spans):
        if i % 2 == 0:
            axes.axvspan(span.low, span.high, color=GRID, alpha=0.45, linewidth=0, zorder=0)
        middle = (span.low * span.high) ** 0.5 if axes.get_xscale() == "log" else (span.low + span.high) / 2
        axes.text(middle, 0.015, span.label, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=8, rotation=turned)
    axes.set_xlim(low, high)


def _share(span: Span, low: float, high: float, *, log: bool) -> float:
    """Of the horizontal axis from `low` to `high`."""
    return math.log(span.high / span.low) / math.log(high / low) if log else (span.high - span.low) / (high - low)


def _legend_columns(plot: Plot) -> int:
    """As many as the longest name leaves room for beside its line."""
    longest = max((len(series.method) for series in plot.series), default=0)
    return max(1, min(4, _CHARACTERS // (longest + 7)))


def _aside(x: Sequence[float], steps: float, places: Collection[float], *, log: bool) -> list[float]:
    """Points moved a little sideways, so that one method's interval does not hide another's."""
    if log:
        return [value * (max(places) / min(places)) ** (0.009 * steps) for value in x]
    return [value + 0.009 * steps * (max(places) - min(places)) for value in x]


def _line(axes: Any, series: Series, x: Sequence[float], look: Mapping[str, Any], *, dense: bool, floor: float) -> None:
    """The mean and its interval: a band under a curve, bars on points. A point that some seeds are missing from is hollow.

    Bands reach no lower than `floor`.
    """
    known = [i for i, low in enumerate(series.low) if math.isfinite(low)]
    axes.plot(x, series.mean, zorder=3, **{**look, "marker": ""})
    if dense:
        band = [math.isfinite(low) for low in series.low]
        lows = [max(low, floor) for low in series.low]
        axes.fill_between(x, lows, series.high, where=band, color=look["color"], alpha=0.16, linewidth=0, zorder=1)
        return
    spans = [[series.mean[i] - series.low[i] for i in known], [series.high[i] - series.mean[i] for i in known]]
    at, mean = [x[i] for i in known], [series.mean[i] for i in known]
    axes.errorbar(at, mean, yerr=spans, fmt="none", ecolor=look["color"], elinewidth=1.3, capsize=2.5, zorder=2)
    for whole in (True, False):
        chosen = [i for i in range(len(x)) if (series.seeds[i] == series.planned[i]) is whole]
        face = look["color"] if whole else PAGE
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
