"""A matplotlib figure as SVG text that is the same on every run: the palette and the style of every figure here."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

COLOURS = ("#1f5fbf", "#c2500a", "#1b7a43", "#8a3ab9", "#b3234d", "#0c7285", "#876400", "#5b6675")
GRID = "#d5dae1"
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def svg_of(
    id: str, width: float, height: float, draw: Callable[[Any], None], *, style: Mapping[str, Any] | None = None, transparent: bool = False
) -> str:
    """What `draw(figure)` leaves on `width` x `height` inches. `id` seeds the names inside; `style` goes over the common one."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, **(style or {}), "svg.hashsalt": id}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    return sink.getvalue()
