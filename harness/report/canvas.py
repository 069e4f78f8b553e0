"""A matplotlib figure as SVG text that is the same on every run, carries no outside reference, and takes its colours from the page.

Colours are written as `var(--name, #hex)`: a page sets the variables for light and dark, a lone file falls back to the hex.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

COLOURS = ("#1f5fbf", "#c2500a", "#1b7a43", "#8a3ab9", "#b3234d", "#0c7285", "#876400", "#5b6675")
COLOURS_ON_DARK = ("#7db2ff", "#ffa163", "#63d18d", "#cb9dff", "#ff8da6", "#5fcfe3", "#e0c25c", "#abb8c9")
INK, GRID, PAGE = "#1a2230", "#d5dae1", "#fefefd"
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
}


def svg_of(id: str, width: float, height: float, draw: Callable[[Any], None]) -> str:
    """An `<svg>` element of `width` x `height` inches at most, drawn by `draw(figure)`. `id` seeds the names inside it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": id}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        sink = io.StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _embeddable(sink.getvalue())


def colour(method: str, methods: Sequence[str]) -> str:
    """The colour of a method: the same in every figure and table of its task."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def _embeddable(text: str) -> str:
    """Only the `<svg>` element, without metadata and the ids that repeat between figures, with themable colours."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans, sans-serif)", text)
    text = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', 'width="100%" stroke-linejoin="round"', text, count=1)
    names = {shade: f"--m{i}" for i, shade in enumerate(COLOURS)} | {INK: "--ink", GRID: "--grid", PAGE: "--page"}
    for shade, name in names.items():
        text = text.replace(shade, f"var({name}, {shade})")
    return text.strip()
