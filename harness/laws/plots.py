"""Figures of a fit as SVG: the fit with its extrapolation and band, and the residuals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.laws.prediction import terms_at
from harness.laws.result import Fit, Part
from harness.laws.solver import Array, predict
from harness.store import replace_file
from harness.svg import COLOURS, label_log, svg_of

Index = NDArray[np.intp]
EXTRAPOLATION = 10.0
"""How far beyond the largest value of its first column a law is drawn, as a factor."""
_POINTS = 80
_MOST_LEGEND = 16


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
    def filled(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        label_log(axes.xaxis)
        axes.set_xlabel(fit.columns[fit.law.columns[0].name])
        draw(axes, fit)
        if len(_groups(fit)) <= _MOST_LEGEND and any(_groups(fit)):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7.5)

    return svg_of(salt, 8.5, 4.6, filled)


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
    axes.set_yscale("log")
    label_log(axes.yaxis)
    axes.set_ylabel(fit.columns[fit.law.y.name])
    for part, label, index, colour in _each(fit):
        axes.plot(part.rows.x[first][index], part.rows.y[index], "o", color=colour, markersize=4.5, label=label)
        path = _path(part, index, first)
        middle, low, high = _band(part, path, label, part.rows.family[int(index[0])], fit.confidence)
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


def _path(part: Part, index: Index, first: str) -> Mapping[str, Array]:
    """The line that is drawn: the first column over its range and beyond, the others along their own trend with it, in logs."""
    logs = {name: np.log(values[index]) for name, values in part.rows.x.items()}
    grid = np.linspace(logs[first].min(), logs[first].max() + np.log(EXTRAPOLATION), _POINTS)
    grid = np.sort(np.append(grid, logs[first].max()))
    varies = np.ptp(logs[first]) > 0
    trends = {name: np.polyfit(logs[first], values, 1) if varies else (0.0, values.mean()) for name, values in logs.items()}
    return {name: np.exp(grid if name == first else np.polyval(trends[name], grid)) for name in logs}


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
