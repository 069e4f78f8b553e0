"""Figures of many small panels as SVG: example traces, and matrices of shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.canvas import COLOURS, GRID
from harness.report.grids import MatrixGrid, TraceGrid
from harness.report.themed import INK, colour, svg_of

WIDE = 3
"""More methods than this take the whole width of the page."""
_HALF, _WHOLE, _MARGIN = 6.0, 12.4, 0.9
"""Inches: of a figure, of one that takes the page's width, and beside its panels."""
_TRACE = 0.85
_MOST_TIMES = 4.0
_PANEL_ROW = 5


def trace_svg(grid: TraceGrid, methods: Sequence[str]) -> str:
    """A row of panels for each row of the grid; the panels of a row share their vertical axis, so that sizes can be compared."""

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(grid.rows), len(grid.methods), sharex=True, sharey="row", squeeze=False)
        for i, row in enumerate(grid.rows):
            panels[i][0].set_ylim(_limits([grid.lines[row, method][1] for method in grid.methods if (row, method) in grid.lines]))
            for j, method in enumerate(grid.methods):
                axes = panels[i][j]
                x, y = grid.lines.get((row, method), ((), ()))
                axes.plot(x, y, color=colour(method, methods), linewidth=0.8)
                axes.tick_params(labelsize=7, length=2)
                if i == 0:
                    axes.set_title(method, fontsize=9)
                if j == 0:
                    axes.set_ylabel(row, fontsize=8.5)
                if i + 1 == len(grid.rows):
                    axes.set_xlabel(grid.x_label, fontsize=8)

    width = _WHOLE if len(grid.methods) > WIDE else _HALF
    return svg_of(grid.id, width, _MARGIN + _TRACE * len(grid.rows), draw)


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

    side = (_WHOLE if len(grid.methods) > WIDE else _HALF) / across
    tall = side * len(grid.rows) / max(len(grid.columns), 1)
    return svg_of(grid.id, side * across, (min(tall, side) + _MARGIN) * down, draw)


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
