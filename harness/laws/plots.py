"""Figures of a fit as SVG: the fit with its extrapolation and band, and the residuals.

A law of several columns is a surface. It is drawn as curves along the first column, one for each value of the others and named by it:
one curve through all rows would follow how the rows were chosen, not the law.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.laws.prediction import terms_at
from harness.laws.result import Fit, Part
from harness.laws.solver import Array, predict
from harness.local_folder import replace_file
from harness.svg import COLOURS, label_log, svg_of

Index = NDArray[np.intp]
EXTRAPOLATION = 10.0
"""How far beyond the largest value of its first column a law is drawn, as a factor."""
_POINTS = 80
_MOST_LEGEND, _MOST_PANELS, _MOST_LINES = 16, 9, 6


def write(fit: Fit, folder: str) -> list[str]:
    """`<law>-fit.svg` and `<law>-residuals.svg` in `folder`; returns their paths."""
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in (("fit", _draw_fit), ("residuals", _draw_residuals)):
        path = root / f"{fit.law.name}-{name}.svg"
        replace_file(path, _svg(fit, draw, path.stem).encode())
        paths.append(str(path))
    return paths


def _svg(fit: Fit, draw: Any, salt: str) -> str:
    labels = _groups(fit)
    apart = draw is _draw_fit and len(fit.law.columns) > 1
    panels = labels[:_MOST_PANELS] if apart else [""]
    across = min(len(panels), 3)
    down = -(-len(panels) // across)

    def filled(figure: Any) -> None:
        grid = figure.subplots(down, across, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, label in zip(grid, panels, strict=False):
            axes.set_xscale("log")
            label_log(axes.xaxis)
            axes.set_xlabel(fit.columns[fit.law.columns[0].name])
            if apart:
                axes.set_title(label, fontsize=9.5)
                _draw_family(axes, fit, label)
            else:
                draw(axes, fit)
            if apart or (len(labels) <= _MOST_LEGEND and any(labels)):
                axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7.5)

    return svg_of(salt, 8.5 if across == 1 else 5.4 * across, 4.6 if down == 1 else 3.6 * down, filled)


def _groups(fit: Fit) -> list[str]:
    return list(dict.fromkeys(label for part in fit.parts for label in part.rows.group))


def _each(fit: Fit) -> list[tuple[Part, str, Index, str]]:
    """(part, group, its rows, its colour)."""
    labels = _groups(fit)
    found = []
    for part in fit.parts:
        for label in dict.fromkeys(part.rows.group):
            index = np.flatnonzero([own == label for own in part.rows.group])
            found.append((part, label, index, COLOURS[labels.index(label) % len(COLOURS)]))
    return found


def _draw_fit(axes: Any, fit: Fit) -> None:
    first = fit.law.columns[0].name
    _logarithmic(axes, fit)
    for part, label, index, colour in _each(fit):
        axes.plot(part.rows.x[first][index], part.rows.y[index], "o", color=colour, markersize=4.5, label=label)
        path = {first: _grid(part.rows.x[first][index])}
        _draw_line(axes, part, path, label, index, colour, fit.confidence)


def _draw_family(axes: Any, fit: Fit, wanted: str) -> None:
    """A group's rows, and the law along the first column: a line for each value of the others, in the colour of its rows."""
    first = fit.law.columns[0].name
    _logarithmic(axes, fit)
    for part, label, index, _ in _each(fit):
        if label != wanted:
            continue
        for i, (at, own) in enumerate(slices(part.rows.x, first, index)):
            colour, name = COLOURS[i % len(COLOURS)], ", ".join(f"{fit.columns[column]} = {value:.3g}" for column, value in at.items())
            axes.plot(part.rows.x[first][own], part.rows.y[own], "o", color=colour, markersize=4.5, label=name)
            grid = _grid(part.rows.x[first][index])
            path = {first: grid} | {column: np.full(len(grid), value) for column, value in at.items()}
            _draw_line(axes, part, path, label, index, colour, fit.confidence)


def slices(x: Mapping[str, Array], first: str, index: Index) -> list[tuple[Mapping[str, float], Index]]:
    """Values of the columns besides `first`, and the rows of `index` that are nearest to each, in order of the second column.

    Every combination of values where there are few; otherwise quantiles of the second column, the others at the mean of their logs.
    """
    # A value of nothing is drawn as next to nothing.
    logs = {name: np.log(np.maximum(values, 1e-3 * values[values > 0].min())[index]) for name, values in x.items() if name != first}
    table = np.stack(list(logs.values()), axis=1)
    found = np.unique(np.round(table, 2), axis=0)
    if len(found) > _MOST_LINES:
        middle = (np.arange(_MOST_LINES) + 0.5) / _MOST_LINES
        found = np.repeat(table.mean(axis=0)[None], _MOST_LINES, axis=0)
        found[:, 0] = np.quantile(table[:, 0], middle)
        nearest = np.abs(table[:, :1] - found[:, 0]).argmin(axis=1)
    else:
        nearest = np.abs(table[:, None] - found).sum(axis=2).argmin(axis=1)
        found = np.stack([table[nearest == i].mean(axis=0) for i in range(len(found))])
    return [(dict(zip(logs, np.exp(found[i]).tolist(), strict=True)), index[nearest == i]) for i in range(len(found))]


def _logarithmic(axes: Any, fit: Fit) -> None:
    axes.set_yscale("log")
    label_log(axes.yaxis)
    axes.set_ylabel(fit.columns[fit.law.y.name])


def _draw_line(axes: Any, part: Part, path: Mapping[str, Array], label: str, index: Index, colour: str, confidence: float) -> None:
    first = next(iter(path))
    middle, low, high = _band(part, path, label, part.rows.family[int(index[0])], confidence)
    inside = path[first] <= part.rows.x[first][index].max() * (1 + 1e-9)
    axes.plot(path[first][inside], middle[inside], color=colour)
    axes.plot(path[first][~inside], middle[~inside], color=colour, linestyle=(0, (4, 2)))
    if low is not None:
        axes.fill_between(path[first], low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_residuals(axes: Any, fit: Fit) -> None:
    first = fit.law.columns[0].name
    axes.set_ylabel("log residual")
    axes.axhline(0.0, linewidth=1.0)
    for part, label, index, colour in _each(fit):
        axes.plot(part.rows.x[first][index], part.residuals[index], "o", color=colour, markersize=4.5, label=label)


def _grid(values: Array) -> Array:
    """The range of a column and beyond it, its largest value among the points."""
    low, high = np.log(values.min()), np.log(values.max())
    return np.asarray(np.exp(np.sort(np.append(np.linspace(low, high + np.log(EXTRAPOLATION), _POINTS), high))))


def _band(part: Part, path: Mapping[str, Array], group: str, family: str, confidence: float) -> tuple[Array, Array | None, Array | None]:
    """The fitted law along `path`, and quantiles over the resamples that converged."""
    terms = terms_at(part.design, part.rows, path, [family] * len(next(iter(path.values()))), group)
    middle = np.exp(predict(terms, part.theta[None])[0][0])
    if part.resamples is None or not part.resamples.converged.any():
        return middle, None, None
    logs = predict(terms, part.resamples.theta[part.resamples.converged])[0]
    tail = (1 - confidence) / 2
    low, high = np.exp(np.quantile(logs, [tail, 1 - tail], axis=0))
    return middle, low, high
