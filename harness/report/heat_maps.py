"""Phase diagrams as SVG: one panel a method, cells of one hue that the page's theme colours, the boundary over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.report.phases import BoundaryPoint, Cell, Panel, PhaseGrid
from harness.svg import COLOURS, GRID, INK, PAGE, PAGE_WIDTH, WIDE, WIDTH, embedded_svg

SHADES = 24
"""Steps of the colour: cells that agree in it are one shape, and finer steps are not seen."""
_FAINTEST, _DARKEST = 0.04, 0.9
"""Opacity of the hue at both ends of the colours."""
_BAR = (1.06, 0.0, 0.055, 1.0)
"""Left and lower end, width and height of the colour bar, in panels."""
_MARGIN = 0.75
"""Inches above and below a panel."""
_CHARACTER, _ROW = 0.075, 0.22
"""Inches of a character of a tick's number, and of a row of them."""
_LINE, _CELL = COLOURS[1], COLOURS[0]
_TRIANGLE = {1: ">", -1: "<"}

Place = Callable[[float], float]
Box = tuple[float, float, float, float]


def phase_svg(grid: PhaseGrid) -> str:
    """The phase diagram as an `<svg>` element."""
    count = len(grid.panels)
    across = min(count, WIDE)
    down = math.ceil(count / across)
    width = PAGE_WIDTH if count > WIDE else WIDTH
    side = min(width / (across + 0.7), 3.4)
    x, y = _placed([cell.x for cell in grid.cells], log=grid.log_x), _placed([cell.y for cell in grid.cells], log=grid.log_y)

    def draw(figure: Any) -> None:
        panels = figure.subplots(down, across, squeeze=False).flatten()
        for axes in panels[count:]:
            axes.set_axis_off()
        for index, (axes, panel) in enumerate(zip(panels, grid.panels, strict=False)):
            _panel(axes, panel, grid, x, y)
            _ticks(axes.set_xticks, x, side, lambda text: _CHARACTER * (len(text) + 1))
            _ticks(axes.set_yticks, y, side, lambda _: _ROW)
            if index % across == 0:
                axes.set_ylabel(grid.y_label)
            else:
                axes.tick_params(labelleft=False)
            if index + across >= count:
                axes.set_xlabel(grid.x_label)
        _bar(panels[across - 1].inset_axes(_BAR), grid)

    return embedded_svg(grid.id, width, (side + _MARGIN) * down, draw)


def _placed(values: Sequence[float], *, log: bool) -> dict[float, float]:
    """Where each value of a parameter stands on its axis, smallest first: log10 of it on a logarithmic one, 0 a step below the others."""
    ordered = sorted(set(values))
    if not log:
        return {value: value for value in ordered}
    places = {value: math.log10(value) for value in ordered if value > 0}
    gaps = _gaps(list(places.values()))
    return {value: places[value] if value > 0 else min(places.values(), default=0.0) - gaps for value in ordered}


def _gaps(places: Sequence[float]) -> float:
    """The middle distance of neighbours, 1 where there is none."""
    found = sorted(right - left for left, right in pairwise(places))
    return found[len(found) // 2] if found else 1.0


def _edges(places: Sequence[float], alone: float) -> list[float]:
    """Borders between neighbours, halfway, and as far outside of the first and the last; of one place `alone` is the width."""
    inner = [(left + right) / 2 for left, right in pairwise(places)]
    first = inner[0] if inner else places[0] + alone / 2
    last = inner[-1] if inner else places[0] - alone / 2
    return [2 * places[0] - first, *inner, 2 * places[-1] - last]


def _boxes(cells: Sequence[Cell], x: Mapping[float, float], y: Mapping[float, float]) -> dict[Cell, Box]:
    """Left, right, lower and upper border of each cell; every y has its own values of x."""
    rows = dict.fromkeys(cell.y for cell in cells)
    wide, high = _gaps([*x.values()]), _gaps([*y.values()])
    lower = dict(zip(y, pairwise(_edges([*y.values()], high)), strict=True))
    found: dict[Cell, Box] = {}
    for row in rows:
        own = sorted((cell for cell in cells if cell.y == row), key=lambda cell: cell.x)
        edges = _edges([x[cell.x] for cell in own], wide)
        found |= {cell: (*ends, *lower[row]) for cell, ends in zip(own, pairwise(edges), strict=True)}
    return found


def _panel(axes: Any, panel: Panel, grid: PhaseGrid, x: Mapping[float, float], y: Mapping[float, float]) -> None:
    boxes = _boxes(panel.cells, x, y)
    shades: dict[int, list[Box]] = {}
    for cell, box in boxes.items():
        if cell.seeds:
            shades.setdefault(_shade(cell.mean, grid), []).append(box)
    for shade, drawn in sorted(shades.items()):
        _fill(axes, _joined(drawn), facecolor=_CELL, alpha=_alpha(shade), linewidth=0)
    _fill(axes, [box for cell, box in boxes.items() if not cell.seeds], facecolor="none", hatch="////", edgecolor=GRID, linewidth=0)
    size = max(1.5, min(5.0, 90 / max(len(x), len(y))))
    for marker, name in (("x", "diverged"), (".", "bounds")):
        marked = [box for cell, box in boxes.items() if getattr(cell, name)]
        centres = [((left + right) / 2, (low + high) / 2) for left, right, low, high in marked]
        axes.plot([at for at, _ in centres], [at for _, at in centres], marker, color=INK, markersize=size, markeredgewidth=0.9, zorder=3)
    axes.set_xlim(min(box[0] for box in boxes.values()), max(box[1] for box in boxes.values()))
    axes.set_ylim(min(box[2] for box in boxes.values()), max(box[3] for box in boxes.values()))
    for boundary in panel.boundaries:
        _boundary(axes, boundary, y, log=grid.log_x)
    axes.set_title(panel.method, fontsize=9)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)


def _shade(value: float, grid: PhaseGrid) -> int:
    share = (value - grid.low) / (grid.high - grid.low) if grid.high > grid.low else 0.5
    return round(SHADES * min(max(share, 0.0), 1.0))


def _alpha(shade: int) -> float:
    return round(_FAINTEST + (_DARKEST - _FAINTEST) * shade / SHADES, 3)


def _joined(boxes: Iterable[Box]) -> list[Box]:
    """Neighbours in a row as one box: a fine grid has large even parts."""
    found: list[Box] = []
    for left, right, low, high in sorted(boxes, key=lambda box: (box[2], box[0])):
        if found and found[-1][1:] == (left, low, high):
            found[-1] = (found[-1][0], right, low, high)
        else:
            found.append((left, right, low, high))
    return found


def _fill(axes: Any, boxes: Sequence[Box], **look: Any) -> None:
    """One shape of many boxes: no seam shows between them."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if boxes:
        corners = [
            point for left, right, low, high in boxes for point in ((left, low), (right, low), (right, high), (left, high), (left, low))
        ]
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
        axes.add_patch(PathPatch(Path(corners, codes), **look))


def _boundary(axes: Any, points: Sequence[BoundaryPoint], y: Mapping[float, float], *, log: bool) -> None:
    """The line through values of y that follow each other, with its band; what is a bound alone as an open triangle that points outward."""
    place: Place = (lambda value: math.log10(value) if math.isfinite(value) else value) if log else (lambda value: value)
    order = {value: index for index, value in enumerate(y)}
    runs: list[list[BoundaryPoint]] = []
    for point in (point for point in points if point.side == 0):
        if runs and order[point.y] == order[runs[-1][-1].y] + 1:
            runs[-1].append(point)
        else:
            runs.append([point])
    left, right = axes.get_xlim()
    for run in runs:
        at, up = [place(point.at) for point in run], [y[point.y] for point in run]
        ends = [(max(place(point.low), left), min(place(point.high), right)) for point in run]
        axes.fill_betweenx(up, [low for low, _ in ends], [high for _, high in ends], color=_LINE, alpha=0.3, linewidth=0, zorder=2)
        axes.plot(at, up, color=PAGE, linewidth=4.2, solid_capstyle="round", zorder=4)
        axes.plot(at, up, color=_LINE, linewidth=2.0, marker="o", markersize=3.0, zorder=5)
    for side, marker in _TRIANGLE.items():
        bounds = [point for point in points if point.side == side]
        look = {"linestyle": "", "marker": marker, "markersize": 6.5, "markerfacecolor": PAGE, "markeredgecolor": _LINE}
        at, up = [place(point.at) for point in bounds], [y[point.y] for point in bounds]
        if bounds:  # an empty line that is not clipped would lie at the figure's corner, and the layout would leave room for it
            axes.plot(at, up, markeredgewidth=1.4, clip_on=False, zorder=6, **look)


def _ticks(set_ticks: Callable[..., Any], places: Mapping[float, float], inches: float, room: Callable[[str], float]) -> None:
    """Ticks at values of the grid, the first one and those that have room for their number on an axis of so many inches."""
    span, found = (max(places.values()) - min(places.values())) or 1.0, dict[float, str]()
    free = -math.inf
    for value, place in places.items():
        at, text = (place - min(places.values())) / span * inches, f"{value:.3g}"
        if at - room(text) / 2 >= free:
            found[place], free = text, at + room(text) / 2
    set_ticks(list(found), list(found.values()), fontsize=8)


def _bar(axes: Any, grid: PhaseGrid) -> None:
    """The colours with their numbers, and the level as a line across."""
    low, high = (grid.low, grid.high) if grid.high > grid.low else (grid.low - 0.5, grid.low + 0.5)
    step = (high - low) / (SHADES + 1)
    for shade in range(SHADES + 1):
        _fill(axes, [(0.0, 1.0, low + shade * step, low + (shade + 1) * step)], facecolor=_CELL, alpha=_alpha(shade), linewidth=0)
    axes.set(xlim=(0.0, 1.0), ylim=(low, high), xticks=[])
    axes.axhline(grid.level, color=_LINE, linewidth=2.0)
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.tick_params(labelsize=8, length=2)
    axes.set_ylabel(grid.z_label, fontsize=8.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)
