"""A matplotlib figure as SVG text that is the same on every run: the palette and the style of every figure here."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from harness.shown import visible

COLOURS = ("#1f5fbf", "#c2500a", "#1b7a43", "#8a3ab9", "#b3234d", "#0c7285", "#876400", "#5b6675")
COLOURS_ON_DARK = ("#7db2ff", "#ffa163", "#63d18d", "#cb9dff", "#ff8da6", "#5fcfe3", "#e0c25c", "#abb8c9")
GRID, INK, PAGE = "#d5dae1", "#1a2230", "#fefefd"
WIDTH, PAGE_WIDTH = 6.0, 12.4
"""Inches of a figure, and of one that takes the page's width."""
WIDE = 3
"""A grid of more methods than this takes the whole width of the page."""
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
    "text.parse_math": False,  # names are no formulas; ticks of logarithmic axes are, unless `label_log` writes them
}
_INKED = dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "text.color"), INK)


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
        with warnings.catch_warnings():
            # The reader's font draws the text, not the one that is missing a glyph here.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            figure.savefig(sink, format="svg", transparent=transparent, metadata={"Date": None, "Creator": None})
    return visible(sink.getvalue())


def label_log(axis: Any) -> None:
    """Ticks of a logarithmic axis as plain numbers, those between the powers of ten where there is room for them."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    axis.set_major_formatter(Plain(labelOnlyBase=False))
    axis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


def series_gid(place: int) -> str:
    """The gid of an artist that belongs to the method at that place of the task's: a page can hide all of them."""
    return f"series:{place}"


def tip_gid(place: int, text: str) -> str:
    """The same of one that says `text` where a pointer rests on it."""
    return f"tip:{place}:{quote(text, safe='')}"


def _tip(found: re.Match[str]) -> str:
    return f'<g class="tip" data-m="{found[1]}"><title>{html.escape(visible(unquote(found[2])))}</title>'


def embedded_svg(id: str, width: float, height: float, draw: Callable[[Any], None]) -> str:
    """An `<svg>` element for a page: no outside reference, no metadata, none of the ids that repeat between figures.

    Colours are written as `var(--name, #hex)`: a page sets the variables for light and dark, a lone file falls back to the hex.
    """
    text = svg_of(id, width, height, draw, style=_INKED, transparent=True)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", text)
    text = re.sub(r' id="series:(\d+)"', r' data-m="\1"', text)
    text = re.sub(r'<g id="tip:(\d+):([^"]*)">', _tip, text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans, sans-serif)", text)
    text = re.sub(r'width="[0-9.]+pt" height="[0-9.]+pt"', 'width="100%" stroke-linejoin="round"', text, count=1)
    names = {shade: f"--m{i}" for i, shade in enumerate(COLOURS)} | {INK: "--ink", GRID: "--grid", PAGE: "--page"}
    for shade, name in names.items():
        text = text.replace(shade, f"var({name}, {shade})")
    return text.strip()
